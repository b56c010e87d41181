"""How elementwise ops become StableHLO, where that is not simply their own name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...lazy import dtypes, ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, ir, rule


def _chlo(op: Any) -> None:
    @rule(op)
    def lower(b: Builder, sig: Signature, *operands: Value) -> Value:
        return b.op(f"chlo.{op.name}", operands, sig.aval)


for _op in (ops.erf, ops.erfc, ops.erf_inv, ops.lgamma, ops.digamma, ops.polygamma, ops.conj):
    _chlo(_op)


@rule(ops.sign)
def _sign(b: Builder, sig: Signature, x: Value) -> Value:
    """XLA keeps the sign of -0.0."""
    found = b.op("stablehlo.sign", [x], sig.aval)
    if sig.aval.dtype.category != dtypes.FLOAT:
        return found
    zero = b.full(0, sig.aval)
    return b.op("stablehlo.select", [b.compare("EQ", x, zero, sig.aval), zero, found], sig.aval)


HALVES = (-2.5, -1.5, 1.5, 2.5)


@rule(ops.power)
def _power(b: Builder, sig: Signature, x: Value, y: Value) -> Value:
    """On the CPU, powers of a half more than a whole number by the root, which is a tenth of the work of a logarithm."""
    aval = sig.aval
    exponent = _filled(y) if b.platform == "cpu" and aval.dtype in (dtypes.float32, dtypes.float64) else None
    if exponent not in HALVES:
        return b.op("stablehlo.power", [x, y], aval)
    found = b.op("stablehlo.sqrt", [x], aval)
    for _ in range(int(abs(exponent))):
        found = b.op("stablehlo.multiply", [x, found], aval)
    found = b.op("stablehlo.abs", [found], aval)  # of -0.0
    # of minus infinity there is no root, but there is a power
    where = b.compare("EQ", x, b.full(-np.inf, aval), aval)
    found = b.op("stablehlo.select", [where, b.full(np.inf, aval), found], aval)
    return found if exponent > 0 else b.op("stablehlo.divide", [b.full(1, aval), found], aval)


def _filled(x: Value) -> float | None:
    """The number that a float operand is filled with, if it is a constant."""
    owner = x.owner
    while getattr(owner, "name", "") == "stablehlo.broadcast_in_dim":
        owner = owner.operands[0].owner
    if getattr(owner, "name", "") != "stablehlo.constant":
        return None
    value = ir.DenseElementsAttr(owner.attributes["value"])
    return float(ir.FloatAttr(value.get_splat_value()).value) if value.is_splat else None


@rule(ops.compare)
def _compare(b: Builder, sig: Signature, x: Value, y: Value, *, direction: str) -> Value:
    return b.compare(direction, x, y, sig.inputs[0])


@rule(ops.convert)
def _convert(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.convert", [x], sig.aval)


@rule(ops.bitcast_convert)
def _bitcast(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.bitcast_convert", [x], sig.aval)


@rule(ops.copy)
def _copy(b: Builder, sig: Signature, x: Value) -> Value:
    return x
