"""Attention: the scaled dot product, and several heads of it between linear maps."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import lazy as lx
from ...lazy import Tensor
from ._common import choose, error, part, reshaped, spread
from .dropout import dropout
from .linear import linear


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query key^T * scale + mask) value; query [..., L, E], key [..., S, E], value [..., S, V]: [..., L, V].

    A bool mask says where to look; another is added. ``scale`` is 1 / sqrt(E) unless given. With ``enable_gqa``, each
    head (dim -3) of key and value serves several of query. A row that may look nowhere gives zeros.
    """
    _check(query, key, value, attn_mask, is_causal)
    if not 0.0 <= dropout_p <= 1.0:
        raise error(RuntimeError, f"dropout probability has to be between 0 and 1, but got {dropout_p}")
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        if repeats * key.shape[-3] != query.shape[-3]:
            raise error(RuntimeError, "Number of heads in key and value must divide the number of heads in query")
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = lx.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        rows, columns = scores.shape[-2], scores.shape[-1]
        seen = lx.ones(rows, columns, dtype=lx.bool, device=query.device).tril()
        seen = spread(seen, tuple(scores.shape), (scores.ndim - 2, scores.ndim - 1))
        weights = lx.softmax(choose(seen, scores, -math.inf), -1)
    elif attn_mask is None:
        weights = lx.softmax(scores, -1)
    elif attn_mask.dtype is lx.bool:
        weights = _safe_softmax(lx.where(attn_mask, scores, -math.inf))
    else:
        weights = _safe_softmax(scores + attn_mask)
    return lx.matmul(dropout(weights, dropout_p), value)


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    if is_causal and mask is not None:
        raise error(
            RuntimeError, "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise error(
            RuntimeError,
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead.",
        )
    if key.dtype is not query.dtype or value.dtype is not query.dtype:
        raise error(
            RuntimeError,
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {_c_name(query)} key.dtype: "
            f"{_c_name(key)} and value.dtype: {_c_name(value)} instead.",
        )
    if mask is not None and mask.dtype not in (lx.bool, lx.float32, query.dtype):
        raise error(
            RuntimeError,
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{_c_name(mask)} and  query.dtype: {_c_name(query)} instead.",
        )


_C_NAMES = {"float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16"}


def _c_name(t: Tensor) -> str:
    return _C_NAMES.get(t.dtype.name, t.dtype.name)


def _safe_softmax(scores: Tensor) -> Tensor:
    """softmax along the last dim, zero where a row is -inf throughout."""
    seen = scores.detach().amax(-1) > -math.inf
    seen = spread(seen, tuple(scores.shape), tuple(range(scores.ndim - 1)))
    return choose(seen, lx.softmax(choose(seen, scores, 0.0), -1), 0.0)


# --- several heads ----------------------------------------------------------------------------------------------


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention of ``num_heads`` heads (Vaswani et al. 2017): query [L, N, E], key [S, N, K], value [S, N, V] (or
    without N): the outputs [L, N, E], and the weights [N, L, S] ([N, heads, L, S] if they are not averaged), or None.

    Bool masks say where NOT to look, others are added: ``key_padding_mask`` [N, S], ``attn_mask`` [L, S] or
    [N * heads, L, S]. ``is_causal`` says that ``attn_mask`` is the causal mask.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, _ = query.shape
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if is_causal and attn_mask is None:
        raise error(
            RuntimeError,
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask.",
        )
    padding = _added(key_padding_mask, "key_padding_mask", query, attn_mask, "attn_mask")
    causal = is_causal and padding is None and not need_weights
    mask = None if causal else _added(attn_mask, "attn_mask", query)
    if mask is not None:
        mask = _with_heads(mask, batch, num_heads, length, key.shape[0])
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, weights, in_proj_weight, in_proj_bias)
    if bias_k is not None and bias_v is not None:
        k, v = lx.cat([k, bias_k.repeat(1, batch, 1)]), lx.cat([v, bias_v.repeat(1, batch, 1)])
        mask, padding = _one_more(mask), _one_more(padding)
    q, k, v = _heads(q, num_heads), _heads(k, num_heads, static_k), _heads(v, num_heads, static_v)
    if add_zero_attn:
        zeros = lx.zeros(batch, num_heads, 1, q.shape[3], dtype=k.dtype, device=k.device)
        k, v = lx.cat([k, zeros], 2), lx.cat([v, zeros], 2)
        mask, padding = _one_more(mask), _one_more(padding)
    if padding is not None:
        _check_padding(padding, k.shape[2], batch)
        padding = padding.reshape(batch, 1, 1, k.shape[2])
        mask = padding if mask is None else mask + padding
    dropped = dropout_p if training else 0.0
    if not need_weights:
        seen = scaled_dot_product_attention(q, k, v, mask, dropped, causal)
        out = _joined(seen, out_proj_weight, out_proj_bias)
        return (out if batched else out.squeeze(1)), None
    scores = lx.matmul(q * math.sqrt(1.0 / q.shape[3]), k.transpose(-2, -1))
    attention = lx.softmax(scores if mask is None else scores + mask, -1)
    attention = dropout(attention, dropped)
    out = _joined(lx.matmul(attention, v), out_proj_weight, out_proj_bias)
    attention = attention.mean(1) if average_attn_weights else attention
    return (out, attention) if batched else (out.squeeze(1), attention.squeeze(0))


