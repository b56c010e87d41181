"""Softmax, its logarithm and its sum, and norms: reductions with backward rules of their own."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes, ops
from ..record import user_line, with_rule
from ..tensors import Tensor
from ._register import both, inplace
from .conversion import convert, flat, full_like_type, to_inexact
from .elementwise import abs as abs_
from .reduction import Dims, amax, amin, axes_of, kept, spread, sum
from .shape import normal_dim


class _SoftmaxRule:
    """dx = y (g - sum(g y)), along the dims."""

    name = "Softmax"

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor]:
        y = entry.output()
        return (y * (g - spread(ops.reduce_sum(g * y, axes=self.axes), y, self.axes)),)


class _LogSoftmaxRule:
    """dx = g - softmax sum(g), along the dims."""

    name = "LogSoftmax"

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor]:
        y = entry.output()
        return (g - ops.exponential(y) * spread(ops.reduce_sum(g, axes=self.axes), y, self.axes),)


def _shifted(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x - spread(ops.reduce_max(x, axes=axes), x, axes)


def _soft(input: Tensor, dim: int, dtype: Any) -> tuple[Tensor, tuple[int, ...]]:
    x = to_inexact(input if dtype is None else convert(input, dtypes.as_dtype(dtype)))
    d = normal_dim(dim, x.ndim)
    return x, (d,) if x.ndim else ()


@both
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input), normalised to sum to one along a dim."""
    x, axes = _soft(input, dim, dtype)

    def value(t: Tensor) -> Tensor:
        e = ops.exponential(_shifted(t, axes))
        return e / spread(ops.reduce_sum(e, axes=axes), t, axes)

    return with_rule(value, (x,), _SoftmaxRule(axes), wants_output=True)


@both
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(input)), computed safely."""
    x, axes = _soft(input, dim, dtype)

    def value(t: Tensor) -> Tensor:
        s = _shifted(t, axes)
        return s - spread(ops.log(ops.reduce_sum(ops.exponential(s), axes=axes)), t, axes)

    return with_rule(value, (x,), _LogSoftmaxRule(axes), wants_output=True)


@both
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))), without overflow."""
    x = to_inexact(input)
    axes = axes_of(x, dim)
    if 0 in x.shape:
        return kept(x, ops.log(ops.reduce_sum(ops.exponential(x), axes=axes)), axes, keepdim)
    top = ops.reduce_max((ops.real(x) if x.dtype.is_complex else x).detach(), axes=axes)
    top = ops.select(ops.is_finite(top), top, full_like_type(top, 0))
    top = convert(top, x.dtype)
    y = ops.log(ops.reduce_sum(ops.exponential(x - spread(top, x, axes)), axes=axes)) + top
    return kept(x, y, axes, keepdim)


# --- norms ------------------------------------------------------------------------------------------------------


class _RootRule:
    """The gradient of a 2-norm: x / norm, zero where the norm is zero."""

    name = "Norm"

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes

    def __call__(self, g: Tensor, entry: Any) -> tuple[Tensor]:
        (x,), y = entry.operands(), entry.output()
        zero = full_like_type(y, 0)
        still = ops.compare(y, zero, direction="EQ")
        scale = ops.select(still, zero, ops.divide(g, ops.select(still, full_like_type(y, 1), y)))
        wide = spread(scale, x, self.axes)
        return (x * (convert(wide, x.dtype)),)


def _norm(x: Tensor, p: Any, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    x = to_inexact(x)
    if x.dtype.itemsize < 4:  # squares of float16 would overflow
        return convert(_norm(convert(x, dtypes.float32), p, axes, keepdim), x.dtype)
    if p == 2:

        def value(t: Tensor) -> Tensor:
            a = ops.absolute(t) if t.dtype.is_complex else t
            return ops.sqrt(ops.reduce_sum(a * a, axes=axes))

        return kept(x, with_rule(value, (x,), _RootRule(axes), wants_inputs=True, wants_output=True), axes, keepdim)
    a = abs_(x)
    if p == math.inf or p == -math.inf:
        return (amax if p > 0 else amin)(a, axes, keepdim)
    if p == 1:
        return sum(a, axes, keepdim)
    if p == 0:
        return flat(lambda t: convert(sum(t != 0, axes, keepdim), t.dtype.to_real()), x)
    if p < 0:  # where one element is 0 the norm is, and all gradients are
        zero = ops.compare(a, full_like_type(a, 0), direction="EQ")
        count = sum(convert(zero, a.dtype), axes, keepdim)
        root = sum(ops.select(zero, full_like_type(a, 1), a) ** p, axes, keepdim) ** (1 / p)
        gone = ops.compare(count, full_like_type(count, 0), direction="NE") & ops.compare(root, root, direction="EQ")
        return ops.select(gone, full_like_type(root, 0), root)  # NaN stays
    if p < 1:  # an element that is 0 has the gradient 0, not inf
        none, one = ops.compare(a, full_like_type(a, 0), direction="EQ"), full_like_type(a, 1)
        powers = ops.select(none, full_like_type(a, 0), ops.select(none, one, a) ** p)
    else:
        powers = a**p
    total = sum(powers, axes, keepdim)
    still = ops.compare(total, full_like_type(total, 0), direction="EQ")  # and so have all where all are
    root = ops.select(still, full_like_type(total, 1), total) ** (1 / p)
    return ops.select(still, full_like_type(total, 0), root)


@both
def norm(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the elements along dims (all of them unless given)."""
    x = input if dtype is None else convert(input, dtypes.as_dtype(dtype))
    if isinstance(p, str):
        if p != "fro":
            raise RuntimeError(f"norm: p={p!r} is not supported; 'fro' or a number is expected  ({user_line()})")
        p = 2
    if not x.dtype.is_inexact:
        raise RuntimeError(f"norm(): a floating point or complex tensor is expected, got {x.dtype.name}  ({user_line()})")
    axes = axes_of(x, dim)
    if (p < 0 or p == math.inf) and 0 in [x.shape[d] for d in axes]:
        on = "an empty tensor" if dim is None else f"the dimension {next(d for d in axes if not x.shape[d])} of no elements"
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on {on} because the operation does not have an identity"
            f"  ({user_line()})"
        )
    return _norm(x, float(p), axes, keepdim)


@both
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference."""
    return norm(input - other, p)


@both
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along a dim whose p-norm is above ``maxnorm`` scaled down to it."""
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive norm not supported, got p={p}  ({user_line()})")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}  ({user_line()})")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions  ({user_line()})")
    d = normal_dim(dim, input.ndim)
    work = input if input.dtype.itemsize > 2 else convert(input, dtypes.float32)
    size = _norm(work, float(p), tuple(i for i in range(input.ndim) if i != d), True)
    limit = full_like_type(size, maxnorm)
    scale = ops.select(size > limit, limit / (size + 1e-7), full_like_type(size, 1))
    return input * convert(scale, input.dtype)


inplace(renorm)
