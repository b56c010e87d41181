"""Slices that are looked up and then added up (bags of embeddings), one lookup after another.

XLA's CPU backend writes all that is looked up to memory and adds it up from there. Of a sum of a few lookups it makes one
loop that keeps the sum in registers: up to 9 times as fast.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from ...lazy import ops
from ...lazy.graph import Node
from ..nodes import make
from .components import COMBINE

LARGE = 1 << 12  # elements, from which on it matters
MOST = 32  # slices a sum
WIDE = 8  # elements of a slice that lie side by side, with which the loop is worth it


def as_lookups(n: Node, given: Container[Node]) -> tuple[list[Node], Node] | None:
    """What to compute first, and what stands for a reduction then, if it combines slices [N, S, *] of one dim over S."""
    x, axes = n.inputs[0], n.sig.keyword["axes"]
    wide = x.sig.aval
    if len(axes) != 1 or x in given or wide.size < LARGE or wide.dtype.itemsize < 4:
        return None
    if not 1 < wide.shape[axes[0]] <= MOST:
        return None
    found = x
    if x.sig.op is ops.reshape:
        found = x.inputs[0]
    if found.sig.op is not ops.gather or found in given:
        return None
    at, shape = found.sig.keyword, found.sig.aval.shape
    table, indices = found.inputs
    whole = [m if d not in at["collapsed"] else 1 for d, m in enumerate(table.sig.aval.shape)]
    batch = [d for d in range(len(shape)) if d not in at["offset_dims"]]
    if len(at["index_map"]) != 1 or at["collapsed"] != at["index_map"] or list(at["sizes"]) != whole or not batch:
        return None
    if batch != list(range(batch[0], batch[-1] + 1)) or batch[-1] == len(shape) - 1 or shape[-1] < WIDE:
        return None
    # the result is [*before, *batch, *after], whatever the reshape made of the batch
    first, after = batch[0], len(shape) - 1 - batch[-1]
    last = wide.ndim - after
    if wide.shape[:first] != shape[:first] or wide.shape[last:] != shape[-after:] or not first <= axes[0] < last:
        return None
    places = wide.shape[first:last]
    axis = axes[0] - first
    before: list[Node] = []

    def add(op: Any, *inputs: Node, **attributes: Any) -> Node:
        before.append(make(op, inputs, n, **attributes))
        return before[-1]

    def cut(k: int) -> Node:
        start = tuple(k if d == axis else 0 for d in range(len(places) + 1))
        limit = tuple(k + 1 if d == axis else m for d, m in enumerate((*places, 1)))
        one = add(ops.slice_, line, start=start, limit=limit, strides=(1,) * len(start))
        one = add(ops.reshape, one, shape=(*rest, 1))
        offset = (*range(first), *range(first + len(rest), first + len(rest) + after))
        return add(ops.gather, table, one, **{**at, "offset_dims": offset})

    rest = (*places[:axis], *places[axis + 1 :])
    line = add(ops.reshape, indices, shape=(*places, 1))
    total = cut(0)
    for k in range(1, places[axis]):
        total = add(COMBINE[n.sig.op], total, cut(k))
    return before[:-1], before[-1]


__all__ = ["as_lookups"]
