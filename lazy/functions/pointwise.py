"""Functions of several operands, element by element: choosing, limiting, mixing, and what builds on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes, ops
from ..dtypes import INT
from ..graph import Op
from ..record import user_line
from ..tensors import Tensor
from ..views import assign, write_begins
from ._register import alias, both, function, inplace, offered
from .conversion import (
    broadcast_shape,
    broadcast_to,
    common_device,
    convert,
    full_like_type,
    lift,
    number_like,
    promote,
    python_kind,
    result_dtype,
    tensors_only,
    to_inexact,
)
from .elementwise import abs as abs_
from .elementwise import isfinite, isinf, isnan, signbit


@function
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, ``other`` elsewhere; alone, ``nonzero(as_tuple=True)``."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if condition.dtype is not dtypes.bool_:
        if condition.dtype is not dtypes.uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.name}"
                f"  ({user_line()})"
            )
        condition = convert(condition, dtypes.bool_)
    if isinstance(input, Tensor) and input.shape == condition.shape and input.device is condition.device:
        number = number_like(input, other)
        if number is not None:
            return ops.select(condition, input, number)
    dtype, device = result_dtype(input, other), common_device(condition, input, other)
    x, y, c = lift(input, dtype, device), lift(other, dtype, device), lift(condition, dtypes.bool_, device)
    shape = broadcast_shape(tuple(c.shape), tuple(x.shape), tuple(y.shape))
    return ops.select(*(broadcast_to(v, shape) for v in (c, x, y)))


def _where(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    return where(condition, input, other)


Tensor.where = offered(_where)


@both
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where the mask holds."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype.name}  ({user_line()})"
        )
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} "
                "dimension(s)."
                f"  ({user_line()})"
            )
        kind = value.dtype.category
    else:
        kind = dtypes.of_python(python_kind(value)).category
    if kind > builtin_max(input.dtype.category, INT):
        raise RuntimeError(f"value cannot be converted to type {input.dtype.name} without overflow  ({user_line()})")
    if input.shape == mask.shape and input.device is mask.device:
        number = number_like(input, value)
        if number is not None:
            return ops.select(mask, number, input)
    return where(mask, lift(value, input.dtype, input.device), input)


builtin_max = max


def _pair(name: str, op: Op) -> Callable[..., Tensor]:
    def f(input: Tensor, other: Tensor) -> Tensor:
        tensors_only(input, other)
        return op(*promote(input, other))

    f.__name__ = name
    return both(f)


maximum = _pair("maximum", ops.maximum)
minimum = _pair("minimum", ops.minimum)


def _real_pair(input: Any, other: Any) -> list[Tensor]:
    """Two operands of one floating type."""
    dtype = result_dtype(input, other)
    return promote(input, other, dtype=dtype if dtype.is_inexact else dtypes.get_default_dtype())


@both
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (other, input)."""
    tensors_only(input, other)
    return ops.atan2(*_real_pair(input, other))


alias("arctan2", atan2)


def _ignoring_nan(name: str, op: Op, doc: str) -> Callable[[Tensor, Tensor], Tensor]:
    def f(input: Tensor, other: Tensor) -> Tensor:
        tensors_only(input, other)
        x, y = promote(input, other)
        if not x.dtype.is_floating_point:
            return op(x, y)
        return ops.select(isnan(y), x, ops.select(isnan(x), y, op(x, y)))

    f.__name__, f.__doc__ = name, doc
    return both(f)


fmax = _ignoring_nan("fmax", ops.maximum, "The larger; the other where one is NaN.")
fmin = _ignoring_nan("fmin", ops.minimum, "The smaller; the other where one is NaN.")


@both
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """The root of input^2 + other^2, without overflow."""
    tensors_only(input, other)
    x, y = promote(input, other)
    size = ops.absolute(ops.complex_(x, y)) if x.dtype.itemsize >= 4 else (x * x + y * y).sqrt()
    infinite = ops.bit_or(isinf(x.detach()), isinf(y.detach()))  # infinite even beside a NaN, as in C
    return ops.select(infinite, full_like_type(x, math.inf), size)


