"""Special functions in JAX, for the bridge: those of ``jax.scipy.special``, and those that it lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from . import special_tables as t

# --- what JAX has -----------------------------------------------------------------------------------------------

ndtr, entr = special.ndtr, special.entr


@jax.custom_jvp
def ndtri(p: Any) -> Any:
    return special.ndtri(p)


def gammainc(a: Any, x: Any) -> Any:
    return lax.igamma(a, x)


def gammaincc(a: Any, x: Any) -> Any:
    return lax.igammac(a, x)


def _bessel(f: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> Any:
    """A modified Bessel function with a derivative that holds at 0, too."""
    own = jax.custom_jvp(lambda x: f(x))
    own.defjvp(lambda primals, tangents: (own(*primals), derivative(*primals) * tangents[0]))
    return own


def _slope(y: Any, x: Any) -> Any:
    """y / x, of a y that is x / 2 near 0."""
    zero = x == 0
    return jnp.where(zero, 0.5, y / jnp.where(zero, 1, x))


i0 = _bessel(special.i0, lambda x: i1(x))  # type: ignore[has-type]
i1 = _bessel(special.i1, lambda x: i0(x) - _slope(i1(x), x))  # type: ignore[has-type]
i0e = _bessel(special.i0e, lambda x: i1e(x) - jnp.sign(x) * i0e(x))  # type: ignore[has-type]
i1e = _bessel(special.i1e, lambda x: i0e(x) - jnp.sign(x) * i1e(x) - _slope(i1e(x), x))  # type: ignore[has-type]


@jax.custom_jvp
def zeta(x: Any, q: Any) -> Any:
    """Hurwitz's; infinite at x = 1 and at the poles q = 0, -1, -2...; NaN for x < 1 and powers of negative numbers."""
    whole = q == jnp.floor(q)
    y = jnp.where((q <= 0) & whole, jnp.inf, lax.zeta(x, q))
    y = jnp.where((q <= 0) & ~whole & (x != jnp.floor(x)), jnp.nan, y)
    return jnp.where(x < 1, jnp.nan, jnp.where(x == 1, jnp.inf, y))


@partial(zeta.defjvp, symbolic_zeros=True)
def _(primals: Any, tangents: Any) -> Any:
    (x, q), (dx, dq) = primals, tangents
    if type(dx) is not jax.custom_derivatives.SymbolicZero:
        raise NotImplementedError("zeta has no derivative here with respect to its first argument")
    return zeta(x, q), -x * zeta(x + 1, q) * dq


# --- error functions --------------------------------------------------------------------------------------------


@jax.custom_jvp
def erfcx(x: Any) -> Any:
    """exp(x^2) erfc(x): by its definition, and far out by its asymptotic series (Abramowitz and Stegun, 7.1.23)."""
    wide = x.dtype == jnp.float64
    far, terms = (8.0, 16) if wide else (5.0, 9)
    s = jnp.clip(x, -30.0 if wide else -12.0, far)  # inf from there down
    high = s.astype(jnp.float32 if wide else jnp.bfloat16).astype(x.dtype)  # its square is exact
    near = jnp.exp(high * high) * (jnp.exp((s - high) * (s + high)) * lax.erfc(s))
    b = jnp.maximum(x, far)
    z = 0.5 / b / b
    series = jnp.ones_like(x)
    for k in range(terms, 0, -1):
        series = 1 - (2 * k - 1) * z * series
    return jnp.where(x < far, near, series / b * (1 / math.sqrt(math.pi)))


@jax.custom_jvp
def log_ndtr(x: Any) -> Any:
    low, high = jnp.minimum(x, -1), jnp.maximum(x, -1)
    tail = jnp.log(erfcx(low * -math.sqrt(0.5)) / 2) - low * low / 2
    out = jnp.where(x < -1, tail, jnp.log1p(-lax.erfc(high * math.sqrt(0.5)) / 2))
    return jnp.where(jnp.isneginf(x), -jnp.inf, out).astype(x.dtype)


# --- Bessel functions -------------------------------------------------------------------------------------------


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    out = jnp.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        out = out * x + jnp.asarray(c, x.dtype)
    return out