def _heads(x: Tensor, heads: int, given: Tensor | None = None) -> Tensor:
    """x [S, N, E] as [N, heads, S, E / heads]; or what is given as [N * heads, S, E / heads] instead."""
    length, batch, embed = x.shape
    if given is None:
        x = reshaped(x, (length, batch, heads, embed // heads))
        return lx.ops.transpose(x, permutation=(1, 2, 0, 3))
    for axis, size in ((0, batch * heads), (2, embed // heads)):
        if given.shape[axis] != size:
            raise error(AssertionError, f"expecting static_k.size({axis}) of {size}, but got {given.shape[axis]}")
    return reshaped(given, (batch, heads, *given.shape[1:]))


def _joined(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The heads [N, heads, L, D] side by side and through the last linear map: [L, N, E]."""
    batch, heads, length, size = x.shape
    x = reshaped(lx.ops.transpose(x, permutation=(2, 0, 1, 3)), (length, batch, heads * size))
    return linear(x, weight, bias)


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weights: Any, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Query, key and value through the first linear maps: as few products as there are different inputs."""
    embed = query.shape[-1]
    if weights is not None:
        for name, w in zip("qkv", weights):
            if w is None:
                raise error(AssertionError, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        biases = [None] * 3 if bias is None else [part(bias, 0, i * embed, (i + 1) * embed) for i in range(3)]
        return tuple([linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)])
    if weight is None:
        raise error(AssertionError, "use_separate_proj_weight is False but in_proj_weight is None")

    def several(x: Tensor, first: int, last: int) -> list[Tensor]:
        rows = part(weight, 0, first * embed, last * embed)
        y = linear(x, rows, None if bias is None else part(bias, 0, first * embed, last * embed))
        return [part(y, y.ndim - 1, i * embed, (i + 1) * embed) for i in range(last - first)]

    if key is value and query is key:
        return tuple(several(query, 0, 3))
    if key is value:
        return tuple(several(query, 0, 1) + several(key, 1, 3))
    return tuple(several(query, 0, 1) + several(key, 1, 2) + several(value, 2, 3))


# --- masks ------------------------------------------------------------------------------------------------------


def _added(mask: Tensor | None, name: str, like: Tensor, other: Tensor | None = None, other_name: str = "") -> Any:
    """A mask as numbers to add: -inf where a bool mask holds."""
    if mask is None:
        return None
    if mask.dtype is not lx.bool and not mask.is_floating_point():
        raise error(AssertionError, f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype is not other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=4,
        )
    if mask.is_floating_point():
        return mask
    return choose(mask, lx.full(tuple(mask.shape), -math.inf, dtype=like.dtype, device=mask.device), 0.0)


def _with_heads(mask: Tensor, batch: int, heads: int, length: int, source: int) -> Tensor:
    """An attention mask with the dims of [N, heads, L, S]."""
    expected = (length, source) if mask.ndim == 2 else (batch * heads, length, source)
    if tuple(mask.shape) != expected:
        raise error(
            RuntimeError, f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}."
        )
    return mask.reshape(1, 1, length, source) if mask.ndim == 2 else mask.reshape(batch, heads, length, source)


def _one_more(mask: Tensor | None) -> Tensor | None:
    """The mask for one more place to look, which is always seen."""
    if mask is None:
        return None
    return lx.cat([mask, lx.zeros(*mask.shape[:-1], 1, dtype=mask.dtype, device=mask.device)], -1)


def _check_padding(padding: Tensor, source: int, batch: int) -> None:
    for axis, size in ((0, batch), (1, source)):
        if padding.shape[axis] != size:
            raise error(
                AssertionError, f"Expected key_padded_mask.shape[{axis}] to be {size}, but got {padding.shape[axis]}"
            )


def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, heads: int
) -> bool:
    """Whether there is a batch dim; AssertionError for ranks that do not fit each other."""
    if query.ndim not in (2, 3):
        raise error(
            AssertionError,
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor",
        )
    batched = query.ndim == 3
    of = "For batched (3-D) `query`" if batched else "For unbatched (2-D) `query`"
    if key.ndim != query.ndim or value.ndim != query.ndim:
        raise error(
            AssertionError,
            f"{of}, expected `key` and `value` to be {query.ndim}-D but found {key.ndim}-D and {value.ndim}-D tensors "
            "respectively",
        )
    if padding is not None and padding.ndim != query.ndim - 1:
        raise error(
            AssertionError,
            f"{of}, expected `key_padding_mask` to be `None` or {query.ndim - 1}-D but found {padding.ndim}-D tensor "
            "instead",
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise error(
            AssertionError, f"{of}, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    if not batched and mask is not None and mask.ndim == 3:
        expected = (heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != expected:
            raise error(AssertionError, f"Expected `attn_mask` shape to be {expected} but got {mask.shape}")
    return batched


def _check_sizes(query: Tensor, key: Tensor, value: Tensor, embed: int, heads: int, separate: bool) -> None:
    if query.shape[2] != embed:
        raise error(AssertionError, f"was expecting embedding dimension of {embed}, but got {query.shape[2]}")
    if embed % heads:
        raise error(AssertionError, f"embed_dim {embed} not divisible by num_heads {heads}")
    if separate and tuple(key.shape[:2]) != tuple(value.shape[:2]):
        raise error(
            AssertionError, f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not separate and tuple(key.shape) != tuple(value.shape):
        raise error(AssertionError, f"key shape {key.shape} does not match value shape {value.shape}")
