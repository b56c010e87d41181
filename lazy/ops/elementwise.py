"""Elementwise primitives: one result element from the elements at the same place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import COMPLEX, DType, bool_
from ..graph import Aval, define
from .rules import expect, expect_kind, like, to_bool, to_real


def _special(name: str) -> Any:
    """A function of scipy.special, imported when first used (jax depends on SciPy)."""

    def meaning(*arrays: Any) -> Any:
        import scipy.special

        return np.asarray(getattr(scipy.special, name)(*arrays), arrays[-1].dtype)

    return meaning


def _keep(f: Any) -> Any:
    """A meaning in the operand's own type, where NumPy would widen it."""
    return lambda *arrays: np.asarray(f(*arrays), arrays[0].dtype)


# --- arithmetic ---
negate = define("negate", like("ifc"), np.negative, "-x.")
add = define("add", like("ifc"), np.add, "x + y.")
subtract = define("subtract", like("ifc"), np.subtract, "x - y.")
multiply = define("multiply", like("ifc"), np.multiply, "x * y.")


def _divide(x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return np.divide(x, y)
    safe = np.where(y == 0, np.ones_like(y), y)
    with np.errstate(over="ignore"):  # the smallest by -1
        down, rest = np.divmod(x, safe)
    return np.where(y == 0, np.array(-1).astype(x.dtype), down + ((rest != 0) & ((x < 0) != (safe < 0))))


def _remainder(x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, np.where(y == 0, np.ones_like(y), y)))


divide = define("divide", like("ifc"), _divide, "x / y; integers towards zero, and all bits set for a zero divisor.")
remainder = define("remainder", like("if"), _remainder, "The remainder with the sign of x; of integers by 0, x.")


def _gcd(x: Any, y: Any) -> Any:
    """NumPy's, but of the widest negative number, which has no positive one, what Euclid's steps give, as in PyTorch."""
    least = np.iinfo(x.dtype).min
    if x.dtype.kind == "u" or not (np.any(x == least) or np.any(y == least)):
        return np.gcd(x, y)
    x, y = np.abs(x), np.abs(y)
    while np.any(y):
        x, y = np.where(y == 0, x, y), np.where(y == 0, 0, np.fmod(x, np.where(y == 0, 1, y))).astype(x.dtype)
    return x


gcd = define("gcd", like("i"), _gcd, "The greatest common divisor.")


def _power(x: Any, y: Any) -> Any:
    if x.dtype.kind not in "iu":
        return np.power(x, y)
    whole = np.power(x, np.maximum(y, 0))
    odd = np.where(y % 2 == 0, 1, x)  # of negative exponents: 1 and -1 have whole results, the others 0
    return np.where(y >= 0, whole, np.where(np.abs(x) == 1, odd, 0)).astype(x.dtype)


def _sign(x: Any) -> Any:
    y = np.sign(x)
    return np.where(np.isnan(x), np.zeros_like(x), y) if x.dtype.kind not in "iuc" else y


power = define("power", like("ifc"), _power, "x to the y; of integers, towards zero.")
maximum = define("maximum", like("bif"), np.maximum, "The larger; NaN where either is.")
minimum = define("minimum", like("bif"), np.minimum, "The smaller; NaN where either is.")
absolute = define("abs", to_real("ifc"), lambda x: np.asarray(np.abs(x)), "|x|; real for complex x.")
sign = define("sign", like("ifc"), _sign, "-1, 0 or 1, and 0 for NaN; x/|x| for complex x.")
atan2 = define("atan2", like("f"), _keep(np.arctan2), "The angle of the point (y, x).")

# --- rounding ---
floor = define("floor", like("f"), np.floor, "Down to an integer.")
ceil = define("ceil", like("f"), np.ceil, "Up to an integer.")
round_nearest_even = define("round_nearest_even", like("f"), np.round, "To the nearest integer, ties to even.")

# --- exponentials and powers ---
exponential = define("exponential", like("fc"), np.exp, "e to the x.")
exponential_minus_one = define("exponential_minus_one", like("fc"), np.expm1, "e to the x, less 1.")
log = define("log", like("fc"), np.log, "Natural logarithm.")
log_plus_one = define("log_plus_one", like("fc"), np.log1p, "Natural logarithm of 1 + x.")
sqrt = define("sqrt", like("fc"), np.sqrt, "Square root.")
rsqrt = define("rsqrt", like("fc"), _keep(lambda x: 1 / np.sqrt(x)), "1 / square root.")
logistic = define("logistic", like("fc"), _keep(lambda x: 1 / (1 + np.exp(-x))), "1 / (1 + e to the -x).")

# --- circular and hyperbolic functions ---
sine = define("sine", like("fc"), np.sin, "Sine.")
cosine = define("cosine", like("fc"), np.cos, "Cosine.")
tan = define("tan", like("fc"), np.tan, "Tangent.")
asin = define("asin", like("fc"), np.arcsin, "Inverse sine.")
acos = define("acos", like("fc"), np.arccos, "Inverse cosine.")
atan = define("atan", like("fc"), np.arctan, "Inverse tangent.")
sinh = define("sinh", like("fc"), np.sinh, "Hyperbolic sine.")
cosh = define("cosh", like("fc"), np.cosh, "Hyperbolic cosine.")
tanh = define("tanh", like("fc"), np.tanh, "Hyperbolic tangent.")
asinh = define("asinh", like("fc"), np.arcsinh, "Inverse hyperbolic sine.")
acosh = define("acosh", like("fc"), np.arccosh, "Inverse hyperbolic cosine.")
atanh = define("atanh", like("fc"), np.arctanh, "Inverse hyperbolic tangent.")

