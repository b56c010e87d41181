"""Paddings in faster forms: a sum of such that lie side by side, which is what the backward of ``chunk`` records, as one
concatenation; numbers spread along a diagonal, which is what that of ``diagonal`` does, as a choice."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, HostValue, Node, signature
from ..nodes import make

MOST = 64  # parts
LARGE = 1 << 10  # elements, from which on a diagonal is worth it


def as_concatenation(n: Node, pads: dict[Node, tuple[Node, ...]], given: Container[Node]) -> Node | None:
    """The sum ``n`` as a concatenation, if it adds up paddings by zeros that together fill it along one dim.

    ``pads`` remembers for each sum, in order of computation, the paddings that it adds up. XLA computes a sum of paddings
    element by element, choosing among all of them each time; a concatenation it copies part by part.
    """
    parts: list[Node] = []
    for x in n.inputs:
        parts += pads.get(x, ()) or ((x,) if _is_padding(x, given) else ())
        if not parts or len(parts) > MOST:
            return None
    if any(not (x in pads or _is_padding(x, given)) for x in n.inputs):
        return None
    pads[n] = tuple(parts)
    shape = n.sig.aval.shape
    axes = {d for p in parts for d, size in enumerate(p.inputs[0].sig.aval.shape) if size != shape[d]}
    if len(axes) != 1:
        return None
    axis = axes.pop()
    parts.sort(key=lambda p: p.sig.keyword["low"][axis])
    end = 0
    for p in parts:
        if p.sig.keyword["low"][axis] != end:
            return None
        end += p.inputs[0].sig.aval.shape[axis]
    if end != shape[axis]:
        return None
    inputs = tuple(p.inputs[0] for p in parts)
    return Node(signature(ops.concatenate, tuple(x.sig.aval for x in inputs), (axis,)), inputs, n.code, n.lasti)


def _is_padding(x: Node, given: Container[Node]) -> bool:
    """Whether it is a padding by zeros, outside only."""
    if x.sig.op is not ops.pad or x in given:
        return False
    at = x.sig.keyword
    if any(at["interior"]) or min(at["low"], default=0) < 0 or min(at["high"], default=0) < 0:
        return False
    return is_zero(x.inputs[1], given)


def is_zero(zero: Node, given: Container[Node]) -> bool:
    """Whether it is the number zero, or zeros, and always will be."""
    if isinstance(zero, HostValue):
        return zero not in given and not np.any(zero.value)
    return zero.sig.op is ops.constant and not np.any(
        np.frombuffer(zero.sig.keyword["data"], zero.sig.aval.dtype.numpy)
    )


def as_diagonal(n: Node, given: Container[Node]) -> tuple[list[Node], Node] | None:
    """What to compute first, and what stands for ``n`` then, if it is the reshape of [..., m * m] to [..., m, m] of m numbers
    that are m + 1 places apart with zeros between, or such a square with more zeros around.

    XLA computes such a padding element by element, by two divisions each; a comparison of row and column several at a time.
    """
    shape, x = n.sig.aval.shape, n
    last = len(shape) - 2  # the dim of the rows
    if last < 0 or n.sig.aval.size < LARGE:
        return None
    low, high = [0, 0], [0, 0]
    while x.sig.op is ops.pad and _is_padding(x, given if x is not n else ()):
        at = x.sig.keyword
        if any(at["low"][:last]) or any(at["high"][:last]):
            return None
        for k in (0, 1):
            low[k] += at["low"][last + k]
            high[k] += at["high"][last + k]
        x = x.inputs[0]
    if x.sig.op is not ops.reshape or (x is not n and x in given):
        return None
    lines, square = x.inputs[0], x.sig.aval.shape
    if lines.sig.op is not ops.pad or lines in given or not is_zero(lines.inputs[1], given):
        return None
    part, zero = lines.inputs
    m, at = square[-1], lines.sig.keyword
    apart = (*(0,) * last, m)
    if square != (*part.sig.aval.shape, m) or any(at["low"]) or any(at["high"]) or at["interior"] != apart:
        return None
    aval = Aval(shape, dtypes.int32, n.sig.aval.device)
    row, column = (make(ops.iota, [], n, aval=aval, axis=last + k) for k in (0, 1))
    before = [row, column]

    def add(op: Any, *inputs: Node, **attributes: Any) -> Node:
        before.append(make(op, inputs, n, **attributes))
        return before[-1]

    if low[0] != low[1]:
        by = np.array(low[1] - low[0], np.int32)
        step = add(ops.constant, data=by.tobytes(), aval=aval.with_shape(()))
        row = add(ops.add, row, add(ops.broadcast_in_dim, step, shape=shape, dims=()))
    on = add(ops.compare, row, column, direction="EQ")
    if low[0] or high[0]:
        outside = (0,) * last
        part = add(ops.pad, part, zero, low=(*outside, low[0]), high=(*outside, high[0]), interior=(*outside, 0))
    spread = add(ops.broadcast_in_dim, part, shape=shape, dims=tuple(range(last + 1)))
    rest = add(ops.broadcast_in_dim, zero, shape=shape, dims=())
    return before, make(ops.select, [on, spread, rest], n)
