"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, error, no_grad
from .categorical import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """``component_distribution``, whose last batch dim is that of the components, mixed as ``mixture_distribution`` says."""

    arg_constraints: Any = {}
    has_rsample = False

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise error(
                ValueError, "The Mixture distribution needs to be an instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise error(
                ValueError, "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        mixed, single = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(mixed), reversed(single)):
            if a != 1 and b != 1 and a != b:
                raise error(
                    ValueError,
                    f"`mixture_distribution.batch_shape` ({mixed}) is not compatible with "
                    f"`component_distribution.batch_shape`({single})",
                )
        km, kc = mixture_distribution._num_events, component_distribution.batch_shape[-1]
        if km != kc:
            raise error(
                ValueError,
                f"`mixture_distribution component` ({km}) does not equal `component_distribution.batch_shape[-1]` ({kc})",
            )
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        self._num_component, self._event_ndims = km, len(component_distribution.event_shape)
        super().__init__(single, component_distribution.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        new._component_distribution = self._component_distribution.expand((*batch_shape, self._num_component))
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component, new._event_ndims = self._num_component, self._event_ndims
        return self._completed(new, batch_shape, self.event_shape)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Any:
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Any:
        return self._component_distribution

    def _weights(self) -> Tensor:
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * self._event_ndims)  # type: ignore[no-any-return]

    def _mixed(self, values: Tensor) -> Tensor:
        return (self._weights() * values).sum(-1 - self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return self._mixed(self._component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        own = self._component_distribution
        between = own.mean - self.mean.unsqueeze(-1 - self._event_ndims)
        return self._mixed(own.variance + between.pow(2))

    def cdf(self, x: Tensor) -> Tensor:
        below = self._component_distribution.cdf(self._spread(x))
        return (below * self._mixture_distribution.probs).sum(-1)  # type: ignore[no-any-return]

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        own = self._component_distribution.log_prob(self._spread(x))
        return (own + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)  # type: ignore[no-any-return]

    def _spread(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1 - self._event_ndims)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            which = self._mixture_distribution.expand(self._batch_shape).sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            dim = drawn.ndim - 1 - self._event_ndims
            index = which.reshape(*which.shape, *[1] * (self._event_ndims + 1))
            index = index.expand(*which.shape, 1, *self._event_shape)
            return drawn.gather(dim, index).squeeze(dim)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"
