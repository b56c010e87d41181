"""Loops of the recorded program as ``stablehlo.while``: random programs against NumPy, and what leaves the loop."""

import gc

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import rolling
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def eager_to_roll(monkeypatch):
    """Roll whatever repeats, whether it pays or not."""
    monkeypatch.setattr(rolling, "LEAST", 16)
    monkeypatch.setattr(rolling, "LONG", 16)
    monkeypatch.setattr(rolling, "MANY", 4)


def loops() -> int:
    return lx.metrics.report(as_dict=True)["loops_rolled"]


def text_of(*tensors) -> str:
    return lx.debug.stablehlo(*tensors)


class RandomLoop:
    """A loop whose body is drawn at random from what loops of arrays do; all arrays are [3, 4]."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        rng = self.rng
        self.trips = int(rng.integers(8, 14))
        self.carried = int(rng.integers(1, 4))
        self.steps = [self.draw() for _ in range(int(rng.integers(5, 12)))]
        self.after = rng.integers(0, len(self.steps), self.carried).tolist()
        self.lag = bool(rng.integers(0, 2))
        self.kept = rng.integers(0, len(self.steps), int(rng.integers(0, 3))).tolist()
        self.reverse = bool(rng.integers(0, 3) == 0)
        self.backward = bool(rng.integers(0, 2))
        self.x = lx.tensor(rng.normal(size=(self.trips, 3, 4)))
        self.y = lx.tensor(rng.normal(size=(3, self.trips, 4)))
        self.w = lx.tensor(rng.normal(size=(4, 4)) / 2, requires_grad=self.backward)
        self.b = lx.tensor(rng.normal(size=4) / 2, requires_grad=self.backward)
        self.starts = [lx.tensor(rng.normal(size=(3, 4)), requires_grad=self.backward) for _ in range(self.carried)]

    def draw(self) -> tuple[str, int, int]:
        kinds = ["product", "add", "multiply", "tanh", "row", "column", "fixed", "count", "late", "softmax", "select"]
        kinds += ["gates", "turned"]
        return str(self.rng.choice(kinds)), int(self.rng.integers(0, 1000)), int(self.rng.integers(0, 1000))

    def step(self, kind: str, a, b, t: int):
        if kind == "product":
            return (a @ self.w + self.b).tanh()
        if kind == "add":
            return (a + b) / 2
        if kind == "multiply":
            return a * b.sigmoid()
        if kind == "tanh":
            return a.tanh()
        if kind == "row":
            return (self.x[t] @ self.w + a) * 0.5
        if kind == "column":
            return self.y[:, t] * a.sigmoid()
        if kind == "fixed":
            return a * self.b.cos()
        if kind == "count":
            return a * (0.1 * t) + b * 0.5
        if kind == "late":
            return a - self.x[self.trips - 1 - t]
        if kind == "softmax":
            return lx.softmax(a, -1)
        if kind == "gates":
            p, q, r = lx.cat([a @ self.w + self.x[t] + self.b, b], 1).split([3, 1, 4], 1)
            return lx.cat([p.tanh() * q, q + r[:, 1:2]], 1) + r
        if kind == "turned":
            return (a @ self.w.T).tanh()
        return lx.where(a > b, a, b * 0.5)

    def record(self) -> list:
        state = list(self.starts)
        before = [state]
        kept: list[list] = [[] for _ in self.kept]
        times = range(self.trips)
        for t in reversed(times) if self.reverse else times:
            values = list(state) + (before[-2][:1] if self.lag and len(before) > 1 else state[:1])
            for kind, a, b in self.steps:
                values.append(self.step(kind, values[a % len(values)], values[b % len(values)], t))
            made = values[-len(self.steps) :]
            state = [made[k] for k in self.after]
            before.append(state)
            for found, k in zip(kept, self.kept):
                found.append(made[k])
        outputs = state + [lx.stack(found) for found in kept]
        if not self.backward:
            return outputs
        leaves = [self.w, self.b, *self.starts]
        total = sum((out * out).mean() for out in outputs)
        return outputs + [g for g in lx.autograd.grad(total, leaves, allow_unused=True) if g is not None]


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(s, marks=pytest.mark.slow) for s in range(12, 200))])
def test_random_loops_agree_with_numpy(seed, eager_to_roll):
    outputs = RandomLoop(seed).record()
    expected = [interpret(t.detach()) for t in outputs]
    for got, value in zip(outputs, expected):
        assert_close(got.detach().numpy(), value, factor=100)


def test_random_loops_are_rolled(eager_to_roll):
    for seed in range(12):
        rolling.rolled(lx.lowering.debug.plan_for(*[t.detach() for t in RandomLoop(seed).record()]))
    assert loops() >= 12  # a loop or more for nearly all of them


def recurrent(trips: int, w, u, x):
    h = lx.zeros(2, 8)
    for t in range(trips):
        h = (x[t] @ w + h @ u).tanh()
    return h


def recurrent_loss(trips: int):
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(trips, 2, 4)).astype(np.float32))
    w = lx.tensor(rng.normal(size=(4, 8)).astype(np.float32) / 2, requires_grad=True)
    u = lx.tensor(rng.normal(size=(8, 8)).astype(np.float32) / 4, requires_grad=True)
    return recurrent(trips, w, u, x).square().sum(), (w, u)


def products(text: str) -> tuple[list[int], int]:
    """How many products each loop's body has, and how many there are in all."""
    bodies = [part.split("stablehlo.return")[0] for part in text.split(" do {")[1:]]
    return [body.count("stablehlo.dot_general") for body in bodies], text.count("stablehlo.dot_general")


