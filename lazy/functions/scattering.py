"""Selecting and writing elements by tensors of places and by masks: PyTorch's gather and scatter family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, ops
from ..graph import Aval
from ..record import number, user_line, wrap
from ..tensors import Tensor
from ..views import Layout, Step, assign, join, layout, offsets, view
from ._register import both, function, inplace, method, numbers_are_values, public
from .conversion import broadcast_shape, broadcast_to, constant, convert, flat, full_like_type, lift, python_kind
from .creation import arange, from_host, full, line
from .indexing import gather_points, index_points, parse, scatter_points, select, value_for
from .joining import stack
from .pointwise import where
from .shape import box, ints, normal_dim, raw_reshape


@both
def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """The input with ``values`` written (or added) at the places."""
    part, advanced = parse(input, tuple(slice(None) if i is None else i for i in indices))
    dims, places, offset, shape, _ = index_points(part, advanced)
    return scatter_points(input, dims, places, offset, value_for(values, part, shape), "add" if accumulate else "set")


def index_1d(index: Tensor, name: str) -> Tensor:
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector  ({user_line()})")
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32 or int64 for index, got {index.dtype.name}  ({user_line()})"
        )
    return raw_reshape(index, (index.numel(),))


@both
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dim at the given places."""
    d = normal_dim(dim, input.ndim)
    places = index_1d(index, "index_select")
    if input.ndim == 0:
        if places.numel() != 1:
            raise IndexError(
                f"index_select(): Index to scalar can have only 1 value, got {places.numel()} value(s)"
                f"  ({user_line()})"
            )
        return raw_reshape(gather_points(raw_reshape(input, (1,)), [places]), ())
    return gather_points(input, [places if i == d else None for i in range(input.ndim)])


def _counting(like: Tensor, axis: int) -> Tensor:
    """0, 1, 2... along an axis, in the shape of ``like``."""
    return line(Aval(tuple(like.shape), dtypes.int64, like.device), axis)


def _at_index(input: Tensor, dim: int, index: Tensor, name: str) -> tuple[Tensor, int, list[Tensor | None]]:
    """Operands for gather and scatter of single elements: an index tensor for every dim."""
    if index.numel() and index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index  ({user_line()})")
    if input.ndim != index.ndim and index.numel() and (input.ndim or 1) != (index.ndim or 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor ({input.ndim}, {index.ndim})"
            f"  ({user_line()})"
        )
    x = input if input.ndim else raw_reshape(input, (1,))
    at = convert(index if index.ndim else raw_reshape(index, (1,)), dtypes.int64)
    d = normal_dim(dim, x.ndim)
    places: list[Tensor | None] = [at if i == d else _counting(at, i) for i in range(x.ndim)]
    return x, d, places


