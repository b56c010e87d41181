"""Reading and writing by index: basic indices are aliases, integer and boolean tensors gather and scatter."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, ops
from .. import record as rec
from ..graph import Aval, HostValue, leaf_signature, scalar, signature
from ..record import user_line, wrap
from ..replay.arguments import indexing
from ..replay.state import S, entry_point, note_write
from ..subclassing import UNASKED, asking, asks, said
from ..tensors import Tensor
from ..views import Layout, Step, assign, view, write_begins
from ._register import both, method
from .conversion import (
    broadcast_shape,
    broadcast_to,
    constant,
    convert,
    flat,
    full_like_type,
    lift,
    transfer,
)
from .shape import normal_dim, pad_zeros, raw_reshape

Ints = tuple[int, ...]

# --- boxes ------------------------------------------------------------------------------------------------------


def _strides(start: Ints, size: Ints, stride: Ints, shape: Ints, state: Layout) -> Layout:
    """Offset and strides of a box in a whole of the layout ``state``."""
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


@functools.lru_cache(4096)
def _fixed_box(whole: Ints, start: Ints, size: Ints, stride: Ints, shape: Ints) -> Step:
    """The alias of a box whose place belongs to the program's structure."""
    limit = tuple(a + (n - 1) * s + 1 if n else a for a, n, s in zip(start, size, stride))

    def take(x: Tensor) -> Tensor:
        return raw_reshape(x if size == whole else ops.slice_(x, start=start, limit=limit, strides=stride), shape)

    def put(x: Tensor, piece: Tensor) -> Tensor:
        piece = raw_reshape(piece, size)
        if size == whole:
            return piece
        if 0 in size:
            return ops.copy(x)
        if all(s == 1 for s in stride):
            return ops.dynamic_update_slice(x, piece, *(constant(a, dtypes.int32, x.device) for a in start))
        high = tuple(n - b for n, b in zip(whole, limit))
        gaps = tuple(s - 1 for s in stride)
        spread = pad_zeros(piece, start, high, interior=gaps)
        inside = broadcast_to(constant(True, dtypes.bool_, x.device), size)
        return ops.select(pad_zeros(inside, start, high, value=False, interior=gaps), spread, x)

    return Step("slice", take, put, lambda state, _: _strides(start, size, stride, shape, state), whole)


class _MovingBox:
    """The alias of a box whose place is a number of the program, not of its structure: ``x[t]`` in a loop is one program
    for every t."""

    __slots__ = ("corner", "kind", "start")

    def __init__(self, kind: _BoxKind, start: Ints, device: Any) -> None:
        self.kind, self.start = kind, start
        index, still = _index_signature(device), constant(0, dtypes.int32, device)
        self.corner = [
            wrap(HostValue(index, np.array(a, np.int32), None, 0)) if moves else still
            for a, moves in zip(start, kind.moving)
        ]

    def take(self, x: Tensor) -> Tensor:
        node = x._node or x._refresh()
        sigs = self.kind.signatures.get(node.sig.aval) or self.kind.signatures_for(node.sig.aval, self.corner)
        part = rec.record(sigs[0], (x, *self.corner))
        return part if sigs[1] is None else rec.record1(sigs[1], part)

    def put(self, x: Tensor, piece: Tensor) -> Tensor:
        return ops.dynamic_update_slice(x, raw_reshape(piece, self.kind.size), *self.corner)

    def strides(self, state: Layout, whole: Ints) -> Layout:
        return _strides(self.start, self.kind.size, (1,) * len(whole), self.kind.shape, state)


@functools.cache
def _index_signature(device: Any) -> Any:
    return leaf_signature(scalar, Aval((), dtypes.int32, device))


class _BoxKind:
    """What boxes of one size, anywhere in a whole of one shape, have in common."""

    def __init__(self, whole: Ints, size: Ints, shape: Ints) -> None:
        self.whole, self.size, self.shape = whole, size, shape
        self.moving = tuple(n != m for n, m in zip(size, whole))
        self.signatures: dict[Aval, tuple[Any, Any]] = {}

    def signatures_for(self, aval: Aval, corner: list[Tensor]) -> tuple[Any, Any]:
        """Of the slice and of the reshape that drops dims, for a whole of the type."""
        avals = (aval, *(c._node.sig.aval for c in corner))
        sliced = signature(ops.dynamic_slice, avals, (self.size,))
        dropped = None if self.shape == self.size else signature(ops.reshape, (sliced.aval,), (self.shape,))
        self.signatures[aval] = sliced, dropped
        return sliced, dropped


_box_kind = functools.lru_cache(4096)(_BoxKind)