def _ratio(x: Any, over: tuple[float, ...], under: tuple[float, ...]) -> Any:
    return _polynomial(x, over) / _polynomial(x, under)


def _monic(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    return (1.0, *coefficients)


def _far(x: Any, p: Any, q: Any, shift: float) -> tuple[Any, Any, Any]:
    """Hankel's asymptotic form for x > 5: the amplitudes of the two phases, and the phase."""
    z = 25 / (x * x)
    size = jnp.sqrt(2 / (math.pi * x))
    return _ratio(z, *p) * size, 5 / x * _ratio(z, *q) * size, x - shift


_P0, _Q0 = (t.J0_PP, t.J0_PQ), (t.J0_QP, _monic(t.J0_QQ))
_P1, _Q1 = (t.J1_PP, t.J1_PQ), (t.J1_QP, _monic(t.J1_QQ))


@jax.custom_jvp
def bessel_j0(x: Any) -> Any:
    a = jnp.abs(x)
    z = jnp.minimum(a, 5.0) ** 2
    near = (z - 5.78318596294678452118) * (z - 30.4712623436620863991) * _ratio(z, t.J0_RP, _monic(t.J0_RQ))
    p, q, phase = _far(jnp.maximum(a, 5.0), _P0, _Q0, math.pi / 4)
    return jnp.where(a <= 5, near, p * jnp.cos(phase) - q * jnp.sin(phase))


@jax.custom_jvp
def bessel_j1(x: Any) -> Any:
    a = jnp.abs(x)
    s = jnp.minimum(a, 5.0)
    z = s * s
    near = s * (z - 14.6819706421238932572) * (z - 49.2184563216946036703) * _ratio(z, t.J1_RP, _monic(t.J1_RQ))
    p, q, phase = _far(jnp.maximum(a, 5.0), _P1, _Q1, 3 * math.pi / 4)
    return jnp.sign(x) * jnp.where(a <= 5, near, p * jnp.cos(phase) - q * jnp.sin(phase))


@jax.custom_jvp
def bessel_y0(x: Any) -> Any:
    s = jnp.where((x > 0) & (x <= 5), x, 1)
    near = _ratio(s * s, t.Y0_P, _monic(t.Y0_Q)) + 2 / math.pi * jnp.log(s) * bessel_j0(s)
    p, q, phase = _far(jnp.maximum(x, 5.0), _P0, _Q0, math.pi / 4)
    return _from_zero(x, jnp.where(x <= 5, near, p * jnp.sin(phase) + q * jnp.cos(phase)), -jnp.inf)


@jax.custom_jvp
def bessel_y1(x: Any) -> Any:
    s = jnp.where((x > 0) & (x <= 5), x, 1)
    near = s * _ratio(s * s, t.Y1_P, _monic(t.Y1_Q)) + 2 / math.pi * (bessel_j1(s) * jnp.log(s) - 1 / s)
    p, q, phase = _far(jnp.maximum(x, 5.0), _P1, _Q1, 3 * math.pi / 4)
    return _from_zero(x, jnp.where(x <= 5, near, p * jnp.sin(phase) + q * jnp.cos(phase)), -jnp.inf)


def _from_zero(x: Any, value: Any, at_zero: float) -> Any:
    return jnp.where(x > 0, value, jnp.where(x == 0, at_zero, jnp.nan)).astype(x.dtype)


def _chebyshev(x: Any, coefficients: tuple[float, ...]) -> Any:
    """Clenshaw's sum, x running from -2 to 2."""
    a, q, p = jnp.full_like(x, coefficients[0]), jnp.zeros_like(x), jnp.zeros_like(x)
    for c in coefficients[1:]:
        p, q = q, a
        a = x * q - p + jnp.asarray(c, x.dtype)
    return (a - p) / 2


def _k(x: Any, order: int, scaled: bool) -> Any:
    near, far = (t.K0_A, t.K0_B) if order == 0 else (t.K1_A, t.K1_B)
    s, b = jnp.where((x > 0) & (x <= 2), x, 1), jnp.maximum(x, 2)
    small = _chebyshev(s * s - 2, near)
    log = jnp.log(s / 2)
    small = small - log * special.i0(s) if order == 0 else log * special.i1(s) + small / s
    large = _chebyshev(8 / b - 2, far) / jnp.sqrt(b)
    small, large = (small * jnp.exp(s), large) if scaled else (small, large * jnp.exp(-b))
    return _from_zero(x, jnp.where(x <= 2, small, large), jnp.inf)


@jax.custom_jvp
def modified_bessel_k0(x: Any) -> Any:
    return _k(x, 0, False)


@jax.custom_jvp
def modified_bessel_k1(x: Any) -> Any:
    return _k(x, 1, False)


@jax.custom_jvp
def scaled_modified_bessel_k0(x: Any) -> Any:
    return _k(x, 0, True)


@jax.custom_jvp
def scaled_modified_bessel_k1(x: Any) -> Any:
    return _k(x, 1, True)


def _derivative(f: Any, df: Callable[[Any, Any], Any]) -> None:
    """f' as ``df(x, f(x))``."""

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        y = f(x)
        return y, df(x, y) * dx


def _over(y: Any, x: Any, limit: float) -> Any:
    """y / x, and its limit at 0."""
    return jnp.where(x == 0, limit, y / jnp.where(x == 0, 1, x))


_derivative(erfcx, lambda x, y: 2 * x * y - 2 / math.sqrt(math.pi))
_derivative(log_ndtr, lambda x, y: math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5)))
_derivative(ndtri, lambda p, y: math.sqrt(2 * math.pi) * jnp.exp(y * y / 2))
_derivative(bessel_j0, lambda x, y: -bessel_j1(x))
_derivative(bessel_j1, lambda x, y: bessel_j0(x) - _over(y, x, 0.5))
_derivative(bessel_y0, lambda x, y: -bessel_y1(x))
_derivative(bessel_y1, lambda x, y: bessel_y0(x) - y / x)
_derivative(modified_bessel_k0, lambda x, y: -modified_bessel_k1(x))
_derivative(modified_bessel_k1, lambda x, y: -modified_bessel_k0(x) - y / x)
_derivative(scaled_modified_bessel_k0, lambda x, y: y - scaled_modified_bessel_k1(x))
_derivative(scaled_modified_bessel_k1, lambda x, y: y - scaled_modified_bessel_k0(x) - y / x)


