"""Derivatives of what goes along an axis: each is a recurrence the other way."""

from __future__ import annotations

import math
from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import full_like_type
from ...lazy.functions.shape import pad_zeros
from ..table import not_differentiable, vjp

not_differentiable(ops.cummax, ops.cummin)


def _neighbour(x: Any, axis: int, before: bool, fill: Any) -> Any:
    """For each place what lies one before it, or after it; ``fill`` where there is none."""
    if not x.shape[axis]:
        return x
    low, high = [0] * x.ndim, [0] * x.ndim
    low[axis], high[axis] = (1, -1) if before else (-1, 1)
    return pad_zeros(x, low, high, fill)


def _adjoint(g: Any, a: Any, axis: int, reverse: bool) -> Any:
    """What changes with each term of a recurrence by factors a."""
    factors = _neighbour(a, axis, reverse, 0).conj()
    return ops.recurrence(factors, g, axis=axis, reverse=not reverse)


def _cumprod(g: Any, y: Any, x: Any, axis: int, reverse: bool) -> Any:
    """Without a division, so that zeros do no harm."""
    return _adjoint(g, x, axis, reverse) * _neighbour(y, axis, not reverse, 1).conj()


vjp(ops.cumprod, _cumprod)
vjp(
    ops.recurrence,
    lambda g, y, a, b, axis, reverse: _adjoint(g, a, axis, reverse) * _neighbour(y, axis, not reverse, 0).conj(),
    lambda g, y, a, b, axis, reverse: _adjoint(g, a, axis, reverse),
)


def _share(x: Any, y: Any) -> Any:
    """exp(x - y), 1 where both are the same infinity."""
    same = ops.compare(x, y, direction="EQ")
    return ops.exponential(ops.select(same, full_like_type(x, 0), x - y))


def _logcumsumexp(g: Any, y: Any, x: Any, axis: int) -> Any:
    """Each gradient is handed on by the share of the sum before in the sum after, which is at most 1."""
    if x.shape[axis] < 2:
        return g
    before = _neighbour(y, axis, True, -math.inf)
    return _adjoint(g, _share(before, y), axis, False) * _share(x, y)


vjp(ops.logcumsumexp, _logcumsumexp)