def _box_step(x: Tensor, start: Ints, size: Ints, stride: Ints, shape: Ints) -> Step:
    """The alias of a box: ``size`` places per dim from ``start``, ``stride`` apart, seen in ``shape``."""
    whole = (x._node or x._refresh()).sig.aval.shape
    if size == whole or any(s != 1 for s in stride):
        return _fixed_box(whole, start, size, stride, shape)
    box = _MovingBox(_box_kind(whole, size, shape), start, x._node.sig.aval.device)
    return Step("slice", box.take, box.put, box.strides, whole)


def _corner(dim: int, place: int, ndim: int) -> Ints:
    """Where a box begins that is cut along one dim."""
    return (0,) * dim + (place,) + (0,) * (ndim - dim - 1)


def narrow_view(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    shape = (x._node or x._refresh()).sig.aval.shape
    size = shape[:dim] + (length,) + shape[dim + 1 :]
    return view(x, _box_step(x, _corner(dim, start, len(shape)), size, (1,) * len(shape), size))


def pieces(x: Tensor, dim: int, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """``x`` cut along a dim into parts of the sizes, as aliases at fixed places."""
    return tuple([view(x, step) for step in _cuts((x._node or x._refresh()).sig.aval.shape, dim, tuple(sizes))])


@functools.lru_cache(1024)
def _cuts(shape: Ints, dim: int, sizes: Ints) -> list[Step]:
    found, start, ones = [], 0, (1,) * len(shape)
    for n in sizes:
        size = shape[:dim] + (n,) + shape[dim + 1 :]
        found.append(_fixed_box(shape, _corner(dim, start, len(shape)), size, ones, size))
        start += n
    return found


@both
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one place of a dim, as an alias."""
    if input.ndim == 0:
        raise IndexError(f"select() cannot be applied to a 0-dim tensor.  ({user_line()})")
    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}"
            f"  ({user_line()})"
        )
    return _take_place(input, d, int(index) % n)


def _take_place(x: Tensor, dim: int, index: int) -> Tensor:
    shape = (x._node or x._refresh()).sig.aval.shape
    before, after = shape[:dim], shape[dim + 1 :]
    return view(x, _box_step(x, _corner(dim, index, len(shape)), (*before, 1, *after), (1,) * len(shape), before + after))


# --- parsing an index -------------------------------------------------------------------------------------------


def _as_index(item: Any, x: Tensor) -> Any:
    """Lists and arrays as tensors of integers or bools; NumPy and 0-d integer tensors as they are."""
    if isinstance(item, (list, tuple, range)):
        item = np.asarray(item if len(item) else np.zeros(0, np.int64))
    if isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind in "iu":
        return int(item)
    if isinstance(item, np.ndarray) and item.ndim == 0 and item.dtype.kind == "b":
        return bool(item)
    if isinstance(item, np.ndarray):
        if item.dtype.kind not in "iub":
            raise IndexError(
                f"tensors used as indices must be long, int, byte or bool tensors, not {item.dtype}  ({user_line()})"
            )
        return item
    if isinstance(item, Tensor):
        if item.dtype.category > dtypes.INT:
            raise IndexError(
                f"tensors used as indices must be long, int, byte or bool tensors, not {item.dtype.name}"
                f"  ({user_line()})"
            )
        if item.ndim == 0 and _is_mask(item):
            return bool(item.detach()._array("indexing by a mask"))  # all or nothing, along a new dim
        return transfer(item, x.device) if item.device is not x.device else item
    return item


def _on_device(item: np.ndarray, x: Tensor, before: list[Any]) -> Tensor:
    """An index given as an array, whose values can be checked at once where the dim is plain to see."""
    from .creation import from_host

    d = len(before)
    plain = all(isinstance(i, slice) or (isinstance(i, int) and not isinstance(i, bool)) for i in before)
    if item.dtype.kind in "iu" and item.size and plain and d < x.ndim:
        n = x.shape[d]
        for i in (int(item.min()), int(item.max())):
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for dimension {d} with size {n}  ({user_line()})")
    return from_host(item, x.device)


def parse(x: Tensor, index: Any) -> tuple[Tensor, list[Tensor | None]]:
    """The alias for the basic part of an index, and for each of its dims the tensor that indexes it, or None."""
    items = list(index) if isinstance(index, tuple) else [index]
    items = [_as_index(i, x) for i in items]
    items = [_on_device(i, x, items[:k]) if isinstance(i, np.ndarray) else i for k, i in enumerate(items)]
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
                raise (TypeError if isinstance(item, str) else IndexError)(
                    f"only integers, slices (`:`), ellipsis (`...`), None and long or byte tensors are valid indices "
                    f"(got {type(item).__name__})  ({user_line()})"
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


def index_points(x: Tensor, advanced: list[Tensor | None]) -> tuple[list[int], Tensor, Ints, Ints, Ints]:
    """The indexed dims, the index vectors, and the layout of the result: (offset dims, result shape, batch shape)."""
    dims = [d for d, a in enumerate(advanced) if a is not None]
    given = [a for a in advanced if a is not None]
    batch = broadcast_shape(*[tuple(a.shape) for a in given])
    vectors = []
    for d, a in zip(dims, given):
        n = x.shape[d]
        wide = convert(a, dtypes.int64)
        below = ops.compare(wide, full_like_type(wide, 0), direction="LT")
        wrapped = ops.select(below, wide + full_like_type(wide, n), wide)
        vectors.append(ops.reshape(broadcast_to(wrapped, batch), shape=(*batch, 1)))
    indices = vectors[0] if len(vectors) == 1 else ops.concatenate(*vectors, axis=len(batch))
    adjacent = dims == list(range(dims[0], dims[0] + len(dims)))
    p = dims[0] if adjacent else 0
    rest = [n for d, n in enumerate(x.shape) if d not in dims]
    offset = (*range(p), *range(p + len(batch), len(rest) + len(batch)))
    return dims, indices, offset, (*rest[:p], *batch, *rest[p:]), batch


def gather_points(x: Tensor, advanced: list[Tensor | None]) -> Tensor:
    dims, indices, offset, shape, _ = index_points(x, advanced)
    if 0 in shape:
        return flat(lambda t: broadcast_to(constant(0, t.dtype, t.device), shape), x)
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
        return _take_place(self, 0, index % n)
    part, advanced = parse(self, index)
    return gather_points(part, advanced) if any(a is not None for a in advanced) else part


def _setitem(self: Tensor, index: Any, value: Any) -> None:
    begun = write_begins()
    if S.writes is not None and (self._meta is None or not self._meta.chain):
        note_write(self, self._node or self._refresh())
    mask = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if isinstance(mask, (np.ndarray, Tensor)) and not (isinstance(value, Tensor) and value.ndim):
        mask = _as_index(mask, self)
        mask = _on_device(mask, self, []) if isinstance(mask, np.ndarray) else mask
        if _is_mask(mask) and mask.shape == self.shape[: mask.ndim] and mask.ndim:
            self._set_where(convert(mask, dtypes.bool_), value)
            return
    part, advanced = parse(self, index)
    if not any(a is not None for a in advanced):
        source = value_for(value, part, tuple(part.shape))
        assign(part, source, "__setitem__", begun)
        return
    dims, indices, offset, shape, _ = index_points(part, advanced)
    source = value_for(value, part, shape)
    if 0 not in shape:
        assign(part, scatter_points(part, dims, indices, offset, source, "set"), "__setitem__")


def value_for(value: Any, part: Tensor, shape: Ints) -> Tensor:
    if isinstance(value, (np.ndarray, list, tuple)):
        from .creation import tensor

        value = tensor(value, device=part.device)
    source = lift(value, part.dtype, part.device)
    while source.ndim > len(shape) and source.shape[0] == 1:
        source = raw_reshape(source, tuple(source.shape[1:]))
    if source.ndim > len(shape) or any(n not in (1, m) for n, m in zip(reversed(source.shape), reversed(shape))):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast to indexing result of "
            "shape "
            f"{list(shape)}  ({user_line()})"
        )
    return broadcast_to(source, shape)


def scatter_points(
    x: Tensor, dims: Sequence[int], indices: Tensor, offset: Ints, updates: Tensor, combine: str
) -> Tensor:
    dims = tuple(dims)
    return ops.scatter(x, indices, updates, window_dims=offset, inserted=dims, index_map=dims, combine=combine)


@method
def _set_where(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    wide = raw_reshape(mask, tuple(mask.shape) + (1,) * (self.ndim - mask.ndim))
    wide = broadcast_to(wide, tuple(self.shape))
    source = value_for(value, self, tuple(self.shape))
    return assign(self, ops.select(wide, source, self), "__setitem__")


def _read(self: Tensor, index: Any) -> Tensor:
    if asks and (answer := said(_read, (self, index), {})) is not UNASKED:
        return answer  # type: ignore[no-any-return]
    player = S.active
    if player is None:
        return _getitem(self, index)
    if type(index) is np.ndarray and index.ndim and index.dtype.kind in "iu":
        index = _on_device(index, self, [])  # a value, where an array would be part of what is followed
    return player.call(_getitem, (self, index), {})  # type: ignore[no-any-return]


_read.__name__, _setitem.__name__ = "__getitem__", "__setitem__"
asking.add(_read.__code__)
indexing.update((_getitem, _setitem))
setattr(Tensor, "__getitem__", _read)  # noqa: B010  (the class declares them for the type checker)
setattr(Tensor, "__setitem__", entry_point(_setitem))  # noqa: B010
