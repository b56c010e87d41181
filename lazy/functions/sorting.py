"""Sorting, order statistics, and what is found by them: quantiles, unique values, places in a sorted sequence."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .. import dtypes, ops
from ..dtypes import BOOL
from ..graph import Aval
from ..record import mode as recording
from ..record import user_line, with_rule
from ..tensors import Tensor
from ._register import both, function
from .conversion import convert, full_like_type, lift, result_dtype
from .creation import from_host, line
from .elementwise import isnan
from .reduction import any, argmax
from .returned import VALUES_INDICES
from .scattering import take_along_dim
from .shape import box, normal_dim, raw_reshape


def _order(x: Tensor, d: int, descending: bool, span: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Values and places in order along a dim, or those of the ranks of a ``span``."""
    plain = x.detach() if x._edge is not None else x
    plain = convert(plain, dtypes.uint8) if plain.dtype.category == BOOL else convert(plain, plain.dtype.wide or plain.dtype)
    places = line(Aval(tuple(x.shape), dtypes.int64, x.device), d)
    both_sorted = ops.sort(plain, places, axis=d, descending=descending)
    values, order = (ops.result(both_sorted, index=i) for i in (0, 1))
    if span is not None:
        values, order = box(values, d, *span), box(order, d, *span)
    if x._edge is not None and recording.grad:
        values = take_along_dim(x, order, d)
    return convert(values, x.dtype), order


def _sortable(x: Tensor) -> None:
    if x.dtype.is_complex:
        raise RuntimeError(f"Sort does not support complex dtypes on CPU  ({user_line()})")


@both
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) in order along a dim; always stable, NaN last."""
    _sortable(input)
    if input.ndim == 0:
        normal_dim(dim, 0)
        return VALUES_INDICES["sort"](ops.copy(input), full_like_type(convert(input.detach(), dtypes.int64), 0))
    return VALUES_INDICES["sort"](*_order(input, normal_dim(dim, input.ndim), descending))


@both
def msort(input: Tensor) -> Tensor:
    """Sorted along dim 0."""
    return sort(input, 0)[0]


@both
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The places of the elements in order along a dim."""
    return sort(input, dim, descending)[1]


