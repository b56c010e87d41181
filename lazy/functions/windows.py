"""Window functions of signal processing, worked out on the host in double precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .creation import tensor


def _angles(n: int, periodic: bool) -> np.ndarray:
    """0 to 2 pi over a window (its last place left out, for a periodic one)."""
    return np.arange(n) * (2 * math.pi / max(n if periodic else n - 1, 1))


def cosine_sum(n: int, weights: Sequence[float], periodic: bool) -> np.ndarray:
    """a0 - a1 cos(t) + a2 cos(2t) - ..."""
    t = _angles(n, periodic)
    return np.sum([(-1) ** k * a * np.cos(k * t) for k, a in enumerate(weights)], axis=0) if n > 1 else np.ones(n)


def triangle(n: int, periodic: bool) -> np.ndarray:
    """From 0 up to 1 and down again."""
    return 1 - np.abs(_angles(n, periodic) / math.pi - 1) if n > 1 else np.ones(n)


def kaiser(n: int, beta: float, periodic: bool) -> np.ndarray:
    """Kaiser's window: the Bessel function I0 of beta times a half circle."""
    if n <= 1:
        return np.ones(n)
    x = _angles(n, periodic) / math.pi - 1
    return np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta)


def finished(
    name: str, n: int, values: Any, dtype: Any, device: Any, requires_grad: bool
) -> Tensor:
    """The window as a tensor; RuntimeError for a negative length or a type that is not floating."""
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}  ({user_line()})")
    if not d.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d.name}  ({user_line()})")
    return tensor(np.asarray(values()), dtype=d, device=device, requires_grad=requires_grad)


def _window(name: str, values: Any, doc: str) -> None:
    def f(
        window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None,
        requires_grad: bool = False, layout: Any = None,
    ) -> Tensor:  # fmt: skip
        return finished(name, window_length, lambda: values(window_length, periodic), dtype, device, requires_grad)

    f.__name__, f.__doc__ = name, doc
    function(f)


_window("hann_window", lambda n, p: cosine_sum(n, (0.5, 0.5), p), "Hann's window: half a cosine's period, raised.")
_window("blackman_window", lambda n, p: cosine_sum(n, (0.42, 0.5, 0.08), p), "Blackman's window.")
_window("bartlett_window", triangle, "Bartlett's window: a triangle.")


@function
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """Hamming's window: alpha - beta cos(t)."""
    return finished(
        "hamming_window", window_length, lambda: cosine_sum(window_length, (alpha, beta), periodic), dtype, device,
        requires_grad,
    )  # fmt: skip


@function
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """Kaiser's window of shape ``beta``."""
    return finished(
        "kaiser_window", window_length, lambda: kaiser(window_length, beta, periodic), dtype, device, requires_grad
    )
