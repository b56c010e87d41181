"""How what goes along an axis becomes StableHLO."""

from __future__ import annotations

import math
from typing import Any

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, Signature
from ...lazy.ops.reduction import highest, lowest
from ..emit import Builder, Value, rule
from ..kernels import along, in_three, stepped
from .reduction import narrowed, widened


@rule(ops.cumprod)
def _cumprod(b: Builder, sig: Signature, x: Value, *, axis: int, reverse: bool) -> Value:
    x, given = widened(b, x, sig.aval)
    times = lambda p, q, aval: [b.op("stablehlo.multiply", [p[0], q[0]], aval)]
    return narrowed(b, along(b, "cumprod", [x], [given], axis, reverse, [1], times)[0], given, sig.aval)


@rule(ops.logcumsumexp)
def _logcumsumexp(b: Builder, sig: Signature, x: Value, *, axis: int) -> Value:
    x, given = widened(b, x, sig.aval)

    def log_add(p: list[Value], q: list[Value], aval: Aval) -> list[Value]:
        """The larger one stands alone beside -inf, and where it is inf."""
        large, small = (b.op(f"stablehlo.{name}imum", [p[0], q[0]], aval) for name in ("max", "min"))
        gap = b.op("stablehlo.subtract", [small, large], aval)
        rest = b.op("stablehlo.log_plus_one", [b.op("stablehlo.exponential", [gap], aval)], aval)
        alone = b.compare("EQ", b.op("stablehlo.abs", [large], aval), b.full(math.inf, aval), aval)
        return [b.op("stablehlo.select", [alone, large, b.op("stablehlo.add", [large, rest], aval)], aval)]

    return narrowed(b, along(b, "logcumsumexp", [x], [given], axis, False, [-math.inf], log_add)[0], given, sig.aval)


@rule(ops.recurrence)
def _recurrence(b: Builder, sig: Signature, a: Value, x: Value, *, axis: int, reverse: bool) -> Value:
    (a, given), (x, _) = (widened(b, v, sig.aval) for v in (a, x))

    def after(factor: Value, before: Value, term: Value, aval: Aval) -> Value:
        none = b.full(0, aval)
        found = b.op("stablehlo.add", [b.op("stablehlo.multiply", [factor, before], aval), term], aval)
        return b.op("stablehlo.select", [b.compare("EQ", factor, none, aval), term, found], aval)

    def both(p: list[Value], q: list[Value], aval: Aval) -> list[Value]:
        return [b.op("stablehlo.multiply", [p[0], q[0]], aval), after(q[0], p[1], q[1], aval)]

    if b.platform != "cpu" or not given.size:
        return narrowed(b, along(b, "recurrence", [a, x], [given] * 2, axis, reverse, [1, 0], both)[1], given, sig.aval)

    def step(states: list[Value], now: list[Value], first: Value, place: Value, tile: Aval) -> list[Value]:
        begun = _spread(b, first, tile.with_dtype(dtypes.bool_))
        return [b.op("stablehlo.select", [begun, now[1], after(now[0], states[0], now[1], tile)], tile)]

    flat = in_three(given, axis)
    operands = [b.op("stablehlo.reshape", [v], flat) for v in (a, x)]
    y = stepped(b, "recurrence", operands, [flat] * 2, [flat], reverse, [0], step)[0]
    return narrowed(b, b.op("stablehlo.reshape", [y], given), given, sig.aval)


def _spread(b: Builder, x: Value, aval: Aval) -> Value:
    return b.op("stablehlo.broadcast_in_dim", [x], aval, broadcast_dimensions=b.ints([]))


def _extreme(op: Any, direction: str, start: Any) -> None:
    @rule(op)
    def lower(b: Builder, sig: Signature, x: Value, *, axis: int) -> list[Value]:
        given = sig.inputs[0]
        number = dtypes.int64 if b.platform == "cpu" else dtypes.int32

        def wins(old: Value, new: Value, aval: Aval) -> Value:
            """Whether the later one is the extreme of the two; NaN always is, until the next."""
            better = b.compare(direction, new, old, aval)  # than NaN none is
            if given.dtype.is_floating_point:
                better = b.op("stablehlo.or", [better, b.compare("NE", new, new, aval)], aval.with_dtype(dtypes.bool_))
            return better

        def both(p: list[Value], q: list[Value], aval: Aval) -> list[Value]:
            better, places = wins(p[0], q[0], aval), aval.with_dtype(number)
            return [b.op("stablehlo.select", [better, w, v], a) for v, w, a in zip(p, q, (aval, places))]

        def step(states: list[Value], now: list[Value], first: Value, place: Value, tile: Aval) -> list[Value]:
            here = b.op("stablehlo.convert", [place], tile.with_shape(()).with_dtype(number))
            return both(states, [now[0], _spread(b, here, tile.with_dtype(number))], tile)

        places = given.with_dtype(number)
        begin = [start(given.dtype.numpy), 0]
        if b.platform == "cpu" and given.size:
            flat = in_three(given, axis)
            line = b.op("stablehlo.reshape", [x], flat)
            found = stepped(b, op.name, [line], [flat], [flat, flat.with_dtype(number)], False, begin, step)
            return [b.op("stablehlo.reshape", [v], a) for v, a in zip(found, (given, places))]
        at = b.op("stablehlo.iota", [], places, iota_dimension=b.i64(axis))
        found = along(b, op.name, [x, at], [given, places], axis, False, begin, both)
        return [found[0], b.op("stablehlo.convert", [found[1]], sig.aval.elements[1])]


_extreme(ops.cummax, "GE", lowest)
_extreme(ops.cummin, "LE", highest)
