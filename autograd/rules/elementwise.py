"""Derivatives of elementwise ops, easy to hard."""

from __future__ import annotations

import math
from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import convert, full_like_type
from ...lazy.functions.elementwise import derivative_of_digamma
from ..table import not_differentiable, vjp


def zero(x: Any) -> Any:
    return full_like_type(x, 0)


def unless_lost(g: Any, x: Any, other: Any, loses: str) -> Any:
    """The gradient where x wins, half of it where it ties, none where it loses; where one is NaN, so is y, and both have it."""
    lost, ties = (ops.compare(x, other, direction=c) for c in (loses, "EQ"))
    return ops.select(lost, zero(g), ops.select(ties, g * 0.5, g))


# --- no derivative ---
not_differentiable(
    ops.floor, ops.ceil, ops.round_nearest_even, ops.logical_not, ops.bit_and, ops.bit_or, ops.bit_xor, ops.shift_left,
    ops.shift_right_arithmetic, ops.shift_right_logical, ops.compare, ops.is_finite, ops.bitcast_convert,
    ops.gcd,
)  # fmt: skip

# --- arithmetic ---
vjp(ops.negate, lambda g, y, x: -g)
vjp(ops.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
vjp(ops.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
vjp(ops.multiply, lambda g, y, a, b: g * b.conj(), lambda g, y, a, b: g * a.conj())
vjp(ops.divide, lambda g, y, a, b: g / b.conj(), lambda g, y, a, b: -g * (a / b / b).conj())
vjp(ops.remainder, lambda g, y, a, b: g, lambda g, y, a, b: -g * (a / b).trunc())
vjp(
    ops.power,
    # where the exponent is 0 the derivative is 0, whatever the base
    lambda g, y, a, b: ops.select(
        ops.compare(b, zero(b), direction="EQ"), zero(g), g * (b * ops.power(a, _one_less(b))).conj()
    ),
    lambda g, y, a, b: g * (y * _log_of_base(a, b)).conj(),
)
vjp(ops.maximum, lambda g, y, a, b: unless_lost(g, a, b, "LT"), lambda g, y, a, b: unless_lost(g, b, a, "LT"))
vjp(ops.minimum, lambda g, y, a, b: unless_lost(g, a, b, "GT"), lambda g, y, a, b: unless_lost(g, b, a, "GT"))
vjp(ops.absolute, lambda g, y, x: convert(g, x.dtype) * ops.sign(x))
vjp(ops.sign, lambda g, y, x: zero(x) if not x.dtype.is_complex else _sign_complex(g, y, x))
vjp(ops.atan2, lambda g, y, a, b: g * b / (a * a + b * b), lambda g, y, a, b: -g * a / (a * a + b * b))


def _one_less(b: Any) -> Any:
    """b - 1, but 0 where b is 0, so that nothing infinite comes of it, whose product with 0 would be NaN."""
    one = full_like_type(b, 1)
    return ops.select(ops.compare(b, zero(b), direction="EQ"), one, b) - one


def _log_of_base(a: Any, b: Any) -> Any:
    """log a, but 0 where a is 0 and the power 0 or larger, so that the product with y is 0."""
    still = ops.compare(a, zero(a), direction="EQ")
    if not a.dtype.is_complex:
        still = ops.bit_and(still, ops.compare(b, zero(b), direction="GE"))
    return ops.select(still, zero(a), ops.log(ops.select(still, full_like_type(a, 1), a)))


def _sign_complex(g: Any, y: Any, x: Any) -> Any:
    """x / |x|: the part of g across the direction of x, over |x|; 0 at 0."""
    size = ops.absolute(x)
    none = ops.compare(size, zero(size), direction="EQ")
    safe = ops.select(none, full_like_type(size, 1), size)
    across = (g - convert(ops.real(g * y.conj()), x.dtype) * y) / convert(safe, x.dtype)
    return ops.select(none, zero(g), across)


# --- exponentials and powers ---
vjp(ops.exponential, lambda g, y, x: g * y.conj())
vjp(ops.exponential_minus_one, lambda g, y, x: g * (y + 1).conj())
vjp(ops.log, lambda g, y, x: g / x.conj())
vjp(ops.log_plus_one, lambda g, y, x: g / (x + 1).conj())
vjp(ops.sqrt, lambda g, y, x: g / (2 * y).conj())
vjp(ops.rsqrt, lambda g, y, x: g * (y * y * y * -0.5).conj())
vjp(ops.logistic, lambda g, y, x: g * (y * (1 - y)).conj())

# --- circular and hyperbolic functions ---
vjp(ops.sine, lambda g, y, x: g * ops.cosine(x).conj())
vjp(ops.cosine, lambda g, y, x: -g * ops.sine(x).conj())
vjp(ops.tan, lambda g, y, x: g * (1 + y * y).conj())
vjp(ops.asin, lambda g, y, x: g * ops.rsqrt(1 - x * x).conj())
vjp(ops.acos, lambda g, y, x: -g * ops.rsqrt(1 - x * x).conj())
vjp(ops.atan, lambda g, y, x: g / (1 + x * x).conj())
vjp(ops.sinh, lambda g, y, x: g * ops.cosh(x).conj())
vjp(ops.cosh, lambda g, y, x: g * ops.sinh(x).conj())
vjp(ops.tanh, lambda g, y, x: g * (1 - y * y).conj())
vjp(ops.asinh, lambda g, y, x: g * ops.rsqrt(x * x + 1).conj())
# two roots, not one of the product: the branch of the complex root matters
vjp(ops.acosh, lambda g, y, x: g * (ops.rsqrt(x - 1) * ops.rsqrt(x + 1)).conj())
vjp(ops.atanh, lambda g, y, x: g / (1 - x * x).conj())

# --- special functions ---
vjp(ops.erf, lambda g, y, x: g * ops.exponential(-x * x) * (2 / math.sqrt(math.pi)))
vjp(ops.erfc, lambda g, y, x: g * ops.exponential(-x * x) * (-2 / math.sqrt(math.pi)))
vjp(ops.erf_inv, lambda g, y, x: g * ops.exponential(y * y) * (math.sqrt(math.pi) / 2))
vjp(ops.lgamma, lambda g, y, x: g * ops.digamma(x))
vjp(ops.digamma, lambda g, y, x: g * derivative_of_digamma(1, x))
vjp(ops.polygamma, None, lambda g, y, n, x: g * ops.polygamma(n + 1, x))

# --- choice and types ---
vjp(
    ops.select,
    None,
    lambda g, y, c, a, b: ops.select(c, g, zero(g)),
    lambda g, y, c, a, b: ops.select(c, zero(g), g),
)
vjp(ops.convert, lambda g, y, x, dtype: convert(g, x.dtype) if x.dtype.is_inexact else None)
vjp(ops.copy, lambda g, y, x: g)
vjp(ops.real, lambda g, y, x: ops.complex_(g, zero(g)))
vjp(ops.imag, lambda g, y, x: ops.complex_(zero(g), g))
vjp(ops.conj, lambda g, y, x: ops.conj(g))
vjp(ops.complex_, lambda g, y, a, b: ops.real(g), lambda g, y, a, b: ops.imag(g))
