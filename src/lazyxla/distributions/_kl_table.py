"""The rows of the table of divergences: those within a family first, then from one to another."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import grad
from ._ops import F, Tensor, enable_grad, error, inf, lx, solve_triangular
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .kl import kl_divergence, register_kl
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal, _half_log_det, _whitened
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import _sum_rightmost, euler_constant

_LOG_2PI = math.log(2 * math.pi)


def _row(p: type, q: type, f: Any) -> None:
    register_kl(p, q)(f)


# --- within a family --------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    one = lx.where(q.probs == 0, inf, p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits)))
    none = lx.where(q.probs == 1, inf, (1 - p.probs) * (F.softplus(q.logits) - F.softplus(p.logits)))
    return lx.where(p.probs == 0, 0.0, one) + lx.where(p.probs == 1, 0.0, none)  # type: ignore[no-any-return]


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    """Reads the counts: where p has fewer trials than q there is no closed form."""
    if bool((p.total_count < q.total_count).any()):
        raise error(NotImplementedError, "KL between Binomials where q.total_count > p.total_count is not implemented")
    found = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return lx.where(p.total_count > q.total_count, inf, found)  # type: ignore[no-any-return]


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    t = lx.where(q.probs == 0, inf, p.probs * (p.logits - q.logits))
    return lx.where(p.probs == 0, 0.0, t).sum(-1)  # type: ignore[no-any-return]


_row(OneHotCategorical, OneHotCategorical, lambda p, q: _categorical(p._categorical, q._categorical))
_row(
    ContinuousBernoulli, ContinuousBernoulli,
    lambda p, q: p.mean * (p.logits - q.logits) + p._cont_bern_log_norm() + (-p.probs).log1p()
    - q._cont_bern_log_norm() - (-q.probs).log1p(),
)  # fmt: skip


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    mean_logs = a.digamma() - total.digamma().unsqueeze(-1)
    norm = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norm + ((a - b) * mean_logs).sum(-1)  # type: ignore[no-any-return]


_row(Exponential, Exponential, lambda p, q: q.rate / p.rate - (q.rate / p.rate).log() - 1)


@register_kl(ExponentialFamily, ExponentialFamily)
def _family(p: Any, q: Any) -> Tensor:
    """Of the same family: the Bregman divergence of the log normalizer."""
    if type(p) is not type(q):
        raise error(
            NotImplementedError,
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences",
        )
    mine = [x.detach().requires_grad_() for x in p._natural_params]
    with enable_grad():
        log_normal = p._log_normalizer(*mine)
        means = grad(log_normal.sum(), mine, create_graph=True)
    found = q._log_normalizer(*q._natural_params) - log_normal
    for x, y, g in zip(mine, q._natural_params, means):
        found = found - _sum_rightmost((y - x) * g, len(q.event_shape))
    return found  # type: ignore[no-any-return]


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    return (  # type: ignore[no-any-return]
        b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return shift - ratio.log() + ratio * euler_constant + ((1 + ratio).lgamma() - shift).exp() - (1 + euler_constant)  # type: ignore[no-any-return]


_row(Geometric, Geometric, lambda p, q: -p.entropy() - (-q.probs).log1p() / p.probs - q.logits)
_row(HalfNormal, HalfNormal, lambda p, q: _normal(p.base_dist, q.base_dist))  # type: ignore[has-type]


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return away / q.scale - ratio.log() + ratio * (-away / p.scale).exp() - 1  # type: ignore[no-any-return]


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())  # type: ignore[no-any-return]


def _gaussians(p: Any, q: Any) -> Tensor:
    """Of multivariate normal distributions, by their Cholesky factors."""
    if p.event_shape != q.event_shape:
        raise error(
            ValueError, "KL-divergence between two Multivariate Normals with different event shapes cannot be computed"
        )
    mine, other = (getattr(d, "_unbroadcasted_scale_tril", None) for d in (p, q))
    mine, other = p.scale_tril if mine is None else mine, q.scale_tril if other is None else other
    n = p.event_shape[0]
    batch = lx.broadcast_shapes(mine.shape[:-2], other.shape[:-2])
    ratio = solve_triangular(other.expand(*batch, n, n), mine.expand(*batch, n, n), upper=False)  # type: ignore[misc]
    trace, distance = ratio.pow(2).sum((-2, -1)), _whitened(other, q.loc - p.loc).pow(2).sum(-1)
    return _half_log_det(other) - _half_log_det(mine) + 0.5 * (trace + distance - n)  # type: ignore[no-any-return]


for _a in (MultivariateNormal, LowRankMultivariateNormal):
    for _b in (MultivariateNormal, LowRankMultivariateNormal):
        _row(_a, _b, _gaussians)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return lx.where(p.scale < q.scale, inf, found)  # type: ignore[no-any-return]


_row(Poisson, Poisson, lambda p, q: p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate))


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    """Through the same transforms (whose numbers are read), that of the base distributions."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise error(NotImplementedError, "KL between distributions through different transforms is not implemented")
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return lx.where((q.low > p.low) | (q.high < p.high), inf, found)  # type: ignore[no-any-return]


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise error(NotImplementedError, "KL between Independents of different numbers of dims is not implemented")
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()  # type: ignore[no-any-return]


# --- from one family to another: -entropy(p) less the mean of log q under p -------------------------------------


def _to_normal(p: Any, q: Any) -> Tensor:
    square = q.scale.pow(2)
    return 0.5 * (_LOG_2PI + square.log()) + (p.variance + (p.mean - q.loc).pow(2)) / (2 * square) - p.entropy()  # type: ignore[no-any-return]


