"""Several results of one computation, differentiated together: their gradients meet before one rule sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import record as rec
from .graph import Node, result
from .record import GradNode, mode, wrap


class Gradients:
    """The gradients of several results, of ``count``, on their way to the rule for all: tensors by the results' numbers."""

    __slots__ = ("by_number", "count")

    def __init__(self, by_number: dict[int, Any], count: int) -> None:
        self.by_number, self.count = by_number, count

    def added(self, other: Gradients) -> Gradients:
        total = dict(self.by_number)
        for k, g in other.by_number.items():
            total[k] = total[k] + g if k in total else g
        return Gradients(total, max(self.count, other.count))

    def parts(self) -> tuple[Any, ...]:
        """One for each result, None where there is none."""
        return tuple(map(self.by_number.get, range(self.count)))


class _Port:
    """The rule of one result: hands its gradient on to the entry for all."""

    is_port = True

    def __init__(self, number: int, count: int, name: str) -> None:
        self.number, self.count, self.name = number, count, name

    def __call__(self, g: Any, entry: GradNode) -> tuple[Gradients]:
        return (Gradients({self.number: g}, self.count),)


def port(entry: GradNode, node: Node, number: int, count: int) -> GradNode:
    """The tape's entry for one of the ``count`` results of ``entry``."""
    made = GradNode(node.sig, (entry,), (), None, node.serial, entry.code, entry.lasti)
    made.rule = _Port(number, count, getattr(entry.rule, "name", "Function"))
    return made


def tie(
    results: Sequence[Any], inputs: Sequence[Any], saved: Sequence[Node | None], rule: Callable[..., Any]
) -> None:
    """Make results differentiable: ``rule(Gradients, entry) -> one gradient (or None) an input``.

    ``results`` were recorded without the tape, one after the other; integers among them stay as they are. ``saved`` is
    what the rule will read: a sync before the backward pass keeps it.
    """
    edges = tuple([t._edge for t in inputs])
    if not mode.grad or all(e is None for e in edges):
        return
    first = results[0]._node
    entry = GradNode(first.sig, edges, tuple(saved), None, first.serial - 1, first.code, first.lasti)
    entry.rule = rule
    for number, t in enumerate(results):
        if t.dtype.is_inexact:
            t._edge = port(entry, t._node, number, len(results))


def taken(op: Any, operands: Sequence[Any], **attributes: Any) -> list[Any]:
    """Record an op with several results, without the tape; in eager mode they are computed together."""
    grad, eager, mode.grad, mode.eager = mode.grad, mode.eager, False, False
    try:
        values = op(*operands, **attributes)
        results = [result(values, index=i) for i in range(len(values._node.sig.aval.elements))]
    finally:
        mode.grad, mode.eager = grad, eager
    if eager:
        rec.run_together([t._node for t in results])
    return results


__all__ = ["Gradients", "port", "taken", "tie", "wrap"]
