"""Derivatives of control flow: of a loop, a loop the other way round over what it kept; of a choice, the same choice.

The ops themselves have several results, so on the tape ``loop`` and ``choice`` put one rule for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from ...lazy import ops
from ...lazy.functions.conversion import constant
from ...lazy.graph import Aval, Node, Several, Signature, leaf_signature, placeholder, result, signature
from ...lazy.ops.control import IRREVERSIBLE, TRANSPOSED, Loop, Region
from ...lazy.record import GradNode, mode, where_text, wrap
from ...lazy.several import Gradients, taken, tie
from ..pulls import Pull, added, given_back, kept, pull, push, reads, substituted, subtracted, used_by, zero_node
from ..table import not_differentiable

not_differentiable(ops.while_loop, ops.case)


def _wanted(operands: Sequence[Any]) -> tuple[int, ...]:
    """Which operands a gradient flows to."""
    nodes = [t._node or t._refresh() for t in operands]
    if not mode.grad:
        return ()
    return tuple([k for k, t in enumerate(operands) if t._edge is not None and nodes[k].sig.aval.dtype.is_inexact])


def loop(loop: Loop, derivative: Pull | None, *operands: Any) -> list[Any]:
    """The results of a loop. ``derivative`` is that of its body; None: by the rules of the body's ops."""
    wanted = _wanted(operands)
    if not wanted:
        return taken(ops.while_loop, operands, loop=loop)
    p = derivative or pull(loop.body)
    nodes = [t._node for t in operands]
    if loop.trips is None:
        results = taken(ops.while_loop, operands, loop=loop)
        tie(results, operands, [None] * len(nodes), _Unending(loop, p, wanted, nodes))
        return results
    way = _way(loop, p, wanted, None, False)
    results = taken(ops.while_loop, operands, loop=way.forward)
    known = [*nodes, *[t._node for t in results]]
    read = {*way.reads, 0 if loop.counted else len(known) - 1}
    del results[len(loop.body.outputs) : len(way.forward.body.outputs)]
    tie(results, operands, [n if k in read else None for k, n in enumerate(known)], _Back(loop, p, wanted, nodes))
    return results


class _Body(NamedTuple):
    """The body of a loop with its gradients, in one region, and which of them there are."""

    region: Region  # from the body's inputs, then gradients of the active, of the rows given, and sums, to outputs and those
    active: tuple[int, ...]  # what is carried that a gradient is carried for
    given: tuple[int, ...]  # the outputs whose gradients come as rows
    rows: tuple[int, ...]  # the inputs whose gradients go as rows
    sums: tuple[int, ...]  # the inputs whose gradients are added up over the trips
    kept: tuple[Node, ...]  # of the region, what is best kept of each trip for the way back


@cache
def _body(loop: Loop, p: Pull, wanted: tuple[int, ...]) -> _Body:
    r, carried = p.region, loop.carried
    inputs = r.inputs[: p.inputs]
    gradients = dict(zip(p.wanted, r.outputs[p.outputs :]))
    cotangents = dict(zip(p.given, r.inputs[p.inputs :]))
    flows = {k + 1 - loop.first for k in wanted}  # by inputs of the body, of which the first is the number of the trip
    active = _active(loop, p, flows)
    given = tuple([k for k in p.given if k >= carried])
    rows = tuple([k for k in range(1 + carried, 1 + carried + loop.sliced) if k in flows and k in gradients])
    sums = tuple([k for k in range(1 + carried + loop.sliced, p.inputs) if k in flows and k in gradients])
    absent = {n: zero_node(n.sig.aval) for k, n in cotangents.items() if k < carried and k not in active}
    late = [cotangents.get(k) or _stand(r.types[k + 1]) for k in active] + [cotangents[k] for k in given]
    totals = [_stand(r.types[k]) for k in sums]
    found = [gradients.get(k + 1) or zero_node(r.types[k + 1]) for k in active]
    found += [added(a, gradients[k]) for a, k in zip(totals, sums)] + [gradients[k] for k in rows]
    whole = Region([*inputs, *late, *totals], substituted([*r.outputs[: p.outputs], *found], absent))
    n = p.inputs
    free = [x for k, x in enumerate(whole.inputs[:n]) if not 1 <= k <= carried]
    keep = kept(whole, whole.inputs[n:], whole.outputs[p.outputs :], free)
    return _Body(whole, active, given, rows, sums, tuple(keep))


