"""The generalized Pareto distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, Value, inf, lx, nan
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """From ``loc`` up, with ``scale`` and the shape parameter ``concentration``; exponential where that is 0."""

    arg_constraints: Any = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Value, scale: Value, concentration: Value, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        return self._expanded(GeneralizedPareto, batch_shape, _instance, ("loc", "scale", "concentration"))

    def _safe(self) -> tuple[Tensor, Tensor]:
        zero = self.concentration.abs() <= 1e-8
        return zero, lx.where(zero, 1.0, self.concentration)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        u = lx.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        zero, c = self._safe()
        power = 1 / c + 1
        found = lx.where(power == 0, 0.0, power * (c * z).log1p())
        return -self.scale.log() - lx.where(zero, z, found)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of more than ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        zero, c = self._safe()
        return lx.where(zero, -z, -(c * z).log1p() / c)  # type: ignore[no-any-return]

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of ``cdf``."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return -self.log_survival_function(value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        log_u = (-value).log1p()
        zero, c = self._safe()
        return self.loc + self.scale * lx.where(zero, -log_u, (-c * log_u).expm1() / c)

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        return lx.where(c < 1, self.loc + self.scale / (1 - c), nan)  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        c = self.concentration
        found = self.scale.pow(2) / ((1 - c).pow(2) * (1 - 2 * c))
        return lx.where(c < 0.5, found, nan)  # type: ignore[no-any-return]

    @property
    def mode(self) -> Tensor:
        return self.loc

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        c = self.concentration
        return constraints.interval(self.loc, lx.where(c < 0, self.loc - self.scale / c, inf))
