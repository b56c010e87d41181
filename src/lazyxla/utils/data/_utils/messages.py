"""What travels between a loader and its worker processes: objects, with the memory of arrays and tensors beside them."""

from __future__ import annotations

import io
import sys
from multiprocessing import resource_tracker, shared_memory
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from .... import devices
from ....lazy import Tensor, from_numpy

ALIGNMENT = 64
SMALL = 2048  # bytes up to which an array is part of the message
PLAIN = 1 << 16  # bytes up to which all arrays of a batch go through the pipe


def tensor_of(array: np.ndarray, requires_grad: bool) -> Tensor:
    t = from_numpy(array)  # type: ignore[misc]
    return t.requires_grad_() if requires_grad else t  # type: ignore[no-any-return]


class OnDevice(RuntimeError):
    """A tensor that is on no CPU was to be sent."""


class _Pickler(ForkingPickler):
    """As ``pickle`` takes tensors, but without a copy of those on the CPU, and none on another device."""

    def __init__(self, file: Any, buffers: list[Any] | None) -> None:
        def aside(buffer: Any) -> bool:
            if buffer.raw().nbytes <= SMALL:
                return True  # in the message
            buffers.append(buffer)  # type: ignore[union-attr]
            return False

        super(ForkingPickler, self).__init__(file, 5, buffer_callback=None if buffers is None else aside)

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        if obj.device.type != "cpu":
            raise OnDevice(
                f"a tensor on {obj.device} is not sent to or from a worker process, which has no part in that device: use "
                "num_workers=0, or keep the examples on the CPU (.cpu())"
            )
        if not obj.is_leaf:
            raise RuntimeError("a tensor with a gradient history is not sent to or from a worker process: detach() it")
        array = obj.detach()._array("sending a tensor to another process")
        return tensor_of, (np.ascontiguousarray(array).reshape(array.shape), obj.requires_grad)


def packed(obj: Any) -> bytes:
    """An object as bytes, tensors by their values."""
    file = io.BytesIO()
    _Pickler(file, None).dump(obj)
    return file.getvalue()


def unpacked(data: Any, buffers: list[Any] | None = None) -> Any:
    """What was packed by another process of this program."""
    return ForkingPickler.loads(data, buffers=buffers)


def send(conn: Any, head: tuple[Any, ...], obj: Any, segment: Any) -> None:
    """Send an object, its arrays through the shared memory ``segment`` where that is there and large enough, else by the
    pipe."""
    file, buffers = io.BytesIO(), []  # type: ignore[var-annotated]
    _Pickler(file, buffers).dump(obj)
    raws = [b.raw() for b in buffers]
    places, end = [], 0
    for raw in raws:
        places.append((end, raw.nbytes))
        end += raw.nbytes + -raw.nbytes % ALIGNMENT
    shared = segment is not None and PLAIN < end <= segment.size
    if shared:
        for (start, n), raw in zip(places, raws):
            np.frombuffer(segment.buf, np.uint8, n, start)[:] = np.frombuffer(raw, np.uint8)
    conn.send((*head, file.getvalue(), places, shared))
    if not shared:
        for raw in raws:
            conn.send_bytes(raw)


def receive(conn: Any, data: bytes, places: list[tuple[int, int]], segment: Any) -> Any:
    """The object of a message that has begun with these; its arrays get memory of their own that XLA can share."""
    buffers = []
    for start, n in places:
        memory = devices.aligned((n,), np.uint8)
        if segment is None:
            conn.recv_bytes_into(memory)
        else:
            memory[:] = np.frombuffer(segment.buf, np.uint8, n, start)
        buffers.append(memory)
    return unpacked(data, buffers)


def attach(name: str) -> Any:
    """A shared segment of the parent's, which alone removes it."""
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name, track=False)
    register = resource_tracker.register
    resource_tracker.register = lambda *_: None
    try:
        return shared_memory.SharedMemory(name)
    finally:
        resource_tracker.register = register
