"""``torch.xpu``, for programs that ask whether there is an Intel GPU: there is none here."""

from __future__ import annotations

from typing import Any


def device_count() -> int:
    """0."""
    return 0


def is_available() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def empty_cache() -> None:
    """Nothing is cached."""


def manual_seed(seed: int) -> None:
    """Without effect, as in PyTorch where there is no such device."""


def manual_seed_all(seed: int) -> None:
    """Without effect, as in PyTorch where there is no such device."""


def synchronize(device: Any = None) -> None:
    """RuntimeError: there is none."""
    raise RuntimeError("No XPU devices are available.")
