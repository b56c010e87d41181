"""Replay of steps that read a value, the loss as a rule, before its backward."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F

pytestmark = pytest.mark.usefixtures("clean")


def counts() -> dict:
    return lx.metrics.report(as_dict=True)


def read_first(every: int, steps: int = 12, keep=lambda scores: None) -> tuple[list[float], list[float]]:
    """Trains, reading the loss before its backward at every so many steps; the losses after the steps, and those read."""
    lx.manual_seed(3)
    model = lx.nn.Sequential(lx.nn.Linear(4, 8), lx.nn.Tanh(), lx.nn.Dropout(0.1), lx.nn.Linear(8, 2))
    optimizer = lx.optim.AdamW(model.parameters())
    rng = np.random.default_rng(0)
    losses, read = [], []
    for step in range(steps):
        x, y = lx.tensor(rng.standard_normal((5, 4)).astype(np.float32)), lx.tensor(rng.integers(0, 2, 5))
        scores = model(x)
        loss = F.cross_entropy(scores, y)
        if step % every == 0:
            read += [loss.item(), (scores.argmax(1) == y).sum().item(), loss.item()]
            keep(scores)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return [v.item() for v in losses], read


@pytest.mark.parametrize("every", [1, 3])
def test_a_loss_that_is_read_before_its_backward_is_followed(every, replay):
    found = []
    for on in (False, True):
        replay(on)
        lx.lowering.clear_cache()
        lx.metrics.reset()
        kept: list = []
        found.append((read_first(every, keep=kept.append), counts(), [x.tolist() for x in kept]))
    (expected, before, scores), (got, after, same_scores) = found
    assert got == expected and same_scores == scores
    assert after["replays"] >= 7 and after["replays_given_up"] <= 1
    assert after["compiles"] == before["compiles"]
    assert after["donated_buffers"] == before["donated_buffers"]


def test_what_follows_a_read_may_differ(replay):
    def run():
        lx.manual_seed(3)
        p = lx.ones(3, 3, requires_grad=True)
        got = []
        for step in range(16):
            loss = (F.dropout(p, 0.5).tanh() * lx.arange(3)).sum()
            got.append(loss.item())
            if step % 5 == 3:  # another turn after the read: no backward, or one of something else
                loss = loss + (p * 0.5).sum()
                if step == 8:
                    continue
            loss.backward()
            with lx.no_grad():
                p -= 0.1 * p.grad
            p.grad = None
            lx.sync()
        return [*got, *p.detach().reshape(-1).tolist()]

    replay(False)
    expected = run()
    replay(True)
    lx.metrics.reset()
    assert run() == expected
    assert counts()["replays"] >= 6


def test_a_long_loop_whose_loss_is_read_before_its_backward_is_followed(replay):
    """What the loop keeps for the backward comes as few arrays."""

    def run(steps):
        lx.manual_seed(3)
        cell = lx.nn.LSTMCell(2, 4)
        optimizer = lx.optim.SGD(cell.parameters(), lr=0.1)
        x = lx.tensor(np.random.default_rng(0).standard_normal((100, 3, 2)).astype(np.float32))
        got = []
        for _ in range(steps):
            h = c = lx.zeros(3, 4)
            out = []
            for x_t in x.split(1):
                h, c = cell(x_t[0], (h, c))
                out.append(h)
            loss = lx.stack(out).pow(2).mean()
            got.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return got

    replay(False)
    expected = run(8)
    replay(True)
    lx.metrics.reset()
    np.testing.assert_allclose(run(8), expected, rtol=1e-6)
    assert counts()["replays"] >= 4


def test_what_is_printed_knows_its_history():
    """Reading it is followed; what its history is called is asked after that."""
    for _ in range(4):
        assert repr(lx.ones(3, requires_grad=True)) == "tensor([1., 1., 1.], requires_grad=True)"
        assert repr(lx.ones(3, requires_grad=True) + 1) == "tensor([2., 2., 2.], grad_fn=<AddBackward0>)"