@both
def copysign(input: Tensor, other: Any) -> Tensor:
    """|input| with the sign of ``other`` (that of -0.0 counts)."""
    tensors_only(input)
    x, y = _real_pair(input, other)
    size = ops.absolute(x)
    return ops.select(signbit(y.detach()), ops.negate(size), size)


@both
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0, 1 above, ``values`` at 0."""
    if input.dtype.is_complex or input.dtype is not values.dtype:
        raise RuntimeError(f"heaviside is not yet implemented for tensors with different dtypes.  ({user_line()})")
    x, y = promote(input, values)
    zero = full_like_type(x, 0)
    step = convert(ops.compare(x, zero, direction="GT"), x.dtype)
    return ops.select(ops.compare(x, zero, direction="EQ"), y, step)


@both
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other."""
    tensors_only(input, other)
    return input * ops.power(full_like_type(to_inexact(other), 2), to_inexact(other))


@both
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor."""
    tensors_only(input, other)
    x, y = promote(input, other)
    if x.dtype.category != INT:
        raise NotImplementedError(f"\"gcd\" not implemented for '{x.dtype.name}'  ({user_line()})")
    return ops.gcd(x, y)


@both
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple."""
    tensors_only(input, other)
    x, y = promote(input, other)
    shared = gcd(x, y)
    none = ops.compare(shared, full_like_type(x, 0), direction="EQ")
    return abs_(x // ops.select(none, full_like_type(x, 1), shared) * y)


@both
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Limited to [min, max]; NaN stays. The gradient flows where the limits do not bite, and not to NaN."""
    if min is None and max is None:
        raise RuntimeError(f"torch.clamp: At least one of 'min' or 'max' must not be None  ({user_line()})")
    if input.dtype.is_complex:
        raise NotImplementedError(f"clamp is not supported for complex types  ({user_line()})")
    out, dtype = input, None
    for bound, direction in ((min, "LT"), (max, "GT")):
        if bound is not None:
            edge = number_like(out, bound)
            x = out
            if edge is None:
                dtype = dtype or result_dtype(input, *[b for b in (min, max) if b is not None])
                x, edge = promote(out, bound, dtype=dtype)
            beyond = ops.compare(x, edge, direction=direction)
            if isinstance(bound, Tensor) and edge.dtype.is_floating_point:
                beyond = ops.bit_or(beyond, isnan(edge))
            out = ops.select(beyond, edge, x)
    if input._edge is not None and input.dtype.is_floating_point:
        x = broadcast_to(convert(input.detach(), out.dtype), tuple(out.shape))
        out = ops.select(isnan(x), x, out)
    return out


@both
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Not below ``min``."""
    return clamp(input, min=min)


@both
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Not above ``max``."""
    return clamp(input, max=max)


alias("clip", clamp)


@both
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    if input.dtype is not end.dtype:
        raise RuntimeError(
            f"expected dtype {input.dtype.name} for `end` but got dtype {end.dtype.name}  ({user_line()})"
        )
    return input + weight * (end - input)


def _times(x: Tensor, value: Any) -> Tensor:
    """x * value in the type of x; nothing recorded for 1."""
    return x if not isinstance(value, Tensor) and value == 1 else x * value


@both
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + _times(tensor1 * tensor2, value)


@both
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Any, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    if not (tensor1.dtype.is_inexact or (isinstance(tensor2, Tensor) and tensor2.dtype.is_inexact)):
        raise RuntimeError(f"Integer division with addcdiv is no longer supported  ({user_line()})")
    return input + _times(tensor1 / tensor2, value)


def log_add(x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) + exp(y)): the larger operand stands alone where the other is -inf, with its gradient."""
    rx, ry = (ops.real(v) if v.dtype.is_complex else v for v in (x.detach(), y.detach()))
    first = ops.bit_or(ops.compare(rx, ry, direction="GE"), isnan(rx))
    big, small = ops.select(first, x, y), ops.select(first, y, x)
    rest = (ops.real(small) if small.dtype.is_complex else small).detach()
    alone = ops.bit_or(
        ops.compare(rest, full_like_type(rest, -math.inf), direction="EQ"),
        ops.compare(ops.select(first, rx, ry), full_like_type(rest, math.inf), direction="EQ"),
    )
    gap = ops.select(alone, full_like_type(x, 0), small - big)
    return ops.select(alone, big, ops.add(big, ops.log_plus_one(ops.exponential(gap))))


@both
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)), without overflow."""
    tensors_only(input, other)
    x, y = _real_pair(input, other)
    if x.dtype.is_complex:
        return log_add(x, y)
    top = ops.maximum(x, y).detach()
    safe = ops.select(isfinite(top), top, full_like_type(top, 0))
    return ops.log(ops.exponential(x - safe) + ops.exponential(y - safe)) + safe


@both
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), without overflow."""
    tensors_only(input, other)
    x, y = _real_pair(input, other)
    scale = full_like_type(x, math.log(2))
    return logaddexp(x * scale, y * scale) / scale


