"""Buffers in and out: NumPy arrays, DLPack, jax.Array, from device to device."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _jaxlib, forks
from .device import Device
from .meta import NO_VALUES

Array = _jaxlib.Array
_HOST = 1  # kDLCPU
_ALIGNMENT = 64  # bytes, from which XLA on the CPU shares memory


class HostArray:
    """A NumPy array that stands for a buffer until a computation needs one.

    Wrapping costs nothing; ``on(device)`` then shares the memory where XLA can (64-byte aligned) and copies once
    where it cannot.
    """

    __slots__ = ("array", "placed")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.placed: tuple[Device, Any] | None = None

    def on(self, device: Device) -> Any:
        if self.placed is None or self.placed[0] is not device:
            array = self.array if self.array.flags.c_contiguous else np.ascontiguousarray(self.array)
            self.placed = device, _jaxlib.host_share(array, device.pjrt)
        return self.placed[1]


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array to be filled, whose memory XLA can share."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for n in shape:
        size *= n
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def put(array: np.ndarray, device: Device) -> Any:
    """A buffer on ``device`` holding a copy of ``array``."""
    if device.is_meta:
        return NO_VALUES
    return _jaxlib.host_copy(np.asarray(array, order="C"), device.pjrt)


def put_small(array: np.ndarray, device: Device) -> Any:
    """A buffer for a small fresh array that nobody writes to."""
    return _jaxlib.host_share(array, device.pjrt)


def move(buffer: Any, device: Device) -> Any:
    """The values of ``buffer`` on another device; the same buffer where the PJRT device is the same."""
    if isinstance(buffer, HostArray):
        return buffer.on(device)
    target = device.pjrt
    if buffer.devices() == {target}:
        return buffer
    return _jaxlib.array_from_device_copy(buffer, target)


def from_dlpack(x: Any) -> Any:
    """What ``x`` exports, sharing its memory: a NumPy array where that lies on the host, else a jax.Array."""
    kind, _ = x.__dlpack_device__()
    return np.from_dlpack(x) if kind == _HOST else _jaxlib.from_dlpack(x)


def to_numpy(buffer: Any) -> np.ndarray:
    """The values (waited for) as a NumPy array: a read-only view of the buffer on the CPU, a copy from elsewhere."""
    if isinstance(buffer, HostArray):
        return buffer.array
    if forks.forked:
        forks.check(buffer)
    return np.asarray(buffer)


def wait(buffer: Any) -> None:
    """Until the values are there. Raises where computing them failed: to read such a buffer would end the process."""
    if not isinstance(buffer, HostArray):
        if forks.forked:
            forks.check(buffer)
        buffer.block_until_ready()
