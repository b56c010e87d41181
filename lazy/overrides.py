"""PyTorch's protocol ``__torch_function__``: what functions of tensors do with objects that are none, said by their types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .record import user_line
from .tensors import Tensor


class OtherTensor:
    """What is a tensor without being one array, as a sparse one is. ``is_tensor`` and modules' buffers take it."""

    __slots__ = ()

    def _parts(self) -> tuple[Any, tuple[Tensor, ...]]:
        """What it is besides tensors, hashable, and the tensors that it is made of."""
        raise NotImplementedError

    @classmethod
    def _of_parts(cls, static: Any, parts: Any) -> OtherTensor:
        """The same of other tensors."""
        raise NotImplementedError


#: What is asked for where a tensor is: an array, or another kind of tensor.
ANY_TENSOR: tuple[Any, ...] = (Tensor, OtherTensor)

# The function behind an operator; with an "r" in front, the operands change places.
_OPERATORS = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge",
}  # fmt: skip


def foreign(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments, and items of lists and tuples among them, whose types have ``__torch_function__``."""
    found: list[Any] = []
    for x in (*args, *kwargs.values()) if kwargs else args:
        kind = type(x)
        if kind is Tensor:
            continue
        if kind is list or kind is tuple:
            found += [y for y in x if _is_foreign(y)]
        elif _is_foreign(x):
            found.append(x)
    return found  # type: ignore[no-any-return]


def _is_foreign(x: Any) -> bool:
    kind = type(x)
    return (
        kind is not Tensor and hasattr(kind, "__torch_function__") and not isinstance(x, (Tensor, type))
        and not _of_pytorch(kind)
    )  # fmt: skip


def _of_pytorch(kind: type) -> bool:
    """Whether a type is PyTorch's own tensor, whose ``__torch_function__`` would call the function again: it is an array
    like others, for functions that take arrays."""
    return any(c.__name__ == "TensorBase" and c.__module__ == "torch._C" for c in kind.__mro__)


def kind_of(x: Any) -> str:
    """The name of a type for a message; with its module where it is called as ours is."""
    kind = type(x)
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__ == Tensor.__name__ else kind.__name__


def overridden(f: Callable[..., Any], others: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the types of ``others`` make of a call: the first answer that is not NotImplemented, subclasses asked first.

    TypeError where there is none; for an operator NotImplemented, so that Python goes on asking.
    """
    name = f.__name__
    operator = name.startswith("__")
    if operator:
        word = name.strip("_")
        if word not in _OPERATORS:
            word, args = word[1:], args[::-1]
        name = _OPERATORS.get(word, name)
    found = answer(_public(name, f), others, args, kwargs)
    if found is NotImplemented and not operator:
        raise unanswered(f"torch.{name}", others)
    return found


def operation(f: Callable[..., Any]) -> Callable[..., Any]:
    """What the types of a call of ``f`` are asked about: for an operator of two tensors, the function behind it."""
    name = _OPERATORS.get(f.__name__.strip("_")) if f.__name__.startswith("__") else None
    return f if name is None else _public(name, f)


def answer(function: Callable[..., Any], others: list[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The first answer of the types of ``others`` that is not NotImplemented, or that."""
    types = _types(others)
    for kind in types:
        found = kind.__torch_function__(function, tuple(types), args, kwargs)  # type: ignore[attr-defined]
        if found is not NotImplemented:
            return found
    return NotImplemented


def _types(others: list[Any]) -> list[type]:
    """Those of ``others``, each once, a subclass before its base."""
    types: list[type] = []
    for x in others:
        kind = type(x)
        if kind not in types:
            before = [i for i, t in enumerate(types) if issubclass(kind, t)]
            types.insert(before[0] if before else len(types), kind)
    return types


def unanswered(name: str, others: list[Any]) -> TypeError:
    """What to raise where none of the types of ``others`` has an answer."""
    listed = "".join(f"\n  - tensor subclass {kind}" for kind in _types(others))
    return TypeError(
        f"Multiple dispatch failed for '{name}'; all __torch_function__ handlers returned NotImplemented:\n{listed}"
        f"\n({user_line()})"
    )


def _public(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """The function as users have it."""
    from .functions._register import public

    found: Any = public.get(name) or getattr(Tensor, name, f)
    return found  # type: ignore[no-any-return]


__all__ = ["ANY_TENSOR", "OtherTensor", "answer", "foreign", "kind_of", "operation", "overridden", "unanswered"]
