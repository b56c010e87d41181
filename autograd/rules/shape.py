"""Derivatives of ops that move elements: the gradient moves back."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import constant, full_like_type
from ...lazy.functions.shape import pad_zeros, raw_reshape
from ..table import not_differentiable, variadic, vjp

not_differentiable(ops.iota, ops.constant)


def _zero(x: Any) -> Any:
    return constant(0, x.dtype, x.device)


def _broadcast(g: Any, y: Any, x: Any, shape: Any, dims: Any) -> Any:
    """Summed over the dims that were new or repeated."""
    repeated = [d for n, d in zip(x.shape, dims) if n == 1 and shape[d] != 1]
    axes = tuple(d for d in range(len(shape)) if d not in dims or d in repeated)
    return raw_reshape(ops.reduce_sum(g, axes=axes), tuple(x.shape)) if axes else raw_reshape(g, tuple(x.shape))


def _transpose(g: Any, y: Any, x: Any, permutation: Any) -> Any:
    return ops.transpose(g, permutation=tuple(sorted(range(len(permutation)), key=permutation.__getitem__)))


def _slice(g: Any, y: Any, x: Any, start: Any, limit: Any, strides: Any) -> Any:
    interior = tuple(s - 1 for s in strides)
    reach = [a + (m - 1) * s + 1 if m else a for a, m, s in zip(start, y.shape, strides)]
    return pad_zeros(g, start, [n - r for n, r in zip(x.shape, reach)], interior=interior)


def _pad_operand(g: Any, y: Any, x: Any, value: Any, low: Any, high: Any, interior: Any) -> Any:
    cropped = pad_zeros(g, [-lo for lo in low], [-hi for hi in high])
    return ops.slice_(
        cropped, start=(0,) * x.ndim, limit=tuple(cropped.shape), strides=tuple(i + 1 for i in interior)
    )


def _pad_value(g: Any, y: Any, x: Any, value: Any, low: Any, high: Any, interior: Any) -> Any:
    inside = ops.pad(full_like_type(x, 0), constant(1, g.dtype, g.device), low=low, high=high, interior=interior)
    return ops.reduce_sum(g * inside, axes=tuple(range(g.ndim)))


def _concatenate(g: Any, y: Any, operands: Any, argnum: int, axis: int) -> Any:
    start = sum(x._aval().shape[axis] for x in operands[:argnum])  # of a thousand operands, a thousand times
    lo = tuple(start if d == axis else 0 for d in range(g.ndim))
    hi = tuple(start + operands[argnum].shape[axis] if d == axis else n for d, n in enumerate(g.shape))
    return ops.slice_(g, start=lo, limit=hi, strides=(1,) * g.ndim)


def _dynamic_slice(g: Any, y: Any, operands: Any, argnum: int, sizes: Any) -> Any:
    if argnum:
        return None
    return ops.dynamic_update_slice(full_like_type(operands[0], 0), g, *operands[1:])


def _dynamic_update(g: Any, y: Any, operands: Any, argnum: int) -> Any:
    _, update, *starts = operands
    if argnum == 0:
        return ops.dynamic_update_slice(g, full_like_type(update, 0), *starts)
    return ops.dynamic_slice(g, *starts, sizes=tuple(update.shape)) if argnum == 1 else None


vjp(ops.reshape, lambda g, y, x, shape: ops.reshape(g, shape=tuple(x.shape)))
vjp(ops.transpose, _transpose)
vjp(ops.broadcast_in_dim, _broadcast)
vjp(ops.slice_, _slice)
vjp(ops.reverse, lambda g, y, x, axes: ops.reverse(g, axes=axes))
vjp(ops.pad, _pad_operand, _pad_value)
variadic(ops.concatenate, _concatenate)
variadic(ops.dynamic_slice, _dynamic_slice)
variadic(ops.dynamic_update_slice, _dynamic_update)
