"""Rolling: a recorded Python loop (an RNN over time, equal layers) becomes one ``stablehlo.while``.

``sequence`` finds where the program repeats itself, ``relations`` how the repeated pieces hang together, ``rewrite`` and
``body`` make loops of them and move out what need not be inside; ``batching`` says an op for all trips at once, ``loop``
lowers a loop. The time it takes is linear in the number of ops, and compile time then follows the size of the body.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...devices.switches import is_on
from ...lazy import metrics, ops
from ...lazy.graph import Aval, HostValue, Node, after_inputs
from ...lazy.record import sockets
from ..emit import Plan
from ..structure import structure
from .relations import Carried, Fixed, Inner, Piece, Relation, Varying, piece
from .rewrite import Rewriter
from .sequence import Arrangement, arrange, runs

enabled = [is_on("LAZYXLA_ROLL")]
LEAST = 64  # ops in a program that is looked at
LONG = 400  # ops in a run that is rolled for the sake of compile time alone
FEW = 5  # trips of a recurrence that is rolled: from there on the loop compiles sooner, and runs no longer
MANY = 12  # trips of a run whose arguments have to be laid side by side


class Analysis(NamedTuple):
    """Where a program repeats itself, whether it pays to do something about it or not."""

    arranged: Arrangement
    pieces: list[Piece]

    def pays(self, p: Piece) -> bool:
        return _pays(self.arranged, p)


def analysis(plan: Plan) -> Analysis | None:
    """How the plan repeats itself; None where it is too short, or nobody wants to know."""
    if not enabled[0] or len(plan.order) < LEAST:
        return None
    arguments = {plan.order[i] for places in plan.packed.values() for i in places}
    return _analysis(plan.order, [plan.order[i] for i in plan.roots], arguments)


def rolled(plan: Plan, found: Analysis | None = None) -> Plan:
    """The plan with its repeated pieces made loops, or as it is where there is none that pays."""
    found = found or analysis(plan)
    pieces = [p for p in found.pieces if found.pays(p)] if found is not None else []
    if found is None or not pieces:
        return plan
    arguments = {plan.order[i] for places in plan.packed.values() for i in places}
    values = Rewriter(found.arranged, pieces, arguments, [plan.order[i] for i in plan.roots]).result()
    metrics.count("loops_rolled", len(pieces))
    metrics.count("ops_rolled", sum(p.run.trips * p.run.period for p in pieces))
    return plan_of(plan, arguments, values)


def rolls(nodes: list[Node]) -> bool:
    """Whether most of the program for these pending nodes would become loops."""
    if not enabled[0] or not nodes:
        return False
    order, _ = structure(nodes)
    found = _analysis(order, nodes, set())
    inside = sum(p.run.trips * p.run.period for p in found.pieces if found.pays(p))
    return 2 * inside > len(found.arranged.sequence)


def _analysis(order: list[Node], roots: list[Node], arguments: set[Node]) -> Analysis:
    a = arrange(order, set(roots), arguments)
    return Analysis(a, [p for p in (piece(a, r) for r in runs(a)) if p is not None])


def _pays(a: Arrangement, p: Piece) -> bool:
    """Long runs do, for compile time, if many trips share the cost of laying their arguments side by side; short ones
    only where there is nothing to lay out and products leave the loop (a recurrence in time)."""
    size = p.run.trips * p.run.period
    if any(_laid_out(a, r) for relations in p.operands for r in relations):
        return size >= LONG and p.run.trips >= MANY and not layers(a, p)
    nodes = a.sequence[p.run.start : p.run.start + p.run.period]
    return size >= LONG or (p.run.trips >= FEW and any(n.sig.op is ops.dot_general for n in nodes))


def layers(a: Arrangement, p: Piece) -> bool:
    """Whether the trips are layers with weights of their own: more bytes are another argument in each than are the same
    in all, or each draws its own first values. To lay those side by side, as a loop must, would cost more than it saves."""
    if draws(a, p):
        return True
    own = shared = 0
    seen: set[Relation] = set()
    for relations in p.operands:
        for r in relations:
            if r in seen or type(r) is Inner:
                continue
            seen.add(r)
            if _laid_out(a, r):
                own += _bytes(a, r.numbers[0])  # type: ignore[union-attr]
            elif type(r) is Fixed:
                shared += _bytes(a, r.number)
    return own > shared


def draws(a: Arrangement, p: Piece) -> bool:
    """Whether the trips draw random numbers, and hand nothing on to each other."""
    nodes = a.sequence[p.run.start : p.run.start + p.run.period]
    alone = not any(type(r) is Carried for relations in p.operands for r in relations)
    return alone and any(n.sig.op is ops.random_bits for n in nodes)


def _bytes(a: Arrangement, number: int) -> int:
    """Of a value that is computed, or of the arguments that a value outside is made of."""
    if number < len(a.sequence):
        aval = a.node(number).sig.aval
        return aval.size * aval.dtype.itemsize if type(aval) is Aval else 0
    found = after_inputs([a.node(number)], lambda n: () if n.buffer is not None else n.inputs)
    return sum(n.sig.aval.size * n.sig.aval.dtype.itemsize for n in found if n.buffer is not None)


def _laid_out(a: Arrangement, r: Relation) -> bool:
    """Whether the operand is another argument in each trip, as the weights of equal layers are."""
    if type(r) is not Varying:
        return False
    outside = [a.outside[k - len(a.sequence)] for k in r.numbers if k >= len(a.sequence)]
    return len(outside) > 1 and any(n.sig.aval.shape for n in outside)


def plan_of(plan: Plan, arguments: set[Node], values: list[Node]) -> Plan:
    """The plan with other nodes for its roots; ``arguments`` are its host values that come as arguments."""
    given = [plan.order[i] for i in plan.leaves]
    first = [*given, *(n for n in plan.order if n in arguments)]
    there = set(first)

    def inputs_of(n: Node) -> tuple[Node, ...]:
        return n.inputs if n not in there and (n.buffer is None or isinstance(n, HostValue)) else ()

    order = after_inputs([*first, *values], inputs_of)
    place: dict[Node, int] = {n: i for i, n in enumerate(order)}
    packed: dict[Any, list[int]] = {
        dtype: [place[plan.order[i]] for i in places] for dtype, places in plan.packed.items()
    }
    return Plan(order, [place[v] for v in values], [place[n] for n in given], packed, plan.donated)


sockets.rolls = rolls
__all__ = ["Analysis", "analysis", "draws", "enabled", "layers", "plan_of", "rolled", "rolls"]
