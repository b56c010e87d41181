"""A tensor's memory as PyTorch's programs ask for it, and what works on single elements in Python."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ...devices import Device
from .. import ops
from ..dtypes import DType, as_dtype, float64, get_default_dtype, int64, uint8, uint64
from ..inference import is_inference as _made_in_mode
from ..layouts import memory_format
from ..record import user_line
from ..replay.state import entry_point
from ..subclassing import become
from ..tensors import Tensor
from ..views import replace
from ._register import both, function, method
from .arithmetic import bitwise_xor
from .conversion import convert
from .creation import from_host, from_numpy
from .joining import cat
from .scattering import _root_of
from .shape import ints, normal_dim
from .turning import flip


class Storage:
    """The memory that a tensor and its aliases share: its size, device and address, and its values to read."""

    def __init__(self, tensor: Tensor, dtype: DType) -> None:
        self._root, self.dtype = _root_of(tensor), dtype

    @property
    def device(self) -> Device:
        return self._root.device

    def nbytes(self) -> int:
        """Its size in bytes."""
        return self._root.nbytes

    def size(self) -> int:
        """How many elements it holds (of an untyped storage: bytes)."""
        return self._root.nbytes // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the computed buffer, the same for all aliases; waits for it."""
        return self._root.data_ptr()

    def untyped(self) -> Storage:
        return Storage(self._root, uint8)

    def tolist(self) -> list[Any]:
        """The values in memory order (of an untyped storage: bytes); waits for them."""
        array = np.ascontiguousarray(self._root.detach()._array("storage().tolist()"))
        return array.reshape(-1).view(self.dtype.numpy).tolist()

    def __repr__(self) -> str:
        return f"<storage of {self.size()} {self.dtype.name} on {self.device}>"


@method
def untyped_storage(self: Tensor) -> Storage:
    """The memory as bytes."""
    return Storage(self, uint8)


@method
def storage(self: Tensor) -> Storage:
    """The memory as elements of this tensor's type."""
    return Storage(self, self.dtype)


@function
def is_storage(obj: Any) -> bool:
    return isinstance(obj, Storage)


@method
def set_(self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """The tensor object on the memory of another tensor, or on none. NotImplementedError for a storage."""
    if source is None:
        replace(self, self.new_empty((0,)))
    elif isinstance(source, Tensor):
        if source.dtype is not self.dtype:
            raise RuntimeError(
                f"Could not set tensor of type {source.dtype.name} to a tensor of type {self.dtype.name}  ({user_line()})"
            )
        chosen = source if size is None else source.as_strided(size, stride, storage_offset)
        replace(self, chosen.detach())
    else:
        raise NotImplementedError(f"set_(): a tensor is expected as source, not {type(source).__name__}  ({user_line()})")
    return self


@method
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same elements of the same memory."""
    a, b = (None if t._meta is None else t._meta.domain for t in (self, tensor))
    if self is tensor:
        return True
    return (
        a is not None and b is not None and a.storage is b.storage and self.shape == tensor.shape
        and self.stride() == tensor.stride() and self.storage_offset() == tensor.storage_offset()
    )  # fmt: skip


def as_subclass(self: Tensor, cls: type) -> Any:
    """The tensor as one of a subclass, on the same memory and with the same history."""
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): a subclass of Tensor is expected, not {cls!r}  ({user_line()})")
    return become(_alias(self), cls)


setattr(Tensor, "as_subclass", as_subclass)  # noqa: B010  (subclasses have no say in what makes them)


@entry_point
def _alias(self: Tensor) -> Tensor:
    out: Tensor = Tensor._make_subclass(Tensor, self)
    out._edge = self._edge
    return out


@method
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The same elements in another shape of as many (PyTorch's old way of writing ``reshape``)."""
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=3)
    return self.contiguous().view(ints(sizes))


@method
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """``resize`` to another tensor's shape."""
    return resize(self, tuple(tensor.shape))


def _share_memory(self: Tensor) -> NoReturn:
    """XLA's buffers belong to one process: NotImplementedError."""
    raise NotImplementedError(
        f"share_memory_(): a tensor's memory belongs to this process; sent to another, its values are copied  ({user_line()})"
    )


_share_memory.__name__ = "share_memory_"
_share_memory.refused = "memory shared between processes"  # type: ignore[attr-defined]
method(_share_memory)


@method
def is_shared(self: Tensor) -> bool:
    """Whether other processes see the memory: never."""
    return False


