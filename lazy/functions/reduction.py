"""Functions that combine elements along dims: sums, means, variances, truth, extremes."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes, ops
from ..dtypes import COMPLEX
from ..graph import Aval
from ..record import mode, user_line
from ..tensors import Tensor
from ._register import both, function
from .conversion import convert, full_like_type, promote, tensors_only
from .creation import line
from .elementwise import isnan
from .returned import VALUES_INDICES, returned
from .shape import normal_dim, raw_reshape

Dims = int | Sequence[int] | None
MinMax: Any = returned("aminmax")(namedtuple("aminmax", ["min", "max"]))


def axes_of(x: Tensor, dim: Dims) -> tuple[int, ...]:
    """The dims to reduce: all for None or an empty list."""
    if not (dim is None or hasattr(dim, "__index__") or isinstance(dim, Sequence)):
        raise TypeError(f"dim must be int or a tuple of ints, not {type(dim).__name__}  ({user_line()})")
    if dim is None or (isinstance(dim, Sequence) and len(dim) == 0):
        return tuple(range(x.ndim))
    dims = list(dim) if isinstance(dim, Sequence) else [dim]
    for d in dims:
        if not hasattr(d, "__index__"):
            raise TypeError(f"dim must be int or a tuple of ints, not {type(d).__name__}  ({user_line()})")
    found = [normal_dim(d, x.ndim) for d in dims]
    if len(set(found)) != len(found):
        twice = next(d for d in found if found.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims  ({user_line()})")
    return tuple(sorted(found)) if x.ndim else ()


def kept(x: Tensor, y: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    if not keepdim:
        return y
    return raw_reshape(y, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def spread(y: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A reduced value repeated over the dims that were reduced."""
    dims = tuple(i for i in range(x.ndim) if i not in axes)
    return ops.broadcast_in_dim(y, shape=tuple(x.shape), dims=dims)


def accumulated(x: Tensor, dtype: Any) -> Tensor:
    if dtype is not None:
        return convert(x, dtypes.as_dtype(dtype))
    return convert(x, dtypes.int64) if x.dtype.category < dtypes.FLOAT else x


@both
def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over dims; integers and bools add up as int64."""
    x = accumulated(input, dtype)
    axes = axes_of(x, dim)
    return kept(x, ops.reduce_sum(x, axes=axes), axes, keepdim)


@both
def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over dims."""
    x = input if dtype is None else convert(input, dtypes.as_dtype(dtype))
    if not x.dtype.is_inexact:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {x.dtype.name}"
            f"  ({user_line()})"
        )
    axes = axes_of(x, dim)
    count = math.prod(x.shape[a] for a in axes)
    total = ops.reduce_sum(x, axes=axes)
    y = ops.multiply(total, full_like_type(total, 1 / count)) if count else ops.divide(total, full_like_type(total, 0))
    return kept(x, y, axes, keepdim)


def _without_nan(x: Tensor) -> Tensor:
    return ops.select(isnan(x), full_like_type(x, 0), x) if x.dtype.is_inexact else x


@both
def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over dims, NaN counted as 0."""
    if input.dtype.is_complex:
        raise RuntimeError(f"nansum does not support complex inputs  ({user_line()})")
    return sum(_without_nan(input), dim, keepdim, dtype=dtype)


@both
def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over dims of what is not NaN."""
    if not input.dtype.is_inexact:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype.name}"
            f"  ({user_line()})"
        )
    count = sum(ops.logical_not(isnan(input.detach())), dim, keepdim)
    return sum(_without_nan(input), dim, keepdim, dtype=dtype) / count


