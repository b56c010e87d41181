"""Histograms: how many elements, or what weight, lie in each of a row of bins."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from .. import dtypes, ops
from ..record import user_line
from ..tensors import Tensor
from ._register import both
from .conversion import broadcast_to, constant, convert, full_like_type
from .elementwise import isfinite, isnan
from .indexing import gather_points
from .returned import returned
from .shape import box, raw_reshape
from .slices import index_add
from .sorting import searchsorted
from .spaced import spaced

HistogramResult: Any = returned("histogram")(namedtuple("histogram", ["hist", "bin_edges"]))
HistogramddResult: Any = returned("histogramdd")(namedtuple("histogramdd", ["hist", "bin_edges"]))


def _span(x: Tensor, low: Any, high: Any, widen: float) -> tuple[Tensor, Tensor]:
    """The ends of the outermost bins: as given, else those of the data; ends that are equal move apart."""
    ends = [constant(float(v), x.dtype, x.device) for v in (low, high)]
    if low == high and x.numel():
        lo, hi = ops.reduce_min(x, axes=(0,)), ops.reduce_max(x, axes=(0,))
    else:
        lo, hi = ends
    same = ops.compare(lo, hi, direction="EQ")
    one = full_like_type(lo, widen)
    return ops.select(same, lo - one, lo), ops.select(same, hi + one, hi)


def _checked_range(low: Any, high: Any, name: str) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite  ({user_line()})")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min, not {low}, {high}  ({user_line()})")


def _checked_bins(bins: int, name: str) -> None:
    if bins <= 0:
        raise RuntimeError(f"{name}: bins must be > 0, but got {bins}  ({user_line()})")


def _linear_place(x: Tensor, lo: Tensor, hi: Tensor, bins: int) -> Tensor:
    """Which of equal bins an element lies in, by its share of the way; the last bin has its right edge too."""
    wide = [broadcast_to(v, tuple(x.shape)) for v in (lo, hi)]
    share = ops.divide(ops.multiply(x - wide[0], full_like_type(x, bins)), wide[1] - wide[0])
    inside = ops.bit_and(ops.bit_and(wide[0] <= x, x <= wide[1]), isfinite(x))
    at = convert(ops.select(inside, share, full_like_type(x, 0)), dtypes.int64)
    at = ops.minimum(ops.maximum(at, full_like_type(at, 0)), full_like_type(at, bins - 1))
    return ops.select(inside, at, full_like_type(at, -1))


def _place_near(x: Tensor, at: Tensor, edges: Tensor) -> Tensor:
    """The bin at a place or beside it whose edges really enclose the element: the share of the way is rounded."""
    bins = edges.shape[0] - 1
    below = x < gather_points(edges, [ops.maximum(at, full_like_type(at, 0))])
    next_edge = ops.minimum(at + 1, full_like_type(at, bins))
    above = ops.bit_and(x >= gather_points(edges, [next_edge]), next_edge < bins)
    moved = at - convert(below, dtypes.int64) + convert(above, dtypes.int64)
    return ops.select(at < 0, at, ops.maximum(moved, full_like_type(at, 0)))


def _place_between(x: Tensor, edges: Tensor) -> Tensor:
    """The bin between two of the edges; -1 outside of all of them."""
    bins = edges.shape[0] - 1
    at = searchsorted(edges, x, right=True) - 1
    last = broadcast_to(raw_reshape(box(edges, 0, bins, bins + 1), ()), tuple(x.shape))
    at = ops.select(x == last, full_like_type(at, bins - 1), at)
    return ops.select(ops.bit_or(ops.bit_or(at >= bins, at < 0), isnan(x)), full_like_type(at, -1), at)


def _counted(at: Tensor, weights: Tensor, bins: int) -> Tensor:
    """The weights summed in each bin; place -1 counts nowhere."""
    zeros = broadcast_to(constant(0, weights.dtype, weights.device), (bins + 1,))
    return box(index_add(zeros, 0, ops.select(at < 0, full_like_type(at, bins), at), weights), 0, 0, bins)


@both
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements lie in each of equal bins from min to max (of the data, where these are equal)."""
    _floating(input, "histc")
    _checked_bins(bins, "histc")
    _checked_range(min, max, "histc")
    x = raw_reshape(input.detach(), (input.numel(),))
    work = x if x.dtype.itemsize > 2 else convert(x, dtypes.float32)
    at = _linear_place(work, *_span(work, min, max, 1.0), bins)
    return convert(_counted(at, full_like_type(work, 1), bins), input.dtype)


