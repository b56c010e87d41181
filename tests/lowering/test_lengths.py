"""Programs of varying length: few executables whatever lengths come, and the right numbers in each."""

import math

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lowering import lengths, storms

pytestmark = pytest.mark.usefixtures("clean")
START = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)


def normalised(r):
    return (r - r.mean()) / (r.std() + 1e-6)


SUMMED = {  # how an episode's losses and returns become one: by lazyxla, and the weight of each loss by NumPy
    "cat of products": (
        lambda losses, r: lx.cat([loss * w for loss, w in zip(losses, normalised(r))]).sum(),
        lambda r: (r - r.mean()) / (r.std(ddof=1) + 1e-6),
    ),
    "stack, mean": (lambda losses, r: (lx.stack(losses).squeeze(1) * r).mean(), lambda r: r / len(r)),
    "added up, largest": (
        lambda losses, r: sum(loss.sum() * w for loss, w in zip(losses, r)) / r.max(),
        lambda r: r / r.max(),
    ),
    "from the last, dot": (
        lambda losses, r: lx.cat(losses[::-1]) @ r.flip(0) - r.min(),
        lambda r: r,
    ),
    "times the last": (  # which is found at another place in each length
        lambda losses, r: lx.cat(losses) @ r * (r / r.max())[-1],
        lambda r: r * r[-1] / r.max(),
    ),
}  # fmt: skip


def episode(w, n, summed):
    """One of n steps, with a read at each, and a step downhill; gives the weights that NumPy says come of it."""
    rng = np.random.default_rng(n)
    xs = rng.normal(size=(n, 1, 4)).astype(np.float32)
    returns = rng.normal(size=n).astype(np.float32) + 3
    losses = []
    for x in xs:
        h = lx.tanh(lx.tensor(x) @ w)
        losses.append(h.sum(1))
        assert h.sum().item() < 9  # as an action that is read
    by, weights = SUMMED[summed]
    loss = by(losses, lx.tensor(returns))
    loss.backward()
    values = w.detach().numpy().copy()
    with lx.no_grad():
        w -= w.grad * 0.1
        w.grad = None
    lx.sync()
    h = np.tanh(xs @ values)
    slopes = weights(returns)[:, None, None] * (1 - h * h)
    return loss, values - 0.1 * np.einsum("nai,nab->ib", xs, slopes)


def losses_of(w, n):
    """The losses of an episode of n steps, each of which was read."""
    losses = []
    for x in np.random.default_rng(n).normal(size=(n, 1, 4)).astype(np.float32):
        losses.append(lx.tanh(lx.tensor(x) @ w).sum(1))
        losses[-1].item()
    return losses


@pytest.mark.parametrize("summed", SUMMED)
def test_any_length_is_right_and_compiles_are_few(summed, metrics):
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (21, 30, 8, 14, 9, 11, 13, 10, 15, 12, 16):  # 8 is also the size of the weights
        loss, expected = episode(w, n, summed)
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=2e-5, atol=2e-6)
        assert math.isfinite(loss.item())
        if n == 14:
            compiles = metrics.report(as_dict=True)["compiles"]
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] >= 7  # of nine; one of 8 steps may have too few trips
    assert facts["compiles"] <= compiles + 2  # 16 rows, or as many more as there are trips


def test_a_length_that_comes_again_and_again_gets_a_program_of_its_own(metrics):
    lx.lowering.clear_cache()
    w = lx.tensor(START[:1].T @ START[1:2] / 9)
    start = lx.tensor([[1.0] * 8, [-1.0] * 8])

    def run(n):
        h = start
        for _ in range(n):
            h = lx.tanh(h @ w).sin()
        return h.sum().item()

    known = {n: run(n) for n in (40, 50, 60, 70)}
    padded = metrics.report(as_dict=True)["lengths_padded"]
    assert padded == 2
    for _ in range(lengths.OWN + 8):
        assert run(60) == pytest.approx(known[60], rel=1e-5)
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] == padded + lengths.OWN - 1 and facts["replays"] >= 1
    for _ in range(lengths.OWN + 2):
        assert run(70) == pytest.approx(known[70], rel=1e-5)
    assert metrics.report(as_dict=True)["compiles"] == facts["compiles"]  # the second waits for twice as many


