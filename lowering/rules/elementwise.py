"""How elementwise ops become StableHLO, where that is not simply their own name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Aval, Signature
from ..emit import Builder, Value, ir, rule


def _chlo(op: Any) -> None:
    @rule(op)
    def lower(b: Builder, sig: Signature, *operands: Value) -> Value:
        return b.op(f"chlo.{op.name}", operands, sig.aval)


for _op in (ops.erf, ops.erfc, ops.erf_inv, ops.lgamma, ops.conj):
    _chlo(_op)


@rule(ops.sign)
def _sign(b: Builder, sig: Signature, x: Value) -> Value:
    """XLA keeps the sign of -0.0, and NaN."""
    found = b.op("stablehlo.sign", [x], sig.aval)
    if sig.aval.dtype.category != dtypes.FLOAT:
        return found
    zero = b.full(0, sig.aval)
    some = b.compare("GT", b.op("stablehlo.abs", [x], sig.aval), zero, sig.aval)
    return b.op("stablehlo.select", [some, found, zero], sig.aval)


HALVES = (-2.5, -1.5, 1.5, 2.5)


@rule(ops.power)
def _power(b: Builder, sig: Signature, x: Value, y: Value) -> Value:
    """On the CPU, powers of a half more than a whole number by the root, which is a tenth of the work of a logarithm."""
    aval = sig.aval
    exponent = _filled(y) if b.platform == "cpu" and aval.dtype in (dtypes.float32, dtypes.float64) else None
    if exponent not in HALVES:
        return b.op("stablehlo.power", [x, y], aval)
    found = b.op("stablehlo.sqrt", [x], aval)
    for _ in range(int(abs(exponent))):
        found = b.op("stablehlo.multiply", [x, found], aval)
    found = b.op("stablehlo.abs", [found], aval)  # of -0.0
    # of minus infinity there is no root, but there is a power
    where = b.compare("EQ", x, b.full(-np.inf, aval), aval)
    found = b.op("stablehlo.select", [where, b.full(np.inf, aval), found], aval)
    return found if exponent > 0 else b.op("stablehlo.divide", [b.full(1, aval), found], aval)


# --- remainders of floats ---
#
# XLA's CPU backend calls the C library's fmod for each element. Long division takes a tenth of that: y * 2 ** STEP and then y
# are taken away from x, each as often as it goes. Where a quotient is longer than two steps, which is rare, the C library is
# called after all; a choice that is made while the program runs.

STEP = {dtypes.float16: 26, dtypes.bfloat16: 26, dtypes.float32: 26, dtypes.float64: 22}  # bits of a quotient
USUAL = 900  # the largest exponent of y in float64
FEW = 1 << 10  # elements, up to which the shorter program is the better one


@rule(ops.remainder)
def _remainder(b: Builder, sig: Signature, x: Value, y: Value) -> Value:
    aval = sig.aval
    plain = b.platform != "cpu" or aval.dtype not in STEP or aval.size < FEW
    divisor = None if plain else _filled(y)
    if plain or (divisor is not None and abs(math.frexp(divisor)[0]) == 0.5):  # of 2 ** k, XLA's is as fast
        return b.op("stablehlo.remainder", [x, y], aval)
    op, truth = _of(b, aval), _of(b, aval.with_dtype(dtypes.bool_))
    long_x, long_y = op("abs", x), op("abs", y)
    r = _steps64(b, long_x, long_y, aval) if aval.dtype is dtypes.float64 else _steps32(b, long_x, long_y, aval)
    is_number = truth("and", b.compare("NE", y, b.full(0, aval), aval), truth("is_finite", x))
    r = _signed(b, x, op("select", is_number, r, b.full(np.nan, aval)), aval)
    r = op("select", b.compare("LT", long_x, long_y, aval), x, r)
    if aval.dtype is dtypes.float16:  # has no longer quotients
        return r
    wide = aval.with_dtype(dtypes.float64)
    far = [b.op("stablehlo.convert", [v], wide) for v in (long_x, long_y)]
    far[1] = b.op("stablehlo.multiply", [far[1], b.full(2.0 ** (2 * STEP[aval.dtype]), wide)], wide)
    hard = b.compare("GE", far[0], far[1], wide)
    if aval.dtype is dtypes.float64:
        for direction, exponent in (("GE", USUAL), ("LE", -USUAL)):
            hard = truth("or", hard, b.compare(direction, long_y, b.full(2.0**exponent, aval), aval))
    hard = truth("and", truth("and", hard, is_number), truth("is_finite", y))
    return _unless(b, hard, r, x, y, aval, lambda x, y: op("remainder", x, y))


def _steps32(b: Builder, x: Value, y: Value, aval: Aval) -> Value:
    """Of numbers of at most 24 digits, by products with the inverse, which are exact enough in float64."""
    wide = aval.with_dtype(dtypes.float64)
    op = _of(b, wide)
    r, y = (b.op("stablehlo.convert", [v], wide) for v in (x, y))
    y = op("minimum", y, b.full(2.0**130, wide))  # of infinity, everything is the remainder
    inverse = op("divide", b.full(1, wide), y)
    for k in (STEP[aval.dtype], 0):
        # a quotient is a whole number, or further from the next one than its error
        times = op("floor", op("multiply", r, op("multiply", inverse, b.full(2.0**-k, wide))))
        r = op("subtract", r, op("multiply", times, op("multiply", y, b.full(2.0**k, wide))))
    # but it may fall short of a whole number that it should be
    r = op("select", b.compare("GE", r, y, wide), op("subtract", r, y), r)
    return b.op("stablehlo.convert", [r], aval)


def _steps64(b: Builder, x: Value, y: Value, aval: Aval) -> Value:
    op, r = _of(b, aval), x
    for k in (STEP[aval.dtype], 0):
        multiple = op("multiply", y, b.full(2.0**k, aval))
        # by the upper half of the digits, rounded up, and by what that is too much: products and differences are exact
        upper, times = _upper(b, multiple, aval), op("floor", op("divide", r, multiple))
        r = op("subtract", r, op("multiply", times, upper))
        r = op("subtract", r, op("multiply", times, op("subtract", multiple, upper)))
        below = b.compare("LT", r, b.full(0, aval), aval)  # where the quotient was rounded up to a whole number
        r = op("select", below, op("add", r, multiple), r)
    return r


def _upper(b: Builder, x: Value, aval: Aval) -> Value:
    """The upper 26 digits of positive float64 numbers, rounded up."""
    bits = aval.with_dtype(dtypes.int64)
    op, low = _of(b, bits), (1 << 27) - 1
    found = op("add", b.op("stablehlo.bitcast_convert", [x], bits), b.full(low, bits))
    return b.op("stablehlo.bitcast_convert", [op("and", found, b.full(~low, bits))], aval)


def _signed(b: Builder, x: Value, r: Value, aval: Aval) -> Value:
    """r, which is not negative, with the sign of x."""
    numbers = aval.with_dtype({2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}[aval.dtype.itemsize])
    op = _of(b, numbers)
    bits = [b.op("stablehlo.bitcast_convert", [v], numbers) for v in (x, r)]
    sign = op("and", bits[0], b.full(np.iinfo(numbers.dtype.numpy).min, numbers))
    return b.op("stablehlo.bitcast_convert", [op("or", bits[1], sign)], aval)


def _unless(b: Builder, hard: Value, r: Value, x: Value, y: Value, aval: Aval, other: Any) -> Value:
    """r, or what is ``other`` of x and y if it is hard anywhere: a loop of no trip or one, for of an ``if`` XLA computes both
    sides."""
    one = aval.with_shape(()).with_dtype(dtypes.bool_)
    some = _any(b, hard, aval)
    return b.repeat([some, r, x, y], lambda go, *_: go, lambda go, r, x, y: [b.full(False, one), other(x, y), x, y])[1]


# --- circular functions ---

QUARTER = (float.fromhex("0x1.921fb544p+0"), 6.077100506506192e-11)  # pi / 2, in 33 bits and the rest
FAR = 2.0**20  # up to which products of whole numbers and the former are exact
LONG = 1 << 16  # elements, from which on it is worth a loop


def circular(b: Builder, name: str, x: Value, aval: Aval) -> Value:
    """sine, cosine or tan. On the CPU of float32 by series in float64, to 0.51 units in the last place: XLA calls the C library
    for each element. Far from 0 it does so here, too; a choice that is made while the program runs."""

    def called(x: Value, _: Value) -> Value:
        return b.op(f"stablehlo.{name}", [x], aval)

    if b.platform != "cpu" or aval.dtype is not dtypes.float32 or aval.size < LONG:
        return called(x, x)
    wide, numbers = aval.with_dtype(dtypes.float64), aval.with_dtype(dtypes.int32)
    op, whole = _of(b, wide), _of(b, numbers)

    def series(first: int) -> Value:
        """sin r / r from the term of r ** 11 on, cos r from that of r ** 10 on."""
        found = b.full((-1) ** (first // 2) / math.factorial(first), wide)
        for k in range(first - 2, -1, -2):
            term = b.full((-1) ** (k // 2) / math.factorial(k), wide)
            found = op("add", op("multiply", found, square), term)
        return found

    far = b.op("stablehlo.convert", [x], wide)
    turns = op("round_nearest_even", op("multiply", far, b.full(2 / math.pi, wide)))
    rest = far
    for part in QUARTER:
        rest = op("subtract", rest, op("multiply", turns, b.full(part, wide)))
    square = op("multiply", rest, rest)
    sine, cosine = op("multiply", rest, series(11)), series(10)
    quarter = b.op("stablehlo.convert", [turns], numbers)
    if name == "cosine":
        quarter = whole("add", quarter, b.full(1, numbers))

    def has(bit: int) -> Value:
        return b.compare("NE", whole("and", quarter, b.full(bit, numbers)), b.full(0, numbers), numbers)

    if name == "tan":
        over, under = op("select", has(1), op("negate", cosine), sine), op("select", has(1), sine, cosine)
        found = op("divide", over, under)
    else:
        found = op("select", has(1), cosine, sine)
        found = op("select", has(2), op("negate", found), found)
    found = b.op("stablehlo.convert", [found], aval)
    if name != "cosine":  # -0.0
        found = b.op("stablehlo.select", [b.compare("EQ", x, b.full(0, aval), aval), x, found], aval)
    size = b.op("stablehlo.abs", [x], aval)
    return _unless(b, b.compare("GT", size, b.full(FAR, aval), aval), found, x, x, aval, called)


@rule(ops.atan2)
def _atan2(b: Builder, sig: Signature, y: Value, x: Value) -> Value:
    aval = sig.aval
    return _angle(b, y, x, aval) if _by_series(b, aval) else b.op("stablehlo.atan2", [y, x], aval)


def inverse_circular(b: Builder, name: str, x: Value, aval: Aval) -> Value:
    """asin, acos or atan: angles of a triangle."""
    if not _by_series(b, aval):
        return b.op(f"chlo.{name}", [x], aval)
    wide = aval.with_dtype(dtypes.float64)
    op, far, one = _of(b, wide), b.op("stablehlo.convert", [x], wide), b.full(1, wide)
    if name == "atan":
        return _angle(b, x, b.full(1, aval), aval)
    other = op("sqrt", op("multiply", op("subtract", one, far), op("add", one, far)))
    return _angle(b, x, other, aval) if name == "asin" else _angle(b, other, x, aval)


def _by_series(b: Builder, aval: Aval) -> bool:
    return b.platform == "cpu" and aval.dtype is dtypes.float32 and aval.size >= FEW


def _angle(b: Builder, y: Value, x: Value, aval: Aval) -> Value:
    """The angle of (x, y), each float32 or float64, as float32: by a series in float64, where XLA calls the C library for each
    element."""
    wide = aval.with_dtype(dtypes.float64)
    op = _of(b, wide)
    y, x = (b.op("stablehlo.convert", [v], wide) for v in (y, x))
    tall, long = op("abs", y), op("abs", x)
    small, large = op("minimum", tall, long), op("maximum", tall, long)
    ratio = op("divide", small, large)
    ratio = op("select", b.compare("EQ", small, b.full(np.inf, wide), wide), b.full(1, wide), ratio)
    ratio = op("select", b.compare("EQ", large, b.full(0, wide), wide), b.full(0, wide), ratio)
    steep = b.compare("GT", ratio, b.full(math.tan(math.pi / 8), wide), wide)
    one = b.full(1, wide)
    t = op("select", steep, op("divide", op("subtract", ratio, one), op("add", ratio, one)), ratio)
    square, found = op("multiply", t, t), b.full(1 / 21, wide)
    for k in range(9, -1, -1):
        found = op("add", op("multiply", found, square), b.full((-1) ** k / (2 * k + 1), wide))
    found = op("multiply", t, found)
    found = op("select", steep, op("add", found, b.full(math.pi / 4, wide)), found)
    found = op("select", b.compare("GT", tall, long, wide), op("subtract", b.full(math.pi / 2, wide), found), found)
    bits = wide.with_dtype(dtypes.int64)
    left = b.compare("LT", b.op("stablehlo.bitcast_convert", [x], bits), b.full(0, bits), bits)  # -0.0 is, too
    found = op("select", left, op("subtract", b.full(math.pi, wide), found), found)
    return b.op("stablehlo.convert", [_signed(b, y, found, wide)], aval)


# --- digamma and its derivatives ---

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B2, B4, ...
NEAR = {dtypes.float32: (7, 5), dtypes.float64: (14, 7)}  # how many terms are added one by one, and how many of BERNOULLI
HIGHEST = 4  # derivative; the expansion of higher ones begins further out


@rule(ops.digamma)
def _digamma(b: Builder, sig: Signature, x: Value) -> Value:
    """On the CPU by -1 / (x + k) for small k and the asymptotic expansion of the rest in float64; left of 0 by reflection."""
    aval = sig.aval
    if b.platform != "cpu" or aval.dtype not in NEAR:
        return b.op("chlo.digamma", [x], aval)
    near, count = NEAR[aval.dtype]
    wide = aval.with_dtype(dtypes.float64)
    op, number = _of(b, wide), lambda v: b.full(v, wide)
    x = b.op("stablehlo.convert", [x], wide)
    left = b.compare("LE", x, number(0), wide)
    there = op("select", left, op("subtract", number(1), x), x)
    far = op("add", there, number(near))
    square, found = op("divide", number(1), op("multiply", far, far)), number(0)
    for k in range(count, 0, -1):
        found = op("multiply", op("add", found, number(BERNOULLI[k - 1] / (2 * k))), square)
    found = op("add", found, op("divide", number(0.5), far))
    for k in range(near - 1, -1, -1):
        found = op("add", found, op("divide", number(1), op("add", there, number(k)) if k else there))
    found = op("subtract", op("log", far), found)
    # pi cot(pi x), of what x differs from the nearest whole number by; NaN of those themselves
    turn = op("subtract", x, op("round_nearest_even", x))
    angle = op("multiply", op("select", left, turn, number(0.25)), number(math.pi))
    square, parts = op("multiply", angle, angle), []
    for first in (22, 23):
        series = number((-1) ** (first // 2) / math.factorial(first))
        for k in range(first - 2, -1, -2):
            series = op("add", op("multiply", series, square), number((-1) ** (k // 2) / math.factorial(k)))
        parts.append(series)
    pole = b.compare("EQ", angle, number(0), wide)
    tangent = op("select", pole, number(math.nan), op("multiply", angle, parts[1]))
    mirrored = op("subtract", found, op("divide", op("multiply", parts[0], number(math.pi)), tangent))
    return b.op("stablehlo.convert", [op("select", left, mirrored, found)], aval)


@rule(ops.polygamma)
def _polygamma(b: Builder, sig: Signature, n: Value, x: Value) -> Value:
    """For x > 0. On the CPU the low ones by the first terms of n! / (x + k) ** (n + 1), which are summed over k, and by the
    asymptotic expansion of the rest: XLA raises to a power for each term."""
    order, aval = _filled(n) if b.platform == "cpu" else None, sig.aval
    if order is None or order not in range(1, HIGHEST + 1) or aval.dtype not in NEAR:
        return b.op("chlo.polygamma", [n, x], aval)
    order, (near, count) = int(order), NEAR[aval.dtype]
    wide = aval.with_dtype(dtypes.float64)
    op, number = _of(b, wide), lambda v: b.full(v, wide)
    x = b.op("stablehlo.convert", [x], wide)

    def over(v: Value) -> Value:
        return op("divide", number(1), v)

    def raised(v: Value, power: int) -> Value:
        found = v
        for _ in range(power - 1):
            found = op("multiply", found, v)
        return found

    far = op("add", x, number(near))
    inverse = over(far)
    square, found = op("multiply", inverse, inverse), number(0)
    for k in range(count, 0, -1):
        term = BERNOULLI[k - 1] * math.factorial(2 * k + order - 1) / math.factorial(2 * k)
        found = op("multiply", op("add", found, number(term)), square)
    half = op("multiply", inverse, number(math.factorial(order) / 2))
    found = op("add", op("add", found, half), number(math.factorial(order - 1)))
    found = op("multiply", found, raised(inverse, order))
    for k in range(near - 1, -1, -1):  # the smallest first
        term = raised(over(op("add", x, number(k)) if k else x), order + 1)
        found = op("add", found, op("multiply", term, number(math.factorial(order))))
    return b.op("stablehlo.convert", [found if order % 2 else op("negate", found)], aval)


# --- the greatest common divisor ---

EXACT = {dtypes.float32: 23, dtypes.float64: 52}  # bits of whole numbers whose multiples up to one another they hold


@rule(ops.gcd)
def _gcd(b: Builder, sig: Signature, x: Value, y: Value) -> Value:
    """By Euclid's steps. On the CPU in floats, which are divided several at once, as whole numbers are not: in float32, or,
    where a number is too long for that (a choice that is made while the program runs), in float64."""
    aval = sig.aval
    if aval.dtype.is_signed:
        x, y = (b.op("stablehlo.abs", [v], aval) for v in (x, y))
    if b.platform != "cpu":
        return _euclid(b, x, y, aval, lambda x, y: y)[0]
    op, width = _of(b, aval), 8 * aval.dtype.itemsize - aval.dtype.is_signed
    found = _euclid_of_floats(b, x, y, aval, dtypes.float32, width)
    if width <= EXACT[dtypes.float32] and not aval.dtype.is_signed:
        return found

    def above(bits: int, x: Value, y: Value) -> Value:
        """0 unless there is more than so many bits; the widest negative number, which has no positive one, has them all."""
        return op("shift_right_logical", op("or", x, y), b.full(bits, aval))

    def longer(x: Value, y: Value) -> Value:
        bits = min(width, EXACT[dtypes.float64])
        x, y = _euclid(b, x, y, aval, lambda x, y: op(
            "select", b.compare("EQ", y, b.full(0, aval), aval), y, above(bits, x, y)
        ))  # fmt: skip
        found = _euclid_of_floats(b, x, y, aval, dtypes.float64, width)
        return op("select", b.compare("EQ", y, b.full(0, aval), aval), x, found)

    hard = b.compare("NE", above(min(width, EXACT[dtypes.float32]), x, y), b.full(0, aval), aval)
    return _unless(b, hard, found, x, y, aval, longer)


def _euclid(b: Builder, x: Value, y: Value, aval: Aval, left: Any) -> list[Value]:
    """(x, y) to (y, rest) where y is not 0, as long as ``left`` is not 0 somewhere."""
    op, none = _of(b, aval), lambda: b.full(0, aval)

    def body(x: Value, y: Value) -> list[Value]:
        done = b.compare("EQ", y, none(), aval)
        rest = op("remainder", x, op("select", done, b.full(1, aval), y))
        return [op("select", done, x, y), op("select", done, none(), rest)]

    return b.repeat([x, y], lambda x, y: _any(b, b.compare("NE", left(x, y), none(), aval), aval), body)


def _euclid_of_floats(b: Builder, x: Value, y: Value, aval: Aval, dtype: Any, bits: int) -> Value:
    """As many steps to (y, the distance of x from y's nearest multiple) as numbers of these bits can need, in one pass over
    memory; what is done goes to and fro between x and y, which is less than to choose."""
    wide = aval.with_dtype(dtype)
    op, bits = _of(b, wide), min(bits, EXACT[dtype])
    x, y = (b.op("stablehlo.convert", [v], wide) for v in (x, y))
    for _ in range(math.ceil((bits + 1.5) / math.log2(1 + math.sqrt(2))) + 2):  # the longest way is that of Pell's numbers
        times = op("round_nearest_even", op("divide", x, y))
        times = op("select", b.compare("EQ", y, b.full(0, wide), wide), b.full(0, wide), times)
        x, y = y, op("abs", op("subtract", x, op("multiply", times, y)))
    return b.op("stablehlo.convert", [op("maximum", x, y)], aval)


def _any(b: Builder, where: Value, aval: Aval) -> Value:
    one = aval.with_shape(()).with_dtype(dtypes.bool_)
    return b.region_op(
        "stablehlo.reduce", [where, b.full(False, one)], [one], [b.type(one)] * 2,
        lambda p, q: [b.op("stablehlo.or", [p, q], one)], dimensions=b.ints(list(range(aval.ndim))),
    )[0]  # fmt: skip


def _of(b: Builder, aval: Aval) -> Any:
    """Emits operations of this result."""
    return lambda name, *operands: b.op(f"stablehlo.{name}", operands, aval)


def _filled(x: Value) -> float | None:
    """The number that a float operand is filled with, if it is a constant, or the sum of two."""
    owner = x.owner
    while getattr(owner, "name", "") == "stablehlo.broadcast_in_dim":
        owner = owner.operands[0].owner
    if getattr(owner, "name", "") == "stablehlo.add":
        parts = [_filled(v) for v in owner.operands]
        return None if None in parts else sum(parts)  # type: ignore[arg-type]
    if getattr(owner, "name", "") != "stablehlo.constant":
        return None
    value = ir.DenseElementsAttr(owner.attributes["value"])
    return float(ir.FloatAttr(value.get_splat_value()).value) if value.is_splat else None


@rule(ops.compare)
def _compare(b: Builder, sig: Signature, x: Value, y: Value, *, direction: str) -> Value:
    return b.compare(direction, x, y, sig.inputs[0])


@rule(ops.convert)
def _convert(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.convert", [x], sig.aval)


@rule(ops.bitcast_convert)
def _bitcast(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.bitcast_convert", [x], sig.aval)


@rule(ops.copy)
def _copy(b: Builder, sig: Signature, x: Value) -> Value:
    return x
