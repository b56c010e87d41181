"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Size, Tensor, cholesky, error, lx, solve_triangular
from .distribution import Distribution
from .utils import _standard_normal, expanded, lazy_property

__all__ = ["MultivariateNormal"]

_MATRICES = ("covariance_matrix", "precision_matrix", "scale_tril")


def _batch_mv(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _whitened(tril: Tensor, x: Tensor) -> Tensor:
    """tril^-1 x, for tril [*, n, n] and x [*, n] of batches that broadcast."""
    batch = lx.broadcast_shapes(tril.shape[:-2], x.shape[:-1])
    n = x.shape[-1]
    return solve_triangular(tril.expand(*batch, n, n), x.expand(*batch, n).unsqueeze(-1), upper=False).squeeze(-1)  # type: ignore[misc, no-any-return]


def _batch_mahalanobis(tril: Tensor, x: Tensor) -> Tensor:
    """x^T (tril tril^T)^-1 x."""
    return _whitened(tril, x).pow(2).sum(-1)


def _half_log_det(tril: Tensor) -> Tensor:
    return tril.diagonal(0, -2, -1).log().sum(-1)


def _precision_to_scale_tril(p: Tensor) -> Tensor:
    """The lower factor of p^-1: from the factor of p read backwards, so that no matrix is inverted twice."""
    upper = cholesky(p.flip(-2, -1)).flip(-2, -1)  # type: ignore[misc]  # p = upper upper^T
    eye = lx.eye(p.shape[-1], dtype=p.dtype, device=p.device).expand(p.shape)
    return solve_triangular(upper, eye, upper=True).mT  # type: ignore[misc, no-any-return]


class ByMatrix(Distribution):
    """A distribution given by exactly one of a covariance matrix, its inverse, and its Cholesky factor."""

    _unbroadcasted_scale_tril: Tensor

    def _one_matrix(self, given: dict[str, Any], kind: type[Exception]) -> tuple[str, Tensor]:
        found = {k: v for k, v in given.items() if v is not None}
        if len(found) != 1:
            raise error(
                kind, "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = found.items()
        if matrix.dim() < 2:
            words = "scale_tril matrix" if name == "scale_tril" else name
            raise error(
                ValueError, f"{words} must be at least two-dimensional, with optional leading batch dimensions"
            )
        return name, matrix

    def _factor(self, name: str, matrix: Tensor) -> None:
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        else:
            self._unbroadcasted_scale_tril = (
                cholesky(matrix) if name == "covariance_matrix" else _precision_to_scale_tril(matrix)  # type: ignore[misc]
            )

    def _square(self) -> Size:
        return self._batch_shape + self._event_shape[-1:] + self._event_shape[-1:]

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._unbroadcasted_scale_tril.expand(self._square())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        tril = self._unbroadcasted_scale_tril
        return (tril @ tril.mT).expand(self._square())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        tril = self._unbroadcasted_scale_tril
        eye = lx.eye(tril.shape[-1], dtype=tril.dtype, device=tril.device)
        return lx.cholesky_solve(eye.expand(tril.shape), tril).expand(self._square())  # type: ignore[no-any-return]


class MultivariateNormal(ByMatrix):
    """Mean ``loc`` [*, n] and one of covariance, precision, or the lower Cholesky factor ``scale_tril`` [*, n, n]."""

    arg_constraints: Any = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.dim() < 1:
            raise error(ValueError, "loc must be at least one-dimensional.")
        name, matrix = self._one_matrix(dict(zip(_MATRICES, (covariance_matrix, precision_matrix, scale_tril))), ValueError)
        batch = Size(lx.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        self.__dict__[name] = expanded(matrix, batch + matrix.shape[-2:])
        self.loc = expanded(loc, batch + loc.shape[-1:])
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        self._factor(name, matrix)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(MultivariateNormal, _instance)
        n = self.event_shape[0]
        new.loc = self.loc.expand(*batch_shape, n)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        for name in _MATRICES:
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name].expand(*batch_shape, n, n)
        return self._completed(new, batch_shape, self.event_shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        eps = _standard_normal(self._extended_shape(sample_shape), self.loc.dtype, self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - _half_log_det(self._unbroadcasted_scale_tril)

    def entropy(self) -> Tensor:
        n = self._event_shape[0]
        found = 0.5 * n * (1.0 + math.log(2 * math.pi)) + _half_log_det(self._unbroadcasted_scale_tril)
        return found.expand(self._batch_shape)