@both
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] (for dim 0), and so on."""
    if not index.numel():
        shape = tuple(index.shape)
        return flat(lambda x: broadcast_to(constant(0, x.dtype, x.device), shape), input)
    x, d, places = _at_index(input, dim, index, "gather")
    for i, (n, m) in enumerate(zip(index.shape, x.shape)):
        if i != d and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {d}  ({user_line()})"
            )
    return raw_reshape(gather_points(x, places), tuple(index.shape))


@both
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather`` with broadcasting of the other dims."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dims, but got {input.ndim} and "
            f"{indices.ndim}  ({user_line()})"
        )
    d = normal_dim(dim, input.ndim)
    shape = broadcast_shape(*[tuple(1 if i == d else n for i, n in enumerate(t.shape)) for t in (input, indices)])
    wide = [broadcast_to(t, tuple(t.shape[d] if i == d else n for i, n in enumerate(shape))) for t in (input, indices)]
    return gather(wide[0], d, wide[1])


def _scattered(input: Tensor, dim: int, index: Tensor, src: Any, combine: str, name: str) -> Tensor:
    if not index.numel() and index.ndim != input.ndim:
        return ops.copy(input)
    x, _, places = _at_index(input, dim, index, name)
    if isinstance(src, Tensor) and (src.ndim or 1) != (index.ndim or 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as src tensor ({index.ndim}, {src.ndim})"
            f"  ({name} at {user_line()})"
        )
    if not isinstance(src, Tensor):
        src = broadcast_to(number(src, x.dtype, x.device), tuple(index.shape))
    elif src.dtype is not x.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype  ({user_line()})")
    if any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than src {list(src.shape)}  ({name} at {user_line()})"
        )
    if index.numel() == 0:
        return ops.copy(input)
    d = normal_dim(dim, x.ndim)
    if any(n > m for i, (n, m) in enumerate(zip(index.shape, input.shape)) if i != d):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension {d}"
            f"  ({name} at {user_line()})"
        )
    src = src if src.ndim else raw_reshape(src, (1,))
    at = tuple(index.shape) or (1,)
    if tuple(src.shape) != at:
        src = ops.slice_(src, start=(0,) * src.ndim, limit=at, strides=(1,) * src.ndim)
    dims, vectors, offset, _, _ = index_points(x, places)
    return raw_reshape(scatter_points(x, dims, vectors, offset, src, combine), tuple(input.shape))


_REDUCE = {"add": "add", "multiply": "mul"}


@both
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """The input with ``src`` written at out[index[i][j]][j] (for dim 0), and so on."""
    if reduce is not None and reduce not in _REDUCE:
        raise RuntimeError(f"reduce argument must be either add or multiply, not {reduce!r}  ({user_line()})")
    source = value if src is None else src
    if not isinstance(source, Tensor):
        python_kind(source)
    return _scattered(input, dim, index, source, _REDUCE.get(reduce or "", "set"), "scatter")


REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "mean": "add"}


@both
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``scatter`` that combines what meets at a place: 'sum', 'prod', 'mean', 'amax' or 'amin'."""
    if reduce not in REDUCTIONS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}  ({user_line()})"
        )
    combine = REDUCTIONS[reduce]
    start = input
    if not include_self:
        hit = _scattered(full_like_type(input.detach(), 0), dim, index, 1, "set", "scatter_reduce") != 0
        least, most = (-math.inf, math.inf) if input.dtype.is_floating_point else _limits(input.dtype)
        neutral = {"add": 0, "mul": 1, "max": least, "min": most}[combine]
        start = ops.select(hit, full_like_type(input, neutral), input)
    out = _scattered(start, dim, index, src, combine, "scatter_reduce")
    if reduce != "mean":
        return out
    one = full_like_type(src.detach(), 1)
    count = _scattered(
        full_like_type(input.detach(), 1 if include_self else 0), dim, index, one, "add", "scatter_reduce"
    )
    count = ops.maximum(count, full_like_type(count, 1))
    return out / count if input.dtype.is_inexact else out // count


def _limits(dtype: Any) -> tuple[int, int]:
    info = None if dtype is dtypes.bool_ else dtypes.limits(dtype)
    return (0, 1) if info is None else (int(info.min), int(info.max))


@both
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``scatter`` that adds."""
    return _scattered(input, dim, index, src, "add", "scatter_add")


@both
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened input."""
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index.dtype.name}  ({user_line()})")
    return gather_points(raw_reshape(input, (input.numel(),)), [index])


@both
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of what is not zero, a row each (or a tensor a dim). Syncs: their number depends on the data."""
    found = np.nonzero(np.atleast_1d(input.detach()._array("nonzero()")))
    if as_tuple:
        return tuple(from_host(p, input.device) for p in found)
    rows = np.stack(found, 1) if input.ndim else np.zeros((len(found[0]), 0), np.int64)
    return from_host(rows.astype(np.int64), input.device)



@both
def argwhere(input: Tensor) -> Tensor:
    """The places of what is not zero, a row each. Syncs."""
    return nonzero(input)


@both
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds. Syncs: their number depends on the data."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, not {mask.dtype.name}  ({user_line()})")
    shape = broadcast_shape(tuple(input.shape), tuple(mask.shape))
    found = np.flatnonzero(broadcast_to(mask.detach(), shape)._array("masked_select()"))
    flat = raw_reshape(broadcast_to(input, shape), (math.prod(shape),))
    return gather_points(flat, [from_host(found.astype(np.int64), input.device)])


@both
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of ``source`` in order where the mask holds."""
    if input.dtype is not source.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype.name} and "
            f"{source.dtype.name}"
            f"  ({user_line()})"
        )
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype.name}  ({user_line()})"
        )
    shape = broadcast_shape(tuple(input.shape), tuple(mask.shape))
    wide = broadcast_to(mask, shape)
    rank = ops.cumsum(raw_reshape(convert(wide, dtypes.int64), (wide.numel(),)), axis=0, reverse=False) - 1
    rank = ops.maximum(rank, full_like_type(rank, 0))
    picked = raw_reshape(take(source, rank), shape)
    return ops.select(wide, picked, broadcast_to(input, shape))