# --- special functions ---
erf = define("erf", like("f"), _special("erf"), "Error function.")
erfc = define("erfc", like("f"), _special("erfc"), "1 - erf(x), exact where erf is near 1.")
erf_inv = define("erf_inv", like("f"), _special("erfinv"), "Inverse of erf.")
lgamma = define("lgamma", like("f"), _special("gammaln"), "Logarithm of |gamma(x)|.")
digamma = define("digamma", like("f"), _special("digamma"), "Derivative of lgamma.")
polygamma = define("polygamma", like("f"), _special("polygamma"), "The n-th derivative of digamma at x, for (n, x).")

# --- bits ---
logical_not = define("not", like("bi"), np.invert, "Each bit (or truth value) inverted.")
bit_and = define("and", like("bi"), np.bitwise_and, "Bitwise (or logical) and.")
bit_or = define("or", like("bi"), np.bitwise_or, "Bitwise (or logical) or.")
bit_xor = define("xor", like("bi"), np.bitwise_xor, "Bitwise (or logical) exclusive or.")


def _shift(f: Any, past: Any) -> Any:
    """A shift whose count may reach or pass the width, where NumPy's result is undefined."""

    def meaning(x: Any, y: Any) -> Any:
        bits = x.dtype.itemsize * 8
        inside = (y >= 0) & (y < bits)
        return np.where(inside, f(x, np.where(inside, y, 0).astype(x.dtype)), past(x)).astype(x.dtype)

    return meaning


def _logical_right(x: Any, y: Any) -> Any:
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    return (x.view(unsigned) >> y.view(unsigned)).view(x.dtype) if x.dtype.kind == "i" else x >> y


shift_left = define("shift_left", like("i"), _shift(np.left_shift, np.zeros_like), "x with its bits moved up by y.")
shift_right_arithmetic = define(
    "shift_right_arithmetic", like("i"), _shift(np.right_shift, lambda x: x >> np.array(x.dtype.itemsize * 8 - 1, x.dtype)),
    "x with its bits moved down by y, keeping the sign.",
)  # fmt: skip
shift_right_logical = define(
    "shift_right_logical", like("i"), _shift(_logical_right, np.zeros_like), "x with its bits moved down by y."
)

# --- comparison and choice ---
_COMPARISONS = {
    "EQ": np.equal, "NE": np.not_equal, "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
}  # fmt: skip


def _compare(x: Aval, y: Aval, *, direction: str) -> Aval:
    expect(direction in _COMPARISONS, f"unknown direction {direction}")
    if direction not in ("EQ", "NE"):
        expect_kind(x, "bif")
    return to_bool("bifc")(x, y)


compare = define(
    "compare", _compare, lambda x, y, *, direction: _COMPARISONS[direction](x, y), "x ? y.", ("direction",)
)


def _select(which: Aval, x: Aval, y: Aval) -> Aval:
    expect(which.dtype is bool_, f"a bool condition is expected, got {which!r}")
    expect(which.shape == x.shape, f"condition and values differ in shape: {which!r}, {x!r}")
    return like("bifc")(x, y)


select = define("select", _select, np.where, "x where the condition holds, y elsewhere.")
is_finite = define("is_finite", to_bool("f"), np.isfinite, "Neither infinite nor NaN.")

# --- types ---


def _convert(x: Aval, *, dtype: DType) -> Aval:
    expect(x.dtype.category != COMPLEX or dtype.category == COMPLEX, "complex to real must go through `real`")
    return x.with_dtype(dtype)


def _convert_meaning(x: Any, *, dtype: DType) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return x.astype(dtype.numpy)


def _bitcast(x: Aval, *, dtype: DType) -> Aval:
    expect(x.dtype.bits == dtype.bits, f"{x!r} and {dtype.name} differ in size")
    return x.with_dtype(dtype)


def _joined(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    z = np.empty(np.shape(x), f"c{2 * x.dtype.itemsize}")
    z.real, z.imag = x, y  # a product with 1j would make NaN of an infinite part
    return z


def _complex(x: Aval, y: Aval) -> Aval:
    expect_kind(x, "f")
    expect(x.dtype.itemsize >= 4, f"a complex number of two {x.dtype.name} is not supported")
    return like("f")(x, y).with_dtype(x.dtype.to_complex())


convert = define("convert", _convert, _convert_meaning, "The same numbers in another type.", ("dtype",))
bitcast_convert = define(
    "bitcast_convert", _bitcast, lambda x, *, dtype: x.view(dtype.numpy), "The same bits as another type.", ("dtype",)
)
real = define("real", to_real("c"), lambda x: np.real(x).copy(), "The real part.")
imag = define("imag", to_real("c"), lambda x: np.imag(x).copy(), "The imaginary part.")
conj = define("conj", like("c"), np.conj, "The complex conjugate.")
complex_ = define("complex", _complex, _joined, "x + iy.")
copy = define("copy", like("bifc"), np.copy, "The same value, as another.")