def test_a_number_that_changes_is_used(metrics):
    """The same graph with other numbers: its padded program must not go on with the old ones."""
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (12, 20, 16, 16, 16):
        losses = losses_of(w, n)
        factor = 1 + metrics.report(as_dict=True)["lengths_padded"]
        loss = (lx.cat(losses) * factor * 1.5).sum()
        expected = factor * 1.5 * sum(x.item() for x in losses)
        loss.backward()
        with lx.no_grad():
            w -= w.grad * 0.001
            w.grad = None
        lx.sync()
        assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics.report(as_dict=True)["lengths_padded"] >= 2


def test_a_result_as_long_as_the_episode_is_there_when_read(metrics):
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (12, 20, 15):
        losses = losses_of(w, n)
        r = np.arange(n, dtype=np.float32)
        weights = normalised(lx.tensor(r))
        sum((loss * x).sum() for loss, x in zip(losses, weights)).backward()
        with lx.no_grad():
            w -= w.grad * 0.001
            w.grad = None
        lx.sync()
        np.testing.assert_allclose(weights.numpy(), (r - r.mean()) / (r.std(ddof=1) + 1e-6), rtol=1e-5, atol=1e-6)
    assert metrics.report(as_dict=True)["lengths_padded"] == 1


def test_values_that_are_read_one_by_one_are_there(metrics):
    """The read of one of many runs them all, as rows of an array: that one has its value none the less."""
    lx.lowering.clear_cache()
    for n in (12, 20, 15, 18, 11):
        r = np.random.default_rng(n).normal(size=n).astype(np.float32)
        weights = normalised(lx.tensor(r))
        expected = (r - r.mean()) / (r.std(ddof=1) + 1e-6)
        found = [lx.tensor([w]) for w in weights]
        np.testing.assert_allclose([x.item() for x in found], expected, rtol=1e-5, atol=1e-6)
        whole = [w * 2 for w in weights]  # all still to be computed when the first is read
        rows = [w.sin().cos().tanh() for w in lx.tensor(r)]
        assert rows[0].item() == pytest.approx(math.tanh(math.cos(math.sin(r[0]))), rel=1e-5)
        np.testing.assert_allclose([x.item() for x in rows], np.tanh(np.cos(np.sin(r))), rtol=1e-5)
        np.testing.assert_allclose([x.item() for x in whole], 2 * expected, rtol=1e-5, atol=1e-6)
    assert metrics.report(as_dict=True)["lengths_padded"] >= 2


def test_what_cannot_be_padded_is_compiled_as_it_is(metrics):
    """The order of the losses is that of all of them: nothing may be put behind."""
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (12, 20, 15):
        losses = losses_of(w, n)
        best = lx.cat(losses).sort()[0][:3].sum()
        best.backward()
        known = np.sort([x.item() for x in losses])[:3].sum()
        lx.sync()
        assert best.item() == pytest.approx(known, rel=1e-5)
        w.grad = None
    assert metrics.report(as_dict=True)["lengths_padded"] == 0


def test_it_can_be_switched_off(metrics, monkeypatch):
    monkeypatch.setattr(lengths, "enabled", [False])
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (8, 9, 10):
        _, expected = episode(w, n, "stack, mean")
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=2e-5, atol=2e-6)
    assert metrics.report(as_dict=True)["lengths_padded"] == 0


def actor_critic(lengths_of_episodes):
    """PyTorch's own example: the losses of all steps are still in lists when the optimizer steps."""
    lx.manual_seed(0)
    body, actor, critic = (m.to("xla") for m in (lx.nn.Linear(4, 6), lx.nn.Linear(6, 2), lx.nn.Linear(6, 1)))
    parameters = [p for m in (body, actor, critic) for p in m.parameters()]
    optimizer = lx.optim.Adam(parameters, lr=3e-2)
    rng = np.random.default_rng(0)
    seen = []
    for n in lengths_of_episodes:
        saved, rewards = [], []
        for _ in range(n):
            h = lx.relu(body(lx.from_numpy(rng.normal(size=4).astype(np.float32)).to("xla")))
            chances = lx.distributions.Categorical(lx.softmax(actor(h), -1))
            action = chances.sample()
            saved.append((chances.log_prob(action), critic(h)))
            rewards.append(action.item() + rng.normal())
        returns, total = [], 0.0
        for r in rewards[::-1]:
            total = r + 0.9 * total
            returns.insert(0, total)
        policy, value = [], []
        for (chance, worth), r in zip(saved, normalised(lx.tensor(returns))):
            policy.append(-chance * (r - worth.item()))
            value.append(lx.nn.functional.smooth_l1_loss(worth, lx.tensor([r], device="xla")))
        optimizer.zero_grad()
        loss = lx.stack(policy).sum() + lx.stack(value).sum()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    return seen, [p.detach().cpu().numpy().copy() for p in parameters]


