"""A program made for more trips than it was recorded with: its open sizes (see ``sizes``) padded, and told at run time how
much of them is real.

What lies behind the real part of a dim may be anything: rules see to it that it never gets into a real part, and a program
with an op for which there is no such rule is left as it is (``Unpadded``).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from ..lazy import dtypes, ops
from ..lazy.graph import Aval, HostValue, Node, argument, computed, leaf_signature, result, scalar
from .nodes import ELEMENTWISE, make, needed
from .rolling.loop import WHILE, Count, Loop, Register, Row, Stack, loop_signature, stand_in
from .rules.reduction import NEUTRAL
from .sizes import NEAR, Sizes, Unpadded, Var, given_value, stacked

_FIRST = {ops.argmax: ops.reduce_max, ops.argmin: ops.reduce_min}


class Padding:
    """The program for ``roots`` with its open dims of size ``size``. ``order`` holds its nodes, ``rows`` its arguments that
    are laid side by side, ``padded`` those that come with open dims, ``given`` the others, ``hosts`` the host values that
    are arguments with the nodes of the old program that they stand for (None for what this program alone has). ``parts``:
    the nodes that are real parts of arguments (see ``rooms``), which stand for these."""

    def __init__(
        self, order: Sequence[Node], sizes: Sizes, size: int, arguments: set[Node], parts: Container[Node] = (),
    ) -> None:  # fmt: skip
        self.sizes, self.size, self.arguments, self.parts = sizes, size, arguments, parts
        self.order: list[Node] = []
        self.rows: list[tuple[list[Node], list[Node]]] = []  # (old values, new arguments)
        self.padded: list[tuple[Node, Node]] = []
        self.given: list[tuple[Node, Node]] = []
        self.hosts: list[tuple[Node | None, Node]] = []
        self.new: dict[Node, Node] = {}
        self.counts: dict[Var, Node] = {}
        self.real: dict[Var, int] = {}  # the real size of each open class
        self.depth = 0
        for n in order:
            self.note(n)
        for n in order:
            self.new[n] = self.remade(n)

    def note(self, n: Node) -> None:
        """The real sizes of a node's open dims."""
        avals = n.sig.aval.elements if type(n.sig.aval) is not Aval else [n.sig.aval]
        several = type(n.sig.aval) is not Aval
        for k, aval in enumerate(avals):
            for d, real in enumerate(aval.shape):
                found = self.sizes.of(n, d, k if several else None)
                if found is not None and self.real.setdefault(found, real) != real:
                    raise Unpadded("an open size that is not the same everywhere")
        if n.sig.op is WHILE:
            for b in n.sig.attributes[0].body:
                self.note(b)

    def leaves(self) -> list[Node]:
        return [new for _, new in (*self.given, *self.padded, *self.hosts)] + [n for _, news in self.rows for n in news]

    # --- parts ---

    def add(self, n: Node) -> Node:
        self.order.append(n)
        return n

    def make(self, op: Any, inputs: Sequence[Node], like: Node, **attributes: Any) -> Node:
        return self.add(make(op, inputs, like, **attributes))

    def host(self, value: np.ndarray, aval: Aval, old: Node | None) -> Node:
        """A host value as an argument."""
        n = HostValue(leaf_signature(argument, aval), value, None, 0)
        self.hosts.append((old, n))
        self.order.insert(0, n)  # never inside a loop's body
        return n

    def shape(self, n: Node) -> tuple[int, ...]:
        found = [self.sizes.of(n, d) for d in range(n.sig.aval.ndim)]
        return tuple([s if v is None else self.sizes.size(v, self.size) for v, s in zip(found, n.sig.aval.shape)])

    def aval(self, n: Node) -> Aval:
        return n.sig.aval.with_shape(self.shape(n))  # type: ignore[no-any-return]

    def count(self, v: Var, device: Any) -> Node:
        """How much of an open dim is real: from its beginning on, which is not so where it is merged with another."""
        self.alone(v)
        if v not in self.counts:
            self.counts[v] = self.host(np.array(self.real[v], np.int32), Aval((), dtypes.int32, device), None)
        return self.counts[v]

    def alone(self, v: Var | None) -> None:
        if v in self.sizes.factors:
            raise Unpadded("rows of what an open size is merged in")

    def number(self, value: Any, like: Node, dtype: Any = None) -> Node:
        """A 0-d constant of the type of ``like``."""
        aval = like.sig.aval.with_shape(()) if dtype is None else Aval((), dtype, like.sig.aval.device)
        data = np.asarray(value, aval.dtype.numpy).tobytes()
        return self.make(ops.constant, (), like, data=data, aval=aval)

    def masked(self, x: Node, old: Node, dims: Sequence[int], value: Any) -> Node:
        """``x`` with a number in what is not real of some dims."""
        for d in dims:
            v = self.sizes.of(old, d)
            if v is not None:
                shape = x.sig.aval.shape
                line = self.make(ops.iota, (), old, aval=Aval(shape, dtypes.int32, x.sig.aval.device), axis=d)
                end = self.make(ops.broadcast_in_dim, [self.outer(self.count(v, x.sig.aval.device))], old, shape=shape, dims=())
                real = self.make(ops.compare, [line, end], old, direction="LT")
                wide = self.make(ops.broadcast_in_dim, [self.number(value, x)], old, shape=shape, dims=())
                x = self.make(ops.select, [real, x, wide], old)
        return x

    def outer(self, n: Node) -> Node:
        """A value from outside, inside a loop's body."""
        return n if not self.depth else self.taken(n)

    # --- nodes ---

    def remade(self, n: Node) -> Node:
        if isinstance(n, HostValue):
            return self.number_of(n)
        if n.buffer is not None or n in self.parts:
            fresh = Node(leaf_signature(computed, self.aval(n)), (), n.code, n.lasti)
            old = n if n.buffer is not None else n.inputs[0]
            (self.padded if self.sizes.any_open(n) else self.given).append((old, fresh))
            return self.add(fresh)
        if n.sig.op is ops.constant:
            return self.constant(n)
        laid = stacked(n)
        if laid is not None:
            return self.side_by_side(n, *laid)
        if n.sig.op is WHILE:
            return self.loop(n)
        inputs = [self.new[x] for x in n.inputs]
        if not self.sizes.any_open(n) and not any(self.sizes.any_open(x) for x in n.inputs if x.sig.op is not WHILE):
            if n.sig.op is result and n.inputs[0].sig.op is WHILE:
                return self.make(result, inputs, n, index=n.sig.keyword["index"])
            return self.add(Node(n.sig, tuple(inputs), n.code, n.lasti))
        made = self.larger(n, inputs)
        if made.sig.aval.shape != self.shape(n):
            raise Unpadded(f"{n.sig.op.name} of a size that is open only behind it")
        return made

    def number_of(self, n: HostValue) -> Node:
        varies = n in self.arguments or (n.sig.aval.dtype.is_inexact and not _plain(n.value))
        if not varies:
            return self.add(HostValue(n.sig, n.value, n.code, n.lasti))
        found = self.host(n.value, n.sig.aval, n)
        return self.outer(found)

    def constant(self, n: Node) -> Node:
        aval = n.sig.aval
        value = np.frombuffer(n.sig.keyword["data"], aval.dtype.numpy).reshape(aval.shape)
        if not aval.shape:
            if aval.dtype.is_inexact and not _plain(value):
                return self.outer(self.host(value, aval, None))
            return self.add(Node(n.sig, (), n.code, n.lasti))
        if not self.sizes.any_open(n):
            return self.add(Node(n.sig, (), n.code, n.lasti))
        for d in range(aval.ndim):
            self.alone(self.sizes.of(n, d))
        new = self.aval(n)
        edges = [(0, b - a) for a, b in zip(aval.shape, new.shape)]
        return self.outer(self.host(np.pad(value, edges, mode="edge"), new, None))

    def side_by_side(self, n: Node, a: int, b: int) -> Node:
        """The computed values from ``a`` to ``b`` as arguments, as many as there is room for, between the others."""
        old = [given_value(x) for x in n.inputs[a:b]]
        fresh: list[Node] = []
        parts = []
        for _ in range(self.size):
            leaf = Node(leaf_signature(computed, old[0].sig.aval), (), None, 0)  # type: ignore[union-attr]
            fresh.append(self.add(leaf))
            one = n.inputs[0].sig.aval
            parts.append(leaf if leaf.sig.aval is one else self.make(ops.reshape, [leaf], n, shape=one.shape))
        self.rows.append((old, fresh))  # type: ignore[arg-type]
        x = self.make(ops.concatenate, parts, n, axis=0)
        others = [self.new[y] for y in (*n.inputs[:a], *n.inputs[b:])]
        if not others:
            return x
        v = self.sizes.of(n, 0)
        assert v is not None
        end = self.outer(self.count(v, n.sig.aval.device))
        if others[a:]:
            end = self.make(ops.subtract, [end, self.number(len(others) - a, n, dtypes.int32)], n)
        return self.between(n, others[:a], x, others[a:], end, 0)

    def larger(self, n: Node, inputs: list[Node]) -> Node:
        if type(n.sig.aval) is not Aval:
            raise Unpadded(f"{n.sig.op.name} on an open size")
        op, at, shape = n.sig.op, n.sig.keyword, self.shape(n)
        if op is ops.cumsum:
            self.alone(self.sizes.of(n, at["axis"]))
        if op in ELEMENTWISE or op is ops.transpose or op is result or (op is ops.cumsum and not at["reverse"]):
            return self.make(op, inputs, n, **at)
        if op is ops.broadcast_in_dim:
            return self.make(op, inputs, n, shape=shape, dims=at["dims"])
        if op is ops.reshape:
            return self.make(op, inputs, n, shape=shape)
        if op is ops.iota:
            self.alone(self.sizes.of(n, at["axis"]))
            return self.make(op, (), n, aval=self.aval(n), axis=at["axis"])
        if op in NEUTRAL:
            x = self.masked(inputs[0], n.inputs[0], at["axes"], NEUTRAL[op](n.sig.aval.dtype.numpy))
            return self.make(op, [x], n, axes=at["axes"])
        if op is ops.dot_general:
            pairs = zip(inputs, n.inputs, at["contract"])
            return self.make(op, [self.masked(x, old, dims, 0) for x, old, dims in pairs], n, **at)
        if op is ops.concatenate:
            return self.joined(n, inputs, at["axis"])
        if op is ops.slice_ and all(s == 1 for s in at["strides"]):
            return self.sliced(n, inputs[0], at["start"])
        if op is ops.dynamic_slice:
            return self.moved(n, inputs)
        if op is ops.dynamic_update_slice and not self.depth:
            return self.written(n, inputs)
        if op in _FIRST:
            x = self.masked(inputs[0], n.inputs[0], [at["axis"]], NEUTRAL[_FIRST[op]](n.inputs[0].sig.aval.dtype.numpy))
            return self.make(op, [x], n, **at)
        if op is ops.gather and not self.sizes.any_open(n.inputs[0]):
            return self.make(op, inputs, n, **at)
        if op is ops.reverse:
            return self.reversed(n, inputs[0])
        raise Unpadded(f"{op.name} on an open size")

    def sliced(self, n: Node, x: Node, start: Sequence[int]) -> Node:
        """A box with constant corners: single rows of open dims, counted from the beginning or from the end."""
        old, shape = n.inputs[0], self.shape(n)
        corners = []
        for d, (lo, s) in enumerate(zip(start, n.sig.aval.shape)):
            whole = old.sig.aval.shape[d]
            v = self.sizes.of(old, d)
            if s != whole:
                self.alone(v)
                self.alone(self.sizes.of(n, d))
            if v is None and self.sizes.of(n, d) is not None:
                if lo:
                    raise Unpadded("a part from within that is open, of a whole that is not")
                x = self.roomy(x, n, d)
            if v is None or s == whole:
                corners.append(self.number(lo, n, dtypes.int32))
                continue
            if self.sizes.of(n, d) is not None and lo < NEAR:  # all but a few: as many as there is room for, from ``lo`` on
                x = self.pushed(x, n, d, lo)
                corners.append(self.number(0, n, dtypes.int32))
                continue
            if self.sizes.of(n, d) is not None or (s != 1 and lo + s != whole):
                raise Unpadded("several rows of an open size")
            corners.append(self.place(n, v, lo, whole) if s == 1 else self.from_end(n, v, s))
        return self.make(ops.dynamic_slice, [x, *corners], n, sizes=shape)

    def joined(self, n: Node, inputs: list[Node], axis: int) -> Node:
        """An open part with a few rows before it or behind: those behind go where its real part ends."""
        places = [k for k, x in enumerate(n.inputs) if self.sizes.of(x, axis) is not None]
        if not places and self.sizes.of(n, axis) is None:  # only other dims are open
            return self.make(ops.concatenate, inputs, n, axis=axis)
        if len(places) != 1 or self.sizes.of(n, axis) is None:
            raise Unpadded("concatenate of several open sizes")
        k = places[0]
        v = self.sizes.of(n.inputs[k], axis)
        assert v is not None
        lead = self.number(sum(y.sig.aval.shape[axis] for y in inputs[:k]), n, dtypes.int32)
        end = self.make(ops.add, [self.outer(self.count(v, n.sig.aval.device)), lead], n)
        return self.between(n, inputs[:k], inputs[k], inputs[k + 1 :], end, axis)

    def between(self, n: Node, before: list[Node], x: Node, behind: list[Node], end: Node, axis: int) -> Node:
        """An open part between a few rows; ``end``: where those behind begin."""
        shape = self.shape(n)
        if before:
            whole = self.make(ops.concatenate, [*before, x], n, axis=axis)
            x = self.make(ops.slice_, [whole], n, start=(0,) * len(shape), limit=shape, strides=(1,) * len(shape))
        if behind:
            rows = behind[0] if len(behind) == 1 else self.make(ops.concatenate, behind, n, axis=axis)
            zero = self.number(0, n, dtypes.int32)
            x = self.make(ops.dynamic_update_slice, [x, rows, *(end if d == axis else zero for d in range(len(shape)))], n)
        return x

    def pushed(self, x: Node, n: Node, d: int, by: int) -> Node:
        """The rows from ``by`` on at the beginning of a dim, which stays as long."""
        if not by:
            return x
        shape = x.sig.aval.shape
        start = tuple(by if k == d else 0 for k in range(len(shape)))
        rest = self.make(ops.slice_, [x], n, start=start, limit=shape, strides=(1,) * len(shape))
        return self.filled(rest, n, d, by)

    def roomy(self, x: Node, n: Node, d: int) -> Node:
        """At least as many rows as there is room for."""
        lack = self.size - x.sig.aval.shape[d]
        return self.filled(x, n, d, lack) if lack > 0 else x

    def filled(self, x: Node, n: Node, d: int, rows: int) -> Node:
        """So many rows of zeros behind the others of a dim."""
        none = (0,) * x.sig.aval.ndim
        high = tuple([rows if k == d else 0 for k in range(len(none))])
        return self.make(ops.pad, [x, self.number(0, x)], n, low=none, high=high, interior=none)

    def place(self, n: Node, v: Var, at: int, whole: int) -> Node:
        """A row's number, in an open dim of which ``whole`` rows are real."""
        return self.number(at, n, dtypes.int32) if at < NEAR or whole - at > NEAR else self.from_end(n, v, whole - at)

    def from_end(self, n: Node, v: Var, rows: int) -> Node:
        """The number of the row with which the last rows of an open dim begin."""
        count = self.outer(self.count(v, n.sig.aval.device))
        return self.make(ops.subtract, [count, self.number(rows, n, dtypes.int32)], n)

    def at_most_the_last(self, start: Node, n: Node, v: Var) -> Node:
        """A row's number that is not known, in an open dim: behind the end it is the last real one, as ever."""
        dtype = self.new[start].sig.aval.dtype
        count: Node = self.outer(self.count(v, n.sig.aval.device))
        if dtype is not dtypes.int32:
            count = self.make(ops.convert, [count], n, dtype=dtype)
        last = self.make(ops.subtract, [count, self.number(1, n, dtype)], n)
        return self.make(ops.minimum, [self.new[start], last], n)

    def moved(self, n: Node, inputs: list[Node]) -> Node:
        old, sizes = n.inputs[0], n.sig.keyword["sizes"]
        x, starts = inputs[0], list(inputs[1:])
        for d, (start, s) in enumerate(zip(n.inputs[1:], sizes)):
            v, mine = self.sizes.of(old, d), self.sizes.of(n, d)
            whole = old.sig.aval.shape[d]
            if (v is None and mine is None) or s == whole or start in self.counting:
                continue
            at = _whole_number(start)
            if mine is not None:
                self.alone(v)
                self.alone(mine)
                if at is None or at >= NEAR or (at and v is None):
                    raise Unpadded("many rows of an open size, from within")
                x = self.roomy(x, n, d) if v is None else self.pushed(x, n, d, at)
                starts[d] = self.number(0, n, start.sig.aval.dtype)
                continue
            assert v is not None
            if (s != 1 and (at is None or at + s != whole)) or (at is not None and not 0 <= at < whole):
                raise Unpadded("several rows of an open size, or none")
            if at is None:
                starts[d] = self.at_most_the_last(start, n, v)
            elif s != 1 or (at >= NEAR and whole - at <= NEAR):
                starts[d] = self.counted(n, v, whole - at, start)
        return self.make(ops.dynamic_slice, [x, *starts], n, sizes=self.shape(n))

    def counted(self, n: Node, v: Var, rows: int, start: Node) -> Node:
        """``from_end``, of the type of ``start``."""
        place, dtype = self.from_end(n, v, rows), start.sig.aval.dtype
        return place if dtype is dtypes.int32 else self.make(ops.convert, [place], n, dtype=dtype)

    def written(self, n: Node, inputs: list[Node]) -> Node:
        """Single rows of open dims written over, or all of a dim."""
        old, update = n.inputs[:2]
        starts = list(inputs[2:])
        for d, start in enumerate(n.inputs[2:]):
            v = self.sizes.of(old, d)
            whole, rows = old.sig.aval.shape[d], update.sig.aval.shape[d]
            if v is None and self.sizes.of(update, d) is not None:
                raise Unpadded("an open size, written over a part of what is not")
            if v is None or rows == whole:
                continue
            at = _whole_number(start)
            if rows != 1 or at is None or not 0 <= at < whole:
                raise Unpadded("several rows of an open size written over")
            if at >= NEAR and whole - at <= NEAR:
                starts[d] = self.counted(n, v, whole - at, start)
        return self.make(ops.dynamic_update_slice, [*inputs[:2], *starts], n)

    def reversed(self, n: Node, x: Node) -> Node:
        """The real part the other way round, at the beginning."""
        axes = n.sig.keyword["axes"]
        out = self.make(ops.reverse, [x], n, axes=axes)
        for d in axes:
            v = self.sizes.of(n, d)
            if v is not None:
                twice = self.make(ops.concatenate, [out, out], n, axis=d)
                count = self.outer(self.count(v, n.sig.aval.device))
                first = self.make(ops.subtract, [self.number(self.size, n, dtypes.int32), count], n)
                zero = self.number(0, n, dtypes.int32)
                starts = [first if k == d else zero for k in range(out.sig.aval.ndim)]
                out = self.make(ops.dynamic_slice, [twice, *starts], n, sizes=out.sig.aval.shape)
        return out

    # --- loops ---

    counting: frozenset[Node] | set[Node] = frozenset()

    def loop(self, n: Node) -> Node:
        old: Loop = n.sig.attributes[0]
        outside, self.order, self.depth = self.order, [], 1
        self.counting = self.sizes.inside[id(n)]
        more: dict[Node, Node] = {}  # a value from outside -> what stands for it inside

        def taken(x: Node) -> Node:
            if x not in more:
                more[x] = stand_in(x.sig.aval)
            return more[x]

        self.taken = taken
        here = [*old.fixed, *(r.here for r in old.rows), *(c.here for c in old.counts), *(g.here for g in old.registers)]
        for x in here:
            self.new[x] = stand_in(self.aval(x))
        inner: dict[Node, Node] = {}
        for b in old.body:
            inner[b] = self.new.get(b)  # type: ignore[assignment]
            self.new[b] = self.remade(b)
        lifted = [b for b in self.order if isinstance(b, HostValue) and b.sig.op is argument]
        kept = [*(self.new[g.after] for g in old.registers), *(self.new[s.value] for s in old.stacks)]
        body = needed([b for b in self.order if b not in lifted], kept)
        self.order, self.depth, self.counting = [*lifted, *outside], 0, frozenset()
        new = self.new
        trips = old.trips

        def base(first: int, step: int) -> int:
            return first if step >= 0 else first + step * (trips - 1)

        loop = Loop(
            self.size, body, [*(new[x] for x in old.fixed), *more.values()], old.sources,
            [Row(new[r.here], r.source, base(r.first, r.step), r.step, r.start) for r in old.rows],
            [Count(new[c.here], base(c.first, c.step), c.step) for c in old.counts],
            [Register(new[g.here], new[g.after]) for g in old.registers],
            [Stack(new[s.value], s.backwards) for s in old.stacks], True,
        )  # fmt: skip
        for r in old.rows:
            if any(s and self.sizes.of(r.here, d) is not None for d, s in enumerate(r.start)):
                raise Unpadded("a part of a row that is open")
        fixed = len(old.fixed)
        inputs = [self.new[x] for x in n.inputs]
        count = self.trip_count(n)
        inputs = [*inputs[:fixed], *more, *inputs[fixed:], count]
        for b, was in inner.items():
            if was is not None:
                self.new[b] = was  # a constant that is made both inside and outside
        made = Node(loop_signature(loop, inputs), tuple(inputs), n.code, n.lasti)
        return self.add(made)

    def trip_count(self, n: Node) -> Node:
        v: Var = (id(n), "trips", 0)
        self.real[v] = n.sig.attributes[0].trips
        return self.count(v, n.sig.aval.device)


def _plain(value: np.ndarray) -> bool:
    """Whether a number is one that formulas have anyway, whatever a size is."""
    return value.shape == () and (not np.isfinite(value) or float(abs(value)) in (0.0, 1.0))


def _whole_number(n: Node) -> int | None:
    if isinstance(n, HostValue) and n.sig.op is scalar:
        return int(n.value)
    if n.sig.op is ops.constant:
        return int(np.frombuffer(n.sig.keyword["data"], n.sig.aval.dtype.numpy)[0])
    return None


__all__ = ["Padding"]
