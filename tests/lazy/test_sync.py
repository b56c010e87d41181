"""When pending work runs: reads, step boundaries, gradient accumulation, long loops; and that it runs once."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy import sync_points
from lazyxla.lowering import bundles


def counts() -> dict:
    return lx.metrics.report(as_dict=True)


pytestmark = pytest.mark.usefixtures("clean")


def test_nothing_runs_until_it_is_read():
    x = lx.tensor([1.0, 2.0]) * 3 + 1
    assert counts()["executions"] == 0
    assert x.tolist() == [4.0, 7.0]
    assert counts()["executions"] == 1
    assert x.tolist() == [4.0, 7.0]
    assert counts()["executions"] == 1


def test_only_what_lives_is_computed():
    x = lx.tensor([1.0, 2.0])
    kept = x + 1
    dropped = x * 2
    for _ in range(3):
        dropped = dropped * dropped
    del dropped
    lx.sync()
    assert counts()["ops_executed"] <= 2  # the sum, and its number spread out
    assert kept.tolist() == [2.0, 3.0]


def test_a_read_names_its_line():
    (lx.ones(2) + 1).sum().item()  # this line
    assert any("item() at test_sync.py:" in cause for cause in counts()["sync_causes"])


def test_reading_the_loss_before_backward_runs_the_forward_once():
    w = lx.tensor(np.linspace(-1, 1, 16).reshape(4, 4), requires_grad=True)
    x = lx.tensor(np.linspace(0, 1, 8).reshape(2, 4))

    def forward():
        return ((x @ w).tanh() * (x @ w).exp()).sum()

    lx.metrics.reset()
    loss = forward()
    loss.item()
    forward_ops = counts()["ops_executed"]
    loss.backward()
    lx.sync()
    read_first = counts()["ops_executed"]
    grad = w.grad.numpy()

    w.grad = None
    lx.metrics.reset()
    loss = forward()
    loss.backward()
    lx.sync()
    together = counts()["ops_executed"]
    np.testing.assert_allclose(w.grad.numpy(), grad, rtol=1e-12)
    # had the forward pass run twice, it would be forward_ops more
    assert read_first - together < forward_ops / 2


def test_gradient_accumulation_keeps_the_graph_one_step_long():
    w = lx.tensor(np.eye(4), requires_grad=True)

    def step(passes):
        for i in range(passes):
            x = lx.tensor(np.full((2, 4), 1.0 + i))
            ((x @ w).tanh() ** 2).mean().backward()
        with lx.no_grad():
            w.sub_(w.grad * 0.1)
        w.grad = None
        lx.lazy.step_boundary()

    step(4)
    step(4)
    compiled = counts()["compiles"]
    assert compiled <= 4
    largest = max(c["ops"] for c in counts()["recompiles"])
    step(16)
    assert counts()["compiles"] == compiled
    assert max(c["ops"] for c in counts()["recompiles"]) == largest


@pytest.mark.parametrize("style", ["no_grad", "data"])
def test_a_loop_that_updates_by_hand_runs_once_a_step(style):
    x = lx.tensor(np.linspace(-1, 1, 12).reshape(4, 3))
    y = x.sum(1)
    w = lx.zeros(3, dtype=lx.float64, requires_grad=True)
    expected = np.zeros(3)
    lx.metrics.reset()
    for i in range(40):
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        rate = 0.3 / (1 + i)
        if style == "no_grad":
            with lx.no_grad():
                w -= rate * w.grad
                w.grad.zero_()
        else:
            w.data -= rate * w.grad.data
            w.grad = None
        expected -= rate * 2 * x.numpy().T @ (x.numpy() @ expected - y.numpy()) / 4
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-9)
    assert 39 <= counts()["executions"] <= 42
    assert counts()["compiles"] <= 5
    assert max(c["ops"] for c in counts()["recompiles"]) < 60


def test_accumulated_gradients_are_the_sum():
    w = lx.tensor([1.0, 2.0], requires_grad=True)
    for k in (1.0, 2.0, 3.0):
        (w * k).sum().backward()
    assert w.grad.tolist() == [6.0, 6.0]


def _sample(steps, w, use_list=False):
    x = lx.randn(2, 8)
    trace = []
    for i in range(steps):
        t = 1 - i / steps
        x = x - lx.tanh(x @ w) * 0.01 * t
        if use_list:
            trace.append(x)
    return x


@pytest.mark.parametrize("kept", [False, True])
def test_a_sampling_loop_that_never_reads_compiles_at_most_three_times(kept):
    w = lx.randn(8, 8)
    lx.sync()
    lx.metrics.reset()
    x = _sample(1000, w, kept)
    assert np.isfinite(x.numpy()).all()
    assert counts()["compiles"] <= 3
    before = counts()["compiles"]
    _sample(1000, w, kept).numpy()
    assert counts()["compiles"] == before


def test_a_cut_loop_gives_the_numbers_of_an_uncut_one(monkeypatch):
    w = lx.randn(8, 8)

    def run():
        lx.manual_seed(3)
        return _sample(300, w).numpy()

    cut = run()
    monkeypatch.setattr(sync_points, "BASE_LIMIT", 10**6)
    lx.sync()
    np.testing.assert_allclose(run(), cut, rtol=1e-5, atol=1e-6)


def test_period_finds_the_shortest_repeated_piece():
    a, b, c = object(), object(), object()
    assert sync_points.period([c, c, a] + [a, b] * 20, 12) == 2
    assert sync_points.period([a, b] * 5, 12) == 0
    assert sync_points.period([a] * 40, 12) == 1
    assert sync_points.period([a, b, c] * 30 + [a], 12) == 3
    assert sync_points.period([object() for _ in range(50)], 12) == 0


@pytest.mark.parametrize(
    "read",
    [lambda t: t.item(), lambda t: bool(t), lambda t: repr(t), lambda t: t.numpy(), lambda t: float(t), lambda t: t.tolist()],
    ids=["item", "bool", "repr", "numpy", "float", "tolist"],
)
def test_no_sync_forbids_reads(read):
    x = lx.ones(1) + 1
    with lx.no_sync(), pytest.raises(RuntimeError, match=r"no_sync.*test_sync.py:\d+"):
        read(x)
    assert read(x) is not None


def test_no_sync_allows_what_is_asked_for():
    w = lx.ones(2, requires_grad=True)
    with lx.no_sync():
        (w * 2).sum().backward()
        lx.lazy.step_boundary()
        lx.sync()
    assert w.grad.tolist() == [2.0, 2.0]


def test_printing_computes_what_it_shows_once_and_says_nothing(capsys):
    x = lx.arange(4) + 1
    print(x)
    print(x)
    assert capsys.readouterr().out == "tensor([1, 2, 3, 4])\n" * 2
    assert counts()["executions"] == 1


def test_a_changing_number_compiles_at_most_twice():
    x = lx.tensor([1.0, 2.0, 3.0])
    for i in range(20):
        assert (x * (i + 0.5)).tolist() == [i + 0.5, 2 * (i + 0.5), 3 * (i + 0.5)]
    assert counts()["compiles"] <= 2
    assert "vary" in counts()["recompiles"][-1]["why"]


def test_two_numbers_that_vary_in_turn():
    x = lx.tensor([1.0, 2.0])
    for a, b in [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (3.0, 2.0), (4.0, 5.0), (-0.0, float("inf"))]:
        assert (x * a + b).tolist() == [a + b, 2 * a + b]
    assert counts()["compiles"] <= 3


def test_numbers_of_one_line_vary_together(replay):
    """The greatest of each row, of which another moves at each run: one program more, not one for each."""
    replay(False)  # what is written down holds arguments, which then are not given away
    lx.metrics.reset()
    for moved in ((), (1,), (1, 3), (0, 2, 4), (5,)):
        y = lx.tensor([1.0, 2.0])
        lx.sync()
        for k in range(6):
            y = (y * (1.5 if k in moved else 0.5)).cos()
        expected = np.array([1.0, 2.0])
        for k in range(6):
            expected = np.cos(expected * (1.5 if k in moved else 0.5))
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5)
    assert counts()["compiles"] == 2


def test_zero_and_minus_zero_and_nan_are_different_constants():
    x = lx.tensor([1.0, 2.0])
    assert np.signbit((x * 0.0).numpy()).tolist() == [False, False]
    assert np.signbit((x * -0.0).numpy()).tolist() == [True, True]
    assert np.isnan((x * float("nan")).numpy()).all()
    assert np.isnan((x * float("nan")).numpy()).all()


def test_a_run_time_scalar_never_recompiles():
    x = lx.tensor([1.0, 2.0])
    for i in range(5):
        assert (x * lx.scalar(float(i), x)).tolist() == [i, 2.0 * i]
    assert counts()["compiles"] <= 1  # none, if another test has had this program
    assert counts()["executions"] == 5


def test_slicing_at_a_moving_place_is_one_program():
    x = lx.arange(10, dtype=lx.float32)
    lx.sync()
    lx.metrics.reset()
    assert [x[i].item() for i in range(10)] == list(range(10))
    assert counts()["compiles"] <= 2


def test_eager_runs_each_op_and_gives_the_same_numbers():
    def program():
        lx.manual_seed(7)
        x = lx.randn(4, 3, requires_grad=True)
        y = (lx.rand(3, 4) @ x).relu().softmax(1).sum()
        y.backward()
        return y.item(), x.grad.numpy()

    lazy = program()
    with lx.eager():
        lx.metrics.reset()
        x = lx.ones(2) + 1
        assert counts()["executions"] >= 1
        assert x.tolist() == [2.0, 2.0]
        one_by_one = program()
    assert lazy[0] == pytest.approx(one_by_one[0], rel=1e-6)
    np.testing.assert_allclose(lazy[1], one_by_one[1], atol=1e-6)


def test_deep_graphs_do_not_recurse():
    y = lx.ones(2, requires_grad=True)
    sync_points.rec.LIMIT[0] = 10**9
    for _ in range(100_000):
        y = -y
    del y
    lx.sync()


def test_a_deep_tape_goes_backward_without_recursion():
    x = lx.ones(2, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = -y
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_report_as_text_and_reset():
    (lx.ones(2) + 1).tolist()
    text = lx.metrics.report()
    assert "compiles" in text and "cache hits" in text and "tolist() at test_sync.py" in text
    lx.metrics.reset()
    assert counts()["syncs"] == 0 and counts()["sync_causes"] == {}


def test_step_boundary_waits_for_nothing_and_leaves_nothing_pending():
    x = lx.ones(3) * 2
    lx.lazy.step_boundary()
    assert x._node.buffer is not None
    assert counts()["sync_causes"] == {"optimizer.step()": 1}


def test_where_the_newest_sample_stands_in_a_batch_needs_no_other_program(metrics):
    """A replay memory: the samples are computed long since, but for the newest, a reshape of what was just given."""
    w = lx.ones(3, requires_grad=True)
    memory = [lx.tensor([float(i), 0.0, 1.0]).unsqueeze(0) for i in range(8)]
    lx.sync()
    counts = []
    for place in (7, 2, 5, 0):
        memory[place] = lx.tensor([place, 1.0, 1.0]).unsqueeze(0)
        batch = lx.cat(memory)
        metrics.reset()
        loss = (batch @ w).sum() + lx.stack(memory[4:]).sum()
        loss.backward()
        lx.sync()
        counts.append(metrics.report(as_dict=True)["compiles"])
        expected = np.array([m.tolist()[0] for m in memory])
        assert batch.tolist() == expected.tolist() and loss.item() == expected.sum() + expected[4:].sum()
    assert counts[0] > 0 and sum(counts[2:]) == 0, counts


def test_where_the_rows_of_an_array_stand_in_a_batch_needs_no_other_program(metrics):
    """A replay memory some of whose samples are left as rows of an array, as a padded program leaves them."""
    w = lx.ones(3, requires_grad=True)
    array = lx.tensor(np.arange(12, dtype=np.float32).reshape(4, 1, 3))
    counts = []
    for place in (7, 2, 5, 0):
        memory = [lx.tensor([[float(i), 0.0, 1.0]]) for i in range(8)]
        lx.sync()
        row = lx.empty(1, 3) + 1
        bundles.become_rows([(row._node, 2)], array._node, bundles.numbered)
        memory[place] = row
        metrics.reset()
        loss = (lx.cat(memory) @ w).sum()
        loss.backward()
        lx.sync()
        counts.append(metrics.report(as_dict=True)["compiles"])
        assert row.tolist() == [[6, 7, 8]] and loss.item() == 28 - place + 7 + 21
    assert counts[0] > 0 and sum(counts[2:]) == 0, counts


def test_a_first_state_of_zeros_is_the_program_of_any_later_state(metrics):
    w = lx.tensor(np.eye(3, dtype=np.float32) * 0.5)
    for make in (lambda: lx.zeros(2, 3), lambda: w.new_zeros(2, 3), lambda: lx.zeros_like(lx.zeros(2, 3))):
        metrics.reset()
        h = make()
        for _ in range(3):
            h = lx.tanh(h @ w + 1)
            lx.sync()
        assert metrics.report(as_dict=True)["compiles"] <= 1
        expected = np.zeros((2, 3))
        for _ in range(3):
            expected = np.tanh(expected * 0.5 + 1)
        np.testing.assert_allclose(h.numpy(), expected, rtol=1e-6)


def test_zeros_do_not_share_memory():
    a, b = lx.zeros(2, 2), lx.zeros(2, 2, requires_grad=True)
    a += 1
    assert a.tolist() == [[1, 1], [1, 1]] and b.tolist() == [[0, 0], [0, 0]] and b.is_leaf and b.requires_grad
    assert lx.zeros(2, 2).data_ptr() != b.data_ptr()


def test_a_mask_on_its_way_to_the_device_leaves_the_rest_in_one_piece(metrics):
    x = lx.tensor(np.arange(16, dtype=np.float32).reshape(4, 4), device="xla")
    metrics.reset()
    y = x @ x
    mask = lx.log(lx.tril(lx.ones(4, 4))).to("xla")
    z = (y + mask).exp().sum()
    assert metrics.report(as_dict=True)["executions"] == 1
    assert np.isfinite(z.item()) or z.item() == np.inf
    assert metrics.report(as_dict=True)["executions"] == 2
    assert mask.tolist()[0] == [0, -np.inf, -np.inf, -np.inf]


def test_a_value_on_its_way_to_a_step_leaves_that_in_one_piece(metrics):
    """What is added to a computed transform, as point networks do it, is made on the CPU of the user's own array."""
    w = lx.full((2, 4), 0.5, device="xla", requires_grad=True)
    lx.sync()
    metrics.reset()
    y = w
    for _ in range(12):
        y = (y * 0.5).sin()
    unit = lx.from_numpy(np.eye(2, dtype=np.float32)).view(1, 4).repeat(2, 1).to("xla")
    (y + unit).square().sum().backward()
    found = w.grad.cpu().numpy()
    assert metrics.report(as_dict=True)["compiles"] == 2  # the step, and what it is given
    x, slope = 0.5, 1.0
    for _ in range(12):
        slope *= 0.5 * np.cos(0.5 * x)
        x = np.sin(0.5 * x)
    expected = 2 * (x + np.eye(2).reshape(1, 4).repeat(2, 0)) * slope
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_move_of_what_is_computed_from_values_dispatches_all(metrics):
    x, there = lx.tensor([1.0, 2.0]), lx.tensor([3.0, 4.0], device="xla")
    y, z = x * 2, there * 2
    metrics.reset()
    assert (y.to("xla") + z).tolist() == [8, 12]
    assert metrics.report(as_dict=True)["executions"] == 3
