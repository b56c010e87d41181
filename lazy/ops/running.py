"""Primitives that go along an axis, each result from the one before it: products, extremes, logs of sums, recurrences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import int64
from ..graph import Aval, Several, define
from .reduction import wide
from .rules import expect, expect_kind, normal_axes


def _like(kinds: str) -> Callable[..., Aval]:
    def rule(x: Aval, *others: Aval, axis: int, reverse: bool = False) -> Aval:
        expect_kind(x, kinds)
        expect(all(o is x for o in others), f"operands of one type are expected, got {x!r} and {others!r}")
        normal_axes((axis,), x.ndim)
        return x

    return rule


def _turned(meaning: Callable[..., Any]) -> Callable[..., Any]:
    """Of 16-bit numbers in float32; from the end if reversed."""

    def turned(*xs: Any, axis: int, reverse: bool = False) -> Any:
        flip = (lambda x: np.flip(x, axis)) if reverse else (lambda x: x)
        found = meaning(*[flip(wide(x)) for x in xs], axis=axis)
        return flip(np.asarray(found).astype(xs[0].dtype))

    return turned


def _recurrence_meaning(a: Any, b: Any, *, axis: int) -> Any:
    a, found = np.moveaxis(a, axis, 0), np.moveaxis(b.copy(), axis, 0)
    for k in range(1, len(found)):
        before = np.where(a[k] == 0, 0, found[k - 1])
        found[k] += a[k] * before
    return np.moveaxis(found, 0, axis)


cumprod = define(
    "cumprod", _like("ifc"), _turned(lambda x, axis: np.cumprod(x, axis, dtype=x.dtype)),
    "Running products, from the end if reversed.", ("axis", "reverse"),
)  # fmt: skip
logcumsumexp = define(
    "logcumsumexp", _like("f"), _turned(lambda x, axis: np.logaddexp.accumulate(x, axis)), "log of running sums of exp.",
    ("axis",),
)  # fmt: skip
recurrence = define(
    "recurrence", _like("ifc"), _turned(_recurrence_meaning),
    "y[k] = a[k] * y[k - 1] + b[k] for operands a and b, from the end if reversed. A factor of 0 forgets what was before, "
    "infinities and NaN too; the first factor is not read.",
    ("axis", "reverse"),
)  # fmt: skip


def _extreme(x: Aval, *, axis: int) -> Several:
    expect_kind(x, "if")
    normal_axes((axis,), x.ndim)
    return Several((x, x.with_dtype(int64)))


def _extreme_meaning(f: Any) -> Callable[..., Any]:
    def meaning(x: Any, *, axis: int) -> Any:
        values = f.accumulate(wide(x), axis).astype(x.dtype) if x.size else x.copy()
        own = (x == values) | (x != x)
        at = np.arange(x.shape[axis]).reshape([-1 if d == axis else 1 for d in range(x.ndim)])
        return values, np.maximum.accumulate(np.where(own, at, 0), axis) if x.size else np.zeros(x.shape, np.int64)

    return meaning


cummax = define(
    "cummax",
    _extreme,
    _extreme_meaning(np.maximum),
    "The largest so far, and where it last lay; NaN is larger.",
    ("axis",),
)
cummin = define(
    "cummin",
    _extreme,
    _extreme_meaning(np.minimum),
    "The smallest so far, and where it last lay; NaN is smaller.",
    ("axis",),
)
