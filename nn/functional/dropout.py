"""Dropout: elements or whole channels set to zero at random."""

from __future__ import annotations

import math
import warnings

from ... import lazy as lx
from ...lazy import Tensor
from ._common import choose, error, spread

_ALPHA = 1.7580993408473766  # what SELU tends to far below zero, with the sign changed


def _check(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise error(ValueError, f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(input: Tensor, p: float, channels: bool) -> Tensor:
    """Where to drop: for each element, or for each sample and channel."""
    kind = lx.float64 if input.dtype is lx.float64 else lx.float32
    shape = tuple(input.shape)
    if not channels:
        return lx.rand(shape, dtype=kind, device=input.device) < p
    return spread(lx.rand(shape[:2], dtype=kind, device=input.device) < p, shape, (0, 1))


def _dropout(input: Tensor, p: float, training: bool, inplace: bool, channels: bool = False) -> Tensor:
    _check(p)
    if not training or p == 0:
        return input
    if p == 1:
        out = input * 0.0
    else:
        out = choose(_dropped(input, p, channels), 0.0, input * (1 / (1 - p)))
    return input.copy_(out) if inplace else out


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element 0 with probability p, else divided by 1 - p. ValueError for a p outside [0, 1]."""
    return _dropout(input, p, training, inplace)


def _by_channel(input: Tensor, p: float, training: bool, inplace: bool, unbatched: int) -> Tensor:
    if input.ndim != unbatched:
        return _dropout(input, p, training, inplace, channels=True)
    out = _dropout(input.unsqueeze(0), p, training, inplace, channels=True)
    return input if inplace else out.squeeze(0)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of x [N, C, L] (or [C, L]) 0 with probability p."""
    _check(p)
    if input.ndim not in (2, 3):
        raise error(
            RuntimeError,
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension "
            "(i.e. 2D or 3D inputs).",
        )
    return _by_channel(input, p, training, inplace, 2)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of x [N, C, H, W] 0 with probability p."""
    _check(p)
    if input.ndim not in (3, 4):
        warnings.warn(f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated", stacklevel=3)
    return _dropout(input, p, training, inplace, channels=True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of x [N, C, D, H, W] (or [C, D, H, W]) 0 with probability p."""
    _check(p)
    if input.ndim not in (4, 5):
        warnings.warn(f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated", stacklevel=3)
    return _by_channel(input, p, training, inplace, 4)


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, channels: bool) -> Tensor:
    """Dropped elements take SELU's lower limit; an affine map keeps mean and variance."""
    _check(p)
    if not training or p == 0:
        return input
    if p == 1:
        out = input * 0.0
    else:
        a = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
        out = lx.where(_dropped(input, p, channels), a * _ALPHA * (p - 1), input * a + a * _ALPHA * p)
    return input.copy_(out) if inplace else out


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for SELU: mean and variance stay what they were."""
    return _alpha(input, p, training, inplace, channels=False)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """``alpha_dropout`` of whole channels."""
    return _alpha(input, p, training, inplace, channels=True)
