"""Programs that are new each time: run by NumPy after a while, with the numbers that XLA would give."""

import itertools

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.lowering import storms

pytestmark = pytest.mark.usefixtures("clean")
NAMES = [np.random.default_rng(n).normal(size=(n, 1, 3)).astype(np.float32) for n in range(2, 6)]


def trained(order):
    """Losses of steps, each over some of the names, which an RNN reads one by one."""
    lx.manual_seed(0)
    rnn, out = nn.RNN(3, 4), nn.Linear(4, 2)
    optimizer = lx.optim.SGD([*rnn.parameters(), *out.parameters()], lr=0.1)
    names = [lx.tensor(x) for x in NAMES]
    lx.sync()
    losses = []
    for chosen in order:
        optimizer.zero_grad()
        losses.append(sum(nn.functional.cross_entropy(out(rnn(names[i])[1][0]), lx.tensor([i % 2])) for i in chosen))
        losses[-1].backward()
        optimizer.step()
    return [loss.item() for loss in losses]


STEPS = list(itertools.permutations(range(len(NAMES)), 2))[:9]


def test_programs_that_never_come_back_are_not_compiled(metrics, monkeypatch):
    monkeypatch.setattr(storms, "enabled", [True])
    monkeypatch.setattr(storms, "QUICKER", 1)  # tests compile quickly
    lx.lowering.clear_cache()
    found = trained(STEPS)
    compiles = metrics.report(as_dict=True)["compiles"]
    assert compiles <= storms.NEW + 2
    assert metrics.report(as_dict=True)["by_numpy"] >= len(STEPS) - storms.NEW
    monkeypatch.setattr(storms, "enabled", [False])
    lx.lowering.clear_cache()
    assert trained(STEPS) == pytest.approx(found, rel=1e-5)
    assert metrics.report(as_dict=True)["compiles"] >= compiles + len(STEPS)


def test_programs_that_come_back_are_compiled(metrics):
    lx.lowering.clear_cache()
    kind = storms.Kind()
    for _ in range(storms.NEW):
        kind.compiled(1.0)
    assert sum(kind.new) == storms.NEW
    for _ in range(storms.LAST - storms.NEW + 1):
        kind.came_back()
    assert sum(kind.new) < storms.NEW
    losses = trained(STEPS[:2] * 6)
    assert np.isfinite(losses).all() and metrics.report(as_dict=True)["compiles"] <= 5


def test_what_numpy_takes_long_for_is_compiled():
    x = lx.ones(600, 600)
    lx.sync()
    y = (x @ x @ x).tanh()
    kind = storms.Kind()
    for _ in range(storms.NEW):
        kind.compiled(0.01)
    order, _ = lx.lowering.structure.structure([y._node])
    graph = lx.lowering.graphs.Graph(order, [y._node.mark], ())
    assert kind.instead(graph, order) is None
    kind.seconds = 100.0
    assert kind.instead(graph, order) is not None
    z = nn.functional.conv2d(lx.ones(1, 1, 4, 4), lx.ones(1, 1, 3, 3))
    order, _ = lx.lowering.structure.structure([z._node])
    assert kind.instead(lx.lowering.graphs.Graph(order, [z._node.mark], ()), order) is None  # a convolution is XLA's
