"""Distributions: densities, distribution functions, entropies and moments with their gradients, in double precision."""

import contextlib

from .kit import case


def positive(kit, *shape, low=0.6):
    return kit.x(*shape, low=low, scale=1.5).double()


def share(kit, *shape):
    return kit.x(*shape, low=0.2, scale=0.6).double()


def real(kit, *shape):
    return kit.x(*shape).double()


def simplex(torch, kit, *shape):
    return torch.softmax(real(kit, *shape), -1)


def triangle(torch, kit, n):
    return real(kit, n, n).tril(-1) + torch.diag(positive(kit, n))


def counted(torch, *values):
    return torch.tensor(values, dtype=torch.float64)


# The distribution D of t = torch, from numbers of kit k, and a value.
CASES = {
    "Bernoulli": (lambda D, t, k: D.Bernoulli(share(k, 2)), lambda t, k: counted(t, 0, 1)),
    "Bernoulli, logits": (lambda D, t, k: D.Bernoulli(logits=real(k, 2)), lambda t, k: counted(t, 1, 0)),
    "Beta": (lambda D, t, k: D.Beta(positive(k, 2), positive(k, 2)), lambda t, k: share(k, 2)),
    "Binomial": (lambda D, t, k: D.Binomial(5, share(k, 2)), lambda t, k: counted(t, 2, 5)),
    "Categorical": (lambda D, t, k: D.Categorical(simplex(t, k, 2, 3)), lambda t, k: k.ints(3, 2)),
    "Categorical, logits": (lambda D, t, k: D.Categorical(logits=real(k, 2, 3)), lambda t, k: k.ints(3, 2)),
    "Cauchy": (lambda D, t, k: D.Cauchy(real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "Chi2": (lambda D, t, k: D.Chi2(positive(k, 2)), lambda t, k: positive(k, 2)),
    "ContinuousBernoulli": (lambda D, t, k: D.ContinuousBernoulli(share(k, 2)), lambda t, k: share(k, 2)),
    "Dirichlet": (lambda D, t, k: D.Dirichlet(positive(k, 2, 3)), lambda t, k: simplex(t, k, 2, 3)),
    "Exponential": (lambda D, t, k: D.Exponential(positive(k, 2)), lambda t, k: positive(k, 2)),
    "FisherSnedecor": (lambda D, t, k: D.FisherSnedecor(positive(k, 2), positive(k, 2, low=4.5)), lambda t, k: positive(k, 2)),
    "Gamma": (lambda D, t, k: D.Gamma(positive(k, 2), positive(k, 2)), lambda t, k: positive(k, 2)),
    "GeneralizedPareto": (
        lambda D, t, k: D.GeneralizedPareto(k.x(2), k.x(2, low=0.6), k.x(2, low=0.1, scale=0.3)),  # PyTorch takes float32 only
        lambda t, k: k.x(2, low=3.0)),
    "Geometric": (lambda D, t, k: D.Geometric(share(k, 2)), lambda t, k: counted(t, 0, 3)),
    "Gumbel": (lambda D, t, k: D.Gumbel(real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "HalfCauchy": (lambda D, t, k: D.HalfCauchy(positive(k, 2)), lambda t, k: positive(k, 2)),
    "HalfNormal": (lambda D, t, k: D.HalfNormal(positive(k, 2)), lambda t, k: positive(k, 2)),
    "Independent": (lambda D, t, k: D.Independent(D.Normal(real(k, 2, 3), positive(k, 2, 3)), 1), lambda t, k: real(k, 2, 3)),
    "InverseGamma": (lambda D, t, k: D.InverseGamma(positive(k, 2, low=2.5), positive(k, 2)), lambda t, k: positive(k, 2)),
    "Kumaraswamy": (lambda D, t, k: D.Kumaraswamy(positive(k, 2), positive(k, 2)), lambda t, k: share(k, 2)),
    "Laplace": (lambda D, t, k: D.Laplace(real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "LKJCholesky": (
        lambda D, t, k: D.LKJCholesky(3, positive(k)),
        lambda t, k: counted(t, [1, 0, 0], [0.6, 0.8, 0], [0.0, 0.28, 0.96])),
    "LogNormal": (lambda D, t, k: D.LogNormal(real(k, 2), positive(k, 2)), lambda t, k: positive(k, 2)),
    "LogisticNormal": (lambda D, t, k: D.LogisticNormal(real(k, 2), positive(k, 2)), lambda t, k: simplex(t, k, 3)),
    "LowRankMultivariateNormal": (
        lambda D, t, k: D.LowRankMultivariateNormal(real(k, 3), real(k, 3, 2), positive(k, 3)), lambda t, k: real(k, 3)),
    "MixtureSameFamily": (
        lambda D, t, k: D.MixtureSameFamily(D.Categorical(logits=real(k, 3)), D.Normal(real(k, 3), positive(k, 3))),
        lambda t, k: real(k, 2)),
    "Multinomial": (lambda D, t, k: D.Multinomial(4, simplex(t, k, 3)), lambda t, k: counted(t, 1, 0, 3)),
    "MultivariateNormal": (
        lambda D, t, k: D.MultivariateNormal(real(k, 2, 3), scale_tril=triangle(t, k, 3)), lambda t, k: real(k, 2, 3)),
    "MultivariateNormal, covariance": (
        lambda D, t, k: D.MultivariateNormal(real(k, 2), (lambda m: m @ m.T)(triangle(t, k, 2))), lambda t, k: real(k, 2)),
    "NegativeBinomial": (lambda D, t, k: D.NegativeBinomial(positive(k, 2), share(k, 2)), lambda t, k: counted(t, 0, 3)),
    "Normal": (lambda D, t, k: D.Normal(real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "OneHotCategorical": (lambda D, t, k: D.OneHotCategorical(simplex(t, k, 3)), lambda t, k: counted(t, 0, 1, 0)),
    "OneHotCategoricalStraightThrough": (
        lambda D, t, k: D.OneHotCategoricalStraightThrough(logits=real(k, 3)), lambda t, k: counted(t, 0, 0, 1)),
    "Pareto": (lambda D, t, k: D.Pareto(positive(k, 2), positive(k, 2, low=2.5)), lambda t, k: 2.5 + positive(k, 2)),
    "Poisson": (lambda D, t, k: D.Poisson(positive(k, 2)), lambda t, k: counted(t, 0, 3)),
    "RelaxedBernoulli": (lambda D, t, k: D.RelaxedBernoulli(positive(k, 2), share(k, 2)), lambda t, k: share(k, 2)),
    "RelaxedOneHotCategorical": (
        lambda D, t, k: D.RelaxedOneHotCategorical(positive(k), logits=real(k, 3)), lambda t, k: simplex(t, k, 3)),
    "StudentT": (lambda D, t, k: D.StudentT(positive(k, 2, low=2.5), real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "TransformedDistribution": (
        lambda D, t, k: D.TransformedDistribution(
            D.Normal(real(k, 2), positive(k, 2)), [D.AffineTransform(real(k, 2), positive(k, 2)), D.SigmoidTransform()]),
        lambda t, k: share(k, 2)),
    "Uniform": (lambda D, t, k: D.Uniform(-positive(k, 2), positive(k, 2)), lambda t, k: share(k, 2)),
    "VonMises": (lambda D, t, k: D.VonMises(real(k, 2), positive(k, 2)), lambda t, k: real(k, 2)),
    "Weibull": (lambda D, t, k: D.Weibull(positive(k, 2), positive(k, 2)), lambda t, k: positive(k, 2)),
    "Wishart": (
        lambda D, t, k: D.Wishart(3.5 + positive(k), (lambda m: m @ m.T)(triangle(t, k, 2))),
        lambda t, k: (lambda m: m @ m.T)(triangle(t, k, 2))),
}  # fmt: skip


NO_SLOPE = ("Chi2", "Gamma", "InverseGamma")  # PyTorch does not differentiate their distribution functions

NO_MODE = ("Kumaraswamy",)  # PyTorch's is NaN, whatever the parameters


def found(torch, kit, make, value_of):
    """What a distribution has of density, distribution function and its inverse, entropy and moments."""
    d, value = make(torch.distributions, torch, kit), value_of(torch, kit)
    u = kit.x(*d.batch_shape, low=0.2, scale=0.6).to(value.dtype if value.is_floating_point() else torch.float64)
    slope = torch.set_grad_enabled if type(d).__name__ in NO_SLOPE else lambda _: contextlib.nullcontext()

    def cdf():
        with slope(False):
            return d.cdf(value)

    kit.note((tuple(d.batch_shape), tuple(d.event_shape), d.has_rsample, d.has_enumerate_support))
    out = []
    for name, of in {
        "log_prob": lambda: d.log_prob(value), "cdf": cdf, "icdf": lambda: d.icdf(u), "entropy": d.entropy,
        "mean": lambda: d.mean, "variance": lambda: d.variance, "mode": lambda: d.mode, "stddev": lambda: d.stddev,
        "all values": d.enumerate_support,
    }.items():  # fmt: skip
        if name == "mode" and type(d).__name__ in NO_MODE:
            continue
        try:
            out.append(of())
        except (NotImplementedError, AttributeError):
            kit.note(f"no {name}")
        else:
            kit.note(name)
    return out


for _name, _case in CASES.items():

    @case("spread", _name, make=_case[0], value_of=_case[1])
    def _(torch, kit, make, value_of):
        return found(torch, kit, make, value_of)
