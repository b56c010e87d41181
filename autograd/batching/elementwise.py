"""Elementwise ops on a batch: the same op, on operands of one shape."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import all_spread, batching


@batching(
    ops.negate, ops.add, ops.subtract, ops.multiply, ops.divide, ops.remainder, ops.power, ops.maximum, ops.minimum,
    ops.absolute, ops.sign, ops.atan2, ops.floor, ops.ceil, ops.round_nearest_even, ops.exponential,
    ops.exponential_minus_one, ops.log, ops.log_plus_one, ops.sqrt, ops.rsqrt, ops.logistic, ops.sine, ops.cosine, ops.tan,
    ops.asin, ops.acos, ops.atan, ops.sinh, ops.cosh, ops.tanh, ops.asinh, ops.acosh, ops.atanh, ops.erf, ops.erfc,
    ops.erf_inv, ops.lgamma, ops.digamma, ops.polygamma, ops.logical_not, ops.bit_and, ops.bit_or, ops.bit_xor,
    ops.shift_left, ops.shift_right_arithmetic, ops.shift_right_logical, ops.compare, ops.select, ops.is_finite,
    ops.convert, ops.bitcast_convert, ops.real, ops.imag, ops.conj, ops.complex_, ops.copy, ops.gcd,
)  # fmt: skip
def _elementwise(op: Any, size: int, xs: Any, varies: Any, **attributes: Any) -> Any:
    return op(*all_spread(size, xs, varies), **attributes)
