"""``compile``: the same numbers as without, no Python run again, and clear errors where that cannot be."""

import threading
from collections import namedtuple

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn

pytestmark = pytest.mark.usefixtures("clean")


def counts() -> dict:
    return lx.metrics.report(as_dict=True)


def batches(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield lx.tensor(rng.standard_normal((6, 4)).astype(np.float32)), lx.tensor(rng.integers(0, 3, 6))


def model_and(make, **options):
    lx.manual_seed(11)
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))
    return model, make(model.parameters(), **options)


def losses(compiled: bool, make, steps: int = 8, schedule=None, clip: bool = False, **options):
    model, optimizer = model_and(make, **options)
    scheduler = schedule(optimizer) if schedule else None
    runs = []

    def step(x, y):
        runs.append(1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            for p in model.parameters():
                p.grad.clamp_(-0.01, 0.01)
        optimizer.step()
        return loss

    run = lx.compile(step) if compiled else step
    found = []
    for x, y in batches(steps):
        found.append(run(x, y).item())
        if scheduler:
            scheduler.step()
    state = [p.detach().numpy().copy() for p in (*model.parameters(), *model.buffers())]
    return found, state, len(runs), model, optimizer


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lx.optim.SGD, {"lr": 0.1}),
        (lx.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.1}),
        (lx.optim.AdamW, {"lr": 0.01}),
        (lx.optim.NAdam, {"lr": 0.01}),
        (lx.optim.RAdam, {"lr": 0.01}),
        (lx.optim.Adadelta, {}),
        (lx.optim.Adagrad, {"lr": 0.05}),
    ],
)
def test_a_training_step_is_the_same_as_without(make, options):
    expected, state, _, _, plain = losses(False, make, clip=True, **options)
    got, found, runs, _, optimizer = losses(True, make, clip=True, **options)
    np.testing.assert_allclose(got, expected, rtol=2e-5)
    for a, b in zip(found, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert runs <= 3
    steps = [s["step"] for s in optimizer.state.values() if "step" in s]
    assert steps == [s["step"] for s in plain.state.values() if "step" in s]


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: lx.optim.lr_scheduler.ExponentialLR(o, 0.8),
        lambda o: lx.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    ],
)
def test_a_schedule_neither_records_again_nor_is_forgotten(schedule):
    expected, *_ = losses(False, lx.optim.SGD, lr=0.1, momentum=0.9, schedule=schedule)
    got, _, runs, _, _ = losses(True, lx.optim.SGD, lr=0.1, momentum=0.9, schedule=schedule)
    np.testing.assert_allclose(got, expected, rtol=2e-5)
    assert runs <= 3


def test_old_parameters_and_state_are_given_away():
    losses(True, lx.optim.AdamW, steps=4)
    lx.metrics.reset()
    losses(True, lx.optim.AdamW, steps=8)
    assert counts()["donated_buffers"] >= 6 * 3 * 4


def test_python_runs_once_for_each_kind_of_arguments():
    runs = []

    @lx.compile
    def f(x, scale, *, flag=False):
        runs.append(1)
        return x * scale + 1 if flag else x - scale

    x = lx.arange(4.0)
    for _ in range(3):
        assert f(x, 2).tolist() == [-2.0, -1.0, 0.0, 1.0]
        assert f(x, 2, flag=True).tolist() == [1.0, 3.0, 5.0, 7.0]
        assert f(x, 3).tolist() == [-3.0, -2.0, -1.0, 0.0]
        assert f(lx.arange(2.0), 2).tolist() == [-2.0, -1.0]
        assert f(x.double(), 2).dtype is lx.float64
    assert len(runs) == 5
    why = [r["why"] for r in counts()["recordings"]]
    assert why[0] == "first call" and any("was" in w for w in why)


