"""The Fourier transform on a batch: it goes along the last dims anyway."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import batching


@batching(ops.fft)
def _fft(size: int, xs: Any, varies: Any, kind: str, length: Any) -> Any:
    return ops.fft(*xs, kind=kind, length=length)
