"""A sum of paddings that lie side by side, which is what the backward of ``chunk`` records, as one concatenation."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from ...lazy import ops
from ...lazy.graph import HostValue, Node, signature

MOST = 64  # parts


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
    zero = x.inputs[1]
    if isinstance(zero, HostValue):
        return zero not in given and not np.any(zero.value)
    return zero.sig.op is ops.constant and not np.any(np.frombuffer(zero.sig.keyword["data"], zero.sig.aval.dtype.numpy))
