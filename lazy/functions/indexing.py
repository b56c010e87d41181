"""Reading and writing by index: basic indices are aliases, integer and boolean tensors gather and scatter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, ops
from ..record import number, user_line
from ..tensor import Tensor
from ..views import Layout, Step, assign, view
from ._register import alias, both, function, inplace, method
from .conversion import (
    broadcast_shape,
    broadcast_to,
    constant,
    convert,
    full_like_type,
    lift,
    transfer,
)
from .shape import normal_dim, pad_zeros, raw_reshape

Ints = tuple[int, ...]

# --- boxes ------------------------------------------------------------------------------------------------------


def _box_step(x: Tensor, start: Ints, size: Ints, stride: Ints, shape: Ints) -> Step:
    """The alias of a box: ``size`` places per dim from ``start``, ``stride`` apart, seen in ``shape``."""
    whole_shape = tuple(x.shape)
    dense = all(s == 1 for s in stride)
    limit = tuple(a + (n - 1) * s + 1 if n else a for a, n, s in zip(start, size, stride))
    corner: list[Tensor] = []
    if dense:
        # Corners are numbers of the program, not of its structure: x[t] in a loop is one program for every t.
        for a, n, m in zip(start, size, whole_shape):
            corner.append(
                constant(0, dtypes.int32, x.device) if n == m else number(a, dtypes.int32, x.device)
            )

    def take(whole: Tensor) -> Tensor:
        if size == whole_shape:
            part = whole
        elif dense:
            part = ops.dynamic_slice(whole, *corner, sizes=size)
        else:
            part = ops.slice_(whole, start=start, limit=limit, strides=stride)
        return raw_reshape(part, shape)

    def put(whole: Tensor, piece: Tensor) -> Tensor:
        piece = raw_reshape(piece, size)
        if size == whole_shape:
            return piece
        if dense:
            return ops.dynamic_update_slice(whole, piece, *corner)
        if 0 in size:
            return ops.copy(whole)
        high = tuple(n - b for n, b in zip(whole_shape, limit))
        gaps = tuple(s - 1 for s in stride)
        spread = pad_zeros(piece, start, high, interior=gaps)
        inside = broadcast_to(constant(True, dtypes.bool_, x.device), size)
        return ops.select(pad_zeros(inside, start, high, value=False, interior=gaps), spread, whole)

    def strides(state: Layout, whole: Ints) -> Layout:
        offset, s = state
        offset += sum(a * b for a, b in zip(start, s))
        kept = [(n, a * b) for n, a, b in zip(size, s, stride)]
        out: list[int] = []
        at = 0
        for n in shape:  # the dims of the box in order, less the dropped ones, with new ones of size 1 between
            while at < len(kept) and kept[at][0] != n and kept[at][0] == 1:
                at += 1
            if at < len(kept) and kept[at][0] == n:
                out.append(kept[at][1])
                at += 1
            else:
                out.append(1)
        return offset, tuple(out)

    return Step("slice", take, put, strides, whole_shape)


def narrow_view(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    shape = tuple(x.shape)
    size = shape[:dim] + (length,) + shape[dim + 1 :]
    at = tuple(start if i == dim else 0 for i in range(x.ndim))
    return view(x, _box_step(x, at, size, (1,) * x.ndim, size))


@both
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one place of a dim, as an alias."""
    if input.ndim == 0:
        raise IndexError(f"select() cannot be applied to a 0-dim tensor.  ({user_line()})")
    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}  ({user_line()})")
    return _take_box(input, [(d, int(index) % n)])


def _take_box(x: Tensor, fixed: list[tuple[int, int]]) -> Tensor:
    shape = tuple(x.shape)
    at = dict(fixed)
    start = tuple(at.get(i, 0) for i in range(x.ndim))
    size = tuple(1 if i in at else n for i, n in enumerate(shape))
    return view(x, _box_step(x, start, size, (1,) * x.ndim, tuple(n for i, n in enumerate(shape) if i not in at)))


# --- parsing an index -------------------------------------------------------------------------------------------


