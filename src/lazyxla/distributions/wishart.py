"""The Wishart distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import constraints
from ._ops import Number, Size, Tensor, Value, finfo, lx, nan, slogdet
from ._validation import Check, require
from .chi2 import Chi2
from .exp_family import ExponentialFamily
from .multivariate_normal import _MATRICES, ByMatrix, _half_log_det
from .utils import expanded

__all__ = ["Wishart"]


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of the logarithm of the multivariate gamma function."""
    return (x.unsqueeze(-1) - lx.arange(p, dtype=x.dtype, device=x.device) / 2).digamma().sum(-1)


class Wishart(ByMatrix, ExponentialFamily):
    """Sums of ``df`` (more than n - 1) outer products of normal vectors with the given covariance (or its inverse, or its
    Cholesky factor) [*, n, n]. Draws come from Bartlett's decomposition, whose diagonal is kept off 0."""

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    @property
    def arg_constraints(self) -> Any:
        return {
            "covariance_matrix": constraints.positive_definite, "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky, "df": constraints.greater_than(self.event_shape[-1] - 1),
        }  # fmt: skip

    def __init__(
        self, df: Value, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        given = (covariance_matrix, precision_matrix, scale_tril)
        name, matrix = self._one_matrix(dict(zip(_MATRICES, given)), AssertionError)
        if isinstance(df, Number):
            df = lx.tensor(float(df), dtype=matrix.dtype, device=matrix.device)
            batch = matrix.shape[:-2]
        else:
            batch = Size(lx.broadcast_shapes(matrix.shape[:-2], df.shape))
            df = expanded(df, batch)
        self.df = df
        n = matrix.shape[-1]
        self.__dict__[name] = expanded(matrix, batch + matrix.shape[-2:])
        self._event_shape = Size((n, n))
        enough = Check(self, "df", df, constraints.greater_than(n - 1))  # type: ignore[arg-type]
        enough.message = f"Value of df expected to be greater than ndim - 1 = {n - 1}."
        require([enough], now=False)
        super().__init__(batch, (n, n), validate_args=validate_args)
        self._factor(name, matrix)
        self._dist_chi2 = self._chi2()

    def _chi2(self) -> Chi2:
        n = self._event_shape[-1]
        return Chi2(
            self.df.unsqueeze(-1) - lx.arange(n, dtype=self.df.dtype, device=self.df.device), validate_args=False  # type: ignore[union-attr]
        )

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(Wishart, _instance)
        shape = Size(batch_shape) + self.event_shape
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril.expand(shape)
        new.df = self.df.expand(batch_shape)  # type: ignore[union-attr]
        for name in _MATRICES:
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name].expand(shape)
        self._completed(new, batch_shape, self.event_shape)
        new._dist_chi2 = new._chi2()
        return new

    def _df(self) -> Tensor:
        return self.df.unsqueeze(-1).unsqueeze(-1)  # type: ignore[union-attr]

    @property
    def mean(self) -> Tensor:
        return self._df() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self._df() - self.event_shape[-1] - 1
        return lx.where(factor <= 0, nan, factor) * self.covariance_matrix  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        d = v.diagonal(0, -2, -1)
        return self._df() * (v.pow(2) + d.unsqueeze(-1) * d.unsqueeze(-2))

    def rsample(self, sample_shape: Sequence[int] = Size(), max_try_correction: int | None = None) -> Tensor:
        """``max_try_correction`` is PyTorch's: there are no singular draws here to be tried again."""
        diagonal = self._dist_chi2.expand(self._batch_shape + self._event_shape[-1:]).rsample(sample_shape).sqrt()
        diagonal = diagonal.clamp(min=finfo(diagonal.dtype).eps)
        shape = self._extended_shape(sample_shape)
        below = lx.randn(shape, dtype=diagonal.dtype, device=diagonal.device).tril(-1)
        factor = self._unbroadcasted_scale_tril @ (below + diagonal.diag_embed())
        return factor @ factor.mT  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        tril = self._unbroadcasted_scale_tril
        batch = lx.broadcast_shapes(tril.shape[:-2], value.shape[:-2])
        solved = lx.cholesky_solve(value.expand(*batch, p, p), tril.expand(*batch, p, p))
        trace = solved.diagonal(0, -2, -1).sum(-1)
        return (  # type: ignore[no-any-return]
            -nu * (p * math.log(2) / 2 + _half_log_det(tril)) - lx.mvlgamma(nu / 2, p)
            + (nu - p - 1) / 2 * slogdet(value)[1] - trace / 2  # type: ignore[misc]
        )  # fmt: skip

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        return (  # type: ignore[no-any-return]
            (p + 1) * (p * math.log(2) / 2 + _half_log_det(self._unbroadcasted_scale_tril)) + lx.mvlgamma(nu / 2, p)
            - (nu - p - 1) / 2 * _mvdigamma(nu / 2, p) + nu * p / 2  # type: ignore[arg-type]
        )  # fmt: skip

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        return half * (p * math.log(2) - slogdet(-2 * x)[1]) + lx.mvlgamma(half, p)  # type: ignore[misc]
