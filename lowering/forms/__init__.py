"""Forms: what is said to XLA in place of an op as recorded, where it makes faster code of another with the same result."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from ...lazy import ops
from ...lazy.graph import Node
from .components import COMBINE, Components
from .gathers import as_lookups
from .pads import as_concatenation, as_diagonal
from .products import of_int8, without_transposes
from .scatters import as_gathers
from .sorting import of_what_is_read


class Chosen(NamedTuple):
    """What stands for some of the nodes, and what has to be computed before it beside what the order has already."""

    other: dict[Node, Node]
    before: dict[Node, list[Node]]


def chosen(order: Sequence[Node], given: Container[Node], outputs: Container[Node], platform: str) -> Chosen:
    """For some of the nodes, in order of computation, another of the same value, whose inputs come before it in the order.

    ``given``: the nodes whose values are there already, whatever they were computed from; ``outputs``: those that are
    wanted themselves.
    """
    found = of_what_is_read(order, given, outputs)
    pads: dict[Node, tuple[Node, ...]] = {}
    components = Components(given)
    before: dict[Node, list[Node]] = {}
    for n in order:
        if n in given:
            continue
        if n.sig.op is ops.dot_general:
            other = without_transposes(n, given)
            other = of_int8(other or n, given) or other
        elif n.sig.op is ops.add:
            other = as_concatenation(n, pads, given)
        elif n.sig.op in COMBINE and platform == "cpu" and (reduced := components.reduction(n)):
            before[n], other = reduced
        elif n.sig.op in COMBINE and platform == "cpu" and (sums := as_lookups(n, given)):
            before[n], other = sums
        elif n.sig.op in (ops.reshape, ops.pad) and platform == "cpu" and (spread := as_diagonal(n, given)):
            before[n], other = spread
        elif n.sig.op is ops.scatter and (gathers := as_gathers(n, given)):
            before[n], other = gathers
        else:
            continue
        if other is not None:
            found[n] = other
    return Chosen(found, before)


__all__ = ["chosen"]
