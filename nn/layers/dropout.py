"""Dropout layers: active in training mode only."""

from __future__ import annotations

from typing import Any

from ...lazy import Tensor
from .. import functional as F
from ..module import Module


class _Dropout(Module):
    _function: Any

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element 0 with probability p, else divided by 1 - p."""

    _function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """Whole channels of x [N, C, L] (or [C, L]) 0 with probability p."""

    _function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """Whole channels of x [N, C, H, W] 0 with probability p."""

    _function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """Whole channels of x [N, C, D, H, W] 0 with probability p."""

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps the mean and variance of SELU's output."""

    _function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """``AlphaDropout`` of whole channels."""

    _function = staticmethod(F.feature_alpha_dropout)
