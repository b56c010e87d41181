"""Programs that are new each time: run by NumPy after a while, with the numbers that XLA would give."""

import itertools

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.lazy import sync_points
from lazyxla.lowering import lengths, storms

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
    assert compiles <= storms.SOME + 2
    assert metrics.report(as_dict=True)["by_numpy"] >= len(STEPS) - storms.SOME
    monkeypatch.setattr(storms, "enabled", [False])
    lx.lowering.clear_cache()
    assert trained(STEPS) == pytest.approx(found, rel=1e-5)
    assert metrics.report(as_dict=True)["compiles"] >= compiles + len(STEPS)


def test_programs_that_come_back_are_compiled(metrics):
    lx.lowering.clear_cache()
    losses = trained(STEPS[:2] * 6)
    assert np.isfinite(losses).all() and metrics.report(as_dict=True)["compiles"] <= 5


def test_what_numpy_takes_long_for_is_compiled(monkeypatch):
    x = lx.ones(600, 600)
    lx.sync()
    y = (x @ x @ x).tanh()
    kind = storms.Kind()
    kind.programs = storms.SOME
    order, _ = lx.lowering.structure.structure([y._node])
    graph = lx.lowering.graphs.Graph(order, [y._node.mark], ())
    assert kind.instead(graph, order) is None
    monkeypatch.setattr(storms, "COMPILING", 100.0)
    assert kind.instead(graph, order) is not None
    z = nn.functional.conv2d(lx.ones(1, 1, 4, 4), lx.ones(1, 1, 3, 3))
    order, _ = lx.lowering.structure.structure([z._node])
    assert kind.instead(lx.lowering.graphs.Graph(order, [z._node.mark], ()), order) is None  # a convolution is XLA's


def pooled(picks, monkeypatch):
    """Losses of steps of a convolution, each over some images of a pool; and what was kept of them. No program is left to
    NumPy as a whole."""
    monkeypatch.setattr(storms, "enabled", [True])
    lx.lowering.clear_cache()
    lx.manual_seed(0)
    layer = nn.Conv2d(1, 2, 3)
    optimizer = lx.optim.SGD(layer.parameters(), lr=0.1)
    pool = [lx.tensor(np.full((1, 1, 4, 4), n, np.float32)) for n in range(4)]
    sizes = lx.tensor([1.0, 2.0, 3.0, 4.0])
    losses, kept = [], []
    for picked in picks:
        new = lx.cat([(layer(pool[0])[:, :1] * 0).detach().repeat(1, 1, 2, 2), pool[1]])
        lx.sync()
        images = lx.cat([new[i - 4 :][:1] if i > 3 else pool[i] for i in picked])
        kept.append(new[1:2])
        target = sizes[lx.tensor([i % 4 for i in picked])]
        optimizer.zero_grad()
        losses.append((layer(images).sigmoid().mean(dim=(1, 2, 3)) * target).pow(2).tanh().exp().log().sum())
        losses[-1].backward()
        optimizer.step()
    return [loss.item() for loss in losses], [k.sum().item() for k in kept]


PICKS = [[0, 1, 2, 3], [4, 1, 2, 3], [4, 5, 2, 3], [0, 5, 4, 3], [5, 4, 1, 0], [2, 2, 5, 4], [5, 5, 5, 1], [3, 4, 4, 0]]


def test_what_programs_begin_with_makes_no_new_ones(metrics, monkeypatch):
    few = pooled(PICKS[:6], monkeypatch)
    compiles = metrics.report(as_dict=True)["compiles"]
    metrics.reset()
    found = pooled(PICKS, monkeypatch)
    assert metrics.report(as_dict=True)["compiles"] <= compiles
    assert found[0][:6] == few[0]
    monkeypatch.setattr(storms, "SOME", 100)
    whole = pooled(PICKS, monkeypatch)
    assert whole[0] == pytest.approx(found[0], rel=1e-5) and whole[1] == found[1]


def test_what_comes_back_is_a_program_of_its_own(metrics, monkeypatch):
    monkeypatch.setattr(storms, "OWN", 2)
    pooled(PICKS[:5] + PICKS[5:6] * 8, monkeypatch)
    compiles = metrics.report(as_dict=True)["compiles"]
    metrics.reset()
    pooled(PICKS[:5] + PICKS[5:6] * 2, monkeypatch)
    assert metrics.report(as_dict=True)["compiles"] == compiles - 1


