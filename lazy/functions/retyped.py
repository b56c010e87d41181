"""The bits of numbers seen as numbers of another type."""

from __future__ import annotations

from typing import Any

from .. import dtypes, ops
from ..dtypes import DType
from ..record import user_line
from ..tensors import Tensor
from ..views import Layout, Step, layout, view
from .complexes import from_pairs, pairs
from .conversion import full_like_type
from .joining import stack
from .shape import box, reshape_step

_NUMBERS = {8: dtypes.uint8, 16: dtypes.uint16, 32: dtypes.uint32, 64: dtypes.uint64}  # by how many bits they have


def view_dtype(x: Tensor, dtype: Any) -> Tensor:
    """An alias with another dtype: where that is k times narrower, the last dim is k times as long, and the other way round.

    The first of the numbers in the place of a wider one are its lowest bits, as in the memory of today's processors.
    """
    old, shape = x.dtype, tuple(x.shape)
    if old is dtype:
        return view(x, reshape_step(x, shape))
    if old.bits == dtype.bits and old.is_complex is dtype.is_complex:
        return view(x, Step(
            "view_dtype", lambda t: ops.bitcast_convert(t, dtype=dtype),
            lambda whole, piece: ops.bitcast_convert(piece, dtype=old), lambda state, whole: state, shape,
        ))  # fmt: skip
    _check(x, dtype)
    return view(x, Step(
        "view_dtype", lambda t: _seen_as(t, dtype), lambda whole, piece: _seen_as(piece, old),
        lambda state, whole: _layout(state, old, dtype), shape,
    ))  # fmt: skip


def _check(x: Tensor, dtype: DType) -> None:
    old = x.dtype
    what = f"to view {old.name} as {dtype.name} (different element sizes)"
    if old.bits < 8 or dtype.bits < 8:
        raise RuntimeError(
            f"view(dtype) between types of different size ({old.name}, {dtype.name}) is not supported  ({user_line()})"
        )
    if not x.ndim:
        raise RuntimeError(f"self.dim() cannot be 0 {what}  ({user_line()})")
    offset, strides = layout(x)
    if strides[-1] != 1 and x.shape[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {what}, but got {strides[-1]}  ({user_line()})")
    times = max(dtype.bits // old.bits, 1)
    if x.shape[-1] % times:
        raise RuntimeError(f"self.size(-1) must be divisible by {times} {what}, but got {x.shape[-1]}  ({user_line()})")
    if offset % times:
        raise RuntimeError(f"self.storage_offset() must be divisible by {times} {what}, but got {offset}  ({user_line()})")
    for d, (n, stride) in enumerate(zip(x.shape[:-1], strides[:-1])):
        if n > 1 and stride % times:
            raise RuntimeError(f"self.stride({d}) must be divisible by {times} {what}, but got {stride}  ({user_line()})")


def _layout(state: Layout, old: DType, dtype: DType) -> Layout:
    offset, strides = state
    return offset * old.bits // dtype.bits, (*[s * old.bits // dtype.bits for s in strides[:-1]], 1)


def _seen_as(x: Tensor, dtype: DType) -> Tensor:
    if x.dtype.is_complex:
        found = pairs(x)
        x = ops.reshape(found, shape=(*x.shape[:-1], 2 * x.shape[-1]))
    if dtype.is_complex:
        x = _seen_as(x, dtype.to_real())
        return from_pairs(ops.reshape(x, shape=(*x.shape[:-1], x.shape[-1] // 2, 2)))
    if x.dtype is dtype:
        return x
    numbers = _bitcast(x, _NUMBERS[x.dtype.bits])
    if x.dtype.bits > dtype.bits:
        numbers = _taken_apart(numbers, dtype.bits)
    elif x.dtype.bits < dtype.bits:
        numbers = _put_together(numbers, dtype.bits)
    return _bitcast(numbers, dtype)


def _bitcast(x: Tensor, dtype: DType) -> Tensor:
    if x.dtype is dtype:
        return x
    if dtypes.bool_ in (x.dtype, dtype):
        return ops.convert(x, dtype=dtype)
    return ops.bitcast_convert(x, dtype=dtype)


def _taken_apart(x: Tensor, bits: int) -> Tensor:
    narrow, count = _NUMBERS[bits], x.dtype.bits // bits
    parts = [ops.convert(ops.shift_right_logical(x, full_like_type(x, k * bits)), dtype=narrow) for k in range(count)]
    return ops.reshape(stack(parts, -1), shape=(*x.shape[:-1], x.shape[-1] * count))


def _put_together(x: Tensor, bits: int) -> Tensor:
    wide, count = _NUMBERS[bits], bits // x.dtype.bits
    shape = (*x.shape[:-1], x.shape[-1] // count)
    places = ops.reshape(x, shape=(*shape, count))
    total = None
    for k in range(count):
        part = ops.convert(ops.reshape(box(places, x.ndim, k, k + 1), shape=shape), dtype=wide)
        part = ops.shift_left(part, full_like_type(part, k * x.dtype.bits))
        total = part if total is None else ops.bit_or(total, part)
    return total  # type: ignore[return-value]
