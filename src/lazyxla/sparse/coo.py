"""Sparse tensors in coordinates: an index for each dim and element. Elements that share a place are added."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from .. import lazy as lx
from ..lazy import Size, Tensor, layouts
from ..lazy.functions._register import function
from ..lazy.record import user_line
from ..lazy.replay.state import opaque
from . import _places
from .tensor import SparseTensor, handles


class CooTensor(SparseTensor):
    """``indices`` [sparse dims, elements], ``values`` [elements, *dense dims]."""

    layout = layouts.sparse_coo
    is_sparse = True

    def __init__(self, coords: Tensor, vals: Tensor, shape: Any, coalesced: bool = False, own: bool = False) -> None:
        super().__init__(coords, vals, shape, own)
        self._coalesced = coalesced or vals.shape[0] < 2

    def _with(self, vals: Tensor, own: bool = False) -> CooTensor:
        return CooTensor(self._coords, vals, self._shape, self._coalesced, own)

    def _parts(self) -> tuple[Any, tuple[Tensor, ...]]:
        return (tuple(self._shape), self._coalesced, self._own), (self._coords, self._vals)

    @classmethod
    def _of_parts(cls, static: Any, parts: Any) -> CooTensor:
        return cls(*parts, *static)

    def _moved(self, vals: Tensor) -> CooTensor:
        return CooTensor(self._coords.to(vals.device), vals, self._shape, self._coalesced)

    def _coo(self) -> CooTensor:
        return self

    def _back(self, coo: CooTensor) -> CooTensor:
        return coo

    def is_coalesced(self) -> bool:
        """Whether each place has one element, and they are in order."""
        return self._coalesced

    def _coalesced_(self, coalesced: bool) -> CooTensor:
        self._coalesced = coalesced
        return self

    def coalesce(self) -> CooTensor:
        """The same with one element a place, in order: their sums. Reads the indices (and may so sync)."""
        if self._coalesced:
            return self
        given = _places.read(self._coords, "coalesce()")
        found, inverse = _places.unique(given, self._shape[: self.sparse_dim()])
        n, own, place = found.shape[1], self._nnz(), self.device
        if n == own and (inverse == np.arange(n)).all():
            return CooTensor(self._coords, self._vals, self._shape, True, self._own)
        if n == own:
            vals = self._vals.index_select(0, _places.index(np.argsort(inverse), place))
        else:
            vals = add_at(self._vals, _places.index(inverse, place), n)
        return CooTensor(_places.index(found, place), vals, self._shape, True)

    def _ask_coalesced(self, name: str) -> None:
        if not self._coalesced:
            raise RuntimeError(
                f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first  ({user_line()})"
            )

    def indices(self) -> Tensor:
        """The places, [sparse dims, elements]. RuntimeError where some may be there twice."""
        self._ask_coalesced("indices")
        return self._coords

    def values(self) -> Tensor:
        """The values, [elements, *dense dims]. RuntimeError where some may share a place."""
        self._ask_coalesced("values")
        return self._vals

    def _indices(self) -> Tensor:
        return self._coords

    def _values(self) -> Tensor:
        return self._vals

    def _gradient(self, grads: Tensor) -> CooTensor:
        if self._coalesced:
            return self._with(grads)
        found, inverse = _places.unique(_places.read(self._coords, "grad"), self._shape[: self.sparse_dim()])
        first = np.unique(inverse, return_index=True)[1]  # elements that share a place have one gradient
        coords = _places.index(found, self.device)
        return CooTensor(coords, grads.index_select(0, _places.index(first, self.device)), self._shape, True)

    def _to_layout(self, name: str) -> Any:
        if name == "sparse_coo":
            return self
        from .compressed import compress

        return compress(self, name)

    def _becomes(self, other: CooTensor) -> CooTensor:
        """Take another's elements: an in-place change of the places."""
        opaque("an in-place change of a sparse tensor's places")
        if self._own:
            raise RuntimeError(
                f"a leaf Variable that requires grad is being used in an in-place operation.  ({user_line()})"
            )
        self._coords, self._vals, self._shape, self._coalesced = (
            other._coords,
            other._vals,
            other._shape,
            other._coalesced,
        )
        return self

    def sparse_resize_(self, size: Any, sparse_dim: int, dense_dim: int) -> CooTensor:
        """Other sizes, no smaller where there are elements; the numbers of dims stay."""
        if (sparse_dim, dense_dim) != (self.sparse_dim(), self.dense_dim()) or len(size) != self.ndim:
            raise RuntimeError(
                f"changing the number of sparse or dense dimensions is not supported: {self.sparse_dim()} and "
                f"{self.dense_dim()} are there, {sparse_dim} and {dense_dim} asked for  ({user_line()})"
            )
        if self._nnz() and any(n < m for n, m in zip(size, self._shape)):
            raise RuntimeError(
                f"shrinking the size of dimensions on a non-empty sparse tensor is not supported  ({user_line()})"
            )
        return self._becomes(CooTensor(self._coords, self._vals, size, self._coalesced))


def add_at(vals: Tensor, places: Tensor, n: int) -> Tensor:
    """The sums of the values at each of n places; narrow floats are added in float32."""
    dtype = vals.dtype
    wide = vals
    if dtype is lx.bool:
        wide = vals.to(lx.int32)
    elif dtype in (lx.float16, lx.bfloat16):
        wide = vals.to(lx.float32)
    zeros = lx.zeros((n, *vals.shape[1:]), dtype=wide.dtype, device=vals.device)
    out = zeros.index_add(0, places, wide)
    return out if wide is vals else out.to(dtype)


# --- making them ------------------------------------------------------------------------------------------------


