"""Ops that say when something is computed."""

from __future__ import annotations

from ...devices.compiler import ir
from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule


@rule(ops.optimization_barrier)
def _optimization_barrier(b: Builder, sig: Signature, x: Value, after: Value) -> Value:
    made = ir.Operation.create(
        "stablehlo.optimization_barrier", [x.type, after.type], [x, after], {}, loc=b.location
    )
    return made.results[0]
