"""Outlining: equal layers become pieces that are compiled once and run in turn, each with its own arguments.

A loop would have to lay the layers' weights side by side, which copies them; a piece takes them as they are. Pieces are
cut out of the arranged program as stretches of it, so they run in its order. Two are the same program when the same ops
read each other in the same way: that is compared exactly, so how a piece came to be cut cannot make a result wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..devices.switches import is_on
from ..lazy import dtypes, ops
from ..lazy.graph import Aval, HostValue, Node, Op, Signature, leaf, signature
from .emit import Plan
from .nodes import ELEMENTWISE
from .rolling import Analysis, draws, layers
from .rolling.relations import Carried, Piece, Varying
from .rolling.sequence import MOVES, is_leaf

enabled = [is_on("LAZYXLA_OUTLINE")]
LEAST = 2000  # ops in repeated layers for which it is worth it
TRIPS = 8  # layers, at least
PIECE = 80  # ops of a piece, at least: to start one takes as long as some tens of small ops
SPARING = 100, 4, 1  # the same three where a function was checkpointed: pieces keep what it computes apart from the rest
DRAWING = 400, 3, 40  # the same where layers draw their first values: little to run, and long to compile
_HEAVY = {ops.random_bits: 40}  # as many ordinary ops, to compile
_LIGHT = {
    ops.add, ops.subtract, ops.multiply, ops.negate, ops.maximum, ops.minimum, ops.select, ops.compare, ops.absolute,
    ops.bit_and, ops.bit_or, ops.logical_not, ops.convert,
}  # fmt: skip
_CHEAP = ELEMENTWISE | MOVES | {ops.iota}


class Step(NamedTuple):
    """One run of a program: the slots that it reads and writes (-1: nobody wants it), those whose values nobody reads
    afterwards, and those of them whose buffers are to be freed although others refer to them."""

    program: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dead: tuple[int, ...]
    freed: tuple[int, ...]


class Outline(NamedTuple):
    """A plan as steps. Values lie in slots: first the plan's arguments (leaves, then packed vectors), then ``constants``,
    then what the steps write. ``roots`` are the slots of the plan's results."""

    programs: list[Plan]
    steps: list[Step]
    constants: list[np.ndarray]
    roots: list[int]


class Segment(NamedTuple):
    """The ops [start, end) of the sequence, and the run they belong to (-1: to none)."""

    start: int
    end: int
    run: int


def outlined(plan: Plan, found: Analysis | None) -> Outline | None:
    """The plan as pieces; None where it has no equal layers that pay."""
    if not enabled[0] or found is None:
        return None
    sparing = any(n.sig.op is ops.optimization_barrier for n in found.arranged.sequence)
    drawing = any(draws(found.arranged, p) for p in found.pieces)
    least, trips, piece = SPARING if sparing else DRAWING if drawing else (LEAST, TRIPS, PIECE)
    layered, loops = [], 0
    for p in found.pieces:
        if layers(found.arranged, p) or (sparing and not found.pays(p)):
            if not p.begins and p.run.trips >= trips:
                layered.append(p)
        elif found.pays(p):
            loops += _weight(found, p)
    inside = sum(_weight(found, p) for p in layered)
    if inside < least or 2 * inside < sum(map(_weight_of, found.arranged.sequence)) or 4 * loops > inside:
        return None  # or it is a recurrence: better a loop, and its parts stay together
    segments = _segments(found, layered, piece, trips)
    return _Outliner(plan, found, layered, segments).outline()


def _weight_of(n: Node) -> int:
    return _HEAVY.get(n.sig.op, 1)


def _weight(found: Analysis, p: Piece) -> int:
    """Of all layers of a piece."""
    first = found.arranged.sequence[p.run.start : p.run.start + p.run.period]
    return p.run.trips * sum(map(_weight_of, first))