def as_values(data: Any, dtype: Any, device: Any) -> Tensor:
    """Values as a tensor; numbers and lists as ``tensor`` makes them."""
    if not isinstance(data, Tensor):
        out = lx.tensor(data, dtype=dtype, device=device)
    else:
        out = data if dtype is None and device is None else data.to(dtype=dtype, device=device)
    return out if out.ndim else out.reshape(1)


def as_indices(data: Any, device: Any) -> Tensor:
    """Places as an int64 tensor on a device."""
    if isinstance(data, Tensor):
        same = data.dtype is lx.int64 and data.device is device and not data.requires_grad
        return data if same else data.detach().to(dtype=lx.int64, device=device)
    return lx.tensor(np.asarray(data).astype(np.int64), device=device)


def finished(t: Any, requires_grad: bool) -> Any:
    return t.requires_grad_() if requires_grad and not t.requires_grad else t


def empty_coo(size: Any, dtype: Any, device: Any, sparse_dim: int | None = None) -> CooTensor:
    """A tensor of zeros."""
    size = tuple(int(n) for n in size)
    k = len(size) if sparse_dim is None else sparse_dim
    coords = lx.zeros((k, 0), dtype=lx.int64, device=device)
    return CooTensor(coords, lx.zeros((0, *size[k:]), dtype=dtype, device=device), size, True)


def _is_size(x: Any) -> bool:
    return isinstance(x, Size) or (isinstance(x, tuple) and all(isinstance(n, int) for n in x))


@handles(
    "sparse_coo_tensor", "sparse_csr_tensor", "sparse_csc_tensor", "sparse_compressed_tensor", anywhere=True
)  # fmt: skip
def _of_sparse(*parts: Any, **others: Any) -> NoReturn:
    name = "indices" if parts and isinstance(parts[0], SparseTensor) else "values"
    layout = next(x.layout for x in (*parts, *others.values()) if isinstance(x, SparseTensor))
    raise RuntimeError(f"expected {name} to be a dense tensor, but got {name} of layout {layout!r}  ({user_line()})")


@function
def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> CooTensor:  # fmt: skip
    """A tensor with ``values`` [elements, *dense dims] at ``indices`` [sparse dims, elements], and zeros elsewhere.

    Without a size, the least that has the places; a size alone is a tensor of zeros. Raises RuntimeError for places that
    are not in the size (at a later read where they are not computed yet) and for shapes that do not fit.
    """
    if values is None and (size is not None or _is_size(indices)):
        out = empty_coo(indices if size is None else size, dtype, device)
        return finished(out, requires_grad)  # type: ignore[no-any-return]
    if values is None or indices is None:
        raise TypeError(
            f"sparse_coo_tensor() received an invalid combination of arguments - got ({type(indices).__name__}, "
            f"{type(values).__name__}, {type(size).__name__})  ({user_line()})"
        )
    vals = as_values(values, dtype, device)
    coords = as_indices(indices, vals.device)
    if coords.ndim == 1:
        coords = coords.reshape(coords.shape[0], 0) if not coords.shape[0] else coords.unsqueeze(1)
    if coords.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(coords.shape)}  ({user_line()})")
    if coords.shape[1] != vals.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {coords.shape[1]}, nnz from values: "
            f"{vals.shape[0]}  ({user_line()})"
        )
    k, dense = coords.shape[0], tuple(vals.shape[1:])
    shape = (*_least(coords), *dense) if size is None else tuple(int(n) for n in size)
    if len(shape) != k + len(dense):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(shape)}, sparse_dim = {k}, dense_dim "
            f"= {len(dense)}  ({user_line()})"
        )
    if min(shape, default=0) < 0:
        raise RuntimeError(f"size must not be negative, got {list(shape)}  ({user_line()})")
    if shape[k:] != dense:
        raise RuntimeError(
            f"values has incorrect size, expected {[vals.shape[0], *shape[k:]]}, got {list(vals.shape)}  ({user_line()})"
        )
    if check_invariants is not False:
        _places.check_range(coords, shape[:k])
    return finished(CooTensor(coords, vals, shape, bool(is_coalesced)), requires_grad)  # type: ignore[no-any-return]


def _least(coords: Tensor) -> tuple[int, ...]:
    """The least sizes that have the places; reads them."""
    if not coords.shape[1]:
        return (0,) * coords.shape[0]
    found = _places.read(coords, "sparse_coo_tensor() without a size")
    for d, low in enumerate(found.min(1)):
        if low < 0:
            raise RuntimeError(f"found negative index {low} for dim {d}  ({user_line()})")
    return tuple(int(n) + 1 for n in found.max(1))


def from_dense(x: Tensor, sparse_dim: int | None = None) -> CooTensor:
    """The elements (slices of the dims that stay dense) that are not zero. Reads them."""
    k = x.ndim if sparse_dim is None else sparse_dim
    if not 0 <= k <= x.ndim:
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{x.ndim}] range, but {k} is given  ({user_line()})"
        )
    if not k and x.ndim:
        raise RuntimeError(f"dense_to_sparse: sparse_dim argument must be in >0 when self.dim()>0  ({user_line()})")
    values = _places.read(x, "to_sparse()")
    there = values != 0
    if k < x.ndim:
        there = there.reshape(*x.shape[:k], math.prod(x.shape[k:])).any(-1)
    found = np.stack(np.nonzero(there)) if k else np.zeros((0, int(there)), np.int64)
    coords = _places.index(found, x.device)
    vals = x[tuple(coords.unbind(0))] if k else x.reshape(1)[: found.shape[1]]
    return CooTensor(coords, vals, tuple(x.shape), True)
