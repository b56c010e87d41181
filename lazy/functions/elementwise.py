"""Functions of one operand, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes, ops
from ..dtypes import BOOL, FLOAT
from ..graph import Op
from ..record import user_line
from ..tensors import Tensor
from ..views import assign
from ._register import alias, both, inplace, method, offered
from .conversion import broadcast_to, constant, convert, flat, full_like_type, lift, to_inexact


def _unary(name: str, op: Op, doc: str) -> Callable[[Tensor], Tensor]:
    """A function of floating operands; integers are converted first, as in PyTorch."""

    def f(input: Tensor) -> Tensor:
        return op(input if input.dtype.category >= FLOAT else to_inexact(input))

    f.__name__, f.__doc__ = name, doc
    both(f)
    inplace(f)
    return f


exp = _unary("exp", ops.exponential, "e to the input.")
expm1 = _unary("expm1", ops.exponential_minus_one, "e to the input, less 1.")
log = _unary("log", ops.log, "Natural logarithm.")
log1p = _unary("log1p", ops.log_plus_one, "Natural logarithm of 1 + input.")
sqrt = _unary("sqrt", ops.sqrt, "Square root.")
rsqrt = _unary("rsqrt", ops.rsqrt, "1 / square root.")
sigmoid = _unary("sigmoid", ops.logistic, "1 / (1 + exp(-input)).")
sin = _unary("sin", ops.sine, "Sine.")
cos = _unary("cos", ops.cosine, "Cosine.")
tan = _unary("tan", ops.tan, "Tangent.")
asin = _unary("asin", ops.asin, "Inverse sine.")
acos = _unary("acos", ops.acos, "Inverse cosine.")
atan = _unary("atan", ops.atan, "Inverse tangent.")
sinh = _unary("sinh", ops.sinh, "Hyperbolic sine.")
cosh = _unary("cosh", ops.cosh, "Hyperbolic cosine.")
tanh = _unary("tanh", ops.tanh, "Hyperbolic tangent.")
asinh = _unary("asinh", ops.asinh, "Inverse hyperbolic sine.")
acosh = _unary("acosh", ops.acosh, "Inverse hyperbolic cosine.")
atanh = _unary("atanh", ops.atanh, "Inverse hyperbolic tangent.")
erf = _unary("erf", ops.erf, "Error function.")
erfc = _unary("erfc", ops.erfc, "1 - erf.")
erfinv = _unary("erfinv", ops.erf_inv, "Inverse of erf.")
lgamma = _unary("lgamma", ops.lgamma, "Logarithm of |gamma|.")
for _old, _f in (
    ("arcsin", asin), ("arccos", acos), ("arctan", atan), ("arcsinh", asinh), ("arccosh", acosh), ("arctanh", atanh),
):  # fmt: skip
    alias(_old, _f)
    inplace(_f, f"{_old}_")


def _times(name: str, base: Callable[[Tensor], Tensor], factor: float) -> Callable[[Tensor], Tensor]:
    def f(input: Tensor) -> Tensor:
        y = base(input)
        if y.dtype.is_complex:  # part by part: a complex product makes NaN of an infinite part
            parts = (ops.real(y), ops.imag(y))
            return ops.complex_(*(ops.multiply(v, full_like_type(v, factor)) for v in parts))
        return ops.multiply(y, full_like_type(y, factor))

    f.__name__ = name
    both(f)
    inplace(f)
    return f


log2 = _times("log2", log, 1 / math.log(2))
log10 = _times("log10", log, 1 / math.log(10))


@both
def exp2(input: Tensor) -> Tensor:
    """2 to the input."""
    x = to_inexact(input)
    return ops.power(full_like_type(x, 2), x)


@both
def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), 1 at 0."""
    x = to_inexact(input)
    angle = ops.multiply(x, full_like_type(x, math.pi))
    origin = ops.compare(x, full_like_type(x, 0), direction="EQ")
    one = full_like_type(x, 1)
    safe = ops.select(origin, one, angle)
    return ops.select(origin, one, ops.divide(ops.sine(safe), safe))


