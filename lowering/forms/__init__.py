"""Forms: what is said to XLA in place of an op as recorded, where it makes faster code of another with the same result."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ...lazy import ops
from ...lazy.graph import Node
from .pads import as_concatenation
from .products import of_int8, without_transposes


def chosen(order: Iterable[Node], given: Container[Node]) -> dict[Node, Node]:
    """For some of the nodes, in order of computation, another of the same value, whose inputs come before it in the order.

    ``given``: the nodes whose values are there already, whatever they were computed from.
    """
    found: dict[Node, Node] = {}
    pads: dict[Node, tuple[Node, ...]] = {}
    for n in order:
        if n in given:
            continue
        if n.sig.op is ops.dot_general:
            other = without_transposes(n, given)
            other = of_int8(other or n, given) or other
        elif n.sig.op is ops.add:
            other = as_concatenation(n, pads, given)
        else:
            continue
        if other is not None:
            found[n] = other
    return found


__all__ = ["chosen"]
