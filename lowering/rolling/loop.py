"""A loop as a node of the graph, and how it becomes ``stablehlo.while``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, Node, Op, Several, Signature, leaf_signature, placeholder, result, signature
from ..emit import Builder, Value, fill, rule
from ..nodes import make

WHILE = Op.__new__(Op)  # not in the table: it is never recorded, only made of what was
WHILE.name, WHILE.attributes, WHILE.signatures = "while", ("loop",), {}


class Row(NamedTuple):
    """In trip t, row ``first + step * t`` of a loop input, or the part of it that begins at ``start``."""

    here: Node
    source: int
    first: int
    step: int
    start: tuple[int, ...]


class Count(NamedTuple):
    """In trip t, the whole number ``first + step * t``."""

    here: Node
    first: int
    step: int


class Register(NamedTuple):
    """A value carried from trip to trip: where the body reads it, and what it is in the next trip."""

    here: Node
    after: Node


class Stack(NamedTuple):
    """A value of each trip, kept: in order of the trips, or from the last to the first."""

    value: Node
    backwards: bool


class Loop(NamedTuple):
    """What a loop does. Its inputs are, in order: ``fixed``, the sources of rows, the first values of ``registers``.
    Its results: the last values of ``registers``, then ``stacks`` [trips, ...].

    If it is ``counted``, there is one input more: how many of the ``trips`` are made. Where a step is negative, ``first``
    then is what is read in the last of these."""

    trips: int
    body: list[Node]
    fixed: list[Node]
    sources: int
    rows: list[Row]
    counts: list[Count]
    registers: list[Register]
    stacks: list[Stack]
    counted: bool = False


def stand_in(aval: Aval) -> Node:
    """A node that stands for a value that the loop supplies."""
    return Node(leaf_signature(placeholder, aval), (), None, 0)


def loop_signature(loop: Loop, inputs: Sequence[Node]) -> Signature:
    avals = [r.here.sig.aval for r in loop.registers]
    avals += [s.value.sig.aval.with_shape((loop.trips, *s.value.sig.aval.shape)) for s in loop.stacks]
    return Signature(WHILE, tuple(n.sig.aval for n in inputs), (loop,), Several(tuple(avals)))


def constant_node(array: np.ndarray, like: Node) -> Node:
    aval = Aval(array.shape, dtypes.of_numpy(array.dtype), like.sig.aval.device)
    return make(ops.constant, (), like, data=np.ascontiguousarray(array).tobytes(), aval=aval)


def turned(n: Node) -> Node:
    """The transpose of a matrix; of a transpose, the matrix."""
    if n.sig.op is ops.transpose and n.buffer is None:
        return n.inputs[0]
    return make(ops.transpose, [n], n, permutation=(1, 0))


def take(loop: Node, index: int) -> tuple[Signature, tuple[Node, ...]]:
    """Signature and inputs of the node that takes one result out of a loop."""
    return signature(result, (loop.sig.aval,), (index,)), (loop,)


@rule(WHILE)
def _while(b: Builder, sig: Signature, *operands: Value, loop: Loop) -> Sequence[Value]:
    device = sig.aval.device
    number = Aval((), dtypes.int32, device)
    fixed, sources = len(loop.fixed), loop.sources
    trips = b.full(loop.trips, number)
    if loop.counted:
        *operands, trips = operands  # type: ignore[assignment]
    registers = list(operands[fixed + sources :])
    avals = list(sig.aval.elements)
    stacks = [b.full(0, a) for a in avals[len(registers) :]]
    state = [b.full(0, number), *registers, *stacks, *operands[: fixed + sources]]

    def body(counter: Value, *rest: Value) -> list[Value]:
        now, rest = rest[: len(registers)], rest[len(registers) :]
        kept, given = list(rest[: len(stacks)]), rest[len(stacks) :]
        values: dict[Node, Value] = dict(zip(loop.fixed, given))
        left = counter
        if loop.counted:  # trips still to be made after this one
            left = b.op("stablehlo.subtract", [trips, b.op("stablehlo.add", [counter, b.full(1, number)], number)], number)

        def line(first: int, step: int, aval: Aval) -> Value:
            if loop.counted and step < 0:
                return _line(b, left, first, -step, aval)
            return _line(b, counter, first, step, aval)

        values.update((r.here, v) for r, v in zip(loop.registers, now))
        for c in loop.counts:
            values[c.here] = line(c.first, c.step, c.here.sig.aval)
        zero = b.full(0, number)
        for r in loop.rows:
            aval = r.here.sig.aval
            one = aval.with_shape((1, *aval.shape))
            start = [line(r.first, r.step, number), *[b.full(at, number) for at in r.start]]
            row = b.op("stablehlo.dynamic_slice", [given[fixed + r.source], *start], one, slice_sizes=b.ints(one.shape))
            values[r.here] = b.op("stablehlo.reshape", [row], aval)
        fill(b, loop.body, values, {r.after for r in loop.registers} | {s.value for s in loop.stacks})
        for k, s in enumerate(loop.stacks):
            aval = s.value.sig.aval
            one = b.op("stablehlo.reshape", [values[s.value]], aval.with_shape((1, *aval.shape)))
            at_row = line(0 if loop.counted else loop.trips - 1, -1, number) if s.backwards else counter
            start = [at_row] + [zero] * aval.ndim
            kept[k] = b.op("stablehlo.dynamic_update_slice", [kept[k], one, *start], avals[len(registers) + k])
        after = [values[r.after] for r in loop.registers]
        following = b.op("stablehlo.add", [counter, b.full(1, number)], number)
        return [following, *after, *kept, *given]

    return b.repeat(state, lambda counter, *_: b.compare("LT", counter, trips, number), body)[1 : 1 + len(avals)]


def _line(b: Builder, counter: Value, first: int, step: int, aval: Aval) -> Value:
    """first + step * counter, as a number of the type."""
    value = counter
    if aval.dtype is not dtypes.int32:
        value = b.op("stablehlo.convert", [value], aval)
    if step != 1:
        value = b.op("stablehlo.multiply", [value, b.full(step, aval)], aval)
    return value if first == 0 else b.op("stablehlo.add", [value, b.full(first, aval)], aval)