@both
def neg(input: Tensor) -> Tensor:
    """-input."""
    if input.dtype is dtypes.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` "
            f"or `logical_not()` operator instead.  ({user_line()})"
        )
    return ops.negate(input)


@both
def abs(input: Tensor) -> Tensor:
    """|input|; real for complex input."""
    return ops.absolute(input) if input.dtype.is_signed else clone(input)


@both
def sgn(input: Tensor) -> Tensor:
    """-1, 0 or 1; for complex numbers input / |input|."""
    if input.dtype is dtypes.bool_:
        return clone(input)
    if not input.dtype.is_signed:
        return convert(ops.compare(input, full_like_type(input, 0), direction="NE"), input.dtype)
    return ops.sign(input)


@both
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1."""
    if input.dtype.is_complex:
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
            f"  ({user_line()})"
        )
    return sgn(input)


@both
def positive(input: Tensor) -> Tensor:
    """The input itself."""
    if input.dtype is dtypes.bool_:
        raise RuntimeError(f"The `+` operator, on a bool tensor is not supported.  ({user_line()})")
    return input


@both
def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
    x = to_inexact(input)
    return ops.divide(full_like_type(x, 1), x)


@both
def square(input: Tensor) -> Tensor:
    """input * input."""
    return input**2


def _rounding(name: str, value: Callable[[Tensor], Tensor], doc: str) -> Callable[[Tensor], Tensor]:
    def f(input: Tensor) -> Tensor:
        if not input.dtype.is_floating_point:
            _refuse_complex(input, name)
            return clone(input)
        return flat(value, input)

    f.__name__, f.__doc__ = name, doc
    both(f)
    inplace(f)
    return f


def _refuse_complex(x: Tensor, name: str) -> None:
    if x.dtype.is_complex:
        raise NotImplementedError(f"{name} is not supported for complex inputs  ({user_line()})")


def _trunc(x: Tensor) -> Tensor:
    return ops.select(ops.compare(x, full_like_type(x, 0), direction="LT"), ops.ceil(x), ops.floor(x))


floor = _rounding("floor", ops.floor, "The next integer below.")
ceil = _rounding("ceil", ops.ceil, "The next integer above.")
trunc = _rounding("trunc", _trunc, "Towards zero to an integer.")


@both
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest number of ``decimals`` places, ties to even."""
    if not input.dtype.is_floating_point:
        _refuse_complex(input, "round")
        return clone(input)
    if not decimals:
        return flat(ops.round_nearest_even, input)
    scale = 10.0 ** math.fabs(decimals)

    def value(x: Tensor) -> Tensor:
        ten = full_like_type(x, scale)
        if decimals < 0:
            return ops.multiply(ops.round_nearest_even(ops.divide(x, ten)), ten)
        return ops.divide(ops.round_nearest_even(ops.multiply(x, ten)), ten)

    return flat(value, input)


@both
def frac(input: Tensor) -> Tensor:
    """What ``trunc`` cuts off."""
    return input - trunc(input)


alias("fix", trunc)
alias("negative", neg)
alias("absolute", abs)


@both
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, through which gradients flow."""
    return ops.copy(input)


@method
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    return self if self.is_contiguous() else ops.copy(self)


@both
def isnan(input: Tensor) -> Tensor:
    """Whether NaN (either part, for complex numbers)."""
    return ops.compare(input, input, direction="NE")


@both
def isfinite(input: Tensor) -> Tensor:
    """Neither infinite nor NaN."""
    if input.dtype.is_complex:
        return ops.bit_and(ops.is_finite(ops.real(input)), ops.is_finite(ops.imag(input)))
    return ops.is_finite(input) if input.dtype.is_floating_point else ops.compare(input, input, direction="EQ")


@both
def isinf(input: Tensor) -> Tensor:
    """Infinite of either sign (in either part, for complex numbers)."""
    if input.dtype.is_complex:
        return ops.bit_or(isinf(ops.real(input)), isinf(ops.imag(input)))
    if not input.dtype.is_floating_point:
        return ops.compare(input, input, direction="NE")
    return ops.compare(ops.absolute(input), full_like_type(input, math.inf), direction="EQ")


def _infinity(name: str, value: float) -> None:
    def f(input: Tensor) -> Tensor:
        _refuse_complex(input, name)
        if not input.dtype.is_floating_point:
            return ops.compare(input, input, direction="NE")
        return ops.compare(input, full_like_type(input, value), direction="EQ")

    f.__name__, f.__doc__ = name, f"Whether {value}."
    both(f)


_infinity("isposinf", math.inf)
_infinity("isneginf", -math.inf)


@both
def isreal(input: Tensor) -> Tensor:
    """Whether the imaginary part is 0."""
    if not input.dtype.is_complex:
        return broadcast_to(constant(True, dtypes.bool_, input.device), tuple(input.shape))
    y = ops.imag(input)
    return ops.compare(y, full_like_type(y, 0), direction="EQ")


@both
def signbit(input: Tensor) -> Tensor:
    """Whether the sign bit is set (that of -0.0 is)."""
    _refuse_complex(input, "signbit")
    if not input.dtype.is_signed:
        return ops.compare(input, input, direction="NE")
    if input.dtype.is_floating_point:
        kind = {1: dtypes.int8, 2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}[input.dtype.itemsize]
        input = ops.bitcast_convert(input, dtype=kind)
    return ops.compare(input, full_like_type(input, 0), direction="LT")


@both
def nan_to_num(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities replaced (by default infinities by the type's largest numbers)."""
    if input.dtype.is_complex:
        return ops.complex_(*(nan_to_num(part(input), nan, posinf, neginf) for part in (ops.real, ops.imag)))
    if not input.dtype.is_floating_point:
        return clone(input)
    info = dtypes.finfo(input.dtype)
    shape, out = tuple(input.shape), input
    for given, usual, found in (
        (nan, 0.0, isnan(input)),
        (posinf, info.max, ops.compare(input, full_like_type(input, math.inf), direction="EQ")),
        (neginf, info.min, ops.compare(input, full_like_type(input, -math.inf), direction="EQ")),
    ):
        value = (
            full_like_type(input, usual)
            if given is None
            else broadcast_to(lift(given, input.dtype, input.device), shape)
        )
        out = ops.select(found, value, out)
    return out


@both
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(p / (1 - p))."""
    x = to_inexact(input)
    if eps is not None:  # not by ``clamp``, which gives NaN no gradient
        low, high = full_like_type(x, eps), full_like_type(x, 1 - eps)
        within = ops.select(ops.compare(x, high, direction="GT"), high, x)
        x = ops.select(ops.compare(x, low, direction="LT"), low, within)
    return ops.log(x / (1 - x))


@both
def relu(input: Tensor) -> Tensor:
    """0 where the input is not above 0 (NaN stays)."""
    if input.dtype.category == BOOL:
        raise RuntimeError(f"Boolean inputs not supported for relu  ({user_line()})")
    zero = full_like_type(input, 0)
    return ops.select(ops.compare(input, zero, direction="LE"), zero, input)


def _degrees(name: str, factor: float) -> None:
    def f(input: Tensor) -> Tensor:
        if input.dtype.is_complex:
            raise NotImplementedError(f"{name} is not supported for complex tensors.  ({user_line()})")
        x = to_inexact(input)
        return ops.multiply(x, full_like_type(x, factor))

    f.__name__, f.__doc__ = name, f"input * {factor}."
    both(f)
    inplace(f)


_degrees("rad2deg", 180 / math.pi)
_degrees("deg2rad", math.pi / 180)


@both
def digamma(input: Tensor) -> Tensor:
    """Derivative of lgamma; -inf at 0 and inf at -0, NaN at the other poles."""
    x = to_inexact(input)
    origin = ops.compare(x, full_like_type(x, 0), direction="EQ")
    value = ops.digamma(ops.select(origin, full_like_type(x, 1), x))
    return ops.select(origin, ops.negate(ops.divide(full_like_type(x, 1), x)), value)


def derivative_of_digamma(n: int, x: Tensor) -> Tensor:
    """The n-th one, n > 0; left of 0 by reflection, since the primitive sums a series that holds to the right.

    psi_n(x) = (-1)^n psi_n(1 - x) - pi d^n/dx^n cot(pi x), and that derivative is a polynomial of c = cot(pi x).
    """
    if x.dtype.itemsize < 4:
        return convert(derivative_of_digamma(n, convert(x, dtypes.float32)), x.dtype)
    left = ops.compare(x, full_like_type(x, 0), direction="LE")
    one = full_like_type(x, 1)
    there = ops.select(left, ops.subtract(one, x), x)
    value = ops.polygamma(full_like_type(x, n), there)
    inside = ops.select(left, x, full_like_type(x, -0.25))
    turn = ops.subtract(inside, flat(ops.round_nearest_even, inside))
    pole = ops.compare(turn, full_like_type(x, 0), direction="EQ")
    turn = ops.select(pole, full_like_type(x, 0), turn)  # of -0 too, whose cotangent would be -inf
    c = ops.divide(one, ops.tan(ops.multiply(turn, full_like_type(x, math.pi))))
    powers = [0.0, 1.0]  # the polynomial, lowest power first: d/dx c = -pi (1 + c^2)
    for _ in range(n):
        slope = [k * a for k, a in enumerate(powers)][1:]
        powers = [-math.pi * (a + b) for a, b in zip([*slope, 0.0, 0.0], [0.0, 0.0, *slope])]
    total = full_like_type(x, powers[-1])
    for a in reversed(powers[:-1]):
        total = ops.multiply(total, c) if not a else ops.add(ops.multiply(total, c), full_like_type(x, a))
    mirrored = ops.subtract(value if n % 2 == 0 else ops.negate(value), ops.multiply(total, full_like_type(x, math.pi)))
    return ops.select(left, mirrored, value)


@both
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma (n counts from 0)."""
    if isinstance(n, Tensor):  # the method: x.polygamma(n)
        n, input = input, n  # type: ignore[assignment]
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n.  ({user_line()})")
    x = to_inexact(input)
    return digamma(x) if n == 0 else derivative_of_digamma(n, x)


@both
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``."""
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, but got {p}  (mvlgamma at {user_line()})")
    x = to_inexact(input)
    out = full_like_type(x, p * (p - 1) / 4 * math.log(math.pi))
    for i in range(p):
        out = ops.add(out, ops.lgamma(ops.subtract(x, full_like_type(x, i / 2)) if i else x))
    return out


def _polygamma_(self: Tensor, n: int) -> Tensor:
    """``polygamma`` in place."""
    return assign(self, polygamma(n, self), "polygamma_")


setattr(Tensor, "polygamma_", _polygamma_)  # noqa: B010  (the class does not declare it for the type checker)
inplace(digamma)
inplace(mvlgamma)
for _f in (neg, abs, sgn, sign, reciprocal, square, round, frac, exp2, sinc, nan_to_num, logit, relu):
    inplace(_f)
for _name, _f in (("negative_", neg), ("absolute_", abs), ("fix_", trunc)):
    inplace(_f, _name)
setattr(Tensor, "__neg__", offered(neg))  # noqa: B010  (the class declares them for the type checker)
setattr(Tensor, "__abs__", offered(abs))  # noqa: B010
setattr(Tensor, "__pos__", offered(positive))  # noqa: B010
