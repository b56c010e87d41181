"""``ExponentialFamily``: distributions given by natural parameters and a log normalizer."""

from __future__ import annotations

from typing import Any

from ..autograd import grad
from ._ops import Tensor, enable_grad
from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities exp(<t(x), theta> - F(theta) + k(x)): theta are ``_natural_params``, F is ``_log_normalizer``."""

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """By the derivative of the log normalizer (Bregman divergence)."""
        params = [p.detach().requires_grad_() for p in self._natural_params]
        with enable_grad():
            log_normal = self._log_normalizer(*params)
            means = grad(log_normal.sum(), params, create_graph=True)
        result = log_normal - self._mean_carrier_measure
        for p, g in zip(params, means):
            result = result - (p * g).reshape(*self._batch_shape, -1).sum(-1)
        return result  # type: ignore[no-any-return]
