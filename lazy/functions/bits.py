"""Floating numbers by their bits: mantissa and exponent, and the next number."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

from .. import dtypes, ops
from ..dtypes import DType
from ..record import user_line, with_rule
from ..tensors import Tensor
from ._register import both, inplace
from .conversion import convert, full_like_type, promote
from .elementwise import isfinite, isnan
from .returned import returned

Frexp: Any = returned("frexp")(namedtuple("frexp", ["mantissa", "exponent"]))
# of each type: the integers of its width, the bits of its fraction, and the bias of its exponent
_LAYOUT = {
    dtypes.float64: (dtypes.int64, 52, 1023), dtypes.float32: (dtypes.int32, 23, 127),
    dtypes.float16: (dtypes.int16, 10, 15), dtypes.bfloat16: (dtypes.int16, 7, 127),
}  # fmt: skip


def _floating(x: Tensor, name: str) -> None:
    if x.dtype not in _LAYOUT:
        raise NotImplementedError(f"{name}(): only floating-point dtypes are supported, not {x.dtype.name}  ({user_line()})")


def _exponent(x: Tensor) -> Tensor:
    """The exponent field of numbers, less its bias: 0 to the left of the point for 1 <= |x| < 2."""
    kind, digits, bias = _LAYOUT[x.dtype]
    bits = ops.bitcast_convert(x, dtype=kind)
    field = ops.shift_right_logical(bits, full_like_type(bits, digits))
    mask = full_like_type(field, (1 << (x.dtype.itemsize * 8 - 1 - digits)) - 1)
    return ops.subtract(ops.bit_and(field, mask), full_like_type(field, bias))


def _power_of_two(k: Tensor, dtype: DType) -> Tensor:
    """2 to the k, exactly, for exponents of normal numbers."""
    kind, digits, bias = _LAYOUT[dtype]
    field = ops.add(convert(k, kind), full_like_type(convert(k, kind), bias))
    return ops.bitcast_convert(ops.shift_left(field, full_like_type(field, digits)), dtype=dtype)


@both
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent): input = mantissa * 2^exponent with 0.5 <= |mantissa| < 1, or both 0; exponents are int32."""
    _floating(input, "torch.frexp")
    work = convert(input, dtypes.float32) if input.dtype.itemsize < 4 else input
    plain = work.detach()
    _, digits, bias = _LAYOUT[work.dtype]
    tiny = ops.compare(_exponent(plain), full_like_type(_exponent(plain), -bias), direction="EQ")
    # numbers below the normal ones are scaled up first
    lifted = ops.multiply(plain, full_like_type(plain, 2.0 ** (digits + 1)))
    raised = _exponent(ops.select(tiny, lifted, plain))
    k = ops.subtract(raised, ops.select(tiny, full_like_type(raised, digits), full_like_type(raised, -1)))
    still = ops.bit_or(ops.logical_not(isfinite(plain)), ops.compare(plain, full_like_type(plain, 0), direction="EQ"))
    k = ops.select(still, full_like_type(k, 0), k)
    # in two steps, since 2^-k of one would overflow for the smallest numbers
    half = ops.shift_right_arithmetic(k, full_like_type(k, 1))
    first, second = (_power_of_two(ops.negate(v), work.dtype) for v in (half, ops.subtract(k, half)))
    mantissa = ops.multiply(ops.multiply(work, first), second)
    return Frexp(convert(mantissa, input.dtype), convert(k, dtypes.int32))


def _straight(g: Tensor, entry: Any) -> tuple[Tensor, None]:
    """The gradient of a step too small to count: that of the first operand passes."""
    return g, None


@both
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of the type after ``input`` in the direction of ``other``."""
    x, y = promote(input, other)
    _floating(x, "nextafter")
    return with_rule(_next, (x, y), _straight)


def _next(x: Tensor, y: Tensor) -> Tensor:
    kind = _LAYOUT[x.dtype][0]
    zero, one = full_like_type(ops.bitcast_convert(x, dtype=kind), 0), full_like_type(ops.bitcast_convert(x, dtype=kind), 1)
    bits = ops.bitcast_convert(x, dtype=kind)
    nought = full_like_type(x, 0)
    # the bits of a number count away from zero
    away = ops.compare(ops.compare(x, nought, direction="GT"), ops.compare(y, x, direction="GT"), direction="EQ")
    step = ops.add(bits, ops.select(away, one, ops.negate(one)))
    lowest = -(1 << (x.dtype.itemsize * 8 - 1))
    smallest = ops.select(
        ops.compare(y, nought, direction="LT"), ops.add(full_like_type(zero, lowest), one), one
    )
    size = ops.bit_and(bits, ops.logical_not(full_like_type(zero, lowest)))  # a zero of either sign, by its bits
    step = ops.select(ops.compare(size, zero, direction="EQ"), smallest, step)
    moved = ops.select(ops.compare(x, y, direction="EQ"), y, ops.bitcast_convert(step, dtype=x.dtype))
    nothing = ops.bit_or(isnan(x), isnan(y))
    return ops.select(nothing, full_like_type(x, math.nan), moved)


inplace(nextafter)
