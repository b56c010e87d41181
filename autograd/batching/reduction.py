"""Reductions, windows, running sums and sorts on a batch: along the same axes, one further back."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import all_spread, batching, shifted


@batching(ops.reduce_sum, ops.reduce_prod, ops.reduce_max, ops.reduce_min, ops.reduce_and, ops.reduce_or)
def _reduce(op: Any, size: int, xs: Any, varies: Any, axes: Any) -> Any:
    return op(*xs, axes=shifted(axes))


@batching(ops.argmax, ops.argmin)
def _arg(op: Any, size: int, xs: Any, varies: Any, axis: int) -> Any:
    return op(*xs, axis=axis + 1)


@batching(ops.reduce_window_sum)
def _window(size: int, xs: Any, varies: Any, window: Any, strides: Any) -> Any:
    return ops.reduce_window_sum(*xs, window=(1, *window), strides=(1, *strides))


@batching(ops.cumsum)
def _cumsum(size: int, xs: Any, varies: Any, axis: int, reverse: bool) -> Any:
    return ops.cumsum(*xs, axis=axis + 1, reverse=reverse)


@batching(ops.sort)
def _sort(size: int, xs: Any, varies: Any, axis: int, descending: bool) -> Any:
    return ops.sort(*all_spread(size, xs, varies), axis=axis + 1, descending=descending)


@batching(ops.result)
def _result(size: int, xs: Any, varies: Any, index: int) -> Any:
    return ops.result(*xs, index=index)
