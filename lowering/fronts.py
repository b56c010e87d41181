"""Programs that are new each time because of what they begin with: which samples of a pool, which of some boxes.

Where some of one kind have been compiled (see ``storms``), the next new one is cut: its values that only put together, or
pick from, what has been computed are made by NumPy, exactly, and the rest, with these as its arguments, is a program that
has been compiled already, or serves the next ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import devices
from ..lazy import ops
from ..lazy.graph import Aval, HostValue, Node, after_inputs, computed_as
from .by_numpy import MOVES, ByNumpy, work_of
from .graphs import Graph
from .storms import COMPILING, QUICKER

_PICKS = {ops.concatenate, ops.gather, ops.dynamic_slice, ops.dynamic_update_slice}
_FRONT = MOVES | {ops.gather}


def taken(graph: Graph, order: Sequence[Node]) -> bool:
    """Whether a graph has been cut: its front is computed now, and what is left is another graph."""
    kind = graph.kind
    if kind is None or graph.variants or not kind.vary:
        return False
    sinks = _sinks(graph, order)
    if not sinks:
        return False
    graph.cuts += 1
    if graph.cuts > kind.due:  # it comes back, and takes less Python as a program of its own; the next, after twice as many
        kind.due *= 2
        return False
    return _computed(sinks, COMPILING * len(order) / QUICKER)


def _sinks(graph: Graph, order: Sequence[Node]) -> list[Node]:
    """The values of the front that the rest reads, or that are wanted; none where nothing in it is put together."""
    front: set[Node] = set()
    picks: set[Node] = set()
    for n in order:  # as recorded: operands first
        if n.buffer is None and not isinstance(n, HostValue) and n.sig.op in _FRONT and type(n.sig.aval) is Aval:
            if all(x.buffer is not None or isinstance(x, HostValue) or x in front for x in n.inputs):
                front.add(n)
                if n.sig.op in _PICKS or not picks.isdisjoint(n.inputs):
                    picks.add(n)
    roots = {order[i] for i in graph.roots}
    read = {x for n in order if n.buffer is None and n not in front for x in n.inputs}
    if picks.isdisjoint(roots | read):
        return []
    return [n for n in order if n in front and (n in roots or (n in picks and n in read))]


def _computed(sinks: list[Node], limit: float) -> bool:
    """Give these nodes their buffers, if that takes NumPy no longer than ``limit`` seconds."""
    order = after_inputs(sinks, lambda n: n.inputs if n.buffer is None else ())
    given = [i for i, n in enumerate(order) if n.buffer is not None or isinstance(n, HostValue)]
    seconds = sum(work_of(n)[0] for n in order if n.buffer is None and not isinstance(n, HostValue))
    if seconds > limit:
        return False
    for i, n in enumerate(order):
        n.mark = i
    program = ByNumpy(order, [n.mark for n in sinks], given, seconds, for_good=False, reads=True)
    values = [_value(order[i]) for i in given]
    for n, buffer in zip(sinks, program.run(values)):
        computed_as(n, buffer)
    return True


def _value(n: Node) -> Any:
    if isinstance(n, HostValue):
        return n.value
    return n.buffer.array if type(n.buffer) is devices.HostArray else n.buffer


__all__ = ["taken"]
