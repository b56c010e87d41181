"""How the operands of a repeated piece relate from trip to trip: what is carried, what stays, what varies."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...lazy import ops
from ...lazy.graph import Aval, result
from .sequence import Arrangement, Run

LAGS = 4  # how many trips back an op may read


class Inner(NamedTuple):
    """Computed in the same trip, by the op at this place."""

    place: int


class Carried(NamedTuple):
    """Computed ``lag`` trips before by the op at this place; ``initial[t]`` is read in the first trips instead."""

    place: int
    lag: int
    initial: tuple[int, ...]


class Fixed(NamedTuple):
    """The same in all trips."""

    number: int


class Varying(NamedTuple):
    """Another in each trip."""

    numbers: tuple[int, ...]


Relation = Inner | Carried | Fixed | Varying


class FromLoop(NamedTuple):
    """Varying operands that are one value of an earlier loop, trip by trip: its place, or a register's, and the trips."""

    loop: int
    register: tuple[Any, ...] | None
    place: int
    first: int
    step: int


class Counted(NamedTuple):
    """Varying operands that are whole numbers growing by equal steps."""

    first: int
    step: int


Source = FromLoop | Counted | None  # None: another value in each trip, to be laid side by side


class Piece(NamedTuple):
    """A run whose pieces are the same but for what their operands say: ``operands[place]``, one relation each.

    ``begins[place]``: where a slice begins or a padding ends in each trip [trips, dims], if that varies.
    """

    run: Run
    operands: list[list[Relation]]
    begins: dict[int, np.ndarray]


def piece(a: Arrangement, run: Run) -> Piece | None:
    """The run, or what remains of it when the few first or last trips are left out that do not fit; None if nothing."""
    run = _best_cut(a, run)
    for drop_first in (0, 1, 2):
        for drop_last in (0, 1, 2):
            trips = run.trips - drop_first - drop_last
            if trips >= 3:
                shorter = Run(run.start + drop_first * run.period, run.period, trips)
                found = _relations(a, shorter)
                if found is not None:
                    return found
    return None


def _table(a: Arrangement, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """numbers[trip, operand] of all operands of a trip, and the place of the op that each belongs to."""
    lo, hi = a.starts[run.start], a.starts[run.end]
    first = a.starts[run.start : run.start + run.period + 1]
    owners = np.repeat(np.arange(run.period), np.diff(first))
    return a.flat[lo:hi].reshape(run.trips, -1), owners


def _best_cut(a: Arrangement, run: Run) -> Run:
    """The same run, its trips beginning where the fewest numbers cross from one to the next.

    A run may be found beginning anywhere in a trip, but a loop carries what crosses its boundary.
    """
    p = run.period
    if run.trips < 4 or p == 1:
        return run
    numbers, owners = _table(a, run)
    base = run.start + p * np.arange(run.trips)[:, None]
    relative = numbers - base
    middle = run.trips // 2
    steady = (relative[middle] == relative[-1]) & (numbers[middle] != numbers[-1])
    crossing = np.zeros(p, np.int64)
    sizes: dict[tuple[int, int], int] = {}
    for owner, r in zip(owners[steady].tolist(), relative[-1][steady].tolist()):
        place = r % p
        reach = owner - r  # how many ops lie between
        key = (place, reach)
        if 0 < reach <= LAGS * p and key not in sizes:
            aval = a.sequence[run.start + place].sig.aval
            sizes[key] = aval.size if type(aval) is Aval else 1 << 40  # several results at once are not carried
            for k in range(place + 1, place + reach + 1):
                crossing[k % p] += sizes[key]
    # beginning at the cut c gives up the ops before it; prefer the recorded beginning where nothing is gained
    best = 0
    whole = _extent(a, run)
    for c in range(p):
        trips = (whole - c) // p
        if trips >= run.trips - 1 and crossing[c] < crossing[best]:
            best = c
    return run if best == 0 else Run(run.start + best, p, (whole - best) // p)


def _extent(a: Arrangement, run: Run) -> int:
    """How many ops from the run's start on repeat with its period, counting a last trip that is not whole."""
    kinds, p = a.kinds, run.period
    end = run.end
    while end < len(kinds) and kinds[end] == kinds[end - p]:
        end += 1
    return end - run.start


def _relations(a: Arrangement, run: Run) -> Piece | None:
    numbers, owners = _table(a, run)
    trips, p = run.trips, run.period
    base = run.start + p * np.arange(trips)[:, None]
    relative = numbers - base
    last = relative[-1]
    fixed = (numbers == numbers[0]).all(0) & ((numbers[0] < run.start) | (numbers[0] >= len(a.sequence)))
    inner = (relative == last).all(0) & (last >= 0) & (last < p)
    outer = (numbers < run.start) | (numbers >= len(a.sequence))
    if _parted(a, run):
        return None
    operands: list[list[Relation]] = [[] for _ in range(p)]
    for k, owner in enumerate(owners.tolist()):
        r = int(last[k])
        lag = -(r // p)  # 0 for the same trip
        if a.sequence[run.start + owner].sig.op is result and not inner[k]:
            return None
        if fixed[k]:
            relation: Relation = Fixed(int(numbers[0, k]))
        elif inner[k]:
            relation = Inner(r)
        elif 0 < lag <= LAGS and lag < trips and (relative[lag:, k] == r).all() and outer[:lag, k].all():
            relation = Carried(r % p, lag, tuple(numbers[:lag, k].tolist()))
        elif outer[:, k].all():
            relation = Varying(tuple(numbers[:, k].tolist()))
        else:
            return None
        operands[owner].append(relation)
    begins: dict[int, np.ndarray] = {}
    for place in range(p):
        sig = a.sequence[run.start + place].sig
        if sig.op is ops.slice_ or sig.op is ops.pad:
            name = "start" if sig.op is ops.slice_ else "low"
            found = np.array([a.sequence[run.start + t * p + place].sig.keyword[name] for t in range(trips)], np.int64)
            found = found.reshape(trips, -1)
            if (found != found[0]).any():
                steps = np.diff(found, axis=0)
                if (steps != steps[0]).any() or (sig.op is ops.slice_ and any(s != 1 for s in sig.keyword["strides"])):
                    return None
                if sig.op is ops.pad and (found < 0).any():
                    return None
                begins[place] = found
    return Piece(run, operands, begins)


def _parted(a: Arrangement, run: Run) -> bool:
    """Whether an op with several results is in the run, and one of its results behind it."""
    for i in range(run.end, min(run.end + run.period, len(a.sequence))):
        if a.sequence[i].sig.op is result and run.start <= a.flat[a.starts[i]] < run.end:
            return True
    return False


def affine(values: Any) -> tuple[int, int] | None:
    """(first, step) if the whole numbers grow by equal steps."""
    v = np.asarray(values)
    if v.dtype.kind not in "iu" or len(v) < 2:
        return None
    v = v.astype(np.int64)
    steps = np.diff(v)
    return (int(v[0]), int(steps[0])) if (steps == steps[0]).all() else None
