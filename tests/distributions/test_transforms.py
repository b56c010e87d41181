"""Transforms: inverses, log determinants, caches, registries; constraints; divergences against integrals and draws."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.distributions as D
from lazyxla.distributions import constraints, transforms

X = np.array([-1.2, 0.3, 0.8], np.float64)
BIJECTIVE = [
    transforms.ExpTransform(), transforms.SigmoidTransform(), transforms.SoftplusTransform(), transforms.TanhTransform(),
    transforms.AffineTransform(1.0, -2.0),
    transforms.ComposeTransform([transforms.ExpTransform(), transforms.PowerTransform(2.0)]),
    transforms.StackTransform([transforms.ExpTransform(), transforms.TanhTransform(), transforms.SigmoidTransform()]),
    transforms.CatTransform([transforms.ExpTransform(), transforms.TanhTransform()], lengths=[1, 2]),
    transforms.CumulativeDistributionTransform(D.Normal(0.0, 1.0)),
]  # fmt: skip


@pytest.mark.parametrize("t", BIJECTIVE, ids=lambda t: type(t).__name__)
def test_elementwise(t):
    x = lx.tensor(X, requires_grad=True)
    y = t(x)
    np.testing.assert_allclose(t.inv(y).detach().numpy(), X, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(t.log_abs_det_jacobian(x, y).detach().numpy(), np.log(np.abs(x.grad.numpy())), rtol=1e-5)
    np.testing.assert_allclose(
        t.inv.log_abs_det_jacobian(y, x).detach().numpy(), -np.log(np.abs(x.grad.numpy())), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("t", "keep"),
    [(transforms.StickBreakingTransform(), slice(0, 3)), (transforms.CorrCholeskyTransform(), [3, 6, 7])],
    ids=["StickBreaking", "CorrCholesky"],
)
def test_of_vectors(t, keep):
    x = lx.tensor(X)
    y = t(x)
    assert t.codomain.check(y).item() and tuple(y.shape) == tuple(t.forward_shape((3,)))
    assert tuple(t.inverse_shape(y.shape)) == (3,)
    np.testing.assert_allclose(t.inv(y).numpy(), X, rtol=1e-6)
    h = 1e-6
    jacobian = np.stack([
        (t(lx.tensor(X + h * e)).numpy().reshape(-1)[keep] - t(lx.tensor(X - h * e)).numpy().reshape(-1)[keep]) / (2 * h)
        for e in np.eye(3)
    ])
    expected = np.log(np.abs(np.linalg.det(jacobian)))
    np.testing.assert_allclose(t.log_abs_det_jacobian(x, y).item(), expected, rtol=1e-5)


def test_a_cache_gives_back_what_was_given():
    t = transforms.ExpTransform(cache_size=1)
    x = lx.tensor(X)
    y = t(x)
    assert t.inv(y) is x and t(x) is y and t.inv.inv is t
    assert transforms.ExpTransform() == transforms.ExpTransform() != transforms.TanhTransform()
    with pytest.raises(ValueError, match="cache_size must be 0 or 1"):
        transforms.ExpTransform(cache_size=2)
    with pytest.raises(ValueError, match="Too few dimensions on input"):
        transforms.IndependentTransform(t, 1)(lx.tensor(1.0))


@pytest.mark.parametrize(
    "c",
    [
        constraints.real, constraints.positive, constraints.nonnegative, constraints.greater_than(2.0),
        constraints.less_than(-1.0), constraints.unit_interval, constraints.interval(-2.0, 3.0), constraints.simplex,
        constraints.independent(constraints.positive, 1), constraints.corr_cholesky,
        constraints.stack([constraints.positive, constraints.real, constraints.unit_interval]),
    ],
    ids=repr,
)  # fmt: skip
def test_registries_lead_to_the_constraint(c):
    for to in (D.biject_to, D.transform_to):
        y = to(c)(lx.tensor(X))
        assert c.check(y).all().item()


def test_matrices_and_what_has_no_transform():
    x = lx.tensor(X).unsqueeze(-1) * lx.tensor(X + 1)
    for c in (constraints.lower_cholesky, constraints.positive_definite):
        t = D.transform_to(c)
        assert c.check(t(x)).item() and not c.check(-t(x)).item()
        np.testing.assert_allclose(t(t.inv(t(x))).numpy(), t(x).numpy(), rtol=1e-6, atol=1e-9)
    assert constraints.positive_semidefinite.check(lx.ones(2, 2) + 1e-6 * lx.eye(2)).item()
    assert not constraints.symmetric.check(lx.tensor([[1.0, 2.0], [0.0, 1.0]])).item()
    assert not constraints.square.check(lx.ones(2, 3)).item() and constraints.one_hot.check(lx.eye(3)).all().item()
    with pytest.raises(NotImplementedError, match="Cannot transform _OneHot constraints"):
        D.biject_to(constraints.one_hot)
    with pytest.raises(TypeError, match="Expected constraint to be either a Constraint subclass or instance"):
        D.biject_to.register(3, lambda c: c)
    with pytest.raises(ValueError, match="Cannot determine validity of dependent constraint"):
        constraints.dependent.check(x)


def _d(kind, *arguments):
    return getattr(D, kind)(*[lx.tensor(np.float64(a)) for a in arguments])


INSTANCES = {
    "Normal": (0.3, 0.8), "Laplace": (0.1, 0.7), "Cauchy": (0.2, 0.9), "Gumbel": (0.2, 1.1), "Exponential": (1.3,),
    "Gamma": (2.0, 1.5), "Beta": (2.0, 3.0), "ContinuousBernoulli": (0.3,), "Uniform": (0.2, 0.8), "Pareto": (0.1, 3.5),
    "Bernoulli": (0.3,), "Poisson": (2.0,), "Geometric": (0.4,), "HalfNormal": (0.8,),
}  # fmt: skip
OTHER = {
    "Normal": (0.5, 1.2), "Laplace": (0.3, 1.1), "Cauchy": (0.1, 1.4), "Gumbel": (0.1, 0.8), "Exponential": (0.8,),
    "Gamma": (1.4, 1.1), "Beta": (1.5, 1.2), "ContinuousBernoulli": (0.7,), "Uniform": (-0.5, 1.5), "Pareto": (0.05, 2.0),
    "Bernoulli": (0.6,), "Poisson": (1.2,), "Geometric": (0.3,), "HalfNormal": (1.3,),
}  # fmt: skip
PAIRS = [
    (p, q) for p in INSTANCES for q in OTHER
    if any((getattr(D, p), getattr(D, q)) == row for row in D.kl._KL_REGISTRY)
]  # fmt: skip


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_divergences_are_the_mean_difference_of_log_densities(p, q):
    first, second = _d(p, *INSTANCES[p]), _d(q, *OTHER[q])
    found = D.kl_divergence(first, second).item()
    if p in ("Bernoulli", "Poisson", "Geometric"):
        x, weight = np.arange(2.0 if p == "Bernoulli" else 80.0), 1.0
    else:  # the midpoint rule after x = s sinh(t), which reaches far into the tails
        low, high = {"Beta": (0, 1), "ContinuousBernoulli": (0, 1), "Uniform": (0.2, 0.8)}.get(p, (None, None))
        if low is not None:
            x = low + (np.arange(20_000) + 0.5) / 20_000 * (high - low)
            weight = (high - low) / 20_000
        else:
            start = {"Exponential": 0.0, "Gamma": 0.0, "Pareto": 0.1, "HalfNormal": 0.0}.get(p)
            t = (np.arange(40_000) + 0.5) / 40_000 * 40 - (20 if start is None else 30)
            x, weight = (np.sinh(t), np.cosh(t) * 40 / 40_000) if start is None else (
                start + np.exp(t), np.exp(t) * 40 / 40_000)  # fmt: skip
    with np.errstate(all="ignore"):
        log_p, log_q = (_log(d, x) for d in (first, second))
        terms = np.where(np.exp(log_p) > 0, np.exp(log_p) * (log_p - log_q) * weight, 0.0)
    expected = terms.sum()
    if np.isinf(found):
        assert found > 0 and (np.isinf(terms).any() or np.isinf(expected))
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)


def _log(d, x):
    d._validate_args = False
    support = d.support
    values = d.log_prob(lx.tensor(x)).numpy().astype(np.float64)
    return np.where(support.check(lx.tensor(x)).numpy(), np.nan_to_num(values, nan=-np.inf), -np.inf)


def test_divergences_of_vectors_and_of_what_is_made_of_others():
    eye, loc = lx.eye(2, dtype=lx.float64), lx.tensor([0.5, -1.0], dtype=lx.float64)
    p = D.MultivariateNormal(loc, eye * 2)
    q = D.LowRankMultivariateNormal(loc * 0, lx.tensor([[1.0], [0.5]], dtype=lx.float64), lx.ones(2, dtype=lx.float64))
    s, m = q.covariance_matrix.numpy(), loc.numpy()
    inverse = np.linalg.inv(s)
    expected = 0.5 * (np.trace(inverse) * 2 + m @ inverse @ m - 2 + np.log(np.linalg.det(s)) - np.log(4))
    np.testing.assert_allclose(D.kl_divergence(p, q).item(), expected, rtol=1e-6)
    base, other = D.Normal(loc, 1.0), D.Normal(loc * 0, 2.0)
    found = D.kl_divergence(D.Independent(base, 1), D.Independent(other, 1))
    np.testing.assert_allclose(found.item(), D.kl_divergence(base, other).sum().item())
    logs = [D.TransformedDistribution(b, [transforms.ExpTransform()]) for b in (base, other)]
    np.testing.assert_allclose(D.kl_divergence(*logs).numpy(), D.kl_divergence(base, other).numpy())
    with pytest.raises(NotImplementedError, match="No KL\\(p \\|\\| q\\) is implemented for p type Normal and q type Cauchy"):
        D.kl_divergence(base, D.Cauchy(0.0, 1.0))
    with pytest.raises(TypeError, match="Expected type_p to be a Distribution subclass"):
        D.register_kl(int, D.Normal)


def test_the_most_specific_row_wins_and_ties_warn():
    class Left(D.Normal):
        pass

    class Right(D.Normal):
        pass

    D.register_kl(Left, D.Normal)(lambda p, q: "left")
    D.register_kl(D.Normal, Right)(lambda p, q: "right")
    try:
        assert D.kl_divergence(Left(0.0, 1.0), D.Normal(0.0, 1.0)) == "left"
        with pytest.warns(RuntimeWarning, match="Ambiguous kl_divergence\\(Left, Right\\)"):
            D.kl_divergence(Left(0.0, 1.0), Right(0.0, 1.0))
    finally:
        del D.kl._KL_REGISTRY[Left, D.Normal], D.kl._KL_REGISTRY[D.Normal, Right]
        D.kl._KL_MEMOIZE.clear()


def test_mixtures_and_relaxed_ones(seed):
    mix = D.Categorical(lx.tensor([0.3, 0.7]))
    d = D.MixtureSameFamily(mix, D.Normal(lx.tensor([-1.0, 2.0]), lx.tensor([0.5, 1.0])))
    x = np.array([-1.0, 0.5], np.float32)
    density = sum(w * np.exp(-0.5 * ((x - m) / s) ** 2) / s / np.sqrt(2 * np.pi) for w, m, s in ((0.3, -1, 0.5), (0.7, 2, 1)))
    np.testing.assert_allclose(d.log_prob(lx.tensor(x)).numpy(), np.log(density), rtol=1e-5)
    draws = d.sample((20_000,)).numpy()
    np.testing.assert_allclose(draws.mean(), d.mean.item(), atol=0.05)
    np.testing.assert_allclose(draws.var(), d.variance.item(), rtol=0.05)
    soft = D.RelaxedOneHotCategorical(lx.tensor(0.5), lx.tensor([0.2, 0.3, 0.5]))
    y = soft.rsample((100,))
    assert constraints.simplex.check(y).float().mean() > 0.9 and soft.log_prob(y).isfinite().all()
    hard = D.OneHotCategoricalStraightThrough(logits=lx.tensor([0.1, 0.2], requires_grad=True))
    z = hard.rsample()
    assert constraints.one_hot.check(z.detach().round()).item() and z.requires_grad
    with pytest.raises(ValueError, match="Either `probs` or `logits` must be specified, but not both"):
        D.Bernoulli()
