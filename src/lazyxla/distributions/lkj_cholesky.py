"""The distribution of Lewandowski, Kurowicka and Joe over Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, Value, error, finfo, lx, no_grad
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower factors L [dim, dim]; the density of L L^T is in proportion to det(L L^T)^(concentration - 1). Draws are made by
    the onion method."""

    arg_constraints: Any = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Value = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise error(ValueError, f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        rest = lx.arange(dim - 1, dtype=self.concentration.dtype, device=self.concentration.device)
        offset = lx.cat([rest[:1], rest])
        high = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * offset
        self._beta = Beta(offset + 0.5, high, validate_args=False)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(LKJCholesky, _instance)
        new.dim, new.concentration = self.dim, self.concentration.expand(batch_shape)
        new._beta = self._beta.expand((*batch_shape, self.dim))
        return self._completed(new, batch_shape, self.event_shape)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with no_grad():
            y = self._beta.sample(sample_shape).unsqueeze(-1)
            u = lx.randn(self._extended_shape(sample_shape), dtype=y.dtype, device=y.device).tril(-1)
            length = u.pow(2).sum(-1, True).sqrt()
            w = y.sqrt() * lx.where(length > 0, u / length, 0.0)
            rest = (1 - w.pow(2).sum(-1)).clamp(min=finfo(w.dtype).tiny).sqrt()
            return w + rest.diag_embed()  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        c, d = self.concentration, self.dim
        diagonal = value.diagonal(0, -2, -1)[..., 1:]
        order = 2 * (c - 1).unsqueeze(-1) + d - lx.arange(2, d + 1, dtype=c.dtype, device=c.device)
        alpha = c + 0.5 * (d - 1)
        norm = 0.5 * (d - 1) * math.log(math.pi) + lx.mvlgamma(alpha - 0.5, d - 1) - (d - 1) * alpha.lgamma()
        return (order * diagonal.log()).sum(-1) - norm
