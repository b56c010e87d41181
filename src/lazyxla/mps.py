"""``torch.mps``, for programs that ask about Apple's GPU: there is none here."""

from __future__ import annotations


def device_count() -> int:
    """0."""
    return 0


def is_available() -> bool:
    """False."""
    return False


def empty_cache() -> None:
    """Nothing is cached."""


def manual_seed(seed: int) -> None:
    """Without effect, as in PyTorch where there is no such device."""
