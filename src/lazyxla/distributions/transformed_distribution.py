"""``TransformedDistribution``: a distribution seen through transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, error, no_grad
from .distribution import Distribution
from .independent import Independent
from .transforms import ComposeTransform, Transform
from .utils import _sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """What the transforms (one, or a list) make, one after the other, of draws from a base distribution."""

    arg_constraints: Any = {}

    def __init__(
        self, base_distribution: Any, transforms: Any, validate_args: bool | None = None
    ) -> None:
        if isinstance(transforms, Transform):
            self.transforms: list[Any] = [transforms]
        elif not isinstance(transforms, list):
            raise error(ValueError, f"transforms must be a Transform or list, but was {transforms}")
        elif not all(isinstance(t, Transform) for t in transforms):
            raise error(ValueError, "transforms must be a Transform or a list of Transforms")
        else:
            self.transforms = transforms
        shape = base_distribution.batch_shape + base_distribution.event_shape
        base_dims = len(base_distribution.event_shape)
        whole = ComposeTransform(self.transforms)
        wanted = whole.domain.event_dim
        if len(shape) < wanted:
            raise error(
                ValueError, f"base_distribution needs to have shape with size at least {wanted}, but got {shape}."
            )
        forward = Size(whole.forward_shape(shape))
        needed = Size(whole.inverse_shape(forward))
        if shape != needed:
            base_distribution = base_distribution.expand(needed[: len(needed) - base_dims])
        if wanted > base_dims:
            base_distribution = Independent(base_distribution, wanted - base_dims)
        self.base_dist = base_distribution
        change = whole.codomain.event_dim - wanted
        cut = len(forward) - max(whole.codomain.event_dim, base_dims + change)
        super().__init__(forward[:cut], forward[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(TransformedDistribution, _instance)
        shape = Size(batch_shape) + self.event_shape
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        new.transforms = self.transforms
        return self._completed(new, batch_shape, self.event_shape)

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self.event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample  # type: ignore[no-any-return]

    def _through(self, x: Tensor) -> Tensor:
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        dims, found, y = len(self.event_shape), None, value
        for t in reversed(self.transforms):
            x = t.inv(y)
            dims += t.domain.event_dim - t.codomain.event_dim
            term = _sum_rightmost(t.log_abs_det_jacobian(x, y), dims - t.domain.event_dim)
            found = -term if found is None else found - term
            y = x
        base = _sum_rightmost(self.base_dist.log_prob(y), dims - len(self.base_dist.event_shape))
        return base if found is None else found + base

    def _monotonize_cdf(self, value: Tensor) -> Tensor:
        """The probability of less, where the transforms together turn order around."""
        sign: Any = 1
        for t in self.transforms:
            sign = sign * t.sign
        if isinstance(sign, int):
            return value if sign == 1 else 1 - value
        return sign * (value - 0.5) + 0.5  # type: ignore[no-any-return]

    def cdf(self, value: Tensor) -> Tensor:
        for t in reversed(self.transforms):
            value = t.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._monotonize_cdf(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._through(self.base_dist.icdf(self._monotonize_cdf(value)))
