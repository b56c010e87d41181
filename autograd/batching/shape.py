"""Ops that move elements, on a batch: each example's move as they did."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.dtypes import bool_
from ...lazy.functions.conversion import constant, full_like_type
from .indexing import places_of_examples
from .table import all_spread, batching, never_varies, shifted, spread

never_varies(ops.iota, ops.constant)


@batching(ops.reshape)
def _reshape(size: int, xs: Any, varies: Any, shape: Any) -> Any:
    return ops.reshape(*xs, shape=(size, *shape))


@batching(ops.transpose)
def _transpose(size: int, xs: Any, varies: Any, permutation: Any) -> Any:
    return ops.transpose(*xs, permutation=(0, *shifted(permutation)))


@batching(ops.broadcast_in_dim)
def _broadcast(size: int, xs: Any, varies: Any, shape: Any, dims: Any) -> Any:
    return ops.broadcast_in_dim(*xs, shape=(size, *shape), dims=(0, *shifted(dims)))


@batching(ops.slice_)
def _slice(size: int, xs: Any, varies: Any, start: Any, limit: Any, strides: Any) -> Any:
    return ops.slice_(*xs, start=(0, *start), limit=(size, *limit), strides=(1, *strides))


@batching(ops.reverse)
def _reverse(size: int, xs: Any, varies: Any, axes: Any) -> Any:
    return ops.reverse(*xs, axes=shifted(axes))


@batching(ops.concatenate)
def _concatenate(size: int, xs: Any, varies: Any, axis: int) -> Any:
    return ops.concatenate(*all_spread(size, xs, varies), axis=axis + 1)


@batching(ops.pad)
def _pad(size: int, xs: Any, varies: Any, low: Any, high: Any, interior: Any) -> Any:
    x, value = xs
    edges = {"low": (0, *low), "high": (0, *high), "interior": (0, *interior)}
    if not varies[0]:
        x = spread(size, x)
    if not varies[1]:
        return ops.pad(x, value, **edges)
    padded = ops.pad(x, constant(0, x.dtype, x.device), **edges)
    shape = tuple(padded.shape)
    inside = constant(True, bool_, x.device)
    within = ops.broadcast_in_dim(inside, shape=tuple(x.shape), dims=())
    mask = ops.pad(within, constant(False, bool_, x.device), **edges)
    return ops.select(mask, padded, ops.broadcast_in_dim(value, shape=shape, dims=(0,)))


def _corners(size: int, starts: Any, varies: Any, shape: Any, sizes: Any) -> Any:
    """Where each example's box begins, moved inside where it sticks out: [size, dims]."""
    columns = []
    for start, v, n, k in zip(starts, varies, shape, sizes):
        one = start if v else spread(size, start)
        top = full_like_type(one, n - k)
        columns.append(ops.reshape(ops.maximum(ops.minimum(one, top), full_like_type(one, 0)), shape=(size, 1)))
    return ops.concatenate(*columns, axis=1) if len(columns) > 1 else columns[0]


@batching(ops.dynamic_slice)
def _dynamic_slice(size: int, xs: Any, varies: Any, sizes: Any) -> Any:
    x, *starts = xs
    if not starts:
        return x
    if not any(varies[1:]):
        return ops.dynamic_slice(x, full_like_type(starts[0], 0), *starts, sizes=(size, *sizes))
    n = len(starts)
    shape = tuple(x.shape)[1:] if varies[0] else tuple(x.shape)
    corners = _corners(size, starts, varies[1:], shape, sizes)
    window = tuple(range(1, n + 1))
    if not varies[0]:
        return ops.gather(x, corners, offset_dims=window, collapsed=(), index_map=tuple(range(n)), sizes=sizes)
    places = places_of_examples(size, corners)
    return ops.gather(x, places, offset_dims=window, collapsed=(0,), index_map=(0, *window), sizes=(1, *sizes))


@batching(ops.dynamic_update_slice)
def _dynamic_update(size: int, xs: Any, varies: Any) -> Any:
    x, update = all_spread(size, xs[:2], varies[:2])
    starts = xs[2:]
    if not starts:
        return update
    if not any(varies[2:]):
        return ops.dynamic_update_slice(x, update, full_like_type(starts[0], 0), *starts)
    window = tuple(range(1, len(starts) + 1))
    corners = _corners(size, starts, varies[2:], tuple(x.shape)[1:], tuple(update.shape)[1:])
    places = places_of_examples(size, corners)
    return ops.scatter(x, places, update, window_dims=window, inserted=(0,), index_map=(0, *window), combine="set")