def _as_index(item: Any, x: Tensor) -> Any:
    """Lists and arrays as tensors of integers or bools; NumPy and 0-d integer tensors as they are."""
    if isinstance(item, (list, tuple, range)):
        item = np.asarray(item if len(item) else np.zeros(0, np.int64))
    if isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu":
        return int(item)
    if isinstance(item, np.ndarray):
        from .creation import from_host

        if item.dtype.kind not in "iub":
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, not {item.dtype}  ({user_line()})")
        return from_host(item, x.device)
    if isinstance(item, Tensor):
        if item.dtype.category > dtypes.INT:
            raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, not {item.dtype.name}  ({user_line()})")
        return transfer(item, x.device) if item.device is not x.device else item
    return item


def _parse(x: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None]]:
    """The alias for the basic part of an index, and for each of its dims the tensor that indexes it, or None."""
    items = list(index) if isinstance(index, tuple) else [index]
    items = [_as_index(i, x) for i in items]
    used = sum(
        0 if i is None or i is Ellipsis or isinstance(i, bool) else i.ndim if _is_mask(i) else 1 for i in items
    )
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}  ({user_line()})")
    dots = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(dots) > 1:
        raise IndexError(f"an index can only have a single ellipsis ('...')  ({user_line()})")
    fill = [slice(None)] * (x.ndim - used)
    items = items[: dots[0]] + fill + items[dots[0] + 1 :] if dots else items + fill

    start: list[int] = []
    size: list[int] = []
    stride: list[int] = []
    shape: list[int] = []
    advanced: list[Tensor | None] = []
    for item in items:
        d = len(start)
        if item is None:
            shape.append(1)
            advanced.append(None)
            continue
        if isinstance(item, bool):
            shape.append(1)
            advanced.append(constant(np.zeros(int(item), np.int64), dtypes.int64, x.device))
            continue
        n = x.shape[d]
        if isinstance(item, slice):
            a, b, s = _slice_of(item, n)
            count = max(0, -(-(b - a) // s))
            start.append(a if count else 0)
            size.append(count)
            stride.append(s)
            shape.append(count)
            advanced.append(None)
        elif isinstance(item, Tensor):
            spans = item.ndim if _is_mask(item) else 1
            for k in range(spans):
                start.append(0)
                size.append(x.shape[d + k])
                stride.append(1)
                shape.append(x.shape[d + k])
            advanced += _mask_places(item, tuple(x.shape[d : d + spans]), d) if _is_mask(item) else [item]
        else:
            try:
                i = item.__index__()
            except (AttributeError, TypeError):
                raise TypeError(
                    f"only integers, slices (`:`), ellipsis (`...`), None and long or byte tensors are valid indices, "
                    f"not {type(item).__name__}  ({user_line()})"
                ) from None
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for dimension {d} with size {n}  ({user_line()})")
            start.append(i % n)
            size.append(1)
            stride.append(1)
    part = x
    if tuple(size) != tuple(x.shape) or tuple(shape) != tuple(x.shape) or not any(a is not None for a in advanced):
        part = view(x, _box_step(x, tuple(start), tuple(size), tuple(stride), tuple(shape)))
    return part, advanced


def _slice_of(item: slice, n: int) -> tuple[int, int, int]:
    step = 1 if item.step is None else int(item.step)
    if step <= 0:
        raise ValueError(f"step must be greater than zero  ({user_line()})")
    for edge in (item.start, item.stop):
        if edge is not None and not hasattr(edge, "__index__"):
            raise TypeError(f"slice indices must be integers or None or have an __index__ method  ({user_line()})")
    a, b, _ = slice(item.start, item.stop, step).indices(n)
    return a, max(a, b), step


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and (item.dtype is dtypes.bool_ or item.dtype is dtypes.uint8)


def _mask_places(mask: Tensor, shape: Ints, first: int) -> list[Tensor | None]:
    """The places where a mask holds, one tensor a dim: their number depends on the data, so this syncs."""
    for k, (n, m) in enumerate(zip(mask.shape, shape)):
        if n != m:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {k} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {k}  (dims from {first} at {user_line()})"
            )
    from .creation import from_host

    found = np.nonzero(np.asarray(mask.detach()._array("indexing by a mask")))
    return [from_host(places, mask.device) for places in found]


# --- gathering --------------------------------------------------------------------------------------------------


def _points(x: Tensor, advanced: list[Tensor | None]) -> tuple[list[int], Tensor, Ints, Ints, Ints]:
    """The indexed dims, the index vectors, and the layout of the result: (offset dims, result shape, batch shape)."""
    dims = [d for d, a in enumerate(advanced) if a is not None]
    given = [a for a in advanced if a is not None]
    batch = broadcast_shape(*[tuple(a.shape) for a in given])
    vectors = []
    for d, a in zip(dims, given):
        n = x.shape[d]
        wide = convert(a, dtypes.int64)
        wrapped = ops.select(wide < 0, wide + n, wide)
        vectors.append(ops.reshape(broadcast_to(wrapped, batch), shape=(*batch, 1)))
    indices = vectors[0] if len(vectors) == 1 else ops.concatenate(*vectors, axis=len(batch))
    adjacent = dims == list(range(dims[0], dims[0] + len(dims)))
    p = dims[0] if adjacent else 0
    rest = [n for d, n in enumerate(x.shape) if d not in dims]
    offset = (*range(p), *range(p + len(batch), len(rest) + len(batch)))
    return dims, indices, offset, (*rest[:p], *batch, *rest[p:]), batch


def _gather(x: Tensor, advanced: list[Tensor | None]) -> Tensor:
    dims, indices, offset, shape, _ = _points(x, advanced)
    if 0 in shape:
        return broadcast_to(constant(0, x.dtype, x.device), shape)
    _check_not_empty(x, dims)
    sizes = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    return ops.gather(x, indices, offset_dims=offset, collapsed=tuple(dims), index_map=tuple(dims), sizes=sizes)


def _check_not_empty(x: Tensor, dims: Sequence[int]) -> None:
    for d in dims:
        if x.shape[d] == 0:
            raise IndexError(f"index is out of bounds for dimension {d} with size 0  ({user_line()})")


def _getitem(self: Tensor, index: Any) -> Tensor:
    kind = type(index)
    if kind is int and self.ndim:
        n = self.shape[0]
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {n}  ({user_line()})")
        return _take_box(self, [(0, index % n)])
    part, advanced = _parse(self, index)
    return _gather(part, advanced) if any(a is not None for a in advanced) else part


def _setitem(self: Tensor, index: Any, value: Any) -> None:
    mask = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if isinstance(mask, (np.ndarray, Tensor)) and not (isinstance(value, Tensor) and value.ndim):
        mask = _as_index(mask, self)
        if _is_mask(mask) and mask.shape == self.shape[: mask.ndim] and mask.ndim:
            self._set_where(convert(mask, dtypes.bool_), value)
            return
    part, advanced = _parse(self, index)
    if not any(a is not None for a in advanced):
        source = _value_for(value, part, tuple(part.shape))
        assign(part, source, "__setitem__")
        return
    dims, indices, offset, shape, _ = _points(part, advanced)
    source = _value_for(value, part, shape)
    if 0 not in shape:
        assign(part, _scatter(part, dims, indices, offset, source, "set"), "__setitem__")


def _value_for(value: Any, part: Tensor, shape: Ints) -> Tensor:
    from .creation import tensor

    if isinstance(value, (np.ndarray, list, tuple)):
        value = tensor(value, device=part.device)
    source = lift(value, part.dtype, part.device)
    while source.ndim > len(shape) and source.shape[0] == 1:
        source = raw_reshape(source, tuple(source.shape[1:]))
    if source.ndim > len(shape) or any(n not in (1, m) for n, m in zip(reversed(source.shape), reversed(shape))):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}  ({user_line()})"
        )
    return broadcast_to(source, shape)