@both
def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), 0 where input is 0; its derivative by input is log(other) there too, if that is finite."""
    x, y = promote(input, other)
    x, y = to_inexact(x), to_inexact(y)
    zero = ops.compare(x, full_like_type(x, 0), direction="EQ")
    none = ops.bit_and(zero, ops.bit_or(y <= 0, y == math.inf) if not y.dtype.is_complex else y == 0)
    safe = ops.select(none, full_like_type(y, 1), y)
    return ops.multiply(x, ops.log(safe))


@both
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol * |other|, or equal."""
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{input.dtype.name} did not match {other.dtype.name}  (isclose at {user_line()})")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must not be negative, but got {rtol} and {atol}  ({user_line()})")
    x, y = promote(input, other)
    near = x == y
    if x.dtype.is_inexact:
        near = near | (isfinite(x - y) & (abs_(x - y) <= atol + rtol * abs_(y)))
        if equal_nan:
            near = near | (isnan(x) & isnan(y))
        return near
    if x.dtype is dtypes.bool_:
        return near
    return near | (convert(abs_(x - y), dtypes.float64) <= atol + rtol * convert(abs_(y), dtypes.float64))


@both
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the others."""
    like = elements if isinstance(elements, Tensor) else test_elements
    dtype = result_dtype(elements, test_elements)
    x, among = (lift(v, dtype, like.device) for v in (elements, test_elements))
    wide = (*x.shape, among.numel())
    left = ops.broadcast_in_dim(x, shape=wide, dims=tuple(range(x.ndim)))
    right = ops.broadcast_in_dim(ops.reshape(among, shape=(among.numel(),)), shape=wide, dims=(x.ndim,))
    found = ops.reduce_or(ops.compare(left, right, direction="EQ"), axes=(x.ndim,))
    return ops.logical_not(found) if invert else found


def _copy_into(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take the values of ``src``, broadcast and converted (from another device too)."""
    begun = write_begins()
    source = lift(src, self.dtype, self.device)
    if source.ndim > self.ndim or any(n not in (1, m) for n, m in zip(reversed(source.shape), reversed(self.shape))):
        raise RuntimeError(
            f"The size of tensor a {list(self.shape)} must match the size of tensor b {list(source.shape)}"
            f"  ({user_line()})"
        )
    return assign(self, broadcast_to(source, tuple(self.shape)), "copy_", begun)


Tensor.copy_ = offered(_copy_into)
for _f in (
    masked_fill, clamp, clamp_min, clamp_max, lerp, addcmul, addcdiv, atan2, xlogy, copysign, heaviside, hypot, ldexp,
    gcd, lcm,
):  # fmt: skip
    inplace(_f)
inplace(clamp, "clip_")
inplace(atan2, "arctan2_")
