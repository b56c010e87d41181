"""The continuous Bernoulli distribution (Loaiza-Ganem and Cunningham, 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._odds import Odds
from ._ops import F, Size, Tensor, Value, lx
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Odds, ExponentialFamily):
    """On [0, 1] with density in proportion to probs^x (1 - probs)^(1 - x). Between ``lims``, where the closed forms lose
    their digits, Taylor's series about 1/2 stand for them."""

    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self, probs: Value | None = None, logits: Value | None = None, lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._take(probs, logits)
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)
        if probs is not None:
            self.probs = clamp_probs(self.probs)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(ContinuousBernoulli, _instance)
        new._lims = self._lims
        return self._expanded(ContinuousBernoulli, batch_shape, new, ("probs", "logits"))

    @lazy_property
    def probs(self) -> Tensor:  # type: ignore[override]
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where the closed forms hold, the probabilities there (and a safe one elsewhere), and how far they are from 1/2."""
        p = self.probs
        far = (p <= self._lims[0]) | (p > self._lims[1])
        return far, lx.where(far, p, self._lims[0]), p - 0.5

    def _cont_bern_log_norm(self) -> Tensor:
        far, p, x = self._split()
        exact = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        near = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x * x) * x * x
        return lx.where(far, exact, near)  # type: ignore[no-any-return]

    @property
    def mean(self) -> Tensor:
        far, p, x = self._split()
        exact = p / (2.0 * p - 1.0) + 1.0 / ((-p).log1p() - p.log())
        return lx.where(far, exact, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x * x) * x)  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        far, p, x = self._split()
        exact = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / ((-p).log1p() - p.log()).pow(2)
        square = x * x
        return lx.where(far, exact, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square)  # type: ignore[no-any-return]

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(lx.rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return self._cont_bern_log_norm() - F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        far, p, _ = self._split()
        exact = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        return lx.where(far, exact, value).clamp(min=0, max=1)  # type: ignore[no-any-return]

    def icdf(self, value: Tensor) -> Tensor:
        far, p, _ = self._split()
        low = (-p).log1p()
        exact = ((-p + value * (2.0 * p - 1.0)).log1p() - low) / (p.log() - low)
        return lx.where(far, exact, value)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        low, high = (-self.probs).log1p(), self.probs.log()
        return self.mean * (low - high) - self._cont_bern_log_norm() - low

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Any:
        far = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        safe = lx.where(far, x, self._lims[0] - 0.5)
        exact = safe.expm1().abs().log() - safe.abs().log()
        return lx.where(far, exact, 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0)