def _scatter(x: Tensor, dims: Sequence[int], indices: Tensor, offset: Ints, updates: Tensor, combine: str) -> Tensor:
    dims = tuple(dims)
    return ops.scatter(x, indices, updates, window_dims=offset, inserted=dims, index_map=dims, combine=combine)


@method
def _set_where(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    wide = raw_reshape(mask, tuple(mask.shape) + (1,) * (self.ndim - mask.ndim))
    wide = broadcast_to(wide, tuple(self.shape))
    source = _value_for(value, self, tuple(self.shape))
    return assign(self, ops.select(wide, source, self), "__setitem__")


Tensor.__getitem__ = _getitem
Tensor.__setitem__ = _setitem


@both
def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """The input with ``values`` written (or added) at the places."""
    part, advanced = _parse(input, tuple(slice(None) if i is None else i for i in indices))
    dims, places, offset, shape, _ = _points(part, advanced)
    return _scatter(input, dims, places, offset, _value_for(values, part, shape), "add" if accumulate else "set")


# --- functions --------------------------------------------------------------------------------------------------


def _index_1d(index: Tensor, name: str) -> Tensor:
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector  ({user_line()})")
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, got {index.dtype.name}  ({user_line()})")
    return raw_reshape(index, (index.numel(),))


@both
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dim at the given places."""
    d = normal_dim(dim, input.ndim)
    places = _index_1d(index, "index_select")
    x = input if input.ndim else raw_reshape(input, (1,))
    return _gather(x, [places if i == d else None for i in range(x.ndim)])


def _at_index(input: Tensor, dim: int, index: Tensor, name: str) -> tuple[Tensor, int, list[Tensor | None]]:
    """Operands for gather and scatter of single elements: an index tensor for every dim."""
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index  ({user_line()})")
    if input.ndim != index.ndim and index.numel() and (input.ndim or 1) != (index.ndim or 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor ({input.ndim}, {index.ndim})  ({user_line()})"
        )
    x = input if input.ndim else raw_reshape(input, (1,))
    at = index if index.ndim else raw_reshape(index, (1,))
    d = normal_dim(dim, x.ndim)
    from .shape import _line

    places: list[Tensor | None] = [at if i == d else _line(x, i, tuple(at.shape)) for i in range(x.ndim)]
    return x, d, places


@both
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] (for dim 0), and so on."""
    x, d, places = _at_index(input, dim, index, "gather")
    for i, (n, m) in enumerate(zip(index.shape, x.shape)):
        if i != d and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {d}  ({user_line()})"
            )
    return raw_reshape(_gather(x, places), tuple(index.shape))


