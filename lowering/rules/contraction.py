"""How products become StableHLO."""

from __future__ import annotations

from typing import Any

from ...devices.compiler import stablehlo
from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule


@rule(ops.dot_general)
def _dot(b: Builder, sig: Signature, x: Value, y: Value, *, contract: Any, batch: Any) -> Value:
    numbers = stablehlo.DotDimensionNumbers.get(
        lhs_batching_dimensions=list(batch[0]), rhs_batching_dimensions=list(batch[1]),
        lhs_contracting_dimensions=list(contract[0]), rhs_contracting_dimensions=list(contract[1]),
    )  # fmt: skip
    return b.op("stablehlo.dot_general", [x, y], sig.aval, dot_dimension_numbers=numbers)


@rule(ops.convolution)
def _convolution(
    b: Builder, sig: Signature, x: Value, w: Value, *, strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any,
    groups: int,
) -> Value:  # fmt: skip
    spatial = list(range(2, sig.aval.ndim))
    numbers = stablehlo.ConvDimensionNumbers.get(
        input_batch_dimension=0, input_feature_dimension=1, input_spatial_dimensions=spatial,
        kernel_input_feature_dimension=1, kernel_output_feature_dimension=0, kernel_spatial_dimensions=spatial,
        output_batch_dimension=0, output_feature_dimension=1, output_spatial_dimensions=spatial,
    )  # fmt: skip
    rows = ", ".join(f"[{lo}, {hi}]" for lo, hi in padding)
    attributes = {}
    if spatial:
        attributes = {
            "window_strides": b.ints(strides), "lhs_dilation": b.ints(lhs_dilation), "rhs_dilation": b.ints(rhs_dilation),
            "padding": b.attribute(f"dense<[{rows}]> : tensor<{len(padding)}x2xi64>"),
        }  # fmt: skip
    return b.op(
        "stablehlo.convolution", [x, w], sig.aval,
        dimension_numbers=numbers, feature_group_count=b.i64(groups), batch_group_count=b.i64(1), **attributes,
    )  # fmt: skip
