"""How exactly products of float32 numbers are computed, on hardware that has a faster and coarser way."""

from __future__ import annotations

from .replay import starts
from .sync_points import sync

#: PyTorch's words, and XLA's.
LEVELS = {"highest": "HIGHEST", "high": "HIGH", "medium": "DEFAULT"}
current = ["highest"]


def set_level(level: str) -> None:
    """From now on; what is pending is computed as it was recorded."""
    if level != current[0]:
        sync("set_float32_matmul_precision()")
        current[0] = level
        starts.forget()  # their programs were compiled for the other


__all__ = ["LEVELS", "current", "set_level"]
