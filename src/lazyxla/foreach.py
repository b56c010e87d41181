"""``torch._foreach_*``, in which optimizers of others are written: one function over lists of tensors, tensor by tensor.

XLA compiles a step as one program, so nothing is gained by them here and nothing lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import linalg
from .lazy import Tensor
from .lazy.record import user_line

Tensors = Sequence[Tensor]

_UNARY = (
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log",
    "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
    "trunc",
)  # fmt: skip
_BINARY = ("add", "clamp_max", "clamp_min", "div", "maximum", "minimum", "mul", "pow", "sub")
_NAMES = {"maximum": "clamp_min", "minimum": "clamp_max"}  # which take numbers too


def _lists(*lists: Sequence[Any]) -> int:
    """How long the lists are; RuntimeError where one is empty or not as long as the first."""
    n = len(lists[0])
    if n == 0:
        raise RuntimeError(f"Tensor list must have at least one tensor.  ({user_line()})")
    for other in lists[1:]:
        if len(other) != n:
            what = "Tensor list must have same number of elements as scalar list"
            if all(isinstance(t, Tensor) for t in other):
                what = "Tensor lists must have the same number of tensors"
            raise RuntimeError(f"{what}, got {n} and {len(other)}  ({user_line()})")
    return n


def _each(value: Any, n: int) -> Sequence[Any]:
    """One value for each of ``n`` tensors, given one for all or a list."""
    return value if isinstance(value, (list, tuple)) else [value] * n


def _unary(name: str) -> Callable[..., Any]:
    def forall(self: Tensors) -> Any:
        _lists(self)
        found = [getattr(t, name)() for t in self]
        return found if name.endswith("_") else tuple(found)

    return forall


def _binary(name: str) -> Callable[..., Any]:
    stem = name.rstrip("_")
    method = _NAMES.get(stem, stem) + name[len(stem) :]

    def forall(self: Tensors, other: Any, **options: Any) -> Any:
        if stem == "pow" and not isinstance(self, (list, tuple)):  # a number to the power of each
            return tuple(self**t for t in other)
        others = _each(other, len(self))
        _lists(self, others)
        found = [getattr(t, method)(o, **options) for t, o in zip(self, others)]
        return found if name.endswith("_") else tuple(found)

    return forall


def _ternary(name: str) -> Callable[..., Any]:
    def forall(self: Tensors, tensor1: Tensors, tensor2: Tensors, value: Any = 1, scalars: Any = None) -> Any:
        n = _lists(self, tensor1, tensor2)
        values = value if scalars is None else scalars
        if isinstance(values, Tensor) and values.dim():
            values = [values[i] for i in range(values.shape[0])]
        values = _each(values, n)
        _lists(self, values)
        found = [
            getattr(t, name)(a * v if isinstance(v, Tensor) else a, b, **({} if isinstance(v, Tensor) else {"value": v}))
            for t, a, b, v in zip(self, tensor1, tensor2, values)
        ]
        return found if name.endswith("_") else tuple(found)

    return forall


def _lerp(name: str) -> Callable[..., Any]:
    def forall(self: Tensors, tensors1: Tensors, weights: Any = None, *, weight: Any = None, scalars: Any = None) -> Any:
        given = next(w for w in (weights, weight, scalars) if w is not None)
        n = _lists(self, tensors1)
        each = _each(given, n)
        _lists(self, each)
        found = [getattr(t, name)(e, w) for t, e, w in zip(self, tensors1, each)]
        return found if name.endswith("_") else tuple(found)

    return forall


def _foreach_zero_(self: Tensors) -> None:
    """Write zeros into each."""
    _lists(self)
    for t in self:
        t.zero_()


def _foreach_copy_(self: Tensors, src: Tensors, non_blocking: bool = False) -> list[Tensor]:
    """Write each of ``src`` into each of ``self``."""
    _lists(self, src)
    return [t.copy_(s, non_blocking) for t, s in zip(self, src)]


def _foreach_clone(self: Tensors) -> tuple[Tensor, ...]:
    """A copy of each."""
    _lists(self)
    return tuple(t.clone() for t in self)


def _foreach_norm(self: Tensors, ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each, as ``linalg.vector_norm``."""
    _lists(self)
    return tuple(linalg.vector_norm(t, ord, dtype=dtype) for t in self)


def _foreach_max(self: Tensors) -> tuple[Tensor, ...]:
    """The greatest element of each."""
    _lists(self)
    return tuple(t.max() for t in self)


PUBLIC: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (_foreach_zero_, _foreach_copy_, _foreach_clone, _foreach_norm, _foreach_max)
}
for _names, _make in ((_UNARY, _unary), (_BINARY, _binary), (("addcmul", "addcdiv"), _ternary), (("lerp",), _lerp)):
    for _name in (*_names, *(f"{n}_" for n in _names)):
        PUBLIC[f"_foreach_{_name}"] = _make(_name)
