"""Equal layers as pieces compiled once: the same results as the program in one, with its arguments given away."""

import gc

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
import lazyxla.nn.functional as F
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import execute, fingerprint, outline, rolling, stored
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.pieces import Pieces, memory_of
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def eager_to_outline(monkeypatch):
    """Make pieces of whatever repeats with arguments of its own."""
    monkeypatch.setattr(rolling, "LEAST", 16)
    monkeypatch.setattr(outline, "LEAST", 16)
    monkeypatch.setattr(outline, "TRIPS", 4)
    monkeypatch.setattr(outline, "PIECE", 4)
    execute.clear_cache()
    yield
    execute.clear_cache()


def outlined(*tensors):
    plan = plan_for(*tensors)
    return outline.outlined(plan, rolling.analysis(plan))


class Deep:
    """Layers whose body is drawn at random; every layer has weights of its own. All activations are [3, 4]."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.depth = int(rng.integers(6, 11))
        self.steps = [self.draw() for _ in range(int(rng.integers(3, 9)))]
        shapes = [(4, 4), (4,), (4,)]
        self.weights = [
            [lx.tensor(rng.normal(size=s) / 2, requires_grad=True) for s in shapes] for _ in range(self.depth)
        ]
        self.x = lx.tensor(rng.normal(size=(3, 4)))
        self.mask = lx.tensor(rng.normal(size=(3, 4)) > 0)
        self.keep = bool(rng.integers(0, 2))  # also what lies between the layers is wanted

    def draw(self) -> tuple[str, int, int]:
        kinds = ["product", "scale", "norm", "add", "tanh", "number", "mask", "softmax", "select", "widen", "turn"]
        return str(self.rng.choice(kinds)), int(self.rng.integers(0, 1000)), int(self.rng.integers(0, 1000))

    def step(self, kind, a, b, weights, layer):
        w, scale, shift = weights
        if kind == "product":
            return a @ w + shift
        if kind == "scale":
            return a * scale.exp()
        if kind == "norm":
            return (a - a.mean(1, keepdim=True)) / (a.var(1, keepdim=True) + 0.1).sqrt() * scale
        if kind == "add":
            return (a + b) / 2
        if kind == "tanh":
            return a.tanh()
        if kind == "number":
            return a * (0.5 + 0.1 * layer) + b * 0.5
        if kind == "mask":
            return lx.where(self.mask, a, b * 0.3)
        if kind == "softmax":
            return lx.softmax(a, -1)
        if kind == "select":
            return lx.where(a > b, a, b * 0.5)
        if kind == "widen":
            return a + b.sum(0, keepdim=True).expand(3, 4) * 0.1
        return (a.T.reshape(4, 3) * 0.5).T + b * 0.5

    def record(self) -> list:
        x, between = self.x, []
        for layer, weights in enumerate(self.weights):
            values = [x]
            for kind, a, b in self.steps:
                values.append(self.step(kind, values[a % len(values)], values[b % len(values)], weights, layer))
            x = values[-1] @ weights[0] + x
            between.append(x)
        loss = (x * x).mean()
        flat = [w for weights in self.weights for w in weights]
        grads = lx.autograd.grad(loss, flat, allow_unused=True)
        with lx.no_grad():
            new = [w - 0.1 * g for w, g in zip(flat, grads) if g is not None]
        return [loss.detach(), *new, *([t.detach() for t in between] if self.keep else [])]


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(s, marks=pytest.mark.slow) for s in range(10, 150))])
def test_random_layers_agree_with_numpy(seed, eager_to_outline):
    outputs = Deep(seed).record()
    expected = [interpret(t) for t in outputs]
    for got, value in zip(outputs, expected):
        assert_close(got.numpy(), value, factor=100)


def test_random_layers_are_outlined(eager_to_outline):
    found = [outlined(*Deep(seed).record()) for seed in range(10)]
    assert sum(o is not None for o in found) >= 6
    assert all(len(o.programs) < len(o.steps) for o in found if o is not None)


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm, self.up, self.down, self.drop = nn.LayerNorm(n), nn.Linear(n, 2 * n), nn.Linear(2 * n, n), nn.Dropout(0.3)

    def forward(self, x):
        return x + self.drop(self.down(F.gelu(self.up(self.norm(x)))))


def train(steps=4, depth=8):
    lx.manual_seed(3)
    model = nn.Sequential(*(Block(4) for _ in range(depth)))
    optimizer = lx.optim.AdamW(model.parameters(), lr=0.01)
    x = lx.tensor(np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32))
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 / (step + 1)
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach().numpy().copy() for p in model.parameters()]


def test_training_with_dropout_is_the_same_in_pieces_and_in_one(eager_to_outline, monkeypatch):
    losses, parameters = train()
    facts = lx.metrics.report(as_dict=True)
    assert facts["layers_outlined"] >= 3 * 8 and facts["compiles"] <= 3
    assert facts["donated_buffers"] >= 3 * 3 * len(parameters)  # in the steps after the first
    monkeypatch.setattr(outline, "enabled", [False])
    execute.clear_cache()
    lx.metrics.reset()
    expected, others = train()
    assert lx.metrics.report(as_dict=True)["layers_outlined"] == 0
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for p, q in zip(parameters, others):
        np.testing.assert_allclose(p, q, rtol=2e-4, atol=1e-5)


def test_what_layers_have_in_common_is_one_program(eager_to_outline):
    model = nn.Sequential(*(Block(4) for _ in range(12)))
    x = lx.randn(6, 4)
    lx.sync()
    loss = model(x).square().mean()
    loss.backward()
    found = outlined(loss.detach(), *(p.grad for p in model.parameters()))
    runs = [sum(s.program == k for s in found.steps) for k in range(len(found.programs))]
    assert sorted(runs)[-2:] >= [10, 10]  # forward and backward
    assert len(found.programs) <= 7


def test_layers_that_differ_in_a_number_share_a_program(eager_to_outline):
    """The number is handed over; written into the program it would make as many programs as layers."""
    weights = [lx.randn(4, 4, dtype=lx.float64) for _ in range(10)]
    x = lx.randn(3, 4, dtype=lx.float64)
    lx.sync()
    y = x
    for k, w in enumerate(weights):
        y = (y @ w).tanh() * (0.3 * k * k + 0.1) + x
    found = outlined(y)
    assert len(found.programs) <= 4 and len(found.constants) >= 8
    assert_close(y.numpy(), interpret(y), factor=10)


def training_step(depth=8):
    model = nn.Sequential(*(Block(4) for _ in range(depth)))
    optimizer = lx.optim.AdamW(model.parameters(), lr=0.01)
    x = lx.randn(6, 4)
    for _ in range(2):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return model, optimizer


@pytest.mark.parametrize("pieces", [True, False])
def test_a_training_step_gives_away_every_parameter_and_all_state(pieces, eager_to_outline, monkeypatch):
    monkeypatch.setattr(outline, "enabled", [pieces])
    gc.collect()
    model, _optimizer = training_step()
    facts = lx.metrics.report(as_dict=True)["recompiles"][-1]
    assert (facts["executables"] > 1) is pieces
    size = sum(p.numel() * 4 for p in model.parameters())
    assert facts["alias_bytes"] == 3 * size  # the parameters and both moments
    assert facts["peak_bytes"] >= facts["argument_bytes"] + facts["output_bytes"] - facts["alias_bytes"]
    assert lx.metrics.report(as_dict=True)["peak_bytes"] == max(
        r["peak_bytes"] for r in lx.metrics.report(as_dict=True)["recompiles"]
    )


def test_a_program_of_pieces_comes_back_from_its_bytes(eager_to_outline):
    outputs = Deep(1).record()
    expected = [interpret(t) for t in outputs]
    plan = plan_for(*outputs)
    from lazyxla.lowering import cache

    found = cache.executable(plan, "test", type("Graph", (), {"key": ()}))
    assert isinstance(found, Pieces)
    device = outputs[0].device
    digests = [bytes([k]) * 32 for k in range(len(found.executables))]
    again, parts = stored.unpack(stored.pack(found, digests), device, lambda digest: None)
    assert list(parts) == digests and memory_of(again) == memory_of(found)
    arguments = [plan.order[i].buffer for i in plan.leaves]
    arguments = [b.on(device) if hasattr(b, "on") else b for b in arguments]
    for got, value in zip(again.run(arguments), expected):
        assert_close(np.asarray(got), value, factor=100)
    for damaged in (b"", b"\0" * 40, stored.pack(found, digests)[:-7]):
        with pytest.raises((ValueError, RuntimeError)):
            stored.unpack(damaged, device, lambda digest: None)


def test_outlining_can_be_turned_off(eager_to_outline):
    outputs = Deep(0).record()
    lx.lowering.outline_layers(False)
    try:
        assert outlined(*outputs) is None
    finally:
        lx.lowering.outline_layers(True)
    assert outlined(*outputs) is not None


def name_of(*tensors):
    from lazyxla.lowering.structure import structure

    roots = [t._node for t in tensors]
    plan = plan_for(*tensors)
    _, key = structure(roots)
    return fingerprint.of(plan, key, tensors[0].device)


def test_a_name_tells_programs_apart(monkeypatch):
    x, y = lx.tensor([1.0, 2.0]), lx.tensor([3.0, 4.0])
    programs = [
        lambda: x + y, lambda: x - y, lambda: x - x, lambda: (x - y) - y, lambda: (x - y) - x, lambda: x * 2.0,
        lambda: x * 3.0, lambda: x * 0.0, lambda: x * -0.0, lambda: x.reshape(2, 1), lambda: x.reshape(1, 2),
        lambda: x.double() + 1, lambda: x + 1,
    ]  # fmt: skip
    names = [name_of(f()) for f in programs]
    assert None not in names and len(set(names)) == len(names)
    assert [name_of(f()) for f in programs] == names
    monkeypatch.setattr(rolling, "enabled", [not rolling.enabled[0]])
    assert name_of(x + y) != names[0]
    monkeypatch.undo()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert name_of(x + y) != names[0]


def test_what_only_this_process_understands_has_no_name():
    from lazyxla.lazy.graph import Op, define
    from lazyxla.lazy.ops.rules import like

    mine = define("cbrt", like("f"), np.cbrt, "Cube root.")
    try:
        assert name_of(mine(lx.tensor([1.0, 8.0]))) is None
    finally:
        Op.table.pop("cbrt")


def test_layers_that_draw_their_first_values_are_one_piece_each(monkeypatch):
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", "off")

    def values():
        lx.manual_seed(3)
        made = [f for _ in range(6) for f in (lx.rand(5, 3), lx.rand(7) - 0.5)]
        lx.sync()
        return [m.numpy() for m in made]

    lx.lowering.outline_layers(False)
    expected = values()
    lx.lowering.outline_layers(True)
    lx.lowering.clear_cache()
    lx.metrics.reset()
    found = values()
    facts = lx.metrics.report(as_dict=True)
    assert facts["layers_outlined"] >= 3 and facts["loops_rolled"] == 0
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)
