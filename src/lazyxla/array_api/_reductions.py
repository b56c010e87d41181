"""What combines, orders or finds elements: statistics, truth, sorting, searching, sets."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, NamedTuple

from ..lazy import Tensor, dtypes
from ..lazy import public as lx
from ..lazy.dtypes import DType
from ..lazy.record import user_line
from ._common import Axes, each_axis, floating, like, one_axis, operand, pair, tensor, wide

__all__ = [
    "all", "any", "argmax", "argmin", "argsort", "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "isin",
    "max", "mean", "min", "nonzero", "prod", "searchsorted", "sort", "std", "sum", "unique_all", "unique_counts",
    "unique_inverse", "unique_values", "var", "where",
]  # fmt: skip


def _reduced(name: str, torch_name: str, x: Tensor, axis: Axes, keepdims: bool, **options: Any) -> Tensor:
    """PyTorch's reduction over axes, all for None; over none of them, each element by itself."""
    axes = each_axis(name, x, axis)
    if not axes:
        x, axes = x.reshape((*x.shape, 1)), (x.ndim,)
        keepdims = False
    return lx[torch_name](x, axes, keepdim=keepdims, **options)  # type: ignore[no-any-return]


def sum(x: Tensor, /, *, axis: Axes = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """The sum; small integers add up in 64 bits, signed or not as they are."""
    d = wide(tensor("sum", x).dtype) if dtype is None else dtype
    return like(_reduced("sum", "sum", x.to(d), axis, keepdims, dtype=d), x)  # type: ignore[no-any-return]


def prod(x: Tensor, /, *, axis: Axes = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """The product; small integers multiply in 64 bits, signed or not as they are."""
    d = wide(tensor("prod", x).dtype) if dtype is None else dtype
    return like(_reduced("prod", "prod", x.to(d), axis, keepdims, dtype=d), x)  # type: ignore[no-any-return]


def mean(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean; NaN of nothing."""
    return like(_reduced("mean", "mean", floating("mean", x), axis, keepdims), x)  # type: ignore[no-any-return]


def var(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The variance, divided by the count less ``correction``."""
    y = _reduced("var", "var", floating("var", x), axis, keepdims, correction=correction)
    return like(y, x)  # type: ignore[no-any-return]


def std(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The root of the variance."""
    y = _reduced("std", "std", floating("std", x), axis, keepdims, correction=correction)
    return like(y, x)  # type: ignore[no-any-return]


def max(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest; NaN where there is one."""
    return like(_reduced("max", "amax", tensor("max", x), axis, keepdims), x)  # type: ignore[no-any-return]


def min(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest; NaN where there is one."""
    return like(_reduced("min", "amin", tensor("min", x), axis, keepdims), x)  # type: ignore[no-any-return]


def all(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether all elements hold (are not 0)."""
    return like(_reduced("all", "all", tensor("all", x).to(dtypes.bool_), axis, keepdims), x)  # type: ignore[no-any-return]


def any(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether any element holds (is not 0)."""
    return like(_reduced("any", "any", tensor("any", x).to(dtypes.bool_), axis, keepdims), x)  # type: ignore[no-any-return]


def count_nonzero(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """How many elements are not 0."""
    on = tensor("count_nonzero", x).to(dtypes.bool_)
    return like(_reduced("count_nonzero", "sum", on, axis, keepdims), x)  # type: ignore[no-any-return]


def _cumulative(name: str, torch_name: str, first: int) -> Callable[..., Tensor]:
    def f(
        x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
    ) -> Tensor:
        x = tensor(name, x)
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"{name}(): an axis is needed for an array of {x.ndim} axes  ({user_line()})")
            axis = 0
        at = one_axis(name, x, axis)
        d = wide(x.dtype) if dtype is None else dtype
        y = lx[torch_name](x.to(d), at, dtype=d)
        if include_initial:
            shape = tuple(1 if i == at else n for i, n in enumerate(x.shape))
            y = lx["cat"]([lx["full"](shape, first, dtype=d, device=x.device), y], at)
        return like(y, x)  # type: ignore[no-any-return]

    f.__name__ = f.__qualname__ = name
    return f


cumulative_sum = _cumulative("cumulative_sum", "cumsum", 0)
cumulative_sum.__doc__ = "The sums so far along an axis, beginning with 0 where ``include_initial``."
cumulative_prod = _cumulative("cumulative_prod", "cumprod", 1)
cumulative_prod.__doc__ = "The products so far along an axis, beginning with 1 where ``include_initial``."


def diff(
    x: Tensor, /, n: int = 1, axis: int = -1, *, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """Differences of neighbours along an axis, n times (which NumPy's users, and scikit-learn, also say by place)."""
    at = one_axis("diff", tensor("diff", x), axis)
    y = lx["diff"](x, n=n, dim=at, prepend=prepend, append=append) if n or prepend is not None or append is not None else x
    return like(y, x)  # type: ignore[no-any-return]


# --- searching --------------------------------------------------------------------------------------------------


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest is (the first of equal ones), in the flat array for None."""
    at = None if axis is None else one_axis("argmax", x, axis)
    return like(lx["argmax"](tensor("argmax", x), at, keepdims), x)  # type: ignore[no-any-return]


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest is (the first of equal ones), in the flat array for None."""
    at = None if axis is None else one_axis("argmin", x, axis)
    return like(lx["argmin"](tensor("argmin", x), at, keepdims), x)  # type: ignore[no-any-return]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The places of what is not 0, one array for each axis. Syncs: their number depends on the data."""
    if tensor("nonzero", x).ndim == 0:
        raise ValueError(f"nonzero(): an array of at least one axis is expected  ({user_line()})")
    return like(tuple(lx["nonzero"](x, as_tuple=True)), x)  # type: ignore[no-any-return]


def where(condition: Tensor, x1: Tensor | complex | None = None, x2: Tensor | complex | None = None, /) -> Any:
    """x1 where the condition holds, x2 elsewhere. Without either, ``nonzero``, as NumPy's users know it."""
    c = tensor("where", condition)
    if x1 is None and x2 is None:
        return nonzero(c)
    a, b = operand(x1), operand(x2)
    if not (isinstance(a, Tensor) or isinstance(b, Tensor)):
        kinds = (bool, int, float, complex)
        kind = kinds[builtins.max(next(i for i, k in enumerate(kinds) if isinstance(v, k)) for v in (a, b))]
        a, b = (lx["full"]((), v, dtype=dtypes.of_python(kind), device=c.device) for v in (a, b))
    else:
        a, b = pair("where", a, b)
    return like(lx["where"](c.to(dtypes.bool_), a, b), condition, x1, x2)  # type: ignore[no-any-return]


def searchsorted(
    x1: Tensor, x2: Tensor | float, /, *, side: str = "left", sorter: Tensor | None = None
) -> Tensor:
    """Where in the sorted x1 the elements of x2 would be put in, before ('left') or after equal ones."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted(): side is 'left' or 'right', not {side!r}  ({user_line()})")
    a, b = pair("searchsorted", tensor("searchsorted", x1), x2)
    order = None if sorter is None else sorter.to(dtypes.int64)
    return like(lx["searchsorted"](a, b, side=side, sorter=order), x1, x2)  # type: ignore[no-any-return]


def isin(x1: Tensor | int, x2: Tensor | int, /, *, invert: bool = False) -> Tensor:
    """Whether each element of x1 is (or, where ``invert``, is not) among those of x2."""
    a, b = pair("isin", x1, x2)
    return like(lx["isin"](a, b, invert=invert), x1, x2)  # type: ignore[no-any-return]


# --- sorting and sets -------------------------------------------------------------------------------------------


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """In order along an axis."""
    at = one_axis("sort", tensor("sort", x), axis)
    return like(lx["sort"](x, at, descending)[0], x)  # type: ignore[no-any-return]


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The places of the elements in order along an axis; equal ones stay in theirs."""
    at = one_axis("argsort", tensor("argsort", x), axis)
    return like(lx["argsort"](x, at, descending), x)  # type: ignore[no-any-return]


class UniqueAllResult(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAllResult:
    """The different elements, where each occurs first, which of them each element is, how often each occurs. Syncs."""
    values, inverse, counts = lx["unique"](tensor("unique_all", x), return_inverse=True, return_counts=True)
    order = lx["argsort"](inverse.reshape((-1,)))
    first = order[lx["cumsum"](counts, 0) - counts]
    return UniqueAllResult(*[like(v, x) for v in (values, first, inverse, counts)])


def unique_counts(x: Tensor, /) -> UniqueCountsResult:
    """The different elements and how often each occurs. Syncs."""
    return UniqueCountsResult(*[like(v, x) for v in lx["unique"](tensor("unique_counts", x), return_counts=True)])


def unique_inverse(x: Tensor, /) -> UniqueInverseResult:
    """The different elements and which of them each element is. Syncs."""
    return UniqueInverseResult(*[like(v, x) for v in lx["unique"](tensor("unique_inverse", x), return_inverse=True)])


def unique_values(x: Tensor, /) -> Tensor:
    """The different elements. Syncs: their number depends on the data."""
    return like(lx["unique"](tensor("unique_values", x)), x)  # type: ignore[no-any-return]
