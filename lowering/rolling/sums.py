"""What a loop would add up trip by trip, as one sum after it: a weight's gradient becomes one product over all steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import ops
from ...lazy.graph import Node
from .batching import LINEAR, Operand, summed_dot
from .loop import make

if TYPE_CHECKING:
    from .body import Body

LARGEST = 1 << 28  # elements of what may be laid out for all trips


def sum_after(body: Body, place: int) -> Node | None:
    """The last value of ``acc = acc + term`` as its first plus one sum over all trips, where that is less work: where
    the term is a product, which then is one large product. None where it is not of that form."""
    key = next((k for k in body.registers if k[0] == place and k[1] == 1), None)
    if key is None or sum(k[0] == place for k in body.registers) > 1:
        return None
    here = body.registers[key][0]
    readers = _readers(body)
    if body.nodes[place] in readers or here in body.stacked or key in body.requested or place in body.requested:
        return None
    terms = _terms(body, place, here, readers)
    if not terms or len(readers[here]) > 1:
        return None
    plans = []
    for term in terms:
        chain = []
        while term.sig.op in LINEAR and len(readers[term]) == 1 and term not in body.stacked:
            chain.append(term)
            term = term.inputs[0]
        if term.sig.op is ops.dot_general and len(readers[term]) == 1:
            factors = term.inputs
        elif any(c.sig.op is ops.reduce_sum for c in chain):
            factors = (term,)
        else:
            return None
        ready = [found for found in (_summand(body, x) for x in factors) if found is not None]
        if len(ready) < len(factors) or not any(every for _, every in ready):
            return None
        plans.append((chain, term, ready))
    total = body.first_values[here]
    for chain, term, ready in plans:
        if len(ready) == 2:
            value = summed_dot(term, *ready)
        else:
            value = make(ops.reduce_sum, [ready[0][0]], term, axes=(0,))
        for c in reversed(chain):
            value = Node(c.sig, (value,), c.code, c.lasti)
        total = make(ops.add, [total, value], body.nodes[place])
    del body.registers[key]
    return total


def _readers(body: Body) -> dict[Node, list[Node]]:
    found: dict[Node, list[Node]] = {}
    for n in body.nodes:
        for x in n.inputs:
            found.setdefault(x, []).append(n)
    return found


def _terms(body: Body, place: int, here: Node, readers: dict[Node, list[Node]]) -> list[Node]:
    """What is added to ``here`` on the way to the node of the place; nothing if more than sums lies on that way."""
    leading = {here}
    for n in body.nodes:
        if n.sig.op is ops.add and not leading.isdisjoint(n.inputs):
            leading.add(n)
    terms = []
    n = body.nodes[place]
    while n is not here:
        if n not in leading or (n is not body.nodes[place] and (len(readers[n]) > 1 or n in body.stacked)):
            return []
        x, y = n.inputs
        if x in leading and y in leading:
            return []
        terms.append(y if x in leading else x)
        n = x if x in leading else y
    return terms


def _summand(body: Body, n: Node) -> Operand | None:
    """The values of all trips of what is summed: computed outside if they can be, kept by the loop if not."""
    if n not in body.stacked:
        found = body.for_all_trips(n)
        if found is not None:
            return found
    if n.sig.aval.size * body.trips > LARGEST:
        return None
    return body.stack(n), True


__all__ = ["LARGEST", "sum_after"]