def _active(loop: Loop, p: Pull, flows: set[int]) -> tuple[int, ...]:
    """What is carried that depends on an input to which gradients flow, in any number of trips."""
    masks = dict(zip(p.wanted, reads(p.region)[p.outputs :]))
    place = {k: p.inputs + i for i, k in enumerate(p.given)}
    reached = set(flows)
    while True:
        more = {
            k + 1 for k in range(loop.carried)
            if k in place and any(masks[j] >> place[k] & 1 for j in reached if j in masks)
        }  # fmt: skip
        if more <= reached:
            return tuple([k for k in range(loop.carried) if k + 1 in reached])
        reached |= more


class _Way(NamedTuple):
    """How a loop is differentiated: a loop going forward that keeps something, and one that goes back."""

    forward: Loop  # gives, after its own rows, those kept
    extra: tuple[int, ...]  # the inputs of the body that these rows are, if they are inputs
    backward: Loop
    reads: tuple[int, ...]  # what ``backward`` takes from the operands and then the results of ``forward``
    sliced: int  # how many of those are rows


@cache
def _way(loop: Loop, p: Pull, wanted: tuple[int, ...], given: tuple[int, ...] | None, anew: bool) -> _Way:
    """The way back for gradients of the operands ``wanted``, from those of what is carried and of the rows ``given`` (None:
    all). ``anew``: it computes again what it needs, from what was carried alone, so that it can be differentiated."""
    b = _body(loop, p, wanted)
    whole, n, carried = b.region, p.inputs, loop.carried
    here = list(b.kept)
    if anew:
        masks = reads(whole)[p.outputs :]
        here = [x for k, x in enumerate(whole.inputs[1 : 1 + carried], 1) if any(m >> k & 1 for m in masks)]
    forward = loop._replace(body=Region(whole.inputs[:n], [*whole.outputs[: p.outputs], *here]))
    given = b.given if given is None else tuple([k for k in b.given if k in given])
    late = whole.inputs[n:]
    active, cotangents = late[: len(b.active)], dict(zip(b.given, late[len(b.active) :]))
    totals = late[len(b.active) + len(b.given) :]
    absent = {x: zero_node(x.sig.aval) for k, x in cotangents.items() if k not in given}
    outputs = substituted(whole.outputs[p.outputs :], absent, stop=here)
    # what is read, of what was kept and of the loop's own operands
    used = used_by(outputs, {*here, *whole.inputs})
    rows = [k for k, x in enumerate(here) if x in used]
    own = [k for k in range(1 + carried, n) if whole.inputs[k] in used and whole.inputs[k] not in here]
    own_rows = [k for k in own if k < 1 + carried + loop.sliced]
    rest = [k for k in own if k >= 1 + carried + loop.sliced]
    number = whole.inputs[0]
    trip, bound = _stand(number.sig.aval), _stand(number.sig.aval)
    counted = loop.counted or loop.test is not None
    if number in used:
        last = subtracted(bound if counted else _number(loop.trips or 0, number), _number(1, number))
        outputs = substituted(outputs, {number: subtracted(last, trip)}, stop=here)
    body = Region(
        [
            trip, *active, *totals, *[cotangents[k] for k in given], *[here[k] for k in rows],
            *[whole.inputs[k] for k in own_rows], *[whole.inputs[k] for k in rest], *([bound] if counted else []),
        ],
        outputs,
    )  # fmt: skip
    operands, at = loop.first + n - 1, loop.first - 1
    taken_from = [operands + p.outputs + k for k in rows] + [at + k for k in own_rows]
    sliced = len(taken_from)
    backward = Loop(
        body, None, len(active) + len(totals), len(given) + sliced, loop.trips, not loop.backwards, counted
    )
    extra = tuple([whole.inputs.index(x) for x in here]) if anew else ()
    return _Way(forward, extra, backward, (*taken_from, *[at + k for k in rest]), sliced)


def _stand(aval: Aval) -> Node:
    return Node(leaf_signature(placeholder, aval), (), None, 0)


def _number(value: int, like: Node) -> Node:
    return constant(value, like.sig.aval.dtype, like.sig.aval.device)._node  # type: ignore[no-any-return]