def test_trees_of_arguments_and_results():
    Pair = namedtuple("Pair", "a b")

    @lx.compile
    def f(batch, pair):
        return {"sum": batch["x"] + batch["more"][0], "pair": Pair(pair.b, [pair.a * 2, "word"]), "none": None}

    for k in range(1, 4):
        out = f({"x": lx.ones(2) * k, "more": (lx.ones(2), 3)}, Pair(lx.zeros(1) + k, lx.ones(1)))
        assert out["sum"].tolist() == [k + 1.0] * 2
        assert isinstance(out["pair"], Pair) and out["pair"].b[0].tolist() == [2.0 * k] and out["pair"].b[1] == "word"
        assert out["none"] is None and out["pair"].a.tolist() == [1.0]


def test_what_is_returned_may_be_an_argument_or_a_part_of_it():
    @lx.compile
    def f(x, y):
        y.mul_(2)
        return x, y, x.detach(), x[0]

    for k in range(1, 4):
        x, y = lx.ones(2) * k, lx.ones(2) + k
        a, b, c, d = f(x, y)
        assert a is x and b is y
        assert y.tolist() == [2.0 + 2 * k] * 2
        assert c.tolist() == [float(k)] * 2 and d.item() == k


def test_random_numbers_go_on():
    @lx.compile
    def f():
        return lx.rand(3), F.dropout(lx.ones(64), 0.5)

    lx.manual_seed(4)
    got = [[v.tolist() for v in f()] for _ in range(3)]
    lx.manual_seed(4)
    assert got == [[v.tolist() for v in (lx.rand(3), F.dropout(lx.ones(64), 0.5))] for _ in range(3)]


def test_gradients_add_up_where_nobody_clears_them():
    w = lx.ones(3, requires_grad=True)

    @lx.compile
    def f(x):
        (w * x).sum().backward()

    for k in range(1, 5):
        f(lx.ones(3))
        assert w.grad.tolist() == [float(k)] * 3
    w.grad = None
    f(lx.ones(3))
    assert w.grad.tolist() == [1.0] * 3


def test_train_and_eval_are_two_recordings():
    model, _ = model_and(lx.optim.SGD)
    f = lx.compile(lambda x: model(x).detach())
    x, _ = next(batches(1))
    with lx.no_grad():
        model.eval()
        first = f(x).tolist()
        model.train()
        assert f(x).tolist() != first
        model.eval()
        assert np.allclose(f(x).tolist(), first, atol=0.5) and f(x).tolist() == f(x).tolist()
    assert any("training" in r["why"] for r in counts()["recordings"])


def test_a_replaced_parameter_is_seen():
    layer = nn.Linear(2, 1, bias=False)
    f = lx.compile(lambda x: layer(x).detach())
    f(lx.ones(1, 2))
    layer.weight = nn.Parameter(lx.full((1, 2), 3.0))
    assert f(lx.ones(1, 2)).item() == 6.0


SCALE = 2.0
OFFSET = lx.ones(2)


def test_globals_and_closures_are_part_of_the_recording():
    global SCALE, OFFSET
    shift = 1.0

    def inner(x):
        return x * SCALE + OFFSET

    @lx.compile
    def f(x):
        return inner(x) + shift

    assert f(lx.ones(2)).tolist() == [4.0, 4.0]
    SCALE = 3.0
    assert f(lx.ones(2)).tolist() == [5.0, 5.0]
    shift = 2.0
    assert f(lx.ones(2)).tolist() == [6.0, 6.0]
    OFFSET = lx.zeros(2)
    assert f(lx.ones(2)).tolist() == [5.0, 5.0]
    OFFSET.add_(1)
    assert f(lx.ones(2)).tolist() == [6.0, 6.0]


def test_a_state_that_a_module_keeps_moves_on():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", lx.zeros(2))
            self.h = lx.zeros(2)
            self.runs = 0

        def forward(self, x):
            self.runs += 1
            self.total += x
            self.h = self.h * 0.5 + x
            return self.h + 0

    m, f = Counter(), None
    f = lx.compile(m)
    h = 0.0
    for k in range(1, 6):
        h = h * 0.5 + 1
        assert f(lx.ones(2)).tolist() == [h, h]
        assert m.total.tolist() == [float(k)] * 2 and m.h.tolist() == [h, h]
    assert m.runs <= 2


