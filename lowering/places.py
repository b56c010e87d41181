"""Gather and scatter by NumPy's own indexing: all places at once, where the ops' meanings go from place to place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..lazy.ops.reduction import wide

_JOIN = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def gather(x: Any, indices: Any, *, offset_dims: Any, collapsed: Any, index_map: Any, sizes: Any) -> Any:
    """As ``ops.gather``: windows of ``sizes``, moved inside where they would stick out."""
    corners = {d: np.clip(indices[..., k], 0, x.shape[d] - sizes[d]) for k, d in enumerate(index_map)}
    kept = [d for d in range(x.ndim) if d not in collapsed]
    found = x[_elements(corners, kept, sizes, x.ndim, indices.shape[:-1])]
    batches = indices.ndim - 1
    return np.moveaxis(found, range(batches, found.ndim), offset_dims)


def scatter(x: Any, indices: Any, updates: Any, *, window_dims: Any, inserted: Any, index_map: Any, combine: str) -> Any:
    """As ``ops.scatter``: a window that sticks out is left out, and what comes later is combined later."""
    out = (wide(x) if combine in ("add", "mul") else x).copy()
    batches = indices.ndim - 1
    pieces = np.moveaxis(updates, window_dims, range(batches, updates.ndim))
    kept = [d for d in range(x.ndim) if d not in inserted]
    sizes = [1] * x.ndim
    for d, n in zip(kept, pieces.shape[batches:]):
        sizes[d] = n
    corners = {d: indices[..., k].reshape(-1) for k, d in enumerate(index_map)}
    count = math.prod(indices.shape[:-1])
    pieces = pieces.reshape(count, *pieces.shape[batches:])
    inside = np.ones(count, bool)
    for d, at in corners.items():
        inside &= (at >= 0) & (at <= x.shape[d] - sizes[d])
    corners, pieces = {d: at[inside] for d, at in corners.items()}, pieces[inside]
    at = _elements(corners, kept, sizes, x.ndim, (len(pieces),))
    if combine == "set":
        out[at] = pieces
    else:
        _JOIN[combine].at(out, at, pieces)
    return out.astype(x.dtype)


def _elements(corners: Any, kept: list[int], sizes: Any, ndim: int, batch: tuple[int, ...]) -> tuple[Any, ...]:
    """For each dim, where the elements of windows lie that have their first element at ``corners``: over the windows, then
    over the dims of one that are ``kept``."""
    found = []
    for d in range(ndim):
        corner = corners.get(d, np.zeros((1,) * len(batch), np.int64))
        at = corner.reshape(*corner.shape, *(1 for _ in kept))
        if d in kept:
            line = [1] * len(kept)
            line[kept.index(d)] = sizes[d]
            at = at + np.arange(sizes[d]).reshape(line)
        found.append(at)
    whole = (*batch, *(sizes[d] for d in kept))
    return tuple(np.broadcast_to(at, whole) for at in found)


__all__ = ["gather", "scatter"]
