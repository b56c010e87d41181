"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..dtypes import int64
from ..graph import Aval
from ..record import user_line
from ..tensors import Tensor
from ..views import Layout, Step, view
from ._register import both, inplace
from .conversion import broadcast_to, full_like_type
from .creation import line
from .shape import box, normal_dim, pad_zeros, raw_transpose, reshape


def _offset_plane(x: Tensor) -> Tensor:
    """Column less row, in the shape of the last two dims."""
    shape = tuple(x.shape[-2:])
    aval = Aval(shape, int64, x.device)
    return ops.subtract(line(aval, 1), line(aval, 0))


def _triangle(name: str, direction: str) -> Any:
    def f(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions  ({user_line()})")
        plane = _offset_plane(input)
        inside = ops.compare(plane, full_like_type(plane, diagonal), direction=direction)
        return ops.select(broadcast_to(inside, tuple(input.shape)), input, full_like_type(input, 0))

    f.__name__ = name
    f.__doc__ = "The triangle of the last two dims up to a diagonal; zero elsewhere."
    return both(f)


tril, triu = _triangle("tril", "LE"), _triangle("triu", "GE")


@both
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dims as the last dim, as an alias."""
    a, b = normal_dim(dim1, input.ndim), normal_dim(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}  ({user_line()})")
    shape = tuple(input.shape)
    rest = [d for d in range(input.ndim) if d not in (a, b)]
    rows, columns = shape[a], shape[b]
    r0, c0 = max(-offset, 0), max(offset, 0)
    length = max(0, min(rows - r0, columns - c0))
    order = (*rest, a, b)
    inverse = tuple(sorted(range(len(order)), key=order.__getitem__))

    def take(whole: Tensor) -> Tensor:
        x = raw_transpose(whole, order)
        lead = tuple(x.shape[:-2])
        if not length:
            return ops.reshape(box(box(x, x.ndim - 1, 0, 0), x.ndim - 2, 0, 0), shape=(*lead, 0))
        square = box(box(x, x.ndim - 2, r0, r0 + length), x.ndim - 1, c0, c0 + length)
        # the diagonal of an n x n square in row-major order is every (n+1)-th element
        flat = ops.reshape(square, shape=(*lead, length * length))
        return box(flat, flat.ndim - 1, 0, length * length, length + 1)

    def put(whole: Tensor, piece: Tensor) -> Tensor:
        x = raw_transpose(whole, order)
        plane = _offset_plane(x)
        on = broadcast_to(ops.compare(plane, full_like_type(plane, offset), direction="EQ"), tuple(x.shape))
        lined = pad_zeros(piece, [0] * len(rest) + [r0], [0] * len(rest) + [rows - r0 - length])
        spread = ops.broadcast_in_dim(lined, shape=tuple(x.shape), dims=tuple(range(len(rest) + 1)))
        return raw_transpose(ops.select(on, spread, x), inverse)

    def strides(state: Layout, whole: tuple[int, ...]) -> Layout:
        start, s = state
        return start + r0 * s[a] + c0 * s[b], (*[s[d] for d in rest], s[a] + s[b])

    return view(input, Step("diagonal", take, put, strides, shape))


_diagonal = diagonal  # ``diag`` has an argument of that name


@both
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dim as a diagonal of two new dims."""
    ndim = input.ndim + 1
    a, b = normal_dim(dim1, ndim), normal_dim(dim2, ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}  ({user_line()})")
    n = input.shape[-1] + abs(offset)
    lead = input.ndim - 1
    r0 = max(-offset, 0)
    lined = pad_zeros(input, [0] * lead + [r0], [0] * lead + [n - r0 - input.shape[-1]])
    full = ops.broadcast_in_dim(lined, shape=(*input.shape[:-1], n, n), dims=tuple(range(lead + 1)))
    plane = _offset_plane(full)
    on = broadcast_to(ops.compare(plane, full_like_type(plane, offset), direction="EQ"), tuple(full.shape))
    placed = ops.select(on, full, full_like_type(full, 0))
    rest = iter(range(lead))
    order = tuple(lead if i == a else lead + 1 if i == b else next(rest) for i in range(ndim))
    return raw_transpose(placed, order)


@both
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as a diagonal matrix, or the diagonal of a matrix."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D  ({user_line()})")
    return ops.copy(_diagonal(input, diagonal))


@both
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements as the diagonal of a matrix."""
    return diag_embed(reshape(input, -1), offset)


@both
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The input with a diagonal replaced."""
    out = ops.copy(input)
    place = diagonal(out, offset, dim1, dim2)
    if place.shape != src.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
            f"{list(place.shape)}  (diagonal_scatter at {user_line()})"
        )
    place.copy_(src)
    return out


inplace(tril)
inplace(triu)
