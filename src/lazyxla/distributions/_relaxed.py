"""Distributions that come near to a discrete one as their temperature falls: a base distribution seen through a transform."""

from __future__ import annotations

import math
from typing import Any

from ._ops import Tensor
from .transformed_distribution import TransformedDistribution


class Relaxed(TransformedDistribution):
    """With the base's ``temperature``, ``probs`` and ``logits``, which the base has checked."""

    has_rsample = True

    def __init__(self, base: Any, transform: Any, validate_args: bool | None = None) -> None:
        super().__init__(base, transform, validate_args=False)
        del self._validate_args
        if validate_args is not None:
            self._validate_args = validate_args

    @property
    def temperature(self) -> Any:
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits  # type: ignore[no-any-return]

    @property
    def probs(self) -> Tensor:
        return self.base_dist.probs  # type: ignore[no-any-return]


def log_of(temperature: Any) -> Any:
    """Of a tensor, or of a number."""
    return temperature.log() if isinstance(temperature, Tensor) else math.log(temperature)


__all__ = ["Relaxed", "log_of"]
