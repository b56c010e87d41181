"""Where a recorded program repeats itself: its ops in an order that shows it, and the runs of equal pieces in that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ...lazy import ops
from ...lazy.graph import LEAVES, HostValue, Node, Signature

SLICES = {ops.slice_, ops.dynamic_slice}
MOVES = {ops.slice_, ops.dynamic_slice, ops.reshape, ops.transpose, ops.broadcast_in_dim, ops.convert}
TRIPS = 4  # fewer are no loop
SHORT = 3  # ops in a row: what is computed in fewer from arguments is the preparation of a loop, not its trips
WINDOW = 8  # ops that must come again for a place to be looked at


class Arrangement(NamedTuple):
    """A program in two parts. ``early`` is computed from arguments and constants alone and shared by several ops;
    ``sequence`` is the rest, each op that only moves elements beside the op that reads it.

    Nodes are numbered: those of the sequence by their place, then the others. ``flat[starts[i]:starts[i + 1]]`` are the
    numbers of the operands of the i-th.
    """

    early: list[Node]
    sequence: list[Node]
    outside: list[Node]  # arguments, constants, and what is early; numbered from len(sequence)
    flat: np.ndarray
    starts: np.ndarray
    kinds: np.ndarray
    same: dict[Node, Node]  # a node -> the one that stands for it

    def node(self, number: int) -> Node:
        n = len(self.sequence)
        return self.sequence[number] if number < n else self.outside[number - n]


def is_leaf(n: Node) -> bool:
    return n.sig.op in LEAVES or n.buffer is not None


def arrange(order: Iterable[Node], roots: set[Node], arguments: set[Node]) -> Arrangement:
    """``arguments``: the host values that vary from run to run, so that two with equal values may not become one."""
    same, shared, nodes = _merged(order, arguments)
    early_set = _with_inputs(shared, same)
    users: dict[Node, list[Node]] = {}
    inputs: dict[Node, list[Node]] = {}
    for n in nodes:
        if not is_leaf(n):
            inputs[n] = found = [same.get(x, x) for x in n.inputs]
            for x in found:
                users.setdefault(x, []).append(n)
    early = [n for n in nodes if n in early_set and not is_leaf(n)]
    rest = [n for n in nodes if n not in early_set and not is_leaf(n) and n.sig.op is not ops.constant]
    sequence = _beside_readers(rest, users, inputs, roots)
    number = {n: i for i, n in enumerate(sequence)}
    outside: list[Node] = []
    flat: list[int] = []
    starts = [0]
    for n in sequence:
        for x in inputs[n]:
            place = number.get(x)
            if place is None:
                place = number[x] = len(sequence) + len(outside)
                outside.append(x)
            flat.append(place)
        starts.append(len(flat))
    kinds: dict[Any, int] = {}
    return Arrangement(
        early, sequence, outside, np.array(flat, np.int64), np.array(starts, np.int64),
        np.array([kinds.setdefault(_kind(n.sig), len(kinds)) for n in sequence], np.int64), same,
    )  # fmt: skip


def _merged(order: Iterable[Node], arguments: set[Node]) -> tuple[dict[Node, Node], set[Node], list[Node]]:
    """Equal constants, and equal short computations on arguments and constants, as one; which were met more than once."""
    same: dict[Node, Node] = {}
    shared: set[Node] = set()
    known: dict[Any, Node] = {}
    depth: dict[Node, int] = {}  # of what is computed from arguments and constants in few ops
    nodes: list[Node] = []
    for n in order:
        key: Any
        if isinstance(n, HostValue):
            depth[n] = 0
            if n in arguments:
                nodes.append(n)
                continue
            key = (n.sig, n.value.tobytes())
        elif n.buffer is not None:
            depth[n] = 0
            nodes.append(n)
            continue
        else:
            inputs = [same.get(x, x) for x in n.inputs]
            below = [0 if x.buffer is not None else depth.get(x, SHORT) for x in inputs]
            if n.sig.op in SLICES or max(below, default=0) >= SHORT:
                nodes.append(n)
                continue
            depth[n] = 1 + max(below, default=0)
            key = (n.sig, *inputs)
        found = known.setdefault(key, n)
        if found is n:
            nodes.append(n)
        else:
            same[n] = found
            shared.add(found)
    return same, shared, nodes


def _with_inputs(nodes: Iterable[Node], same: dict[Node, Node]) -> set[Node]:
    found: set[Node] = set()
    stack = list(nodes)
    while stack:
        n = stack.pop()
        if n not in found:
            found.add(n)
            if n.buffer is None:
                stack.extend(same.get(x, x) for x in n.inputs)
    return found


def _beside_readers(
    nodes: list[Node], users: dict[Node, list[Node]], inputs: dict[Node, list[Node]], roots: set[Node]
) -> list[Node]:
    """The nodes with what only moves elements put before its first reader; or, if a concatenation reads it, after what
    it is made from, so that each piece of a result is beside the loop's trip that makes it."""
    here = set(nodes)
    late: set[Node] = set()
    follows: dict[Node, list[Node]] = {}
    for n in nodes:
        if n.sig.op in MOVES:
            readers = users.get(n, ())
            if readers and readers[0].sig.op is not ops.concatenate:
                late.add(n)
            elif readers and inputs[n] and inputs[n][0] in here:
                follows.setdefault(inputs[n][0], []).append(n)
                late.add(n)
    found: list[Node] = []
    done: set[Node] = set()
    for first in nodes:
        if first in late:
            continue
        stack = [(first, False)]
        while stack:
            n, ready = stack.pop()
            if n in done:
                continue
            if not ready:
                stack.append((n, True))
                stack.extend((x, False) for x in reversed(inputs[n]) if x in late and x not in done)
                continue
            done.add(n)
            found.append(n)
            stack.extend((x, False) for x in reversed(follows.get(n, ())))
    for n in nodes:  # read by nobody that is emitted: a root
        if n not in done:
            found.append(n)
            done.add(n)
    return found


