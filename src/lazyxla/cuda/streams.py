"""Streams and events: XLA orders the work of a program by itself, so a stream is a name and an event a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from .. import devices
from .. import lazy as lx
from ..lazy.record import user_line
from ..profiler import record_function


class Event:
    """A moment of the program. RuntimeError where there is no GPU, as for a stream.

    With ``enable_timing``, ``record`` waits for all that was called before it, so that the time between two is that of the
    work between them.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        _require_gpu("Event")
        self._timed = enable_timing
        self._at: float | None = None

    def record(self, stream: Any = None) -> None:
        if self._timed:
            lx.synchronize()
        self._at = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another; RuntimeError unless both are recorded with ``enable_timing=True``."""
        if not (self._timed and end_event._timed):
            raise RuntimeError(f"Both events must be created with argument 'enable_timing=True'.  ({user_line()})")
        if self._at is None or end_event._at is None:
            raise RuntimeError(f"Both events must be recorded before calculating elapsed time.  ({user_line()})")
        return (end_event._at - self._at) * 1e3

    def query(self) -> bool:
        """Whether the work before it is done: it is waited for."""
        self.synchronize()
        return True

    def synchronize(self) -> None:
        """Wait for what was called before."""
        lx.synchronize()

    def wait(self, stream: Any = None) -> None:
        """Nothing to do: what is called later comes later."""


class AnyEvent(Event):
    """``torch.Event``: as ``cuda.Event``, of any device; on the CPU it can be made, and recording it is a RuntimeError."""

    def __init__(
        self, device: Any = None, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.device = devices.Device(("cuda" if devices.devices("cuda") else "cpu") if device is None else device)
        self._timed, self._at = enable_timing, None

    def record(self, stream: Any = None) -> None:
        if self.device.type == "cpu":
            raise RuntimeError(f"cpu backend doesn't support events.  ({user_line()})")
        super().record(stream)


class Stream:
    """A name for a part of the work, which XLA orders by what it needs; RuntimeError where there is no GPU."""

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        _require_gpu("Stream")
        self.device, self.priority = device, priority

    def query(self) -> bool:
        self.synchronize()
        return True

    def synchronize(self) -> None:
        lx.synchronize()

    def wait_stream(self, stream: Any) -> None:
        """Nothing to do, as ``Event.wait``."""

    def wait_event(self, event: Any) -> None:
        """Nothing to do, as ``Event.wait``."""

    def record_event(self, event: Event | None = None) -> Event:
        found = Event() if event is None else event
        found.record(self)
        return found


def _require_gpu(what: str) -> None:
    if not devices.devices("cuda"):
        raise RuntimeError(f"cuda.{what} is not available: this machine has no cuda device  ({user_line()})")


def current_stream(device: Any = None) -> Stream:
    """The one stream there is."""
    return Stream(device)


default_stream = current_stream


@contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    """What is called inside belongs to the stream; its order is XLA's to choose."""
    yield


class nvtx:
    """Spans of a program, as ``profiler.record_function`` takes them."""

    _open: ClassVar[list[record_function]] = []

    @staticmethod
    def range_push(msg: str) -> int:
        """Begin a span; its depth, from 0."""
        span = record_function(msg)
        span.__enter__()
        nvtx._open.append(span)
        return len(nvtx._open) - 1

    @staticmethod
    def range_pop() -> int:
        """End the innermost span; its depth, or -1 where none is open."""
        if nvtx._open:
            nvtx._open.pop().__exit__()
            return len(nvtx._open)
        return -1

    @staticmethod
    @contextmanager
    def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
        """A span around what is inside; ``msg`` is formatted with the other arguments."""
        with record_function(msg.format(*args, **kwargs)):
            yield

    @staticmethod
    def mark(msg: str) -> None:
        """A span of no length."""
        with record_function(msg):
            pass


__all__ = ["Event", "Stream", "current_stream", "default_stream", "nvtx", "stream"]
