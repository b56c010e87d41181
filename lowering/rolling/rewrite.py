"""A program with its repeated pieces made loops: what each loop hands to the others and to the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from ...lazy import ops
from ...lazy.graph import HostValue, Node
from .body import Body
from .loop import constant_node, make
from .relations import Carried, Counted, Fixed, FromLoop, Piece, Source, Varying, affine
from .sequence import Arrangement, is_leaf


class Rewriter:
    """Rebuilds an arranged program with ``pieces`` as loops. ``now[number]`` is the node that stands for a number."""

    def __init__(self, a: Arrangement, pieces: list[Piece], arguments: set[Node], roots: Sequence[Node]) -> None:
        self.a, self.pieces, self.arguments = a, pieces, arguments
        n = len(a.sequence)
        self.n = n
        self.belongs = np.full(n, -1, np.int64)
        for i, p in enumerate(pieces):
            self.belongs[p.run.start : p.run.end] = i
        self.place = {node: i for i, node in enumerate(a.sequence)}
        self.now: dict[int, Node] = {}
        self.rebuilt: dict[Node, Node] = {}
        self.sources: dict[tuple[int, tuple[int, ...]], Source] = {}
        self.wanted: list[dict[int, set[int]]] = [{} for _ in pieces]  # place -> trips read from outside the loop
        self.roots = [a.same.get(r, r) for r in roots]
        self.bodies: list[Body] = []
        self._plan()

    # --- planning: who reads what of which loop ---

    def _plan(self) -> None:
        loops = range(len(self.pieces))
        rows: list[FromLoop] = []
        for i in loops:
            for relations in self.pieces[i].operands:
                for r in relations:
                    if type(r) is Varying:
                        key = (i, r.numbers)
                        if key not in self.sources:
                            found = self.sources[key] = self._source(i, r.numbers)
                            if found is None:
                                self._want(r.numbers)
                            elif type(found) is FromLoop:
                                rows.append(found)
                    elif type(r) is Fixed:
                        self._want((r.number,))
                    elif type(r) is Carried:
                        self._want(r.initial)
        alone = np.flatnonzero(self.belongs < 0)
        starts, flat = self.a.starts, self.a.flat
        for i in alone.tolist():
            self._want(flat[starts[i] : starts[i + 1]].tolist())
        self._want([self.place[r] for r in self.roots if r in self.place])
        self.bodies = [Body(self, i) for i in loops]
        for found in rows:
            self.bodies[found.loop].requested.add(found.place if found.register is None else found.register)

    def _want(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number < self.n and self.belongs[number] >= 0:
                i = int(self.belongs[number])
                run = self.pieces[i].run
                trip, place = divmod(number - run.start, run.period)
                self.wanted[i].setdefault(place, set()).add(trip)

    def _source(self, loop: int, numbers: tuple[int, ...]) -> Source:
        nodes = [self.a.outside[k - self.n] for k in numbers if k >= self.n]
        if len(nodes) == len(numbers):
            if all(isinstance(x, HostValue) and x not in self.arguments and not x.sig.aval.shape for x in nodes):
                line = affine([x.value for x in nodes])  # type: ignore[attr-defined]
                return Counted(*line) if line is not None else None
            return None
        where = [int(self.belongs[k]) if k < self.n else -1 for k in numbers]
        owner = next((w for w in where if w >= 0), -1)
        if owner < 0 or owner == loop:
            return None
        run = self.pieces[owner].run
        trips = [divmod(k - run.start, run.period) if w == owner else None for k, w in zip(numbers, where)]
        places = {t[1] for t in trips if t is not None}
        if len(places) != 1:
            return None
        place = places.pop()
        if all(t is not None for t in trips):
            line = affine([t[0] for t in trips if t is not None])
            return FromLoop(owner, None, place, *line) if line is not None else None
        # the first values of a register among them: what it holds on entering each trip
        for relations in self.pieces[owner].operands:
            for r in relations:
                if type(r) is Carried and r.place == place and r.lag == 1:
                    entering = [
                        t[0] + 1 if t is not None else 0 if k == r.initial[0] else -1 for t, k in zip(trips, numbers)
                    ]
                    line = affine(entering)
                    if line is not None and min(entering) >= 0 and max(entering) < run.trips:
                        return FromLoop(owner, (place, 1, r.initial), place, *line)
        return None

    # --- rebuilding ---

    def outer(self, number: int) -> Node:
        """The node for a number, seen from outside all loops."""
        found = self.now.get(number)
        if found is None:
            if number >= self.n:
                found = self._rebuilt(self.a.outside[number - self.n])
            elif self.belongs[number] >= 0:
                body = self.bodies[int(self.belongs[number])]
                run = self.pieces[int(self.belongs[number])].run
                trip, place = divmod(number - run.start, run.period)
                found = body.value_of(trip, place)
            else:
                found = self._alone(number)
            self.now[number] = found
        return found

    def _rebuilt(self, n: Node) -> Node:
        """An argument, a constant or what is made of them, with equal ones merged."""
        if is_leaf(n) or n.sig.op is ops.constant:
            return n
        found = self.rebuilt.get(n)
        if found is None:
            inputs = tuple(self._rebuilt(self.a.same.get(x, x)) for x in n.inputs)
            same = all(x is y for x, y in zip(inputs, n.inputs))
            found = self.rebuilt[n] = n if same else Node(n.sig, inputs, n.code, n.lasti)
        return found

    def _alone(self, number: int) -> Node:
        n = self.a.sequence[number]
        numbers = self.a.flat[self.a.starts[number] : self.a.starts[number + 1]].tolist()
        if n.sig.op is ops.concatenate and len(numbers) > 2:
            inputs = self._joined(n, numbers)
            if len(inputs) == 1:
                return inputs[0]
            return make(ops.concatenate, inputs, n, axis=n.sig.keyword["axis"])
        inputs = [self.outer(k) for k in numbers]
        if all(x is y for x, y in zip(inputs, n.inputs)):
            return n
        return Node(n.sig, tuple(inputs), n.code, n.lasti)

    def _joined(self, n: Node, numbers: list[int]) -> list[Node]:
        """The operands of a concatenation, those that are rows of one loop's stack in order as one."""
        axis = n.sig.keyword["axis"]
        return [beside(x, axis, n) if whole else x for x, whole in self._in_rows(numbers)]

    def _in_rows(self, numbers: Sequence[int]) -> Iterator[tuple[Node, bool]]:
        """The values of these numbers: those that are rows of one loop's stack in order as one array (True), or one alone."""
        k = 0
        while k < len(numbers):
            end = k + 1
            if numbers[k] < self.n and self.belongs[numbers[k]] >= 0:
                body = self.bodies[int(self.belongs[numbers[k]])]
                p = body.piece.run.period
                stop = body.piece.run.end
                while end < len(numbers) and numbers[end] == numbers[end - 1] + p and numbers[end] < stop:
                    end += 1
                if end - k > 2 and not body.backwards:
                    trip, place = divmod(numbers[k] - body.piece.run.start, p)
                    yield body.rows_of(place, trip, trip + end - k), True
                    k = end
                    continue
            yield self.outer(numbers[k]), False
            k += 1

    def side_by_side(self, numbers: Sequence[int], backwards: bool) -> Node:
        """One value a trip, as rows of one array."""
        parts = list(self._in_rows(numbers[::-1] if backwards else numbers))
        first = self.outer(numbers[-1] if backwards else numbers[0])
        if all(isinstance(x, HostValue) and x not in self.arguments for x, _ in parts):
            return constant_node(np.stack([x.value for x, _ in parts]), first)  # type: ignore[attr-defined]
        shape = (1, *first.sig.aval.shape)
        inputs = [x if whole else make(ops.reshape, [x], x, shape=shape) for x, whole in parts]
        return inputs[0] if len(inputs) == 1 else make(ops.concatenate, inputs, first, axis=0)

    def result(self) -> list[Node]:
        """The nodes for the roots."""
        for n in self.a.early:
            self._rebuilt(n)
        for number in np.flatnonzero(self.belongs < 0).tolist():  # in order, so that nothing recurses deeply
            self.now[number] = self._alone(number)
        found = [self.outer(self.place[r]) if r in self.place else self._rebuilt(r) for r in self.roots]
        for body in self.bodies:
            body.finish()
        self.bodies = []  # they refer back: what is left for the collector would keep a step's buffers from being donated
        return found


def beside(rows: Node, axis: int, like: Node) -> Node:
    """[k, ...] as the k arrays one after another along ``axis``."""
    k, *shape = rows.sig.aval.shape
    if axis:
        order = (*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1))
        rows = make(ops.transpose, [rows], like, permutation=order)
    shape[axis] = math.prod((k, shape[axis]))
    return make(ops.reshape, [rows], like, shape=tuple(shape))
