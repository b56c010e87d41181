"""One loop being made: its body, what leaves it as one large operation, and what it keeps of each trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, HostValue, Node, after_inputs, leaf_signature, placeholder
from ..forms.products import by_longer_rows, contracted_otherwise, reads_a_page_apart, with_longer_rows
from .batching import Operand, batched
from .loop import Count, Loop, Register, Row, Stack, constant_node, loop_signature, make, stand_in, take, turned
from .relations import Carried, Counted, Fixed, FromLoop, Inner, Varying
from .slices import sunk
from .sums import LARGEST, sum_after

if TYPE_CHECKING:
    from .rewrite import Rewriter

_WORTH_LEAVING = {ops.dot_general}


class Body:
    """The body of the loop for one piece. Requests for stacks may come until ``finish`` makes the loop."""

    def __init__(self, program: Rewriter, index: int) -> None:
        self.program, self.piece = program, program.pieces[index]
        self.index, self.wanted = index, program.wanted[index]
        self.trips, self.period = self.piece.run.trips, self.piece.run.period
        self.sample = program.a.sequence[self.piece.run.start]
        self.nodes: list[Node] = []  # by place
        self.fixed: dict[Node, Node] = {}  # stand-in -> outer
        self.rows: dict[Node, tuple[Node, int, int]] = {}  # stand-in -> source, first, step
        self.counts: dict[Node, tuple[int, int]] = {}
        self.registers: dict[tuple[Any, ...], list[Node]] = {}  # (place, lag, initial) -> stand-ins, newest first
        self.first_values: dict[Node, Node] = {}  # a register's stand-in -> outer
        self.stacked: dict[Node, Node] = {}  # node of the body -> the promise of its stack
        self.moved: dict[Node, Node] = {}  # node of the body -> its stack, made of another
        self.finals: dict[int, Node] = {}  # place -> the promise of its last value
        self.replaced: dict[int, Node] = {}  # place -> its last value, computed after the loop
        self.longer: dict[Node, Node] = {}  # fixed matrix, outer -> the same with longer rows
        self.memo: dict[Node, Operand | None] = {}
        self.requested: set[Any] = set()  # places and registers whose stacks other loops read
        self._swap: dict[Node, Node] = {}  # node of the body -> what stands for it now
        self.loop = Node(leaf_signature(placeholder, self.sample.sig.aval.with_shape(())), (), None, 0)
        self.promises: list[tuple[Node, Any]] = []
        self.built = False
        self.backwards = self._runs_backwards()

    def _runs_backwards(self) -> bool:
        """Whether most of what varies is read from the last to the first: then stacks are kept in that order too."""
        steps = [s.step for (i, _), s in self.program.sources.items() if i == self.index and type(s) is FromLoop]
        return sum(s < 0 for s in steps) > sum(s > 0 for s in steps)

    # --- what others ask for ---

    def stack_value(self, place: int) -> Node:
        return self.stack(self._node(place))

    def stack_register(self, key: tuple[Any, ...]) -> Node:
        self._build()
        return self.stack(self.registers[key][-1])

    def slot(self, trip: int) -> int:
        return self.trips - 1 - trip if self.backwards else trip

    def rows_of(self, place: int, lo: int, hi: int) -> Node:
        """The values of a place in trips [lo, hi), of a loop that is not kept backwards."""
        whole = self.stack_value(place)
        return whole if (lo, hi) == (0, self.trips) else _rows(whole, lo, hi, 1)

    def value_of(self, trip: int, place: int) -> Node:
        """What one op of one trip computes."""
        node = self._node(place)
        only_last = self.wanted.get(place, set()) <= {self.trips - 1} and place not in self.requested
        if only_last and node not in self.stacked and node not in self.rows:
            return self._final(place)
        row = _rows(self.stack(node), self.slot(trip), self.slot(trip) + 1, 1)
        return make(ops.reshape, [row], node, shape=node.sig.aval.shape)

    def _final(self, place: int) -> Node:
        if place in self.replaced:
            return self.replaced[place]
        if place not in self.finals:
            total = sum_after(self, place)
            if total is not None:
                self.replaced[place] = total
                return total
            self.finals[place] = self._promise(self._node(place).sig.aval, ("final", place))
        return self.finals[place]

    def stack(self, node: Node) -> Node:
        if node in self.rows:  # it left the loop
            return self._picked(*self.rows[node])
        if node in self.moved:
            return self.moved[node]
        moved = self._moved(node)
        if moved is not None:
            self.moved[node] = moved
            return moved
        if node not in self.stacked:
            aval = node.sig.aval
            self.stacked[node] = self._promise(aval.with_shape((self.trips, *aval.shape)), ("stack", node))
        return self.stacked[node]

    def _moved(self, node: Node) -> Node | None:
        """The stack of what only moves elements, made of another stack or of what is outside: nothing is kept for it."""
        if node.sig.op is ops.dynamic_slice:
            found = self.for_all_trips(node)
            return None if found is None or not found[1] else found[0]
        if node.sig.op is not ops.reshape or node.inputs[0] in self.fixed or self._is_constant(node.inputs[0]):
            return None
        whole = self.stack(node.inputs[0])
        return make(ops.reshape, [whole], node, shape=(self.trips, *node.sig.aval.shape))

    def _promise(self, aval: Aval, what: Any) -> Node:
        found = Node(leaf_signature(placeholder, aval), (self.loop,), None, 0)
        self.promises.append((found, what))
        return found

    # --- the body as recorded ---

    def _node(self, place: int) -> Node:
        self._build()
        return self.nodes[place]

    def _build(self) -> None:
        if self.built:
            return
        self.built = True
        run = self.piece.run
        sequence = self.program.a.sequence
        for place in range(self.period):
            sample = sequence[run.start + place]
            inputs = []
            for relation in self.piece.operands[place]:
                if type(relation) is Inner:
                    inputs.append(self.nodes[relation.place])
                elif type(relation) is Carried:
                    inputs.append(self._register(relation, sequence[run.start + relation.place]))
                elif type(relation) is Fixed:
                    inputs.append(self._fixed(self.program.outer(relation.number)))
                elif isinstance(relation, Varying):
                    inputs.append(self._varying(relation))
            self.nodes.append(self._made(place, sample, inputs))
        self._leave()

    def _made(self, place: int, sample: Node, inputs: list[Node]) -> Node:
        begins = self.piece.begins.get(place)
        if begins is None:
            return self._turned(Node(sample.sig, tuple(inputs), sample.code, sample.lasti))
        starts = []
        for d in range(begins.shape[1]):
            first, step = int(begins[0, d]), int(begins[1, d] - begins[0, d])
            if step:
                starts.append(self._count(first, step, np.int32, sample))
            else:
                starts.append(constant_node(np.array(first, np.int32), sample))
        if sample.sig.op is ops.slice_:
            return make(ops.dynamic_slice, [inputs[0], *starts], sample, sizes=sample.sig.aval.shape)
        background = make(ops.broadcast_in_dim, [inputs[1]], sample, shape=sample.sig.aval.shape, dims=())
        return make(ops.dynamic_update_slice, [background, inputs[0], *starts], sample)

    def _turned(self, n: Node) -> Node:
        """A product of matrices of which one stays: that one turned outside, once, so that it is row by row inside."""
        if n.sig.op is not ops.dot_general or any(x.sig.aval.ndim != 2 for x in n.inputs) or n.sig.keyword["batch"][0]:
            return n
        for which, (x, (dim,)) in enumerate(zip(n.inputs, n.sig.keyword["contract"])):
            outer = self.fixed.get(x)
            if outer is not None and dim == which:
                n = contracted_otherwise(n, which, self._fixed(turned(outer)))
        return n

    def _count(self, first: int, step: int, dtype: Any, like: Node) -> Node:
        here = stand_in(Aval((), dtypes.of_numpy(np.dtype(dtype)), like.sig.aval.device))
        self.counts[here] = (first, step)
        return here

    def _fixed(self, outer: Node) -> Node:
        if self._is_constant(outer):
            return outer  # made anew inside, where it costs nothing
        for here, known in self.fixed.items():
            if known is outer:
                return here
        here = stand_in(outer.sig.aval)
        self.fixed[here] = outer
        return here

    def _register(self, r: Carried, sample: Node) -> Node:
        key = (r.place, r.lag, r.initial)
        found = self.registers.get(key)
        if found is None:
            found = self.registers[key] = [stand_in(sample.sig.aval) for _ in range(r.lag)]
            for k, here in enumerate(found):
                self.first_values[here] = self.program.outer(r.initial[r.lag - 1 - k])
        return found[-1]

    def _varying(self, relation: Varying) -> Node:
        source = self.program.sources[self.index, relation.numbers]
        sample = self.program.a.node(relation.numbers[0])
        if type(source) is Counted:
            return self._count(source.first, source.step, sample.sig.aval.dtype.numpy, sample)
        if type(source) is FromLoop:
            other = self.program.bodies[source.loop]
            stack = (
                other.stack_value(source.place) if source.register is None else other.stack_register(source.register)
            )
            first, step = source.first, source.step
            if other.backwards:
                first, step = other.trips - 1 - first, -step
            return self._row(stack, first, step)
        falls = relation.numbers[self.trips // 2] < relation.numbers[self.trips // 2 - 1]  # the last was computed first
        turned = self.backwards is not falls
        stack = self.program.side_by_side(relation.numbers, turned)
        return self._row(stack, *((self.trips - 1, -1) if turned else (0, 1)))

    def _order(self) -> tuple[int, int]:
        """First row and step that read a stack of this loop in the order of the trips."""
        return (self.trips - 1, -1) if self.backwards else (0, 1)

    def _row(self, source: Node, first: int, step: int) -> Node:
        for here, known in self.rows.items():
            if known == (source, first, step):
                return here
        aval = source.sig.aval
        here = stand_in(aval.with_shape(aval.shape[1:]))
        self.rows[here] = (source, first, step)
        return here

    def _is_constant(self, n: Node) -> bool:
        """Whether it costs nothing to make anew in each trip."""
        if n.sig.op is ops.broadcast_in_dim:
            return n.buffer is None and self._is_constant(n.inputs[0])
        if isinstance(n, HostValue):
            return n not in self.program.arguments
        return n.sig.op is ops.constant or n.sig.op is ops.iota

    # --- what leaves the loop ---

    def _leave(self) -> None:
        """Products of what is not carried are computed for all trips at once, before the loop."""
        carried = {here for found in self.registers.values() for here in found}
        for place, n in enumerate(self.nodes):
            n = self.nodes[place] = self._with_replaced(n)
            if any(x in carried for x in n.inputs):
                if reads_a_page_apart(n) and n.inputs[1] in self.fixed:
                    n = self.nodes[place] = self._read_otherwise(n)
                carried.add(n)
            elif n.sig.op in _WORTH_LEAVING and n.sig.aval.size * self.trips <= LARGEST:
                found = self.for_all_trips(n)
                if found is not None and found[1]:
                    row = self._row(found[0], *self._order())
                    self._swap[n] = row
                    self.nodes[place] = row

    def _read_otherwise(self, n: Node) -> Node:
        """The same product, of a copy of the matrix that stays whose rows do not lie whole pages apart."""
        outer = self.fixed[n.inputs[1]]
        if outer not in self.longer:
            self.longer[outer] = with_longer_rows(outer)
        part = self._swap[n] = by_longer_rows(n, self._fixed(self.longer[outer]))
        return part

    def _with_replaced(self, n: Node) -> Node:
        if any(x in self._swap for x in n.inputs):
            fresh = Node(n.sig, tuple(self._swap.get(x, x) for x in n.inputs), n.code, n.lasti)
            self._swap[n] = fresh
            return fresh
        return n

    def for_all_trips(self, n: Node) -> Operand | None:
        """The values of a node of the body in all trips, in the order that stacks are kept in; None if not known how.

        Only of what is computed without anything carried.
        """
        if n not in self.memo:
            self.memo[n] = self._for_all_trips(n)
        return self.memo[n]

    def _for_all_trips(self, n: Node) -> Operand | None:
        if n in self.fixed:
            return self.fixed[n], False
        if self._is_constant(n):
            return n, False
        if n in self.counts:
            first, step = self.counts[n]
            line = first + step * np.arange(self.trips)
            return constant_node((line[::-1] if self.backwards else line).astype(n.sig.aval.dtype.numpy), n), True
        if n in self.rows:
            source, first, step = self.rows[n]
            return self._picked(source, first, step), True
        if n in self.first_values or not n.inputs:
            return None
        if n.sig.op is ops.dynamic_slice:
            return self._sliced(n)
        operands = []
        for x in n.inputs:
            found = self.for_all_trips(x)
            if found is None:
                return None
            operands.append(found)
        if not any(is_batched for _, is_batched in operands):
            return Node(n.sig, tuple(x for x, _ in operands), n.code, n.lasti), False
        out = batched(n, operands, self.trips)
        return None if out is None else (out, True)

    def _picked(self, source: Node, first: int, step: int) -> Node:
        """Rows first + step * t of a source, in the order that stacks are kept in."""
        if self.backwards:
            first, step = first + step * (self.trips - 1), -step
        if step == 0:
            row = _rows(source, first, first + 1, 1)
            return make(ops.broadcast_in_dim, [row], source, shape=(self.trips, *source.sig.aval.shape[1:]),
                        dims=tuple(range(source.sig.aval.ndim)))  # fmt: skip
        last = first + step * (self.trips - 1)
        lo, hi = min(first, last), max(first, last) + 1
        found = source if (lo, hi, abs(step)) == (0, source.sig.aval.shape[0], 1) else _rows(source, lo, hi, abs(step))
        return found if step > 0 else make(ops.reverse, [found], source, axes=(0,))

    def _sliced(self, n: Node) -> Operand | None:
        """A slice that moves along one dim of what stays, by its own length or of length one."""
        source = self.for_all_trips(n.inputs[0])
        if source is None or source[1]:
            return None
        whole, sizes = source[0], n.sig.keyword["sizes"]
        moving = None
        starts = []
        for d, x in enumerate(n.inputs[1:]):
            if x in self.counts:
                if moving is not None:
                    return None
                moving = d
                starts.append(0)
            elif isinstance(x, HostValue) and x not in self.program.arguments:
                starts.append(int(x.value))
            elif x.sig.op is ops.constant:
                starts.append(int(np.frombuffer(x.sig.keyword["data"], x.sig.aval.dtype.numpy)[0]))
            else:
                return None
        shape = whole.sig.aval.shape
        if moving is None or sizes[moving] != 1:
            return None
        first, step = self.counts[n.inputs[1 + moving]]
        ends = (first, first + step * (self.trips - 1))
        if min(ends) < 0 or max(ends) >= shape[moving]:
            return None  # the recorded op would move it inside
        low = tuple(0 if d == moving else min(max(s, 0), shape[d] - sizes[d]) for d, s in enumerate(starts))
        high = tuple(shape[d] if d == moving else low[d] + sizes[d] for d in range(len(shape)))
        if any(low) or high != shape:
            whole = make(ops.slice_, [whole], n, start=low, limit=high, strides=(1,) * len(shape))
        if moving:
            order = (moving, *[d for d in range(len(shape)) if d != moving])
            whole = make(ops.transpose, [whole], n, permutation=order)
        rows = self._picked(whole, first, step)
        return make(ops.reshape, [rows], n, shape=(self.trips, *sizes)), True

    # --- the loop ---

    def finish(self) -> None:
        """Make the loop of what was asked for, and keep the promises."""
        self._build()
        finals = [what[1] for _, what in self.promises if what[0] == "final"]
        wanted = [self.nodes[p] for p in finals] + list(self.stacked)
        after: dict[Node, Node] = {}
        for (place, _lag, _), chain in self.registers.items():
            for k, here in enumerate(chain):
                after[here] = self.nodes[place] if k == 0 else chain[k - 1]
        used: dict[Node, None] = {}  # in order, so that the module's text is the same in every process
        registers: list[Node] = []
        given = {*self.fixed, *self.rows, *self.counts}
        stack = list(wanted)
        while stack:
            n = stack.pop()
            if n in used:
                continue
            used[n] = None
            if n in after:
                registers.append(n)
                stack.append(after[n])
            elif n not in given:
                stack.extend(n.inputs)
        supplied = given.union(registers)
        body = [n for n in after_inputs(used, lambda n: () if n in supplied else n.inputs) if n not in supplied]
        last: dict[int, Node] = {}
        for place in finals:
            reader: Node | None = next((r for r in registers if after[r] is self.nodes[place]), None)
            if reader is None:  # not read by the next trip, but its last value is wanted
                reader = stand_in(self.nodes[place].sig.aval)
                after[reader] = self.nodes[place]
                registers.append(reader)
                self.first_values[reader] = _zeros(self.nodes[place])
            last[place] = reader
        kept = [*(after[here] for here in registers), *self.stacked]
        body, whole, parts = sunk(body, kept, self.rows)
        used_now = {x for n in body for x in n.inputs}.union(whole.get(n, n) for n in kept)
        fixed = [here for here in self.fixed if here in used]
        rows = [(here, *self.rows[here], (0,) * here.sig.aval.ndim) for here in self.rows if here in used_now]
        rows += [(here, *self.rows[row], box.start) for here, (row, box) in parts.items()]
        sources = list(dict.fromkeys(source for _, source, *_ in rows))
        loop = Loop(
            self.trips, body, fixed, len(sources),
            [Row(here, sources.index(source), *rest) for here, source, *rest in rows],
            [Count(here, *self.counts[here]) for here in self.counts if here in used],
            [Register(here, whole.get(after[here], after[here])) for here in registers],
            [Stack(whole.get(n, n), self.backwards) for n in self.stacked],
        )  # fmt: skip
        inputs = [self.fixed[here] for here in fixed] + sources + [self.first_values[here] for here in registers]
        sample = self.sample
        self.loop.inputs = tuple(inputs)
        self.loop.sig = loop_signature(loop, inputs)
        self.loop.code, self.loop.lasti = sample.code, sample.lasti
        places = {here: k for k, here in enumerate(registers)}
        stacks = {n: len(registers) + k for k, n in enumerate(self.stacked)}
        for promise, (kind, what) in self.promises:
            index = places[last[what]] if kind == "final" else stacks[what]
            promise.sig, promise.inputs = take(self.loop, index)
            promise.code, promise.lasti = sample.code, sample.lasti


def _rows(source: Node, lo: int, hi: int, step: int) -> Node:
    shape = source.sig.aval.shape
    rest = (0,) * (len(shape) - 1)
    return make(
        ops.slice_, [source], source, start=(lo, *rest), limit=(hi, *shape[1:]), strides=(step, *(1 for _ in rest))
    )


def _zeros(n: Node) -> Node:
    aval = n.sig.aval
    zero = constant_node(np.zeros((), aval.dtype.numpy), n)
    return make(ops.broadcast_in_dim, [zero], n, shape=aval.shape, dims=())


__all__ = ["Body"]
