"""Derivatives of the Fourier transform, which is linear: its adjoint, another Fourier transform."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...lazy import ops
from ...lazy.functions.conversion import constant, convert, full_like_type
from ..table import vjp


def _halves(x: Any, n: int, twice: float) -> Any:
    """A half spectrum weighted by how often its elements stand in the whole one: the first and, for even n, the last once."""
    m = n // 2 + 1
    weights = np.full(m, twice)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    row = constant(weights, x.dtype.to_real(), x.device)
    wide = ops.broadcast_in_dim(convert(row, x.dtype), shape=tuple(x.shape), dims=(x.ndim - 1,))
    return x * wide


def _fft(g: Any, y: Any, x: Any, kind: str, length: tuple[int, ...]) -> Any:
    n = math.prod(length)
    if kind == "FFT":
        return ops.fft(g, kind="IFFT", length=length) * full_like_type(g, n)
    if kind == "IFFT":
        return ops.fft(g, kind="FFT", length=length) * full_like_type(g, 1 / n)
    if kind == "RFFT":
        back = ops.fft(_halves(g, n, 0.5), kind="IRFFT", length=length)
        return back * full_like_type(back, n)
    there = ops.fft(g, kind="RFFT", length=length)
    return _halves(there, n, 2.0) * full_like_type(there, 1 / n)


vjp(ops.fft, _fft)
