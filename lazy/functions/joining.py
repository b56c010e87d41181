"""Joining tensors into one, and cutting one into several."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, levels, ops
from ..graph import HostValue, Node
from ..overrides import kind_of
from ..record import sockets, user_line
from ..replay.inlay import Inlay
from ..replay.state import S, opaque
from ..tensors import Tensor
from ._register import alias, both, function
from .conversion import constant, convert, result_dtype
from .indexing import narrow_view, pieces, select
from .shape import normal_dim, pad_zeros, reshape, unsqueeze

MANY = 4  # tensors to be joined, from which on they may be samples
_FORMS = {ops.reshape, ops.convert}
_ROW = {ops.slice_, ops.dynamic_slice}


def _tensors(given: Any, name: str) -> list[Tensor]:
    """The operands of a function that joins; TypeError where one is no tensor."""
    if isinstance(given, Tensor):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor  ({user_line()})"
        )
    items = list(given)
    for i, x in enumerate(items):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {type(x).__name__}  ({user_line()})"
            )
    return items


def _settle(items: list[Tensor]) -> None:
    """Compute those of a list's tensors that are new, another form of given data or a row of an array, where the others are
    computed already.

    That is a batch drawn from a replay memory, and where in it the newest samples stand is chance: it must not decide
    the program.
    """
    if S.capture is not None or levels.active or isinstance(S.player, Inlay):
        return
    nodes = [x._node or x._refresh() for x in items]
    new = [n for n in nodes if n.buffer is None and not isinstance(n, HostValue)]
    if not new or not any(n.buffer is not None for n in nodes):
        return
    if all(n.sig.op in _FORMS and _is_there(n.inputs[0]) for n in new):
        opaque("new samples among old ones in a list")
        for n in new:
            sockets.execute([n], "a list of samples")


def _is_there(n: Node) -> bool:
    """Whether a value is computed, or a row of an array that is (see lowering/bundles.py)."""
    return n.buffer is not None or (n.sig.op in _ROW and n.inputs[0].buffer is not None)


@function
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """One after another along a dim; types are promoted."""
    items = _tensors(tensors, "cat")
    if not items:
        raise ValueError(f"torch.cat(): expected a non-empty list of Tensors  ({user_line()})")
    for i, x in enumerate(items):
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated  ({user_line()})")
    if len(items) >= MANY:
        _settle(items)
    dtype = result_dtype(*items)
    kept = [x for x in items if tuple(x.shape) != (0,)] or items[:1]
    ndim = kept[0].ndim
    for i, x in enumerate(kept):
        if x.ndim != ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {ndim} and {x.ndim}  (tensor {i} at {user_line()})"
            )
    d = normal_dim(dim, ndim)
    return ops.concatenate(*[convert(x, dtype) for x in kept], axis=d)


alias("concat", cat, methods=False)
alias("concatenate", cat, methods=False)


@function
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Equal shapes along a new dim."""
    items = _tensors(tensors, "stack")
    if not items:
        raise RuntimeError(f"stack expects a non-empty TensorList  ({user_line()})")
    shape = tuple(items[0].shape)
    for i, x in enumerate(items):
        if tuple(x.shape) != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x.shape)} at "
                f"entry {i}"
                f"  ({user_line()})"
            )
    d = normal_dim(dim, len(shape), 1)
    if len(items) >= MANY:
        _settle(items)
    dtype = result_dtype(*items)
    wide = shape[:d] + (1,) + shape[d:]
    return ops.concatenate(*[ops.reshape(convert(x, dtype), shape=wide) for x in items], axis=d)


def _at_least(n: int, x: Tensor) -> Tensor:
    if n >= 1 and x.ndim == 0:
        x = reshape(x, 1)
    if n >= 2 and x.ndim == 1:
        x = unsqueeze(x, 0)
    if n >= 3 and x.ndim == 2:
        x = unsqueeze(x, -1)
    return x


def _several(n: int) -> Any:
    def f(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return _at_least(n, tensors[0])
        items = _tensors(tensors[0] if len(tensors) == 1 else tensors, f"atleast_{n}d")
        return tuple(_at_least(n, x) for x in items)

    f.__name__ = f"atleast_{n}d"
    return function(f)


atleast_1d, atleast_2d, atleast_3d = _several(1), _several(2), _several(3)


def _raised(tensors: Any, n: int, name: str) -> list[Tensor]:
    items = [_at_least(n, x) for x in _tensors(tensors, name)]
    if not items:
        raise RuntimeError(f"{name} expects a non-empty TensorList  ({user_line()})")
    return items


@function
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along dim 1, or dim 0 for vectors."""
    items = _raised(tensors, 1, "hstack")
    return cat(items, 0 if items[0].ndim == 1 else 1)


@function
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One above the other: along dim 0, vectors as rows."""
    return cat(_raised(tensors, 2, "vstack"), 0)


@function
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along dim 2."""
    return cat(_raised(tensors, 3, "dstack"), 2)


alias("row_stack", vstack, methods=False)


@function
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """``hstack`` with vectors as columns."""
    return hstack([reshape(x, (x.numel(), 1)) if x.ndim <= 1 else x for x in _tensors(tensors, "column_stack")])


@function
def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a larger one, zero elsewhere."""
    items = [_at_least(2, x) for x in _tensors(tensors, "block_diag")]
    for i, x in enumerate(items):
        if x.ndim != 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
                f"  ({user_line()})"
            )
    dtype = result_dtype(*items)
    width, at, rows = sum(x.shape[1] for x in items), 0, []
    for x in items:
        rows.append(pad_zeros(convert(x, dtype), (0, at), (0, width - at - x.shape[1])))
        at += x.shape[1]
    return ops.concatenate(*rows, axis=0)


