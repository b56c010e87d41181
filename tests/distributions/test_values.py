"""Densities, distribution functions and moments against SciPy; draws against their moments; derivatives of draws."""

import numpy as np
import pytest
from scipy import stats

import lazyxla as lx
import lazyxla.distributions as D

A, B = np.array([0.7, 2.5], np.float32), np.array([1.5, 3.0], np.float32)
P = np.array([0.3, 0.8], np.float32)
V, M = np.array([0.2, 0.3, 0.5], np.float32), np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)

# distribution, its arguments, SciPy's, points
CONTINUOUS = {
    "Beta": ((A, B), stats.beta(A, B), [0.1, 0.8]),
    "Cauchy": ((A, B), stats.cauchy(A, B), [-1.0, 3.0]),
    "Chi2": ((B,), stats.chi2(B), [0.4, 5.0]),
    "Exponential": ((A,), stats.expon(scale=1 / A), [0.3, 2.0]),
    "FisherSnedecor": ((B, B + 5), stats.f(B, B + 5), [0.4, 2.0]),
    "Gamma": ((A, B), stats.gamma(A, scale=1 / B), [0.3, 2.0]),
    "GeneralizedPareto": ((A, B, np.array([0.2, -0.3], np.float32)), stats.genpareto([0.2, -0.3], A, B), [1.0, 4.0]),
    "Gumbel": ((A, B), stats.gumbel_r(A, B), [-1.0, 3.0]),
    "HalfCauchy": ((B,), stats.halfcauchy(scale=B), [0.3, 2.0]),
    "HalfNormal": ((B,), stats.halfnorm(scale=B), [0.3, 2.0]),
    "InverseGamma": ((B + 2, B), stats.invgamma(B + 2, scale=B), [0.3, 2.0]),
    "Laplace": ((A, B), stats.laplace(A, B), [-1.0, 3.0]),
    "LogNormal": ((A, P), stats.lognorm(P, scale=np.exp(A)), [0.5, 4.0]),
    "Normal": ((A, B), stats.norm(A, B), [-1.0, 3.0]),
    "Pareto": ((A, B + 1), stats.pareto(B + 1, scale=A), [3.0, 4.0]),
    "StudentT": ((B + 2, A, B), stats.t(B.astype(float) + 2, A, B), [-1.0, 3.0]),
    "Uniform": ((A, A + B), stats.uniform(A, B), [1.0, 4.0]),
    "VonMises": ((A, B), stats.vonmises(B, A), [-1.0, 3.0]),
    "Weibull": ((A, B), stats.weibull_min(B, scale=A), [0.3, 2.0]),
}
DISCRETE = {
    "Bernoulli": ((P,), stats.bernoulli(P), [0.0, 1.0]),
    "Binomial": ((6, P), stats.binom(6, P), [2.0, 6.0]),
    "Geometric": ((P,), stats.geom(P, loc=-1), [0.0, 3.0]),
    "NegativeBinomial": ((B, P), stats.nbinom(B, 1 - P), [0.0, 3.0]),
    "Poisson": ((B * 8,), stats.poisson(B * 8), [3.0, 20.0]),
}


def made(name, arguments):
    return getattr(D, name)(*[lx.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments])


def close(found, expected, **tolerance):
    np.testing.assert_allclose(found.detach().numpy(), expected, **({"rtol": 2e-4, "atol": 2e-5} | tolerance))


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_against_scipy(name):
    arguments, reference, at = (CONTINUOUS | DISCRETE)[name]
    d, x = made(name, arguments), np.array(at, np.float32)
    assert d.batch_shape == (2,) and d.event_shape == ()
    close(d.log_prob(lx.tensor(x)), (reference.logpmf if name in DISCRETE else reference.logpdf)(x))
    if name != "VonMises":  # whose moments are circular, as PyTorch's
        for moment in ("mean", "variance"):
            expected = getattr(reference, {"mean": "mean", "variance": "var"}[moment])()
            if np.isfinite(expected).all():
                close(getattr(d, moment), expected)
    if type(d).cdf is not D.Distribution.cdf and name != "InverseGamma":
        close(d.cdf(lx.tensor(x)), reference.cdf(x))
    if type(d).icdf is not D.Distribution.icdf and type(d).icdf is not D.TransformedDistribution.icdf:
        u = np.array([0.2, 0.9], np.float32)
        close(d.icdf(lx.tensor(u)), reference.ppf(u))
    if type(d).entropy is not D.Distribution.entropy and name not in ("Gamma", "Geometric", "Poisson"):
        close(d.entropy(), reference.entropy(), rtol=1e-3)


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_draws_have_the_moments(name, seed):
    arguments, reference, _ = (CONTINUOUS | DISCRETE)[name]
    d, n = made(name, arguments), 20_000
    x = d.sample((n,)).numpy().astype(np.float64)
    assert x.shape == (n, 2) and np.isfinite(x).all()
    # by the distribution function at three quantiles, which heavy tails cannot blur
    for p in (0.2, 0.5, 0.9):
        at = reference.ppf(p)
        share = reference.cdf(at)
        if name == "VonMises":
            x = (x - A + np.pi) % (2 * np.pi) - np.pi + A
        found = (x <= at + 1e-6).mean(0)
        assert (np.abs(found - share) < 5 * np.sqrt(share * (1 - share) / n) + 1e-9).all(), (found, share)


