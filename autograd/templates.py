"""Derivatives as templates: a rule is run once for each signature, on types; from then on its ops are only copied.

A rule knows nothing but types, so what it records for one op it records for every op of that signature. Where gradients
are not differentiated again, the copy needs nodes only, no tensors, and costs a fraction of running the rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..lazy import ops
from ..lazy.graph import Aval, HostValue, Node, Signature, signature
from ..lazy.record import log


class Template(NamedTuple):
    """The ops of one derivative in order. Values are counted: the gradient, the result, the operands, then the ops'."""

    steps: tuple[tuple[Signature, tuple[int, ...], Any], ...]  # signature, operands, the value of a number or None
    result: int
    logged: tuple[Signature, ...]


def template_of(gradient: Node, result: Node, operands: list[Node], out: Node) -> Template:
    """What ``out`` was computed from the others by."""
    place = {n: k for k, n in enumerate((gradient, result, *operands))}
    steps: list[tuple[Signature, tuple[int, ...], Any]] = []
    first = len(place)
    stack = [(out, False)]
    while stack:
        n, ready = stack.pop()
        if n in place:
            continue
        if not ready:
            stack.append((n, True))
            stack.extend((x, False) for x in n.inputs)
            continue
        place[n] = first + len(steps)
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


_sums: dict[Aval, Signature] = {}


def added(a: Node, b: Node, code: Any, lasti: int) -> Node:
    """The node for a + b, of one type."""
    aval = a.sig.aval
    sig = _sums.get(aval)
    if sig is None:
        sig = _sums[aval] = signature(ops.add, (aval, aval), ())
    log.append(sig)
    return Node(sig, (a, b), code, lasti)


__all__ = ["Template", "added", "copied", "template_of"]