def spherical_bessel_j0(x: Any) -> Any:
    """sin(x) / x; by its series near 0."""
    z = jnp.where(jnp.abs(x) < 0.5, x * x, 0)
    near = _polynomial(z, tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(6, -1, -1)))
    s = jnp.where((jnp.abs(x) < 0.5) | jnp.isinf(x), 1, x)
    return jnp.where(jnp.isinf(x), 0, jnp.where(jnp.abs(x) < 0.5, near, jnp.sin(s) / s)).astype(x.dtype)


def _airy_series(first: int) -> tuple[float, ...]:
    """The series in x^3 of one of the two solutions of y'' = x y, that begins with 1 or with x; highest powers first."""
    found = [1.0]
    for k in range(1, 18):
        found.append(found[-1] / ((3 * k - 1 + first) * (3 * k + first)))
    return tuple(reversed(found))


def _airy(x: Any) -> Any:
    """By its power series between -2.09 and 2.09, by asymptotic forms outside."""
    m = jnp.where(jnp.abs(x) < 2.09, x, 0)
    z = m * m * m
    middle = 0.355028053887817239260 * _polynomial(z, _airy_series(0))
    middle = middle - 0.258819403792806798405 * m * _polynomial(z, _airy_series(1))
    root = 5.64189583547756286948e-01  # 1 / sqrt(pi)

    r = jnp.where((x >= 2.09) & (x <= 103.892), x, 2.09)
    zeta = 2 * r * jnp.sqrt(r) / 3
    right = root * _ratio(1 / zeta, t.AIRY_AN, t.AIRY_AD) / (2 * jnp.sqrt(jnp.sqrt(r))) * jnp.exp(-zeta)
    right = jnp.where(x > 103.892, 0, right)

    s = jnp.where((x <= -2.09) & ~jnp.isinf(x), -x, 2.09)
    zeta = 2 * s * jnp.sqrt(s) / 3
    w = 1 / zeta
    even = 1 + w * w * _ratio(w * w, t.AIRY_AFN, _monic(t.AIRY_AFD))
    odd = w * _ratio(w * w, t.AIRY_AGN, _monic(t.AIRY_AGD))
    phase = zeta + math.pi / 4
    left = root / jnp.sqrt(jnp.sqrt(s)) * (jnp.sin(phase) * even - jnp.cos(phase) * odd)
    out = jnp.where(x <= -2.09, left, jnp.where(x >= 2.09, right, middle))
    return jnp.where(jnp.isinf(x) | jnp.isnan(x), jnp.nan, out).astype(x.dtype)