def _segments(found: Analysis, layered: Sequence[Piece], least: int, trips: int) -> list[Segment]:
    """The sequence cut into pieces of ``least`` ops or more, and what lies between the runs of them."""
    n = len(found.arranged.sequence)
    cut: list[Segment] = []
    at = 0
    for i, p in enumerate(layered):
        length = p.run.period * -(-least * p.run.trips // _weight(found, p))
        pieces = (p.run.trips * p.run.period) // length
        if pieces < trips // 2:
            continue
        if at < p.run.start:
            cut.append(Segment(at, p.run.start, -1))
        at = p.run.start + pieces * length
        cut += [Segment(s, s + length, i) for s in range(p.run.start, at, length)]
    if at < n:
        cut.append(Segment(at, n, -1))
    return cut


class _Outliner:
    def __init__(self, plan: Plan, found: Analysis, layered: Sequence[Piece], segments: list[Segment]) -> None:
        self.plan, self.a, self.layered = plan, found.arranged, layered
        self.same = self.a.same
        self.arguments = {plan.order[i] for places in plan.packed.values() for i in places}
        self.device = plan.order[plan.roots[0]].sig.aval.device
        n = len(self.a.sequence)
        self.segments = segments
        self.number = {node: i for i, node in enumerate(self.a.sequence)}
        self.owner = np.zeros(n, np.int64)  # number -> its segment
        for k, s in enumerate(self.segments):
            self.owner[s.start : s.end] = k
        self.root_nodes = [self.same.get(r, r) for r in (plan.order[i] for i in plan.roots)]
        self.cheap: set[Node] = set()  # early ops that every piece may make anew
        for node in self.a.early:
            below = [self.same.get(x, x) for x in node.inputs]
            if node.sig.op in _CHEAP and all(self._is_source(x) or x in self.cheap for x in below):
                self.cheap.add(node)
        self.lifted = [self._lifted(p) for p in layered]
        self.needed: set[int] = {self.number[r] for r in self.root_nodes if r in self.number}
        self.remade = self._remade()
        self.offsets: dict[Node, int] = {}
        self.vectors: dict[Any, Aval] = {}
        for dtype, places in plan.packed.items():
            at = 0
            for i in places:
                self.offsets[plan.order[i]] = at
                at += plan.order[i].sig.aval.size
            self.vectors[dtype] = Aval((at,), dtype, self.device)

    def _is_source(self, n: Node) -> bool:
        return is_leaf(n) or n.sig.op is ops.constant

    def _lifted(self, p: Piece) -> set[Node]:
        """The numbers that differ from layer to layer: they are handed over, not written into the program."""
        found: set[Node] = set()
        for relations in p.operands:
            for r in relations:
                if type(r) is Varying:
                    sources = [self._numbers_in(self.a.node(k)) for k in r.numbers]
                    found |= {x for some in sources for x in some if not all(x in others for others in sources)}
        return found

    def _numbers_in(self, node: Node) -> set[Node]:
        found: set[Node] = set()
        stack = [node]
        while stack:
            n = stack.pop()
            if n in self.cheap:
                stack.extend(self.same.get(x, x) for x in n.inputs)
            elif isinstance(n, HostValue) or n.sig.op is ops.constant:
                found.add(n)
        return found

    # --- what is kept from piece to piece, and what is made again ---

    def _remade(self) -> np.ndarray:
        """Which ops a later piece makes again from what is kept, rather than read: where that saves memory and costs
        nothing worth mentioning. Decided in the middle of a run for all of its pieces."""
        a, n = self.a, len(self.a.sequence)
        owners = np.repeat(np.arange(n), np.diff(a.starts))
        inside = a.flat < n
        reader, read = owners[inside], a.flat[inside]
        kept = {*np.unique(read[self.owner[reader] != self.owner[read]]).tolist(), *self.needed}
        fixed = self.needed.union(*map(_carried, self.layered))  # the first layer reads these from elsewhere
        moved: set[int] = set()
        stack = sorted(kept, reverse=True)
        depth: dict[int, int] = {}
        while stack:  # a reshape, or what repeats or widens its operand: keep the operand
            number = stack.pop()
            node = a.sequence[number]
            if number in fixed or node.sig.op not in MOVES or depth.get(number, 0) >= 4:
                continue
            if node.sig.op in (ops.transpose, ops.slice_, ops.dynamic_slice):
                continue  # these are copies
            below = int(a.flat[a.starts[number]])
            if _bytes(a.node(below).sig.aval) > _bytes(node.sig.aval):
                continue
            moved.add(number)
            if below < n:
                depth[below] = max(depth.get(below, 0), depth.get(number, 0) + 1)
                if below not in kept:
                    kept.add(below)
                    stack.append(below)
        again: set[int] = set()
        for number in sorted(kept - moved):  # what is light to compute from others that are kept
            if number not in fixed and a.sequence[number].sig.op in _LIGHT:
                below_all = a.flat[a.starts[number] : a.starts[number + 1]].tolist()
                if all(k >= n or (k in kept and k not in moved and k not in again) for k in below_all):
                    again.add(number)
        remade = np.zeros(n, bool)
        remade[list(moved | again)] = True
        for i in range(len(self.layered)):
            mine = [s for s in self.segments if s.run == i]
            if mine:
                model = mine[len(mine) // 2]
                for s in mine:
                    remade[s.start : s.end] = remade[model.start : model.end]
        return remade

    # --- the steps ---

    def outline(self) -> Outline | None:
        scopes = [_Scope(self, self.lifted[s.run] if s.run >= 0 else set()) for s in self.segments]
        for scope, s in zip(scopes, self.segments):
            for node in self.a.sequence[s.start : s.end]:
                scope.compute(node)
        early = list(dict.fromkeys(x for scope in scopes for x in scope.sources if self._is_early(x)))
        early += [r for r in dict.fromkeys(self.root_nodes) if r not in self.number and r not in early]
        outputs = self._outputs()
        written: list[list[Node]] = [[self.a.sequence[k] for k in found] for found in outputs]
        if early:
            first = _Scope(self, set())
            for node in early:
                first.ref(node, whole=True)
            scopes.insert(0, first)
            written.insert(0, early)
        if any(type(node.sig.aval) is not Aval for nodes in written for node in nodes):
            return None  # several results at once cannot be handed over
        useful = [k for k, nodes in enumerate(written) if nodes]
        return self._steps([scopes[k] for k in useful], [written[k] for k in useful])

    def _is_early(self, source: Any) -> bool:
        return isinstance(source, Node) and source not in self.number and not self._is_source(source)

    def _outputs(self) -> list[list[int]]:
        """For each segment the numbers that it hands over, at the same places in all pieces of a run."""
        places: dict[int, set[int]] = {}
        for number in self.needed:
            s = self.segments[self.owner[number]]
            if s.run >= 0:
                places.setdefault(s.run, set()).add(number - s.start)
        alone: dict[int, list[int]] = {}
        for number in self.needed:
            alone.setdefault(int(self.owner[number]), []).append(number)
        return [
            sorted(s.start + k for k in places.get(s.run, ())) if s.run >= 0 else sorted(alone.get(i, ()))
            for i, s in enumerate(self.segments)
        ]

    def _steps(self, scopes: list[_Scope], written: list[list[Node]]) -> Outline | None:
        plan = self.plan
        slots: dict[Any, int] = {plan.order[i]: k for k, i in enumerate(plan.leaves)}
        for dtype in plan.packed:
            slots["vector", dtype] = len(slots)
        constants: list[np.ndarray] = []
        for scope in scopes:
            for source in scope.sources:
                if source not in slots and (value := _value(source)) is not None:
                    slots[source] = len(slots)
                    constants.append(value)
        read = {x for scope in scopes for x in scope.sources}.union(self.root_nodes)
        for nodes in written:
            for node in nodes:
                if node in read and node not in slots:
                    slots[node] = len(slots)
        inputs = [tuple(slots[x] for x in scope.sources) for scope in scopes]
        outputs = [tuple(slots.get(node, -1) for node in nodes) for nodes in written]
        last: dict[int, int] = {}
        for k, (reads, writes) in enumerate(zip(inputs, outputs)):
            last.update(dict.fromkeys(writes, k))
            last.update(dict.fromkeys(reads, k))
        roots = [slots[r] for r in self.root_nodes]
        kept = {-1, *roots, *range(len(plan.leaves), len(plan.leaves) + len(plan.packed) + len(constants))}
        wanted = {slots[plan.order[plan.leaves[k]]]: roots[r] for k, r in plan.donated.items()}
        programs: dict[Any, int] = {}
        plans: list[Plan] = []
        steps = []
        ends: dict[int, list[int]] = {}
        for i, k in last.items():
            ends.setdefault(k, []).append(i)
        for k, scope in enumerate(scopes):
            given = _given(inputs[k], outputs[k], {i: wanted[i] for i in ends.get(k, ()) if i in wanted})
            places = tuple(scope.made[node] for node in written[k])
            key = (tuple(scope.key), places, tuple(given.items()))
            which = programs.setdefault(key, len(plans))
            if which == len(plans):
                plans.append(scope.plan(places, given))
            over = {i for i in ends.get(k, ()) if i not in kept}
            freed = over & wanted.keys() - {inputs[k][g] for g in given}
            dead = tuple(sorted(i for i in over if i in wanted or i >= len(plan.leaves)))
            steps.append(Step(which, inputs[k], outputs[k], dead, tuple(sorted(freed))))
        if 2 * sum(len(p.order) for p in plans) > len(plan.order):
            return None  # the layers are less alike than they looked
        return Outline(plans, steps, constants, roots)


def _given(inputs: tuple[int, ...], outputs: tuple[int, ...], wanted: dict[int, int]) -> dict[int, int]:
    """Which inputs of a step become which of its outputs, by their places, where ``wanted`` slots may."""
    found: dict[int, int] = {}
    for k, slot in enumerate(inputs):
        target = wanted.get(slot)
        if target is not None and target in outputs and outputs.index(target) not in found.values():
            found[k] = outputs.index(target)
    return found


def _value(source: Any) -> np.ndarray | None:
    """The number that a source of a piece stands for, if it is one."""
    if isinstance(source, tuple):
        return np.array(source[1], np.int32) if source[0] == "offset" else None
    if isinstance(source, HostValue):
        return source.value
    if source.sig.op is ops.constant:
        aval = source.sig.aval
        return np.frombuffer(source.sig.keyword["data"], aval.dtype.numpy).reshape(aval.shape)
    return None


def _carried(p: Piece) -> set[int]:
    """The numbers that a layer hands to the next, and those that the first layer reads instead."""
    found = [r for relations in p.operands for r in relations if type(r) is Carried]
    handed = {p.run.start + t * p.run.period + r.place for t in range(p.run.trips) for r in found}
    return handed.union(*(r.initial for r in found))


def _bytes(aval: Any) -> int:
    return aval.size * aval.dtype.itemsize if type(aval) is Aval else 0


class _Scope:
    """A piece being described: what it reads (``sources``, in order of first use), and its ops as positions of others.

    ``key`` says all that its module depends on. Equal keys are one program.
    """

    def __init__(self, program: _Outliner, lifted: set[Node]) -> None:
        self.program, self.lifted = program, lifted
        self.made: dict[Any, int] = {}
        self.sources: list[Any] = []
        self.entries: list[tuple[Any, tuple[int, ...], Node | None]] = []  # signature, operands, the node it is like
        self.key: list[Any] = []

    def compute(self, node: Node) -> int:
        same, made = self.program.same, self.made
        refs = []
        for x in node.inputs:
            x = same.get(x, x)
            place = made.get(x)
            refs.append(self.ref(x) if place is None else place)
        return self._op(node.sig, tuple(refs), node, node)

    def ref(self, node: Node, whole: bool = False) -> int:
        """The position of a value: computed here before, made again here, written into the program, or read.

        ``whole``: computed here with all that it needs, whatever that costs.
        """
        found = self.made.get(node)
        if found is not None:
            return found
        o = self.program
        number = o.number.get(node)
        if number is not None:
            if o.remade[number]:
                return self.compute(node)
            o.needed.add(number)
            return self._read(node, node.sig.aval)
        if node in o.arguments:
            return self._packed(node)
        if isinstance(node, HostValue) or node.sig.op is ops.constant:
            if node in self.lifted:
                return self._read(node, node.sig.aval)
            value = node.value.tobytes() if isinstance(node, HostValue) else None
            return self._add((node.sig, value), (node, (), None), node)
        if is_leaf(node):
            return self._read(node, node.sig.aval)
        if whole:
            for x in node.inputs:
                self.ref(o.same.get(x, x), whole=True)
            return self.compute(node)
        return self.compute(node) if node in o.cheap else self._read(node, node.sig.aval)

    def _add(self, key: Any, entry: tuple[Any, tuple[int, ...], Node | None], name: Any) -> int:
        place = self.made[name] = len(self.entries)
        self.key.append(key)
        self.entries.append(entry)
        return place

    def _op(self, sig: Signature, refs: tuple[int, ...], like: Node, name: Any) -> int:
        place = self.made[name] = len(self.entries)
        self.key.append((sig, refs))
        self.entries.append((sig, refs, like))
        return place

    def _read(self, source: Any, aval: Aval) -> int:
        found = self.made.get(source)
        if found is None:
            self.sources.append(source)
            found = self._add(aval, (aval, (), None), source)
        return found

    def _packed(self, node: Node) -> int:
        """A number out of the packed vector that it is handed over in."""
        o, aval = self.program, node.sig.aval
        whole = o.vectors[aval.dtype]
        vector, at = self._read(("vector", aval.dtype), whole), o.offsets[node]
        if node in self.lifted:  # elsewhere in each layer
            place = self._read(("offset", at), Aval((), dtypes.int32, o.device))
            sig = _signature(ops.dynamic_slice, whole, Aval((), dtypes.int32, o.device), sizes=(aval.size,))
            part = self._op(sig, (vector, place), node, ("part", node))
        else:
            sig = _signature(ops.slice_, whole, start=(at,), limit=(at + aval.size,), strides=(1,))
            part = self._op(sig, (vector,), node, ("part", node))
        return self._op(_signature(ops.reshape, sig.aval, shape=aval.shape), (part,), node, node)

    def plan(self, outputs: tuple[int, ...], given: dict[int, int]) -> Plan:
        """The piece as a program of its own."""
        order: list[Node] = []
        for what, refs, like in self.entries:
            if type(what) is Aval:
                order.append(leaf(what, True))
            elif isinstance(what, Node):
                order.append(what)
            elif like is not None:
                order.append(Node(what, tuple([order[k] for k in refs]), like.code, like.lasti))
        return Plan(order, list(outputs), [self.made[x] for x in self.sources], {}, given)


def _signature(op: Op, *avals: Aval, **attributes: Any) -> Signature:
    return signature(op, avals, tuple(attributes[name] for name in op.attributes))


__all__ = ["Outline", "Step", "enabled", "outlined"]
