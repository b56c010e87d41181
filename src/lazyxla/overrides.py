"""``torch.overrides``: for functions of the user's own that ask ``__torch_function__`` as those of the library do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .lazy.overrides import ANY_TENSOR, answer, foreign, unanswered


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor, or its type has ``__torch_function__``."""
    return isinstance(inp, ANY_TENSOR) or hasattr(type(inp), "__torch_function__")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether the type of one of the arguments, not a tensor of the library, has ``__torch_function__``."""
    return any(foreign((x,), {}) for x in relevant_args if not isinstance(x, (list, tuple)))


def has_torch_function_unary(arg: Any) -> bool:
    """``has_torch_function`` of one argument."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """``has_torch_function`` of arguments given one by one."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the types of ``relevant_args`` make of ``public_api(*args, **kwargs)``: the first answer of their
    ``__torch_function__`` that is not NotImplemented, subclasses asked first. TypeError where there is none."""
    others = [x for x in relevant_args if has_torch_function_unary(x)]
    found = answer(public_api, others, args, kwargs)
    if found is NotImplemented:
        raise unanswered(f"{public_api.__module__}.{public_api.__name__}", others)
    return found


__all__ = [
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
]
