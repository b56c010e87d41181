"""Adding, writing and combining whole slices at places of a dim: ``index_add`` and its kin."""

from __future__ import annotations

from typing import Any

from .. import dtypes, ops
from ..record import user_line
from ..tensors import Tensor
from ._register import both, inplace
from .conversion import broadcast_to, constant, tensors_only
from .indexing import index_points, scatter_points, value_for
from .scattering import REDUCTIONS, index_1d, scatter_reduce
from .shape import normal_dim, raw_reshape


def _count(source: Tensor, dim: int) -> int:
    """How many slices there are."""
    return source.shape[normal_dim(dim, source.ndim)] if source.ndim else 1  # type: ignore[no-any-return]


def _check_slices(input: Tensor, dim: int, index: Tensor, source: Tensor, name: str) -> None:
    """RuntimeError unless ``source`` is shaped as the input is but along ``dim``, where it has a slice for each index."""
    tensors_only(input, source)
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}_(): self ({input.dtype.name}) and source ({source.dtype.name}) must have the same scalar type"
            f"  ({user_line()})"
        )
    own: tuple[int, ...] = ()
    given: tuple[int, ...] = ()
    if input.ndim > 1 or source.ndim > 1:
        d = normal_dim(dim, input.ndim)
        own, given = (tuple(n for i, n in enumerate(t.shape) if i != d) for t in (input, source))
    if own != given or (source.ndim != input.ndim and name != "index_copy"):
        raise RuntimeError(
            f"{name}_(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
            f"self.shape = {list(input.shape)} source.shape = {list(source.shape)}  ({user_line()})"
        )
    rows = _count(source, dim)
    if index.numel() != rows:
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.numel()}) should be equal to source.size(dim): ({rows}), for dim: "
            f"{dim}  ({user_line()})"
        )


def _along(input: Tensor, dim: int, index: Tensor, source: Any, combine: str, name: str) -> Tensor:
    d = normal_dim(dim, input.ndim)
    places = index_1d(index, name)
    x = input if input.ndim else raw_reshape(input, (1,))
    dims, vectors, offset, shape, _ = index_points(x, [places if i == d else None for i in range(x.ndim)])
    value = value_for(source, x, shape)
    return raw_reshape(scatter_points(x, dims, vectors, offset, value, combine), tuple(input.shape))


@both
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Slices of ``source`` added at places of a dim."""
    _check_slices(input, dim, index, source, "index_add")
    return _along(input, dim, index, source if alpha == 1 else source * alpha, "add", "index_add")


@both
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Slices of ``source`` written at places of a dim."""
    if input.ndim and source.ndim and input.ndim != source.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})  ({user_line()})"
        )
    rows = _count(source, dim)
    if index.numel() != rows:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.numel()}) should be equal to source.size(dim) ({rows})"
            f"  ({user_line()})"
        )
    _check_slices(input, dim, index, source, "index_copy")
    return _along(input, dim, index, source, "set", "index_copy")


@both
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A number written at places of a dim."""
    d = normal_dim(dim, input.ndim)
    if index.ndim > 1:
        raise RuntimeError(f"Index has to be a vector/scalar  ({user_line()})")
    if index.dtype is not dtypes.int64:
        raise IndexError(f"index_fill_(): Expected dtype int64 for index.  ({user_line()})")
    x = input if input.ndim else raw_reshape(input, (1,))
    hit = broadcast_to(constant(False, dtypes.bool_, input.device), (x.shape[d],))
    hit = _along(hit, 0, index, constant(True, dtypes.bool_, input.device), "set", "index_fill")
    at = ops.broadcast_in_dim(hit, shape=tuple(x.shape), dims=(d,))
    return raw_reshape(ops.select(at, value_for(value, x, tuple(x.shape)), x), tuple(input.shape))


@both
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices of ``source`` combined at places of a dim: 'prod', 'mean', 'amax' or 'amin'."""
    if reduce not in REDUCTIONS or reduce == "sum":
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}  "
            f"({user_line()})")  # fmt: skip
    _check_slices(input, dim, index, source, "index_reduce")
    d = normal_dim(dim, input.ndim)
    places = index_1d(index, "index_reduce")
    shape = [1] * max(input.ndim, 1)
    shape[d] = places.numel()
    at = broadcast_to(raw_reshape(places, tuple(shape)), tuple(source.shape) or (1,))
    return scatter_reduce(input, d, raw_reshape(at, tuple(source.shape)), source, reduce, include_self=include_self)


for _f in (index_add, index_copy, index_fill, index_reduce):
    inplace(_f)