@both
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """Elements of ``source`` written (or added) at places of the flattened input."""
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {index.dtype.name}  ({user_line()})")
    if index.numel() != source.numel():
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, but got {source.numel()} and "
            f"{index.numel()}  ({user_line()})"
        )
    if input.dtype is not source.dtype:
        raise RuntimeError(f"put_(): self and source expected to have the same dtype  ({user_line()})")
    if not index.numel():
        return ops.copy(input)
    flat = raw_reshape(input, (input.numel(),))
    dims, places, offset, _, _ = index_points(flat, [raw_reshape(index, (index.numel(),))])
    values = raw_reshape(source, (source.numel(),))
    return raw_reshape(
        scatter_points(flat, dims, places, offset, values, "add" if accumulate else "set"), tuple(input.shape)
    )


@function
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Places in a flattened tensor as one coordinate a dim."""
    if indices.dtype.category != dtypes.INT:
        raise ValueError(
            f"unravel_index(): expected 'indices' to be an integer tensor, but got {indices.dtype}  ({user_line()})"
        )
    rest, out = convert(indices, dtypes.int64), []
    for n in reversed(ints((shape,))):
        out.append(rest % n)
        rest = rest // n
    return tuple(reversed(out))


@both
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """The input with one slice of a dim replaced."""
    out = ops.copy(input)
    place = select(out, dim, index)
    if place.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(place.shape)}  (select_scatter at {user_line()})"
        )
    place.copy_(src)
    return out


@both
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The input with a range of a dim replaced."""
    out = ops.copy(input)
    out[(slice(None),) * normal_dim(dim, input.ndim) + (slice(start, end, step),)] = src
    return out


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of a dim as a new last dim, as an alias; windows that overlap cannot be written to, only filled."""
    d = normal_dim(dimension, self.ndim)
    n = self.shape[d] if self.ndim else 1
    if not 0 <= size <= n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}  ({user_line()})")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0  ({user_line()})")
    if self.ndim == 0:
        return box(raw_reshape(self, (1,)), 0, 0, size)
    places = constant(offsets((0, (step, 1)), ((n - size) // step + 1, size)), dtypes.int64, self.device)
    order = (*range(d + 1), *range(d + 2, self.ndim + 1), d + 1)

    def windows(x: Tensor) -> Tensor:
        picked = gather_points(x, [places if i == d else None for i in range(x.ndim)])
        return ops.transpose(picked, permutation=order)

    def strides(state: Layout, _: Any) -> Layout:
        first, steps = state
        return first, (*steps[:d], step * steps[d], *steps[d + 1 :], steps[d])

    return view(self, Step("unfold", windows, None, strides, tuple(self.shape)))


def _root_of(x: Tensor) -> Tensor:
    """The whole memory that the tensor is part of, as an alias, in the tensor's type where that is complex or real as x is."""
    meta = x._meta
    if meta is None or meta.domain is None:
        return x
    root = wrap(meta.domain.storage._node, meta.domain.edge)
    join(root, meta.domain, (), meta.shape)
    if root.dtype.is_complex and not x.dtype.is_complex:
        return root.real if root.numel() == 0 else public["view_as_real"](root)  # type: ignore[no-any-return]
    if x.dtype.is_complex and not root.dtype.is_complex:
        return public["view_as_complex"](root.view(-1, 2))  # type: ignore[no-any-return]
    return root


