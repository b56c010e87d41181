"""Constraints, transforms and what distributions share, by hand; densities of what is made of others, by SciPy."""

import math

import numpy as np
import pytest
from scipy import special, stats

import lazyxla as lx
import lazyxla.distributions as D
from lazyxla.distributions import constraints, transforms, utils

NAN = math.nan
LINE = [-1.0, 0.0, 0.5, 1.0, 2.0, NAN]
EYE, LOWER = np.eye(2), np.array([[1.0, 0.0], [0.6, 0.8]])
MATRICES = [EYE, LOWER, -EYE, [[2.0, 1.0], [1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]
VECTORS = [[0.2, 0.8], [1.0, 0.0], [0.5, 0.6], [-0.5, 1.5], [0.0, 0.0]]

# constraint: (a batch of values, which of them lie in it, its number of event dims, whether it is discrete)
REGIONS = {
    "real": (constraints.real, LINE, [1, 1, 1, 1, 1, 0], 0, False),
    "positive": (constraints.positive, LINE, [0, 0, 1, 1, 1, 0], 0, False),
    "nonnegative": (constraints.nonnegative, LINE, [0, 1, 1, 1, 1, 0], 0, False),
    "greater_than": (constraints.greater_than(0.5), LINE, [0, 0, 0, 1, 1, 0], 0, False),
    "greater_than_eq": (constraints.greater_than_eq(0.5), LINE, [0, 0, 1, 1, 1, 0], 0, False),
    "less_than": (constraints.less_than(0.5), LINE, [1, 1, 0, 0, 0, 0], 0, False),
    "interval": (constraints.interval(0.0, 1.0), LINE, [0, 1, 1, 1, 0, 0], 0, False),
    "half_open_interval": (constraints.half_open_interval(0.0, 1.0), LINE, [0, 1, 1, 0, 0, 0], 0, False),
    "unit_interval": (constraints.unit_interval, LINE, [0, 1, 1, 1, 0, 0], 0, False),
    "integer_interval": (constraints.integer_interval(0, 1), LINE, [0, 1, 0, 1, 0, 0], 0, True),
    "nonnegative_integer": (constraints.nonnegative_integer, LINE, [0, 1, 0, 1, 1, 0], 0, True),
    "positive_integer": (constraints.positive_integer, LINE, [0, 0, 0, 1, 1, 0], 0, True),
    "boolean": (constraints.boolean, LINE, [0, 1, 0, 1, 0, 0], 0, True),
    "real_vector": (constraints.real_vector, [[0.0, 1.0], [0.0, NAN]], [1, 0], 1, False),
    "independent": (constraints.independent(constraints.positive, 1), VECTORS, [1, 0, 1, 0, 0], 1, False),
    "simplex": (constraints.simplex, VECTORS, [1, 1, 0, 0, 0], 1, False),
    "one_hot": (constraints.one_hot, VECTORS, [0, 1, 0, 0, 0], 1, True),
    "multinomial": (constraints.multinomial(1), VECTORS, [1, 1, 0, 0, 1], 1, True),
    "lower_triangular": (constraints.lower_triangular, MATRICES, [1, 1, 1, 0, 0, 0], 2, False),
    "lower_cholesky": (constraints.lower_cholesky, MATRICES, [1, 1, 0, 0, 0, 0], 2, False),
    "corr_cholesky": (constraints.corr_cholesky, [*MATRICES, 2 * EYE], [1, 1, 0, 0, 0, 0, 0], 2, False),
    "symmetric": (constraints.symmetric, MATRICES, [1, 0, 1, 1, 1, 1], 2, False),
    "square": (constraints.square, MATRICES, [1] * 6, 2, False),
    "positive_definite": (constraints.positive_definite, MATRICES[:4], [1, 0, 0, 1], 2, False),
    "positive_semidefinite": (constraints.positive_semidefinite, [*MATRICES[:4], MATRICES[5]], [1, 0, 0, 1, 0], 2,
        False),
}  # fmt: skip


def test_what_lies_in_each_region():
    found = {name: c.check(lx.tensor(np.array(values))) for name, (c, values, *_) in REGIONS.items()}
    lx.sync()
    for name, (c, _, wanted, event_dim, discrete) in REGIONS.items():
        assert found[name].tolist() == [bool(w) for w in wanted], name
        assert isinstance(c, constraints.Constraint) and c.event_dim == event_dim and c.is_discrete is discrete, name
    assert not constraints.square.check(lx.ones(2, 3)).item()


def test_regions_of_pieces():
    x = lx.tensor([[-1.0, 0.5, 3.0], [1.0, 0.5, 0.5]])
    parts = [constraints.positive, constraints.unit_interval]
    assert constraints.cat(parts, dim=1, lengths=[1, 2]).check(x).tolist() == [[False, True, False], [True, True, True]]
    assert constraints.stack(parts, dim=0).check(x).tolist() == [[False, True, True], [True, True, True]]
    assert constraints.stack(parts, dim=-1).event_dim == 1


def test_what_only_an_instance_knows():
    assert constraints.is_dependent(constraints.dependent) and not constraints.is_dependent(constraints.real)
    assert constraints.is_dependent(D.Uniform.support) and not constraints.is_dependent(D.Uniform(0.0, 1.0).support)

    class Above(D.Distribution):
        low = 2.0

        @constraints.dependent_property(is_discrete=False, event_dim=0)
        def support(self):
            return constraints.greater_than(self.low)

    assert isinstance(Above.support, constraints.dependent_property) and Above.support.event_dim == 0
    assert Above(validate_args=False).support.check(lx.tensor([1.0, 3.0])).tolist() == [False, True]
    with pytest.raises(ValueError, match="Cannot determine validity"):
        constraints.dependent.check(lx.ones(1))
    with pytest.raises(NotImplementedError):
        constraints.Constraint().check(lx.ones(1))


X = np.array([-1.2, 0.3, 0.8])
# transform, x, y, the logarithm of the derivative's size (None: it has none)
VALUES = {
    "ExpTransform": (transforms.ExpTransform(), X, np.exp(X), X),
    "PowerTransform": (transforms.PowerTransform(3.0), np.abs(X), np.abs(X) ** 3, np.log(3 * X**2)),
    "SigmoidTransform": (transforms.SigmoidTransform(), X, special.expit(X),
        special.log_expit(X) + special.log_expit(-X)),
    "TanhTransform": (transforms.TanhTransform(), X, np.tanh(X), np.log(1 - np.tanh(X) ** 2)),
    "AffineTransform": (transforms.AffineTransform(1.0, -2.0), X, 1 - 2 * X, np.full(3, np.log(2))),
    "AbsTransform": (transforms.AbsTransform(), X, np.abs(X), None),
    "ComposeTransform": (
        transforms.ComposeTransform([transforms.ExpTransform(), transforms.AffineTransform(0.5, 3.0)]), X,
        0.5 + 3 * np.exp(X), X + np.log(3)),
    "identity_transform": (transforms.identity_transform, X, X, 0 * X),
    "SoftmaxTransform": (transforms.SoftmaxTransform(), X, special.softmax(X), None),
    "ReshapeTransform": (transforms.ReshapeTransform((3,), (3, 1)), X, X[:, None], np.array(0.0)),
    "IndependentTransform": (transforms.IndependentTransform(transforms.ExpTransform(), 1), X, np.exp(X), X.sum()),
    "CatTransform": (
        transforms.CatTransform([transforms.ExpTransform(), transforms.TanhTransform()], lengths=[1, 2]), X,
        np.append(np.exp(X[:1]), np.tanh(X[1:])), np.append(X[:1], np.log(1 - np.tanh(X[1:]) ** 2))),
    "StackTransform": (transforms.StackTransform([transforms.ExpTransform()] * 2 + [transforms.TanhTransform()]), X,
        np.append(np.exp(X[:2]), np.tanh(X[2:])), np.append(X[:2], np.log(1 - np.tanh(X[2:]) ** 2))),
    "CumulativeDistributionTransform": (transforms.CumulativeDistributionTransform(D.Normal(0.0, 1.0)), X,
        special.ndtr(X), stats.norm.logpdf(X)),
    "StickBreakingTransform": (transforms.StickBreakingTransform(), X, None, None),
    "CorrCholeskyTransform": (transforms.CorrCholeskyTransform(), X, None, None),
    "LowerCholeskyTransform": (transforms.LowerCholeskyTransform(), np.array([[0.5, 9.0], [-2.0, 0.1]]),
        np.array([[np.exp(0.5), 0], [-2, np.exp(0.1)]]), None),
    "PositiveDefiniteTransform": (transforms.PositiveDefiniteTransform(), np.array([[0.5, 9.0], [-2.0, 0.1]]),
        np.array([[np.exp(1), -2 * np.exp(0.5)], [-2 * np.exp(0.5), 4 + np.exp(0.2)]]), None),
}  # fmt: skip


def broken_stick(x):
    """z_k = sigmoid(x_k - log(K - k)) of what is left of a stick of length 1, k from 0, is broken off."""
    out, left = [], 1.0
    for k, v in enumerate(x):
        z = special.expit(v - np.log(len(x) - k))
        out.append(left * z)
        left *= 1 - z
    return np.append(out, left)


def correlations(x):
    """Rows on the unit sphere: tanh(x) times what is left of the length."""
    out, t = np.zeros((3, 3)), iter(np.tanh(x))
    for i in range(3):
        left = 1.0
        for j in range(i):
            out[i, j] = next(t) * np.sqrt(left)
            left -= out[i, j] ** 2
        out[i, i] = np.sqrt(left)
    return out


@pytest.mark.parametrize("name", VALUES)
def test_values_of_transforms(name):
    t, x, y, slope = VALUES[name]
    y = {"StickBreakingTransform": broken_stick, "CorrCholeskyTransform": correlations}[name](x) if y is None else y
    got = t(lx.tensor(x))
    assert isinstance(t, D.Transform)
    np.testing.assert_allclose(got.numpy(), y, rtol=2e-6, atol=1e-12)
    assert tuple(t.forward_shape(x.shape)) == y.shape and t.codomain.check(got).all().item()
    if slope is not None:
        np.testing.assert_allclose(t.log_abs_det_jacobian(lx.tensor(x), got).numpy(), slope, rtol=2e-6, atol=1e-12)
    if t.bijective:
        np.testing.assert_allclose(t.inv(got).numpy(), x, rtol=1e-5, atol=1e-12)
    elif name not in ("LowerCholeskyTransform", "PositiveDefiniteTransform"):
        assert name in ("AbsTransform", "SoftmaxTransform")


def test_the_base_of_transforms():
    t = D.Transform()
    with pytest.raises(NotImplementedError):
        t(lx.ones(1))
    assert t.bijective is False and D.ComposeTransform([])(lx.tensor([2.0])).tolist() == [2.0]


def test_transforms_for_constraints_of_ones_own():
    class Even(constraints.Constraint):
        pass

    @D.biject_to.register(Even)
    @D.transform_to.register(Even)
    def twice(constraint):
        return D.AffineTransform(0.0, 2.0)

    for to in (D.biject_to, D.transform_to):
        assert to(Even())(lx.tensor([1.5])).tolist() == [3.0]
    with pytest.raises(NotImplementedError, match="Cannot transform Odd constraints"):
        D.biject_to(type("Odd", (constraints.Constraint,), {})())


P = np.array([[0.2, 0.3, 0.5], [0.0, 0.4, 0.6]])


def test_probabilities_and_their_logarithms():
    eps = np.finfo(np.float64).eps
    p, z = lx.tensor(P), lx.tensor(X)
    held = np.clip(P, eps, 1 - eps)
    pairs = {
        "clamp_probs": (utils.clamp_probs(p), held), "logits_to_probs": (utils.logits_to_probs(z), special.softmax(X)),
        "binary": (utils.logits_to_probs(z, is_binary=True), special.expit(X)),
        "probs_to_logits": (utils.probs_to_logits(p), np.log(held)),
        "odds": (utils.probs_to_logits(p, is_binary=True), special.logit(held)),
    }  # fmt: skip
    for name, (got, want) in pairs.items():
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-7, err_msg=name)


def test_parameters_of_one_shape():
    a, b, c = utils.broadcast_all(lx.tensor([[1.0], [2.0]]), 3, lx.tensor([4.0, 5.0]))
    assert [t.tolist() for t in (a, b, c)] == [[[1, 1], [2, 2]], [[3, 3], [3, 3]], [[4, 5], [4, 5]]]
    assert b.dtype is lx.float32 and utils.broadcast_all(1, 2)[0].dtype is lx.float32
    with pytest.raises(ValueError, match="must all be instances of Number"):
        utils.broadcast_all([1.0], 2)


def test_a_lazy_property_is_computed_once():
    class Box:
        calls = 0

        @utils.lazy_property
        def doubled(self):
            """Twice."""
            self.calls += 1
            return 2 * self.calls

    box = Box()
    assert box.doubled == 2 == box.doubled and box.calls == 1 and Box.doubled.__doc__ == "Twice."


def test_densities_of_what_is_made_of_others():
    loc, scale, probs = np.array([0.3, -0.5, 1.0]), np.array([0.8, 1.4, 0.6]), np.array([0.2, 0.3, 0.5])
    normal = D.Normal(lx.tensor(loc), lx.tensor(scale))
    each = stats.norm(loc, scale)
    logs = D.TransformedDistribution(normal, [D.ExpTransform(), D.AffineTransform(1.0, 2.0)])
    at, share, temperature = np.array([1.5, 2.0, 4.0]), np.array([0.1, 0.6, 0.3]), 0.7
    hot = D.OneHotCategorical(lx.tensor(probs))
    soft = D.RelaxedOneHotCategorical(lx.tensor(temperature, dtype=lx.float64), lx.tensor(probs))
    relaxed = (  # Maddison, Mnih and Teh 2017, equation 22
        math.lgamma(3) + 2 * np.log(temperature) - 3 * np.log((probs * share**-temperature).sum())
        + (np.log(probs) - (temperature + 1) * np.log(share)).sum()
    )  # fmt: skip
    pairs = {
        "Independent": (D.Independent(normal, 1).log_prob(lx.tensor(X)), each.logpdf(X).sum()),
        "its entropy": (D.Independent(normal, 1).entropy(), each.entropy().sum()),
        "TransformedDistribution": (logs.log_prob(lx.tensor(at)),
            each.logpdf(np.log((at - 1) / 2)) - np.log((at - 1) / 2) - np.log(2)),
        "its cdf": (logs.cdf(lx.tensor(at)), each.cdf(np.log((at - 1) / 2))),
        "OneHotCategorical": (hot.log_prob(lx.tensor([0.0, 0.0, 1.0])), np.log(0.5)), "its mean": (hot.mean, probs),
        "its variance": (hot.variance, probs * (1 - probs)), "its entropy too": (hot.entropy(), stats.entropy(probs)),
        "RelaxedOneHotCategorical": (soft.log_prob(lx.tensor(share)), relaxed),
        "Categorical": (D.Categorical(lx.tensor(probs)).log_prob(lx.tensor([2, 0])), np.log([0.5, 0.2])),
        "of Categorical": (D.Categorical(logits=lx.tensor(X)).entropy(), stats.entropy(special.softmax(X))),
    }  # fmt: skip
    for name, (got, want) in pairs.items():
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-6, err_msg=name)
    drawn = hot.sample((4000,))
    assert (drawn.sum(-1) == 1).all() and np.abs(drawn.mean(0).numpy() - probs).max() < 0.04


def test_the_base_of_distributions():
    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        D.Distribution()
    d = D.Distribution(lx.Size([2]), lx.Size([3]), validate_args=False)
    assert d.batch_shape == (2,) and d.event_shape == (3,)
    for name in ("mean", "variance", "support", "arg_constraints"):
        with pytest.raises(NotImplementedError):
            getattr(d, name)
    for call in (d.rsample, d.entropy, lambda: d.log_prob(lx.ones(1)), lambda: d.cdf(lx.ones(1))):
        with pytest.raises(NotImplementedError):
            call()
