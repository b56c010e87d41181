"""How products become StableHLO."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...devices.compiler import ir, stablehlo
from ...lazy import dtypes, ops, precision
from ...lazy.graph import Aval, Signature
from ..emit import Builder, Value, rule
from ..forms.products import LINE, PAGE
from ..nodes import CONVOLUTION_LAST, DOT_INTO_INT32, Ints

LEAST = 32  # rows, of products that are worth a copy of their operand


@rule(DOT_INTO_INT32)
@rule(ops.dot_general)
def _dot(b: Builder, sig: Signature, x: Value, y: Value, *, contract: Any, batch: Any) -> Value:
    """As one plain matrix product, or one for each of one batch dim: the form that every backend is fast at.

    The dims of each kind are merged into one, which costs nothing where they lie side by side; XLA's CPU backend has
    its fast product for two dims only, and takes four times as long for the same numbers in three.
    """
    x_aval, y_aval = sig.inputs
    pairs = sorted(zip(contract[0], contract[1]))
    batches = sorted(zip(batch[0], batch[1]))
    if list(batch[0]) != [i for i, _ in batches]:  # the result's batch dims stand in the order given
        batches = list(zip(batch[0], batch[1]))
    left = _merged(b, x, x_aval, [i for i, _ in batches], [i for i, _ in pairs])
    right = _merged(b, y, y_aval, [j for _, j in batches], [j for _, j in pairs])
    n = bool(batches)
    numbers = stablehlo.DotDimensionNumbers.get(
        lhs_batching_dimensions=[0][:n], rhs_batching_dimensions=[0][:n],
        lhs_contracting_dimensions=[left.contracted], rhs_contracting_dimensions=[right.contracted],
    )  # fmt: skip
    shape = left.shape[:n] + (left.free, right.free)
    exactly = _precision(b, x_aval)
    narrow = x_aval.dtype is not sig.aval.dtype  # products of int8 are another kernel's
    if b.platform == "cpu" and not n and not narrow and _strides_collide(left, x_aval) and right.free >= LEAST:
        if right.contracted == 0 and 2 * right.free * sum(left.shape) <= math.prod(left.shape):
            product = _turned_about(b, left, right, sig.aval, exactly)
        else:
            product = _with_odd_rows(b, left, right, sig.aval, numbers, exactly)
    else:
        product = b.op(
            "stablehlo.dot_general", b.for_later([left.value, right.value]), sig.aval.with_shape(shape),
            dot_dimension_numbers=numbers, **exactly,
        )  # fmt: skip
    return product if shape == sig.aval.shape else b.op("stablehlo.reshape", [product], sig.aval)


def _precision(b: Builder, aval: Aval) -> dict[str, Any]:
    """What ``set_float32_matmul_precision`` says, for the types that it is about."""
    if aval.dtype not in (dtypes.float32, dtypes.complex64):
        return {}
    word = b.attribute(f"#stablehlo<precision {precision.LEVELS[precision.current[0]]}>")
    return {"precision_config": ir.ArrayAttr.get([word, word])}


class Merged(NamedTuple):
    """An operand of a product with one free and one contracted dim, after one batch dim if there is any."""

    value: Value
    shape: tuple[int, ...]
    contracted: int  # which dim
    free: int  # how long the other is


def _strides_collide(x: Merged, aval: Aval) -> bool:
    """Whether the CPU's product reads down columns whose elements all fall into one set of its first cache.

    Eigen packs a left operand that is contracted over its rows a few columns at a time; where rows are a multiple of a
    page apart, each row evicts the last, and the product takes up to twice as long.
    """
    pages = x.free * aval.dtype.itemsize % PAGE == 0
    return x.contracted == 0 and pages and x.shape[0] >= LEAST and aval.dtype.is_floating_point


def _with_odd_rows(b: Builder, left: Merged, right: Merged, aval: Aval, numbers: Any, exactly: dict[str, Any]) -> Value:
    """left^T right, the rows of ``left`` one cache line longer, and the results of what was added left out."""
    k, free = left.shape
    wide = free + LINE // aval.dtype.itemsize
    padded = b.op(
        "stablehlo.pad", [left.value, b.full(0, aval.with_shape(()))], aval.with_shape((k, wide)),
        edge_padding_low=b.ints([0, 0]), edge_padding_high=b.ints([0, wide - free]), interior_padding=b.ints([0, 0]),
    )  # fmt: skip
    product = b.op(
        "stablehlo.dot_general", [padded, right.value], aval.with_shape((wide, right.free)),
        dot_dimension_numbers=numbers, **exactly,
    )  # fmt: skip
    return b.op(
        "stablehlo.slice", [product], aval.with_shape((free, right.free)),
        start_indices=b.ints([0, 0]), limit_indices=b.ints([free, right.free]), strides=b.ints([1, 1]),
    )  # fmt: skip


def _turned_about(b: Builder, left: Merged, right: Merged, aval: Aval, exactly: dict[str, Any]) -> Value:
    """left^T right as (right^T left)^T, where ``right`` and the result are small beside ``left``, which then is read by rows.

    XLA would make the transposes part of the product again, if it saw them together.
    """
    k, free = left.shape
    swap = {"permutation": b.ints([1, 0])}
    numbers = stablehlo.DotDimensionNumbers.get(
        lhs_batching_dimensions=[], rhs_batching_dimensions=[], lhs_contracting_dimensions=[1],
        rhs_contracting_dimensions=[0],
    )  # fmt: skip
    columns = b.barrier(b.op("stablehlo.transpose", [right.value], aval.with_shape((right.free, k)), **swap))
    product = b.op(
        "stablehlo.dot_general", [columns, left.value], aval.with_shape((right.free, free)),
        dot_dimension_numbers=numbers, **exactly,
    )  # fmt: skip
    return b.barrier(b.op("stablehlo.transpose", [b.barrier(product)], aval.with_shape((free, right.free)), **swap))


def _merged(b: Builder, x: Value, aval: Aval, batch: list[int], contract: list[int]) -> Merged:
    free = [i for i in range(aval.ndim) if i not in batch and i not in contract]
    order, contracted = batch + free + contract, 1
    if (other := batch + contract + free) == sorted(other):
        order, contracted = other, 0
    elif order != sorted(order):
        aval = aval.with_shape(tuple([aval.shape[i] for i in order]))
        x = b.op("stablehlo.transpose", [x], aval, permutation=b.ints(order))
        places = {old: new for new, old in enumerate(order)}
        batch, free, contract = ([places[i] for i in dims] for dims in (batch, free, contract))
    sizes = [math.prod(aval.shape[i] for i in dims) for dims in (free, contract)]
    if contracted == 0:
        sizes.reverse()
    shape = (math.prod(aval.shape[i] for i in batch),) * bool(batch) + tuple(sizes)
    if shape != aval.shape:
        x = b.op("stablehlo.reshape", [x], aval.with_shape(shape))
    return Merged(x, shape, contracted + bool(batch), math.prod(aval.shape[i] for i in free))


def _taken_for_batch(sizes: Ints, kernel: Ints, strides: Any, padding: Any, lhs_dilation: Any, rhs_dilation: Any) -> Ints:
    """The spatial dims that XLA would take for dims of a batch, wrongly, and so end the process.

    Its simplifier swaps image and kernel where the image is the smaller, and lets alone each dim that is spread by the
    kernel's length and taken in steps of one less, as in an old way of writing batches; a kernel of two places, spread by
    two, looks alike. One that is read backwards does not.
    """
    alike = [
        (d, p) == (k, (0, 0)) and s == k - 1 and r == 1
        for k, s, p, d, r in zip(kernel, strides, padding, lhs_dilation, rhs_dilation)
    ]
    others = [i for i, found in enumerate(alike) if not found]
    if math.prod(kernel[i] for i in others) <= math.prod(sizes[i] for i in others):
        return ()
    return tuple([i for i, found in enumerate(alike) if found])


def _emit_convolution(
    b: Builder, sig: Signature, x: Value, w: Value, numbers: Any, strides: Any, padding: Any, lhs_dilation: Any,
    rhs_dilation: Any, groups: int,
) -> Value:  # fmt: skip
    rows = ", ".join(f"[{lo}, {hi}]" for lo, hi in padding)
    attributes = {}
    image, kernel = sig.inputs
    dims = list(numbers.kernel_spatial_dimensions)
    sizes = tuple([image.shape[d] for d in numbers.input_spatial_dimensions])
    lengths = tuple([kernel.shape[d] for d in dims])
    if 0 in lengths:
        return b.full(0, sig.aval)  # sums of nothing, which StableHLO has no words for
    turned = _taken_for_batch(sizes, lengths, strides, padding, lhs_dilation, rhs_dilation)
    if turned:
        w = b.op("stablehlo.reverse", [w], kernel, dimensions=b.ints([dims[i] for i in turned]))
        backwards = ", ".join("true" if i in turned else "false" for i in range(len(dims)))
        attributes["window_reversal"] = b.attribute(f"array<i1: {backwards}>")
    if padding:
        attributes |= {
            "window_strides": b.ints(strides), "lhs_dilation": b.ints(lhs_dilation), "rhs_dilation": b.ints(rhs_dilation),
            "padding": b.attribute(f"dense<[{rows}]> : tensor<{len(padding)}x2xi64>"),
        }  # fmt: skip
    return b.op(
        "stablehlo.convolution", b.for_later([x, w]), sig.aval,
        dimension_numbers=numbers, feature_group_count=b.i64(groups), batch_group_count=b.i64(1), **attributes,
    )  # fmt: skip


@rule(ops.convolution)
def _convolution(b: Builder, sig: Signature, x: Value, w: Value, **attributes: Any) -> Value:
    spatial = list(range(2, sig.aval.ndim))
    numbers = stablehlo.ConvDimensionNumbers.get(
        input_batch_dimension=0, input_feature_dimension=1, input_spatial_dimensions=spatial,
        kernel_input_feature_dimension=1, kernel_output_feature_dimension=0, kernel_spatial_dimensions=spatial,
        output_batch_dimension=0, output_feature_dimension=1, output_spatial_dimensions=spatial,
    )  # fmt: skip
    return _emit_convolution(b, sig, x, w, numbers, **attributes)


@rule(CONVOLUTION_LAST)
def _convolution_last(b: Builder, sig: Signature, x: Value, w: Value, **attributes: Any) -> Value:
    end = sig.aval.ndim - 1
    spatial, kernel = list(range(1, end)), list(range(end - 1))
    numbers = stablehlo.ConvDimensionNumbers.get(
        input_batch_dimension=0, input_feature_dimension=end, input_spatial_dimensions=spatial,
        kernel_input_feature_dimension=end - 1, kernel_output_feature_dimension=end, kernel_spatial_dimensions=kernel,
        output_batch_dimension=0, output_feature_dimension=end, output_spatial_dimensions=spatial,
    )  # fmt: skip
    return _emit_convolution(b, sig, x, w, numbers, **attributes)
