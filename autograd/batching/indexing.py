"""Gather and scatter on a batch: an index vector gets its example's number in front, where both sides vary."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.dtypes import int32, int64
from ...lazy.functions.conversion import convert
from ...lazy.graph import Aval
from .table import all_spread, batching, shifted, spread


def places_of_examples(size: int, indices: Any) -> Any:
    """Index vectors [size, ..., k] with the number of the example before them: [size, ..., k + 1]."""
    if indices.dtype is not int32:
        indices = convert(indices, int64)  # a narrow type may not hold the numbers of all examples
    shape = (*tuple(indices.shape)[:-1], 1)
    numbers = ops.iota(aval=Aval(shape, indices.dtype, indices.device), axis=0)
    return ops.concatenate(numbers, indices, axis=indices.ndim - 1)


@batching(ops.gather)
def _gather(size: int, xs: Any, varies: Any, offset_dims: Any, collapsed: Any, index_map: Any, sizes: Any) -> Any:
    x, indices = xs
    if not varies[0]:
        return ops.gather(
            x, indices, offset_dims=shifted(offset_dims), collapsed=collapsed, index_map=index_map, sizes=sizes
        )
    if not varies[1]:  # the examples are one more dim of the window
        return ops.gather(
            x, indices, offset_dims=(0, *shifted(offset_dims)), collapsed=shifted(collapsed), index_map=shifted(index_map),
            sizes=(size, *sizes),
        )  # fmt: skip
    return ops.gather(
        x, places_of_examples(size, indices), offset_dims=shifted(offset_dims), collapsed=(0, *shifted(collapsed)),
        index_map=(0, *shifted(index_map)), sizes=(1, *sizes),
    )  # fmt: skip


@batching(ops.scatter)
def _scatter(size: int, xs: Any, varies: Any, window_dims: Any, inserted: Any, index_map: Any, combine: str) -> Any:
    x, updates = all_spread(size, xs[::2], varies[::2])
    indices = xs[1]
    if not varies[1]:
        return ops.scatter(
            x, indices, updates, window_dims=(0, *shifted(window_dims)), inserted=shifted(inserted),
            index_map=shifted(index_map), combine=combine,
        )  # fmt: skip
    return ops.scatter(
        x, places_of_examples(size, indices), updates, window_dims=shifted(window_dims), inserted=(0, *shifted(inserted)),
        index_map=(0, *shifted(index_map)), combine=combine,
    )  # fmt: skip


def scatter_all(size: int, x: Any, indices: Any, updates: Any, varies: bool, window_dims: Any, **where: Any) -> Any:
    """All examples' updates [size, ...] into one ``x``, at places that vary or not."""
    if not varies:
        indices = spread(size, indices)
    return ops.scatter(x, indices, updates, window_dims=shifted(window_dims), **where)


__all__ = ["places_of_examples", "scatter_all"]
