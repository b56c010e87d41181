"""Sparse tensors, as ``torch.sparse``: matrices and graphs as indices and values, and products of them.

``sparse @ dense`` costs one gather and one scatter-add, whose size is that of the elements times the dense columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Size, Tensor
from ..lazy.functions._register import method, public
from ..lazy.functions.questions import OLD_TYPES
from ..lazy.record import user_line
from . import _places, dims, products, reductions
from .compressed import CscTensor, CsrTensor, compress, sparse_compressed_tensor, sparse_csc_tensor, sparse_csr_tensor
from .coo import CooTensor, empty_coo, from_dense
from .tensor import KINDS, NoSparseForm, SparseTensor, no_form


def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Any:
    """The product of two matrices, of which some are sparse; ``reduce`` 'mean', 'amax' or 'amin' instead of the sum."""
    if reduce is None:
        return lx.mm(mat1, mat2)
    if not isinstance(mat1, SparseTensor) or not isinstance(mat2, Tensor):
        raise NotImplementedError(f"sparse.mm(reduce=...) takes a sparse matrix and a dense one  ({user_line()})")
    return reductions.reduced(mat1, mat2, reduce)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: Any = 1.0, alpha: Any = 1.0) -> Any:
    """beta * mat + alpha * (mat1 @ mat2)."""
    return lx.addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of the elements, or over dims: sparse, where indices are left."""
    if not isinstance(input, SparseTensor):
        raise RuntimeError(f"coalesce expected sparse coordinate tensor layout but got Strided  ({user_line()})")
    return reductions.sum(input, dim, dtype=dtype)


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """``softmax`` along a dim of the elements that are there."""
    return reductions.softmaxed(input, dim, dtype, False)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of ``softmax``."""
    return reductions.softmaxed(input, dim, dtype, True)


def sampled_addmm(input: Any, mat1: Tensor, mat2: Tensor, *, beta: Any = 1.0, alpha: Any = 1.0) -> Any:
    """beta * input + alpha * (mat1 @ mat2) at the places of ``input`` alone: one dot product for each."""
    if not isinstance(input, SparseTensor):
        raise NotImplementedError(
            f"sparse.sampled_addmm(): a sparse input is expected, got a dense one  ({user_line()})"
        )
    if mat1.ndim != 2 or mat2.ndim != 2 or (mat1.shape[0], mat2.shape[1]) != tuple(input.shape):
        raise RuntimeError(
            f"sampled_addmm: mat1 {list(mat1.shape)} @ mat2 {list(mat2.shape)} does not have the size {list(input.shape)} of "
            f"the input  ({user_line()})"
        )
    if mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({'x'.join(map(str, mat1.shape))} and "
            f"{'x'.join(map(str, mat2.shape))})  ({user_line()})"
        )
    rows, columns = input._coords.unbind(0)
    dots = (mat1.index_select(0, rows) * mat2.t().index_select(0, columns)).sum(1)
    return input._with(input._vals * beta + dots * alpha)


def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> Any:
    """A matrix with the rows of ``diagonals`` on the diagonals ``offsets`` (above the main one if positive)."""
    at = _places.read(offsets, "spdiags()").reshape(-1)
    rows = diagonals.reshape(1, -1) if diagonals.ndim == 1 else diagonals
    if len(shape) != 2:
        raise RuntimeError(f"Output shape must be 2d  ({user_line()})")
    if len(at) != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({len(at)})  ({user_line()})"
        )
    if len(np.unique(at)) != len(at):
        raise RuntimeError(f"Offset tensor contains duplicate values  ({user_line()})")
    m, n = int(shape[0]), int(shape[1])
    columns = [np.arange(max(o, 0), max(min(n, rows.shape[1], m + o), max(o, 0))) for o in at.tolist()]
    which = np.repeat(np.arange(len(at)), [len(c) for c in columns])
    column = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    place = rows.device
    vals = rows[_places.index(which, place), _places.index(column, place)]
    out = CooTensor(_places.index(np.stack([column - at[which], column]), place), vals, (m, n))
    return out if layout is None else out.to_sparse(layout=layout)


# --- methods of dense tensors -----------------------------------------------------------------------------------


@method
def to_sparse(
    self: Tensor, sparse_dim: Any = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None
) -> Any:
    """The elements that are not zero, in a layout. Reads the values, since they say how many elements there are."""
    if layout is not None and sparse_dim is not None:
        raise RuntimeError(f"to_sparse: only one of sparse_dim and layout may be given  ({user_line()})")
    name = "sparse_coo" if layout is None else str.__str__(layout)
    if name == "strided":
        return self
    if name == "sparse_coo":
        return from_dense(self, sparse_dim)
    if name not in KINDS:
        raise NotImplementedError(
            f"to_sparse(): lazyxla has the layouts sparse_coo, sparse_csr and sparse_csc, not {layout!r}  ({user_line()})"
        )
    if self.ndim < 2 or self.ndim - (dense_dim or 0) != 2:
        raise RuntimeError(
            f"to_{name}(): a matrix is expected (and dense_dim dims of its values), got {self.ndim} dims  ({user_line()})"
        )
    return compress(from_dense(self, 2), name)


@method
def to_sparse_coo(self: Tensor) -> Any:
    """``to_sparse()``."""
    return from_dense(self)


@method
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Any:
    """``to_sparse`` by rows."""
    return to_sparse(self, layout=lx.layouts.sparse_csr, dense_dim=dense_dim)


@method
def to_sparse_csc(self: Tensor, dense_dim: int | None = None) -> Any:
    """``to_sparse`` by columns."""
    return to_sparse(self, layout=lx.layouts.sparse_csc, dense_dim=dense_dim)


@method
def sparse_mask(self: Tensor, mask: Any) -> Any:
    """The values at the places of a sparse tensor."""
    return dims.sparse_mask(self, mask)


# --- old names --------------------------------------------------------------------------------------------------


class SparseType:
    """PyTorch's old name of a type, as ``torch.sparse.FloatTensor``: makes tensors, and ``isinstance`` asks it."""

    def __init__(self, name: str, dtype: Any) -> None:
        self.__name__, self.dtype = name, dtype

    def __call__(self, *data: Any, device: Any = None) -> CooTensor:
        if not data:
            return empty_coo((0,), self.dtype, device)
        if all(isinstance(n, int) for n in data) or isinstance(data[0], Size):
            return empty_coo(data[0] if isinstance(data[0], Size) else data, self.dtype, device)
        if len(data) > 3 or not all(isinstance(t, Tensor) for t in data[:2]) or len(data) < 2:
            kinds = ", ".join(type(x).__name__ for x in data)
            raise TypeError(
                f"sparse.{self.__name__}() received an invalid combination of arguments - got ({kinds}), but expected "
                f"(Tensor indices, Tensor values, tuple of ints size)  ({user_line()})"
            )
        return public["sparse_coo_tensor"](*data, device=device)  # type: ignore[no-any-return]

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, CooTensor) and x.dtype is self.dtype

    def __repr__(self) -> str:
        return f"<class 'torch.sparse.{self.__name__}'>"


globals().update({f"{kind}Tensor": SparseType(f"{kind}Tensor", dtype) for kind, dtype in OLD_TYPES})
__all__ = [
    "CooTensor", "CscTensor", "CsrTensor", "NoSparseForm", "SparseTensor", "addmm", "log_softmax", "mm", "no_form", "products",
    "sampled_addmm", "softmax", "sparse_compressed_tensor", "sparse_csc_tensor", "sparse_csr_tensor", "spdiags", "sum",
]  # fmt: skip
