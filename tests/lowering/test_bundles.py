"""A loss that is read before the backward of a long loop: what the loop keeps comes as few arrays."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.lowering import bundles

pytestmark = pytest.mark.usefixtures("clean")
TRIPS = 60


@pytest.fixture(autouse=True)
def from_few_results_on(monkeypatch):
    monkeypatch.setattr(bundles, "RESULTS", 50)


def run(read, hold=()):
    """The gradients of a recurrence, and some of its outputs, which the program goes on to use."""
    lx.manual_seed(1)
    cell, x = nn.LSTMCell(1, 3).double(), lx.tensor(np.sin(np.arange(TRIPS))[None])
    lx.sync()
    h = c = lx.zeros(1, 3, dtype=lx.float64)
    outputs = []
    for part in x.split(1, dim=1):
        h, c = cell(part, (h, c))
        outputs.append(h)
    loss = (lx.cat(outputs) ** 2).mean()
    held = [outputs[i] for i in hold]
    del outputs
    if read:
        assert 0 < loss.item() < 1
    loss.backward()
    return [p.grad.numpy() for p in cell.parameters()], [t.detach().numpy() for t in held]


def test_the_gradients_are_the_same(metrics, monkeypatch):
    made = []
    settle = bundles.settle
    monkeypatch.setattr(bundles, "settle", lambda *given: made.append(given[0]) or settle(*given))
    expected, held = run(False, (0, 5, TRIPS - 1))
    assert not made
    got, kept = run(True, (0, 5, TRIPS - 1))
    assert len(made) == 1 and len(made[0].bundles) >= 4  # gates, states
    assert len(made[0].plan.roots) < TRIPS  # instead of some results a trip
    for a, b in zip((*got, *kept), (*expected, *held)):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_results_that_are_held_are_values_of_their_own():
    _, expected = run(False, range(TRIPS))
    _, held = run(True, range(TRIPS))
    np.testing.assert_allclose(held, expected, rtol=1e-9)


def test_a_second_backward_reads_the_rows_again():
    w = lx.tensor(np.full((1, 1), 0.9), requires_grad=True)
    h = lx.ones(1, 1, dtype=lx.float64)
    for _ in range(TRIPS):
        h = lx.tanh(h @ w)
    assert h.item() > 0
    h.backward(retain_graph=True)
    once = w.grad.item()
    h.backward()
    assert w.grad.item() == pytest.approx(2 * once, rel=1e-12)


def test_a_row_by_number_is_computed_after_the_number():
    """What a padded program leaves pending may be wanted by itself, in a program of another kind."""
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    x = lx.tensor(values)
    lx.sync()
    rows = [x[k] * 2 for k in (2, 0)]
    bundles.become_rows([(y._node, k) for y, k in zip(rows, (2, 0))], x._node, bundles.numbered)
    lx.sync()
    np.testing.assert_array_equal(rows[0], values[2])
    np.testing.assert_array_equal(rows[1], values[0])