@jax.custom_jvp
def airy_ai(x: Any) -> Any:
    """Airy's function Ai. NaN at infinity."""
    return _airy(x)


@jax.custom_jvp
def _airy_slope(x: Any) -> Any:
    return jax.jvp(_airy, (x,), (jnp.ones_like(x),))[1]


_derivative(airy_ai, lambda x, y: _airy_slope(x))
_derivative(_airy_slope, lambda x, y: x * airy_ai(x))


# --- orthogonal polynomials -------------------------------------------------------------------------------------

Step = Callable[[Any, Any, Any, Any], Any]  # (k, x, p_k, p_(k-1)) -> p_(k+1)


def _doubled(k: Any, x: Any, q: Any, p: Any) -> Any:
    return 2 * x * q - p


#: name -> (the polynomial of degree 1, the step)
POLYNOMIALS: dict[str, tuple[Callable[[Any], Any], Step]] = {
    "chebyshev_polynomial_t": (lambda x: x, _doubled),
    "chebyshev_polynomial_u": (lambda x: 2 * x, _doubled),
    "chebyshev_polynomial_v": (lambda x: 2 * x - 1, _doubled),
    "chebyshev_polynomial_w": (lambda x: 2 * x + 1, _doubled),
    "hermite_polynomial_h": (lambda x: 2 * x, lambda k, x, q, p: 2 * x * q - 2 * k * p),
    "hermite_polynomial_he": (lambda x: x, lambda k, x, q, p: x * q - k * p),
    "laguerre_polynomial_l": (lambda x: 1 - x, lambda k, x, q, p: ((2 * k + 1 - x) * q - k * p) / (k + 1)),
    "legendre_polynomial_p": (lambda x: x, lambda k, x, q, p: ((2 * k + 1) * x * q - k * p) / (k + 1)),
}


def polynomial(x: Any, *, name: str, degree: int) -> Any:
    """The polynomial of one degree, by the recurrence."""
    first, step = POLYNOMIALS[name]
    if degree < 1:
        return jnp.full_like(x, 1 if degree == 0 else 0)

    def body(k: Any, state: Any) -> Any:
        q, p = state
        return step(jnp.asarray(k, x.dtype), x, q, p), q

    return lax.fori_loop(1, degree, body, (first(x), jnp.ones_like(x)))[0]


def polynomials(x: Any, n: Any, *, name: str) -> Any:
    """Each element's polynomial of its own degree, by the recurrence up to the highest; 0 for negative degrees."""
    first, step = POLYNOMIALS[name]
    degree = jnp.where(jnp.isfinite(n), jnp.trunc(n), -1)
    q = first(x)
    out = jnp.where(degree == 0, 1, jnp.where(degree == 1, q, 0)).astype(x.dtype)
    highest = jnp.max(degree, initial=0)

    def body(state: Any) -> Any:
        k, q, p, out = state
        r = step(k, x, q, p)
        return k + 1, r, q, jnp.where(degree == k + 1, r, out)

    start = (jnp.ones((), x.dtype), q, jnp.ones_like(x), out)
    return lax.while_loop(lambda state: state[0] < highest, body, start)[3]
