"""``Parameter`` and ``Buffer``: tensors that register themselves when they are assigned to a module."""

from __future__ import annotations

from typing import Any

from .. import lazy as lx
from ..lazy import Tensor


class Parameter(Tensor):
    """A tensor that a module trains: it shares the memory of ``data`` and by default requires grad.

    Raises RuntimeError for a type that cannot carry a gradient, unless ``requires_grad`` is false.
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Any:
        if data is None:
            data = lx.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter() expects a tensor, not {type(data).__name__}")
        return Tensor._make_subclass(cls, data, requires_grad)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Parameter containing:\n" + self._text()


class Buffer(Tensor):
    """A tensor that a module keeps but does not train, in its state dict unless ``persistent`` is false."""

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        out = Tensor._make_subclass(cls, lx.empty(0) if data is None else data)
        out.persistent = persistent
        return out

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Buffer containing:\n" + self._text()
