"""Derivatives of reductions, windows and running sums."""

from __future__ import annotations

import math
from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import convert, full_like_type
from ...lazy.functions.reduction import spread
from ...lazy.functions.shape import pad_zeros, raw_reshape, raw_transpose
from ...lazy.record import mode
from ..table import not_differentiable, vjp

not_differentiable(ops.reduce_and, ops.reduce_or, ops.argmax, ops.argmin, ops.sort, ops.result)

vjp(ops.reduce_sum, lambda g, y, x, axes: spread(g, x, axes))
vjp(ops.cumsum, lambda g, y, x, axis, reverse: ops.cumsum(g, axis=axis, reverse=not reverse))


def _extreme(g: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Shared evenly among the elements that equal the extreme, or that are NaN, as it then is."""
    same = ops.bit_or(ops.compare(x, spread(y, x, axes), direction="EQ"), ops.compare(x, x, direction="NE"))
    hits = convert(same, x.dtype)
    count = ops.reduce_sum(hits, axes=axes)
    return spread(g / count, x, axes) * hits


vjp(ops.reduce_max, _extreme)
vjp(ops.reduce_min, _extreme)


def _prod(g: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """For each element the product of the others."""
    return _prod_again(g, x, axes) if mode.grad else _prod_once(g, x, axes)


def _prod_once(g: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """By a division, which says too little to be differentiated where an element is zero: beside a single zero only it has a
    gradient, beside two none has."""
    zero = ops.compare(x, full_like_type(x, 0), direction="EQ")
    safe = ops.select(zero, full_like_type(x, 1), x)
    product = spread(ops.reduce_prod(safe, axes=axes), x, axes)
    real = x.dtype.to_real()
    zeros = spread(ops.reduce_sum(convert(zero, real), axes=axes), x, axes)
    beside = ops.compare(zeros, convert(zero, real), direction="GT")  # the others have a zero
    others = ops.select(beside, full_like_type(x, 0), product / safe)
    return spread(g, x, axes) * others.conj()


def _prod_again(g: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """By products from both ends, so that zeros do no harm."""
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    order = rest + axes
    lead = tuple(x.shape[i] for i in rest)
    moved = raw_transpose(x, order)
    n = 1
    for i in axes:
        n *= x.shape[i]
    flat = raw_reshape(moved, (*lead, n))
    others = _others(flat, n)
    g_wide = ops.broadcast_in_dim(g, shape=tuple(flat.shape), dims=tuple(range(len(lead))))
    back = raw_reshape(g_wide * others.conj(), tuple(moved.shape))
    return raw_transpose(back, tuple(sorted(range(x.ndim), key=order.__getitem__)))


def _others(x: Any, n: int) -> Any:
    """Along the last dim, the product of all elements but each one: exclusive scans in log2(n) doublings."""
    last = x.ndim - 1

    def scan(t: Any, forward: bool) -> Any:
        t = _moved(t, last, 1, forward)
        k = 1
        while k < n:
            t = t * _moved(t, last, k, forward)
            k *= 2
        return t

    return scan(x, True) * scan(x, False)


def _moved(x: Any, dim: int, by: int, forward: bool) -> Any:
    """Shifted along a dim, with ones coming in."""
    low, high = [0] * x.ndim, [0] * x.ndim
    low[dim], high[dim] = (by, -by) if forward else (-by, by)
    if by >= x.shape[dim]:
        return full_like_type(x, 1)
    return pad_zeros(x, low, high, value=1)


vjp(ops.reduce_prod, _prod)


def _window(g: Any, y: Any, x: Any, window: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Each element gets the sum of the windows it lies in: g spread by the strides, summed over windows."""
    if y.numel() == 0:
        return full_like_type(x, 0)
    if window == strides and math.prod(window) >= WIDE:
        return _side_by_side(g, x, window)
    low = [k - 1 for k in window]
    spread_sizes = [(n - 1) * s + 1 for n, s in zip(y.shape, strides)]
    high = [n - m for n, m in zip(x.shape, spread_sizes)]
    spread_g = pad_zeros(g, low, high, interior=[s - 1 for s in strides])
    return ops.reduce_window_sum(spread_g, window=window, strides=(1,) * x.ndim)


def _side_by_side(g: Any, x: Any, window: tuple[int, ...]) -> Any:
    """Windows that do not meet: each fills its place with its gradient."""
    split = tuple(n for pair in zip(g.shape, window) for n in pair)
    wide = ops.broadcast_in_dim(g, shape=split, dims=tuple(range(0, len(split), 2)))
    whole = raw_reshape(wide, tuple(n * k for n, k in zip(g.shape, window)))
    return pad_zeros(whole, [0] * x.ndim, [n - m for n, m in zip(x.shape, whole.shape)])


WIDE = 16  # elements of a window from which on adding up zeros takes longer than filling it

vjp(ops.reduce_window_sum, _window)
