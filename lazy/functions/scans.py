"""Running sums, products and extremes along a dim, and what compares neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes, ops
from ..graph import Aval
from ..record import user_line
from ..tensors import Tensor
from ._register import alias, both, function, inplace
from .conversion import convert, full_like_type, to_inexact
from .creation import line
from .elementwise import isfinite
from .joining import cat
from .pointwise import log_add
from .reduction import accumulated
from .returned import VALUES_INDICES
from .shape import box, normal_dim, pad_zeros, raw_reshape


@both
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along a dim."""
    x = accumulated(input, dtype)
    d = normal_dim(dim, x.ndim)
    return ops.copy(x) if x.ndim == 0 else ops.cumsum(x, axis=d, reverse=False)


def _accumulated(
    x: tuple[Tensor, ...], d: int, start: tuple[Any, ...], combine: Callable[..., tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """Running combination along a dim: ``start`` has the values that change nothing; ``combine(earlier, later)`` must be
    associative."""
    return _halving(x, d, combine) if x[0].numel() >= MANY else _doubling(x, d, start, combine)


def _doubling(
    x: tuple[Tensor, ...], d: int, start: tuple[Any, ...], combine: Callable[..., tuple[Tensor, ...]]
) -> tuple[Tensor, ...]:
    """In log2(n) steps, each of which adds what lies 1, 2, 4... places before."""
    n, by = x[0].shape[d], 1
    while by < n:
        low = [by if i == d else 0 for i in range(x[0].ndim)]
        high = [-by if i == d else 0 for i in range(x[0].ndim)]
        x = combine(tuple(pad_zeros(v, low, high, s) for v, s in zip(x, start)), x)
        by *= 2
    return x


MANY = 1 << 14  # elements, from which on the number of operations counts


def _halving(x: tuple[Tensor, ...], d: int, combine: Callable[..., tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """In two operations an element: of pairs of neighbours first, then what lies between two of their results."""
    n = x[0].shape[d]
    if n < 2:
        return x
    first, second = (tuple(box(v, d, k, n, 2) for v in x) for k in (0, 1))
    pairs = _halving(combine(tuple(box(v, d, 0, n // 2) for v in first), second), d, combine)
    if n > 2:
        after = combine(
            tuple(box(v, d, 0, (n - 1) // 2) for v in pairs), tuple(box(v, d, 1, (n + 1) // 2) for v in first)
        )
        first = tuple(cat([box(v, d, 0, 1), w], d) for v, w in zip(first, after))
    return tuple(_interleaved(v, w, d) for v, w in zip(first, pairs))


def _interleaved(x: Tensor, y: Tensor, d: int) -> Tensor:
    """x[0], y[0], x[1]... along a dim, of which x may have one more."""
    shape, m = tuple(y.shape), y.shape[d]
    one = (*shape[: d + 1], 1, *shape[d + 1 :])
    pairs = cat([raw_reshape(box(x, d, 0, m), one), raw_reshape(y, one)], d + 1)
    merged = raw_reshape(pairs, (*shape[:d], 2 * m, *shape[d + 1 :]))
    return merged if x.shape[d] == m else cat([merged, box(x, d, m, m + 1)], d)


@both
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along a dim."""
    x = accumulated(input, dtype)
    d = normal_dim(dim, x.ndim)
    if x.ndim == 0:
        return ops.copy(x)
    return ops.cumprod(x, axis=d, reverse=False)


@both
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log of running sums of exp, without overflow."""
    if not input.dtype.is_inexact:
        raise NotImplementedError(f'"logcumsumexp_out_cpu" not implemented for \'{input.dtype.name}\'  ({user_line()})')
    d = normal_dim(dim, input.ndim)
    if input.ndim == 0 or input.shape[d] <= 1:
        return ops.copy(input)
    if not input.dtype.is_complex:
        return ops.logcumsumexp(input, axis=d)
    (out,) = _accumulated((input,), d, (-math.inf,), lambda a, b: (log_add(a[0], b[0]),))
    return _turned(out, input, d)


def _turned(y: Tensor, x: Tensor, d: int) -> Tensor:
    """Running complex logs ``y`` of the terms ``x`` on the branches that adding them one by one ends on: each within a quarter
    turn of the larger of the sum before and the new term, however the sums were really grouped."""
    low, high = ([s if i == d else 0 for i in range(x.ndim)] for s in (1, -1))
    sums, terms = y.detach(), x.detach()
    before = pad_zeros(sums, low, high, -math.inf)
    anew = ops.compare(ops.real(terms), ops.real(before), direction="GE")
    gap = (ops.select(anew, ops.imag(terms), ops.imag(before)) - ops.imag(sums)) / (2 * math.pi)
    gap = ops.select(isfinite(gap) & isfinite(ops.real(sums)), ops.round_nearest_even(gap), full_like_type(gap, 0))

    def together(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return ops.select(b[1], b[0], a[0] + b[0]), ops.bit_or(a[1], b[1])

    turns, _ = _accumulated((gap, anew), d, (0, False), together)
    return y + ops.complex_(full_like_type(turns, 0), turns * (2 * math.pi))


def _running(name: str, op: Any) -> None:
    def f(input: Tensor, dim: int) -> Any:
        if input.dtype.is_complex:
            raise NotImplementedError(f'"{name}" not implemented for \'{input.dtype.name}\'  ({user_line()})')
        d = normal_dim(dim, input.ndim)
        if input.ndim == 0 or input.shape[d] <= 1:
            return VALUES_INDICES[name](ops.copy(input), full_like_type(convert(input.detach(), dtypes.int64), 0))
        x = input.detach()
        found = op(convert(x, dtypes.uint8) if x.dtype is dtypes.bool_ else x, axis=d)
        values, places = (ops.result(found, index=i) for i in (0, 1))
        if input._edge is not None:  # an element is its own extreme, or the one before it goes on
            kept = ops.compare(places, line(Aval(tuple(x.shape), dtypes.int64, x.device), d), direction="NE")
            fresh = ops.select(kept, full_like_type(input, -0.0), input)  # which leaves what it is added to as it is
            values = ops.recurrence(convert(kept, x.dtype), fresh, axis=d, reverse=False)
        return VALUES_INDICES[name](convert(values, input.dtype), places)

    f.__name__ = name
    f.__doc__ = "The extreme so far along a dim, and where its last occurrence lies: (values, indices)."
    both(f)


_running("cummax", ops.cummax)
_running("cummin", ops.cummin)


@both
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along a dim, n times over."""
    if input.ndim == 0:
        raise RuntimeError(f"diff expects input to be at least one-dimensional  ({user_line()})")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}  (diff at {user_line()})")
    if not n:
        return ops.copy(input)
    d = normal_dim(dim, input.ndim)
    parts = [v for v in (prepend, input, append) if v is not None]
    out = cat(parts, d) if len(parts) > 1 else input
    for _ in range(n):
        size = out.shape[d]
        if size == 0:
            break
        later, earlier = box(out, d, min(1, size), size), box(out, d, 0, size - 1)
        out = ops.bit_xor(later, earlier) if out.dtype is dtypes.bool_ else ops.subtract(later, earlier)
    return out


def _trapezoids(y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    """The areas between neighbouring samples."""
    d = normal_dim(dim, y.ndim)
    n = y.shape[d] if y.ndim else 0
    if not n:
        return to_inexact(y)
    pairs = ops.add(box(y, d, 1, n), box(y, d, 0, n - 1))
    if x is None:
        return pairs * (dx * 0.5)
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"trapezoid: There must be one `x` value for each sample point  ({user_line()})")
        return pairs * diff(x).reshape([-1 if i == d else 1 for i in range(y.ndim)]) * 0.5
    if x.ndim < y.ndim:
        x = x.reshape([1] * (y.ndim - x.ndim) + list(x.shape))
    return pairs * diff(x, dim=d) * 0.5


@function
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of samples along a dim by the trapezoidal rule."""
    return _trapezoids(y, x, dx, dim).sum(dim)


@function
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Running integrals by the trapezoidal rule."""
    return cumsum(_trapezoids(y, x, dx, dim), dim)


@function
def gradient(
    input: Tensor, *, spacing: Any = None, dim: int | Sequence[int] | None = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivative along each dim by central differences, one-sided at the ends (of order 1 or 2 there).

    ``spacing``: one distance (1 unless given), one a dim, or the samples' coordinates along each dim.
    """
    dims = list(range(input.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [normal_dim(d, input.ndim) for d in dims]
    twice = next((d for d in dims if dims.count(d) > 1), None)
    if twice is not None:
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims  (gradient at {user_line()})")
    spacing = 1 if spacing is None else spacing
    spaces = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(dims)
    if len(spaces) != len(dims):
        raise RuntimeError(
            f"torch.gradient expected spacing to be unspecified, a scalar, or of the length {len(dims)} of dims, got "
            f"{len(spaces)}  ({user_line()})"
        )
    if edge_order not in (1, 2):
        raise RuntimeError(
            f"torch.gradient only supports edge_order=1 and edge_order=2, not {edge_order}  ({user_line()})"
        )
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                f"torch.gradient expected each dimension size to be at least edge_order+1, got {input.shape[d]} at "
                f"dim {d}  ({user_line()})"
            )
    return tuple(_derivative(to_inexact(input), d, s, edge_order) for d, s in zip(dims, spaces))


def _derivative(y: Tensor, d: int, space: Any, edge_order: int) -> Tensor:
    n = y.shape[d]
    if not (isinstance(space, Tensor) and space.ndim):  # equal distances
        h = convert(space, y.dtype) if isinstance(space, Tensor) else space
        inner = (box(y, d, 2, n) - box(y, d, 0, n - 2)) / (2 * h)
        if edge_order == 1:
            left, right = (box(y, d, 1, 2) - box(y, d, 0, 1)) / h, (box(y, d, n - 1, n) - box(y, d, n - 2, n - 1)) / h
        else:
            left = (-1.5 * box(y, d, 0, 1) + 2 * box(y, d, 1, 2) - 0.5 * box(y, d, 2, 3)) / h
            right = (1.5 * box(y, d, n - 1, n) - 2 * box(y, d, n - 2, n - 1) + 0.5 * box(y, d, n - 3, n - 2)) / h
        return cat([left, inner, right], d)
    x = convert(space, y.dtype).reshape([-1 if i == d else 1 for i in range(y.ndim)])
    if x.shape[d] != n:
        raise RuntimeError(
            f"torch.gradient expected each tensor to be of the dim's size {n}, got {x.shape[d]} at dim {d}  ({user_line()})"
        )
    gap = box(x, d, 1, n) - box(x, d, 0, n - 1)
    before, after = box(gap, d, 0, n - 2), box(gap, d, 1, n - 1)
    lo, mid, hi = (box(y, d, i, n - 2 + i) for i in range(3))
    inner = (
        lo * (-after / (before * (before + after)))
        + mid * ((after - before) / (before * after))
        + hi * (before / (after * (before + after)))
    )
    first, last = box(gap, d, 0, 1), box(gap, d, n - 2, n - 1)
    if edge_order == 1:
        left, right = (
            (box(y, d, 1, 2) - box(y, d, 0, 1)) / first,
            (box(y, d, n - 1, n) - box(y, d, n - 2, n - 1)) / last,
        )
    else:
        left = _edge([box(y, d, i, i + 1) for i in range(3)], first, box(gap, d, 1, 2))
        right = -_edge([box(y, d, n - i, n - i + 1) for i in (1, 2, 3)], last, box(gap, d, n - 3, n - 2))
    return cat([left, inner, right], d)


def _edge(y: list[Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The derivative at the first of three samples that lie a and b apart, of second order."""
    return y[0] * (-(2 * a + b) / (a * (a + b))) + y[1] * ((a + b) / (a * b)) - y[2] * (a / (b * (a + b)))


alias("trapz", trapezoid, methods=False)
for _f in (cumsum, cumprod):
    inplace(_f)
