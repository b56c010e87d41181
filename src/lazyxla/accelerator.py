"""The accelerator of this machine (a registered plugin, a TPU or a GPU), as ``torch.accelerator``."""

from __future__ import annotations

from typing import Any

from . import devices
from . import lazy as lx
from .devices import Device, spares
from .lazy.record import user_line


def current_accelerator(check_available: bool = False) -> Device | None:
    """The kind of the best accelerator, such as ``device('tpu')``; None where there is only the CPU."""
    kind = Device("xla").platform
    return None if kind == "cpu" else Device(kind)


def is_available() -> bool:
    """Whether this machine has an accelerator."""
    return current_accelerator() is not None


def device_count() -> int:
    """How many accelerators of that kind this process sees."""
    found = current_accelerator()
    return 0 if found is None else len(devices.devices(found.type))


def _present() -> Device:
    found = current_accelerator()
    if found is None:
        raise RuntimeError(f"Cannot access accelerator device when none is available.  ({user_line()})")
    return found


def current_device_index() -> int:
    """0: the number of the accelerator that its bare name means; RuntimeError where there is none."""
    return devices.canonical(_present()).index or 0


current_device_idx = current_device_index


def set_device_index(device: Any) -> None:
    """Only the first accelerator can be chosen (the others go by 'tpu:1'); NotImplementedError for another."""
    chosen = Device(_present().type, device) if isinstance(device, int) else Device(device)
    if devices.canonical(chosen).index:
        raise NotImplementedError(
            f"accelerator.set_device_index({device}): name the device instead, as in device='{chosen}'  ({user_line()})"
        )


set_device_idx = set_device_index


def synchronize(device: Any = None) -> None:
    """Run what is pending and wait for it."""
    lx.synchronize()


def empty_cache() -> None:
    """Let go of the large results that are kept on the CPU as places for later ones; XLA's own allocators keep theirs."""
    spares.empty()


def memory_stats(device: Any = None) -> dict[str, int]:
    """What XLA's allocator counts, in bytes; empty where it does not count."""
    if not is_available():
        return {}
    return dict(devices.canonical(Device(_present().type, device) if isinstance(device, int) else device or _present())
        .pjrt.memory_stats() or {})  # fmt: skip


def memory_allocated(device: Any = None) -> int:
    """Bytes in use; 0 without an accelerator."""
    return memory_stats(device).get("bytes_in_use", 0)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use at once; 0 without an accelerator."""
    return memory_stats(device).get("peak_bytes_in_use", 0)