class _Back:
    """The gradients of a loop's operands from those of its results: a loop from the last trip to the first."""

    name = "While"

    def __init__(self, loop: Loop, p: Pull, wanted: tuple[int, ...], nodes: list[Node]) -> None:
        self.loop, self.pull, self.wanted, self.nodes = loop, p, wanted, nodes

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        was, p = self.loop, self.pull
        anew = mode.grad
        b = _body(was, p, self.wanted)
        given = tuple(sorted(k for k in g.by_number if k in b.given))
        way = _way(was, p, self.wanted, given, anew)
        if anew:
            operands = [wrap(n, e) for n, e in zip(self.nodes, entry.edges)]
            values = [*operands, *loop(way.forward, given_back(p, way.extra), *operands)]
        else:
            values = [None if n is None else wrap(n) for n in entry.saved]
        start: list[Any] = []
        if way.backward.counted:
            count = values[0] if was.counted else values[-1]
            start = [ops.minimum(count, constant(was.trips, count.dtype, count.device))]
        types = p.region.types
        first = [g.by_number[k] if k in g.by_number else zeros(types[k + 1]) for k in b.active]
        first += [zeros(types[k]) for k in b.sums]
        first += [g.by_number[k] for k in given]
        found = loop(way.backward, None, *start, *first, *[values[k] for k in way.reads], *start)
        out: list[Any] = [None] * len(self.nodes)
        at = was.first - 1
        for k, dx in zip([*[k + 1 for k in b.active], *b.sums, *b.rows], found):
            if at + k in self.wanted:
                out[at + k] = dx
        return out

    def release(self) -> None:
        """When the graph is freed."""
        self.nodes = []


def zeros(aval: Aval) -> Any:
    return wrap(zero_node(aval))


# --- a choice ---------------------------------------------------------------------------------------------------


def choice(branches: tuple[Region, ...], derivatives: tuple[Pull, ...] | None, index: Any, *operands: Any) -> list[Any]:
    """The results of one of the branches. ``derivatives``: theirs; None: by the rules of their ops."""
    results = taken(ops.case, (index, *operands), branches=branches)
    wanted = _wanted(operands)
    if wanted:
        pulls = derivatives or tuple([pull(b) for b in branches])
        nodes = [t._node for t in (index, *operands)]
        tie(results, (index, *operands), nodes, _Chosen(pulls, wanted))
    return results


class _Chosen:
    """The gradients of a choice's operands: of the branch that was taken."""

    name = "Case"

    def __init__(self, pulls: tuple[Pull, ...], wanted: tuple[int, ...]) -> None:
        self.pulls, self.wanted = pulls, wanted

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        given = tuple(sorted(g.by_number))
        branches = tuple([_gradients(p, self.wanted, given) for p in self.pulls])
        index, *operands = [wrap(n, e if mode.grad else None) for n, e in zip(entry.saved, entry.edges)]
        found = choice(branches, None, index, *operands, *[g.by_number[k] for k in given])
        out: list[Any] = [None] * len(entry.edges)
        for k, dx in zip(self.wanted, found):
            out[k + 1] = dx
        return out


@cache
def _gradients(p: Pull, wanted: tuple[int, ...], given: tuple[int, ...]) -> Region:
    """From a branch's inputs and the gradients of the outputs ``given`` to those of the inputs ``wanted``."""
    r = p.region
    gradients = dict(zip(p.wanted, r.outputs[p.outputs :]))
    cotangents = dict(zip(p.given, r.inputs[p.inputs :]))
    late = [cotangents.get(k) or _stand(r.outputs[k].sig.aval) for k in given]
    absent = {n: zero_node(n.sig.aval) for k, n in cotangents.items() if k not in given}
    outputs = [gradients.get(k) or zero_node(r.types[k]) for k in wanted]
    return Region([*r.inputs[: p.inputs], *late], substituted(outputs, absent))


# --- a loop whose number of trips nobody knows ------------------------------------------------------------------

