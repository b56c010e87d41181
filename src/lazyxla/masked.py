"""Reductions and normalisations over the elements that a mask keeps, as ``torch.masked``.

Each takes ``mask``, a bool tensor that broadcasts to the input: True keeps an element. Where nothing is kept, the result
is what the operation gives for no elements: 0 for a sum, 1 for a product, NaN for a mean.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from . import lazy as lx
from .lazy import Tensor

Dims = int | Sequence[int] | None

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip


def _kept(input: Tensor, mask: Tensor | None, fill: Any) -> Tensor:
    """The input with what the mask drops replaced."""
    if mask is None:
        return input
    return lx.where(_wide(input, mask), input, fill)


def _wide(input: Tensor, mask: Tensor) -> Tensor:
    if mask.ndim > input.ndim:
        raise IndexError(
            f"masked: a mask that broadcasts to the input {list(input.shape)} is expected, got {list(mask.shape)}"
            f"  ({lx.record.user_line()})"
        )
    return mask.bool().expand(input.shape)


def _least(x: Tensor) -> Any:
    return -math.inf if x.dtype.is_inexact else lx.iinfo(x.dtype).min


def _most(x: Tensor) -> Any:
    return math.inf if x.dtype.is_inexact else lx.iinfo(x.dtype).max


def _dims(dim: Dims, x: Tensor) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(x.ndim))
    return (dim,) if isinstance(dim, int) else tuple(dim)


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Sum over dims of what the mask keeps."""
    return lx.sum(_kept(input, mask, 0), dim, keepdim, dtype=dtype)


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Product over dims of what the mask keeps."""
    out = _kept(input, mask, 1)
    if dtype is not None:
        out = out.to(dtype)
    elif not input.dtype.is_inexact:
        out = out.long()
    for d in sorted((d % builtins.max(input.ndim, 1) for d in _dims(dim, input)), reverse=True):
        out = lx.prod(out, d, True)
    return out if keepdim else out.reshape(lx.sum(input.detach(), dim).shape)


def _running(name: str, fill: int) -> Callable[..., Tensor]:
    def f(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
        return getattr(lx, name)(_kept(input, mask, fill), dim, dtype=dtype or input.dtype)

    f.__name__, f.__doc__ = name, f"``{name}`` along a dim of what the mask keeps."
    return f


cumsum, cumprod = _running("cumsum", 0), _running("cumprod", 1)


def _extreme(name: str, fill: Callable[[Tensor], Any]) -> Callable[..., Tensor]:
    def f(
        input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
    ) -> Tensor:
        out = getattr(lx, name)(_kept(input, mask, fill(input)), dim, keepdim)
        return out.to(dtype or input.dtype)

    f.__name__, f.__doc__ = name, f"``{name}`` over dims of what the mask keeps, in the input's type unless given."
    return f


amax, amin = _extreme("amax", _least), _extreme("amin", _most)
argmax, argmin = _extreme("argmax", _least), _extreme("argmin", _most)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Mean over dims of what the mask keeps; NaN where it keeps nothing."""
    d = input.dtype if dtype is None else dtype
    if not d.is_inexact:
        raise ValueError(
            f"masked.mean expects a floating point or complex dtype, got {d.name}  ({lx.record.user_line()})"
        )
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask) / _count(input, dim, keepdim, mask)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    kept = lx.ones_like(input, dtype=lx.bool) if mask is None else _wide(input, mask)
    return lx.sum(kept, dim, keepdim)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The lower median along a dim of what the mask keeps, of a floating input; NaN where it keeps nothing."""
    if not input.dtype.is_floating_point:
        raise ValueError(f"masked.median expects a floating input, got {input.dtype.name}  ({lx.record.user_line()})")
    return lx.nanmedian(_kept(input, mask, math.nan), dim, keepdim).values


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The norm of order ``ord`` over dims of what the mask keeps."""
    order = 2.0 if ord is None else ord
    kept = _kept(input, mask, math.inf if order == -math.inf else 0)
    return lx.norm(kept, order, None if dim is None else _dims(dim, input), keepdim, dtype)


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Variance over dims of what the mask keeps, divided by its count - correction (1 unless given)."""
    if unbiased is not None and correction is not None:
        raise ValueError(f"masked.var: only one of unbiased and correction may be given  ({lx.record.user_line()})")
    less = float(unbiased) if unbiased is not None else 1.0 if correction is None else float(correction)
    wanted = dtype or (input.dtype if input.dtype.is_inexact else lx.get_default_dtype())
    x = input.to(wanted)
    count = _count(input, dim, True, mask)
    centred = x - sum(x, dim, keepdim=True, mask=mask) / count
    total = sum(centred * centred.conj(), dim, keepdim=keepdim, mask=mask)
    left = (count.to(total.dtype.to_real()) - less).clamp(min=0).reshape(total.shape)
    return total / left


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The root of ``var``."""
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """``softmax`` along a dim in which what the mask drops has the share 0."""
    return lx.softmax(_kept(input, mask, _least(input)), dim, dtype or input.dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of ``softmax``."""
    return lx.log_softmax(_kept(input, mask, _least(input)), dim, dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """``softmax`` of -input."""
    return lx.softmax(-_kept(input, mask, _most(input)), dim, dtype or input.dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The input, 0 where the mask drops it, over the norm along a dim of what it keeps (at least ``eps``)."""
    size = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _kept(input, mask, 0) / lx.maximum(size, lx.full_like(size, eps))


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """log of the sum of exp over dims of what the mask keeps."""
    d = dtype or input.dtype
    return lx.logsumexp(_kept(input, mask, _least(input)), _dims(dim, input), keepdim).to(d)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """log(exp(input) + exp(other)), where what a mask drops adds nothing."""
    x, y = _kept(input, input_mask, _least(input)), _kept(other, other_mask, _least(other))
    return lx.logaddexp(x, y).to(dtype or input.dtype)
