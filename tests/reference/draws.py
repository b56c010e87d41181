"""Derivatives of draws, which are compared though the numbers drawn are not the same.

Where a draw is a function of one number drawn, its derivative by a parameter is a function of the draw: ``PATHS`` are compared
at kept draws, between which a second library's many draws lie densely. Of ``MEANS`` the mean derivatives are compared.
"""

from typing import Any

import numpy as np

PATHS = {
    "Cauchy": (0.7, 1.5), "Chi2": (2.5,), "ContinuousBernoulli": (0.3,), "Exponential": (1.7,), "Gamma": (1.4, 0.8),
    "GeneralizedPareto": (0.5, 1.2, 0.3), "Gumbel": (0.4, 1.3), "HalfCauchy": (1.4,), "HalfNormal": (0.8,),
    "InverseGamma": (2.5, 1.2), "Kumaraswamy": (1.5, 2.2), "Laplace": (-0.4, 1.2), "LogNormal": (0.3, 0.6),
    "Normal": (0.3, 1.6), "Pareto": (1.3, 2.4), "RelaxedBernoulli": (0.7, 0.4), "TransformedDistribution": (0.3, 0.9),
    "Uniform": (-0.5, 1.5), "Weibull": (1.2, 1.8),
}  # fmt: skip
MEANS = {
    "Beta": (1.5, 2.5), "Dirichlet": ((0.6, 1.5, 2.5),), "FisherSnedecor": (3.0, 8.0), "StudentT": (4.0, 0.3, 1.2),
    "Independent": ((0.3, -0.5), (0.8, 1.4)), "LogisticNormal": ((0.3, -0.5), (0.8, 1.4)),
    "LowRankMultivariateNormal": ((0.3, -0.5), ((0.8,), (-0.4,)), (0.5, 0.9)),
    "MultivariateNormal": ((0.3, -0.5), ((1.2, 0.0), (0.4, 0.9))), "OneHotCategoricalStraightThrough": ((0.2, 0.3, 0.5),),
    "RelaxedOneHotCategorical": (0.7, (0.2, 0.3, 0.5)), "Wishart": (4.0, ((1.0, 0.0), (0.3, 0.7))),
}  # fmt: skip


def make(D: Any, name: str, p: list[Any]) -> Any:
    """The distribution of such a name with parameters p, each of which is a batch."""
    if name == "TransformedDistribution":
        return D.TransformedDistribution(D.Normal(*p), [D.TanhTransform(), D.AffineTransform(1.0, -2.0)])
    if name == "Independent":
        return D.Independent(D.Normal(*p), 1)
    if name in ("MultivariateNormal", "Wishart"):
        return getattr(D, name)(p[0], scale_tril=p[1])
    if name == "RelaxedOneHotCategorical":
        return D.RelaxedOneHotCategorical(p[0].unsqueeze(-1), p[1])
    return getattr(D, name)(*p)


def derivatives(torch: Any, name: str, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """So many draws, and the derivatives of each one, or of the weighted sum of its tanh, by each parameter."""
    given = [np.array(v, np.float32) for v in (PATHS.get(name) or MEANS[name])]
    p = [torch.tensor(np.repeat(v[None], count, 0), requires_grad=True) for v in given]
    x = make(torch.distributions, name, p).rsample()
    if name in PATHS:
        x.sum().backward()
    else:
        weights = np.cos(np.arange(x[0].numel())).reshape(x.shape[1:]).astype(np.float32)
        (x.tanh() * torch.tensor(weights)).sum().backward()
    return x.detach().numpy(), [t.grad.numpy() for t in p]


def kept(torch: Any, name: str) -> dict[str, np.ndarray]:
    """What is kept of a distribution's draws: some with their derivatives, or the mean derivatives and their errors."""
    count = 4000 if name in PATHS else 100_000
    x, found = derivatives(torch, name, count)
    if name in PATHS:
        places = np.argsort(x)[(count * np.linspace(0.1, 0.9, 9)).astype(int)]
        return {f"{name}/draws": x[places]} | {f"{name}/{i}": g[places] for i, g in enumerate(found)}
    each = {f"{name}/{i}": g.astype(np.float64) for i, g in enumerate(found)}
    return {k: g.mean(0) for k, g in each.items()} | {f"{k} error": g.std(0) / count**0.5 for k, g in each.items()}