class _Unending:
    """In place of the gradients of the operands, what can be differentiated with respect to those of the results."""

    name = "While"

    def __init__(self, loop: Loop, p: Pull, wanted: tuple[int, ...], nodes: list[Node]) -> None:
        self.loop, self.pull, self.wanted, self.nodes = loop, p, wanted, nodes

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        line = where_text(entry.code, entry.lasti)
        given = sorted(g.by_number)
        cotangents = [g.by_number[k] for k in given]
        if not mode.grad or all(t._edge is None for t in cotangents):
            raise RuntimeError(f"{IRREVERSIBLE}  (recorded at {line})")
        operands = [wrap(n, e) for n, e in zip(self.nodes, entry.edges)]
        found = _unknown([self.nodes[k].sig.aval for k in self.wanted], [*cotangents, *operands], line)
        rule = _Tangents(self.loop, self.pull, self.wanted, given, self.nodes, line)
        tie(found, [*cotangents, *operands], [None] * (len(cotangents) + len(operands)), rule)
        out: list[Any] = [None] * len(self.nodes)
        for k, t in zip(self.wanted, found):
            out[k] = t
        return out

    def release(self) -> None:
        """When the graph is freed."""
        self.nodes = []


def _unknown(avals: list[Aval], operands: list[Any], line: str) -> list[Any]:
    """Values that cannot be computed."""
    inputs = tuple([t._node or t._refresh() for t in operands])
    several = Several(tuple(avals))
    made = Node(Signature(TRANSPOSED, tuple([n.sig.aval for n in inputs]), (tuple(avals), line), several), inputs, None, 0)
    return [wrap(Node(signature(result, (several,), (k,)), (made,), None, 0)) for k in range(len(avals))]


class _Tangents:
    """From the tangents of the operands to those of the results, by a loop that goes forward with both."""

    name = "WhileTangent"

    def __init__(
        self, loop: Loop, p: Pull, wanted: tuple[int, ...], given: list[int], nodes: list[Node], line: str
    ) -> None:
        self.loop, self.pull, self.wanted, self.given, self.nodes, self.line = loop, p, wanted, given, nodes, line

    def __call__(self, g: Gradients, entry: GradNode) -> list[Any]:
        edges = entry.edges[len(self.given) :]
        operands = [wrap(n, e) for n, e in zip(self.nodes, edges)]
        p, carried = self.pull, self.loop.carried
        active = _active(self.loop, p, {k + 1 for k in self.wanted})
        moving = tuple([k for k in self.wanted if k >= carried])
        types = p.region.types
        tangents = dict(zip(self.wanted, [g.by_number.get(i) for i in range(len(self.wanted))]))
        start = [tangents.get(k) for k in (*active, *moving)]
        start = [zeros(types[k + 1]) if t is None else t for k, t in zip((*active, *moving), start)]
        made = _pushing(self.loop, p, active, moving)
        found = loop(made, None, *operands[:carried], *start[: len(active)], *operands[carried:], *start[len(active) :])
        by_output = dict(zip(active, found[carried:]))
        out: list[Any] = [by_output.get(k, zeros(p.region.outputs[k].sig.aval)) for k in self.given]
        # second derivatives are no more to be had than first ones
        unknown = iter(_unknown([self.nodes[k].sig.aval for k in self.wanted], operands, self.line))
        return out + [next(unknown) if k in self.wanted else None for k in range(len(operands))]


@cache
def _pushing(loop: Loop, p: Pull, active: tuple[int, ...], moving: tuple[int, ...]) -> Loop:
    """The loop that carries, after all else, the tangents of what is ``active``; ``moving``: the other operands with one."""
    r, carried = push(p), loop.carried
    tangents = dict(zip(p.wanted, r.inputs[p.inputs :]))
    moved = dict(zip(p.given, r.outputs[p.outputs :]))
    there = {k + 1 for k in (*active, *moving)}
    absent = {n: zero_node(n.sig.aval) for k, n in tangents.items() if k not in there}
    here = {k: tangents.get(k) or _stand(r.types[k]) for k in there}
    outputs = [*r.outputs[:carried], *[moved[k] if k in moved else zero_node(r.types[k + 1]) for k in active]]
    own = r.inputs[: p.inputs]
    first, rest = own[: 1 + carried], own[1 + carried :]
    body = Region(
        [*first, *[here[k + 1] for k in active], *rest, *[here[k + 1] for k in moving]], substituted(outputs, absent)
    )
    test = loop.test
    if test is not None:
        given = test.inputs
        extra = [_stand(r.types[k + 1]) for k in active], [_stand(r.types[k + 1]) for k in moving]
        test = Region([*given[: 1 + carried], *extra[0], *given[1 + carried :], *extra[1]], test.outputs)
    return loop._replace(body=body, test=test, carried=carried + len(active))


__all__ = ["choice", "loop"]
