"""Attention."""

from __future__ import annotations

import math

from ... import lazy as lx
from ...lazy import Tensor
from ._common import error
from .dropout import dropout


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query key^T * scale + mask) value; query [..., L, E], key [..., S, E], value [..., S, V]: [..., L, V].

    A bool mask says where to look; another is added. ``scale`` is 1 / sqrt(E) unless given. With ``enable_gqa``, each
    head (dim -3) of key and value serves several of query. A row that may look nowhere gives zeros.
    """
    if is_causal and attn_mask is not None:
        raise error(
            RuntimeError, "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        if repeats * key.shape[-3] != query.shape[-3]:
            raise error(RuntimeError, "Number of heads in key and value must divide the number of heads in query")
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = lx.matmul(query * factor, key.transpose(-2, -1))
    rows, columns = scores.shape[-2], scores.shape[-1]
    if is_causal:
        attn_mask = lx.ones(rows, columns, dtype=lx.bool, device=query.device).tril()
    if attn_mask is None:
        weights = lx.softmax(scores, -1)
    elif attn_mask.dtype is lx.bool:
        # a row without a place to look has no softmax: give it equal scores, and zero weights afterwards
        seen = attn_mask.any(-1, keepdim=True)
        scores = lx.where(attn_mask, scores, lx.where(seen, -math.inf, 0.0).to(scores.dtype))
        weights = lx.where(seen, lx.softmax(scores, -1), 0.0)
    else:
        weights = lx.softmax(scores + attn_mask.to(scores.dtype), -1)
    return lx.matmul(dropout(weights, dropout_p), value)
