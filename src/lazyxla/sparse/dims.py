"""Dims of sparse tensors: their order, joining along them, choosing places of them, and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.functions.shape import ints, normal_dim
from ..lazy.record import user_line
from . import _places
from .coo import CooTensor, empty_coo
from .elementwise import dense_at, same_device
from .tensor import SparseTensor, apply, handles, no_form


@handles("permute")
def permute(input: Any, *dims: Any) -> Any:
    """The dims in another order: indices among themselves, and the dims of values."""
    wanted = list(dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)
    if len(wanted) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering "
            f"of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(wanted)}  ({user_line()})"
        )
    order = [normal_dim(d, input.ndim) for d in wanted]
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed.  ({user_line()})")
    k = input.sparse_dim()
    if order == list(range(input.ndim)):
        return input
    if any((d < k) is not (i < k) for i, d in enumerate(order)):
        raise RuntimeError(
            f"sparse transpose: transposed dimensions must be sparse Got sparse_dim: {k}, dims: {order}  ({user_line()})"
        )
    if not isinstance(input, CooTensor):
        if order[:2] == [1, 0] and order[2:] == list(range(2, input.ndim)):
            return input._turned()
        raise no_form("permute", input)
    coords = input._coords
    if order[:k] != list(range(k)):
        coords = lx.stack([coords[d] for d in order[:k]])
    vals = (
        input._vals.permute(0, *(d - k + 1 for d in order[k:]))
        if order[k:] != list(range(k, input.ndim))
        else input._vals
    )
    same = input.is_coalesced() and coords is input._coords
    return CooTensor(coords, vals, [input.shape[d] for d in order], same)


@handles("transpose", "swapaxes", "swapdims")
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dims change places."""
    order = list(range(input.ndim))
    a, b = normal_dim(dim0, input.ndim), normal_dim(dim1, input.ndim)
    order[a], order[b] = b, a
    if (a < input.sparse_dim()) is not (b < input.sparse_dim()):
        raise RuntimeError(
            f"sparse transpose: transposed dimensions must be sparse Got sparse_dim: {input.sparse_dim()}, d0: {a}, d1: {b}"
            f"  ({user_line()})"
        )
    return permute(input, order)


@handles("t", "adjoint")
def t(input: Any) -> Any:
    """The transpose of a matrix."""
    if input.ndim > 2 or input.dense_dim():
        raise RuntimeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got {input.sparse_dim()} sparse and "
            f"{input.dense_dim()} dense dimensions  ({user_line()})"
        )
    return input if input.ndim < 2 else permute(input, (1, 0))


@handles("unsqueeze")
def unsqueeze(input: Any, dim: int) -> Any:
    """A dim of size one: among the indices, or among the dims of values."""
    if not isinstance(input, CooTensor):
        raise no_form("unsqueeze", input)
    d, k = normal_dim(dim, input.ndim + 1), input.sparse_dim()
    shape = [*input.shape[:d], 1, *input.shape[d:]]
    if d > k:
        return CooTensor(input._coords, input._vals.unsqueeze(d - k + 1), shape, input.is_coalesced())
    zeros = lx.zeros((1, input._nnz()), dtype=lx.int64, device=input.device)
    return CooTensor(lx.cat([input._coords[:d], zeros, input._coords[d:]]), input._vals, shape, input.is_coalesced())


