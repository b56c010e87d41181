"""Sums of small products as one product: of the operands laid one after another along what is contracted.

A weight's gradient is such a sum where a loop over time was rolled and its first and last trips were not, or where a layer
is used several times. Each of its terms is as large as the weight; what they are products of is often far smaller.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Container
from typing import NamedTuple

from ..lazy import ops
from ..lazy.graph import LEAVES, Node, Signature
from .emit import Plan
from .forms.products import without_transposes
from .nodes import make
from .rolling import plan_of

UNARY = frozenset({ops.transpose, ops.reshape})


class _Term(NamedTuple):
    """``chain`` (outermost first) of the product of two operands [K..., F...], of which the first ``dims`` are contracted."""

    chain: tuple[Node, ...]
    product: Node
    dims: int


def merged(plan: Plan) -> Plan:
    """The plan with such sums merged; as it is where there are none."""
    given = {plan.order[i] for i in plan.leaves} | {plan.order[i] for places in plan.packed.values() for i in places}
    readers: Counter[Node] = Counter(plan.order[i] for i in plan.roots)
    inner: set[Node] = set()  # sums that one other sum adds something to
    for n in plan.order:
        if n in given or n.sig.op in LEAVES:
            continue
        readers.update(n.inputs)
        if n.sig.op is ops.add:
            inner.update(x for x in n.inputs if x.sig.op is ops.add)
    now: dict[Node, Node] = {}  # what stands for a node, where that is another
    changed = False
    for n in plan.order:
        if n in given or n.sig.op in LEAVES:
            continue
        found = None
        if n.sig.op is ops.add and not (n in inner and readers[n] == 1):
            found = _sum(n, now, readers, given)
            changed = changed or found is not None
        if found is None and any(x in now for x in n.inputs):
            found = Node(n.sig, tuple([now.get(x, x) for x in n.inputs]), n.code, n.lasti)
        if found is not None:
            now[n] = found
    if not changed:
        return plan
    arguments = {plan.order[i] for places in plan.packed.values() for i in places}
    return plan_of(plan, arguments, [now.get(plan.order[i], plan.order[i]) for i in plan.roots])


def _sum(n: Node, now: dict[Node, Node], readers: Counter[Node], given: Container[Node]) -> Node | None:
    """The sum with those of its terms merged for which it pays; None where there are none."""
    terms: list[Node] = []
    stack = [n]
    while stack:
        x = stack.pop()
        if x is n or (x.sig.op is ops.add and readers[x] == 1 and x not in given):
            stack += reversed(x.inputs)
        else:
            terms.append(x)
    groups: dict[tuple[object, ...], list[tuple[Node, _Term]]] = {}
    for x in terms:
        found = _term(x, readers, given)
        if found is not None:
            free = [y.sig.aval.shape[found.dims :] for y in found.product.inputs]
            chain: list[Signature] = [c.sig for c in found.chain]
            groups.setdefault((*chain, *free, found.product.sig.aval), []).append((x, found))
    instead: dict[Node, Node] = {}  # of merged terms the first, and what they come to
    merged_terms: set[Node] = set()
    for group in groups.values():
        group.sort(key=lambda pair: _operands(pair[1]))
        most = total = 0
        for count, (_, found) in enumerate(group):
            total += _operands(found)
            if total <= n.sig.aval.size * count:
                most = count + 1
        if most > 1:
            chosen = {x: found for x, found in group[:most]}
            ordered = [x for x in terms if x in chosen]
            instead[ordered[0]] = _product([chosen[x] for x in ordered], now)
            merged_terms |= chosen.keys()
    if not instead:
        return None
    left = [instead.get(x) or now.get(x, x) for x in terms if x in instead or x not in merged_terms]
    return functools.reduce(lambda x, y: make(ops.add, [x, y], n), left)


def _term(x: Node, readers: Counter[Node], given: Container[Node]) -> _Term | None:
    """What kind of product a term is; None where it is none, or somebody else reads it."""
    chain = []
    while x.sig.op in UNARY and readers[x] == 1 and x not in given:
        chain.append(x)
        x = x.inputs[0]
    if x.sig.op is not ops.dot_general or readers[x] != 1 or x in given:
        return None
    x = without_transposes(x, given) or x
    (left, right), batch = x.sig.keyword["contract"], x.sig.keyword["batch"]
    dims = len(left)
    leading = tuple(range(dims))
    if batch != ((), ()) or left != leading or right != leading or not dims:
        return None
    return _Term(tuple(chain), x, dims)


def _operands(t: _Term) -> int:
    return sum(x.sig.aval.size for x in t.product.inputs)


def _product(terms: list[_Term], now: dict[Node, Node]) -> Node:
    like = terms[0].product
    operands = []
    for side in (0, 1):
        rows = []
        for t in terms:
            x = t.product.inputs[side]
            x = now.get(x, x)
            shape = x.sig.aval.shape
            flat = (math.prod(shape[: t.dims]), *shape[t.dims :])
            rows.append(x if shape == flat else make(ops.reshape, [x], like, shape=flat))
        operands.append(make(ops.concatenate, rows, like, axis=0))
    found = make(ops.dot_general, operands, like, contract=((0,), (0,)), batch=((), ()))
    for c in reversed(terms[0].chain):
        found = Node(c.sig, (found,), c.code, c.lasti)
    return found


__all__ = ["merged"]
