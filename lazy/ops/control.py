"""Control flow that stays on the device: a loop and a choice, with bodies that are recorded programs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..dtypes import bool_, int32
from ..graph import (
    LEAVES,
    Aval,
    HostValue,
    Node,
    Op,
    Several,
    Signature,
    after_inputs,
    define,
    leaf_signature,
    placeholder,
    signature,
)
from .rules import expect
from .shape import constant


class Region:
    """A program as an attribute of an op: ``outputs`` in terms of ``inputs``, which are placeholders, and nothing else.

    Interned by what it does, so that the same body recorded again is the same attribute. ``order`` has what is between
    the two, each node after its inputs.
    """

    __slots__ = ("inputs", "order", "outputs")
    _interned: ClassVar[dict[Any, Region]] = {}
    inputs: tuple[Node, ...]
    order: tuple[Node, ...]
    outputs: tuple[Node, ...]

    def __new__(cls, inputs: Sequence[Node], outputs: Sequence[Node]) -> Region:
        """The region that computes the nodes ``outputs`` from the nodes ``inputs``; those are left as they are."""
        place: dict[Node, int] = {}
        for n in inputs:
            place.setdefault(n, len(place))
        order = [n for n in after_inputs(outputs, lambda n: () if n in place else n.inputs) if n not in place]
        key: list[Any] = [tuple([n.sig.aval for n in inputs])]
        fixed: dict[Node, Signature] = {}  # numbers that are no inputs never vary
        for n in order:
            if isinstance(n, HostValue):
                fixed[n] = signature(constant, (), (n.value.tobytes(), n.sig.aval))
            elif n.buffer is not None or n.sig.op in LEAVES:
                raise RuntimeError(f"internal error: {n!r} is used in a region, but is none of its inputs")
            key += [fixed.get(n, n.sig), *[place[x] for x in n.inputs]]
            place[n] = len(place)
        key += [None, *[place[n] for n in outputs]]
        found = cls._interned.get(tuple(key))
        if found is None:
            found = cls._interned[tuple(key)] = super().__new__(cls)
            made: list[Node] = [Node(leaf_signature(placeholder, n.sig.aval), (), None, 0) for n in inputs]
            found.inputs = tuple(made)
            for n in order:
                made.append(Node(fixed.get(n, n.sig), tuple([made[place[x]] for x in n.inputs]), n.code, n.lasti))
            found.order = tuple(made[len(inputs) :])
            found.outputs = tuple([made[place[n]] for n in outputs])
        return found

    @property
    def types(self) -> tuple[Aval, ...]:
        """Of the inputs."""
        return tuple([n.sig.aval for n in self.inputs])

    @property
    def results(self) -> tuple[Aval, ...]:
        """The types of the outputs."""
        return tuple([n.sig.aval for n in self.outputs])

    def __repr__(self) -> str:
        return f"<{len(self.order)} ops>"


def numbers_in(outputs: Iterable[Node], inputs: Iterable[Node]) -> list[HostValue]:
    """The numbers of the user's program that nodes are computed from, beside the ``inputs``."""
    given = set(inputs)
    found = after_inputs(outputs, lambda n: () if n in given or isinstance(n, HostValue) else n.inputs)
    return [n for n in found if isinstance(n, HostValue) and n not in given]


class Loop(NamedTuple):
    """What a loop does. Its operands are, in order: the number of trips if ``counted``, the first values of what is
    ``carried``, the ``sliced`` operands, of which each trip reads a row of dim 0, and all else that its regions read.
    Its results: the last values carried, a row a trip of what else ``body`` gives, and if there is a ``test`` the number of
    trips. ``body(trip, *carried, *rows, *rest) -> (*carried, *rows)``; ``test(trip, *carried, *rest) -> bool``.

    There are ``trips`` at most (None: as many as ``test`` says). Rows are read and kept by the number of the trip, from the
    last to the first if ``backwards``.
    """

    body: Region
    test: Region | None
    carried: int
    sliced: int
    trips: int | None
    backwards: bool = False
    counted: bool = False

    @property
    def first(self) -> int:
        """Where the carried operands begin."""
        return int(self.counted)

    @property
    def rest(self) -> int:
        """Where the operands begin that each trip reads as they are."""
        return self.first + self.carried + self.sliced

    def split(self, operands: Sequence[Any]) -> tuple[Any, list[Any], list[Any], list[Any]]:
        """The number of trips or None, and the carried, the sliced and the remaining operands."""
        c = self.first
        bound = operands[0] if self.counted else None
        rest = list(operands[c:])
        n = self.carried
        return bound, rest[:n], rest[n : n + self.sliced], rest[n + self.sliced :]


