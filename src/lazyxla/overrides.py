"""``torch.overrides``: for functions of the user's own that ask ``__torch_function__`` as those of the library do, and
modes, which are asked about every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .lazy import Tensor
from .lazy.overrides import ANY_TENSOR, answer, foreign, unanswered
from .lazy.subclassing import asked, asks, heard, speaks


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor, or its type has ``__torch_function__``."""
    return isinstance(inp, ANY_TENSOR) or hasattr(type(inp), "__torch_function__")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether somebody is to be asked: a mode, or the type of one of the arguments, which is no plain tensor."""
    return bool(asked.modes) or any(map(_speaks, relevant_args))


def _speaks(x: Any) -> bool:
    if isinstance(x, Tensor):
        return asked.subclasses and speaks(x)
    return not isinstance(x, (list, tuple)) and bool(foreign((x,), {}))


def has_torch_function_unary(arg: Any) -> bool:
    """``has_torch_function`` of one argument."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """``has_torch_function`` of arguments given one by one."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the last mode, or else the types of ``relevant_args``, make of ``public_api(*args, **kwargs)``: the first answer
    of their ``__torch_function__`` that is not NotImplemented, subclasses asked first. TypeError where there is none."""
    others = [x for x in relevant_args if _speaks(x)]
    found = heard(public_api, others, args, kwargs) if asked.modes else answer(public_api, others, args, kwargs)
    if found is NotImplemented:
        raise unanswered(f"{public_api.__module__}.{public_api.__name__}", others)
    return found


class TorchFunctionMode:
    """``with Mode():`` every call of a function or an operator goes to its ``__torch_function__(func, types, args, kwargs)``,
    whose own calls go to the modes around it. Properties of plain tensors are not asked about."""

    def __enter__(self) -> TorchFunctionMode:
        asks.append(self)
        asked.modes = (*asked.modes, self)
        return self

    def __exit__(self, *error: Any) -> None:
        asks.remove(self)
        asked.modes = asked.modes[:-1]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise NotImplementedError


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that makes each call as it is."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def get_default_nowrap_functions() -> set[Any]:
    """The getters whose results ``Tensor.__torch_function__`` leaves as they are: they are other tensors' own."""
    return {Tensor._base.__get__, Tensor.grad.__get__}  # type: ignore[attr-defined]


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether ``func`` is a method of ``Tensor``, or the getter or setter of a property."""
    return getattr(func, "__name__", "") in ("__get__", "__set__") or func in vars(Tensor).values()


__all__ = [
    "BaseTorchFunctionMode",
    "TorchFunctionMode",
    "get_default_nowrap_functions",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
]
