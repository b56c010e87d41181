"""How elementwise ops become StableHLO, where that is not simply their own name."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule


def _chlo(op: Any) -> None:
    @rule(op)
    def lower(b: Builder, sig: Signature, *operands: Value) -> Value:
        return b.op(f"chlo.{op.name}", operands, sig.aval)


for _op in (
    ops.asin, ops.acos, ops.atan, ops.sinh, ops.cosh, ops.asinh, ops.acosh, ops.atanh, ops.erf, ops.erfc, ops.erf_inv,
    ops.lgamma, ops.digamma, ops.polygamma, ops.conj,
):  # fmt: skip
    _chlo(_op)


@rule(ops.compare)
def _compare(b: Builder, sig: Signature, x: Value, y: Value, *, direction: str) -> Value:
    return b.op(
        "stablehlo.compare", [x, y], sig.aval,
        comparison_direction=b.attribute(f"#stablehlo<comparison_direction {direction}>"),
    )  # fmt: skip


@rule(ops.convert)
def _convert(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.convert", [x], sig.aval)


@rule(ops.bitcast_convert)
def _bitcast(b: Builder, sig: Signature, x: Value, *, dtype: Any) -> Value:
    return b.op("stablehlo.bitcast_convert", [x], sig.aval)


@rule(ops.copy)
def _copy(b: Builder, sig: Signature, x: Value) -> Value:
    return x