@both
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) along a dim: (values, indices), in order."""
    d = normal_dim(dim, input.ndim)
    if not 0 <= k <= (input.shape[d] if input.ndim else 1):
        raise RuntimeError(f"selected index k out of range: {k} of {list(input.shape)} at dim {d}  ({user_line()})")
    if input.ndim == 0:
        return VALUES_INDICES["topk"](*sort(input))
    _sortable(input)
    return VALUES_INDICES["topk"](*_order(input, d, largest, (0, k)))


@both
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest along a dim."""
    d = normal_dim(dim, input.ndim)
    if not 1 <= k <= (input.shape[d] if input.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {d}  ({user_line()})")
    if input.ndim == 0:
        return VALUES_INDICES["kthvalue"](*sort(input))
    _sortable(input)
    found = _order(input, d, False, (k - 1, k))
    return VALUES_INDICES["kthvalue"](*(v if keepdim else _dropped(v, d) for v in found))


def _dropped(x: Tensor, d: int) -> Tensor:
    return raw_reshape(x, tuple(n for i, n in enumerate(x.shape) if i != d))


def _median(name: str, skip_nan: bool) -> None:
    def f(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            flat = raw_reshape(input, (input.numel(),))
            if not input.numel():
                return full_like_type(raw_reshape(_nothing(input), ()), math.nan if input.dtype.is_inexact else 0)
            found = functools.partial(_middle, d=0, keepdim=False, skip_nan=skip_nan)
            if not input.dtype.is_inexact:
                return found(flat)[0]
            return with_rule(lambda x: found(x)[0], (flat,), _shared, wants_inputs=True, wants_output=True)
        if input.ndim == 0:
            return VALUES_INDICES[name](*sort(input, dim))
        d = normal_dim(dim, input.ndim)
        if not input.shape[d]:
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.  ({user_line()})")
        return VALUES_INDICES[name](*_middle(input, d, keepdim, skip_nan))

    f.__name__ = name
    f.__doc__ = "The lower median of all; with a dim, (values, indices) along it. " + (
        "NaN does not count." if skip_nan else "NaN if there is one."
    )
    both(f)


def _shared(g: Tensor, entry: Any) -> tuple[Tensor]:
    """The gradient of the median of all: shared evenly among the elements that equal it."""
    (x,), y = entry.operands(), entry.output()
    same = (x == y) | (isnan(x) & isnan(y))
    hits = convert(same, x.dtype)
    return (hits * (g / hits.sum()),)


def _middle_number(x: Tensor, d: int) -> Tensor:
    """Where the lower median of what is not NaN lies; 0 where all is.

    The NaN are taken for so many infinities of both signs that it is the middle of all: then one element of known rank is
    wanted, which need not be found by sorting.
    """
    n, bad = x.shape[d], isnan(x)
    gaps = convert(bad, dtypes.int32)
    real = ops.negate(gaps.sum(d, True, dtype=dtypes.int32)) + n
    none = ops.compare(real, full_like_type(real, 0), direction="EQ")
    before = (n - 1) // 2 - (ops.maximum(real, full_like_type(real, 1)) - 1) // 2
    first = ops.cumsum(gaps, axis=d, reverse=False) <= before
    filled = ops.select(bad, ops.select(first, full_like_type(x, -math.inf), full_like_type(x, math.inf)), x)
    value, at = (box(v, d, (n - 1) // 2, (n - 1) // 2 + 1) for v in sort(filled, d))
    # of an infinity, where it is the input's own
    own = argmax(convert(x == value, dtypes.uint8), d, True)
    at = ops.select(isnan(take_along_dim(x, at, d)), own, at)
    return ops.select(none, full_like_type(at, 0), at)


def _nothing(x: Tensor) -> Tensor:
    return from_host(np.zeros((), x.dtype.numpy), x.device)


def _middle(x: Tensor, d: int, keepdim: bool, skip_nan: bool) -> list[Tensor]:
    n = x.shape[d]
    if not x.dtype.is_floating_point:
        picked = [box(v, d, (n - 1) // 2, (n - 1) // 2 + 1) for v in sort(x, d)]
    elif skip_nan:
        at = _middle_number(x.detach(), d)
        picked = [take_along_dim(x, at, d), at]
    else:
        bad = isnan(x.detach())
        first = argmax(convert(bad, dtypes.uint8), d, True)
        middle = box(sort(x, d)[1], d, (n - 1) // 2, (n - 1) // 2 + 1)
        at = ops.select(any(bad, d, True), first, middle)
        picked = [take_along_dim(x, at, d), at]
    return [v if keepdim else _dropped(v, d) for v in picked]


_median("median", False)
_median("nanmedian", True)


@both
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along a dim (the smallest of several), and the last place where it lies."""
    if input.ndim == 0:
        return VALUES_INDICES["mode"](*sort(input, dim))
    d, x = normal_dim(dim, input.ndim), input.detach()
    n = input.shape[d]
    if x.dtype.is_complex:
        raise NotImplementedError(f'"mode" not implemented for \'{x.dtype.name}\'  ({user_line()})')
    if not n:
        raise IndexError(f"mode(): Expected reduction dim {d} to have non-zero size.  ({user_line()})")
    values, order = sort(x, d)
    # a value's places lie side by side now: the longest run, the first of several, and its last place
    places = line(Aval(tuple(x.shape), dtypes.int64, x.device), d)
    begins = ops.compare(values, ops.concatenate(box(values, d, 0, 1), box(values, d, 0, n - 1), axis=d), direction="NE")
    begin = ops.select(begins, places, full_like_type(places, 0)).cummax(d)[0]
    at = take_along_dim(order, argmax(places - begin, d, True), d)
    values = take_along_dim(input, at, d)
    return VALUES_INDICES["mode"](*(v if keepdim else _dropped(v, d) for v in (values, at)))


# --- quantiles --------------------------------------------------------------------------------------------------


def _quantile(input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, name: str) -> Tensor:
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype  ({user_line()})")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
            f"  ({user_line()})"
        )
    if isinstance(q, Tensor):
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor  ({user_line()})")
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor  ({user_line()})")
    elif not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}  ({user_line()})")
    x = input if dim is not None and input.ndim else raw_reshape(input, (input.numel(),))
    d = normal_dim(dim, input.ndim) if dim is not None and input.ndim else 0
    if not x.shape[d]:
        raise RuntimeError(f"{name}() input tensor must be non-empty  ({user_line()})")
    levels = raw_reshape(lift(q, input.dtype, input.device), (q.numel() if isinstance(q, Tensor) else 1,))
    ordered = sort(x.movedim(d, -1))[0]  # [..., n], NaN last
    bad = isnan(ordered.detach())
    if name == "nanquantile":
        last = ops.maximum((~bad).sum(-1, True) - 1, full_like_type((~bad).sum(-1, True), 0))
    else:
        last = full_like_type(convert(box(bad, bad.ndim - 1, 0, 1), dtypes.int64), ordered.shape[-1] - 1)
    rank = levels * convert(last, input.dtype)  # [..., levels]
    low = ops.floor(rank.detach())
    if interpolation == "nearest":
        rank = ops.round_nearest_even(rank.detach())
    elif interpolation == "lower":
        rank = low
    elif interpolation == "higher":
        rank = ops.ceil(rank.detach())
    low, high = (convert(f(rank.detach()), dtypes.int64) for f in (ops.floor, ops.ceil))
    below = take_along_dim(ordered, low, -1)
    above = take_along_dim(ordered, high, -1)
    weight = (
        full_like_type(rank, 0.5) * convert(high != low, rank.dtype)
        if interpolation == "midpoint"
        else rank - convert(low, rank.dtype)
    )
    out = below.lerp(above, weight)
    if name == "quantile":
        out = out.masked_fill(bad.any(-1, True), math.nan)
    out = out.movedim(-1, 0)
    if keepdim:
        out = (
            out.unsqueeze(d + 1)
            if dim is not None and input.ndim
            else raw_reshape(out, (out.shape[0],) + (1,) * input.ndim)
        )
    return out if isinstance(q, Tensor) and q.ndim else raw_reshape(out, tuple(out.shape[1:]))


def _quantiles(name: str) -> None:
    def f(
        input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Tensor:
        return _quantile(input, q, dim, keepdim, interpolation, name)

    f.__name__ = name
    f.__doc__ = "The values below which the shares ``q`` lie" + (", NaN not counted." if name[0] == "n" else ".")
    both(f)


_quantiles("quantile")
_quantiles("nanquantile")

# --- places and counts ------------------------------------------------------------------------------------------


@function
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Where elements would be put in a sorted sequence (or each in its row's), by bisection."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"side can only be 'left' or 'right' but got {side}  (searchsorted at {user_line()})")
    if side == "left" and right:
        raise RuntimeError(
            f"side and right can't be set to opposites, got side of left while right was True  ({user_line()})"
        )
    edges = sorted_sequence if sorter is None else take_along_dim(sorted_sequence, sorter, -1)
    dtype = result_dtype(edges, input)
    edges, x = (lift(v, dtype, edges.device).detach() for v in (edges, input))
    if edges.ndim != 1 and tuple(edges.shape[:-1]) != tuple(x.shape[:-1]):
        raise RuntimeError(
            "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
            "value tensor "
            f"must match, but we got boundaries tensor {list(edges.shape)} and input value tensor {list(x.shape)}"
            f"  ({user_line()})"
        )
    n = edges.shape[-1]
    if n > FEW:
        return _bisected(edges, x, right or side == "right", dtypes.int32 if out_int32 else dtypes.int64)
    wide = edges if edges.ndim == 1 else edges.unsqueeze(-2)
    before = _lies_before(wide, x.unsqueeze(-1), right or side == "right")
    return convert(before.sum(-1), dtypes.int32 if out_int32 else dtypes.int64)


FEW = 16  # numbers of a sequence that are all compared


def _lies_before(edge: Tensor, x: Tensor, right: bool) -> Tensor:
    before = edge <= x if right else edge < x
    if edge.dtype.is_floating_point:
        before = before | (isnan(x) & ~isnan(edge))  # NaN comes after all numbers
    return before


def _bisected(edges: Tensor, x: Tensor, right: bool, dtype: Any) -> Tensor:
    """How many of the edges lie before each element: steps of half the length, a quarter, and so on, where they fit."""
    n = edges.shape[-1]
    found = full_like_type(convert(x, dtypes.int32), 0)
    step = 1 << (n.bit_length() - 1)
    while step:
        further = found + step
        at = further - 1
        if edges.ndim == 1:
            places = raw_reshape(at, (*at.shape, 1))
            edge = ops.gather(edges, places, offset_dims=(), collapsed=(0,), index_map=(0,), sizes=(1,))
        else:
            edge = take_along_dim(edges, ops.minimum(at, full_like_type(at, n - 1)), -1)
        fits = (further <= n) & _lies_before(edge, x, right)
        found = ops.select(fits, further, found)
        step //= 2
    return convert(found, dtype)


@function
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Which of the intervals between sorted boundaries each element lies in."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})  ({user_line()})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@both
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (or with what total weight) each of 0, 1, 2... occurs. Syncs: the length depends on the data."""
    if input.dtype.is_inexact:
        raise NotImplementedError(f'"bincount" not implemented for \'{input.dtype.name}\'  ({user_line()})')
    if input.ndim != 1 or input.dtype.category != dtypes.INT:
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs.  ({user_line()})")
    found = input.detach()._array("bincount()")
    if found.size and found.min() < 0:
        raise RuntimeError(f"bincount only supports 1-d non-negative integral inputs.  ({user_line()})")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0  (bincount at {user_line()})")
    size = max(int(found.max()) + 1 if found.size else 0, minlength)
    if weights is None:
        return from_host(np.bincount(found.astype(np.int64), minlength=size).astype(np.int64), input.device)
    if weights.shape != input.shape:
        raise RuntimeError(f"weights should be 1-d and have the same length as input  (bincount at {user_line()})")
    values = weights if weights.dtype is dtypes.float32 else convert(weights, dtypes.float64)
    empty = from_host(np.zeros(size, values.dtype.numpy), input.device)
    return empty.index_add(0, convert(input, dtypes.int64), values)


def _found(parts: list[Any], device: Any, inverse: bool, counts: bool) -> Any:
    wanted = [parts[0]] + [p for p, w in zip(parts[1:], (inverse, counts)) if w]
    out = tuple(from_host(np.array(p, order="C"), device) for p in wanted)
    return out if len(out) > 1 else out[0]


@both
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements (or slices along a dim) in order, worked out on the host.

    Syncs: their number depends on the data.
    """
    x = input.detach()._array("unique()")
    axis = None if dim is None else normal_dim(dim, input.ndim)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    inverse = inverse.reshape(x.shape if axis is None else (x.shape[axis],)).astype(np.int64)
    return _found([values, inverse, counts.astype(np.int64)], input.device, return_inverse, return_counts)


@both
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """One element (or slice along a dim) for each run of equal ones, worked out on the host. Syncs."""
    x = input.detach()._array("unique_consecutive()")
    axis = None if dim is None else normal_dim(dim, input.ndim)
    rows = x.reshape(-1, 1) if axis is None else np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    fresh = np.ones(len(rows), bool)
    fresh[1:] = (rows[1:] != rows[:-1]).any(1)
    starts = np.flatnonzero(fresh)
    values = x.reshape(-1)[starts] if axis is None else np.take(x, starts, axis)
    inverse = (np.cumsum(fresh) - 1).reshape(x.shape if axis is None else (-1,)).astype(np.int64)
    counts = np.diff(np.append(starts, len(rows))).astype(np.int64)
    return _found([values, inverse, counts], input.device, return_inverse, return_counts)
