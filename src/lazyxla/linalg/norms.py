"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

from ..lazy import Tensor
from ..lazy import public as lx
from ..lazy.dtypes import as_dtype
from ..lazy.functions.shape import normal_dim
from ..lazy.record import user_line
from ._common import inexact, jax_op

_svdvals = jax_op("svdvals")


def _typed(name: str, x: Tensor, dtype: Any) -> Tensor:
    if dtype is not None:
        x = x.to(as_dtype(dtype))
    if not x.dtype.is_inexact:
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype.name}  ({user_line()})")
    return x


def vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) along dims, all of them unless given; the extremes for ord inf and -inf, a count for 0."""
    x = _typed("linalg.vector_norm", x, dtype)
    if isinstance(ord, (str, bool)) or not isinstance(ord, (int, float)):
        raise RuntimeError(f"linalg.vector_norm: ord is expected to be a number, not {ord!r}  ({user_line()})")
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        out = lx["norm"](x.reshape(-1), ord)
        return out.reshape((1,) * x.ndim) if keepdim else out
    return lx["norm"](x, ord, dim, keepdim)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of the matrices in two dims: 'fro', 'nuc', 2 and -2 of the singular values, 1 and -1 of the columns' sums, inf
    and -inf of the rows'."""
    A = _typed("linalg.matrix_norm", A, dtype)
    if A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions.  ({user_line()})")
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}  ({user_line()})")
    first, second = (normal_dim(d, A.ndim) for d in dim)
    if first == second:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got {tuple(dim)}  ({user_line()})")
    if ord == "fro":
        return lx["norm"](A, 2, (first, second), keepdim)
    if ord in ("nuc", 2, -2):
        inexact("linalg.matrix_norm", A)
        s = _svdvals(A.movedim((first, second), (-2, -1)))
        none = ord == 2 and not s.shape[-1]  # the most of none is 0, as each norm is at least
        out = s.sum(-1) if ord == "nuc" or none else s.amax(-1) if ord == 2 else s.amin(-1)
    elif ord in (1, -1, math.inf, -math.inf):
        along, across = (first, second) if abs(ord) == 1 else (second, first)
        sums = A.abs().sum(along, keepdim=True)
        none = ord > 0 and not sums.shape[across]
        out = (sums.sum if none else sums.amax if ord > 0 else sums.amin)((along, across))
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.  ({user_line()})")
    if keepdim:
        for d in sorted((first, second)):
            out = out.unsqueeze(d)
    return out


def norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The 2-norm of all elements; a vector norm where ``dim`` is one dim or A has one; else a matrix norm."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    dims = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is specified, it must be of length 1 or 2. Got " f"{list(dims)}  ({user_line()})"
        )
    if dims is None and A.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D.  ({user_line()})"
        )
    if (dims is not None and len(dims) == 2) or (dims is None and A.ndim == 2):
        return matrix_norm(A, ord, (0, 1) if dims is None else dims, keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(
            f"linalg.norm: Order {ord} is only for matrices, and dim names one dim of {list(A.shape)}  ({user_line()})"
        )
    return vector_norm(A, ord, dims, keepdim, dtype=dtype)


__all__ = ["matrix_norm", "norm", "vector_norm"]
