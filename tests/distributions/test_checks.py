"""When parameters and values are checked, and loops with distributions: nothing read unasked, nothing compiled anew."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.distributions import Bernoulli, Categorical, Normal, Uniform, kl_divergence


def test_values_of_the_host_are_checked_where_they_are_given(metrics):
    with pytest.raises(ValueError, match=r"Expected parameter scale .* Normal.* GreaterThan\(lower_bound=0.0\)"):
        Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="Expected parameter loc .*Real"):
        Normal(lx.tensor([0.0, float("nan")]), 1.0)
    with pytest.raises(ValueError, match="Expected parameter probs"):
        Categorical(lx.tensor([0.5, -0.1]))
    with pytest.raises(ValueError, match="Expected parameter probs"):
        Bernoulli(lx.from_numpy(np.array([0.5, 1.5], np.float32)))
    with pytest.raises(ValueError, match="Uniform is not defined when low >= high"):
        Uniform(lx.tensor([0.0, 2.0]), 1.0)
    with pytest.raises(ValueError, match="to be within the support"):
        Bernoulli(0.5).log_prob(lx.tensor(0.5))
    assert not metrics.report(as_dict=True).get("executions", 0)


def test_a_pending_value_is_checked_at_the_next_read():
    scale = lx.tensor([1.0, 2.0]) - 1.5
    d = Normal(lx.tensor([0.0, 0.0]) * 1.0, scale)
    with pytest.raises(ValueError, match=r"Expected parameter scale .*GreaterThan.* \(checked at test_checks.py:\d+"):
        d.loc.sum().item()
    assert d.loc.sum().item() == 0  # said once
    with pytest.raises(ValueError, match="to be within the support"):
        Bernoulli(0.5).log_prob(lx.tensor(1.0) * 0.5).item()


def test_asked_for_by_name_a_check_reads_and_turned_off_it_is_not_made():
    with pytest.raises(ValueError, match="Expected parameter scale"):
        Normal(0.0, lx.tensor(1.0) - 2.0, validate_args=True)
    assert np.isnan(Normal(0.0, lx.tensor(1.0) - 2.0, validate_args=False).log_prob(lx.tensor(0.0)).item())


def _vae():
    lx.manual_seed(5)
    enc, dec = lx.nn.Linear(6, 4), lx.nn.Linear(2, 6)
    opt = lx.optim.Adam([*enc.parameters(), *dec.parameters()], lr=0.01)
    x = lx.tensor(np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32))

    def step(x):
        opt.zero_grad()
        mu, rest = enc(x).chunk(2, -1)
        q = Normal(mu, F.softplus(rest))
        z = q.rsample()
        loss = (dec(z) - x).pow(2).sum() + kl_divergence(q, Normal(lx.zeros_like(mu), lx.ones_like(mu))).sum()
        loss.backward()
        opt.step()
        return loss

    return step, x


def test_a_loop_with_rsample_gives_the_same_followed_eager_and_compiled():
    runs = []
    for way in ("followed", "eager", "compiled"):
        step, x = _vae()
        step = lx.compile(step) if way == "compiled" else step
        with lx.eager(way == "eager"):
            runs.append([step(x).item() for _ in range(6)])
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-5)
    np.testing.assert_allclose(runs[0], runs[2], rtol=1e-5)
    assert len(set(runs[0])) == 6


def _reinforce(steps, counts=None):
    lx.manual_seed(3)
    policy = lx.nn.Linear(3, 4)
    opt = lx.optim.SGD(policy.parameters(), lr=0.05)
    state = np.random.default_rng(1).normal(size=3).astype(np.float32)
    actions = []
    for k in range(steps):
        d = Categorical(logits=policy(lx.tensor(state * (1 + 0.01 * k))))
        action = d.sample()
        actions.append(action.item())
        loss = -d.log_prob(action) * lx.tensor(1.0 if actions[-1] == 2 else 0.1)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if counts is not None:
            counts.append(lx.metrics.report(as_dict=True).get("compiles", 0))
    return actions, policy.weight.detach().numpy().copy()


def test_a_loop_that_reads_its_actions_stops_compiling_and_is_followed(metrics):
    counts = []
    actions, weight = _reinforce(12, counts)
    assert counts[-1] == counts[4], counts
    assert len(set(actions)) > 1
    with lx.eager():
        slow, expected = _reinforce(12)
    assert actions == slow
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
