"""Functions of complex numbers, where XLA's own go wrong: at zeros, whose sign says on which side of a branch cut a number
lies, at infinities and at NaN. The answers are those of C's annex G, which NumPy and PyTorch give too.

XLA is right for finite numbers whose parts have no sign. All these functions take the conjugate to the conjugate, and some
are odd or even: so each is computed there, mended where a part is infinite or NaN, and then the signs are put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...lazy import dtypes, ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule
from .elementwise import circular, inverse_circular

Pair = tuple[Value, Value]
INF, NAN, QUARTER = math.inf, math.nan, math.pi / 2


class _Parts:
    """Arithmetic on real or imaginary parts of one type."""

    def __init__(self, b: Builder, aval: Any) -> None:
        self.b, self.aval = b, aval
        self.truth = aval.with_dtype(dtypes.bool_)
        self.bits = aval.with_dtype(dtypes.int32 if aval.dtype is dtypes.float32 else dtypes.int64)

    def op(self, name: str, *operands: Value) -> Value:
        return self.b.op(f"stablehlo.{name}", operands, self.aval)

    def is_(self, x: Value, y: float) -> Value:
        return self.b.compare("EQ", x, self.b.full(y, self.aval), self.aval)

    def nan(self, x: Value) -> Value:
        return self.b.compare("NE", x, x, self.aval)

    def wild(self, x: Value) -> Value:
        return self.not_(self.b.op("stablehlo.is_finite", [x], self.truth))

    def negative(self, x: Value) -> Value:
        """Whether the sign bit is set."""
        bits = self.b.op("stablehlo.bitcast_convert", [x], self.bits)
        return self.b.compare("LT", bits, self.b.full(0, self.bits), self.bits)

    def not_(self, p: Value) -> Value:
        return self.b.op("stablehlo.not", [p], self.truth)

    def both(self, p: Value, q: Value) -> Value:
        return self.b.op("stablehlo.and", [p, q], self.truth)

    def either(self, p: Value, q: Value) -> Value:
        return self.b.op("stablehlo.or", [p, q], self.truth)

    def where(self, p: Value, x: float | Value, y: float | Value) -> Value:
        x, y = (self.b.full(v, self.aval) if isinstance(v, float) else v for v in (x, y))
        return self.op("select", p, x, y)

    def flipped(self, x: Value, p: Value) -> Value:
        return self.where(p, self.op("negate", x), x)


# --- what each gives where a part is infinite or NaN; y, and x where the function is odd or even, has no sign ---


def _exponential(least: float) -> Callable[..., Pair]:
    def mended(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
        wild = r.wild(y)
        small = r.both(wild, r.is_(x, -INF))
        u = r.where(r.both(wild, r.is_(x, INF)), INF, r.where(small, least, u))
        return u, r.where(small, 0.0, v)

    return mended


def _logarithm(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    return r.where(r.either(r.is_(r.op("abs", x), INF), r.is_(y, INF)), INF, u), v


def _root(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    far = r.is_(y, INF)
    u = r.where(r.either(far, r.is_(x, INF)), INF, u)
    return u, r.where(r.either(far, r.both(r.is_(x, -INF), r.nan(y))), INF, v)


def _arc(at_zero: Callable[[Value, Value], Value], u0: float | None, v0: float | None) -> Callable[..., Pair]:
    """NaN from NaN beside a finite part; where that is the zero that ``at_zero`` picks, one part is known."""

    def mended(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
        far = r.either(r.is_(r.op("abs", x), INF), r.is_(y, INF))
        lost = r.both(r.either(r.nan(x), r.nan(y)), r.not_(far))
        zero = r.is_(at_zero(x, y), 0.0)
        u = r.where(lost, NAN if u0 is None else r.where(zero, u0, NAN), u)
        return u, r.where(lost, NAN if v0 is None else r.where(zero, v0, NAN), v)

    return mended


def _atanh(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    small = r.b.compare("LT", y, r.b.full(1e-9, r.aval), r.aval)
    beside = r.op("multiply", r.b.full(0.5, r.aval), r.op("subtract", r.b.full(math.log(2), r.aval), r.op("log", y)))
    u = r.where(r.both(r.is_(x, 1.0), small), beside, u)  # log(2 / y) / 2 beside the pole, where XLA squares y
    lost = r.either(r.nan(x), r.nan(y))
    up = r.is_(y, INF)
    known = r.either(up, r.both(r.nan(y), r.either(r.is_(x, INF), r.is_(x, 0.0))))
    return r.where(lost, r.where(known, 0.0, NAN), u), r.where(lost, r.where(up, QUARTER, NAN), v)


def _sinh(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    wild = r.wild(y)
    u = r.where(r.is_(x, 0.0), r.where(wild, 0.0, r.op("multiply", x, r.op("cosine", y))), u)
    return r.where(r.both(wild, r.is_(x, INF)), INF, u), v


def _cosh(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    wild = r.wild(y)
    v = r.where(r.is_(x, 0.0), r.where(wild, 0.0, r.op("multiply", x, r.op("sine", y))), v)
    return r.where(r.both(wild, r.is_(x, INF)), INF, u), v


def _tanh(r: _Parts, x: Value, y: Value, u: Value, v: Value) -> Pair:
    return r.where(r.both(r.wild(y), r.is_(x, 0.0)), 0.0, u), v


FORMS = {
    **dict.fromkeys((ops.sine, ops.cosine, ops.tan), circular),
    **dict.fromkeys((ops.asin, ops.acos, ops.atan), inverse_circular),
}  # of real numbers


def _define(op: Any, name: str, symmetry: str, mended: Callable[..., Pair], turned: str = "") -> None:
    """``symmetry``: whether it is ``odd``, ``even``, or neither. ``turned``: the function that it is, of the number a
    quarter turn away (``sin z = -i sinh iz``): that one is computed."""

    @rule(op)
    def lower(b: Builder, sig: Signature, z: Value) -> Value:
        if not sig.aval.dtype.is_complex:
            form = FORMS.get(op)
            return form(b, op.name, z, sig.aval) if form is not None else b.op(name, [z], sig.aval)
        r = _Parts(b, sig.aval.with_dtype(sig.aval.dtype.to_real()))
        re, im = r.op("real", z), r.op("imag", z)
        x, y = (r.op("abs", re) if symmetry else re), r.op("abs", im)
        if turned:
            x, y = y, x
        w = b.op(turned or name, [b.op("stablehlo.complex", [x, y], sig.aval)], sig.aval)
        u, v = mended(r, x, y, r.op("real", w), r.op("imag", w))
        down, left = r.negative(im), r.negative(re)
        if symmetry == "odd":
            u, v = (v, u) if turned else (u, v)
            u, v = r.flipped(u, left), r.flipped(v, down)
        elif symmetry == "even":
            v = r.flipped(v, b.op("stablehlo.xor", [down, left], r.truth))
            v = r.op("negate", v) if turned else v
        else:
            v = r.flipped(v, down)
        return b.op("stablehlo.complex", [u, v], sig.aval)


_define(ops.exponential, "stablehlo.exponential", "", _exponential(0.0))
_define(ops.exponential_minus_one, "stablehlo.exponential_minus_one", "", _exponential(-1.0))
_define(ops.log, "stablehlo.log", "", _logarithm)
_define(ops.log_plus_one, "stablehlo.log_plus_one", "", _logarithm)
_define(ops.sqrt, "stablehlo.sqrt", "", _root)
_define(ops.sinh, "chlo.sinh", "odd", _sinh)
_define(ops.cosh, "chlo.cosh", "even", _cosh)
_define(ops.tanh, "stablehlo.tanh", "odd", _tanh)
_define(ops.sine, "stablehlo.sine", "odd", _sinh, "chlo.sinh")
_define(ops.cosine, "stablehlo.cosine", "even", _cosh, "chlo.cosh")
_define(ops.tan, "stablehlo.tan", "odd", _tanh, "stablehlo.tanh")
_define(ops.asinh, "chlo.asinh", "odd", _arc(lambda x, y: y, None, 0.0))
_define(ops.acosh, "chlo.acosh", "", _arc(lambda x, y: x, None, QUARTER))
_define(ops.atanh, "chlo.atanh", "odd", _atanh)
_define(ops.asin, "chlo.asin", "odd", _arc(lambda x, y: x, 0.0, None))
_define(ops.acos, "chlo.acos", "", _arc(lambda x, y: x, QUARTER, None))
_define(ops.atan, "chlo.atan", "odd", _atanh, "chlo.atanh")


@rule(ops.absolute)
def _absolute(b: Builder, sig: Signature, z: Value) -> Value:
    size = b.op("stablehlo.abs", [z], sig.aval)
    if not sig.inputs[0].dtype.is_complex:
        return size
    r = _Parts(b, sig.aval)
    far = [r.is_(r.op("abs", r.op(part, z)), INF) for part in ("real", "imag")]
    return r.where(r.either(*far), INF, size)