def test_a_recurrence_becomes_one_loop_with_its_input_product_outside():
    inside, total = products(text_of(recurrent_loss(40)[0]))
    assert inside == [1]  # h @ u
    assert total <= 1 + 1 + 2 * 3  # x @ w for all trips at once, and what few trips are left outside the loop


def test_gates_are_computed_each_from_its_own_part_of_a_row(eager_to_roll):
    rng = np.random.default_rng(0)
    x, u = (lx.tensor(rng.normal(size=shape).astype(np.float32)) for shape in ((12, 2, 15), (5, 15)))
    h = lx.zeros(2, 5)
    for t in range(12):
        r, z, n = (x[t] + h @ u).chunk(3, 1)
        h = r.sigmoid() * h + z.sigmoid() * n.tanh()
    body = text_of(h).split(" do {")[1].split("stablehlo.return")[0]
    assert body.count("stablehlo.dynamic_slice") == 3
    assert body.count("tensor<2x5xf32>") > 10
    assert "stablehlo.add" not in "".join(line for line in body.splitlines() if "tensor<2x15xf32>" in line)
    expected = interpret(h)
    assert_close(h.numpy(), expected, factor=100)


def test_parts_of_slices_are_slices_that_begin_where_they_did(eager_to_roll):
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(4, 30, 6)).astype(np.float32))
    h = lx.zeros(4, 3)
    for t in range(12):
        a, b = (x[:, 2 * t + 1] + lx.cat([h, h], 1)).chunk(2, 1)
        h = (a * b).tanh() + x[1, t : t + 4].chunk(2, 1)[0]
    expected = interpret(h)
    assert_close(h.numpy(), expected, factor=100)


def test_a_fixed_operand_is_turned_once_outside(eager_to_roll):
    rng = np.random.default_rng(0)
    u = lx.tensor(rng.normal(size=(6, 6)).astype(np.float32) / 3)
    h = lx.ones(2, 6)
    for _ in range(20):
        h = lx.einsum("bi,oi->bo", h, u).tanh()
    body = text_of(h).split(" do {")[1].split("stablehlo.return")[0]
    assert "contracting_dims = [1] x [0]" in body and "transpose" not in body
    expected = interpret(h)
    assert_close(h.numpy(), expected, factor=100)


@pytest.mark.parametrize("batch, wide", [(4, True), (3, False)])
def test_a_few_rows_read_a_fixed_operand_whose_rows_are_not_pages_apart(batch, wide, eager_to_roll):
    rng = np.random.default_rng(0)
    u, h = (lx.tensor(rng.normal(size=shape).astype(np.float32) / 8) for shape in ((1024, 64), (batch, 64)))
    for _ in range(20):
        a, b = (h @ u.T).chunk(2, 1)
        h = (a.tanh() * b)[:, 7:71]
    body = text_of(h).split(" do {")[1].split("stablehlo.return")[0]
    assert ("tensor<64x1040xf32>" in body) is wide
    expected = interpret(h)
    assert_close(h.numpy(), expected, factor=200)


def test_what_only_moves_is_not_kept_for_each_trip(eager_to_roll):
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(20, 3, 4)).astype(np.float32))
    w = lx.tensor(rng.normal(size=(4, 4)).astype(np.float32) / 2, requires_grad=True)
    h, seen = lx.zeros(3, 4), []
    for t in range(20):
        h = (x[t] * w[0] + h @ w).tanh()
        seen.append(h.unsqueeze(0))
    loss = lx.cat(seen).square().sum()
    (g,) = lx.autograd.grad(loss, [w])
    forward = text_of(loss, g).split(" do {")[1].split("stablehlo.return")[0]
    assert forward.count("dynamic_update_slice") == 1  # h; not h of another shape, nor x[t], which lie in x and h
    expected = interpret(g)
    assert_close(g.numpy(), expected, factor=1000)


def test_backward_is_a_second_loop_and_weight_gradients_one_product_each():
    counts = []
    for trips in (40, 80):
        loss, leaves = recurrent_loss(trips)
        inside, total = products(text_of(*lx.autograd.grad(loss, leaves)))
        assert inside == [1, 1]  # h @ u, and the gradient of h; those of the weights are one product each, outside
        counts.append(total)
    assert counts[0] == counts[1] <= 2 + 3 + 5 * 3


def test_the_program_does_not_grow_with_the_trips():
    sizes = [len(text_of(recurrent_loss(trips)[0])) for trips in (50, 400)]
    assert abs(sizes[1] - sizes[0]) < 0.02 * sizes[0]


