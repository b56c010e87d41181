"""Functions of one or two arrays, element by element."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from ..lazy import Tensor, dtypes
from ..lazy import public as lx
from ..lazy.dtypes import BOOL, COMPLEX, FLOAT, INT
from ..lazy.record import user_line
from ._common import floating, is_complex, like, operand, pair, tensor
from ._dtypes import fits

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
]  # fmt: skip

_real, _imag, _where, _complex = lx["real"], lx["imag"], lx["where"], lx["complex"]


def _named(f: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


def _unary(name: str, doc: str, torch_name: str | None = None, inexact: bool = False) -> Callable[[Tensor], Tensor]:
    plain = lx[torch_name or name]
    take = floating if inexact else tensor

    def f(x: Tensor, /) -> Tensor:
        return like(plain(take(name, x)), x)  # type: ignore[no-any-return]

    return _named(f, name, doc)


acos, acosh = _unary("acos", "Inverse cosine.", None, True), _unary("acosh", "Inverse hyperbolic cosine.", None, True)
asin, asinh = _unary("asin", "Inverse sine.", None, True), _unary("asinh", "Inverse hyperbolic sine.", None, True)
atan, atanh = _unary("atan", "Inverse tangent.", None, True), _unary("atanh", "Inverse hyperbolic tangent.", None, True)
cos, cosh = _unary("cos", "Cosine.", None, True), _unary("cosh", "Hyperbolic cosine.", None, True)
sin, sinh = _unary("sin", "Sine.", None, True), _unary("sinh", "Hyperbolic sine.", None, True)
exp, expm1 = _unary("exp", "e to the power of x.", None, True), _unary("expm1", "e to the power of x, less 1.", None, True)
log, log1p = _unary("log", "Natural logarithm.", None, True), _unary("log1p", "Logarithm of 1 + x.", None, True)
log2, log10 = _unary("log2", "Logarithm to base 2.", None, True), _unary("log10", "Logarithm to base 10.", None, True)
sqrt = _unary("sqrt", "Square root.", None, True)
reciprocal = _unary("reciprocal", "1 / x.", None, True)
ceil, floor = _unary("ceil", "The next integer above."), _unary("floor", "The next integer below.")
trunc = _unary("trunc", "Towards zero to an integer.")
isfinite, isinf = _unary("isfinite", "Neither infinite nor NaN."), _unary("isinf", "Whether infinite.")
isnan = _unary("isnan", "Whether NaN.")
abs = _unary("abs", "|x|; real for complex x.")
negative = _unary("negative", "-x.", "neg")
positive = _unary("positive", "x itself.")
square = _unary("square", "x * x.")
signbit = _unary("signbit", "Whether the sign bit is set (that of -0.0 is).")
logical_not = _unary("logical_not", "Whether not.")
bitwise_invert = _unary("bitwise_invert", "Each bit (or truth value) inverted.", "bitwise_not")
conj = _unary("conj", "The complex conjugate.")


def tanh(x: Tensor, /) -> Tensor:
    """Hyperbolic tangent. Of an infinite complex number, the imaginary part keeps its sign (C gives that of sin 2b)."""
    x = floating("tanh", x)
    out = lx["tanh"](x)
    if is_complex(x):
        a, b = _real(x), _imag(x)
        v = _where(lx["isinf"](a), lx["copysign"](lx["zeros_like"](b), b), _imag(out))
        out = _complex(_real(out), v)
    return like(out, x)  # type: ignore[no-any-return]


def tan(x: Tensor, /) -> Tensor:
    """Tangent. Of a complex number, ``-1j * tanh(x * 1j)``."""
    x = floating("tan", x)
    out = lx["tan"](x)
    if is_complex(x):
        a, b = _real(x), _imag(x)
        out = _complex(_where(lx["isinf"](b), lx["copysign"](lx["zeros_like"](a), a), _real(out)), _imag(out))
    return like(out, x)  # type: ignore[no-any-return]


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1, NaN for NaN; for complex x, x / |x|."""
    x = tensor("sign", x)
    out = lx["sgn"](x)
    if x.dtype.category == FLOAT:
        out = _where(lx["isnan"](x), x, out)
    return like(out, x)  # type: ignore[no-any-return]


def round(x: Tensor, /) -> Tensor:
    """To the nearest integer (each part, for complex x), ties to even."""
    x = tensor("round", x)
    out = _complex(lx["round"](_real(x)), lx["round"](_imag(x))) if is_complex(x) else lx["round"](x)
    return like(out, x)  # type: ignore[no-any-return]


def real(x: Tensor, /) -> Tensor:
    """The real part."""
    return like(_real(tensor("real", x)), x)  # type: ignore[no-any-return]


def imag(x: Tensor, /) -> Tensor:
    """The imaginary part."""
    return like(_imag(tensor("imag", x)), x)  # type: ignore[no-any-return]


# --- of two -----------------------------------------------------------------------------------------------------


def _binary(
    name: str, doc: str, plain: Callable[[Any, Any], Tensor], numbers: bool = False, inexact: bool = False
) -> Callable[[Any, Any], Tensor]:
    def f(x1: Tensor | complex, x2: Tensor | complex, /) -> Tensor:
        a, b = pair(name, x1, x2, numbers)
        if inexact:
            a, b = floating(name, a), floating(name, b)
        return like(plain(a, b), x1, x2, a, b)  # type: ignore[no-any-return]

    return _named(f, name, doc)


