"""Autocast: which functions run in a 16-bit type, and which in float32, while it is on (``lazyxla.amp`` is its face)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .dtypes import DType

F = TypeVar("F", bound=Callable[..., Any])


class State(threading.local):
    """What is on in this thread: by device type, the 16-bit type of the innermost context (None where it is off)."""

    on: dict[str, DType | None]
    any = False

    def __init__(self) -> None:
        self.on = {}


state = State()


def autocasting(device_type: str | None = None) -> bool:
    """Whether autocast is on in this thread, for a device type or for any."""
    if not state.any:
        return False
    if device_type is not None:
        return state.on.get(device_type) is not None
    return any(d is not None for d in state.on.values())