def test_a_long_recurrence_is_one_program_however_long():
    loss, leaves = recurrent_loss(300)
    gradients = lx.autograd.grad(loss, leaves)
    lx.metrics.reset()
    lx.sync()
    facts = lx.metrics.report(as_dict=True)
    assert (facts["compiles"], facts["executions"], facts["loops_rolled"]) == (1, 1, 2)
    rolled = [g.numpy() for g in gradients]
    lx.lowering.roll_loops(False)
    try:
        loss, leaves = recurrent_loss(300)
        for got, expected in zip(rolled, lx.autograd.grad(loss, leaves)):
            assert_close(got, expected.detach().numpy(), factor=20)
    finally:
        lx.lowering.roll_loops(True)


def test_a_rolled_step_leaves_nothing_behind():
    """Old parameters are given away in the next step, collector or not: else that step would be another program."""
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(60, 2, 4)).astype(np.float32))
    weights = [lx.tensor(rng.normal(size=(n, 8)).astype(np.float32) / 4, requires_grad=True) for n in (4, 8)]
    optimizer = lx.optim.SGD(weights, lr=0.1)
    lx.sync()
    lx.metrics.reset()
    gc.disable()
    try:
        for _ in range(4):
            optimizer.zero_grad()
            recurrent(60, *weights, x).square().sum().backward()
            optimizer.step()
    finally:
        gc.enable()
    facts = lx.metrics.report(as_dict=True)
    assert (facts["compiles"], facts["executions"], facts["loops_rolled"]) == (1, 4, 2)


def test_rolling_can_be_turned_off():
    lx.lowering.roll_loops(False)
    try:
        assert "stablehlo.while" not in text_of(recurrent_loss(40)[0])
    finally:
        lx.lowering.roll_loops(True)


def test_arguments_of_each_trip_are_laid_side_by_side(eager_to_roll):
    rng = np.random.default_rng(0)
    xs = [lx.tensor(rng.normal(size=(2, 3))) for _ in range(20)]
    w = lx.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    h = lx.zeros(2, 3, dtype=lx.float64)
    for x in xs:
        h = ((x + h) @ w).tanh()
    found = [h.detach(), *lx.autograd.grad(h.square().sum(), [w])]
    assert text_of(*found).count("stablehlo.while") == 2
    expected = [interpret(t) for t in found]
    for got, value in zip(found, expected):
        assert_close(got.numpy(), value, factor=20)


def test_layers_with_weights_of_their_own_are_no_loop(eager_to_roll):
    """To lay their weights side by side would copy all of them in every run."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(10)))
    x = lx.randn(3, 6)
    lx.sync()
    model(x).square().sum().backward()
    assert "stablehlo.while" not in text_of(*(p.grad for p in model.parameters()))


def test_numbers_that_vary_stay_arguments_in_a_loop(eager_to_roll):
    """A host value given to the program at each run must not be merged with an equal one or baked in."""
    x = lx.tensor(np.linspace(-1, 1, 6).reshape(2, 3))
    for scale in (0.5, 0.25, 0.125):
        h = x
        for _ in range(20):
            h = (h * scale + x).tanh()
        expected = x.numpy()
        for _ in range(20):
            expected = np.tanh(expected * scale + x.numpy())
        assert_close(h.numpy(), expected, factor=20)
    assert lx.metrics.report(as_dict=True)["compiles"] <= 2


def test_every_other_element_is_an_op_like_others(eager_to_roll):
    """Slices side by side are moved before what is elementwise; those of a pooling layer in the same loop are not."""
    w = (0.2 * lx.randn(6, 8)).requires_grad_()  # small: where tanh is nearly 1, its gradient keeps few digits
    xs = [lx.randn(3, 6) for _ in range(12)]
    lx.sync()
    h = lx.zeros(3, 4)
    for x in xs:
        gates = x @ w
        pooled = lx.maximum(gates[:, ::2], gates[:, 1::2])
        h = (gates[:, :4] * h).tanh() + pooled * gates[:, 4:]
    found = [h.detach(), *lx.autograd.grad(h.square().sum(), [w])]
    assert "stablehlo.while" in text_of(*found)
    expected = [interpret(t) for t in found]
    for got, value in zip(found, expected):
        assert_close(got.numpy(), value, factor=20)


def test_a_recurrence_of_few_steps_is_rolled(metrics):
    lx.manual_seed(0)
    layer = nn.RNN(2, 3)
    x = lx.ones(7, 1, 2)
    lx.sync()

    def gradient():
        layer.zero_grad()
        layer(x)[0].sum().backward()
        return layer.weight_hh_l0.grad.numpy().copy()

    rolled = gradient()
    assert metrics.report(as_dict=True)["loops_rolled"] == 2
    lx.lowering.roll_loops(False)
    try:
        np.testing.assert_allclose(gradient(), rolled, rtol=1e-5)
    finally:
        lx.lowering.roll_loops(True)
