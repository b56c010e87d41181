"""Gather and scatter: elements at places that are themselves computed. Places outside are moved inside (gather)
or dropped (scatter), on every platform."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..graph import Aval, TooNarrow, define
from .reduction import wide
from .rules import expect

Ints = tuple[int, ...]


def _batch_dims(ndim: int, window_dims: Ints) -> list[int]:
    return [d for d in range(ndim) if d not in window_dims]


def _gather(
    x: Aval, indices: Aval, *, offset_dims: Ints, collapsed: Ints, index_map: Ints, sizes: Ints
) -> Aval:
    """``indices`` has the index vectors along its last dim; ``index_map`` says which dim each entry addresses."""
    expect(indices.dtype.category == 1, f"indices must be integers, not {indices!r}", IndexError)
    expect(indices.shape[-1] == len(index_map), f"index vectors of {indices!r} for dims {index_map}")
    expect(len(sizes) == x.ndim and all(0 <= s <= n for s, n in zip(sizes, x.shape)), f"sizes {sizes} exceed {x!r}", IndexError)
    window = [s for d, s in enumerate(sizes) if d not in collapsed]
    expect(len(window) == len(offset_dims), f"{len(offset_dims)} offset dims for window {window}")
    shape = [0] * (indices.ndim - 1 + len(offset_dims))
    for d, n in zip(offset_dims, window):
        shape[d] = n
    for d, n in zip(_batch_dims(len(shape), offset_dims), indices.shape[:-1]):
        shape[d] = n
    return x.with_shape(tuple(shape))


def _gather_meaning(
    x: Any, indices: Any, *, offset_dims: Ints, collapsed: Ints, index_map: Ints, sizes: Ints
) -> Any:
    shape = _gather(
        Aval(x.shape, _any(x), None), Aval(indices.shape, _any(indices), None),  # type: ignore[arg-type]
        offset_dims=offset_dims, collapsed=collapsed, index_map=index_map, sizes=sizes,
    ).shape  # fmt: skip
    out = np.zeros(shape, x.dtype)
    batch = _batch_dims(len(shape), offset_dims)
    for at in np.ndindex(*indices.shape[:-1]):
        corner = [0] * x.ndim
        for k, d in enumerate(index_map):
            corner[d] = min(max(int(indices[at][k]), 0), x.shape[d] - sizes[d])
        window = x[tuple(slice(c, c + s) for c, s in zip(corner, sizes))]
        place: list[Any] = [slice(None)] * len(shape)
        for d, i in zip(batch, at):
            place[d] = i
        out[tuple(place)] = window.reshape([s for d, s in enumerate(sizes) if d not in collapsed])
    return out


def _any(x: Any) -> Any:
    from ..dtypes import of_numpy

    return of_numpy(x.dtype)


gather = define(
    "gather", _gather, _gather_meaning, "Windows of x at the given places.",
    ("offset_dims", "collapsed", "index_map", "sizes"),
)  # fmt: skip

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, new: new, "add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum,
}  # fmt: skip


def _scatter(
    x: Aval, indices: Aval, updates: Aval, *, window_dims: Ints, inserted: Ints, index_map: Ints, combine: str
) -> Aval:
    expect(combine in _COMBINE, f"unknown way to combine: {combine}")
    if combine != "set" and x.dtype.wide:
        raise TooNarrow(f"not implemented for {x!r}")
    expect(indices.dtype.category == 1, f"indices must be integers, not {indices!r}", IndexError)
    expect(updates.dtype is x.dtype, f"updates {updates!r} differ in type from {x!r}")
    expect(indices.shape[-1] == len(index_map), f"index vectors of {indices!r} for dims {index_map}")
    expect(len(window_dims) + len(inserted) == x.ndim, f"window dims {window_dims} do not fit {x!r}")
    batch = [updates.shape[d] for d in _batch_dims(updates.ndim, window_dims)]
    expect(tuple(batch) == indices.shape[:-1], f"updates {updates!r} do not fit indices {indices!r}")
    return x


def _scatter_meaning(
    x: Any, indices: Any, updates: Any, *, window_dims: Ints, inserted: Ints, index_map: Ints, combine: str
) -> Any:
    out = (wide(x) if combine in ("add", "mul") else x).copy()
    batch = _batch_dims(updates.ndim, window_dims)
    kept = [d for d in range(x.ndim) if d not in inserted]
    for at in np.ndindex(*indices.shape[:-1]):
        place: list[Any] = [slice(None)] * updates.ndim
        for d, i in zip(batch, at):
            place[d] = i
        window = updates[tuple(place)]
        corner = [0] * x.ndim
        for k, d in enumerate(index_map):
            corner[d] = int(indices[at][k])
        if any(c < 0 or c + (window.shape[kept.index(d)] if d in kept else 1) > x.shape[d] for d, c in enumerate(corner)):
            continue
        for offset in product(*map(range, window.shape)):
            target = list(corner)
            for d, o in zip(kept, offset):
                target[d] += o
            out[tuple(target)] = _COMBINE[combine](out[tuple(target)], window[offset])
    return out.astype(x.dtype)


scatter = define(
    "scatter", _scatter, _scatter_meaning, "x with updates combined into it at the given places.",
    ("window_dims", "inserted", "index_map", "combine"),
)  # fmt: skip
