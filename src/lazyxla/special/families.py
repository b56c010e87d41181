"""The gamma function's kin, error functions, Bessel and Airy functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd import from_jax_function
from ..devices import jax_special
from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.dtypes import float32
from ..lazy.functions.conversion import full_like_type, promote, to_inexact
from ..lazy.record import user_line


def real(name: str, x: Any) -> Tensor:
    """A floating operand; integers in the default type; RuntimeError for complex numbers."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(x).__name__}  ({user_line()})")
    if x.dtype.is_complex:
        raise RuntimeError(f"{name} is not implemented for '{x.dtype.name}': real numbers are expected  ({user_line()})")
    return to_inexact(x)


def through_float32(op: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """The op on at least single precision, and the result in the operands' own type."""
    dtype = operands[0].dtype
    if dtype.itemsize >= 4:
        return op(*operands)
    return op(*[x.to(float32) for x in operands]).to(dtype)


def _one(name: str, doc: str) -> Callable[[Tensor], Tensor]:
    op = from_jax_function(getattr(jax_special, name))

    def f(input: Tensor) -> Tensor:
        return through_float32(op, real(name, input))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


def _two(name: str, doc: str) -> Callable[[Tensor, Tensor], Tensor]:
    op = from_jax_function(getattr(jax_special, name))

    def f(input: Any, other: Any) -> Tensor:
        x, y = promote(input, other)
        return through_float32(op, real(name, x), real(name, y))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


i0 = _one("i0", "The modified Bessel function of the first kind, order 0.")
i0e = _one("i0e", "exp(-|x|) i0(x).")
i1 = _one("i1", "The modified Bessel function of the first kind, order 1.")
i1e = _one("i1e", "exp(-|x|) i1(x).")
erfcx = _one("erfcx", "exp(x^2) erfc(x).")
ndtr = _one("ndtr", "The normal distribution function.")
ndtri = _one("ndtri", "The inverse of ``ndtr``.")
log_ndtr = _one("log_ndtr", "The logarithm of ``ndtr``, also where that is tiny.")
entr = _one("entr", "-x log x; 0 at 0, -inf below.")
bessel_j0 = _one("bessel_j0", "The Bessel function of the first kind, order 0.")
bessel_j1 = _one("bessel_j1", "The Bessel function of the first kind, order 1.")
bessel_y0 = _one("bessel_y0", "The Bessel function of the second kind, order 0; NaN below 0.")
bessel_y1 = _one("bessel_y1", "The Bessel function of the second kind, order 1; NaN below 0.")
modified_bessel_k0 = _one("modified_bessel_k0", "The modified Bessel function of the second kind, order 0; NaN below 0.")
modified_bessel_k1 = _one("modified_bessel_k1", "The modified Bessel function of the second kind, order 1; NaN below 0.")
scaled_modified_bessel_k0 = _one("scaled_modified_bessel_k0", "exp(x) modified_bessel_k0(x).")
scaled_modified_bessel_k1 = _one("scaled_modified_bessel_k1", "exp(x) modified_bessel_k1(x).")
spherical_bessel_j0 = _one("spherical_bessel_j0", "sin(x) / x.")
airy_ai = _one("airy_ai", "Airy's function Ai.")
gammainc = _two("gammainc", "The regularised lower incomplete gamma function P(input, other).")
gammaincc = _two("gammaincc", "The regularised upper incomplete gamma function Q(input, other) = 1 - P.")
zeta = _two("zeta", "Hurwitz's zeta function: the sum over k of (k + other) to the -input. Differentiable in ``other`` only.")


def multigammaln(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p, for input > (p - 1) / 2."""
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, got {p}  ({user_line()})")
    x = real("multigammaln", input)
    total = full_like_type(x, p * (p - 1) / 4 * math.log(math.pi))
    for j in range(p):
        total = total + lx["lgamma"](x - j / 2)
    return total


def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log(1 + other), 0 where input is 0 and other is not NaN; see ``xlogy`` for the derivative there."""
    x, y = promote(input, other)
    x, y = to_inexact(x), to_inexact(y)
    none = (x == 0) & ((y <= -1) | (y == math.inf) if not y.dtype.is_complex else y == -1)
    return x * lx["log1p"](lx["where"](none, full_like_type(y, 0), y))


OFFERED = (
    i0, i0e, i1, i1e, erfcx, ndtr, ndtri, log_ndtr, entr, bessel_j0, bessel_j1, bessel_y0, bessel_y1, modified_bessel_k0,
    modified_bessel_k1, scaled_modified_bessel_k0, scaled_modified_bessel_k1, spherical_bessel_j0, airy_ai, gammainc,
    gammaincc, zeta, multigammaln, xlog1py,
)  # fmt: skip
__all__ = ["OFFERED"]
