"""Elementwise functions and operators with PyTorch's names, promotion and broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, ops
from .. import record as rec
from ..dtypes import BOOL, COMPLEX, FLOAT, INT
from ..graph import Aval, HostValue, Node, Op, Signature, leaf_signature, scalar, signature
from ..record import record1, record2, user_line, wrap
from ..tensor import Tensor
from ..views import assign
from ._register import alias, both, function, inplace, method, public
from .conversion import (
    NUMBERS,
    broadcast_shape,
    broadcast_to,
    convert,
    full_like_type,
    promote,
    python_kind,
    result_dtype,
    to_inexact,
)

# --- operators --------------------------------------------------------------------------------------------------
# Each operator remembers, by its operands' types, the signature that needs no conversion: that is the fast path.


def _scalar_plan(op: Op, attributes: tuple[Any, ...], aval: Aval, kind: type, swapped: bool) -> Any:
    """How a tensor of the type meets a Python number without being converted: signatures, or None."""
    if not aval.dtype.category >= {bool: BOOL, int: INT, float: FLOAT}[kind]:
        return None
    if aval.dtype.category == BOOL:
        return None
    try:
        sig = signature(op, (aval, aval), attributes)
    except rec.TypeRuleError:
        return None
    zero = leaf_signature(scalar, Aval((), aval.dtype, aval.device))
    wide = signature(ops.broadcast_in_dim, (zero.aval,), (aval.shape, ())) if aval.shape else None
    return zero, wide, sig, aval.dtype.numpy


def _broadcast_plan(op: Op, attributes: tuple[Any, ...], x: Aval, y: Aval) -> Any:
    """How two tensors of one element type and device meet: a broadcast for each that needs one, and the op; or None."""
    kind = x.dtype.category
    if x.dtype is not y.dtype or x.device is not y.device or kind == BOOL or (kind == INT and op is ops.divide):
        return None
    try:
        shape = broadcast_shape(x.shape, y.shape)
        wide = [
            None if v.shape == shape else
            signature(ops.broadcast_in_dim, (v,), (shape, tuple(range(len(shape) - v.ndim, len(shape))))) for v in (x, y)
        ]  # fmt: skip
        full = x.with_shape(shape)
        return wide[0], wide[1], signature(op, (full, full), attributes)
    except (RuntimeError, rec.TypeRuleError):
        return None  # the slow way says what is wrong


def _operator(op: Op, slow: Callable[[Any, Any], Tensor], attributes: tuple[Any, ...] = ()) -> Callable[[Any, Any], Any]:
    same: dict[Any, Signature] = {}
    mixed: dict[Any, Any] = {}

    def operator(a: Any, b: Any) -> Any:
        kind: Any = type(b)
        if kind is float or kind is int:
            node = a._node
            if node is not None:
                key = (node.sig.aval, kind)
                plan = mixed.get(key, 0)
                if plan == 0:
                    plan = mixed[key] = _scalar_plan(op, attributes, node.sig.aval, kind, False)
                if plan is not None:
                    zero, wide, sig, npy = plan
                    try:
                        value = HostValue(zero, np.array(b, npy), None, 0)
                    except OverflowError:
                        rec.host_number(b, node.sig.aval.dtype)
                        raise
                    return record2(sig, a, wrap(value if wide is None else Node(wide, (value,), None, 0)))
            return slow(a, b)
        try:
            x = a._node.sig.aval
            y = b._node.sig.aval
            sig = same.get((x, y))
        except AttributeError:
            return slow(a, b)
        if sig is None:
            plan = mixed.get((x, y), 0)
            if plan == 0:
                plan = mixed[x, y] = _broadcast_plan(op, attributes, x, y)
            if plan is None:
                return slow(a, b)
            wide_x, wide_y, sig = plan
            if wide_x is None and wide_y is None:
                same[x, y] = sig
            a = a if wide_x is None else record1(wide_x, a)
            b = b if wide_y is None else record1(wide_y, b)
        return record2(sig, a, b)

    return operator


def _guard(name: str, f: Callable[[Any, Any], Any], reflect: bool = False) -> None:
    """A dunder that answers NotImplemented to what is no number and no tensor."""

    def dunder(a: Any, b: Any) -> Any:
        kind = type(b)
        if not (kind is Tensor or kind is float or kind is int or isinstance(b, (Tensor, np.ndarray, np.generic, *NUMBERS))):
            return NotImplemented
        return f(b, a) if reflect else f(a, b)

    dunder.__name__ = name
    setattr(Tensor, name, dunder)


def _slow_arithmetic(op: Op) -> Callable[[Any, Any], Tensor]:
    def slow(a: Any, b: Any) -> Tensor:
        x, y = promote(a, b)
        if x.dtype is dtypes.bool_:
            if op is ops.subtract:
                raise RuntimeError(
                    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
                    f"`logical_xor()` operator instead.  ({user_line()})"
                )
            return (ops.bit_or if op is ops.add else ops.bit_and)(x, y)
        return op(x, y)

    return slow


def _slow_divide(a: Any, b: Any) -> Tensor:
    dtype = result_dtype(*[x if not isinstance(x, np.ndarray) else _array_type(x) for x in (a, b)])
    x, y = promote(a, b, dtype=dtype if dtype.is_inexact else dtypes.get_default_dtype())
    return ops.divide(x, y)


def _array_type(x: np.ndarray) -> Tensor:
    return rec.type_only(Aval(x.shape, dtypes.of_numpy(x.dtype), rec_device()))


def rec_device() -> Any:
    from ...devices import canonical

    return canonical("cpu")


def _slow_compare(direction: str) -> Callable[[Any, Any], Tensor]:
    def slow(a: Any, b: Any) -> Tensor:
        x, y = promote(a, b)
        return ops.compare(x, y, direction=direction)

    return slow


_add = _operator(ops.add, _slow_arithmetic(ops.add))
_sub = _operator(ops.subtract, _slow_arithmetic(ops.subtract))
_mul = _operator(ops.multiply, _slow_arithmetic(ops.multiply))
_div = _operator(ops.divide, _slow_divide)
_COMPARE = {
    name: _operator(ops.compare, _slow_compare(name.upper()), (name.upper(),)) for name in ("eq", "ne", "lt", "le", "gt", "ge")
}


def _scaled(other: Any, alpha: Any) -> Any:
    if isinstance(alpha, Tensor) or alpha != 1:
        return _mul(other, alpha) if isinstance(other, Tensor) else other * alpha
    return other


@both
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other."""
    return _any_order(_add, input, _scaled(other, alpha))