for _a in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Uniform):  # type: ignore[assignment]
    _row(_a, Normal, _to_normal)


@register_kl(Pareto, Normal)
def _pareto_normal(p: Any, q: Any) -> Tensor:
    return lx.where(p.alpha <= 2, inf, _to_normal(p, q))  # type: ignore[no-any-return]


def _to_exponential(p: Any, q: Any) -> Tensor:
    return q.rate * p.mean - q.rate.log() - p.entropy()  # type: ignore[no-any-return]


for _a in (Beta, ContinuousBernoulli, Gamma, Pareto):  # type: ignore[assignment]  # a Pareto mean is infinite where the divergence is
    _row(_a, Exponential, _to_exponential)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Tensor:
    return lx.where(p.low < 0, inf, _to_exponential(p, q))  # type: ignore[no-any-return]


def _to_gamma(p: Any, q: Any, mean_log: Any) -> Tensor:
    b = q.concentration
    return b.lgamma() - b * q.rate.log() - (b - 1) * mean_log + q.rate * p.mean - p.entropy()  # type: ignore[no-any-return]


def _mean_log(p: Any) -> Tensor:
    """The mean of log x under a uniform distribution."""
    return (lx.xlogy(p.high, p.high) - lx.xlogy(p.low, p.low)) / (p.high - p.low) - 1  # type: ignore[no-any-return]


_row(
    Beta, Gamma,
    lambda p, q: _to_gamma(p, q, p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()),
)  # fmt: skip
_row(Exponential, Gamma, lambda p, q: _to_gamma(p, q, -euler_constant - p.rate.log()))
_row(Pareto, Gamma, lambda p, q: _to_gamma(p, q, p.scale.log() + p.alpha.reciprocal()))
_row(Uniform, Gamma, lambda p, q: lx.where(p.low < 0, inf, _to_gamma(p, q, _mean_log(p))))
_row(Bernoulli, Poisson, lambda p, q: q.rate - p.probs * q.rate.log() - p.entropy())


def _to_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()  # type: ignore[no-any-return]


def _outside_unit(p: Any) -> Tensor:
    return (p.low < 0) | (p.high > 1)


_row(Beta, ContinuousBernoulli, _to_continuous_bernoulli)
_row(
    Uniform, ContinuousBernoulli, lambda p, q: lx.where(_outside_unit(p), inf, _to_continuous_bernoulli(p, q))
)


def _unit_uniform(p: Any, q: Any) -> Tensor:
    found = (q.high - q.low).log() - p.entropy()
    return lx.where((q.low > 0) | (q.high < 1), inf, found)  # type: ignore[no-any-return]


_row(Beta, Uniform, _unit_uniform)
_row(ContinuousBernoulli, Uniform, _unit_uniform)


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    width = p.high - p.low
    mean_rest = (lx.xlogy(1 - p.low, 1 - p.low) - lx.xlogy(1 - p.high, 1 - p.high)) / width - 1
    norm = a.lgamma() + b.lgamma() - (a + b).lgamma()
    found = norm - width.log() - (a - 1) * _mean_log(p) - (b - 1) * mean_rest
    return lx.where(_outside_unit(p), inf, found)  # type: ignore[no-any-return]


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Tensor:
    found = (q.alpha + 1) * _mean_log(p) - q.alpha.log() - q.alpha * q.scale.log() - (p.high - p.low).log()
    return lx.where(p.low < q.scale, inf, found)  # type: ignore[no-any-return]


def _to_gumbel(p: Any, q: Any, mean_exp: Any) -> Tensor:
    """``mean_exp``: the mean of exp(-x / q.scale) under p."""
    return q.scale.log() + (p.mean - q.loc) / q.scale + (q.loc / q.scale).exp() * mean_exp - p.entropy()  # type: ignore[no-any-return]


_row(Exponential, Gumbel, lambda p, q: _to_gumbel(p, q, p.rate * q.scale / (p.rate * q.scale + 1)))
_row(Gamma, Gumbel, lambda p, q: _to_gumbel(p, q, (1 + (p.rate * q.scale).reciprocal()).pow(-p.concentration)))
_row(Normal, Gumbel, lambda p, q: _to_gumbel(p, q, (0.5 * (p.scale / q.scale).pow(2) - p.loc / q.scale).exp()))
_row(
    Uniform, Gumbel,
    lambda p, q: _to_gumbel(p, q, ((-p.low / q.scale).exp() - (-p.high / q.scale).exp()) * q.scale / (p.high - p.low)),
)  # fmt: skip


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    d = p.loc - q.loc
    z = d / p.scale
    mean_abs = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z * z).exp() + d * (math.sqrt(0.5) * z).erf()
    return (2 * q.scale).log() + mean_abs / q.scale - p.entropy()  # type: ignore[no-any-return]


# --- p has values where q has none ------------------------------------------------------------------------------


def _infinite(p: Any, q: Any) -> Tensor:
    like = p.mean
    shape = lx.broadcast_shapes(p.batch_shape, q.batch_shape)
    return lx.full(shape, inf, dtype=like.dtype, device=like.device)  # type: ignore[no-any-return]


_line = (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)
for _p, _qs in (
    (Beta, (Pareto,)), (ContinuousBernoulli, (Pareto,)), (Exponential, (Beta, ContinuousBernoulli, Pareto, Uniform)),
    (Gamma, (Beta, ContinuousBernoulli, Pareto, Uniform)), (Gumbel, _line), (Laplace, _line), (Normal, _line),
    (Pareto, (Beta, ContinuousBernoulli, Uniform)), (Poisson, (Bernoulli, Binomial)),
):  # fmt: skip
    for _q in _qs:
        _row(_p, _q, _infinite)