@both
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """``gather`` with broadcasting of the other dims."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    d = normal_dim(dim, input.ndim)
    shape = broadcast_shape(*[tuple(1 if i == d else n for i, n in enumerate(t.shape)) for t in (input, indices)])
    wide = [broadcast_to(t, tuple(t.shape[d] if i == d else n for i, n in enumerate(shape))) for t in (input, indices)]
    return gather(wide[0], d, wide[1])


def _scattered(input: Tensor, dim: int, index: Tensor, src: Any, combine: str, name: str) -> Tensor:
    x, _, places = _at_index(input, dim, index, name)
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
    src = src if src.ndim else raw_reshape(src, (1,))
    at = tuple(index.shape) or (1,)
    if tuple(src.shape) != at:
        src = ops.slice_(src, start=(0,) * src.ndim, limit=at, strides=(1,) * src.ndim)
    dims, vectors, offset, _, _ = _points(x, places)
    return raw_reshape(_scatter(x, dims, vectors, offset, src, combine), tuple(input.shape))


_REDUCE = {"add": "add", "multiply": "mul", "sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


@both
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None) -> Tensor:
    """The input with ``src`` written at out[index[i][j]][j] (for dim 0), and so on."""
    if reduce is not None and reduce not in _REDUCE:
        raise RuntimeError(f"reduce argument must be either add or multiply, not {reduce!r}  ({user_line()})")
    return _scattered(input, dim, index, value if src is None else src, _REDUCE.get(reduce or "", "set"), "scatter")


@both
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``scatter`` that adds."""
    return _scattered(input, dim, index, src, "add", "scatter_add")


