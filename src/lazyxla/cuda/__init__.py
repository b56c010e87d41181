"""What programs ask of ``torch.cuda``, answered about the GPUs of this machine (an AMD GPU answers too).

Only the first GPU is 'cuda' without a number; the others are reached by name, ``device='cuda:1'``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .. import devices
from .. import lazy as lx
from ..devices import Device
from ..lazy.functions.questions import OLD_TYPES, TensorType
from ..lazy.record import user_line
from . import amp
from .streams import Event, Stream, current_stream, default_stream, nvtx, stream

__all__ = [
    "Event", "Stream", "amp", "current_device", "current_stream", "default_stream", "device", "device_count",
    "empty_cache", "get_device_capability", "get_device_name", "get_device_properties", "get_rng_state",
    "get_rng_state_all", "init", "initial_seed", "is_available", "is_bf16_supported",
    "is_initialized", "manual_seed", "manual_seed_all", "max_memory_allocated", "max_memory_reserved", "mem_get_info",
    "memory_allocated", "memory_reserved", "memory_stats", "nvtx", "reset_peak_memory_stats", "seed", "set_device",
    "set_rng_state", "set_rng_state_all", "stream", "synchronize",
]  # fmt: skip

for _name, _dtype in OLD_TYPES:
    globals()[f"{_name}Tensor"] = TensorType(f"cuda.{_name}Tensor", _dtype, "cuda")


def device_count() -> int:
    """How many GPUs this process sees."""
    return len(devices.devices("cuda"))


def is_available() -> bool:
    """Whether there is a GPU."""
    return device_count() > 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """XLA computes in bfloat16 on every GPU."""
    return is_available()


def init() -> None:
    """Look for the GPUs now rather than when first used; RuntimeError where there is none."""
    _gpu(0)


def is_initialized() -> bool:
    """The GPUs are found when first asked for, so they always are."""
    return is_available()


def _gpu(given: Any = None) -> Device:
    """One of the GPUs by number, name or Device; RuntimeError where there is none such."""
    if given is None or given == "cuda":
        given = 0
    found = Device("cuda", given) if isinstance(given, int) else Device(given)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {given}  ({user_line()})")
    return devices.canonical(found)


def current_device() -> int:
    """0, the number of the GPU that 'cuda' names; RuntimeError where there is none."""
    return _gpu(0).index or 0


def set_device(device: Any) -> None:
    """Choose the GPU that 'cuda' names: only the first can be chosen, since the others go by ``device='cuda:1'``.

    Raises RuntimeError where there is no such GPU, NotImplementedError for another one than the first.
    """
    if isinstance(device, int) and device < 0:
        return
    chosen = _gpu(device)
    if chosen.index:
        raise NotImplementedError(
            f"cuda.set_device({device}): 'cuda' is always the first GPU; write device='{chosen}'  ({user_line()})"
        )


class device:
    """``with cuda.device(i):`` makes a GPU the default of what is created inside; a negative number changes nothing."""

    def __init__(self, device: Any) -> None:
        self._chosen = None if device is None or (isinstance(device, int) and device < 0) else _gpu(device)

    def __enter__(self) -> None:
        if self._chosen is not None:
            self._chosen.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._chosen is not None:
            self._chosen.__exit__(*error)


def get_device_name(device: Any = None) -> str:
    """The model, as the driver names it."""
    return str(_gpu(device).pjrt.device_kind)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """NVIDIA's (major, minor) compute capability."""
    major, _, minor = str(getattr(_gpu(device).pjrt, "compute_capability", "0.0")).partition(".")
    return int(major), int(minor or 0)


def get_device_properties(device: Any = None) -> Any:
    """``name``, ``major``, ``minor``, ``total_memory`` (bytes), ``multi_processor_count``."""
    gpu = _gpu(device)
    major, minor = get_device_capability(gpu)
    return SimpleNamespace(
        name=get_device_name(gpu), major=major, minor=minor, total_memory=mem_get_info(gpu)[1],
        multi_processor_count=getattr(gpu.pjrt, "core_count", 0),
    )  # fmt: skip


def synchronize(device: Any = None) -> None:
    """Run what is pending and wait for it. RuntimeError where there is no GPU."""
    _gpu(device)
    lx.synchronize()


def empty_cache() -> None:
    """XLA's allocator keeps its memory for this process: nothing to do."""


# --- memory -----------------------------------------------------------------------------------------------------


def memory_stats(device: Any = None) -> dict[str, int]:
    """What XLA's allocator counts, in bytes; empty where there is no GPU, or it does not count."""
    if not is_available():
        return {}
    return dict(_gpu(device).pjrt.memory_stats() or {})


def memory_allocated(device: Any = None) -> int:
    """Bytes in use; 0 without a GPU."""
    return memory_stats(device).get("bytes_in_use", 0)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use at once; 0 without a GPU."""
    return memory_stats(device).get("peak_bytes_in_use", 0)


def memory_reserved(device: Any = None) -> int:
    """Bytes that the allocator holds; 0 without a GPU."""
    return memory_stats(device).get("pool_bytes", memory_allocated(device))


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the allocator held; 0 without a GPU."""
    return memory_stats(device).get("peak_pool_bytes", max_memory_allocated(device))


def reset_peak_memory_stats(device: Any = None) -> None:
    """XLA's allocator cannot forget its peak; NotImplementedError where there is a GPU whose peak it would be."""
    if is_available():
        raise NotImplementedError(f"cuda.reset_peak_memory_stats: XLA's allocator keeps its peak  ({user_line()})")


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of what XLA may use of a GPU's memory."""
    stats = memory_stats(_gpu(device))
    total = stats.get("bytes_limit", 0)
    return total - stats.get("bytes_in_use", 0), total


# --- random numbers: one stream for all devices -----------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """Start the default stream of a seed (it is one for all devices)."""
    lx.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Start the default stream of a seed that the system draws."""
    lx.seed()


seed_all = seed


def initial_seed() -> int:
    return lx.initial_seed()


def get_rng_state(device: Any = None) -> Any:
    return lx.get_rng_state()


def set_rng_state(new_state: Any, device: Any = None) -> None:
    lx.set_rng_state(new_state)


def get_rng_state_all() -> list[Any]:
    """The state of the stream once for each GPU: a list of equal ones."""
    return [lx.get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Set the stream to the first of the states, if there is any."""
    for state in list(new_states)[:1]:
        lx.set_rng_state(state)
