"""Exchange of memory by DLPack, as ``torch.utils.dlpack``: capsules, and whatever has ``__dlpack__``."""

from __future__ import annotations

import ctypes
from typing import Any

from ..lazy import Tensor
from ..lazy.functions.creation import from_dlpack as of_producer

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]


class _Head(ctypes.Structure):
    """The beginning of a DLTensor: https://dmlc.github.io/dlpack/latest/c_api.html"""

    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class _Producer:
    """A capsule with the two methods of today's protocol."""

    def __init__(self, capsule: Any) -> None:
        if not _is_valid(capsule, b"dltensor"):
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once"
            )
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        head = _Head.from_address(_pointer(self.capsule, b"dltensor"))
        return head.device_type, head.device_id


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule on the tensor's memory, for one ``from_dlpack`` of any library."""
    return tensor.__dlpack__()


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of a capsule or of an object with ``__dlpack__``. RuntimeError for a capsule already used."""
    return of_producer(_Producer(ext_tensor) if type(ext_tensor).__name__ == "PyCapsule" else ext_tensor)


__all__ = ["from_dlpack", "to_dlpack"]