def test_nested_compiled_functions_are_one_program():
    inner = lx.compile(lambda x: x * 2)

    @lx.compile
    def outer(x):
        return inner(x) + inner(x + 1)

    for k in range(3):
        assert outer(lx.ones(1) * k).item() == 4 * k + 2
    assert counts()["recordings"][0]["function"].endswith("outer")
    assert len(counts()["recordings"]) == 1


def test_a_compiled_forward_is_differentiated_from_outside():
    lx.manual_seed(2)
    layer = nn.Linear(3, 2)
    compiled = lx.compile(layer)
    for k in range(4):
        x = lx.full((5, 3), float(k), requires_grad=True)
        layer.zero_grad()
        compiled(x).square().sum().backward()
        got = layer.weight.grad.tolist(), x.grad.tolist()
        layer.zero_grad()
        y = lx.full((5, 3), float(k), requires_grad=True)
        F.linear(y, layer.weight, layer.bias).square().sum().backward()
        np.testing.assert_allclose(got[0], layer.weight.grad.tolist(), rtol=1e-5)
        np.testing.assert_allclose(got[1], y.grad.tolist(), rtol=1e-5)


def test_a_compiled_module_is_the_module():
    layer = nn.Linear(3, 2)
    compiled = lx.compile(layer)
    assert [n for n, _ in compiled.named_parameters()] == ["weight", "bias"]
    assert set(compiled.state_dict()) == {"weight", "bias"} and compiled.weight is layer.weight
    assert compiled.eval().training is False
    layer.compile()
    with lx.no_grad():
        assert layer(lx.ones(1, 3)).shape == (1, 2)


def test_bound_methods():
    class Scaler:
        def __init__(self, k):
            self.k = lx.tensor(k)

        @lx.compile
        def by(self, x):
            return x * self.k

    two, three = Scaler(2.0), Scaler(3.0)
    for _ in range(2):
        assert two.by(lx.ones(1)).item() == 2.0 and three.by(lx.ones(1)).item() == 3.0
    assert lx.compile(two.by)(lx.ones(1)).item() == 2.0


def test_hidden_state_is_carried_and_given_away():
    @lx.compile
    def cell(x, h):
        return lx.tanh(x + h * 0.5)

    h, expected = lx.zeros(64), 0.0
    for _ in range(6):
        h = cell(lx.ones(64), h)
        expected = np.tanh(1 + expected * 0.5)
    assert h[0].item() == pytest.approx(expected, rel=1e-6)


def test_dynamic_sizes_are_padded_to_powers_of_two():
    runs = []

    def f(x, w):
        runs.append(x.shape[0])
        return (x @ w).relu()

    g = lx.compile(f, dynamic={"x": 0})
    w = lx.ones(3, 2)
    for n in (5, 6, 7, 8, 3, 5, 8):
        x = lx.arange(3.0 * n).reshape(n, 3)
        np.testing.assert_allclose(g(x, w).numpy(), np.maximum(x.numpy() @ w.numpy(), 0), rtol=1e-6)
    assert runs == [8, 4]
    with pytest.raises(TypeError, match="no argument of"):
        lx.compile(f, dynamic={"z": 0})
    with pytest.raises(TypeError, match="test_compile.py"):
        g(3, w)


def test_many_recordings_are_warned_of_once():
    @lx.compile
    def f(x, k):
        return x * k

    with pytest.warns(RuntimeWarning, match=r"recorded 8 times, last because argument 1 is 7, was 6"):
        for k in range(12):
            f(lx.ones(1), k)


