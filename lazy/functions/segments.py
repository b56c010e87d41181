"""Reducing segments of a dim: ``segment_reduce``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes, ops
from ..graph import Aval
from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .checking import require
from .conversion import convert, flat, full_like_type
from .creation import line
from .scattering import scatter_reduce
from .shape import normal_dim, raw_reshape
from .sorting import searchsorted

_EMPTY = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}
_SCATTERS = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin", "prod": "prod"}
_OTHER_NAMES = {"amax": "max", "amin": "min"}


@function
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:  # fmt: skip
    """'sum', 'mean', 'max', 'min' or 'prod' of each segment of an axis: data [*batch, n, *rest] gives [*batch, k, *rest].

    ``lengths`` [*batch, k] or ``offsets`` [*batch, k + 1] say the segments, one after the other. ``initial`` is reduced with
    each; without it an empty segment gives what changes nothing, and its mean NaN. Unless ``unsafe``, lengths that are
    negative or do not sum to n are a RuntimeError, at the next read of a value where they are not known yet.
    """
    kind = _OTHER_NAMES.get(reduce, reduce)
    if kind not in _EMPTY:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, max or min, got {reduce}  ({user_line()})")
    if indices is not None:
        raise RuntimeError(f"segment_reduce(): indices based reduction is not supported yet.  ({user_line()})")
    given = offsets if lengths is None else lengths
    if given is None:
        raise RuntimeError(f"segment_reduce(): Either lengths or offsets must be defined.  ({user_line()})")
    d = normal_dim(axis, data.ndim)
    if not data.dtype.is_floating_point or given.dtype not in (dtypes.int64, dtypes.int32):
        raise NotImplementedError(
            f"segment_reduce(): floating point data and int32 or int64 segments are expected, got {data.dtype.name} and "
            f"{given.dtype.name}  ({user_line()})"
        )
    if given.ndim != d + 1:
        raise RuntimeError(f"segment_reduce(): Expected axis to be the last dimension of lengths but got {d}.  ({user_line()})")
    if tuple(given.shape[:-1]) != tuple(data.shape[:d]):
        raise RuntimeError(
            f"segment_reduce(): the dims of segments {list(given.shape)} before the last are to be those of data "
            f"{list(data.shape)}  ({user_line()})"
        )
    if lengths is None:
        starts, ends = given[..., :-1], given[..., 1:]
        if not unsafe:
            _require((starts >= 0).all() & (starts <= ends).all() & (ends <= data.shape[d]).all(), given, "offsets")
    else:
        ends = given.cumsum(-1)
        starts = ends - given
        if not unsafe:
            _require((given >= 0).all() & (given.sum(-1) == data.shape[d]).all(), given, "lengths")
    return _reduced(data, kind, starts.detach(), ends.detach(), d, initial)


def _require(ok: Tensor, given: Tensor, name: str) -> None:
    require(
        ok, given,
        lambda line: RuntimeError(
            f"segment_reduce(): Expected all rows of {name} along axis to be segments of the data one after the other (lengths "
            f"that are not negative and sum to its size) when !unsafe.  ({line})"
        ),
    )  # fmt: skip


def _reduced(data: Tensor, kind: str, starts: Tensor, ends: Tensor, d: int, initial: Any) -> Tensor:
    """Rows of all batches in one scatter; a row of its own takes what lies in no segment."""
    batch, n, rest = tuple(data.shape[:d]), data.shape[d], tuple(data.shape[d + 1 :])
    k, many = ends.shape[-1], math.prod(batch)
    out = full_like_type(data.detach().new_empty((many * (k + 1), *rest)), _EMPTY[kind] if initial is None else initial)
    if k and out.numel() and data.numel():
        place = line(Aval((*batch, n), dtypes.int64, data.device), d)
        at = searchsorted(convert(ends, dtypes.int64), place, right=True)
        at = ops.select(place < starts[..., :1], full_like_type(at, k), at)
        at = raw_reshape(at, (many, n)) + line(Aval((many, n), dtypes.int64, data.device), 0) * (k + 1)
        spread = raw_reshape(at, (many * n, *[1] * len(rest))).expand(many * n, *rest)
        rows = raw_reshape(data, (many * n, *rest))
        if kind == "prod":  # what lies in no segment is to harm no gradient
            inside = spread % (k + 1) != k
            rows = ops.select(inside, rows, full_like_type(rows, 1))
        out = _combined(out, spread, rows, kind, initial)
    else:
        start = out
        out = flat(lambda _: start, data)
    out = raw_reshape(out, (*batch, k + 1, *rest))
    return ops.slice_(out, start=(0,) * out.ndim, limit=(*batch, k, *rest), strides=(1,) * out.ndim)


def _combined(start: Tensor, at: Tensor, rows: Tensor, kind: str, initial: Any) -> Tensor:
    found = scatter_reduce(start, 0, at, rows, _SCATTERS[kind], include_self=kind in ("sum", "prod"))
    if initial is None or kind in ("sum", "prod"):
        return found
    if kind == "mean":
        count = scatter_reduce(full_like_type(start, 0), 0, at, full_like_type(rows.detach(), 1), "sum")
        return ops.select(count == 0, start, found + start / count)
    # an element that equals the initial value keeps its gradient
    return ops.select(found < start if kind == "max" else found > start, start, found)


__all__ = ["segment_reduce"]
