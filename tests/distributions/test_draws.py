"""Derivatives of draws against PyTorch's (scripts/reference_values.py draws), though the numbers drawn differ."""

import functools

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.distributions as D
from tests.reference import draws, kit

values = functools.cache(lambda: kit.load("draws")[0])
# PyTorch's own approximation of a gamma draw's derivative is good to about this.
LOOSE = dict.fromkeys(("Chi2", "Gamma", "InverseGamma"), 3e-3)
# made of gamma numbers, whose programs take long to compile
MADE_OF_GAMMA = ("Chi2", "InverseGamma", "FisherSnedecor", "StudentT", "Wishart")


def marked(names):
    return [pytest.param(n, marks=pytest.mark.slow) if n in MADE_OF_GAMMA else n for n in names]


def test_every_distribution_with_derivatives_of_draws_is_here():
    bases = (D.Distribution, D.ExponentialFamily)
    kinds = [c for c in vars(D).values() if isinstance(c, type) and issubclass(c, D.Distribution) and c not in bases]
    assert {c.__name__ for c in kinds if c.has_rsample is not False} == {*draws.PATHS, *draws.MEANS}


@pytest.mark.parametrize("name", marked(draws.PATHS))
def test_along_paths(name, seed):
    x, found = draws.derivatives(lx, name, 20_000)
    order, at = np.argsort(x), values()[f"{name}/draws"]
    assert x.shape == (20_000,) and found
    for i, g in enumerate(found):
        want = values()[f"{name}/{i}"]
        got = np.interp(at, x[order], g[order])
        np.testing.assert_allclose(got, want, rtol=0, atol=LOOSE.get(name, 2e-5) * max(1, np.abs(want).max()), err_msg=str(i))


@pytest.mark.parametrize("name", marked(draws.MEANS))
def test_in_the_mean(name, seed):
    count = 4000
    _, found = draws.derivatives(lx, name, count)
    for i, g in enumerate(found):
        mean, error = values()[f"{name}/{i}"], values()[f"{name}/{i} error"]
        g = g.astype(np.float64)
        assert g.shape[1:] == mean.shape and (np.abs(mean) > 20 * error).any()  # there is something to compare
        assert (np.abs(g.mean(0) - mean) < 5 * np.hypot(error, g.std(0) / count**0.5) + 1e-6).all(), (g.mean(0), mean)
