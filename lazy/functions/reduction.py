"""Functions that combine elements along dims: sums, means, extremes, softmax, sorting."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes, ops
from ..dtypes import BOOL, COMPLEX
from ..graph import Aval
from ..record import mode, user_line, with_rule
from ..tensor import Tensor
from ._register import both, function
from .conversion import convert, full_like_type, to_inexact
from .creation import line
from .elementwise import abs as abs_
from .elementwise import where
from .indexing import take_along_dim
from .shape import box, normal_dim, raw_reshape

Dims = int | Sequence[int] | None
ValuesIndices = namedtuple("ValuesIndices", ["values", "indices"])


def axes_of(x: Tensor, dim: Dims) -> tuple[int, ...]:
    """The dims to reduce: all for None or an empty list."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(x.ndim))
    dims = [dim] if isinstance(dim, int) else list(dim)
    found = [normal_dim(d, x.ndim) for d in dims]
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim appears multiple times in the list of dims {tuple(dims)}  ({user_line()})")
    return tuple(sorted(found)) if x.ndim else ()


def kept(x: Tensor, y: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    if not keepdim:
        return y
    return raw_reshape(y, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def spread(y: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A reduced value repeated over the dims that were reduced."""
    dims = tuple(i for i in range(x.ndim) if i not in axes)
    return ops.broadcast_in_dim(y, shape=tuple(x.shape), dims=dims)


def _accumulated(x: Tensor, dtype: Any) -> Tensor:
    if dtype is not None:
        return convert(x, dtypes.as_dtype(dtype))
    return convert(x, dtypes.int64) if x.dtype.category < dtypes.FLOAT else x


@both
def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over dims; integers and bools add up as int64."""
    x = _accumulated(input, dtype)
    axes = axes_of(x, dim)
    return kept(x, ops.reduce_sum(x, axes=axes), axes, keepdim)


@both
def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over dims."""
    x = input if dtype is None else convert(input, dtypes.as_dtype(dtype))
    if not x.dtype.is_inexact:
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {x.dtype.name}"
            f"  ({user_line()})"
        )
    axes = axes_of(x, dim)
    count = math.prod(x.shape[a] for a in axes)
    total = ops.reduce_sum(x, axes=axes)
    y = ops.multiply(total, full_like_type(total, 1 / count)) if count else total / 0
    return kept(x, y, axes, keepdim)


@both
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product over a dim or all."""
    x = _accumulated(input, dtype)
    axes = axes_of(x, dim)
    return kept(x, ops.reduce_prod(x, axes=axes), axes, keepdim)


def _variance(x: Tensor, dim: Dims, correction: Any, unbiased: Any, keepdim: bool) -> tuple[Tensor, Tensor]:
    if not x.dtype.is_inexact:
        raise RuntimeError(f"std and var only support floating point and complex dtypes  ({user_line()})")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = axes_of(x, dim)
    ddof = (1 if correction is None else correction) if unbiased is None else int(unbiased)
    count = math.prod(x.shape[a] for a in axes)
    m = mean(x, axes, keepdim=True) if axes else x
    d = x - m
    square = ops.real(d * d.conj()) if x.dtype.category == COMPLEX else d * d
    total = ops.reduce_sum(square, axes=axes)
    left = max_(0, count - ddof)
    v = total * (1 / left) if left else total / 0
    return kept(x, v, axes, keepdim), m if keepdim else raw_reshape(m, tuple(v.shape))


max_ = max


@both
def var(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Variance over dims, divided by count - correction (1 unless given)."""
    return _variance(input, dim, correction, unbiased, keepdim)[0]


@both
def std(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The root of ``var``."""
    return _variance(input, dim, correction, unbiased, keepdim)[0].sqrt()


@function
def var_mean(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    return _variance(input, dim, correction, unbiased, keepdim)


@function
def std_mean(input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
    v, m = _variance(input, dim, correction, unbiased, keepdim)
    return v.sqrt(), m


def _truth(name: str, op: Any) -> Callable[..., Tensor]:
    def f(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        x = convert(input, dtypes.bool_)
        axes = axes_of(x, dim)
        return kept(x, op(x, axes=axes), axes, keepdim)

    f.__name__ = name
    return both(f)


all = _truth("all", ops.reduce_and)
any = _truth("any", ops.reduce_or)


@both
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    return sum(convert(input, dtypes.bool_), dim)


# --- extremes ---------------------------------------------------------------------------------------------------


def _not_empty(x: Tensor, axes: tuple[int, ...], name: str) -> None:
    for a in axes:
        if x.shape[a] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {a} to have non-zero size.  ({user_line()})"
            ) if len(axes) == 1 else RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                f"'dim' argument.  ({user_line()})"
            )


def _extreme(name: str, op: Any) -> Callable[..., Tensor]:
    def f(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        axes = axes_of(input, dim)
        _not_empty(input, axes, name)
        return kept(input, op(input, axes=axes), axes, keepdim)

    f.__name__ = name
    f.__doc__ = "The extreme over dims; ties share the gradient evenly."
    return both(f)


amax, amin = _extreme("amax", ops.reduce_max), _extreme("amin", ops.reduce_min)


def _selected(x: Tensor, places: Tensor, d: int, plain: Any) -> Tensor:
    """The elements at one place each along a dim, with their gradient (without one, ``plain`` is quicker)."""
    if x._edge is None or not mode.grad:
        return plain(x, axes=(d,))
    hit = ops.compare(line(Aval(tuple(x.shape), dtypes.int64, x.device), d), spread(places, x, (d,)), direction="EQ")
    return ops.reduce_sum(ops.select(hit, x, full_like_type(x, 0)), axes=(d,))


def _arg(name: str, op: Any, extreme: Any, pick: Any, pair: Any) -> tuple[Any, Any]:
    def arg(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        x = input.detach() if input._edge is not None else input
        if dim is None:
            _not_empty(x, tuple(range(x.ndim)), f"arg{name}")
            flat = op(raw_reshape(x, (x.numel(),)), axis=0)
            return raw_reshape(flat, (1,) * x.ndim) if keepdim else flat
        if x.ndim == 0:
            normal_dim(dim, 0)
            return full_like_type(convert(x, dtypes.int64), 0)
        d = normal_dim(dim, x.ndim)
        _not_empty(x, (d,), f"arg{name}")
        return kept(x, op(x, axis=d), (d,), keepdim)

    def f(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        if dim is None:
            return extreme(input)
        if input.ndim == 0:
            return ValuesIndices(ops.copy(input), arg(input, dim))
        d = normal_dim(dim, input.ndim)
        places = arg(input, d)
        values = _selected(input, places, d, pick)
        return ValuesIndices(kept(input, values, (d,), keepdim), kept(input, places, (d,), keepdim))

    arg.__name__, f.__name__ = f"arg{name}", name
    f.__doc__ = f"The {name} of all; with a dim, (values, indices) along it; with a tensor, elementwise."
    return both(arg), both(f)


def _pairwise(op: Any) -> Any:
    def f(a: Tensor, b: Any) -> Tensor:
        from .conversion import promote

        return op(*promote(a, b))

    return f


argmax, max = _arg("max", ops.argmax, amax, ops.reduce_max, _pairwise(ops.maximum))
argmin, min = _arg("min", ops.argmin, amin, ops.reduce_min, _pairwise(ops.minimum))


@function
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    return namedtuple("aminmax", ["min", "max"])(amin(input, dim, keepdim), amax(input, dim, keepdim))


# --- softmax and friends ----------------------------------------------------------------------------------------


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
    return x, (normal_dim(dim, x.ndim),) if x.ndim else ()


@both
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(input), normalised to sum to one along a dim."""
    x, axes = _soft(input, dim, dtype)

    def value(t: Tensor) -> Tensor:
        e = ops.exponential(_shifted(t, axes))
        return e / spread(ops.reduce_sum(e, axes=axes), t, axes)

    return with_rule(value, (x,), _SoftmaxRule(axes))


@both
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(input)), computed safely."""
    x, axes = _soft(input, dim, dtype)

    def value(t: Tensor) -> Tensor:
        s = _shifted(t, axes)
        return s - spread(ops.log(ops.reduce_sum(ops.exponential(s), axes=axes)), t, axes)

    return with_rule(value, (x,), _LogSoftmaxRule(axes))


@both
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))), without overflow."""
    x = to_inexact(input)
    axes = axes_of(x, dim)
    if 0 in x.shape:
        return kept(x, ops.log(ops.reduce_sum(ops.exponential(x), axes=axes)), axes, keepdim)
    top = ops.reduce_max((ops.real(x) if x.dtype.is_complex else x).detach(), axes=axes)
    top = where(top.isfinite(), top, 0)
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
        scale = where(y == 0, 0.0, g / where(y == 0, 1.0, y))
        wide = spread(scale, x, self.axes)
        return (x * (convert(wide, x.dtype)),)


def _norm(x: Tensor, p: Any, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    x = to_inexact(x)
    if p == 2:

        def value(t: Tensor) -> Tensor:
            a = ops.absolute(t) if t.dtype.is_complex else t
            return ops.sqrt(ops.reduce_sum(a * a, axes=axes))

        return kept(x, with_rule(value, (x,), _RootRule(axes), wants_inputs=True), axes, keepdim)
    a = abs_(x)
    if p == math.inf or p == -math.inf:
        return (amax if p > 0 else amin)(a, axes, keepdim)
    if p == 1:
        return sum(a, axes, keepdim)
    if p == 0:
        return convert(sum(a != 0, axes, keepdim), a.dtype)
    return sum(a**p, axes, keepdim) ** (1 / p)


@both
def norm(input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the elements along dims (all of them unless given)."""
    x = input if dtype is None else convert(input, dtypes.as_dtype(dtype))
    if isinstance(p, str):
        if p != "fro":
            raise RuntimeError(f"norm: p={p!r} is not supported; 'fro' or a number is expected  ({user_line()})")
        p = 2
    return _norm(x, float(p), axes_of(x, dim), keepdim)


@function
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    return norm(input - other, p)


# --- running and ordering ---------------------------------------------------------------------------------------


@both
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along a dim."""
    x = _accumulated(input, dtype)
    return ops.copy(x) if x.ndim == 0 else ops.cumsum(x, axis=normal_dim(dim, x.ndim), reverse=False)


def _order(x: Tensor, d: int, descending: bool) -> tuple[Tensor, Tensor]:
    plain = x.detach() if x._edge is not None else x
    plain = convert(plain, dtypes.uint8) if plain.dtype.category == BOOL else plain
    places = line(Aval(tuple(x.shape), dtypes.int64, x.device), d)
    both_sorted = ops.sort(plain, places, axis=d, descending=descending)
    values, order = (ops.result(both_sorted, index=i) for i in (0, 1))
    if x._edge is not None and mode.grad:
        values = take_along_dim(x, order, d)
    return convert(values, x.dtype), order


@both
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """(values, indices) in order along a dim; always stable, NaN last."""
    if input.ndim == 0:
        return ValuesIndices(ops.copy(input), full_like_type(convert(input, dtypes.int64), 0))
    return ValuesIndices(*_order(input, normal_dim(dim, input.ndim), descending))


@both
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    return sort(input, dim, descending)[1]


@both
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) along a dim: (values, indices), in order."""
    d = normal_dim(dim, input.ndim)
    if not 0 <= k <= (input.shape[d] if input.ndim else 1):
        raise RuntimeError(f"selected index k out of range: {k} of {list(input.shape)} at dim {d}  ({user_line()})")
    if input.ndim == 0:
        return sort(input)
    values, order = sort(input, d, largest)
    return ValuesIndices(box(values, d, 0, k), box(order, d, 0, k))


@both
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest along a dim."""
    d = normal_dim(dim, input.ndim)
    values, order = sort(input, d)
    return ValuesIndices(*(kept(input, raw_reshape(box(v, d, k - 1, k), tuple(n for i, n in enumerate(input.shape) if i != d)), (d,), keepdim) for v in (values, order)))


@both
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all; with a dim, (values, indices) along it. NaN if there is one."""
    if dim is None:
        return kthvalue_nan(raw_reshape(input, (input.numel(),)), 0, False)[0]
    return kthvalue_nan(input, normal_dim(dim, input.ndim), keepdim)


def kthvalue_nan(x: Tensor, d: int, keepdim: bool) -> Any:
    n = x.shape[d]
    values, order = kthvalue(x, (n + 1) // 2, d, True)
    if x.dtype.is_floating_point:
        bad = x.isnan()
        has = any(bad, d, True)
        first = argmax(convert(bad, dtypes.uint8), d, True)
        values, order = where(has, math.nan, values).to(x.dtype), where(has, first, order)
    shape = tuple(values.shape) if keepdim else tuple(m for i, m in enumerate(x.shape) if i != d)
    return ValuesIndices(raw_reshape(values, shape), raw_reshape(order, shape))


@function
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close; reads the answer."""
    return bool(all(input.isclose(other, rtol, atol, equal_nan)))


@both
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are equal; reads the answer."""
    return tuple(input.shape) == tuple(other.shape) and bool(all(input == other))


Tensor.allclose = allclose