@method
def dim_order(self: Tensor, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dims from the outermost in memory to the innermost, by the strides that PyTorch would have.

    RuntimeError where they have no order of their own and ``ambiguity_check`` is True, or a list of memory formats of which
    not exactly one fits.
    """
    formats = ambiguity_check if isinstance(ambiguity_check, list) else []
    if not isinstance(ambiguity_check, (bool, list)) or not all(isinstance(f, memory_format) for f in formats):
        raise TypeError(f"The ambiguity_check argument must be a bool or a list of memory formats.  ({user_line()})")
    strides = self.stride()
    clear = len({s for s, n in zip(strides, self.shape)}) == self.ndim and 1 not in self.shape
    fits = self.is_contiguous() and formats.count(memory_format.contiguous_format) == 1  # no tensor is in another
    if (ambiguity_check is True and not clear) or (formats and not clear and not fits):
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats.  "
            f"({user_line()})"
        )
    return tuple(sorted(range(self.ndim), key=lambda d: -strides[d]))


@method
def const_data_ptr(self: Tensor) -> int:
    """The address of the computed buffer; waits for it."""
    return self.data_ptr()


@both
def is_inference(input: Tensor) -> bool:
    """Whether the tensor, or what it is a view of, was made in inference mode."""
    return _made_in_mode(input)


@both
def hash_tensor(input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0) -> Tensor:
    """uint64: the exclusive or, along ``dim`` (all where there is none), of the bits of the elements, as float64, int64 or
    uint64.

    RuntimeError for another ``mode`` than 0 and along no elements, NotImplementedError for complex numbers.
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}  ({user_line()})")
    if input.dtype.is_complex:
        raise NotImplementedError(f"hash_tensor is not implemented for {input.dtype.name}  ({user_line()})")
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    dims = [normal_dim(d, input.ndim) for d in given] or list(range(input.ndim))
    empty = [d for d in dims if input.shape[d] == 0]
    if empty:
        raise IndexError(f"hash_tensor: Expected reduction dim {empty[0]} to have non-zero size.  ({user_line()})")
    wide = float64 if input.dtype.is_floating_point else uint64 if input.dtype is uint64 else int64
    kept = [d for d in range(input.ndim) if d not in dims]
    bits = ops.bitcast_convert(convert(input.detach(), wide), dtype=uint64).permute(*kept, *dims)
    bits = bits.reshape(*[input.shape[d] for d in kept], math.prod(input.shape[d] for d in dims))
    while (n := bits.shape[-1]) > 1:  # the first half with the second; an odd one in the middle stays
        half = n // 2
        first, rest = bits.narrow(-1, 0, half), bits.narrow(-1, half, n - half)
        bits = cat([bitwise_xor(first, rest.narrow(-1, n - 2 * half, half)), rest.narrow(-1, 0, n - 2 * half)], -1)
    return bits.reshape([1 if d in dims else n for d, n in enumerate(input.shape) if keepdim or d not in dims])


@function
def from_file(
    filename: Any, shared: bool | None = None, size: int = 0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The first ``size`` elements of a file, on the CPU, mapped to memory where they can be; the file is never written.

    NotImplementedError with ``shared=True``, whose writes would have to reach the file; RuntimeError for a file that is not
    there or too short, and for another device.
    """
    if shared:
        raise NotImplementedError(
            f"from_file(shared=True) is not supported: the values of a tensor do not change, so no write of it can reach the "
            f"file  ({user_line()})"
        )
    if pin_memory:
        raise RuntimeError(f"tensors constructed from a file cannot be pinned  ({user_line()})")
    if device is not None and Device(device).type != "cpu":
        raise RuntimeError(f"from_file: only tensors of the CPU can be mapped to files, not of {device}  ({user_line()})")
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    try:
        there = os.stat(filename).st_size
    except OSError as e:
        raise RuntimeError(f"unable to open file <{filename}> in read-only mode: {e.strerror}  ({user_line()})") from None
    if there < size * kind.itemsize:
        raise RuntimeError(
            f"file <{filename}> size <{there}> is smaller than the required mapping size <{size * kind.itemsize}>"
            f"  ({user_line()})"
        )
    found = from_numpy(np.memmap(filename, kind.numpy, "c", shape=(size,)) if size else np.empty(0, kind.numpy))
    return found.requires_grad_() if requires_grad else found


# --- one element after the other, in Python ---------------------------------------------------------------------


def _on_cpu(x: Tensor, name: str) -> None:
    if x.device.type != "cpu":
        raise TypeError(f"{name} is only implemented on CPU tensors, not on {x.device}  ({user_line()})")


@method
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element replaced by ``callable(element)``, in Python: slow, and it waits for the values."""
    _on_cpu(self, "apply_")
    found = self.detach()._array("apply_()")
    values = np.array([callable(v) for v in found.reshape(-1).tolist()], self.dtype.numpy).reshape(found.shape)
    return self.copy_(from_host(values, self.device))


@method
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element replaced by ``callable(element, the other tensor's)``, in Python: slow, and it waits for values."""
    _on_cpu(self, "map_")
    pairs = [t.detach().expand(self.shape)._array("map_()").reshape(-1).tolist() for t in (self, tensor)]
    values = np.array([callable(a, b) for a, b in zip(*pairs)], self.dtype.numpy).reshape(tuple(self.shape))
    return self.copy_(from_host(values, self.device))


def _contains(self: Tensor, element: Any) -> bool:
    """Whether any element equals the number or tensor; reads the answer."""
    if not isinstance(element, (Tensor, bool, int, float, complex)):
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.  ({user_line()})"
        )
    return bool((self == element).any())


def _reversed(self: Tensor) -> Tensor:
    """The elements the other way round along all dims."""
    return flip(self, *range(self.ndim)) if self.ndim else self


def _wrapped(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """What a NumPy function made of this tensor, as a tensor again."""
    made = np.asarray(array)
    return from_host(np.array(made.astype(np.uint8) if made.dtype == np.bool_ else made), self.device)


setattr(Tensor, "__contains__", _contains)  # noqa: B010  (the class declares none for the type checker)
setattr(Tensor, "__reversed__", _reversed)  # noqa: B010
setattr(Tensor, "__array_wrap__", _wrapped)  # noqa: B010
