"""``Variable``, the name that tensors with gradients once had."""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor


class _AnyTensor(type):
    """Every tensor is a Variable, and making one gives a tensor."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor)

    def __call__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        out = data.detach()
        return out.requires_grad_() if requires_grad else out


class Variable(metaclass=_AnyTensor):
    """``Variable(tensor, requires_grad=False)``: a tensor on the same memory, as old programs write it."""
