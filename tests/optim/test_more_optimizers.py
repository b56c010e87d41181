"""Optimizers beside those of test_optim: resuming, no recompiling, Lion by its formula. (Values: tests/reference.)"""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn, optim

MAKE = {
    "ASGD": lambda p: optim.ASGD(p, 0.05, t0=2), "Rprop": lambda p: optim.Rprop(p, 0.05),
    "Adafactor": lambda p: optim.Adafactor(p, 0.05), "Muon": lambda p: optim.Muon(p, 0.05),
    "Lion": lambda p: optim.Lion(p, 0.05, weight_decay=0.1), "SparseAdam": lambda p: optim.SparseAdam(p, 0.05),
    "LBFGS": lambda p: optim.LBFGS(p, 0.5, max_iter=3, line_search_fn="strong_wolfe"),
}  # fmt: skip


def start(kind=np.float64):
    return lx.nn.Parameter(lx.tensor(np.random.default_rng(3).normal(size=(3, 4)).astype(kind)))


def step(optimizer, p):
    def closure():
        optimizer.zero_grad()
        loss = ((p - 1) ** 4).sum() + (p[0] * p[1]).sum()
        loss.backward()
        return loss

    optimizer.step(closure)


@pytest.mark.parametrize("name", MAKE)
def test_a_resumed_run_is_the_same_run(name):
    p = start()
    optimizer = MAKE[name]([p])
    for _ in range(3):
        step(optimizer, p)
    q = lx.nn.Parameter(p.detach().clone())
    other = MAKE[name]([q])
    other.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        step(optimizer, p)
        step(other, q)
    np.testing.assert_allclose(q.detach().numpy(), p.detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in MAKE if n != "LBFGS"])
def test_a_schedule_does_not_recompile(name, metrics):
    p = start(np.float32)
    optimizer = MAKE[name]([p])
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for t in range(6):
        step(optimizer, p)
        schedule.step()
        if t == 2:
            compiles = metrics.report(as_dict=True)["compiles"]
    assert metrics.report(as_dict=True)["compiles"] == compiles


def test_lion_by_its_formula():
    p = start()
    w, m = p.detach().numpy().copy(), np.zeros((3, 4))
    optimizer = optim.Lion([p], 0.01, (0.8, 0.9), 0.1, maximize=True)
    for _ in range(5):
        optimizer.zero_grad()
        (p**3).sum().backward()
        optimizer.step()
        g = -3 * w**2
        w = w * (1 - 0.01 * 0.1) - 0.01 * np.sign(0.8 * m + 0.2 * g)
        m = 0.9 * m + 0.1 * g
    np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-12)


def test_rprop_of_complex_numbers_is_that_of_their_parts():
    z = lx.nn.Parameter(lx.tensor([1 + 2j, -0.5j, 3.0], dtype=lx.complex128))
    parts = lx.nn.Parameter(lx.view_as_real(z.detach()).clone())
    one, two = optim.Rprop([z], 0.1), optim.Rprop([parts], 0.1)
    for _ in range(5):
        for optimizer, p in ((one, lx.view_as_real(z)), (two, parts)):
            optimizer.zero_grad()
            ((p - 0.3) ** 2).sum().backward()
            optimizer.step()
    np.testing.assert_allclose(lx.view_as_real(z.detach()).numpy(), parts.detach().numpy(), rtol=1e-12)


def test_lbfgs_lets_go_of_old_moves():
    p = start()
    optimizer = optim.LBFGS([p], 0.1, max_iter=1, history_size=3)
    for _ in range(7):
        step(optimizer, p)
    state = optimizer.state_dict()["state"][0]
    assert [len(state[k]) for k in ("old_dirs", "old_stps", "ro")] == [3, 3, 3]
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step()
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        step(optim.LBFGS([p], line_search_fn="armijo"), p)


def test_averaging_reads_nothing():
    net = nn.Linear(2, 3)
    average = optim.swa_utils.AveragedModel(net)
    lx.sync()
    with lx.no_sync():
        for _ in range(3):
            average.update_parameters(net)
    assert average.n_averaged.item() == 3
    with pytest.raises(AssertionError, match="Only one of avg_fn"):
        optim.swa_utils.AveragedModel(net, avg_fn=max, multi_avg_fn=max)
    with pytest.raises(ValueError, match="swa_lr must have the same length"):
        optim.swa_utils.SWALR(optim.SGD(net.parameters()), [0.1, 0.2])


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_any_length_of_history_is_one_program(search, metrics):
    p = start()
    optimizer = optim.LBFGS([p], 0.1, max_iter=4, line_search_fn=search)
    for k in range(6):
        step(optimizer, p)
        if k == 1:
            compiles = metrics.report(as_dict=True)["compiles"]
    assert len(optimizer.state_dict()["state"][0]["ro"]) > 8
    assert metrics.report(as_dict=True)["compiles"] == compiles <= 10


def test_a_history_that_grows_is_the_same_history(monkeypatch):
    found = []
    for large in (optim.lbfgs.LARGE, 0):
        monkeypatch.setattr(optim.lbfgs, "LARGE", large)
        p = start()
        optimizer = optim.LBFGS([p], 0.1, max_iter=5, history_size=20)
        for _ in range(9):
            step(optimizer, p)
        found.append([p.detach().numpy(), *(r.numpy() for r in optimizer.state_dict()["state"][0]["old_dirs"])])
    assert len(found[0]) == 21
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_counts_of_steps_are_read_as_tensors():
    p = nn.Parameter(lx.ones(3))
    optimizer = optim.AdamW([p])
    for _ in range(3):
        step(optimizer, p)
    count = optimizer.state[p]["step"]
    assert count.item() == 3.0 and count.dtype is lx.float32 and count.shape == () and count.numpy() == 3
    assert count == 3 and float(count) == 3.0 and (count + 1).item() == 4.0
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[p]["step"].item() == 3.0
    optimizer.state[p]["step"] = lx.tensor(0.0)  # begun anew
    step(optimizer, p)
    assert optimizer.state[p]["step"].item() == 1.0
    with pytest.raises(AttributeError, match="not written to in place"):
        count.zero_()