def _floating(x: Tensor, name: str) -> None:
    if not x.dtype.is_floating_point:
        raise NotImplementedError(f'"{name}_cpu" not implemented for \'{x.dtype.name}\'  ({user_line()})')


@both
def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """(hist, bin_edges): the elements' number, or weight, in so many equal bins or between given edges."""
    x = raw_reshape(input, (input.numel(), 1))
    w = None if weight is None else raw_reshape(weight, (weight.numel(),))
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(
            "torch.histogramdd(): if weight tensor is provided it should have the same shape as the input tensor "
            f"excluding its innermost dimension, got {list(weight.shape)} for {list(input.shape)}  ({user_line()})"
        )
    hist, edges = _histogram(x, [bins], range, w, density, "histogram")
    return HistogramResult(hist, edges[0])


@both
def histogramdd(
    input: Tensor, bins: Any, range: Sequence[float] | None = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """(hist, bin_edges) of points [..., D]: their number, or weight, in each box of a D-dimensional grid."""
    if input.ndim < 2:
        raise RuntimeError(f"torch.histogramdd: input tensor should have at least 2 dimensions  ({user_line()})")
    d = input.shape[-1]
    each = [bins] * d if isinstance(bins, int) else list(bins)
    if len(each) != d:
        raise RuntimeError(
            "torch.histogramdd: bin_ct size should be equal to the innermost dimension of the input tensor, got "
            f"{len(each)} for {d}  ({user_line()})"
        )
    w = None if weight is None else raw_reshape(weight, (weight.numel(),))
    points = raw_reshape(input, (math.prod(input.shape[:-1]), d))
    hist, edges = _histogram(points, each, range, w, density, "histogramdd")
    return HistogramddResult(hist, tuple(edges))


def _histogram(
    x: Tensor, bins: list[Any], limits: Any, weight: Tensor | None, density: bool, name: str
) -> tuple[Tensor, list[Tensor]]:
    _floating(x, name)
    x = x.detach()
    if limits is not None and len(limits) != 2 * len(bins):
        raise RuntimeError(f"{name}: for a {len(bins)}-dimensional histogram range should have {2 * len(bins)} elements, "
            f"but got {len(limits)}  ({user_line()})")  # fmt: skip
    edges, flat, sizes = [], None, []
    for d, b in enumerate(bins):
        column = raw_reshape(box(x, 1, d, d + 1), (x.shape[0],))
        if isinstance(b, Tensor):
            line = b
            at = _place_between(column, line)
        else:
            _checked_bins(b, name)
            low, high = (0, 0) if limits is None else limits[2 * d : 2 * d + 2]
            _checked_range(low, high, name)
            lo, hi = _span(column, low, high, 0.5)
            line = spaced(lo, hi, b + 1, None, x.dtype, x.device)
            at = _place_near(column, _linear_place(column, lo, hi, b), line)
        n = line.shape[0] - 1
        edges.append(line)
        sizes.append(n)
        if flat is None:
            flat = at
        else:
            flat = ops.select(ops.bit_or(flat < 0, at < 0), full_like_type(at, -1), flat * n + at)
    assert flat is not None
    ones = full_like_type(raw_reshape(box(x, 1, 0, 1), (x.shape[0],)), 1)
    hist = _counted(flat, ones if weight is None else weight.detach(), math.prod(sizes))
    hist = raw_reshape(hist, tuple(sizes))
    if density:
        hist = hist / hist.sum()
        for d, line in enumerate(edges):
            width = box(line, 0, 1, sizes[d] + 1) - box(line, 0, 0, sizes[d])
            hist = hist / raw_reshape(width, tuple(n if i == d else 1 for i, n in enumerate(sizes)))
    return hist, edges
