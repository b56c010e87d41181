"""Sums scattered to places that are known beforehand, which the backward of an index of constants records, as gathers.

Windows of unequal lengths, enlarged images and reordered channels are read at places that never vary. Their backward adds
into those places one after another; read the other way round, each element of the sum is one of a few elements or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container
from typing import Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import HostValue, Node
from ...lazy.interpret import evaluated
from ..nodes import make
from .pads import is_zero

LARGE = 1 << 10  # elements, from which on it matters
MOST = 8  # elements that are added up at one place
LONG = 1 << 16  # places, of which finding out who reads them takes no time
FORMULA = {
    ops.constant, ops.iota, ops.reshape, ops.broadcast_in_dim, ops.convert, ops.compare, ops.select, ops.add, ops.maximum,
    ops.minimum,
}  # fmt: skip


def as_gathers(n: Node, given: Container[Node]) -> tuple[list[Node], Node] | None:
    """What to compute first, and what stands for ``n`` then, if it adds slices into zeros at constant places of one dim."""
    x, indices, updates = n.inputs
    at, shape = n.sig.keyword, n.sig.aval.shape
    if at["combine"] != "add" or len(at["index_map"]) != 1 or at["inserted"] != at["index_map"]:
        return None
    if updates.sig.aval.size < LARGE or indices.sig.aval.size > LONG or not _is_zeros(x, given):
        return None
    (axis,) = at["index_map"]
    wide = updates.sig.aval.shape
    batch = [d for d in range(len(wide)) if d not in at["window_dims"]]
    rest = [m for d, m in enumerate(wide) if d in at["window_dims"]]
    if (
        not batch
        or batch != list(range(batch[0], batch[-1] + 1))
        or rest != [m for d, m in enumerate(shape) if d != axis]
    ):
        return None
    places = _known(indices, given)
    if places is None:
        return None
    sources = _sources(places.reshape(-1).astype(np.int64), shape[axis])
    if len(sources) > MOST or (len(sources) > 1 and n.sig.aval.dtype.itemsize < 4):
        return None
    before: list[Node] = []

    def add(op: Any, *inputs: Node, **attributes: Any) -> Node:
        before.append(make(op, inputs, n, **attributes))
        return before[-1]

    def numbers(value: np.ndarray, dtype: Any) -> Node:
        aval = n.sig.aval.with_shape(value.shape).with_dtype(dtype)
        return add(ops.constant, data=np.ascontiguousarray(value, dtype.numpy).tobytes(), aval=aval)

    first, count = batch[0], math.prod(wide[d] for d in batch)
    lined = (*wide[:first], count, *wide[batch[-1] + 1 :])
    if lined != wide:
        updates = add(ops.reshape, updates, shape=lined)
    if len(sources) > 1:
        updates = add(ops.optimization_barrier, updates, updates)  # read several times, and computed once
    found: Node | None = None
    zeros: Node | None = None
    for source in sources:
        index = numbers(np.maximum(source, 0)[:, None], dtypes.int32)
        part = add(
            ops.gather, updates, index, offset_dims=tuple(d for d in range(len(lined)) if d != first), collapsed=(first,),
            index_map=(first,), sizes=tuple(1 if d == first else m for d, m in enumerate(lined)),
        )  # fmt: skip
        if (source < 0).any():
            wanted = part.sig.aval.shape
            there = add(ops.broadcast_in_dim, numbers(source >= 0, dtypes.bool_), shape=wanted, dims=(first,))
            if zeros is None:
                zeros = add(ops.broadcast_in_dim, numbers(np.zeros(()), n.sig.aval.dtype), shape=wanted, dims=())
            part = add(ops.select, there, part, zeros)
        found = part if found is None else add(ops.add, found, part)
    assert found is not None
    if first != axis:
        order = [d for d in range(len(lined)) if d != first]
        order.insert(axis, first)
        found = add(ops.transpose, found, permutation=tuple(order))
    return before[:-1], before[-1]


def _is_zeros(x: Node, given: Container[Node]) -> bool:
    if x in given:
        return False
    return is_zero(x.inputs[0] if x.sig.op is ops.broadcast_in_dim else x, given)


def _known(indices: Node, given: Container[Node]) -> np.ndarray | None:
    """The value of indices that are computed from constants alone."""
    stack, seen = [indices], {indices}
    while stack:
        x = stack.pop()
        if x in given or not (x.sig.op in FORMULA or isinstance(x, HostValue)):
            return None
        for y in x.inputs:
            if y not in seen:
                seen.add(y)
                stack.append(y)
    nothing: Callable[[Node], Any] = lambda n: None
    return np.asarray(evaluated([indices], nothing)[indices])


def _sources(places: np.ndarray, size: int) -> list[np.ndarray]:
    """For each of ``size`` places, in turn the first that names it, the second, and so on; -1 where there is none."""
    real = np.flatnonzero((places >= 0) & (places < size))
    order = real[np.argsort(places[real], kind="stable")]
    named = places[order]
    turn = np.arange(len(named)) - np.searchsorted(named, named)
    most = int(turn.max(initial=0)) + 1
    if most > MOST:
        return [turn] * most
    found = np.full((most, size), -1)
    found[turn, named] = order
    return list(found)


__all__ = ["as_gathers"]
