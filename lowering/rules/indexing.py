"""How gather and scatter become StableHLO."""

from __future__ import annotations

from typing import Any

from ...devices.compiler import stablehlo
from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, ir, rule
from .reduction import narrowed, widened

_COMBINE = {"add": "add", "mul": "multiply", "min": "minimum", "max": "maximum"}


@rule(ops.gather)
def _gather(
    b: Builder, sig: Signature, x: Value, indices: Value, *, offset_dims: Any, collapsed: Any, index_map: Any, sizes: Any
) -> Value:
    numbers = stablehlo.GatherDimensionNumbers.get(
        offset_dims=list(offset_dims), collapsed_slice_dims=list(collapsed), operand_batching_dims=[],
        start_indices_batching_dims=[], start_index_map=list(index_map), index_vector_dim=sig.inputs[1].ndim - 1,
    )  # fmt: skip
    return b.op(
        "stablehlo.gather", b.for_later([x, indices]), sig.aval,
        dimension_numbers=numbers, slice_sizes=b.ints(sizes), indices_are_sorted=ir.BoolAttr.get(False),
    )  # fmt: skip


@rule(ops.scatter)
def _scatter(
    b: Builder, sig: Signature, x: Value, indices: Value, updates: Value, *, window_dims: Any, inserted: Any,
    index_map: Any, combine: str,
) -> Value:  # fmt: skip
    numbers = stablehlo.ScatterDimensionNumbers.get(
        update_window_dims=list(window_dims), inserted_window_dims=list(inserted), input_batching_dims=[],
        scatter_indices_batching_dims=[], scattered_dims_to_operand_dims=list(index_map),
        index_vector_dim=sig.inputs[1].ndim - 1,
    )  # fmt: skip
    adds_up = combine in ("add", "mul")
    x, given = widened(b, x, sig.aval) if adds_up else (x, sig.aval)
    updates = widened(b, updates, sig.inputs[2])[0] if adds_up else updates
    zero = given.with_shape(())

    def body(old: Value, new: Value) -> list[Value]:
        return [new if combine == "set" else b.op(f"stablehlo.{_COMBINE[combine]}", [old, new], zero)]

    y = b.region_op(
        "stablehlo.scatter", b.for_later([x, indices, updates]), [given], [b.type(zero)] * 2, body,
        scatter_dimension_numbers=numbers, indices_are_sorted=ir.BoolAttr.get(False),
        unique_indices=ir.BoolAttr.get(False),
    )[0]  # fmt: skip
    return narrowed(b, y, given, sig.aval)
