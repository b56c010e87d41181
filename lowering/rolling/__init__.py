"""Rolling: a recorded Python loop (an RNN over time, equal layers) becomes one ``stablehlo.while``.

``sequence`` finds where the program repeats itself, ``relations`` how the repeated pieces hang together, ``rewrite`` and
``body`` make loops of them and move out what need not be inside; ``batching`` says an op for all trips at once, ``loop``
lowers a loop. The time it takes is linear in the number of ops, and compile time then follows the size of the body.
"""

from __future__ import annotations

import os
from typing import Any

from ...lazy import metrics, ops
from ...lazy.graph import HostValue, Node, after_inputs
from ...lazy.record import sockets
from ..emit import Plan, module_of
from ..structure import structure
from .relations import Piece, Relation, Varying, piece
from .rewrite import Rewriter
from .sequence import Arrangement, arrange, runs

enabled = [os.environ.get("LAZYXLA_ROLL", "1").lower() not in ("0", "false", "no", "off")]
LEAST = 64  # ops in a program that is looked at
LONG = 400  # ops in a run that is rolled for the sake of compile time alone
MANY = 12  # trips of a run whose arguments have to be laid side by side


def lowered(plan: Plan, platform: str | None = None) -> Any:
    """The verified module for a plan, its repeated pieces made loops."""
    return module_of(rolled(plan), platform)


def rolled(plan: Plan) -> Plan:
    """The plan with its repeated pieces made loops, or as it is where there is none that pays."""
    if not enabled[0] or len(plan.order) < LEAST:
        return plan
    arguments = {plan.order[i] for places in plan.packed.values() for i in places}
    roots = [plan.order[i] for i in plan.roots]
    a, pieces = _pieces(plan.order, roots, arguments)
    if not pieces:
        return plan
    values = Rewriter(a, pieces, arguments, roots).result()
    metrics.count("loops_rolled", len(pieces))
    metrics.count("ops_rolled", sum(p.run.trips * p.run.period for p in pieces))
    return _plan_of(plan, arguments, values)


def rolls(nodes: list[Node]) -> bool:
    """Whether most of the program for these pending nodes would become loops."""
    if not enabled[0] or not nodes:
        return False
    order, _ = structure(nodes)
    a, pieces = _pieces(order, nodes, set())
    inside = sum(p.run.trips * p.run.period for p in pieces)
    return 2 * inside > len(a.sequence)


def _pieces(order: list[Node], roots: list[Node], arguments: set[Node]) -> tuple[Arrangement, list[Piece]]:
    a = arrange(order, set(roots), arguments)
    return a, [p for p in (piece(a, r) for r in runs(a)) if p is not None and _pays(a, p)]


def _pays(a: Arrangement, p: Piece) -> bool:
    """Long runs do, for compile time, if many trips share the cost of laying their arguments side by side; short ones
    only where there is nothing to lay out and products leave the loop (a recurrence in time)."""
    size = p.run.trips * p.run.period
    if any(_laid_out(a, r) for relations in p.operands for r in relations):
        return size >= LONG and p.run.trips >= MANY
    nodes = a.sequence[p.run.start : p.run.start + p.run.period]
    return size >= LONG or (p.run.trips >= 8 and any(n.sig.op is ops.dot_general for n in nodes))


def _laid_out(a: Arrangement, r: Relation) -> bool:
    """Whether the operand is another argument in each trip, as the weights of equal layers are."""
    if type(r) is not Varying:
        return False
    outside = [a.outside[k - len(a.sequence)] for k in r.numbers if k >= len(a.sequence)]
    return len(outside) > 1 and any(n.sig.aval.shape for n in outside)


def _plan_of(plan: Plan, arguments: set[Node], values: list[Node]) -> Plan:
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
__all__ = ["enabled", "lowered", "rolled", "rolls"]
