"""Assertions as functions, such as ``torch._assert`` and ``torch._check``; other names of a product and of sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import lazy as lx
from .lazy import Tensor, public
from .lazy.record import user_line


def _assert(condition: Any, message: str) -> None:
    """AssertionError unless ``condition``; a tensor is read."""
    if not condition:
        raise AssertionError(message)


def _checker(name: str, error: type[Exception]) -> Callable[..., None]:
    def check(cond: bool, message: Callable[[], Any] | None = None) -> None:
        if not isinstance(cond, bool):
            kind = type(cond).__name__
            hint = ". For tensor conditions, use _check_tensor_all()" if isinstance(cond, Tensor) else ""
            raise TypeError(f"cond must be a bool, but got a {kind}{hint}  ({user_line()})")
        if cond:
            return
        if message is None:
            raise error(f"Expected cond to be True, but got False.  ({user_line()})")
        if not callable(message):
            raise TypeError(f"message must be a callable  ({user_line()})")
        raise error(str(message()))

    check.__name__ = name
    check.__doc__ = f"{error.__name__} unless ``cond``; ``message`` is called for its words."
    return check


_check_index = _checker("_check_index", IndexError)
_check_value = _checker("_check_value", ValueError)
_check_type = _checker("_check_type", TypeError)
_check_not_implemented = _checker("_check_not_implemented", NotImplementedError)
_check = _checker("_check", RuntimeError)


def _check_is_size(i: Any, message: Callable[[], Any] | None = None, *, max: int | None = None) -> None:
    """RuntimeError unless ``i`` may be a size: not negative, and not above ``max``."""
    _check(bool(i >= 0), message)
    _check(max is None or bool(i <= max), message)


def _check_tensor_all(cond: Tensor, message: Callable[[], Any] | None = None) -> None:
    """RuntimeError unless every element of ``cond`` is true: reads them."""
    _check(bool(cond.all().item()), message)


def _shape_as_tensor(self: Tensor) -> Tensor:
    """The sizes as a tensor of int64."""
    return public["tensor"](list(self.shape), dtype=lx.int64)


PUBLIC: dict[str, Any] = {
    f.__name__: f
    for f in (
        _assert, _check, _check_index, _check_is_size, _check_not_implemented, _check_tensor_all, _check_type,
        _check_value, _shape_as_tensor,
    )
} | {"dsmm": public["mm"]}  # fmt: skip