def test_vectors_and_matrices(seed):
    mvn, x = D.MultivariateNormal(lx.tensor(A), lx.tensor(M)), np.array([0.5, -1.0], np.float32)
    reference = stats.multivariate_normal(A, M)
    precision = lx.tensor(np.linalg.inv(M).astype(np.float32))
    for d in (mvn, D.MultivariateNormal(lx.tensor(A), precision_matrix=precision)):
        close(d.log_prob(lx.tensor(x)), reference.logpdf(x))
        close(d.entropy(), reference.entropy())
        close(d.covariance_matrix, M)
    close(mvn.precision_matrix, np.linalg.inv(M))
    draws = mvn.sample((20_000,)).numpy()
    np.testing.assert_allclose(np.cov(draws.T), M, atol=0.08)
    w, diagonal = np.array([[1.0], [0.5]], np.float32), np.array([0.5, 1.0], np.float32)
    low = D.LowRankMultivariateNormal(lx.tensor(A), lx.tensor(w), lx.tensor(diagonal))
    whole = stats.multivariate_normal(A, w @ w.T + np.diag(diagonal))
    close(low.log_prob(lx.tensor(x)), whole.logpdf(x))
    close(low.precision_matrix, np.linalg.inv(whole.cov))
    close(D.Dirichlet(lx.tensor(V)).log_prob(lx.tensor(V)), stats.dirichlet(V).logpdf(V / V.sum(dtype=np.float64)), rtol=1e-3)
    close(D.Dirichlet(lx.tensor(V)).entropy(), stats.dirichlet(V).entropy())
    wishart = D.Wishart(lx.tensor(5.0), lx.tensor(M))
    close(wishart.log_prob(lx.tensor(M)), stats.wishart(5, M).logpdf(M))
    close(wishart.entropy(), stats.wishart(5, M).entropy())
    np.testing.assert_allclose(wishart.sample((20_000,)).numpy().mean(0), 5 * M, rtol=0.05)
    counts = D.Multinomial(4, lx.tensor(V))
    close(counts.log_prob(lx.tensor([1.0, 1.0, 2.0])), stats.multinomial(4, [0.2, 0.3, 0.5]).logpmf([1, 1, 2]))
    close(counts.entropy(), stats.multinomial(4, [0.2, 0.3, 0.5]).entropy())
    assert (counts.sample((50,)).sum(-1) == 4).all()
    factor = D.LKJCholesky(3, 1.5).sample((100,))
    assert D.constraints.corr_cholesky.check(factor).all()


# d E[x] / d parameter of a draw x: the mean of what comes back through it
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Gamma", lambda a, b: (1 / b, -a / b**2)),
        ("Beta", lambda a, b: (b / (a + b) ** 2, -a / (a + b) ** 2)),
        ("Normal", lambda a, b: (1 + 0 * a, 0 * b)),
        ("Laplace", lambda a, b: (1 + 0 * a, 0 * b)),
    ],
)
def test_derivatives_of_draws(name, expected, seed):
    n = 40_000
    a, b = lx.tensor(A, requires_grad=True), lx.tensor(B, requires_grad=True)
    wide = [v.expand(n, 2).detach().requires_grad_() for v in (a, b)]
    x = getattr(D, name)(*wide).rsample()
    x.sum().backward()
    for g, mean in zip(wide, expected(A, B)):
        each = g.grad.numpy().astype(np.float64)
        error = each.std(0) / np.sqrt(n)
        assert (np.abs(each.mean(0) - mean) < 5 * error + 1e-4).all(), (each.mean(0), mean)


def test_a_gamma_draw_moves_with_its_distribution_function(seed):
    """The implicit derivative: where F(x; a) stays, dx/da = -(dF/da) / density; also far below 1."""
    a = lx.tensor(np.full(400, 0.05, np.float64), requires_grad=True)
    b = lx.tensor(np.full(400, 3.0, np.float64), requires_grad=True)
    for shape, value in ((a, 0.05), (b, 3.0)):
        x = D.Gamma(shape, 1.0).rsample()
        x.sum().backward()
        u, at = stats.gamma(value).cdf(x.detach().numpy()), x.detach().numpy()
        h = 1e-6
        expected = (stats.gamma(value + h).ppf(u) - stats.gamma(value - h).ppf(u)) / (2 * h)
        fine = (u > 1e-3) & (u < 1 - 1e-3) & (at > 1e-12)
        np.testing.assert_allclose(shape.grad.numpy()[fine], expected[fine], rtol=1e-3, atol=1e-8)


def test_the_seed_gives_the_draws_again():
    def draws():
        lx.manual_seed(9)
        names = ("Gamma", "VonMises", "Binomial", "Poisson")
        return [made(n, (CONTINUOUS | DISCRETE)[n][0]).sample((3,)).numpy() for n in names]

    first, second = draws(), draws()
    assert all((x == y).all() for x, y in zip(first, second))