@both
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """The memory of the input (laid out as PyTorch would) seen with other sizes and strides, as an alias.

    It is gathered, so it costs more than a slice; where elements overlap, it cannot be written to, only filled.
    """
    shape, steps = ints((size,)), ints((stride,))
    if len(shape) != len(steps):
        raise RuntimeError(f"mismatch in length of strides and shape: {list(shape)}, {list(steps)}  ({user_line()})")
    first = layout(input)[0] if storage_offset is None else int(storage_offset)
    root = _root_of(input)
    whole = tuple(root.shape)
    places = offsets((first, steps), shape)
    if places.size and not 0 <= places.min() <= places.max() < root.numel():
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(steps)}, storage offset {first} are out of bounds for "
            "storage of "
            f"{root.numel()} elements  ({user_line()})"
        )
    at = constant(places, dtypes.int64, input.device)

    def piece_of(x: Tensor) -> Tensor:
        return gather_points(raw_reshape(x, (x.numel(),)), [at])

    out = view(root, Step("as_strided", piece_of, None, lambda state, _: (first, steps), whole))
    if input.is_neg():
        out = view(out, Step("neg", ops.negate, lambda _, piece: ops.negate(piece), lambda state, _: state, shape))
    return out.conj() if input.is_conj() else out


def put_at(whole: Tensor, places: np.ndarray, piece: Tensor) -> Tensor:
    """The whole with the piece's elements at these places of its memory."""
    flat = raw_reshape(whole, (whole.numel(),))
    dims, vectors, offset, _, _ = index_points(flat, [constant(places, dtypes.int64, whole.device)])
    return raw_reshape(scatter_points(flat, dims, vectors, offset, piece, "set"), tuple(whole.shape))


@both
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """The input with what ``as_strided`` would show replaced."""
    out = ops.copy(input)
    place = as_strided(out, size, stride, storage_offset)
    if place.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(place.shape)}  (as_strided_scatter at {user_line()})"
        )
    place.copy_(src)
    return out


@method
def zero_(self: Tensor) -> Tensor:
    """Set to zero."""
    return assign(self, full_like_type(self, 0), "zero_")


@function
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first ``size`` rows of ``nonzero(input)`` [size, dims], or ``fill_value`` where there are fewer; reads nothing."""
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be a non-negative integer, got {size}  ({user_line()})")
    found = (input != 0).reshape(-1)
    count = found.numel()
    place = (found.cumsum(0) - 1).clamp(max=size)
    place = where(found, place, size)  # what is left out falls into one row more
    rows = full((size + 1,), count, dtype=dtypes.int64, device=input.device)
    rows = rows.scatter(0, place, arange(count, device=input.device))[:size]
    known, out = rows < count, []
    for n in (max(n, 1) for n in reversed(input.shape)):
        out.append(where(known, rows % n, fill_value))
        rows = rows.div(n, rounding_mode="floor")
    return stack(out[::-1], 1) if out else full((size, 0), 0, dtype=dtypes.int64, device=input.device)


@both
def fill(input: Tensor, value: Any) -> Tensor:
    """One number in the shape of the input."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            f"  ({user_line()})"
        )
    filled = broadcast_to(lift(value, input.dtype, input.device), tuple(input.shape))
    return filled if isinstance(value, Tensor) else flat(lambda _: filled, input)


@method
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """The main diagonal set to one number; with ``wrap``, that of a tall matrix begins anew below its end."""
    shape = tuple(self.shape)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise RuntimeError(
            f"fill_diagonal_: a matrix, or more dims of one size, are expected, got the shape {list(shape)}  ({user_line()})"
        )
    if len(shape) == 2 and not (wrap and shape[0] > shape[1] > 0):
        self.diagonal().fill_(fill_value)
        return self
    size = shape[0] * shape[1] if len(shape) == 2 else shape[0]
    steps = np.arange(0, size, shape[1] + 1) if len(shape) == 2 else np.arange(size)
    places = np.divmod(steps, shape[1]) if len(shape) == 2 else [steps] * len(shape)
    self[tuple([from_host(p, self.device) for p in places])] = fill_value
    return self


numbers_are_values(fill)
for _f in (fill, index_put, scatter, scatter_add, scatter_reduce, masked_scatter, put):
    inplace(_f)