# --- what cannot be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [lambda t: t.item(), lambda t: bool(t > 0), lambda t: t.tolist(), lambda t: print(t)])
def test_a_read_inside_is_an_error_that_leaves_all_as_it_was(read):
    model, optimizer = model_and(lx.optim.AdamW)
    before = [p.detach().numpy().copy() for p in (*model.parameters(), *model.buffers())]

    @lx.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        read(loss)

    for x, y in batches(2):
        with pytest.raises(RuntimeError, match=r"reads a value inside .*step.*test_compile.py:"):
            step(x, y)
    for p, old in zip((*model.parameters(), *model.buffers()), before, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), old)
    assert all(p.grad is None for p in model.parameters())
    assert all(not s for s in optimizer.state.values())


def test_an_error_of_the_users_leaves_all_as_it_was():
    w = lx.ones(2)
    fail = [True]

    @lx.compile
    def f(x):
        w.add_(x)
        if fail[0]:
            raise KeyError("mine")
        return w + 0

    with pytest.raises(KeyError, match="mine"):
        f(lx.ones(2))
    assert w.tolist() == [1.0, 1.0]
    fail[0] = False
    assert f(lx.ones(2)).tolist() == [2.0, 2.0]
    assert w.tolist() == [2.0, 2.0]


def test_arguments_that_are_no_part_of_a_signature():
    f = lx.compile(lambda x, y: x)
    with pytest.raises(TypeError, match=r"NumPy array among its arguments.*test_compile.py"):
        f(lx.ones(1), np.ones(1))
    with pytest.raises(TypeError, match=r"argument of type set cannot.*test_compile.py"):
        f(lx.ones(1), {1})
    with pytest.raises(TypeError, match="takes a function, not int"):
        lx.compile(3)


def test_data_replaced_inside_is_an_error():
    w = lx.ones(2)

    @lx.compile
    def f(x):
        w.data = x * 2

    with pytest.raises(RuntimeError, match=r"data replaced inside .*test_compile.py"):
        f(lx.ones(2))
    assert w.tolist() == [1.0, 1.0]


def test_a_move_between_devices_inside_is_an_error():
    f = lx.compile(lambda x: x.to("xla") + 1)
    if lx.ones(1).device is lx.ones(1, device="xla").device:
        pytest.skip("one device")
    with pytest.raises(RuntimeError, match=r"moves from cpu to xla.*test_compile.py"):
        f(lx.ones(2))


def test_no_grad_and_grad_are_two_recordings():
    w = lx.ones(2, requires_grad=True)
    f = lx.compile(lambda x: x * w)
    with lx.no_grad():
        assert not f(lx.ones(2)).requires_grad
    assert f(lx.ones(2)).requires_grad


def test_threads_may_share_a_compiled_function():
    f = lx.compile(lambda x, k: x * k + 1)
    wrong = []

    def work(k):
        for i in range(20):
            if f(lx.ones(3) * i, k).tolist() != [i * k + 1.0] * 3:
                wrong.append((i, k))

    threads = [threading.Thread(target=work, args=(k,)) for k in (2, 3, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_optimizer_of_the_users_own():
    class Signs(lx.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self):
            with lx.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        state = self.state[p]
                        state["n"] = state.get("n", 0) + 1
                        p.add_(p.grad.sign(), alpha=-group["lr"])

    w = lx.zeros(2, requires_grad=True)
    optimizer = Signs([w], 0.25)

    @lx.compile
    def step():
        w.grad = None
        w.sum().backward()
        optimizer.step()

    for k in range(1, 5):
        step()
        assert w.tolist() == [-0.25 * k] * 2 and optimizer.state[w]["n"] == k
    optimizer.param_groups[0]["lr"] = 0.5
    step()
    assert w.tolist() == [-1.5] * 2


def test_a_result_that_the_function_made_and_wrote_is_made_anew():
    @lx.compile
    def run(x):
        y, z = x * 2, x.clone()
        y.add_(1)
        z[0] = y[1]
        return y, z

    for k in range(4):
        y, z = run(lx.tensor([float(k), k + 1.0]))
        assert y.tolist() == [2 * k + 1, 2 * k + 3]
        assert z.tolist() == [2 * k + 3, k + 1]