@handles("cat", "concat", "concatenate", anywhere=True)
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after another along a dim."""
    parts = list(tensors)
    first = parts[0]
    if not all(isinstance(p, CooTensor) for p in parts):
        other = next(p for p in parts if not isinstance(p, CooTensor))
        raise RuntimeError(
            f"cat: expected all tensors in coordinates, but got the layout {other.layout!r}  ({user_line()})"
        )
    d, k = normal_dim(dim, first.ndim), first.sparse_dim()
    for p in parts:
        sizes = [n for i, n in enumerate(p.shape) if i != d]
        if p.sparse_dim() != k or sizes != [n for i, n in enumerate(first.shape) if i != d]:
            raise RuntimeError(
                f"cat: all tensors must have the same dims and sizes but for dim {d}, got {list(first.shape)} and "
                f"{list(p.shape)}  ({user_line()})"
            )
    shape = list(first.shape)
    shape[d] = sum(p.shape[d] for p in parts)
    if d >= k:
        raise no_form(f"cat(dim={d}), a dense dim,", first)
    dtype = first.dtype
    for p in parts:
        dtype = lx.promote_types(dtype, p.dtype)
    coords, offset = [], 0
    for p in parts:
        at = _places.index(np.where(np.arange(k) == d, offset, 0)[:, None], first.device)
        coords.append(p._coords + at if offset else p._coords)
        offset += p.shape[d]
    ordered = d == 0 and all(p.is_coalesced() for p in parts)
    return CooTensor(lx.cat(coords, 1), lx.cat([p._vals.to(dtype) for p in parts]), shape, ordered)


@handles("stack", anywhere=True)
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one size along a new dim."""
    parts = list(tensors)
    for i, p in enumerate(parts):
        if p.shape != parts[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at entry 0 and {list(p.shape)} "
                f"at entry {i}  ({user_line()})"
            )
    return cat([apply("unsqueeze", p, dim) if isinstance(p, SparseTensor) else p for p in parts], dim)


# --- choosing ---------------------------------------------------------------------------------------------------


def _coo_only(name: str, input: Any) -> None:
    if not isinstance(input, CooTensor):
        raise no_form(name, input)


@handles("select")
def select(input: Any, dim: int, index: int) -> Any:
    """The slice at a place of a dim; the sum of what is there where no dim is left."""
    _coo_only("select", input)
    d, k = normal_dim(dim, input.ndim), input.sparse_dim()
    n, at = input.shape[d], index.__index__()
    if not -n <= at < n:
        raise IndexError(f"index {at} is out of bounds for dimension {d} with size {n}  ({user_line()})")
    at %= n
    shape = [m for i, m in enumerate(input.shape) if i != d]
    if d >= k:
        return CooTensor(input._coords, input._vals.select(d - k + 1, at), shape, input.is_coalesced())
    kept = np.flatnonzero(_places.read(input._coords, "select()")[d] == at)
    found = _places.index(kept, input.device)
    vals = input._vals.index_select(0, found)
    if k == 1:
        return vals.sum(0)
    coords = input._coords.index_select(1, found)
    left = lx.cat([coords[:d], coords[d + 1 :]])
    return CooTensor(left, vals, shape, input.is_coalesced())


@handles("getitem", "__getitem__")
def getitem(input: Any, places: Any) -> Any:
    """``x[i]``, ``x[i, j]``, ``x[:, j]`` and ``x[None]``, as in PyTorch; not other slices, nor tensors of places."""
    given = list(places) if isinstance(places, tuple) else [places]
    if Ellipsis in [g for g in given if not isinstance(g, (Tensor, SparseTensor))]:
        i = given.index(Ellipsis)
        given[i : i + 1] = [slice(None)] * (input.ndim - sum(g is not None for g in given) + 1)
    out, d = input, 0
    for g in given:
        if g is None:
            out, d = unsqueeze(out, d), d + 1
        elif isinstance(g, slice) and g == slice(None):
            d += 1
        elif isinstance(g, (int, np.integer)) and not isinstance(g, bool):
            if d >= out.ndim:
                raise IndexError(f"too many indices for tensor of dimension {input.ndim}  ({user_line()})")
            out = out.select(d, int(g)) if isinstance(out, Tensor) else select(out, d, int(g))
        else:
            raise no_form(
                f"indexing with {g!r}" if isinstance(g, slice) else f"indexing with {type(g).__name__}", input
            )
    return out


