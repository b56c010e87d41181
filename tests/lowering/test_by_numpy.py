"""Programs that NumPy runs in place of XLA: which, that they give the same, and when they are compiled after all."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.devices import denormals
from lazyxla.lazy import ops
from lazyxla.lowering import places
from tests.lazy.cases import CASES

pytestmark = pytest.mark.usefixtures("by_numpy")


def counts():
    facts = lx.metrics.report(as_dict=True)
    return facts["compiles"], facts["by_numpy"]


def values(seed, shape=(6, 5)):
    """A float on the device, computed, with ties, infinities and NaN."""
    x = np.random.default_rng(seed).normal(size=shape).round(1).astype(np.float32)
    x.flat[:4] = np.inf, -np.inf, np.nan, -0.0
    return computed(x)


def computed(x):
    """The array as what a program has computed."""
    lx.lowering.by_numpy.enabled[0] = False
    t = lx.tensor(np.stack([x, x])).flip(0)[1].clone()
    lx.sync()
    lx.lowering.by_numpy.enabled[0] = True
    return t


def both(f, clean, by_numpy):
    """A function's results by NumPy, or where it leaves them to XLA by that, and compiled."""
    found = f().numpy().copy()
    by_numpy.enabled[0] = False
    lx.lowering.clear_cache()
    return found, f().numpy()


def test_complex_numbers_are_as_compiled(clean, by_numpy):
    parts = [0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan]
    z = np.array([complex(a, b) for a in parts for b in parts])
    for f in (lx.expm1, lx.exp, lx.log, lx.log1p, lx.tanh, lx.cos):
        found, expected = both(lambda: f(lx.tensor(z)), clean, by_numpy)  # noqa: B023
        by_numpy.enabled[0] = True
        for part in ("real", "imag"):
            np.testing.assert_allclose(np.abs(getattr(found, part)), np.abs(getattr(expected, part)), rtol=1e-12)
    found, expected = both(lambda: lx.complex(lx.tensor(z.real.copy()), lx.tensor(z.imag.copy())), clean, by_numpy)
    for part in (found, expected):
        np.testing.assert_array_equal(part.view(np.int64), z.view(np.int64))


@pytest.mark.skipif(not denormals._known, reason="this machine's way to take the smallest floats for 0 is unknown")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_smallest_floats_are_as_compiled(dtype, clean, by_numpy):
    least = np.finfo(dtype).smallest_normal
    x = np.array([least / 2, -least / 4, least, 0.0, 1.0], dtype)

    def f():
        t = lx.tensor(x)
        return lx.stack([(t == 0).double(), t.sign().double(), (t * 3).double(), (1 / t).double(), (t * 0.5).flip(0).double()])

    clean.reset()
    found = f().numpy().copy()
    assert counts() == (0, 1)
    by_numpy.enabled[0] = False
    lx.lowering.clear_cache()
    np.testing.assert_array_equal(found, f().numpy())
    assert found[0].tolist() == [1, 1, 0, 1, 0] and x[0] > 0  # and this thread's floats are as before


