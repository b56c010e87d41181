"""Sums and softmax over dims of sparse tensors."""

from __future__ import annotations

import math
from typing import Any

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.functions.shape import normal_dim
from ..lazy.record import user_line
from . import _places
from .coo import CooTensor, add_at
from .tensor import SparseTensor, handles, no_form


def _dims(dim: Any, n: int) -> list[int]:
    given = [dim] if isinstance(dim, int) else list(dim)
    out = [normal_dim(d, n) for d in given]
    if len(set(out)) != len(out):
        raise RuntimeError(f"dim appears multiple times in the list of dims: {given}  ({user_line()})")
    return sorted(out)


@handles("sum")
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of all elements, or over dims: a dense tensor where no indices are left, else a sparse one."""
    vals = input._vals if dtype is None else input._vals.to(dtype)
    if dtype is None and not input.dtype.is_inexact:
        vals = vals.to(lx.int64)
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return vals.sum()
    dims, k = _dims(dim, input.ndim), input.sparse_dim()
    if not isinstance(input, CooTensor):
        if not keepdim:
            raise RuntimeError(
                f"reduction operations on CSR tensors with keepdim=False is unsupported  ({user_line()})"
            )
        return input._back(sum(input._coo(), dim, True, dtype=dtype))
    dense = [d - k + 1 for d in dims if d >= k]
    if dense:
        vals = vals.sum(dense, keepdim)
    kept = [d for d in range(k) if d not in dims]
    if not kept and not keepdim:
        return vals.sum(0)
    shape = [1 if d in dims else n for d, n in enumerate(input.shape) if keepdim or d not in dims]
    if len(kept) == k:
        return CooTensor(input._coords, vals, shape, input.is_coalesced()).coalesce()
    coords = input._coords
    if keepdim:
        rows = [coords[d] if d in kept else lx.zeros_like(coords[0]) for d in range(k)]
    else:
        rows = [coords[d] for d in kept]
    out = CooTensor(lx.stack(rows), vals, shape)
    if keepdim and not kept:  # one element at most
        return CooTensor(lx.zeros((k, 1), dtype=lx.int64, device=vals.device), vals.sum(0, True), shape, True)
    return out.coalesce()


@handles("norm")
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The norm of all elements."""
    if dim is not None:
        raise no_form("norm(dim=...)", input)
    x = input._coo().coalesce()
    return lx.norm(x._vals.reshape(-1), 2 if p == "fro" else p, dtype=dtype)


@handles("any")
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether some element is not zero."""
    if dim is not None:
        raise no_form("any(dim=...)", input)
    return input._coo().coalesce()._vals.any()


def softmaxed(input: Any, dim: int, dtype: Any, log: bool) -> Any:
    """(log) softmax along a dim of the elements that are there: what is not there counts as -inf."""
    name = "log_softmax" if log else "softmax"
    if not isinstance(input, SparseTensor):
        raise NotImplementedError(f"sparse.{name}(): a sparse tensor is expected, got a dense one  ({user_line()})")
    if not isinstance(input, CooTensor):
        return input._back(softmaxed(input._coo().coalesce(), dim, dtype, log))
    d, k = normal_dim(dim, input.ndim), input.sparse_dim()
    x = input.coalesce()
    vals = x._vals if dtype is None else x._vals.to(dtype)
    if d >= k:
        return x._with(getattr(lx, name)(vals, d - k + 1))
    if not x._nnz():
        return x._with(vals)
    group, n = _groups(x, d)
    wide = group.reshape(-1, *(1,) * (vals.ndim - 1)).expand(vals.shape)
    least = lx.full((n, *vals.shape[1:]), -math.inf, dtype=vals.dtype, device=vals.device)
    most = least.scatter_reduce(0, wide, vals.detach(), "amax").index_select(0, group)
    shifted = vals - most
    grown = shifted.exp()
    total = add_at(grown, group, n).index_select(0, group)
    return x._with(shifted - total.log() if log else grown / total)


def _groups(x: CooTensor, d: int) -> tuple[Tensor, int]:
    """Which elements differ in one dim only, by a number each, and how many such numbers there are."""
    others = [i for i in range(x.sparse_dim()) if i != d]
    if len(others) == 1:
        return x._coords[others[0]], x.shape[others[0]]
    if not others:
        return lx.zeros_like(x._coords[0]), 1
    found, inverse = _places.unique(_places.read(x._coords, "softmax()")[others], [x.shape[i] for i in others])
    return _places.index(inverse, x.device), max(found.shape[1], 1)


def reduced(a: SparseTensor, x: Tensor, reduce: str) -> Tensor:
    """A sparse matrix times a dense one, with another reduction than the sum; rows without elements give zeros."""
    if reduce not in ("sum", "mean", "amax", "amin", "prod"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}  ({user_line()})"
        )
    parts = a._vals.unsqueeze(1) * x.index_select(0, a._coords[1])
    zeros = lx.zeros((a.shape[0], x.shape[1]), dtype=parts.dtype, device=parts.device)
    if not a._nnz():
        return zeros
    at = a._coords[0].unsqueeze(1).expand(parts.shape)
    return zeros.scatter_reduce(0, at, parts, reduce, include_self=False)


__all__ = ["reduced", "softmaxed"]