def _while(*operands: Aval, loop: Loop) -> Several:
    bound, carried, sliced, rest = loop.split(operands)
    device = loop.body.inputs[0].sig.aval.device
    number = Aval((), int32, device)
    expect(bound is None or bound is number, f"the number of trips must be {number!r}, got {bound!r}")
    rows = []
    for x in sliced:
        expect(x.ndim > 0 and x.shape[0] == loop.trips, f"{loop.trips} rows are expected, got {x!r}")
        rows.append(x.with_shape(x.shape[1:]))
    expected = (number, *carried, *rows, *rest)
    expect(loop.body.types == expected, f"the body takes {loop.body.types}, but is given {expected}")
    results = loop.body.results
    expect(results[: loop.carried] == tuple(carried), f"{results[: loop.carried]} cannot be carried on as {tuple(carried)}")
    expect(loop.trips is not None or len(results) == len(carried), "rows are kept of a known number of trips only")
    expect(loop.trips is not None or loop.test is not None, "a loop without an end")
    kept = [a.with_shape((loop.trips, *a.shape)) for a in results[loop.carried :]]  # type: ignore[arg-type]
    if loop.test is not None:
        expect(loop.test.types == (number, *carried, *rest), f"the test takes {loop.test.types}")
        expect(loop.test.results == (Aval((), bool_, device),), f"the test gives {loop.test.results}, not one bool")
        kept.append(number)
    return Several((*carried, *kept))


def evaluated(region: Region, arrays: Iterable[Any]) -> list[Any]:
    """A region's outputs by the NumPy meanings of its ops."""
    values = dict(zip(region.inputs, arrays))
    for n in region.order:
        values[n] = n.sig.op.meaning(*[values[x] for x in n.inputs], **n.sig.keyword)
    return [values[n] for n in region.outputs]


def _while_meaning(*operands: Any, loop: Loop) -> tuple[Any, ...]:
    bound, carried, sliced, rest = loop.split(operands)
    trips = loop.trips if bound is None else min(int(bound), loop.trips or 0)
    stacks = [np.zeros((loop.trips, *a.shape), a.dtype.numpy) for a in loop.body.results[loop.carried :]]  # type: ignore[type-var]
    t = 0
    while (trips is None or t < trips) and (
        loop.test is None or evaluated(loop.test, [np.int32(t), *carried, *rest])[0]
    ):
        row = trips - 1 - t if loop.backwards and trips is not None else t
        out = evaluated(loop.body, [np.array(t, np.int32), *carried, *[x[row] for x in sliced], *rest])
        carried = out[: loop.carried]
        for s, y in zip(stacks, out[loop.carried :]):
            s[row] = y
        t += 1
    count = () if loop.test is None else (np.array(t, np.int32),)
    return (*[np.array(c) for c in carried], *stacks, *count)


def _case(index: Aval, *operands: Aval, branches: tuple[Region, ...]) -> Several:
    expect(index.shape == () and index.dtype is int32, f"the number of a branch must be an int32, got {index!r}")
    for b in branches:
        expect(b.types == operands, f"a branch takes {b.types}, but is given {operands}")
        expect(b.results == branches[0].results, f"branches give {branches[0].results} and {b.results}")
    return Several(branches[0].results)


def _case_meaning(index: Any, *operands: Any, branches: tuple[Region, ...]) -> tuple[Any, ...]:
    k = int(index) if 0 <= int(index) < len(branches) else len(branches) - 1
    return tuple([np.array(x) for x in evaluated(branches[k], operands)])


while_loop = define("while", _while, _while_meaning, "A body again and again, on what it gave in the trip before.", ("loop",))
case = define(
    "case", _case, _case_meaning, "What one of several branches gives, chosen by number (out of range: the last).",
    ("branches",),
)  # fmt: skip

IRREVERSIBLE = (
    "a while_loop of an unknown number of trips can be differentiated forward (lx.func.jvp) but not in reverse, which would "
    "have to keep what was carried in each trip: give while_loop max_trips=, the most there can be"
)


def _transposed(*_: Any, avals: tuple[Aval, ...], line: str) -> Any:
    raise RuntimeError(f"{IRREVERSIBLE}  (recorded at {line})")


# What a gradient through such a loop would be. It is never computed: only its derivative with respect to the gradients that
# it is made from, which it is linear in, and that is the tangent. Not in the table: nobody records it but that rule.
TRANSPOSED = Op.__new__(Op)
TRANSPOSED.name, TRANSPOSED.attributes, TRANSPOSED.signatures = "while_transposed", ("avals", "line"), {}
TRANSPOSED.meaning = _transposed
__all__ = ["IRREVERSIBLE", "TRANSPOSED", "Loop", "Region", "case", "evaluated", "numbers_in", "while_loop"]
