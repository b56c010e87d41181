"""Copies of tensors, by Python's protocols: ``copy.copy`` shares memory, ``copy.deepcopy`` and ``pickle`` take the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import devices

if TYPE_CHECKING:
    from .tensors import Tensor


class Copyable:
    """What tensors and parameters have of it."""

    __slots__ = ()

    def __copy__(self: Any) -> Any:
        """Another tensor of the same memory, a leaf where this one is, with the same attributes."""
        out = type(self)._make_subclass(type(self), self.detach(), self.requires_grad)
        out.__dict__.update(self.__dict__)
        return out

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        """A leaf with its own memory; RuntimeError for a tensor with history."""
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        if id(self) in memo:
            return memo[id(self)]
        out = type(self)._make_subclass(type(self), self.detach().clone(), self.requires_grad)
        if self._meta is not None and self._meta.grad is not None:
            out.grad = self._meta.grad.__deepcopy__(memo)
        out.__dict__.update(self.__dict__)
        memo[id(self)] = out
        return out

    def __reduce_ex__(self: Any, protocol: Any) -> tuple[Any, ...]:
        """Values, device and attributes; no history and no gradient, as in PyTorch. Tensors of one memory are apart then."""
        array = self.detach()._array("pickling a tensor")
        array = np.ascontiguousarray(array).reshape(array.shape)
        return _unpickled, (type(self), array, str(self.device), self.requires_grad), self.__dict__ or None


def _unpickled(kind: type, array: np.ndarray, device: str, requires_grad: bool) -> Tensor:
    from .functions.creation import from_host
    from .tensors import Tensor

    t = from_host(array, devices.canonical(device))
    if kind is Tensor:
        return t.requires_grad_(requires_grad)
    return Tensor._make_subclass(kind, t, requires_grad)  # type: ignore[no-any-return]


__all__ = ["Copyable"]