@function
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All ways to take one element from each vector, a row each."""
    items = _tensors(tensors, "cartesian_prod")
    for x in items:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}  (cartesian_prod at {user_line()})")
    if len(items) == 1:
        return items[0]
    shape = tuple(x.numel() for x in items)
    grids = [ops.broadcast_in_dim(x, shape=shape, dims=(i,)) for i, x in enumerate(items)]
    return stack([reshape(g, -1) for g in grids], 1)


@both
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All ways to take r elements of a vector, a row each."""
    from .scattering import index_select

    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}  (combinations at {user_line()})")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}  (combinations at {user_line()})")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.numel()), r))
    places = np.array(rows, np.int64).reshape(len(rows), r)
    if r == 0:
        return input.new_empty((0,))
    picked = index_select(input, 0, constant(places.reshape(-1), dtypes.int64, input.device))
    return ops.reshape(picked, shape=places.shape)


def _not_0d(x: Tensor, name: str) -> None:
    if x.ndim == 0:
        raise RuntimeError(f"{name}() expects at least a 1-dimensional tensor, got a 0-dim one  ({user_line()})")


@both
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` places of a dim from ``start`` on, as an alias."""
    _not_0d(input, "narrow")
    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    if isinstance(start, Tensor):
        if start.ndim or start.dtype.category != dtypes.INT:
            raise RuntimeError(f"start must be an 0-dim integral Tensor.  ({user_line()})")
        start = int(start)
    start, length = operator.index(start), operator.index(length)
    first = start + n if start < 0 else start
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative.  ({user_line()})")
    if not 0 <= first <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})  ({user_line()})")
    if first + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).  ({user_line()})")
    return narrow_view(input, d, first, length)


@both
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of one size (the last may be smaller), or of the sizes given, as aliases."""
    _not_0d(tensor, "split")
    d = normal_dim(dim, tensor.ndim)
    n = tensor.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}  ({user_line()})")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    else:
        sizes = [int(s) for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), "
                "but got "
                f"split_sizes={sizes}  ({user_line()})"
            )
    return pieces(tensor, d, sizes)


alias("split_with_sizes", split)
alias("unsafe_split", split)
alias("unsafe_split_with_sizes", split)


@both
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size, but for the last."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}  ({user_line()})")
    _not_0d(input, "chunk")
    n = input.shape[normal_dim(dim, input.ndim)]
    if n == 0:
        return tuple([narrow(input, dim, 0, 0) for _ in range(chunks)])
    return split(input, max(1, -(-n // chunks)), dim)


alias("unsafe_chunk", chunk)


@both
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of sizes that differ by one at most, or cut at the indices."""
    _not_0d(input, "tensor_split")
    d = normal_dim(dim, input.ndim)
    n = input.shape[d]
    if isinstance(indices_or_sections, Tensor):
        if indices_or_sections.dtype is not dtypes.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{indices_or_sections.dtype.name}  ({user_line()})"
            )
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        k = indices_or_sections
        if k < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {k}  ({user_line()})")
        cuts = [i * (n // k) + min(i, n % k) for i in range(1, k)]
    else:
        if not isinstance(indices_or_sections, (list, tuple)):
            raise TypeError(
                f"tensor_split(): a number of sections or a list of indices is expected, not "
                f"{kind_of(indices_or_sections)}  ({user_line()})"
            )
        places = [operator.index(c) for c in indices_or_sections]
        cuts = [min(max(c + n if c < 0 else c, 0), n) for c in places]
    edges = [0, *cuts, n]
    return tuple(narrow(input, d, lo, max(hi - lo, 0)) for lo, hi in itertools.pairwise(edges))


def _splitter(name: str, least: int, dim: int) -> None:
    def f(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {input.ndim} "
                "dimensions!"
                f"  ({user_line()})"
            )
        d = 0 if input.ndim == 1 else dim
        k, n = indices_or_sections, input.shape[d]
        if isinstance(k, int) and (k == 0 or n % k):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension {n} is not "
                "divisible by "
                f"the split_size {k}!  ({user_line()})"
            )
        return tensor_split(input, k, d)

    f.__name__, f.__doc__ = name, f"Pieces along dim {dim}: so many equal ones, or cut at the indices."
    both(f)


_splitter("hsplit", 1, 1)
_splitter("vsplit", 2, 0)
_splitter("dsplit", 3, 2)


@both
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dim, as aliases."""
    d = normal_dim(dim, input.ndim)
    if not input.ndim:
        raise IndexError(f"Dimension specified as {d} but tensor has no dimensions  ({user_line()})")
    return tuple(select(input, d, i) for i in range(input.shape[d]))


