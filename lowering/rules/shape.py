"""How ops that move elements become StableHLO: mostly by turning tuples into attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...lazy import ops
from ...lazy.graph import Signature
from ..emit import Builder, Value, rule


@rule(ops.reshape)
def _reshape(b: Builder, sig: Signature, x: Value, *, shape: Any) -> Value:
    return b.op("stablehlo.reshape", [x], sig.aval)


@rule(ops.transpose)
def _transpose(b: Builder, sig: Signature, x: Value, *, permutation: Any) -> Value:
    return b.op("stablehlo.transpose", [x], sig.aval, permutation=b.ints(permutation))


@rule(ops.broadcast_in_dim)
def _broadcast(b: Builder, sig: Signature, x: Value, *, shape: Any, dims: Any) -> Value:
    return b.op("stablehlo.broadcast_in_dim", [x], sig.aval, broadcast_dimensions=b.ints(dims))


@rule(ops.slice_)
def _slice(b: Builder, sig: Signature, x: Value, *, start: Any, limit: Any, strides: Any) -> Value:
    return b.op(
        "stablehlo.slice", [x], sig.aval,
        start_indices=b.ints(start), limit_indices=b.ints(limit), strides=b.ints(strides),
    )  # fmt: skip


@rule(ops.dynamic_slice)
def _dynamic_slice(b: Builder, sig: Signature, x: Value, *starts: Value, sizes: Any) -> Value:
    return b.op("stablehlo.dynamic_slice", [x, *starts], sig.aval, slice_sizes=b.ints(sizes))


@rule(ops.pad)
def _pad(b: Builder, sig: Signature, x: Value, value: Value, *, low: Any, high: Any, interior: Any) -> Value:
    return b.op(
        "stablehlo.pad", [x, value], sig.aval,
        edge_padding_low=b.ints(low), edge_padding_high=b.ints(high), interior_padding=b.ints(interior),
    )  # fmt: skip


@rule(ops.reverse)
def _reverse(b: Builder, sig: Signature, x: Value, *, axes: Any) -> Value:
    return b.op("stablehlo.reverse", [x], sig.aval, dimensions=b.ints(axes))


@rule(ops.concatenate)
def _concatenate(b: Builder, sig: Signature, *xs: Value, axis: int) -> Value:
    return b.op("stablehlo.concatenate", xs, sig.aval, dimension=b.i64(axis))


@rule(ops.iota)
def _iota(b: Builder, sig: Signature, *, aval: Any, axis: int) -> Value:
    return b.op("stablehlo.iota", [], aval, iota_dimension=b.i64(axis))


@rule(ops.constant)
def _constant(b: Builder, sig: Signature, *, data: bytes, aval: Any) -> Value:
    return b.dense(np.frombuffer(data, aval.dtype.numpy).reshape(aval.shape), aval)
