"""Primitives that move elements without changing them, and those that make them from nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph import Aval, define
from .rules import expect, normal_axes

Ints = tuple[int, ...]


def _reshape(x: Aval, *, shape: Ints) -> Aval:
    expect(math.prod(shape) == x.size, f"shape '{list(shape)}' is invalid for input of size {x.size}")
    return x.with_shape(shape)


def _transpose(x: Aval, *, permutation: Ints) -> Aval:
    expect(sorted(permutation) == list(range(x.ndim)), f"{permutation} is not a permutation of {x.ndim} dims")
    return x.with_shape(tuple(x.shape[i] for i in permutation))


def _broadcast(x: Aval, *, shape: Ints, dims: Ints) -> Aval:
    """``dims[i]`` is the result's dim that the operand's dim i becomes; a size of 1 is repeated."""
    expect(len(dims) == x.ndim and list(dims) == sorted(set(dims)), f"dims {dims} do not fit {x!r}")
    for n, d in zip(x.shape, dims):
        expect(d < len(shape) and n in (1, shape[d]), f"{x!r} does not broadcast to {shape} along {dims}")
    return x.with_shape(shape)


def aligned(x: Any, *, shape: Ints, dims: Ints) -> Any:
    """An array with its dims where a broadcast to ``shape`` puts them, the others 1."""
    sizes = [1] * len(shape)
    for dim, size in zip(dims, x.shape):
        sizes[dim] = size
    return x.reshape(sizes)


def _broadcast_meaning(x: Any, *, shape: Ints, dims: Ints) -> Any:
    return np.broadcast_to(aligned(x, shape=shape, dims=dims), shape).copy()


def _slice(x: Aval, *, start: Ints, limit: Ints, strides: Ints) -> Aval:
    for lo, hi, s, n in zip(start, limit, strides, x.shape, strict=True):
        expect(0 <= lo <= hi <= n and s > 0, f"slice {start}:{limit}:{strides} is out of range for {x!r}", IndexError)
    return x.with_shape(tuple(-(-(hi - lo) // s) for lo, hi, s in zip(start, limit, strides)))


def _starts(x: Aval, starts: tuple[Aval, ...]) -> None:
    expect(len(starts) == x.ndim, f"{len(starts)} start indices for {x!r}")
    for s in starts:
        expect(s.shape == () and s.dtype.category == 1, f"a start index is a 0-d integer, not {s!r}", TypeError)


def _dynamic_slice(x: Aval, *starts: Aval, sizes: Ints) -> Aval:
    _starts(x, starts)
    expect(len(sizes) == x.ndim and all(0 <= s <= n for s, n in zip(sizes, x.shape)), f"sizes {sizes} exceed {x!r}")
    return x.with_shape(sizes)


def _clamped(shape: Ints, starts: Any, sizes: Ints) -> tuple[slice, ...]:
    first = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, shape, sizes)]
    return tuple(slice(f, f + k) for f, k in zip(first, sizes))


def _dynamic_update(x: Aval, update: Aval, *starts: Aval) -> Aval:
    _starts(x, starts)
    expect(update.dtype is x.dtype and update.ndim == x.ndim, f"cannot write {update!r} into {x!r}")
    expect(all(u <= n for u, n in zip(update.shape, x.shape)), f"{update!r} is larger than {x!r}")
    return x


def _dynamic_update_meaning(x: Any, update: Any, *starts: Any) -> Any:
    changed = x.copy()
    changed[_clamped(x.shape, starts, update.shape)] = update
    return changed


def _pad(x: Aval, value: Aval, *, low: Ints, high: Ints, interior: Ints) -> Aval:
    expect(value.shape == () and value.dtype is x.dtype, f"the padding value is {value!r} for {x!r}")
    expect(len(low) == len(high) == len(interior) == x.ndim, f"padding needs {x.ndim} entries")
    shape = tuple(lo + hi + n + max(n - 1, 0) * i for lo, hi, i, n in zip(low, high, interior, x.shape))
    expect(all(n >= 0 for n in shape), f"padding {low}, {high} leaves a negative size of {x!r}")
    return x.with_shape(shape)


def _pad_meaning(x: Any, value: Any, *, low: Ints, high: Ints, interior: Ints) -> Any:
    spread = np.full([n + max(n - 1, 0) * i for n, i in zip(x.shape, interior)], value, x.dtype)
    spread[tuple(slice(None, None, i + 1) for i in interior)] = x
    spread = np.pad(spread, [(max(lo, 0), max(hi, 0)) for lo, hi in zip(low, high)], constant_values=value)
    return spread[tuple(slice(max(-lo, 0), n - max(-hi, 0)) for lo, hi, n in zip(low, high, spread.shape))]


def _reverse(x: Aval, *, axes: Ints) -> Aval:
    normal_axes(axes, x.ndim)
    return x


def _concatenate(first: Aval, *others: Aval, axis: int) -> Aval:
    normal_axes((axis,), first.ndim)
    total = first.shape[axis]
    for i, x in enumerate(others, 1):
        expect(x.dtype is first.dtype and x.ndim == first.ndim, f"cannot join {first!r} and {x!r}")
        for d, (n, m) in enumerate(zip(first.shape, x.shape)):
            expect(
                n == m or d == axis,
                f"Sizes of tensors must match except in dimension {axis}. "
                f"Expected size {n} but got size {m} for tensor number {i} in the list.",
            )
        total += x.shape[axis]
    return first.with_shape(first.shape[:axis] + (total,) + first.shape[axis + 1 :])


reshape = define(
    "reshape", _reshape, lambda x, *, shape: x.reshape(shape), "The same elements in row-major order.", ("shape",)
)
transpose = define(
    "transpose", _transpose, lambda x, *, permutation: np.transpose(x, permutation).copy(),
    "Result dim i is operand dim permutation[i].", ("permutation",),
)  # fmt: skip
broadcast_in_dim = define(
    "broadcast_in_dim", _broadcast, _broadcast_meaning, "Repeated along new dims and dims of size 1.", ("shape", "dims")
)
slice_ = define(
    "slice", _slice,
    lambda x, *, start, limit, strides: x[tuple(map(slice, start, limit, strides))].copy(),
    "A box with constant corners and positive strides.", ("start", "limit", "strides"),
)  # fmt: skip
dynamic_slice = define(
    "dynamic_slice", _dynamic_slice, lambda x, *starts, sizes: x[_clamped(x.shape, starts, sizes)].copy(),
    "A box whose corner is an operand, moved inside where it sticks out.", ("sizes",),
)  # fmt: skip
dynamic_update_slice = define(
    "dynamic_update_slice", _dynamic_update, _dynamic_update_meaning, "The operand with a box of it replaced."
)
pad = define(
    "pad", _pad, _pad_meaning, "Edges (negative ones crop) and spaces between elements, filled with a value.",
    ("low", "high", "interior"),
)  # fmt: skip
reverse = define(
    "reverse", _reverse, lambda x, *, axes: np.flip(x, axes).copy(), "The other way round along axes.", ("axes",)
)
concatenate = define(
    "concatenate", _concatenate, lambda *xs, axis: np.concatenate(xs, axis), "One after another along an axis.", ("axis",)
)

# --- from nothing ---


def _iota(*, aval: Aval, axis: int) -> Aval:
    normal_axes((axis,), aval.ndim)
    expect(aval.dtype.category > 0, "iota of bool")
    return aval


def _iota_meaning(*, aval: Aval, axis: int) -> Any:
    line = np.arange(aval.shape[axis]).astype(aval.dtype.numpy)
    return np.broadcast_to(np.expand_dims(line, [i for i in range(aval.ndim) if i != axis]), aval.shape).copy()


def _constant(*, data: bytes, aval: Aval) -> Aval:
    expect(len(data) == aval.size * aval.dtype.itemsize, f"{len(data)} bytes for {aval!r}")
    return aval


iota = define("iota", _iota, _iota_meaning, "0, 1, 2... along an axis.", ("aval", "axis"))
# Keyed by bytes: by value, 0.0 and -0.0 would merge and NaN would never be found again.
constant = define(
    "constant", _constant, lambda *, data, aval: np.frombuffer(data, aval.dtype.numpy).reshape(aval.shape).copy(),
    "Given numbers that never vary.", ("data", "aval"),
)  # fmt: skip
