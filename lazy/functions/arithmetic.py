"""The operators: arithmetic, comparison and bits, with PyTorch's promotion and broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, ops
from .. import record as rec
from ..dtypes import BOOL, FLOAT, INT
from ..graph import Aval, HostValue, Node, Op, Signature, leaf_signature, scalar, signature
from ..overrides import overridden
from ..record import record1, record2, user_line, wrap
from ..replay.arguments import numeric
from ..replay.state import S, entry_point
from ..subclassing import UNASKED, asking, asks, said
from ..tensors import Tensor
from ..views import assign, write_begins
from ._register import alias, both, inplace, numbers_are_values, offered
from .conversion import (
    NUMBERS,
    broadcast_shape,
    convert,
    flat,
    full_like_type,
    promote,
    result_dtype,
    tensors_only,
    to_inexact,
    wrapped,
)

# --- operators --------------------------------------------------------------------------------------------------
# Each operator remembers, by its operands' types, the signature that needs no conversion: that is the fast path.


def _scalar_plan(op: Op, attributes: tuple[Any, ...], aval: Aval, kind: type) -> Any:
    """How a tensor of the type meets a Python number without being converted: signatures, or None."""
    if not aval.dtype.category >= {bool: BOOL, int: INT, float: FLOAT}[kind]:
        return None
    if aval.dtype.category == BOOL or (aval.dtype.category == INT and op is ops.divide):
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
            signature(ops.broadcast_in_dim, (v,), (shape, tuple(range(len(shape) - v.ndim, len(shape)))))
            for v in (x, y)
        ]  # fmt: skip
        full = x.with_shape(shape)
        return wide[0], wide[1], signature(op, (full, full), attributes)
    except (RuntimeError, rec.TypeRuleError):
        return None  # the slow way says what is wrong


def _operator(
    op: Op, slow: Callable[[Any, Any], Tensor], attributes: tuple[Any, ...] = ()
) -> Callable[[Any, Any], Any]:
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
                    plan = mixed[key] = _scalar_plan(op, attributes, node.sig.aval, kind)
                if plan is not None:
                    zero, wide, sig, npy = plan
                    try:
                        value = HostValue(zero, np.array(b, npy), None, 0)
                    except OverflowError:
                        value = HostValue(zero, wrapped(b, npy), None, 0)
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


def _reflected(op: Op, plain: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator with a Python number (or an array) in front: ``1 - x``."""
    plans: dict[Any, Any] = {}

    def operator(a: Any, b: Any) -> Any:
        kind: Any = type(a)
        if kind is float or kind is int:
            aval = (b._node or b._refresh()).sig.aval
            plan = plans.get((aval, kind), 0)
            if plan == 0:
                plan = plans[aval, kind] = _scalar_plan(op, (), aval, kind)
            if plan is not None:
                zero, wide, sig, npy = plan
                value = HostValue(zero, wrapped(a, npy), None, 0)
                return record2(sig, wrap(value if wide is None else Node(wide, (value,), None, 0)), b)
        return plain(*promote(a, b))

    return operator


def _guard(name: str, f: Callable[[Any, Any], Any], reflect: bool = False) -> None:
    """A dunder that answers NotImplemented to what is no number and no tensor."""

    def plain(a: Any, b: Any) -> Any:
        kind = type(b)
        if not (
            kind is Tensor or kind is float or kind is int or isinstance(b, (Tensor, np.ndarray, np.generic, *NUMBERS))
        ):
            return overridden(plain, [b], (a, b), {}) if hasattr(kind, "__torch_function__") else NotImplemented
        return f(b, a) if reflect else f(a, b)

    plain.__name__ = name

    def dunder(a: Any, b: Any) -> Any:
        if asks and (answer := said(dunder, (a, b), {})) is not UNASKED:
            return answer
        player = S.active
        return plain(a, b) if player is None else player.pair(plain, a, b)

    dunder.__name__ = name
    asking.add(dunder.__code__)
    if name.strip("_").lstrip("r") in ("add", "sub", "mul", "truediv"):
        numeric.add(plain)
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
    x, y = promote(a, b)
    return ops.divide(to_inexact(x), to_inexact(y))


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
    name: _operator(ops.compare, _slow_compare(name.upper()), (name.upper(),))
    for name in ("eq", "ne", "lt", "le", "gt", "ge")
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