add = _binary("add", "x1 + x2.", lx["add"], True)
subtract = _binary("subtract", "x1 - x2.", lx["sub"], True)
multiply = _binary("multiply", "x1 * x2.", lx["mul"], True)
divide = _binary("divide", "x1 / x2, floating.", lx["div"], True)
bitwise_and = _binary("bitwise_and", "The bits (or truth values) set in both.", lx["bitwise_and"])
bitwise_or = _binary("bitwise_or", "The bits (or truth values) set in either.", lx["bitwise_or"])
bitwise_xor = _binary("bitwise_xor", "The bits (or truth values) set in one.", lx["bitwise_xor"])
bitwise_left_shift = _binary("bitwise_left_shift", "x1 with its bits moved up by x2.", lx["bitwise_left_shift"])
bitwise_right_shift = _binary(
    "bitwise_right_shift", "x1 with its bits moved down by x2, keeping the sign.", lx["bitwise_right_shift"]
)
logical_and = _binary("logical_and", "Whether both.", lx["logical_and"])
logical_or = _binary("logical_or", "Whether either.", lx["logical_or"])
logical_xor = _binary("logical_xor", "Whether one of them.", lx["logical_xor"])
atan2 = _binary("atan2", "The angle of the point (x2, x1).", lx["atan2"], inexact=True)
copysign = _binary("copysign", "|x1| with the sign of x2.", lx["copysign"], inexact=True)
hypot = _binary("hypot", "The root of x1^2 + x2^2.", lx["hypot"], inexact=True)
logaddexp = _binary("logaddexp", "log(exp(x1) + exp(x2)).", lx["logaddexp"], inexact=True)
nextafter = _binary("nextafter", "The next number after x1 towards x2.", lx["nextafter"], inexact=True)
maximum = _binary("maximum", "The larger; NaN where either is.", lx["maximum"])
minimum = _binary("minimum", "The smaller; NaN where either is.", lx["minimum"])


def _pow(a: Any, b: Any) -> Tensor:
    if isinstance(b, float) and b == -0.5:  # of which PyTorch makes rsqrt: -inf of -0.0, NaN of -inf
        b = lx["full"]((), b, dtype=a.dtype, device=a.device)
    return lx["pow"](a, b)  # type: ignore[no-any-return]


pow = _binary("pow", "x1 to the power of x2.", _pow, True)


def _quotient(a: Any, b: Any) -> Tensor:
    """``divide`` rounded down, with its zeros and infinities: PyTorch's, as Python's, is NaN of an infinite number, and -1 of
    numbers of different signs where the divisor is infinite."""
    q = lx["floor_divide"](a, b)
    if a.dtype.category != FLOAT:
        return q  # type: ignore[no-any-return]
    q = _where(q == 0, lx["copysign"](lx["zeros_like"](q), a) * lx["copysign"](lx["ones_like"](q), b), q)
    return _where(lx["isinf"](a) ^ lx["isinf"](b), lx["div"](a, b), q)  # type: ignore[no-any-return]


def _rest(a: Any, b: Any) -> Tensor:
    """The remainder; a zero has the sign of the divisor."""
    r = lx["remainder"](a, b)
    return _where(r == 0, lx["copysign"](r, b), r) if a.dtype.category == FLOAT else r  # type: ignore[no-any-return]


floor_divide = _binary("floor_divide", "x1 / x2 rounded down.", _quotient)
remainder = _binary("remainder", "What floor division leaves, with the sign of x2.", _rest)


def _comparison(name: str, torch_name: str, doc: str) -> Callable[[Any, Any], Tensor]:
    plain = lx[torch_name]

    def f(x1: Tensor | complex, x2: Tensor | complex, /) -> Tensor:
        a, b = operand(x1), operand(x2)
        for x, n in ((a, b), (b, a)):  # a number beyond the type compares as what it is
            if isinstance(x, Tensor) and not isinstance(n, Tensor) and not fits(x.dtype, n):
                big = lx["full"]((), math.copysign(math.inf, n), device=x.device)
                x = x.to(dtypes.get_default_dtype())
                a, b = (x, big) if isinstance(a, Tensor) else (big, x)
                break
        a, b = pair(name, a, b, isinstance(a, Tensor))
        return like(plain(a, b), x1, x2)  # type: ignore[no-any-return]

    return _named(f, name, doc)


equal = _comparison("equal", "eq", "Whether x1 == x2.")
not_equal = _comparison("not_equal", "ne", "Whether x1 != x2.")
less, less_equal = _comparison("less", "lt", "Whether x1 < x2."), _comparison("less_equal", "le", "Whether x1 <= x2.")
greater = _comparison("greater", "gt", "Whether x1 > x2.")
greater_equal = _comparison("greater_equal", "ge", "Whether x1 >= x2.")


def clip(x: Tensor, /, min: Tensor | float | None = None, max: Tensor | float | None = None) -> Tensor:
    """x no lower than ``min`` and no higher than ``max``, in the type of x; NaN where x or a bound is."""
    x = tensor("clip", x)
    if x.dtype.category in (BOOL, COMPLEX):
        raise TypeError(f"clip(): a real array is expected, not {x.dtype.name}  ({user_line()})")
    out = x
    for bound, f in ((min, maximum), (max, minimum)):
        if bound is None:
            continue
        bound = operand(bound)
        if x.dtype.category == INT and not isinstance(bound, Tensor):
            limits = dtypes.iinfo(x.dtype)
            bound = builtins.min(builtins.max(bound, limits.min), limits.max)
        out = f(out, bound)
    if out is x:
        return like(x.clone(), x)  # type: ignore[no-any-return]
    return like(out.to(x.dtype), x, min, max)  # type: ignore[no-any-return]
