"""PJRT clients, devices, buffers and transfers: the only room that touches jaxlib's private names."""

import sys
from types import ModuleType
from typing import Any

from . import forks
from ._jaxlib import RuntimeFailure, cpu_only
from .denormals import flushed
from .device import Device, canonical, devices, get_default_device, register_backend, set_default_device
from .meta import NO_VALUES
from .transfer import HostArray, aligned, from_dlpack, move, put, put_small, to_numpy, wait

__all__ = [
    "NO_VALUES",
    "Device",
    "HostArray",
    "RuntimeFailure",
    "aligned",
    "canonical",
    "cpu_only",
    "devices",
    "flushed",
    "forks",
    "from_dlpack",
    "get_default_device",
    "move",
    "put",
    "put_small",
    "register_backend",
    "set_default_device",
    "to_numpy",
    "wait",
]


class _CallableModule(ModuleType):
    """``lazyxla.devices()`` lists the devices; ``lazyxla.devices.NAME`` is this room."""

    def __call__(self, kind: Any = None) -> list[Device]:
        return devices(kind)


sys.modules[__name__].__class__ = _CallableModule
