"""``Array``: a tensor whose operators and indexing are the standard's; and what the standard asks of every tensor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import devices
from ..lazy import Tensor, dtypes
from ..lazy import public as lx
from ..lazy.record import user_line
from ..lazy.subclassing import no_say
from . import _elementwise as e
from ._common import like
from ._dtypes import SCALARS
from .linalg import matmul

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class _Count(int):
    """A number of elements that can also be called, as PyTorch's ``size`` is: ``x.size``, ``x.size()``, ``x.size(0)``."""

    shape: Any

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


def _plain_key(x: Tensor, key: Any) -> tuple[Any, tuple[int, ...]]:
    """A key in PyTorch's terms, and the axes of x to turn round first: PyTorch has no negative steps."""
    items = list(key) if isinstance(key, tuple) else [key]
    turned: list[int] = []
    axis = 0
    for i, item in enumerate(items):
        if isinstance(item, Tensor) and item.ndim == 0 and item.dtype is dtypes.bool_:
            items[i] = item = bool(item)
        if isinstance(item, Tensor) and item.dtype is dtypes.uint8:
            items[i] = item = item.to(dtypes.int64)  # PyTorch's old masks
        if isinstance(item, Tensor) and item.dtype is dtypes.bool_ and 0 in item.shape:
            part = tuple(x.shape[axis : axis + item.ndim])
            if len(part) == item.ndim and all(n in (0, m) for n, m in zip(item.shape, part)):
                items[i] = item = lx["zeros"](part, dtype=dtypes.bool_, device=x.device)  # as NumPy, an empty axis fits any
        if item is None or isinstance(item, bool):
            continue
        if item is Ellipsis:
            rest = items[i + 1 :]
            axis = x.ndim - sum(_spans(r) for r in rest)
            continue
        if isinstance(item, slice) and item.step is not None and item.step < 0 and axis < x.ndim:
            n = x.shape[axis]
            start, stop, step = item.indices(n)
            turned.append(axis)
            count = max(0, -((stop - start) // -step)) if stop < start else 0
            first = n - 1 - start
            items[i] = slice(first, first + count * -step, -step) if count else slice(0, 0)
        axis += _spans(item)
    return (tuple(items) if isinstance(key, tuple) else items[0]), tuple(turned)


def _spans(item: Any) -> int:
    """How many axes an item of a key stands for."""
    if item is None or isinstance(item, bool):
        return 0
    if isinstance(item, (Tensor, np.ndarray)) and str(item.dtype).endswith("bool"):
        return item.ndim
    return 1


class Array(Tensor):
    """A tensor whose operators, indexing and ``size`` are the standard's: element types promote whatever the number of
    axes, slices may have negative steps. PyTorch's functions and methods take it and give plain tensors.
    """

    __slots__ = ()
    __torch_function__ = no_say  # type: ignore[assignment]

    @property
    def size(self) -> Any:  # type: ignore[override]
        """The number of elements."""
        found = _Count(self.numel())
        found.shape = self.shape
        return found

    @property
    def T(self) -> Any:
        """The transpose of a matrix."""
        if self.ndim != 2:
            raise ValueError(f"T: a matrix is expected, not {self.ndim} axes: use permute_dims()  ({user_line()})")
        return like(lx["transpose"](self, 0, 1), self)

    @property
    def mT(self) -> Any:
        """The transposes of matrices."""
        if self.ndim < 2:
            raise ValueError(f"mT: at least two axes are expected, not {self.ndim}  ({user_line()})")
        return like(lx["transpose"](self, -2, -1), self)

    def __getitem__(self, key: Any, /) -> Any:
        plain, turned = _plain_key(self, key)
        source = lx["flip"](self, turned) if turned else self
        return like(Tensor.__getitem__(source, plain), self)

    def __setitem__(self, key: Any, value: Any, /) -> None:
        plain, turned = _plain_key(self, key)
        if not turned:
            Tensor.__setitem__(self, plain, value)
            return
        changed = lx["flip"](self, turned)
        changed[plain] = value
        self.copy_(lx["flip"](changed, turned))

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError(f"iteration over a 0-d array  ({user_line()})")
        return iter(like(tuple(lx["unbind"](self, 0)), self))

    def __imatmul__(self, other: Any, /) -> Any:
        return _stored(self, matmul(self, other), "__imatmul__")

    __hash__ = Tensor.__hash__


def _stored(x: Array, value: Tensor, name: str) -> Array:
    """An in-place operator's result, which keeps the type and shape of x."""
    if value.dtype is not x.dtype or value.shape != x.shape:
        raise (TypeError if value.dtype is not x.dtype else ValueError)(
            f"{name}: a result of {value.dtype.name} {tuple(value.shape)} does not fit into {x.dtype.name} "
            f"{tuple(x.shape)}  ({user_line()})"
        )
    x.copy_(value)
    return x


_BINARY: dict[str, Callable[[Any, Any], Tensor]] = {
    "add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.divide, "floordiv": e.floor_divide,
    "mod": e.remainder, "pow": e.pow, "and": e.bitwise_and, "or": e.bitwise_or, "xor": e.bitwise_xor,
    "lshift": e.bitwise_left_shift, "rshift": e.bitwise_right_shift,
}  # fmt: skip
_COMPARED = {
    "eq": e.equal, "ne": e.not_equal, "lt": e.less, "le": e.less_equal, "gt": e.greater, "ge": e.greater_equal,
}  # fmt: skip


def _is_operand(x: Any) -> bool:
    return isinstance(x, (Tensor, np.ndarray, np.generic, *SCALARS))


def _add_operator(name: str, f: Callable[[Any, Any], Tensor], arithmetic: bool) -> None:
    def forward(self: Any, other: Any, /) -> Any:
        return f(self, other) if _is_operand(other) else NotImplemented

    def reflected(self: Any, other: Any, /) -> Any:
        return f(other, self) if _is_operand(other) else NotImplemented

    def inplace(self: Any, other: Any, /) -> Any:
        return _stored(self, f(self, other), f"__i{name}__") if _is_operand(other) else NotImplemented

    for prefix, method in (("", forward), ("r", reflected), ("i", inplace))[: 3 if arithmetic else 1]:
        method.__name__ = method.__qualname__ = f"__{prefix}{name}__"
        setattr(Array, method.__name__, method)


for _name, _f in _BINARY.items():
    _add_operator(_name, _f, True)
for _name, _f in _COMPARED.items():
    _add_operator(_name, _f, False)


def _add_unary(name: str, f: Callable[[Any], Tensor]) -> None:
    def method(self: Any, /) -> Any:
        return f(self)

    method.__name__ = method.__qualname__ = name
    setattr(Array, name, method)


for _name, _g in (("__neg__", e.negative), ("__pos__", e.positive), ("__abs__", e.abs), ("__invert__", e.bitwise_invert)):
    _add_unary(_name, _g)


def _matmul(self: Any, other: Any, /) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


def _rmatmul(self: Any, other: Any, /) -> Any:
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented


def namespace(api_version: str | None = None) -> Any:
    """``lazyxla.array_api``. ValueError for a version of the standard that it does not have."""
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"version {api_version!r} of the array API is not one of {', '.join(VERSIONS)}  ({user_line()})")
    return sys.modules[__package__]


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Any:
    """The same values on another device; itself where that is its own. A ``stream`` is XLA's own business."""
    if stream is not None:
        raise ValueError(f"to_device(): XLA orders its own streams; None is expected, not {stream!r}  ({user_line()})")
    return like(self.to(devices.canonical(device)), self)


setattr(Array, "__matmul__", _matmul)  # noqa: B010  (the class declares them for the type checker)
setattr(Array, "__rmatmul__", _rmatmul)  # noqa: B010
