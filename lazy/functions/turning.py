"""Turning, rolling and padding: copies with the elements of a dim in other places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..record import user_line
from ..tensors import Tensor
from ._register import both, function
from .conversion import lift
from .shape import box, ints, normal_dim, pad_zeros, raw_transpose, reshape


@both
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The other way round along dims (a copy)."""
    return ops.reverse(input, axes=tuple(normal_dim(d, input.ndim) for d in ints(dims)))


@both
def fliplr(input: Tensor) -> Tensor:
    """Columns the other way round."""
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d.  (fliplr at {user_line()})")
    return flip(input, 1)


@both
def flipud(input: Tensor) -> Tensor:
    """Rows the other way round."""
    if input.ndim < 1:
        raise RuntimeError(f"Input must be >= 1-d.  (flipud at {user_line()})")
    return flip(input, 0)


@both
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by a right angle in the plane of two dims (a copy)."""
    if len(dims) != 2 or input.ndim < 2:
        raise RuntimeError(
            f"expected total rotation dims == 2 and total dims >= 2, but got {len(dims)} and {input.ndim}"
            f"  ({user_line()})"
        )
    a, b = (normal_dim(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}  ({user_line()})"
        )
    order = list(range(input.ndim))
    order[a], order[b] = b, a
    turns = int(k) % 4
    if turns == 0:
        return ops.copy(input)
    if turns == 2:
        return ops.reverse(input, axes=(a, b))
    return ops.reverse(raw_transpose(input, tuple(order)), axes=(a if turns == 1 else b,))


@both
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Moved along dims, with what leaves at one end coming in at the other."""
    if dims is None:
        return reshape(roll(reshape(input, -1), shifts, 0), tuple(input.shape))
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}  ({user_line()})"
        )
    out = input
    for s, d in zip(shifts, dims):
        d = normal_dim(d, input.ndim)
        if not input.ndim:
            raise IndexError(f"roll(): dim {d} of a 0-dim tensor  ({user_line()})")
        n = input.shape[d]
        k = s % n if n else 0
        if k:
            out = ops.concatenate(box(out, d, n - k, n), box(out, d, 0, n - k), axis=d)
    return out if out is not input else ops.copy(input)


@function
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """Edges of one number, (low, high) of the last dim first; negative ones crop."""
    widths = [int(p) for p in pad]
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise RuntimeError(
            f"Length of pad must be even and no more than twice the number of dimensions of the input, got {widths} "
            f"for {input.ndim} dims  ({user_line()})"
        )
    rest = [0] * (input.ndim - len(widths) // 2)
    low, high = rest + widths[-2::-2], rest + widths[::-2]
    if any(n + a + b < 0 for n, a, b in zip(input.shape, low, high)):
        raise RuntimeError(f"the padding {widths} leaves a negative size of {list(input.shape)}  ({user_line()})")
    return pad_zeros(input, low, high, lift(value, input.dtype, input.device))