@both
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product over a dim or all."""
    x = accumulated(input, dtype)
    axes = axes_of(x, dim)
    return kept(x, ops.reduce_prod(x, axes=axes), axes, keepdim)


def _variance(x: Tensor, dim: Dims, correction: Any, unbiased: Any, keepdim: bool) -> tuple[Tensor, Tensor]:
    if not x.dtype.is_inexact:
        raise RuntimeError(f"std and var only support floating point and complex dtypes  ({user_line()})")
    if isinstance(dim, bool):  # var(input, unbiased)
        dim, unbiased = None, dim
    axes = axes_of(x, dim)
    ddof = (1 if correction is None else correction) if unbiased is None else int(unbiased)
    count = math.prod(x.shape[a] for a in axes)
    m = mean(x, axes, keepdim=True) if axes else x
    d = x - m
    square = ops.real(d * d.conj()) if x.dtype.category == COMPLEX else d * d
    total = ops.reduce_sum(square, axes=axes)
    left = count - ddof if count > ddof else 0
    v = ops.multiply(total, full_like_type(total, 1 / left)) if left else ops.divide(total, full_like_type(total, 0))
    return kept(x, v, axes, keepdim), m if keepdim else raw_reshape(m, tuple(v.shape))


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
    """The root of ``var``; where that is 0 all gradients are."""
    return _root(_variance(input, dim, correction, unbiased, keepdim)[0])


def _root(v: Tensor) -> Tensor:
    still = ops.compare(v, full_like_type(v, 0), direction="EQ")
    return ops.select(still, full_like_type(v, 0), ops.sqrt(ops.select(still, full_like_type(v, 1), v)))


@function
def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """``var`` and ``mean``."""
    return _variance(input, dim, correction, unbiased, keepdim)


@function
def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """``std`` and ``mean``."""
    v, m = _variance(input, dim, correction, unbiased, keepdim)
    return _root(v), m


def _truth(name: str, op: Any) -> Callable[..., Tensor]:
    def f(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        x = convert(input, dtypes.bool_)
        axes = () if dim == () else axes_of(x, dim)  # no dims named: each element by itself
        y = kept(x, op(x, axes=axes), axes, keepdim)
        return convert(y, dtypes.uint8) if input.dtype is dtypes.uint8 else y

    f.__name__ = name
    f.__doc__ = f"Whether {name} of the elements along dims hold (uint8 for uint8)."
    return both(f)


all = _truth("all", ops.reduce_and)
any = _truth("any", ops.reduce_or)


@both
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not zero."""
    return sum(convert(input, dtypes.bool_), dim)


# --- extremes ---------------------------------------------------------------------------------------------------


def _not_empty(x: Tensor, axes: tuple[int, ...], name: str, given: bool) -> None:
    for a in axes:
        if x.shape[a] == 0:
            if given:
                raise IndexError(f"{name}(): Expected reduction dim {a} to have non-zero size.  ({user_line()})")
            raise (IndexError if name.startswith("arg") else RuntimeError)(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                "with the "
                f"'dim' argument.  ({user_line()})"
            )


def _extreme(name: str, op: Any) -> Callable[..., Tensor]:
    def f(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
        axes = axes_of(input, dim)
        _not_empty(input, axes, name, dim is not None)
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
        if x.dtype is dtypes.bool_:
            raise RuntimeError(f"arg{name}(): does not support bool input  ({user_line()})")
        return places_of(x, dim, keepdim)

    def places_of(x: Tensor, dim: int | None, keepdim: bool = False) -> Tensor:
        if dim is None:
            _not_empty(x, tuple(range(x.ndim)), f"arg{name}", False)
            flat = op(raw_reshape(x, (x.numel(),)), axis=0)
            return raw_reshape(flat, (1,) * x.ndim) if keepdim else flat
        if x.ndim == 0:
            normal_dim(dim, 0)
            return full_like_type(convert(x, dtypes.int64), 0)
        d = normal_dim(dim, x.ndim)
        _not_empty(x, (d,), f"arg{name}", True)
        return kept(x, op(x, axis=d), (d,), keepdim)

    found = VALUES_INDICES[name]

    def f(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        if dim is None:
            if not input.numel():
                _not_empty(input, tuple(range(input.ndim)), name, False)
            return extreme(input)
        plain = input.detach() if input._edge is not None else input
        if input.ndim == 0:
            return found(ops.copy(input), places_of(plain, dim))
        d = normal_dim(dim, input.ndim)
        _not_empty(input, (d,), name, True)
        places = places_of(plain, d)
        values = _selected(input, places, d, pick)
        return found(kept(input, values, (d,), keepdim), kept(input, places, (d,), keepdim))

    arg.__name__, f.__name__ = f"arg{name}", name
    f.__doc__ = f"The {name} of all; with a dim, (values, indices) along it; with a tensor, elementwise."
    return both(arg), both(f)


def _pairwise(op: Any) -> Any:
    def f(a: Tensor, b: Tensor) -> Tensor:
        tensors_only(a, b)
        return op(*promote(a, b))

    return f


argmax, max = _arg("max", ops.argmax, amax, ops.reduce_max, _pairwise(ops.maximum))
argmin, min = _arg("min", ops.argmin, amin, ops.reduce_min, _pairwise(ops.minimum))


@both
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest."""
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@both
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements are equal; reads the answer."""
    return input.shape == other.shape and bool(all(input == other))


@both
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close; reads the answer."""
    return bool(all(input.isclose(other, rtol, atol, equal_nan)))
