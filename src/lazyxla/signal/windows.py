"""Window functions, as ``torch.signal.windows``: symmetric unless ``sym=False`` asks for a periodic one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..lazy import Tensor, dtypes
from ..lazy.functions import windows as host
from ..lazy.record import user_line

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann",
    "kaiser", "nuttall",
]  # fmt: skip


def _made(
    name: str, m: int, values: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:  # fmt: skip
    if m < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={m}  ({user_line()})")
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if d not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {d.name}  ({user_line()})")
    return host.finished(name, m, values, dtype, device, requires_grad)


def _middle(m: int, sym: bool) -> float:
    """The place of the peak; a periodic window lacks the last place of a symmetric one that is longer by one."""
    return (m - 1 if sym or m <= 1 else m) / 2


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **kind: Any) -> Tensor:
    """a[0] - a[1] cos(t) + a[2] cos(2t) - ... over one turn. ``kind``: dtype, device, requires_grad."""
    weights = list(a)
    if not weights:
        raise ValueError(f"Coefficients cannot be empty  (general_cosine at {user_line()})")
    return _made("general_cosine", M, lambda: host.cosine_sum(M, weights, not sym), **kind)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **kind: Any) -> Tensor:
    """alpha - (1 - alpha) cos(t)."""
    return general_cosine(M, a=(alpha, 1 - alpha), sym=sym, **kind)


def hamming(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """Hamming's window."""
    return general_hamming(M, sym=sym, **kind)


def hann(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """Hann's window."""
    return general_hamming(M, alpha=0.5, sym=sym, **kind)


def blackman(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """Blackman's window."""
    return general_cosine(M, a=(0.42, 0.5, 0.08), sym=sym, **kind)


def nuttall(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """Nuttall's window of four terms."""
    return general_cosine(M, a=(0.3635819, 0.4891775, 0.1365995, 0.0106411), sym=sym, **kind)


def bartlett(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """A triangle from 0 to 1 and back."""
    return _made("bartlett", M, lambda: host.triangle(M, not sym), **kind)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **kind: Any) -> Tensor:
    """Kaiser's window of shape ``beta`` (not negative)."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.  (kaiser at {user_line()})")
    return _made("kaiser", M, lambda: host.kaiser(M, beta, not sym), **kind)


def cosine(M: int, *, sym: bool = True, **kind: Any) -> Tensor:
    """Half a period of the sine, its ends left out."""
    return _made("cosine", M, lambda: np.sin(math.pi / max(M if sym or M == 1 else M + 1, 1) * (np.arange(M) + 0.5)), **kind)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **kind: Any) -> Tensor:
    """exp(-(n / std)^2 / 2), n counted from the middle."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.  (gaussian at {user_line()})")
    return _made("gaussian", M, lambda: np.exp(-(((np.arange(M) - _middle(M, sym)) / std) ** 2) / 2), **kind)


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **kind: Any
) -> Tensor:
    """exp(-|n - center| / tau); the center (the middle unless given) can be moved only where ``sym`` is False."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.  (exponential at {user_line()})")
    if sym and center is not None:
        raise ValueError(f"Center must be None for symmetric windows  (exponential at {user_line()})")
    middle = _middle(M, sym) if center is None else center
    return _made("exponential", M, lambda: np.exp(-np.abs(np.arange(M) - middle) / tau), **kind)