@handles("index_select")
def index_select(input: Any, dim: int, index: Tensor) -> Any:
    """The slices at places of a dim, in their order."""
    _coo_only("index_select", input)
    d, k = normal_dim(dim, input.ndim), input.sparse_dim()
    shape = list(input.shape)
    shape[d] = index.numel()
    if d >= k:
        return CooTensor(input._coords, input._vals.index_select(d - k + 1, index), shape, input.is_coalesced())
    wanted, given = _places.read(index, "index_select()").reshape(-1), _places.read(input._coords, "index_select()")
    n = input.shape[d]
    bad = wanted[(wanted < -n) | (wanted >= n)]
    if len(bad):
        raise IndexError(
            f"index_select(): index contains {bad[0]} that is out of range for tensor of size {list(input.shape)} at "
            f"dimension {d}  ({user_line()})"
        )
    slot, element = _places.pairs(np.where(wanted < 0, wanted + n, wanted), given[d], n)
    found = given[:, element]
    found[d] = slot
    at = _places.index(element, input.device)
    ordered = d == 0 and input.is_coalesced()
    return CooTensor(_places.index(found, input.device), input._vals.index_select(0, at), shape, ordered)


@handles("narrow_copy", "narrow")
def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """A piece of a dim."""
    _coo_only("narrow_copy", input)
    d, k = normal_dim(dim, input.ndim), input.sparse_dim()
    if not 0 <= start <= start + length <= input.shape[d]:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[d]}).  ({user_line()})"
        )
    shape = [length if i == d else n for i, n in enumerate(input.shape)]
    if d >= k:
        vals = input._vals.narrow(d - k + 1, start, length)
        return CooTensor(input._coords, vals, shape, input.is_coalesced())
    given = _places.read(input._coords, "narrow_copy()")
    kept = np.flatnonzero((given[d] >= start) & (given[d] < start + length))
    found = given[:, kept]
    found[d] -= start
    vals = input._vals.index_select(0, _places.index(kept, input.device))
    return CooTensor(_places.index(found, input.device), vals, shape, input.is_coalesced())


# --- masks ------------------------------------------------------------------------------------------------------


@handles("sparse_mask", anywhere=True)
def sparse_mask(input: Any, mask: Any) -> Any:
    """The values that a tensor has at the places of a sparse one."""
    if not isinstance(mask, SparseTensor):
        raise NotImplementedError(f"sparse_mask(): a sparse mask is expected, got a dense one  ({user_line()})")
    if input.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(input.shape)} but mask has size "
            f"{list(mask.shape)}  ({user_line()})"
        )
    same_device(input, mask)
    if isinstance(input, Tensor):
        return mask._with(dense_at(input, mask, "sparse_mask").reshape(mask._vals.shape))
    x = input._coo().coalesce()
    wanted = _places.read(mask._coords, "sparse_mask()")
    at = _places.among(wanted, _places.read(x._coords, "sparse_mask()"), x.shape[: x.sparse_dim()])
    zero = x._vals.new_zeros((1, *x._vals.shape[1:]))
    return mask._with(lx.cat([x._vals, zero]).index_select(0, _places.index(np.where(at < 0, x._nnz(), at), x.device)))


@handles("zeros_like", "empty_like")
def zeros_like(input: Any, *, dtype: Any = None, device: Any = None, layout: Any = None, **others: Any) -> Any:
    """No elements, in the same size and layout."""
    d, place = dtype or input.dtype, input.device if device is None else device
    if layout is not None and str.__str__(layout) == "strided":
        return lx.zeros(tuple(input.shape), dtype=d, device=place)
    return input._back(empty_coo(input.shape, d, place, input.sparse_dim()))


def _new(name: str) -> Callable[..., Any]:
    def of(input: Any, *size: Any, dtype: Any = None, device: Any = None, **others: Any) -> Any:
        return empty_coo(ints(size), dtype or input.dtype, input.device if device is None else device)

    return handles(name)(of)


new_zeros, new_empty = _new("new_zeros"), _new("new_empty")


@handles("real")
def real(input: Any) -> Any:
    """The real parts."""
    return input.real


@handles("new_tensor")
def new_tensor(input: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A dense tensor of data, in this one's type and place."""
    made: Tensor = lx.tensor(
        data, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad
    )
    return made


@handles("as_tensor", "asarray")
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    return data.to(dtype=dtype, device=device)
