"""Functions of lists of tensors, each as one call: ``_foreach_add`` and its kin, which optimizers are written with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..record import user_line
from ..tensors import Tensor
from . import contraction, pointwise  # noqa: F401  (with what they import, all that is said of lists here)
from ._register import function, public

# name -> how many operands it takes beside the list, each a list of as many tensors or numbers, or one number for all
_NAMES = {
    **dict.fromkeys(
        "abs acos asin atan ceil clone cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round "
        "rsqrt sigmoid sign sin sinh sqrt tan tanh trunc".split(), 0,
    ),
    **dict.fromkeys("add sub mul div pow clamp_min clamp_max maximum minimum mm".split(), 1),
    **dict.fromkeys("lerp addcmul addcdiv".split(), 2),
}  # fmt: skip
_NOT_IN_PLACE = {"clone", "mm"}
_ALSO_OF_NUMBERS = {"maximum": "clamp_min", "minimum": "clamp_max"}


def _list(given: Any, name: str) -> list[Tensor]:
    """The tensors of a list; TypeError for anything else in it, RuntimeError where it is empty."""
    if isinstance(given, Tensor) or not isinstance(given, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'self' (position 1) must be tuple of Tensors, not {type(given).__name__}  ({user_line()})"
        )
    for i, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): expected Tensor as element {i} in argument 0, but got {type(t).__name__}  ({user_line()})"
            )
    if not given:
        raise RuntimeError(f"{name}(): Tensor list must have at least one tensor.  ({user_line()})")
    return list(given)


def _for_each(given: Any, count: int, name: str) -> Sequence[Any]:
    """An operand for each of ``count`` tensors: those of a list, or the one that is given."""
    if isinstance(given, (list, tuple)):
        if len(given) == count:
            return given
        if given and isinstance(given[0], Tensor):
            raise RuntimeError(
                f"{name}(): Tensor lists must have the same number of tensors, got {count} and {len(given)}  ({user_line()})"
            )
        raise RuntimeError(f"{name}(): Tensor list must have same number of elements as scalar list.  ({user_line()})")
    if isinstance(given, Tensor) and given.ndim:
        raise RuntimeError(
            f"{name}(): scalar tensor expected to be 0 dim but it has {given.ndim} dimensions and {given.numel()} elements.  "
            f"({user_line()})"
        )
    return [given] * count


def _results(kind: str, f: Callable[..., Tensor], operands: int) -> None:
    """Say ``_foreach_<kind>``, which gives ``f`` of each tensor."""

    def each(self: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        return tuple([f(*given, **more) for given, more in _calls(self, args, kwargs, operands, each.__name__)])

    _named(each, kind)


def _writes(kind: str, f: Callable[..., Any], operands: int) -> None:
    """Say ``_foreach_<kind>``, which lets ``f`` write into each tensor."""

    def each(self: Any, *args: Any, **kwargs: Any) -> None:
        for given, more in _calls(self, args, kwargs, operands, each.__name__):
            f(*given, **more)

    _named(each, kind)


def _named(each: Callable[..., Any], kind: str) -> None:
    each.__name__, each.__doc__ = f"_foreach_{kind}", f"``{kind}`` of each tensor of a list."
    function(each)


# what PyTorch calls the operands, where they are given by name
_WORDS = {1: ("other", "exponent"), 2: ("tensor1", "tensor2", "tensors1", "weight", "weights", "end")}


def _calls(
    self: Any, args: tuple[Any, ...], kwargs: dict[str, Any], operands: int, name: str
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call: positional ones, and others by name."""
    tensors = _list(self, name)
    kwargs = dict(kwargs)
    args += tuple([kwargs.pop(word) for word in _WORDS.get(operands, ()) if word in kwargs and len(args) < operands])
    if operands == 2 and len(args) == 3:
        kwargs["value"] = args[2]
    lists = [_for_each(a, len(tensors), name) for a in args[:operands]]
    if len(lists) < operands:
        raise TypeError(
            f"{name}(): {operands} operand(s) expected beside the list, but got {len(lists)}  ({user_line()})"
        )
    values = kwargs.pop("value", kwargs.pop("scalars", None))
    if isinstance(values, Tensor) and values.ndim == 1:
        values = values.tolist()
    if values is None:
        return [(given, kwargs) for given in zip(tensors, *lists)]
    each = _for_each(values, len(tensors), name)
    return [(given, {**kwargs, "value": value}) for given, value in zip(zip(tensors, *lists), each)]


for _kind, _operands in _NAMES.items():
    _of_one = _ALSO_OF_NUMBERS.get(_kind, _kind)
    _results(_kind, public[_of_one], _operands)
    if _kind not in _NOT_IN_PLACE:
        _writes(f"{_kind}_", getattr(Tensor, f"{_of_one}_"), _operands)
_writes("zero_", lambda t: t.zero_(), 0)
_writes("copy_", Tensor.copy_, 1)
_pow = public["_foreach_pow"]


@function
def _foreach_pow(self: Any, exponent: Any) -> tuple[Tensor, ...]:
    """Powers of each tensor of a list, or of one number by each."""
    if isinstance(self, (list, tuple)):
        return _pow(self, exponent)  # type: ignore[no-any-return]
    return tuple([public["pow"](self, e) for e in _list(exponent, "_foreach_pow")])


@function
def _foreach_norm(self: Any, ord: float = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The vector norm of each tensor of a list."""
    return tuple([public["norm"](t, ord, dtype=dtype) for t in _list(self, "_foreach_norm")])


@function
def _foreach_max(self: Any) -> tuple[Tensor, ...]:
    """The largest element of each tensor of a list."""
    return tuple([public["amax"](t) for t in _list(self, "_foreach_max")])
