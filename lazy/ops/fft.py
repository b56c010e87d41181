"""The discrete Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import complex64, complex128, float32, float64
from ..graph import Aval, define
from .rules import expect

KINDS = ("FFT", "IFFT", "RFFT", "IRFFT")


def _fft(x: Aval, *, kind: str, length: tuple[int, ...]) -> Aval:
    """Along the last dims: complex to complex (FFT; IFFT divides by the number of points); along the last one: real to the
    first half of complex (RFFT), and back (IRFFT)."""
    expect(kind in KINDS, f"a transform is one of {', '.join(KINDS)}, not {kind}", ValueError)
    expect(0 < len(length) <= min(3, x.ndim), f"one to three of the last dims are transformed, not {len(length)} of {x!r}")
    expect(min(length) > 0, f"Invalid number of data points ({min(length)}) specified")
    real = kind == "RFFT"
    expect(
        x.dtype in ((float32, float64) if real else (complex64, complex128)),
        f"not implemented for '{x.dtype.name}': expected {'float32 or float64' if real else 'complex64 or complex128'}",
    )
    expect(len(length) == 1 or kind in ("FFT", "IFFT"), f"{kind} goes along one dim")
    given = (length[0] // 2 + 1,) if kind == "IRFFT" else length
    expect(x.shape[-len(length) :] == given, f"expected last dims {list(given)} for {kind} of {list(length)}, got {x!r}")
    if real:
        return x.with_shape((*x.shape[:-1], length[0] // 2 + 1)).with_dtype(x.dtype.to_complex())
    return x if kind != "IRFFT" else x.with_shape((*x.shape[:-1], length[0])).with_dtype(x.dtype.to_real())


def _meaning(x: Any, *, kind: str, length: tuple[int, ...]) -> Any:
    axes = tuple(range(-len(length), 0))
    if kind == "RFFT":
        out = np.fft.rfft(x, length[0])
    elif kind == "IRFFT":
        return np.fft.irfft(x, length[0]).astype(x.real.dtype)
    else:
        out = (np.fft.fftn if kind == "FFT" else np.fft.ifftn)(x, axes=axes)
    return out.astype(np.result_type(x.dtype, np.complex64))


fft = define("fft", _fft, _meaning, "The discrete Fourier transform along the last dims.", ("kind", "length"))
