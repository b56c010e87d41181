"""``Parameter`` and ``Buffer``: tensors that register themselves when they are assigned to a module."""

from __future__ import annotations

from copy import copy
from typing import Any

from .. import lazy as lx
from ..lazy import Tensor
from ..lazy.subclassing import no_say


class Parameter(Tensor):
    """A tensor that a module trains: it shares the memory of ``data`` and by default requires grad.

    Raises RuntimeError for a type that cannot carry a gradient, unless ``requires_grad`` is false.
    """

    __slots__ = ()
    __torch_function__ = no_say  # type: ignore[assignment]  # what is computed with parameters is plain tensors

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
    __torch_function__ = no_say  # type: ignore[assignment]

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        out = Tensor._make_subclass(cls, lx.empty(0) if data is None else data)
        out.persistent = persistent
        return out

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Buffer containing:\n" + self._text()


class UninitializedTensorMixin:
    """A parameter or buffer whose shape is not known yet; ``materialize`` gives it one."""

    __slots__ = ()
    __torch_function__ = no_say
    cls_to_become: type

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary parameter or buffer of the shape, with values that do not matter."""
        place = {"device": self.device if device is None else device, "dtype": self.dtype if dtype is None else dtype}
        self.data = lx.empty(tuple(shape), **place)
        self.__class__ = self.cls_to_become

    def detach(self) -> Any:
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    def __copy__(self: Any) -> Any:
        return type(self)(self.requires_grad, self.device, self.dtype)

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = copy(self)
        return memo[id(self)]

    def __reduce_ex__(self: Any, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad, str(self.device), self.dtype)


def is_lazy(value: Any) -> bool:
    """Whether a tensor is a parameter or buffer without a shape."""
    return isinstance(value, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape is not known yet."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return Tensor._make_subclass(cls, lx.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc]
    """A buffer whose shape is not known yet."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Any:
        out = Tensor._make_subclass(cls, lx.empty(0, device=device, dtype=dtype), requires_grad)
        out.persistent = persistent
        return out
