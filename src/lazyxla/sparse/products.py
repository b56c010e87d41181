"""Matrix products: of a sparse matrix and a dense one, one gather and one scatter-add; of two sparse ones, a sparse one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.autocast import autocasting
from ..lazy.record import user_line
from . import _places
from .coo import CooTensor, add_at
from .dims import permute
from .elementwise import same_device
from .tensor import SparseTensor, handles, no_form

_TYPES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
}  # fmt: skip


def _tensor(x: Any, name: str, argument: str, position: int) -> None:
    if not isinstance(x, (Tensor, SparseTensor)):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(x).__name__}  ({user_line()})"
        )


def _one_type(a: Any, b: Any) -> tuple[Any, Any]:
    """Both in one type: under autocast the wider of the two, since sums of 16-bit numbers are rough."""
    same_device(a, b)
    if a.dtype is b.dtype:
        return a, b
    if autocasting(a.device.type) and a.is_floating_point() and b.is_floating_point():
        wide = lx.promote_types(a.dtype, b.dtype)
        return a.to(wide), b.to(wide)
    wanted, found = (_TYPES.get(x.dtype.name, x.dtype.name) for x in (a, b))
    raise RuntimeError(f"expected scalar type {wanted} but found {found}  ({user_line()})")


def _matrix(x: SparseTensor, name: str) -> None:
    if x.sparse_dim() != 2 or x.dense_dim():
        raise RuntimeError(
            f"{name}: a sparse matrix with 2 sparse dims and no dense ones is expected, got {x.sparse_dim()} and "
            f"{x.dense_dim()}  ({user_line()})"
        )


def _fits(a: Any, b: Any) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"addmm: Argument #3 (dense): Expected dim 0 size {a.shape[1]}, got {b.shape[0]}: mat1 and mat2 shapes cannot be "
            f"multiplied ({a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]})  ({user_line()})"
        )


def times(a: SparseTensor, x: Tensor) -> Tensor:
    """sparse [m, k] @ dense [k, n]."""
    picked = x.index_select(0, a._coords[1])
    return add_at(a._vals.unsqueeze(1) * picked, a._coords[0], a.shape[0])


@handles("mm", "spmm", anywhere=True)
def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""
    _tensor(input, "mm", "input", 1)
    _tensor(mat2, "mm", "mat2", 2)
    for x, what in ((input, "self"), (mat2, "mat2")):
        if isinstance(x, SparseTensor):
            _matrix(x, "mm")
        elif x.ndim != 2:
            raise RuntimeError(f"{what} must be a matrix, not {x.ndim}-D  ({user_line()})")
    _fits(input, mat2)
    a, b = _one_type(input, mat2)
    if isinstance(b, Tensor):
        return times(a, b)
    if isinstance(a, Tensor):
        return times(permute(b, (1, 0)), a.t()).t()
    return _both(a, b)


def _both(a: SparseTensor, b: SparseTensor) -> Any:
    """The product of two sparse matrices. Reads the indices, since they say how many elements it has."""
    rows, cols = _places.read(a._coords, "mm()")
    others, targets = _places.read(b._coords, "mm()")
    left, right = _places.pairs(cols, others, b.shape[0])
    shape = (a.shape[0], b.shape[1])
    found, inverse = _places.unique(np.stack([rows[left], targets[right]]), shape)
    place = a.device
    x, y = (v.index_select(0, _places.index(i, place)) for v, i in ((a._vals, left), (b._vals, right)))
    vals = add_at(x * y, _places.index(inverse, place), found.shape[1])
    return a._back(CooTensor(_places.index(found, place), vals, shape, True))


@handles("mv", anywhere=True)
def mv(input: Any, vec: Any) -> Any:
    """A sparse matrix times a vector."""
    _tensor(vec, "mv", "vec", 2)
    if isinstance(vec, SparseTensor) or not isinstance(input, SparseTensor):
        raise no_form("mv", vec)
    _matrix(input, "mv")
    if vec.ndim != 1:
        raise RuntimeError(
            f"mv: two dim tensor required with a vector, got a vector of {vec.ndim} dims  ({user_line()})"
        )
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"mv: expected self.size(-1) == vec.size(-1), got {input.shape[1]} and {vec.shape[0]}  ({user_line()})"
        )
    a, v = _one_type(input, vec)
    return add_at(a._vals * v.index_select(0, a._coords[1]), a._coords[0], a.shape[0])


@handles("matmul", anywhere=True)
def matmul(input: Any, other: Any) -> Any:
    """The product of matrices, of a matrix and a vector, and of a matrix and a batch of dense ones."""
    for x in (input, other):
        if not isinstance(x, (Tensor, SparseTensor)):
            return NotImplemented
    if isinstance(input, SparseTensor) and input.ndim == 3:
        return bmm(input, other)
    if isinstance(input, SparseTensor):
        if isinstance(other, Tensor) and other.ndim == 1:
            return mv(input, other)
        if isinstance(other, Tensor) and other.ndim > 2:
            _matrix(input, "matmul")
            lead, n = tuple(other.shape[:-2]), other.shape[-1]
            flat = other.movedim(-2, 0).reshape(other.shape[-2], -1)
            out = mm(input, flat).reshape(input.shape[0], *lead, n)
            return out.movedim(0, -2)
        return mm(input, other)
    if input.ndim == 1:
        return mv(permute(other, (1, 0)), input)
    if input.ndim > 2:
        return mm(input.reshape(-1, input.shape[-1]), other).reshape(*input.shape[:-1], other.shape[1])
    return mm(input, other)


@handles("bmm", anywhere=True)
def bmm(input: Any, mat2: Any) -> Any:
    """A batch of sparse matrices (three sparse dims) times a batch of dense ones."""
    _tensor(mat2, "bmm", "mat2", 2)
    if not isinstance(input, SparseTensor) or not isinstance(mat2, Tensor):
        raise no_form("bmm", input if isinstance(input, SparseTensor) else mat2)
    if input.sparse_dim() != 3 or input.dense_dim():
        raise RuntimeError(
            f"bmm_sparse: Tensor 'self' must have 3 sparse dims, but has {input.sparse_dim()}  ({user_line()})"
        )
    if mat2.ndim != 3 or mat2.shape[0] != input.shape[0] or mat2.shape[1] != input.shape[2]:
        raise RuntimeError(
            f"bmm_sparse: size mismatch, got {list(input.shape)} and {list(mat2.shape)}  ({user_line()})"
        )
    a, b = _one_type(input, mat2)
    n, m, k = a.shape
    which, row, column = a._coords.unbind(0)
    flat = CooTensor(lx.stack([which * m + row, which * k + column]), a._vals, (n * m, n * k))
    return times(flat, b.reshape(n * k, b.shape[2])).reshape(n, m, b.shape[2])


@handles("addmm", anywhere=True)
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta * input + alpha * (mat1 @ mat2)."""
    product = mm(mat1, mat2)
    if isinstance(product, Tensor) and isinstance(input, SparseTensor):
        raise no_form("addmm", input)
    if isinstance(product, Tensor) and any(
        n not in (1, m) for n, m in zip(reversed(input.shape), reversed(product.shape))
    ):
        raise RuntimeError(
            f"The expanded size of the tensor must match the existing size: {list(product.shape)} and {list(input.shape)}"
            f"  (addmm at {user_line()})"
        )
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


@handles("addmv", anywhere=True)
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta * input + alpha * (mat @ vec)."""
    if not isinstance(mat, SparseTensor):
        raise no_form("addmv", input if isinstance(input, SparseTensor) else vec)
    return input * beta + mv(mat, vec) * alpha


@handles("linear", "linear_product", anywhere=True)
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input @ weight.T + bias."""
    if isinstance(weight, SparseTensor):
        out = matmul(input, permute(weight, (1, 0)))
    else:
        out = matmul(input, weight.t())
    return out if bias is None else out + bias
