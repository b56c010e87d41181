"""The multinomial distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, error, inf, lx
from .binomial import Binomial
from .one_hot_categorical import OverCategorical
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(OverCategorical):
    """How often each category comes in ``total_count`` draws."""

    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Tensor | None = None, logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(total_count, int):
            raise error(NotImplementedError, "inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._made_of(probs, logits, validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        return self._over(Multinomial, batch_shape, _instance, total_count=self.total_count)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        drawn = self._categorical.sample(Size((self.total_count,)) + Size(sample_shape))
        places = lx.arange(self.event_shape[0], device=drawn.device)
        return (drawn.unsqueeze(-1) == places).sum(0).type_as(self.probs)  # type: ignore[no-any-return]

    def entropy(self) -> Tensor:
        n = self.total_count
        counts = lx.arange(1, n + 1, dtype=self.probs.dtype, device=self.probs.device)
        counts = counts.view(-1, *[1] * self.probs.ndim)
        chances = Binomial(n, probs=self.probs, validate_args=False).log_prob(counts).exp()
        expected = (chances * (counts + 1).lgamma()).sum((0, -1))
        return n * self._categorical.entropy() - math.lgamma(n + 1) + expected

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -inf), 0.0)
        return (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1) + (logits * value).sum(-1)
