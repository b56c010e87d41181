"""Primitives that combine elements along axes: reductions, windows, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..dtypes import int64
from ..graph import Aval, Several, define
from .rules import expect, expect_kind, normal_axes, window_sizes


def _drop(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _reduce(kinds: str) -> Callable[..., Aval]:
    def rule(x: Aval, *, axes: tuple[int, ...]) -> Aval:
        expect_kind(x, kinds)
        return x.with_shape(_drop(x.shape, normal_axes(axes, x.ndim)))

    return rule


def wide(x: Any) -> Any:
    """16-bit numbers as float32, in which they are added up."""
    return x.astype(np.float32) if x.dtype.itemsize < 4 and x.dtype.kind not in "biu" else x


def _meaning(f: Any) -> Any:
    return lambda x, *, axes: np.asarray(f(wide(x), axis=axes)).astype(x.dtype)


def lowest(dtype: np.dtype) -> Any:
    """The value that a maximum starts from."""
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if dtype.kind in "iu" else -_top(dtype)


def highest(dtype: np.dtype) -> Any:
    """The value that a minimum starts from."""
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind in "iu" else _top(dtype)


def _top(dtype: np.dtype) -> Any:
    """Infinity, or the largest number of a type that has none."""
    infinite = dtype.type(np.inf)
    return ml_dtypes.finfo(dtype).max if np.isnan(infinite) else infinite


reduce_sum = define("reduce_sum", _reduce("ifc"), _meaning(np.sum), "Sum along axes.", ("axes",))
reduce_prod = define("reduce_prod", _reduce("ifc"), _meaning(np.prod), "Product along axes.", ("axes",))
reduce_max = define(
    "reduce_max", _reduce("bif"), lambda x, *, axes: np.asarray(np.max(x, axis=axes, initial=lowest(x.dtype)), x.dtype),
    "The largest along axes; NaN where one is.", ("axes",),
)  # fmt: skip
reduce_min = define(
    "reduce_min", _reduce("bif"), lambda x, *, axes: np.asarray(np.min(x, axis=axes, initial=highest(x.dtype)), x.dtype),
    "The smallest along axes; NaN where one is.", ("axes",),
)  # fmt: skip
reduce_and = define("reduce_and", _reduce("b"), _meaning(np.all), "Whether all hold along axes.", ("axes",))
reduce_or = define("reduce_or", _reduce("b"), _meaning(np.any), "Whether any holds along axes.", ("axes",))


def _arg(x: Aval, *, axis: int) -> Aval:
    expect_kind(x, "bif")
    normal_axes((axis,), x.ndim)
    expect(x.shape[axis] > 0, f"expected a non-empty dim {axis}", IndexError)
    return x.with_shape(_drop(x.shape, (axis,))).with_dtype(int64)


argmax = define(
    "argmax", _arg, lambda x, *, axis: np.asarray(np.argmax(x, axis), np.int64),
    "Where the first largest (or the first NaN) lies along the axis.", ("axis",),
)  # fmt: skip
argmin = define(
    "argmin", _arg, lambda x, *, axis: np.asarray(np.argmin(x, axis), np.int64),
    "Where the first smallest (or the first NaN) lies along the axis.", ("axis",),
)  # fmt: skip


def _window(x: Aval, *, window: tuple[int, ...], strides: tuple[int, ...]) -> Aval:
    expect_kind(x, "ifc")
    expect(len(window) == len(strides) == x.ndim, f"window {window} and strides {strides} need {x.ndim} entries")
    expect(all(w > 0 for w in window) and all(s > 0 for s in strides), "window and strides must be positive")
    return x.with_shape(window_sizes(x.shape, window, strides))


def _window_meaning(x: Any, *, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    if any(n < w for n, w in zip(x.shape, window)):
        return np.zeros(window_sizes(x.shape, window, strides), x.dtype)
    views = sliding_window_view(x, window)[tuple(slice(None, None, s) for s in strides)]
    return np.asarray(wide(views).sum(axis=tuple(range(x.ndim, 2 * x.ndim)))).astype(x.dtype)


reduce_window_sum = define(
    "reduce_window_sum", _window, _window_meaning, "Sums over sliding windows (pad first).", ("window", "strides")
)


def _cumulative(x: Aval, *, axis: int, reverse: bool) -> Aval:
    expect_kind(x, "ifc")
    normal_axes((axis,), x.ndim)
    return x


def _cumsum_meaning(x: Any, *, axis: int, reverse: bool) -> Any:
    flipped = np.flip(x, axis) if reverse else x
    total = np.cumsum(wide(flipped), axis, dtype=wide(flipped).dtype).astype(x.dtype)
    return np.flip(total, axis) if reverse else total


cumsum = define("cumsum", _cumulative, _cumsum_meaning, "Running sums, from the end if reversed.", ("axis", "reverse"))


def _sort(key: Aval, *others: Aval, axis: int, descending: bool) -> Several:
    normal_axes((axis,), key.ndim)
    expect_kind(key, "bif")
    expect(all(o.shape == key.shape for o in others), "operands of a sort differ in shape")
    return Several((key, *others))


def _sort_meaning(key: Any, *others: Any, axis: int, descending: bool) -> Any:
    wide = key.astype(np.float64) if key.dtype.kind not in "biuf" else key
    if descending:  # stable: equal elements keep their order; NaN counts as the largest
        order = np.flip(np.argsort(np.flip(wide, axis), axis, kind="stable"), axis)
        order = key.shape[axis] - 1 - order
    else:
        order = np.argsort(wide, axis, kind="stable")
    return tuple(np.take_along_axis(x, order, axis) for x in (key, *others))


sort = define(
    "sort", _sort, _sort_meaning, "The operands in the stable order of the first along the axis; NaN is largest.",
    ("axis", "descending"),
)  # fmt: skip

