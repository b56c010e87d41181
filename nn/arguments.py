"""What the methods of ``Module`` read from their arguments, and how their messages name a type."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from ..lazy import Tensor


def typename(value: Any) -> str:
    """The type of a value as PyTorch's messages name it."""
    if isinstance(value, Tensor):
        return value.type()
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The device and dtype that the arguments of ``Module.to`` name."""
    kwargs = dict(kwargs)
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    like = kwargs.pop("tensor", None)
    kwargs.pop("non_blocking", None)
    kwargs.pop("memory_format", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for i, a in enumerate((*args, like)):
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, lx.DType):
            dtype = a
        elif isinstance(a, str | lx.device) or (type(a) is int and i == 0):
            device = a
        elif a is not None and not isinstance(a, bool):
            raise TypeError(f"to() received an invalid argument of type {type(a).__name__}: {a!r}")
    return device, dtype