def test_what_else_is_pending_makes_no_other_kind(metrics, monkeypatch):
    monkeypatch.setattr(storms, "enabled", [True])
    monkeypatch.setattr(storms, "QUICKER", 1)
    lx.lowering.clear_cache()
    weight = lx.randn(12, 12, requires_grad=True)
    optimizer = lx.optim.Adam([weight], lr=0.1)
    others = []
    for n in range(1, 13):  # every batch of another length, and beside each step something else
        x = lx.tensor(np.full((n, 12), 0.1, np.float32))
        others.append((lx.tensor([float(n)] * n) * 2 - 1).reshape(1, n) if n % 3 else None)
        optimizer.zero_grad()
        (x @ weight).sigmoid().gather(1, lx.zeros(n, 1, dtype=lx.int64)).sum().backward()
        for _ in range(20):
            x = x + 1
        others.append(x)
        optimizer.step()
    assert metrics.report(as_dict=True)["compiles"] <= storms.SOME + 1
    assert others[0].tolist() == [[1.0]] and others[-1][0, 0].item() == pytest.approx(20.1)


def test_the_rest_of_a_program_is_of_its_kind(monkeypatch):
    asked, kind_of = [], storms.kind_of
    monkeypatch.setattr(storms, "kind_of", lambda graph, order: asked.append(graph) or kind_of(graph, order))
    pooled(PICKS, monkeypatch)
    graphs = lx.lowering.execute._graphs.values()
    rests = [g for g in graphs if g.kind is not None and g not in asked]
    assert rests and all(any(g.kind is a.kind for a in asked) for g in rests)


class Reader(nn.Module):
    """Continues a text, each letter from all before it: layers of attention, which pick among the likeliest at the end."""

    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(7, 8)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2))
        self.out = nn.Linear(8, 7)

    def continued(self, text, count):
        for _ in range(count):
            x = self.letters(text)
            for layer in self.layers:
                x = layer(x)
            chances = self.out(x[:, -1])
            least = chances.topk(3).values[:, -1:]
            chances[chances < least] = -float("inf")
            text = lx.cat([text, lx.multinomial(chances.softmax(-1), 1)], 1)
        return text


def test_text_that_grows_is_cut_where_its_pieces_repeat_and_compiles_nothing(metrics, monkeypatch):
    def found(enabled, count):
        monkeypatch.setattr(storms, "enabled", [enabled])
        monkeypatch.setattr(lengths, "enabled", [False])  # else one program is for many lengths: see test_growth
        lx.lowering.clear_cache()
        lx.manual_seed(0)
        net = Reader().eval()
        lx.sync()
        metrics.reset()
        with lx.no_grad():
            text = net.continued(lx.zeros(2, 1, dtype=lx.int64), count).tolist()
        return text, metrics.report(as_dict=True)

    text, report = found(True, 16)
    assert report["compiles"] == 0 and report["by_numpy"] >= 8
    expected, report = found(False, 16)
    assert text == expected
    assert report["executions"] >= 8 and report["compiles"] >= 8, "each piece is a program of its own"


def test_growing_text_on_a_tape_is_cut_late_and_can_go_backward(metrics, monkeypatch):
    """Somebody forgot ``no_grad``, or wants the gradient."""
    monkeypatch.setattr(storms, "enabled", [True])

    def gradient(limit):
        monkeypatch.setattr(sync_points, "NO_STEP", limit)
        lx.lowering.clear_cache()
        lx.manual_seed(0)
        w, x = lx.randn(4, 4, requires_grad=True), lx.ones(1, 4)
        lx.sync()
        metrics.reset()
        for _ in range(12):
            y = x
            for _ in range(10):
                y = ((y @ w).tanh() + y).softmax(-1)
            x = lx.cat([x, y[-1:]])
        x.square().sum().backward()
        return w.grad.numpy(), metrics.report(as_dict=True)["executions"]

    (cut, pieces), (whole, programs) = gradient(sync_points.BASE_LIMIT), gradient(sync_points.HARD_LIMIT)
    assert pieces > 4 > programs
    np.testing.assert_allclose(cut, whole, rtol=1e-4, atol=1e-6)


def test_layers_that_are_alike_are_no_growing_text():
    """Equal layers repeat too, without a difference; and what is short is left whole."""

    class Sig:
        def __init__(self, op):
            self.op = op

    piece = [Sig(k) for k in range(sync_points.LONG)]
    assert sync_points.growing(piece * 5) == 0
    other = [Sig(k) for _ in range(5) for k in range(sync_points.LONG)]
    assert sync_points.growing(other) == sync_points.LONG
    assert sync_points.growing([sig for sig in other if sig.op]) == 0, "one op too short"
    assert sync_points.growing(other[: 2 * sync_points.LONG]) == 0