def test_episodes_whose_losses_are_kept_are_one_program(metrics, monkeypatch, by_numpy):
    many = (21, 30, 14, 9, 11, 13, 10, 15, 12, 26, 19)
    found = []
    for enabled in (False, True):
        monkeypatch.setattr(lengths, "enabled", [enabled])
        lx.lowering.clear_cache()
        metrics.reset()
        found.append(actor_critic(many))
    (losses, weights), (padded_losses, padded_weights) = found
    np.testing.assert_allclose(padded_losses, losses, rtol=1e-4, atol=1e-5)
    for a, b in zip(padded_weights, weights):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] >= 8
    assert facts["compiles"] <= 14  # three a length that is not padded, and a few for up to 16, and up to 32, steps


def test_a_list_of_computed_losses_is_not_put_together_by_numpy(metrics, monkeypatch, by_numpy):
    """What is left would be another program for each length, even where NumPy takes the beginnings of programs that vary."""
    monkeypatch.setattr(storms, "enabled", [True])
    monkeypatch.setattr(storms, "SOME", 1)
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    for n in (21, 30, 14, 9, 11, 13, 10, 15):
        _, expected = episode(w, n, "stack, mean")
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=2e-5, atol=2e-6)
    assert metrics.report(as_dict=True)["lengths_padded"] == 6


@pytest.mark.parametrize("where", ["before", "behind", "around"])
def test_rows_that_are_computed_with_the_rest(where, metrics):
    """A few of the values laid side by side are not there yet."""
    lx.lowering.clear_cache()
    w = lx.tensor(START.copy(), requires_grad=True)
    weights = w.detach().numpy().astype(np.float64)
    for n in (12, 20, 15, 9, 26):
        losses = losses_of(w, n)
        xs = np.random.default_rng(n).normal(size=(n, 1, 4)).astype(np.float32)
        last = np.random.default_rng(n + 100).normal(size=(1, 4)).astype(np.float32)
        more = lx.tanh(lx.tensor(last) @ w).sum(1)
        rows = {"before": [more, *losses], "behind": [*losses, more], "around": [more, *losses, more]}[where]
        factors = np.linspace(1, 2, len(rows)).astype(np.float32)
        (lx.cat(rows) * lx.tensor(factors)).sum().backward()
        with lx.no_grad():
            w -= w.grad * 0.01
            w.grad = None
        lx.sync()
        inputs = {"before": [last, *xs], "behind": [*xs, last], "around": [last, *xs, last]}[where]
        weights = weights - 0.01 * sum(f * x.T @ (1 - np.tanh(x @ weights) ** 2) for f, x in zip(factors, inputs))
        np.testing.assert_allclose(w.detach().numpy(), weights, rtol=2e-5, atol=2e-6)
    assert metrics.report(as_dict=True)["lengths_padded"] >= 2


def test_rows_of_a_vector_that_are_read_beside_computed_values(metrics):
    """Advantages: the first return is read with a value's number, before the others are wanted."""
    lx.lowering.clear_cache()
    metrics.reset()
    for n in (20, 30, 13, 12, 15, 14, 16):
        rewards = np.random.default_rng(n).normal(size=n).astype(np.float32)
        returns = normalised(lx.tensor(rewards, device="xla"))
        found = [(r - worth).item() for r, worth in zip(returns, np.linspace(0, 1, n))]
        expected = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6) - np.linspace(0, 1, n)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    facts = metrics.report(as_dict=True)
    assert facts["lengths_padded"] == 5
    assert len([r for r in facts["recompiles"] if "another number" in r["why"]]) == 1