READ = {
    "moves": lambda x, y: lx.cat([x.t().reshape(5, 6), y.view(5, 6).flip(1)], dim=1)[1:4, ::2],
    "pads": lambda x, y: F.pad(x, (1, 2), value=3.0),
    "choices": lambda x, y: lx.where(x > y, x, y),
    "argmax": lambda x, y: x.argmax(1, keepdim=True).eq(y.argmin(1, keepdim=True)).sum(),
    "right answers": lambda x, y: (x.argmax(1) == y.argmax(1)).float().mean(),
    "masked": lambda x, y: x.masked_fill(y < 0, float("-inf")),
    "to whole numbers": lambda x, y: lx.stack([(x * 100).to(t).long() for t in (lx.uint8, lx.int16, lx.int64, lx.bool)]),
    "arithmetic": lambda x, y: (x * 255).clamp(0, 255) / 3 - y.abs().sqrt().floor(),
    "integers": lambda x, y: (x.nan_to_num(0, 9, -9).int() % 3 * 2 - 5).sum(0).sign(),
    "bits": lambda x, y: (x.nan_to_num(0, 9, -9).int() << 3 ^ 21).max(1).values & ~lx.tensor(4),
    "halves": lambda x, y: (x.to(lx.bfloat16) * y.to(lx.bfloat16)).to(lx.float16),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_as_compiled(name, clean, by_numpy):
    x, y = values(1), values(2)
    clean.reset()
    got = READ[name](x, y).float().numpy().copy()
    assert counts() == (0, 1)
    by_numpy.enabled[0] = False
    lx.lowering.clear_cache()
    expected = READ[name](x, y).float().numpy()
    assert counts()[0] == 1
    np.testing.assert_allclose(got, expected, rtol=2e-7)


MADE = {
    "uniform": lambda: lx.rand(300, 200) * 2 - 1,
    "normal": lambda: lx.randn(300, 200),
    "whole": lambda: lx.randint(0, 1000, (70, 3)),
    "float64": lambda: lx.randn(100, dtype=lx.float64),
    "bernoulli": lambda: lx.bernoulli(lx.full((50, 50), 0.3)),
    "mask": lambda: lx.log(lx.tril(lx.ones(40, 40))),
    "places": lambda: lx.sin(lx.arange(50).float()[:, None] / 10000 ** (lx.arange(0, 8, 2) / 8)) + lx.zeros(50, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_numbers_is_as_compiled(name, clean, by_numpy):
    lx.manual_seed(3)
    got = MADE[name]()
    lx.sync()
    by_numpy.enabled[0] = False
    lx.lowering.clear_cache()
    found = counts()
    lx.manual_seed(3)
    expected = MADE[name]().numpy()
    assert found == (0, 1)
    assert counts() == (1, 1)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_list_of_numbers_is_normalised_without_compiling(clean):
    for n in (5, 9, 17):
        returns = lx.tensor(np.linspace(0, 3, n).tolist())
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        expected = np.linspace(0, 3, n)
        expected = (expected - expected.mean()) / expected.std(ddof=1)
        np.testing.assert_allclose([r.item() for r in returns], expected, rtol=1e-5)
    assert counts()[0] == 0


def test_a_model_is_made_without_compiling_and_its_first_step_gives_its_weights_away(clean):
    model = lx.nn.Sequential(lx.nn.Conv2d(1, 4, 3), lx.nn.Flatten(), lx.nn.Linear(144, 10), lx.nn.LayerNorm(10)).to("xla")
    optimizer = lx.optim.AdamW(model.parameters())
    assert counts() == (0, 1)
    for _ in range(4):
        x = lx.randn(5, 1, 8, 8).to("xla")
        optimizer.zero_grad()
        F.cross_entropy(model(x), lx.arange(5).to("xla")).backward()
        optimizer.step()
    assert counts()[0] <= 2
    assert clean.report(as_dict=True)["donated_buffers"] >= 3 * len(list(model.parameters()))


def test_one_float_of_computed_values_is_compiled(clean):
    x, y = values(1), values(2)
    clean.reset()
    (x * y).sum().item()
    x[1, 1].exp().item()
    assert counts() == (2, 0)


ANSWERS = {
    "a model's": lambda x, w, b: (F.relu(x @ w + b) @ w.t()).softmax(1),
    "by columns": lambda x, w, b: (w.t() @ x.t() * b[:, None]).logsumexp(0),
    "spread": lambda x, w, b: lx.where(b > 0, b, 0.5) * x.new_ones(60, 90)[:, :1] + b.expand(60, 90).flip(0) / 3,
    "chosen": lambda x, w, b: lx.sigmoid(x)[:, lx.tensor([3, 0, 3])],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_small_array_that_is_read_is_as_compiled(name, clean, by_numpy, monkeypatch):
    monkeypatch.setattr(by_numpy, "_ON_ONE_THREAD", 1 << 15)  # so that the products are taken in pieces
    rng = np.random.default_rng(3)
    given = [computed(rng.normal(size=shape).astype(np.float32)) for shape in [(60, 40), (40, 90), (90,)]]
    clean.reset()
    got, expected = both(lambda: ANSWERS[name](*given), clean, by_numpy)
    assert counts() == (1, 1)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_an_array_that_is_read_often_is_compiled(clean, monkeypatch):
    monkeypatch.setattr(lx.lowering.by_numpy, "BUDGET", 0.0003)
    monkeypatch.setattr(lx.lowering.by_numpy, "CHEAP", 0.0)
    x, w = computed(np.ones((4, 8), np.float32)), computed(np.ones((8, 3), np.float32))
    clean.reset()
    found = [(x @ w).tanh().numpy().copy() for _ in range(40)]
    np.testing.assert_allclose(found, np.ones((40, 4, 3)), rtol=1e-6)
    assert counts()[0] == 1 and 2 <= counts()[1] < 40


def test_an_array_beside_which_others_wait_is_compiled(clean):
    x = values(1)
    clean.reset()
    kept = x.sin()
    x.exp().tolist()
    assert counts() == (1, 0) and kept.shape == (6, 5)


def test_what_has_several_results_is_compiled(clean):
    x = values(1)
    wanted = np.argsort(x.numpy(), 0, kind="stable")[0].tolist()
    clean.reset()
    assert x.sort(0).indices[0].tolist() == wanted
    carry, ys = lx.scan(lambda c, x: (c + x, c * x), lx.tensor(0.0), lx.tensor([1.0, 2.0, 3.0]))
    assert (carry.item(), ys.tolist()) == (6.0, [0.0, 2.0, 9.0])
    assert counts()[1] == 0


def test_nothing_is_waited_for_but_at_reads(clean):
    x = values(1)
    clean.reset()
    y = x.t() + 1
    lx.sync()
    assert counts() == (1, 0)
    assert y.shape == (5, 6)


def test_large_ones_are_compiled(clean):
    x = computed(np.zeros((1500, 1000), np.float32))
    clean.reset()
    x.t().numpy()
    lx.rand(3000, 1000).sum().item()
    assert counts() == (2, 0)


def test_arrays_given_that_may_come_again_are_compiled_where_that_is_faster(clean):
    x = lx.tensor(np.linspace(-0.9, 0.9, 1 << 20, dtype=np.float32))
    lx.erfinv(x).numpy()
    assert counts() == (1, 0)
    (x[:9] * 0.5).numpy()
    assert counts() == (1, 1)


def test_what_has_taken_long_is_compiled(clean, monkeypatch):
    monkeypatch.setattr(lx.lowering.by_numpy, "BUDGET", 0.002)
    monkeypatch.setattr(lx.lowering.by_numpy, "CHEAP", 0.0)
    found = []
    for _ in range(8):
        found.append(lx.randint(0, 9, (100,), generator=lx.Generator().manual_seed(1)).tolist())
    compiles, runs = counts()
    assert compiles == 1
    assert 1 <= runs <= 6  # as long as they have taken
    assert found == [found[0]] * 8


def test_a_long_run_draws_what_a_new_one_draws(clean, monkeypatch):
    monkeypatch.setattr(lx.lowering.by_numpy, "BUDGET", 0.002)
    monkeypatch.setattr(lx.lowering.by_numpy, "CHEAP", 0.0)
    found = []
    for _ in range(8):
        lx.manual_seed(1)
        found.append([lx.randn(100).tolist(), (lx.rand(100) * 3 + 1).tolist()])
    assert found == [found[0]] * 8
    assert counts() == (0, 16)
    assert lx.randn(2_000_000).shape == (2_000_000,) and lx.randn(2_000_000).mean().abs().item() < 0.01
    assert counts()[1] == 16  # always XLA's


def test_segments_are_followed(clean):
    right, expected = 0, 0
    for k in range(8):
        x = np.random.default_rng(k).normal(size=(20, 4)).astype(np.float32)
        target = np.arange(20) % 4
        right += (lx.from_numpy(x).argmax(1) == lx.from_numpy(target)).sum().item()
        expected += (x.argmax(1) == target).sum()
    assert right == expected
    assert counts() == (0, 8)
    assert clean.report(as_dict=True)["replays"] >= 4


def test_numbers_vary_without_compiling(clean):
    x = values(1)
    clean.reset()
    got = [(x[2:] * k + 1).tolist()[0][0] for k in (2, 3, 5)]
    a = x.tolist()[2][0]
    np.testing.assert_allclose(got, [np.float32(a) * k + 1 for k in (2, 3, 5)], rtol=1e-6)
    assert counts() == (0, 3)


def test_compiled_functions_are_as_they_were(clean):
    compiled = lx.compile(lambda x: x.t())
    assert compiled(lx.ones(2, 3)).shape == (3, 2)
    assert counts()[1] <= 1 and counts()[0] >= 1


def test_results_share_no_memory_with_arrays(clean):
    array = np.arange(6.0)
    t = lx.from_numpy(array).reshape(2, 3).flip(0).flip(0)
    lx.sync()
    array[:] = 9
    assert t.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("op", [ops.gather, ops.scatter], ids=str)
def test_places_are_those_of_the_meanings(op):
    fast = getattr(places, op.name)
    for row in CASES[op].rows:
        for dtype in (np.float32, np.int32):
            operands = row.operands(dtype)
            np.testing.assert_array_equal(fast(*operands, **row.attributes), op.meaning(*operands, **row.attributes), row.name)


def test_windows_of_no_elements_have_places():
    nothing, places_ = lx.zeros(3, 0), lx.tensor([0, 2])
    with lx.eager():
        assert tuple(nothing.index_add(0, places_, lx.zeros(2, 0)).shape) == (3, 0)
        assert tuple(nothing[places_].shape) == (2, 0)


def test_what_is_small_compiles_nothing_in_eager_mode(clean, by_numpy):
    def losses(steps):
        lx.manual_seed(0)
        net = lx.nn.Sequential(lx.nn.Linear(5, 4), lx.nn.LayerNorm(4), lx.nn.GELU(), lx.nn.Linear(4, 3))
        optimizer = lx.optim.Adam(net.parameters(), lr=0.01)
        x, y, found = lx.randn(6, 5), lx.tensor([0, 2, 1, 1, 0, 2]), []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    with lx.eager():
        found = losses(40)  # however often: a run that is resumed has the same
        compiles, by = counts()
        assert compiles == 0 and by > 40 * 50
        large = lx.ones(1 << 20) + 1
        assert counts()[0] > 0 and large[-1].item() == 2
    np.testing.assert_allclose(found[:3], losses(3), rtol=1e-5)
