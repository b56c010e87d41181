"""Derivatives as templates: a rule is run once for each signature, on types; from then on its ops are only copied.

A rule knows nothing but types, so what it records for one op it records for every op of that signature. Where gradients
are not differentiated again, the copy needs nodes only, no tensors, and costs a fraction of running the rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import ops
from ..lazy.graph import Aval, HostValue, Node, Signature, after_inputs, signature
from ..lazy.record import log

RESULT, FIRST_OPERAND = 1, 2  # places of values: the gradient is 0, and after the operands come the template's ops


class Template(NamedTuple):
    """The ops of one derivative in order, each on values known by their places."""

    steps: tuple[tuple[Signature, tuple[int, ...], Any], ...]  # signature, operands, the value of a number or None
    result: int
    logged: tuple[Signature, ...]

    def reads(self) -> set[int]:
        """The places of the values it is made of, some of them its own."""
        return {self.result, *(k for _, inputs, _ in self.steps for k in inputs)}


def template_of(given: dict[Node, int], out: Node) -> Template:
    """What ``out`` was computed by from the values that are given, with their places."""
    place = dict(given)
    steps: list[tuple[Signature, tuple[int, ...], Any]] = []
    for n in after_inputs([out], lambda n: () if n in given else n.inputs):
        if n not in given:
            place[n] = len(place)
            steps.append((n.sig, tuple(place[x] for x in n.inputs), n.value if isinstance(n, HostValue) else None))
    logged = tuple(sig for sig, inputs, _ in steps if inputs and type(sig.aval) is Aval)
    return Template(tuple(steps), place[out], logged)


def copied(t: Template, entry: Any, g: Node) -> Node:
    """The template's ops on a gradient and what a tape entry saved; returns the derivative."""
    steps, result, logged = t
    if not steps:
        return (g, entry.out, *entry.saved)[result]  # type: ignore[no-any-return]
    values = [g, entry.out, *entry.saved]
    code, lasti = entry.code, entry.lasti
    for sig, inputs, number in steps:
        if number is None:
            values.append(Node(sig, tuple([values[k] for k in inputs]), code, lasti))
        else:
            values.append(HostValue(sig, number, None, 0))
    log.extend(logged)
    return values[result]  # type: ignore[no-any-return]


def added(a: Node, b: Node, code: Any, lasti: int) -> Node:
    """The node for a + b, of one type."""
    aval = a.sig.aval
    sig = signature(ops.add, (aval, aval), ())
    log.append(sig)
    return Node(sig, (a, b), code, lasti)


__all__ = ["FIRST_OPERAND", "RESULT", "Template", "added", "copied", "template_of"]