@both
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; with ``rounding_mode`` 'floor' or 'trunc', rounded, and integers stay integers."""
    if rounding_mode is None:
        return _any_order(_div, input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
            f"  ({user_line()})"
        )
    x, y = promote(input, other)
    _not_by_zero(x, other)
    return ops.divide(x, y) if x.dtype.category == INT else ops.divide(x, y).trunc()


def _not_by_zero(x: Tensor, divisor: Any) -> None:
    """Integers divided by the number 0 (a tensor's values are not looked at: its zeros divide as the device does)."""
    if x.dtype.category == INT and not isinstance(divisor, (Tensor, np.ndarray)) and divisor == 0:
        raise RuntimeError(f"ZeroDivisionError: integers divided by 0  ({user_line()})")


@both
def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down (integers stay integers)."""
    x, y = promote(input, other)
    if x.dtype.is_floating_point:
        return flat(_floor_quotient, x, y)
    _not_by_zero(x, other)
    q = ops.divide(x, y)
    if not x.dtype.is_signed:
        return q
    return ops.subtract(q, convert(_signs_differ(ops.subtract(x, ops.multiply(q, y)), y), x.dtype))


def _signs_differ(r: Tensor, y: Tensor) -> Tensor:
    """Where a remainder is not 0 and its sign is not the divisor's."""
    zero = full_like_type(y, 0)
    below = ops.bit_xor(ops.compare(r, zero, direction="LT"), ops.compare(y, zero, direction="LT"))
    return ops.bit_and(ops.compare(r, zero, direction="NE"), below)


def _floor_quotient(x: Tensor, y: Tensor) -> Tensor:
    """By way of the exact remainder, so that 1 // 0.1 is 9 as in Python; x / y where y is 0."""
    r = ops.remainder(x, y)
    q = ops.subtract(ops.divide(ops.subtract(x, r), y), convert(_signs_differ(r, y), x.dtype))
    down = ops.floor(q)
    over = ops.compare(ops.subtract(q, down), full_like_type(q, 0.5), direction="GT")
    down = ops.add(down, convert(over, x.dtype))
    return ops.select(ops.compare(y, full_like_type(y, 0), direction="EQ"), ops.divide(x, y), down)


@both
def remainder(input: Any, other: Any) -> Tensor:
    """The remainder with the sign of ``other``, as Python's ``%``."""
    x, y = promote(input, other)
    _not_by_zero(x, other)
    r = ops.remainder(x, y)
    return ops.select(_signs_differ(r, y), r + y, r) if x.dtype.is_signed else r


@both
def fmod(input: Tensor, other: Any) -> Tensor:
    """The remainder with the sign of ``input``."""
    tensors_only(input)
    x, y = promote(input, other)
    _not_by_zero(x, other)
    return ops.remainder(x, y)


@both
def pow(input: Any, exponent: Any) -> Tensor:
    """input to the exponent; small constant exponents without a logarithm."""
    if isinstance(input, Tensor) and isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        if exponent < 0 and isinstance(exponent, int) and input.dtype.category == INT:
            raise RuntimeError(f"Integers to negative integer powers are not allowed.  ({user_line()})")
        x = input if input.dtype.is_inexact or isinstance(exponent, int) else to_inexact(input)
        if x.dtype is not dtypes.bool_:
            if exponent == 1:
                return ops.copy(x)
            if exponent == 2:
                return _mul(x, x)
            if exponent == 3:
                return _mul(_mul(x, x), x)
            if x.dtype.is_inexact and exponent == 0.5:
                return ops.sqrt(x)
            if x.dtype.is_inexact and exponent == -0.5:
                return ops.rsqrt(x)
            if x.dtype.is_inexact and exponent == -1:
                return ops.divide(full_like_type(x, 1), x)
    x, y = promote(input, exponent)
    if x.dtype is dtypes.bool_:
        return ops.bit_or(x, ops.logical_not(y))
    return ops.power(x, y)


@both
def float_power(input: Any, exponent: Any) -> Tensor:
    """``pow`` in double precision."""
    dtype = result_dtype(input, exponent)
    x, y = promote(input, exponent, dtype=dtypes.complex128 if dtype.is_complex else dtypes.float64)
    return ops.power(x, y)


_guard("__add__", _add)
_guard("__radd__", _reflected(ops.add, _add), reflect=True)
_guard("__sub__", _sub)
_guard("__rsub__", _reflected(ops.subtract, _sub), reflect=True)
_guard("__mul__", _mul)
_guard("__rmul__", _reflected(ops.multiply, _mul), reflect=True)
_guard("__truediv__", _div)
_guard("__rtruediv__", _reflected(ops.divide, _div), reflect=True)
setattr(Tensor, "__rdiv__", Tensor.__rtruediv__)  # noqa: B010
_guard("__floordiv__", floor_divide)
_guard("__rfloordiv__", floor_divide, reflect=True)
_guard("__mod__", remainder)
_guard("__rmod__", remainder, reflect=True)
_guard("__pow__", pow)
_guard("__rpow__", pow, reflect=True)


def _comparison(name: str) -> Callable[[Any, Any], Tensor]:
    plain = _COMPARE[name]

    def f(input: Tensor, other: Any) -> Tensor:
        if not isinstance(input, Tensor):
            tensors_only(input)
        return plain(input, other)

    f.__name__ = name
    _guard(f"__{name}__", plain)
    return both(f)


eq, ne, lt, le, gt, ge = (_comparison(n) for n in ("eq", "ne", "lt", "le", "gt", "ge"))
for _old, _new in (
    ("multiply", mul), ("subtract", sub), ("divide", div), ("true_divide", div), ("greater", gt), ("less", lt),
    ("greater_equal", ge), ("less_equal", le), ("not_equal", ne),
):  # fmt: skip
    alias(_old, _new)


@both
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    tensors_only(input)
    return sub(other, input, alpha=alpha)


def _bitwise(name: str, op: Op) -> Callable[..., Tensor]:
    def f(input: Any, other: Any) -> Tensor:
        return op(*promote(input, other))

    f.__name__ = name
    return both(f)


def _logical(name: str, op: Op) -> Callable[..., Tensor]:
    def f(input: Tensor, other: Tensor) -> Tensor:
        tensors_only(input, other)
        return op(*promote(convert(input, dtypes.bool_), convert(other, dtypes.bool_), dtype=dtypes.bool_))

    f.__name__ = name
    return both(f)


bitwise_and = _bitwise("bitwise_and", ops.bit_and)
bitwise_or = _bitwise("bitwise_or", ops.bit_or)
bitwise_xor = _bitwise("bitwise_xor", ops.bit_xor)
logical_and = _logical("logical_and", ops.bit_and)
logical_or = _logical("logical_or", ops.bit_or)
logical_xor = _logical("logical_xor", ops.bit_xor)
bitwise_left_shift = _bitwise("bitwise_left_shift", ops.shift_left)


@both
def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    x, y = promote(input, other)
    return (ops.shift_right_arithmetic if x.dtype.is_signed else ops.shift_right_logical)(x, y)


@both
def bitwise_not(input: Tensor) -> Tensor:
    """Each bit (or truth value) inverted."""
    if input.dtype.is_inexact:
        raise TypeError(
            f"~ (operator.invert) is only implemented on integer and Boolean-type tensors, not {input.dtype.name}"
            f"  ({user_line()})"
        )
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

    return matmul(a, b) if all(isinstance(v, (Tensor, np.ndarray)) for v in (a, b)) else NotImplemented


_guard("__matmul__", _matmul)
_guard("__rmatmul__", _matmul, reflect=True)

numbers_are_values(add, sub, mul, div)
_written: tuple[Any, ...] = (
    add, sub, mul, div, floor_divide, remainder, fmod, pow, float_power, eq, ne, lt, le, gt, ge, bitwise_and,
    bitwise_or, bitwise_xor, bitwise_left_shift, bitwise_right_shift, bitwise_not, logical_and, logical_or, logical_xor,
    logical_not,
)  # fmt: skip
for _g in _written:
    inplace(_g)
for _name, _g in (
    ("multiply_", mul), ("subtract_", sub), ("divide_", div), ("true_divide_", div), ("greater_", gt),
    ("greater_equal_", ge), ("less_", lt), ("less_equal_", le), ("not_equal_", ne),
):  # fmt: skip
    inplace(_g, _name)


def _augmented(name: str) -> None:
    plain, changed = getattr(Tensor, f"__{name}__"), f"__i{name}__"

    def f(self: Tensor, other: Any) -> Any:
        begun = write_begins()
        value = plain(self, other)
        return value if value is NotImplemented else assign(self, value, changed, begun)

    f.__name__ = changed
    if name in ("add", "sub", "mul", "truediv"):
        numeric.add(f)
    setattr(Tensor, changed, entry_point(f))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"):
    _augmented(_name)
setattr(Tensor, "__invert__", offered(bitwise_not))  # noqa: B010  (the class declares it for the type checker)