@both
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    return _any_order(_sub, input, _scaled(other, alpha))


@both
def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    return _any_order(_mul, input, other)


def _any_order(f: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """Operators read types off their first operand's node; a number or array in front is made a tensor."""
    if isinstance(a, Tensor):
        return f(a, b)
    x, y = promote(a, b)
    return f(x, y)


def _reverse(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: _any_order(f, a, b)


@both
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with ``rounding_mode`` 'floor' or 'trunc', rounded, and integers stay integers."""
    if rounding_mode is None:
        return _any_order(_div, input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")
    x, y = promote(input, other)
    return ops.divide(x, y) if x.dtype.category == INT else trunc(ops.divide(x, y))


@both
def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down (integers stay integers)."""
    x, y = promote(input, other)
    if x.dtype.is_floating_point:
        return ops.floor(ops.divide(x, y))
    if not x.dtype.is_signed:
        return ops.divide(x, y)
    q = ops.divide(x, y)
    r = ops.subtract(x, ops.multiply(q, y))
    zero = full_like_type(x, 0)
    down = (r != zero) & ((r < zero) != (y < zero))
    return ops.subtract(q, convert(down, x.dtype))


@both
def remainder(input: Any, other: Any) -> Tensor:
    """The remainder with the sign of ``other``, as Python's ``%``."""
    x, y = promote(input, other)
    r = ops.remainder(x, y)
    if not x.dtype.is_signed:
        return r
    zero = full_like_type(x, 0)
    return ops.select((r != zero) & ((r < zero) != (y < zero)), r + y, r)


@both
def fmod(input: Any, other: Any) -> Tensor:
    """The remainder with the sign of ``input``."""
    return ops.remainder(*promote(input, other))


@both
def pow(input: Any, exponent: Any) -> Tensor:
    """input to the exponent; small constant exponents without a logarithm."""
    if isinstance(input, Tensor) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        if exponent < 0 and isinstance(exponent, int) and input.dtype.category == INT:
            raise RuntimeError(f"Integers to negative integer powers are not allowed.  ({user_line()})")
        x = input if input.dtype.is_inexact or isinstance(exponent, int) else to_inexact(input)
        if x.dtype is not dtypes.bool_:
            if exponent == 1:
                return clone(x)
            if exponent == 2:
                return _mul(x, x)
            if exponent == 3:
                return _mul(_mul(x, x), x)
            if x.dtype.is_inexact and exponent == 0.5:
                return ops.sqrt(x)
            if x.dtype.is_inexact and exponent == -0.5:
                return ops.rsqrt(x)
            if x.dtype.is_inexact and exponent == -1:
                return reciprocal(x)
    x, y = promote(input, exponent)
    if x.dtype is dtypes.bool_:
        return ops.bit_or(x, ops.logical_not(y))
    return ops.power(x, y)


_guard("__add__", _add)
_guard("__radd__", _reverse(_add), reflect=True)
_guard("__sub__", _sub)
_guard("__rsub__", _reverse(_sub), reflect=True)
_guard("__mul__", _mul)
_guard("__rmul__", _reverse(_mul), reflect=True)
_guard("__truediv__", _div)
_guard("__rtruediv__", _reverse(_div), reflect=True)
_guard("__floordiv__", floor_divide)
_guard("__rfloordiv__", floor_divide, reflect=True)
_guard("__mod__", remainder)
_guard("__rmod__", remainder, reflect=True)
_guard("__pow__", pow)
_guard("__rpow__", pow, reflect=True)
for _name, _f in _COMPARE.items():

    def _named(input: Any, other: Any, f: Any = _f) -> Tensor:
        return _any_order(f, input, other)

    _named.__name__ = _name
    both(_named)
    _guard(f"__{_name}__", _f)
eq, ne, lt, le, gt, ge = (public[n] for n in ("eq", "ne", "lt", "le", "gt", "ge"))
for _old, _new in (
    ("multiply", mul), ("subtract", sub), ("divide", div), ("true_divide", div), ("greater", gt), ("less", lt),
    ("greater_equal", ge), ("less_equal", le), ("not_equal", ne),
):  # fmt: skip
    alias(_old, _new)


@both
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    return sub(other, input, alpha=alpha)


def _bitwise(name: str, op: Op, logical: bool) -> Callable[..., Tensor]:
    def f(input: Any, other: Any) -> Tensor:
        if logical:
            x, y = (convert(v, dtypes.bool_) if isinstance(v, Tensor) else v for v in (input, other))
            x, y = promote(x, y, dtype=dtypes.bool_)
        else:
            x, y = promote(input, other)
        return op(x, y)

    f.__name__ = name
    return both(f)


bitwise_and = _bitwise("bitwise_and", ops.bit_and, False)
bitwise_or = _bitwise("bitwise_or", ops.bit_or, False)
bitwise_xor = _bitwise("bitwise_xor", ops.bit_xor, False)
logical_and = _bitwise("logical_and", ops.bit_and, True)
logical_or = _bitwise("logical_or", ops.bit_or, True)
logical_xor = _bitwise("logical_xor", ops.bit_xor, True)
bitwise_left_shift = _bitwise("bitwise_left_shift", ops.shift_left, False)


@both
def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    x, y = promote(input, other)
    return (ops.shift_right_arithmetic if x.dtype.is_signed else ops.shift_right_logical)(x, y)


@both
def bitwise_not(input: Tensor) -> Tensor:
    return ops.logical_not(input)


@both
def logical_not(input: Tensor) -> Tensor:
    return ops.logical_not(convert(input, dtypes.bool_))


for _dunder, _f in (
    ("and", bitwise_and), ("or", bitwise_or), ("xor", bitwise_xor), ("lshift", bitwise_left_shift),
    ("rshift", bitwise_right_shift),
):  # fmt: skip
    _guard(f"__{_dunder}__", _f)
    _guard(f"__r{_dunder}__", _f, reflect=True)


def _matmul(a: Any, b: Any) -> Any:
    from .contraction import matmul

    return matmul(a, b)


_guard("__matmul__", _matmul)
_guard("__rmatmul__", _matmul, reflect=True)

# --- one operand ------------------------------------------------------------------------------------------------


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
digamma = _unary("digamma", ops.digamma, "Derivative of lgamma.")
for _old, _f in (
    ("arcsin", asin), ("arccos", acos), ("arctan", atan), ("arcsinh", asinh), ("arccosh", acosh), ("arctanh", atanh),
):  # fmt: skip
    alias(_old, _f)


def _times(name: str, base: Callable[[Tensor], Tensor], factor: float) -> Callable[[Tensor], Tensor]:
    def f(input: Tensor) -> Tensor:
        y = base(input)
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
def neg(input: Tensor) -> Tensor:
    """-input."""
    if input.dtype is dtypes.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` "
            f"or `logical_not()` operator instead.  ({user_line()})"
        )
    return ops.negate(input)


@both
def abs(input: Tensor) -> Tensor:
    """|input|; real for complex input."""
    return input if not input.dtype.is_signed else ops.absolute(input)


@both
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1."""
    if not input.dtype.is_signed:
        return convert(ops.compare(input, full_like_type(input, 0), direction="NE"), input.dtype)
    return ops.sign(input)


@both
def positive(input: Tensor) -> Tensor:
    return input


@both
def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
    x = to_inexact(input)
    return ops.divide(full_like_type(x, 1), x)


@both
def square(input: Tensor) -> Tensor:
    """input * input."""
    return _mul(input, input)


def _rounding(name: str, op: Op) -> Callable[[Tensor], Tensor]:
    def f(input: Tensor) -> Tensor:
        return op(input) if input.dtype.is_floating_point else clone(input)

    f.__name__ = name
    both(f)
    inplace(f)
    return f


floor = _rounding("floor", ops.floor)
ceil = _rounding("ceil", ops.ceil)


@both
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest number of ``decimals`` places, ties to even."""
    if not input.dtype.is_floating_point:
        return clone(input)
    if not decimals:
        return ops.round_nearest_even(input)
    scale = full_like_type(input, 10.0 ** builtin_abs(decimals))
    if decimals < 0:
        return ops.round_nearest_even(input / scale) * scale
    return ops.round_nearest_even(input * scale) / scale


builtin_abs = math.fabs


@both
def trunc(input: Tensor) -> Tensor:
    """Towards zero to an integer."""
    if not input.dtype.is_floating_point:
        return clone(input)
    return ops.select(input < 0, ops.ceil(input), ops.floor(input))


@both
def frac(input: Tensor) -> Tensor:
    """What ``trunc`` cuts off."""
    return input - trunc(input)


alias("fix", trunc)
alias("negative", neg)
alias("absolute", abs)
alias("sgn", sign)


@both
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, through which gradients flow."""
    return ops.copy(input)


@method
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    return self if self.is_contiguous() else ops.copy(self)


@both
def isnan(input: Tensor) -> Tensor:
    return ops.compare(input, input, direction="NE")


@both
def isfinite(input: Tensor) -> Tensor:
    if input.dtype.is_complex:
        return ops.bit_and(ops.is_finite(ops.real(input)), ops.is_finite(ops.imag(input)))
    return ops.is_finite(input) if input.dtype.is_floating_point else ops.compare(input, input, direction="EQ")


@both
def isinf(input: Tensor) -> Tensor:
    if not input.dtype.is_floating_point:
        return ops.compare(input, input, direction="NE")
    return ops.compare(ops.absolute(input), full_like_type(input, math.inf), direction="EQ")


@function
def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced (by default infinities by the type's largest numbers)."""
    if not input.dtype.is_floating_point:
        return clone(input)
    info = dtypes.finfo(input.dtype)
    out = where(isnan(input), nan, input)
    out = where(input == math.inf, info.max if posinf is None else posinf, out)
    return where(input == -math.inf, info.min if neginf is None else neginf, out)


method(nan_to_num)

# --- several operands -------------------------------------------------------------------------------------------


@function
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, ``other`` elsewhere; with the condition alone, ``nonzero(as_tuple=True)``."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype is not dtypes.bool_:
        if condition.dtype is not dtypes.uint8:
            raise RuntimeError(f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.name}  ({user_line()})")
        condition = convert(condition, dtypes.bool_)
    from .conversion import broadcast_shape, common_device, lift

    dtype, device = result_dtype(input, other), common_device(condition, input, other)
    x, y, c = lift(input, dtype, device), lift(other, dtype, device), lift(condition, dtypes.bool_, device)
    shape = broadcast_shape(tuple(c.shape), tuple(x.shape), tuple(y.shape))
    return ops.select(*(broadcast_to(v, shape) for v in (c, x, y)))


@method
def _where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    return where(condition, self, other)


Tensor.where = _where


@both
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where the mask holds."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype.name}  ({user_line()})")
    if not isinstance(value, Tensor) and dtypes.of_python(python_kind(value)).category > builtin_max(input.dtype.category, INT):
        raise RuntimeError(f"value cannot be converted to type {input.dtype.name} without overflow  ({user_line()})")
    from .conversion import lift

    return where(mask, lift(value, input.dtype, input.device), input)


builtin_max = max


def _pair(name: str, op: Op) -> Callable[..., Tensor]:
    def f(input: Tensor, other: Any) -> Tensor:
        return op(*promote(input, other))

    f.__name__ = name
    return both(f)


maximum = _pair("maximum", ops.maximum)
minimum = _pair("minimum", ops.minimum)


@both
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (other, input)."""
    dtype = result_dtype(input, other)
    return ops.atan2(*promote(input, other, dtype=dtype if dtype.is_inexact else dtypes.get_default_dtype()))


alias("arctan2", atan2)


@both
def fmax(input: Tensor, other: Any) -> Tensor:
    x, y = promote(input, other)
    return where(isnan(x), y, where(isnan(y), x, ops.maximum(x, y)))


@both
def fmin(input: Tensor, other: Any) -> Tensor:
    x, y = promote(input, other)
    return where(isnan(x), y, where(isnan(y), x, ops.minimum(x, y)))


@both
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limited to [min, max]; NaN stays. The gradient flows where the limits do not bite."""
    if min is None and max is None:
        raise RuntimeError(f"torch.clamp: At least one of 'min' or 'max' must not be None  ({user_line()})")
    bounds = [b for b in (min, max) if b is not None]
    dtype = result_dtype(input, *bounds)
    out = input
    if min is not None:
        x, low = promote(out, min, dtype=dtype)
        out = ops.select(ops.compare(x, low, direction="LT"), low, x)
    if max is not None:
        x, high = promote(out, max, dtype=dtype)
        out = ops.select(ops.compare(x, high, direction="GT"), high, x)
    return out


@both
def clamp_min(input: Tensor, min: Any) -> Tensor:
    return clamp(input, min=min)


@both
def clamp_max(input: Tensor, max: Any) -> Tensor:
    return clamp(input, max=max)


alias("clip", clamp)


@both
def relu(input: Tensor) -> Tensor:
    """0 where the input is not above 0 (NaN stays)."""
    zero = full_like_type(input, 0)
    return ops.select(ops.compare(input, zero, direction="LE"), zero, input)


@both
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    return input + weight * (end - input)


@both
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + _scaled(tensor1 * tensor2, value)


@both
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    return input + _scaled(tensor1 / tensor2, value)


@both
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)), without overflow."""
    x, y = promote(input, other)
    top = ops.maximum(x, y).detach()
    safe = where(isfinite(top), top, 0)
    return log(exp(x - safe) + exp(y - safe)) + safe


@both
def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), 0 where input is 0."""
    x, y = promote(input, other)
    x, y = to_inexact(x), to_inexact(y)
    zero = ops.bit_and(x == 0, ops.logical_not(isnan(y)))
    return where(zero, 0.0, x * log(where(zero, 1.0, y)))


@both
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(p / (1 - p))."""
    x = to_inexact(input)
    x = x if eps is None else clamp(x, eps, 1 - eps)
    return log(x / (1 - x))


@both
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol * |other|, or equal."""
    x, y = promote(input, other)
    near = x == y
    if x.dtype.is_inexact:
        near = near | (isfinite(x - y) & (abs(x - y) <= atol + rtol * abs(y)))
        if equal_nan:
            near = near | (isnan(x) & isnan(y))
        return near
    return near | (convert(abs(x - y), dtypes.float64) <= atol + rtol * convert(abs(y), dtypes.float64))


# --- complex numbers --------------------------------------------------------------------------------------------


@both
def conj(input: Tensor) -> Tensor:
    """The complex conjugate; itself for real input."""
    return ops.conj(input) if input.dtype.category == COMPLEX else input


alias("conj_physical", conj)
alias("resolve_conj", lambda input: input)
alias("resolve_neg", lambda input: input)


@function
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag."""
    return ops.complex_(*promote(real, imag))


@both
def angle(input: Tensor) -> Tensor:
    """The argument of a complex number; 0 or pi for real ones."""
    if input.dtype.is_complex:
        return ops.atan2(ops.imag(input), ops.real(input))
    x = to_inexact(input)
    return where(isnan(x), x, where(x < 0, math.pi, 0.0).to(x.dtype))


@function
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs * exp(i angle)."""
    return ops.complex_(abs * cos(angle), abs * sin(angle))


def _copy_into(self: Tensor, other: Any, non_blocking: bool = False) -> Tensor:
    """Take the values of ``other``, broadcast and converted (from another device too)."""
    from .conversion import lift

    source = lift(other, self.dtype, self.device)
    if source.ndim > self.ndim or any(n not in (1, m) for n, m in zip(reversed(source.shape), reversed(self.shape))):
        raise RuntimeError(
            f"The size of tensor a {list(self.shape)} must match the size of tensor b {list(source.shape)}  ({user_line()})"
        )
    value = broadcast_to(source, tuple(self.shape))
    return assign(self, ops.copy(value) if value is other else value, "copy_")


Tensor.copy_ = _copy_into
for _f in (
    add, sub, mul, div, floor_divide, remainder, fmod, pow, eq, ne, lt, le, gt, ge, bitwise_and, bitwise_or, bitwise_xor,
    logical_and, logical_or, logical_not, bitwise_not, neg, abs, sign, reciprocal, square, round, trunc, frac, masked_fill,
    clamp, clamp_min, clamp_max, relu, lerp, addcmul, addcdiv, atan2, exp2, nan_to_num, logit, xlogy,
):  # fmt: skip
    inplace(_f)
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
    _plain = getattr(Tensor, f"__{_name}__")

    def _augmented(self: Tensor, other: Any, f: Any = _plain, name: str = f"__i{_name}__") -> Any:
        value = f(self, other)
        return value if value is NotImplemented else assign(self, value, name)

    setattr(Tensor, f"__i{_name}__", _augmented)
Tensor.__neg__ = neg
Tensor.__abs__ = abs
Tensor.__invert__ = bitwise_not
Tensor.__pos__ = positive
inplace(clamp, "clip_")
inplace(mul, "multiply_")
inplace(sub, "subtract_")
inplace(div, "divide_")