def _along(input: Tensor, dim: int, index: Tensor, source: Any, combine: str, name: str) -> Tensor:
    d = normal_dim(dim, input.ndim)
    places = _index_1d(index, name)
    x = input if input.ndim else raw_reshape(input, (1,))
    dims, vectors, offset, shape, _ = _points(x, [places if i == d else None for i in range(x.ndim)])
    value = _value_for(source, x, shape)
    return raw_reshape(_scatter(x, dims, vectors, offset, value, combine), tuple(input.shape))


@both
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Slices of ``source`` added at places of a dim."""
    return _along(input, dim, index, source if alpha == 1 else source * alpha, "add", "index_add")


@both
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Slices of ``source`` written at places of a dim."""
    return _along(input, dim, index, source, "set", "index_copy")


@both
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A number written at places of a dim."""
    return _along(input, dim, index, value, "set", "index_fill")


@both
def take(input: Tensor, index: Tensor) -> Tensor:
    """Elements of the flattened input."""
    return _gather(raw_reshape(input, (input.numel(),)), [index])


@both
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of what is not zero, a row each (or a tensor a dim). Syncs: their number depends on the data."""
    from .creation import from_host

    found = np.nonzero(np.atleast_1d(input.detach()._array("nonzero()")))
    if as_tuple:
        return tuple(from_host(p, input.device) for p in found)
    rows = np.stack(found, 1) if input.ndim else np.zeros((len(found[0]), 0), np.int64)
    return from_host(rows.astype(np.int64), input.device)


alias("argwhere", nonzero)


@both
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds. Syncs: their number depends on the data."""
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, not {mask.dtype.name}  ({user_line()})")
    shape = broadcast_shape(tuple(input.shape), tuple(mask.shape))
    return broadcast_to(input, shape)[broadcast_to(mask, shape)]


@both
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of ``source`` in order where the mask holds."""
    wide = broadcast_to(mask, tuple(input.shape))
    rank = ops.cumsum(raw_reshape(convert(wide, dtypes.int64), (input.numel(),)), axis=0, reverse=False) - 1
    picked = raw_reshape(take(source, rank), tuple(input.shape))
    return ops.select(wide, picked, input)


@function
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """The input with one slice of a dim replaced."""
    out = input.clone()
    select(out, dim, index).copy_(src)
    return out


@function
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The input with a range of a dim replaced."""
    out = input.clone()
    out[(slice(None),) * normal_dim(dim, input.ndim) + (slice(start, end, step),)] = src
    return out


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of a dim as a new last dim (a copy here: windows may overlap)."""
    d = normal_dim(dimension, self.ndim)
    n = self.shape[d]
    count = (n - size) // step + 1
    if size > n or step <= 0:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}  ({user_line()})")
    places = (np.arange(count) * step)[:, None] + np.arange(size)[None]
    picked = _gather(self, [constant(places, dtypes.int64, self.device) if i == d else None for i in range(self.ndim)])
    order = (*range(d + 1), *range(d + 2, self.ndim + 1), d + 1)
    return ops.transpose(picked, permutation=order)


def one_hot(index: Tensor, classes: int) -> Tensor:
    """1 where the class is the index, along a new last dim (int64)."""
    shape = (*index.shape, classes)
    from .shape import _line

    line = _line(index, len(shape) - 1, shape)
    return convert(ops.compare(line, broadcast_to(ops.reshape(convert(index, dtypes.int64), shape=(*index.shape, 1)), shape), direction="EQ"), dtypes.int64)


for _f in (index_put, scatter, scatter_add, index_add, index_copy, index_fill, masked_scatter):
    inplace(_f)


@method
def zero_(self: Tensor) -> Tensor:
    """Set to zero."""
    return assign(self, full_like_type(self, 0), "zero_")


@method
def fill_(self: Tensor, value: Any) -> Tensor:
    """Set to one number."""
    return assign(self, broadcast_to(lift(value, self.dtype, self.device), tuple(self.shape)), "fill_")


@method
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """The main diagonal set to one number."""
    self.diagonal().fill_(fill_value)
    return self


