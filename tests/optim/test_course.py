"""Compiled steps look at few parameters: the same numbers as uncompiled ones, whatever changes between the steps."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")
SHAPES = ((3, 2), (2,), (2, 4), (4,))
MAKERS = [
    (lx.optim.SGD, {"lr": 0.1}),
    (lx.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (lx.optim.Adam, {"lr": 0.02, "amsgrad": True}),
    (lx.optim.AdamW, {"lr": 0.02}),
    (lx.optim.Adamax, {"lr": 0.02}),
    (lx.optim.ASGD, {"lr": 0.02, "t0": 3}),
    (lx.optim.NAdam, {"lr": 0.02}),
    (lx.optim.RAdam, {"lr": 0.02}),
    (lx.optim.Adafactor, {"lr": 0.02}),
    (lx.optim.Lion, {"lr": 0.02}),
]


def trained(compiled, make, options, between=lambda i, o, params: None, steps=9, groups=lambda params: params):
    rng = np.random.default_rng(0)
    params = [nn.Parameter(lx.tensor(rng.normal(size=s).astype(np.float32))) for s in SHAPES]
    optimizer = make(groups(params), **options)

    def step(x):
        optimizer.zero_grad()
        loss = sum((p * p * x).sin().sum() for p in params)
        loss.backward()
        optimizer.step()
        return loss

    run = lx.compile(step) if compiled else step
    found = []
    for i in range(steps):
        found.append(run(lx.tensor(float(rng.normal()))).item())
        between(i, optimizer, params)
    return found + [p.detach().numpy().copy() for p in params], optimizer


def same(make, options, **how):
    expected, plain = trained(False, make, options, **how)
    got, compiled = trained(True, make, options, **how)
    for a, b in zip(got, expected, strict=True):
        assert_close(np.asarray(a), np.asarray(b), factor=50)
    steps = [[s.get("step") for s in o.state.values()] for o in (compiled, plain)]
    assert steps[0] == steps[1]
    return compiled


@pytest.mark.parametrize(("make", "options"), MAKERS, ids=lambda v: getattr(v, "__name__", ""))
def test_two_groups_with_rates_of_their_own(make, options):
    def halves(i, optimizer, params):
        optimizer.param_groups[i % 2]["lr"] *= 0.7

    same(make, options, between=halves, groups=lambda ps: [{"params": ps[:3]}, {"params": ps[3:], "lr": 0.05}])


@pytest.mark.parametrize(("make", "options"), MAKERS[1:4], ids=lambda v: getattr(v, "__name__", ""))
def test_a_state_loaded_between_steps_counts_on_from_there(make, options):
    kept = {}

    def load(i, optimizer, params):
        if i == 3:
            kept.update(optimizer.state_dict())
        if i == 6:
            optimizer.load_state_dict(kept)

    same(make, options, between=load)


def test_options_that_change_between_steps():
    def changes(i, optimizer, params):
        if i == 3:
            optimizer.param_groups[0]["weight_decay"] = 0.1
        if i == 6:
            optimizer.param_groups[0]["betas"] = (0.5, 0.9)

    same(lx.optim.AdamW, {"lr": 0.02}, between=changes)


def test_a_parameter_that_counts_its_own_steps():
    def behind(i, optimizer, params):
        if i == 3:
            optimizer.state[params[2]]["step"] = 1

    same(lx.optim.Adam, {"lr": 0.02}, between=behind)


def test_of_parameters_alike_one_is_looked_at(monkeypatch):
    seen = []
    update = lx.optim.AdamW._update

    def spied(self, p, *rest):
        seen.append(p)
        update(self, p, *rest)

    monkeypatch.setattr(lx.optim.AdamW, "_update", spied)
    counts = []
    trained(True, lx.optim.AdamW, {"lr": 0.02}, between=lambda i, o, ps: counts.append(len(seen)))
    assert np.diff(counts)[-3:].tolist() == [1, 1, 1]
