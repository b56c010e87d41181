"""Running combinations along an axis: on the CPU as one loop, elsewhere by pairs.

XLA has no operation whose result depends on the one before it but a loop, of which its CPU backend starts each operation by
itself; or sums over windows, of which it makes many passes. A loop whose every value is small it compiles as one function,
if it is told so: a number then takes a nanosecond or two, and the program a tenth of a second to compile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..lazy import dtypes
from ..lazy.graph import Aval
from .emit import Builder, Value

SIDE_BY_SIDE = 8  # lines that are gone along together: as many numbers as the processor takes at a time
LONG = 1 << 12  # elements of a line, from which on one that is alone is done as several
Combine = Callable[[list[Value], list[Value], Aval], list[Value]]


def along(
    b: Builder, key: str, xs: Sequence[Value], avals: Sequence[Aval], axis: int, reverse: bool, starts: Sequence[Any],
    combine: Combine,
) -> list[Value]:  # fmt: skip
    """Of values of one shape, along the axis the combinations of all up to each place.

    ``combine(earlier, later, aval)`` is associative, and made for values of any shape: that of ``aval``. ``starts`` are the
    numbers that change nothing. ``key`` names the combination.
    """
    shape = avals[0].shape
    if not avals[0].size or shape[axis] < 2:
        return list(xs)
    if b.platform != "cpu":
        return _reversed(b, xs, avals, axis, reverse, lambda now: by_pairs(b, now, avals, axis, combine))
    flat = [in_three(a, axis) for a in avals]
    xs = [b.op("stablehlo.reshape", [x], a) for x, a in zip(xs, flat)]
    step = lambda states, now, first, place, tile: combine(states, now, tile)
    if avals[0].size == shape[axis] >= LONG:
        found = _in_parts(b, key, xs, flat, reverse, starts, step, combine)
    else:
        found = stepped(b, key, xs, flat, flat, reverse, starts, step)
    return [b.op("stablehlo.reshape", [y], a) for y, a in zip(found, avals)]


def in_three(aval: Aval, axis: int) -> Aval:
    """Of three dims, of which the axis is the middle one."""
    shape = aval.shape
    return aval.with_shape((math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))


def _reversed(b: Builder, xs: Sequence[Value], avals: Sequence[Aval], axis: int, reverse: bool, f: Any) -> list[Value]:
    if not reverse:
        return list(f(list(xs)))
    turn = lambda vs: [b.op("stablehlo.reverse", [v], a, dimensions=b.ints([axis])) for v, a in zip(vs, avals)]
    return turn(f(turn(xs)))


def _in_parts(
    b: Builder, key: str, xs: Sequence[Value], avals: Sequence[Aval], reverse: bool, starts: Sequence[Any], step: Any,
    combine: Combine,
) -> list[Value]:  # fmt: skip
    """Of one line [1, n, 1] as several lines side by side, each of which then gets what the ones before it come to."""
    n = avals[0].shape[1]
    size = -(-n // SIDE_BY_SIDE)
    parts = [a.with_shape((SIDE_BY_SIDE, size, 1)) for a in avals]
    lines = []
    for x, a, part, start in zip(xs, avals, parts, starts):
        if part.size > n:
            more, zero = part.size - n, b.full(start, a.with_shape(()))
            edges = [b.ints(v) for v in ([0, 0, 0], [0, more, 0], [0, 0, 0])]
            x = b.op(
                "stablehlo.pad", [x, zero], a.with_shape((1, part.size, 1)), edge_padding_low=edges[0],
                edge_padding_high=edges[1], interior_padding=edges[2],
            )  # fmt: skip
        lines.append(b.op("stablehlo.reshape", [x], part))
    found = stepped(b, key, lines, parts, parts, reverse, starts, step)
    at = 0 if reverse else size - 1
    whole = [box(b, y, a, (0, at, 0), (SIDE_BY_SIDE, at + 1, 1)) for y, a in zip(found, parts)]
    one = [a.with_shape((1, 1, 1)) for a in avals]
    order = range(SIDE_BY_SIDE - 1, -1, -1) if reverse else range(SIDE_BY_SIDE)
    now, sums = [b.full(start, a) for start, a in zip(starts, one)], {}
    for k in order:
        sums[k] = now
        totals = [box(b, v, a.with_shape((SIDE_BY_SIDE, 1, 1)), (k, 0, 0), (k + 1, 1, 1)) for v, a in zip(whole, avals)]
        now = combine(now, totals, one[0])
    before = []
    for i, (a, part) in enumerate(zip(avals, parts)):
        rows = b.op(
            "stablehlo.concatenate", [sums[k][i] for k in range(SIDE_BY_SIDE)], a.with_shape((SIDE_BY_SIDE, 1, 1)),
            dimension=b.i64(0),
        )  # fmt: skip
        rows = b.op("stablehlo.reshape", [rows], a.with_shape((SIDE_BY_SIDE,)))
        before.append(b.op("stablehlo.broadcast_in_dim", [rows], part, broadcast_dimensions=b.ints([0])))
    found = combine(before, found, parts[0])
    found = [b.op("stablehlo.reshape", [y], a.with_shape((1, a.size, 1))) for y, a in zip(found, parts)]
    return [
        y if p.size == n else box(b, y, p.with_shape((1, p.size, 1)), (0, 0, 0), (1, n, 1))
        for y, p in zip(found, parts)
    ]


def box(b: Builder, x: Value, aval: Aval, start: Sequence[int], limit: Sequence[int]) -> Value:
    """Part of a value."""
    return b.op(
        "stablehlo.slice", [x], aval.with_shape(tuple([j - i for i, j in zip(start, limit)])), start_indices=b.ints(start),
        limit_indices=b.ints(limit), strides=b.ints([1] * aval.ndim),
    )  # fmt: skip


def stepped(
    b: Builder, key: str, xs: Sequence[Value], avals: Sequence[Aval], results: Sequence[Aval], reverse: bool,
    starts: Sequence[Any], step: Callable[..., list[Value]],
) -> list[Value]:  # fmt: skip
    """A loop along the middle dim of values [outer, n, inner], compiled as one function; of each state, all that it has been.

    ``step(states, now, first, place, tile)`` makes new states of those before and the values at a place: a number of int32,
    of which ``first`` is the first; all are of the shape of ``tile``.
    """
    outer, n, inner = avals[0].shape
    rows = min(outer, max(1, SIDE_BY_SIDE // inner))
    tile = (rows, 1, inner)
    number = avals[0].with_shape(()).with_dtype(dtypes.int32)
    count, held = len(xs), [a.with_shape(tile) for a in results]

    def body(*given: Value) -> list[Value]:
        zero, one, last = (b.full(v, number) for v in (0, 1, n - 1))

        def less(limit: int) -> Callable[..., Value]:
            return lambda i, *_: b.compare("LT", i, b.full(limit, number), number)

        def along_one(i: Value, *state: Value) -> list[Value]:
            def at_one(k: Value, row: Value, *inside: Value) -> list[Value]:
                values, made, states = inside[:count], inside[count : -len(held)], inside[-len(held) :]
                place = b.op("stablehlo.subtract", [last, k], number) if reverse else k
                now = [
                    b.op("stablehlo.dynamic_slice", [x, row, place, zero], a.with_shape(tile), slice_sizes=b.ints(tile))
                    for x, a in zip(values, avals)
                ]
                first = b.compare("EQ", k, zero, number)
                fresh = step(list(states), now, first, place, held[0])
                written = [
                    b.op("stablehlo.dynamic_update_slice", [y, v, row, place, zero], a)
                    for y, v, a in zip(made, fresh, results)
                ]
                return [b.op("stablehlo.add", [k, one], number), row, *values, *written, *fresh]

            begun = [b.full(start, a) for start, a in zip(starts, held)]
            found = b.repeat([zero, i, *state, *begun], less(n), at_one)
            return [b.op("stablehlo.add", [i, b.full(rows, number)], number), *found[2 : -len(held)]]

        made = [_filled(b, a) for a in results]
        return b.repeat([zero, *given, *made], less(outer), along_one)[1 + count :]

    return b.kernel((key, reverse, *avals), xs, avals, results, body)


def _filled(b: Builder, aval: Aval) -> Value:
    return b.op("stablehlo.broadcast_in_dim", [b.full(0, aval.with_shape(()))], aval, broadcast_dimensions=b.ints([]))


def by_pairs(b: Builder, xs: list[Value], avals: Sequence[Aval], axis: int, combine: Combine) -> list[Value]:
    """In two operations an element: of pairs of neighbours first, then what lies between two of their results."""
    n = avals[0].shape[axis]
    if n < 2:
        return xs

    def sized(count: int) -> list[Aval]:
        return [a.with_shape((*a.shape[:axis], count, *a.shape[axis + 1 :])) for a in avals]

    def part(vs: Sequence[Value], of: int, start: int, limit: int, by: int = 1) -> list[Value]:
        found = []
        for v, a, to in zip(vs, sized(of), sized(-(-(limit - start) // by))):
            ends = [limit if i == axis else m for i, m in enumerate(a.shape)]
            found.append(b.op(
                "stablehlo.slice", [v], to, limit_indices=b.ints(ends),
                start_indices=b.ints([start if i == axis else 0 for i in range(a.ndim)]),
                strides=b.ints([by if i == axis else 1 for i in range(a.ndim)]),
            ))  # fmt: skip
        return found

    def joined(parts: Sequence[Sequence[Value]], to: Sequence[Aval], dim: int) -> list[Value]:
        return [b.op("stablehlo.concatenate", list(v), a, dimension=b.i64(dim)) for v, a in zip(zip(*parts), to)]

    half, rest = n // 2, (n + 1) // 2
    first, second = part(xs, n, 0, n, 2), part(xs, n, 1, n, 2)
    pairs = combine(part(first, rest, 0, half), second, sized(half)[0])
    pairs = by_pairs(b, pairs, sized(half), axis, combine)
    if rest > 1:
        later = combine(part(pairs, half, 0, rest - 1), part(first, rest, 1, rest), sized(rest - 1)[0])
        first = joined([part(first, rest, 0, 1), later], sized(rest), axis)
    one, two = ([a.with_shape((*a.shape[:axis], half, m, *a.shape[axis + 1 :])) for a in avals] for m in (1, 2))
    side = [[b.op("stablehlo.reshape", [v], a) for v, a in zip(vs, one)] for vs in (part(first, rest, 0, half), pairs)]
    both = [b.op("stablehlo.reshape", [v], a) for v, a in zip(joined(side, two, axis + 1), sized(2 * half))]
    return both if rest == half else joined([both, part(first, rest, half, rest)], avals, axis)


__all__ = ["along", "box", "by_pairs", "in_three", "stepped"]