def _kind(sig: Signature) -> Any:
    """What must be equal for two ops to be the same op in two trips: where a slice begins may differ."""
    if sig.op is ops.slice_:
        return (sig.op, sig.inputs, sig.aval, sig.keyword["strides"])
    if sig.op is ops.pad and not any(sig.keyword["interior"]):
        return (sig.op, sig.inputs, sig.aval)
    return sig


class Run(NamedTuple):
    """``trips`` equal pieces of ``period`` ops, the first beginning at ``start``."""

    start: int
    period: int
    trips: int

    @property
    def end(self) -> int:
        return self.start + self.period * self.trips


def runs(a: Arrangement, least: int = TRIPS) -> list[Run]:
    """Disjoint stretches of the sequence that repeat a piece at least ``least`` times, those that save most first."""
    kinds = a.kinds
    n = len(kinds)
    if n < 2 * WINDOW:
        return []
    found: list[tuple[int, Run, int]] = []  # what it saves, the run, and how far it would go on with a trip that is not whole
    for p in _periods(kinds):
        equal = kinds[:-p] == kinds[p:]
        edges = np.flatnonzero(np.diff(np.concatenate(([False], equal, [False])).astype(np.int8)))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist()):
            trips = (end - start) // p + 1
            if trips >= least:
                found.append(((trips - 1) * p, Run(start, p, trips), end + p))
    found.sort(key=lambda each: (-each[0], each[1].period))
    taken = np.zeros(n, bool)
    chosen = []
    for _, run, end in found:
        rest = _free(taken, run, end)
        if rest.trips >= least:
            taken[rest.start : rest.end] = True
            chosen.append(rest)
    return sorted(chosen)


def _free(taken: np.ndarray, run: Run, end: int) -> Run:
    """The run without what others have taken of its first and last trips: where one loop follows another, the last ops of
    the first may well be as those before the first of the second."""
    if not taken[run.start : run.end].any():
        return run
    free = np.flatnonzero(~taken[run.start : end])
    if not len(free):
        return run._replace(trips=0)
    lo, hi = run.start + int(free[0]), run.start + int(free[-1]) + 1
    return Run(lo, run.period, 0 if taken[lo:hi].any() else (hi - lo) // run.period)


def _periods(kinds: np.ndarray) -> list[int]:
    """Distances at which the same ops come again, the frequent ones."""
    weights = np.random.default_rng(0).integers(1, 1 << 62, int(kinds.max()) + 1, dtype=np.int64)
    values = weights[kinds]
    window = np.zeros(len(kinds) - WINDOW + 1, np.int64)
    for k in range(WINDOW):  # a hash that depends on the order of the ops in the window
        window = window * 1_000_003 + values[k : len(values) - WINDOW + 1 + k]
    by_hash = np.argsort(window, kind="stable")
    distance = np.diff(by_hash)[np.diff(window[by_hash]) == 0]
    candidates, counts = np.unique(distance[distance > 0], return_counts=True)
    enough = counts >= candidates * (TRIPS - 1) // 2
    ranked = sorted(zip((-counts[enough]).tolist(), candidates[enough].tolist()))
    return [p for _, p in ranked[:64]]
