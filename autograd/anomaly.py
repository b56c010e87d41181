"""PyTorch's anomaly mode: kept, without effect, since errors in a backward name the forward's line in any case, and no
gradient is read to look for NaN."""

from __future__ import annotations

from typing import Any

enabled = [False]


class set_detect_anomaly:
    """Sets the mode at once; as a context manager, sets it back at the end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = enabled[0]
        enabled[0] = bool(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        enabled[0] = self._before


class detect_anomaly(set_detect_anomaly):
    """The mode inside a ``with``."""

    def __init__(self, check_nan: bool = True) -> None:
        self._before = enabled[0]

    def __enter__(self) -> None:
        self._before, enabled[0] = enabled[0], True
