"""The multivariate normal distribution whose covariance is a diagonal and a matrix of low rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, cholesky, error, lx, solve_triangular
from .distribution import Distribution
from .multivariate_normal import _batch_mahalanobis, _batch_mv, _half_log_det
from .utils import _standard_normal, expanded, lazy_property

__all__ = ["LowRankMultivariateNormal"]


def _capacitance(w: Tensor, d: Tensor) -> Tensor:
    """The Cholesky factor of 1 + w^T d^-1 w."""
    eye = lx.eye(w.shape[-1], dtype=w.dtype, device=w.device)
    return cholesky(eye + (w.mT / d.unsqueeze(-2)) @ w)  # type: ignore[misc, no-any-return]


def _batch_lowrank_logdet(w: Tensor, d: Tensor, capacitance: Tensor) -> Tensor:
    """log det(d + w w^T), by the matrix determinant lemma."""
    return 2 * _half_log_det(capacitance) + d.log().sum(-1)


def _batch_lowrank_mahalanobis(w: Tensor, d: Tensor, x: Tensor, capacitance: Tensor) -> Tensor:
    """x^T (d + w w^T)^-1 x, by the Woodbury identity."""
    return (x.pow(2) / d).sum(-1) - _batch_mahalanobis(capacitance, _batch_mv(w.mT / d.unsqueeze(-2), x))


class LowRankMultivariateNormal(Distribution):
    """Mean ``loc`` [*, n], covariance ``cov_factor`` [*, n, m] times its transpose plus the diagonal ``cov_diag`` [*, n]."""

    arg_constraints: Any = {
        "loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise error(ValueError, "loc must be at least one-dimensional.")
        n = loc.shape[-1]
        if cov_factor.dim() < 2:
            raise error(ValueError, "cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2] != n:
            raise error(ValueError, f"cov_factor must be a batch of matrices with shape {n} x m")
        if cov_diag.shape[-1:] != (n,):
            raise error(ValueError, f"cov_diag must be a batch of vectors with shape {loc.shape[-1:]}")
        try:
            batch = Size(lx.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]))
        except RuntimeError:
            raise error(
                ValueError,
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}",
            ) from None
        self.loc, self.cov_diag = expanded(loc, (*batch, n)), expanded(cov_diag, (*batch, n))
        self.cov_factor = expanded(cov_factor, batch + cov_factor.shape[-2:])
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = _capacitance(cov_factor, cov_diag)
        super().__init__(batch, (n,), validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(LowRankMultivariateNormal, _instance)
        n = self.event_shape[0]
        new.loc, new.cov_diag = self.loc.expand(*batch_shape, n), self.cov_diag.expand(*batch_shape, n)
        new.cov_factor = self.cov_factor.expand(*batch_shape, n, self.cov_factor.shape[-1])
        for name in ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril"):
            new.__dict__[name] = self.__dict__[name]
        return self._completed(new, batch_shape, self.event_shape)

    def _parts(self) -> tuple[Tensor, Tensor]:
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag

    def _square(self) -> Size:
        return self._batch_shape + self._event_shape + self._event_shape

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        w, d = self._parts()
        return (w.pow(2).sum(-1) + d).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        w, d = self._parts()
        return (w @ w.mT + d.diag_embed()).expand(self._square())

    @lazy_property
    def scale_tril(self) -> Tensor:
        w, d = self._parts()
        return cholesky(w @ w.mT + d.diag_embed()).expand(self._square())  # type: ignore[misc, no-any-return]

    @lazy_property
    def precision_matrix(self) -> Tensor:
        w, d = self._parts()
        a = w.mT / d.unsqueeze(-2)
        batch = lx.broadcast_shapes(self._capacitance_tril.shape[:-2], a.shape[:-2])
        m = a.shape[-2]
        a = solve_triangular(self._capacitance_tril.expand(*batch, m, m), a.expand(*batch, *a.shape[-2:]), upper=False)  # type: ignore[misc]
        return (d.reciprocal().diag_embed() - a.mT @ a).expand(self._square())

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        w, d = self._parts()
        shape = self._extended_shape(sample_shape)
        low = _standard_normal((*shape[:-1], w.shape[-1]), self.loc.dtype, self.loc.device)
        own = _standard_normal(shape, self.loc.dtype, self.loc.device)
        return self.loc + _batch_mv(w, low) + d.sqrt() * own

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        w, d = self._parts()
        distance = _batch_lowrank_mahalanobis(w, d, value - self.loc, self._capacitance_tril)
        log_det = _batch_lowrank_logdet(w, d, self._capacitance_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + log_det + distance)

    def entropy(self) -> Tensor:
        w, d = self._parts()
        log_det = _batch_lowrank_logdet(w, d, self._capacitance_tril)
        found = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + log_det)
        return found.expand(self._batch_shape)
