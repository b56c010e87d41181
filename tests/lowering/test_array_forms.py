"""The forms of array operations on the CPU: sorts, tops, reductions over rows and components, powers."""

import re

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy.functions import conversion
from lazyxla.lowering import emit
from tests.lowering.test_forms import text_of

pytestmark = pytest.mark.usefixtures("clean")

TIES = np.array(
    [[0.0, -0.0, 1.5, np.nan, -np.inf, -0.0, 0.0, 2.0, np.inf, 1.5, -1.0, -np.nan, 3.0, -2.0, 0.5, 1.5, 7.0, -7.0]] * 2,
    np.float32,
)
TIES[1] = np.roll(TIES[0], 5)


def in_order(x: np.ndarray, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows in stable order, and the places: NaN is the largest."""
    key = x.astype(np.float64) if x.dtype.kind == "f" else x.astype(np.int64)
    places = np.argsort(key, 1, kind="stable")
    if descending:
        places = x.shape[1] - 1 - np.flip(np.argsort(np.flip(key, 1), 1, kind="stable"), 1)
    return np.take_along_axis(x, places, 1), places


def assert_same(got: lx.Tensor, expected: np.ndarray) -> None:
    """Equal, and zeros of the same sign."""
    found = got.numpy()
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found) & (found == 0), np.signbit(expected) & (expected == 0))


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.uint32], ids=str
)
def test_sorts_keep_their_order(dtype, descending):
    values = TIES.astype(dtype) if dtype().dtype.kind == "f" else np.nan_to_num(np.abs(TIES), posinf=9).astype(dtype)
    expected, places = in_order(values, descending)
    x = lx.tensor(values)
    got = x.sort(1, descending)
    assert_same(got[0], expected)
    assert_same(got[1], places)
    assert_same(x.argsort(1, descending), places)
    assert_same(x.T.sort(0, descending)[1].T, places)
    few = x.topk(1, 1, largest=descending)
    assert_same(few[0], expected[:, :1])
    assert_same(few[1], places[:, :1])
    assert_same(x.T.topk(1, 0, largest=descending)[1].T, places[:, :1])
    if not np.isnan(values).any():
        assert_same(x.sort(1, descending)[0], expected)


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
def test_int64_of_any_span(descending):
    top = 2**63 - 1
    for values in (
        [[5, -3, 5, 900, -3]],
        [[top, -top - 1, 0, top, -1]],
        [[2**62, -(2**62), 0, 2**62, 1]],
        [[7, 7, 7, 7, 7]],
    ):
        x = np.array(values)
        places = np.array([sorted(range(5), key=lambda i: -values[0][i] if descending else values[0][i])])
        got = lx.tensor(x).sort(1, descending)
        assert_same(got[1], places)
        assert_same(got[0], np.take_along_axis(x, places, 1))


def test_values_alone_are_sorted_alone_by_whole_numbers():
    x = lx.tensor(TIES)
    text = text_of(x.sort(1)[0])
    assert re.search(r"stablehlo.sort\"?\(%\d+\) ", text) and re.search(r"compare +LT.*tensor<i32>", text)
    finite = np.nan_to_num(TIES)
    np.testing.assert_array_equal(lx.tensor(finite).sort(1)[0].numpy(), np.sort(finite, 1))
    other = text_of(x.sort(1)[0], platform="cuda")
    assert "bitcast_convert" not in other and "f32" in re.search(r"stablehlo.sort.*?\n(.*?\n)*?.*return", other)[0]


def test_of_a_sort_whose_first_elements_are_read_only_these_are_found():
    x = lx.tensor(np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32))
    text = text_of(*x.topk(4, 1))
    assert "chlo.top_k" in text and "stablehlo.sort" not in text
    values, places = x.topk(4, 1)
    expected, order = in_order(x.numpy(), True)
    assert_same(values, expected[:, :4])
    assert_same(places, order[:, :4])
    assert "stablehlo.sort" in text_of(*x.topk(40, 1))  # many: sorting is as fast
    kth = x.kthvalue(3, 1)
    assert "chlo.top_k" in text_of(*kth)
    assert_same(kth[1], in_order(x.numpy(), False)[1][:, 2])
    whole = x.sort(1)
    assert "chlo.top_k" not in text_of(whole[0], whole[1][:, :3])  # somebody reads all values


def test_gradients_go_through_a_top():
    x = lx.tensor(TIES[:, 4:11], requires_grad=True)
    x.topk(2, 1)[0].sum().backward()
    hit = np.zeros_like(TIES[:, 4:11])
    np.put_along_axis(hit, in_order(TIES[:, 4:11], True)[1][:, :2], 1, 1)
    np.testing.assert_array_equal(x.grad.numpy(), hit)


def test_a_bounded_program_inside_a_loop_sorts_too():
    @lx.compile
    def run(x):
        for _ in range(3):
            x = x.sort(0)[0].flip(0) * 2
        return x

    values = np.array([3.0, -1.0, 2.0], np.float32)
    np.testing.assert_array_equal(run(lx.tensor(values)).numpy(), np.array([24.0, 16.0, -8.0], np.float32)[[0, 1, 2]])


@pytest.mark.parametrize("rows", [3, 300])
def test_long_rows_are_combined_by_rows_or_blocks(rows):
    values = np.random.default_rng(0).normal(size=(rows, 20_000)).astype(np.float32)
    x = lx.tensor(values)
    text = text_of(x.sum(0))
    assert f"tensor<{rows}x20000xf32>, tensor<f32>) -> tensor<20000xf32>" not in text
    np.testing.assert_allclose(x.sum(0).numpy(), values.sum(0, dtype=np.float64), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(x.amax(0).numpy(), values.max(0))


def test_components_are_reduced_one_by_one():
    rng = np.random.default_rng(0)
    p, w = rng.normal(size=(120, 3)).astype(np.float32), rng.normal(size=(120, 120)).astype(np.float32)
    x, y = lx.tensor(p), lx.tensor(w)

    def forces(x, y):
        d = x[None] - x[:, None]
        return (d * y[:, :, None]).sum(1), (d * d).sum(-1), (d + 1).amax((0, 2)), (d * d).sum()

    assert "tensor<120x120x3xf32>, tensor<f32>)" not in text_of(*forces(x, y))
    d = (p[None].astype(np.float64) - p[:, None]).astype(np.float32)
    expected = (d * w[:, :, None]).sum(1), (d * d).sum(-1), (d + 1).max((0, 2)), (d * d).sum(dtype=np.float64)
    for got, value in zip(forces(x, y), expected):
        np.testing.assert_allclose(got.numpy(), value, rtol=1e-4, atol=1e-4)


def test_powers_of_halves_by_the_root():
    values = np.array([0.0, -0.0, 1.0, 2.0, 1e-20, 1e20, np.inf, -np.inf, np.nan, -1.0, 0.3], np.float32)
    x = lx.tensor(values)
    for k in (-2.5, -1.5, 1.5, 2.5):
        assert "stablehlo.power" not in text_of(x**k) and "stablehlo.power" in text_of(x**k, platform="cuda")
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(
                (x**k).numpy(), np.power(values.astype(np.float64), k).astype(np.float32), rtol=1e-6
            )
    x = lx.tensor([0.0, 4.0], requires_grad=True)
    (x**1.5).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 3], rtol=1e-6)


@pytest.mark.parametrize("right", [False, True])
def test_searchsorted_bisects_long_sequences(right):
    rng = np.random.default_rng(0)
    edges = np.sort(rng.integers(0, 40, 37).astype(np.float32))
    edges[-2:] = np.nan
    values = np.concatenate([np.arange(-2, 43), [0.5, np.nan, np.inf, -np.inf]]).astype(np.float32)
    side = "right" if right else "left"
    expected = np.searchsorted(edges[:-2], values, side)
    expected[np.isnan(values)] = 35  # before the sequence's own
    np.testing.assert_array_equal(lx.searchsorted(lx.tensor(edges), lx.tensor(values), right=right).numpy(), expected)
    rows = np.sort(rng.integers(0, 40, (3, 20)), 1)
    found = lx.searchsorted(lx.tensor(rows), lx.tensor(np.tile(np.arange(41), (3, 1))), right=right).numpy()
    np.testing.assert_array_equal(found, [np.searchsorted(r, np.arange(41), side) for r in rows])


@pytest.mark.parametrize("n", [4096, 4097])
def test_long_running_products_and_extremes(n):
    values = np.random.default_rng(0).normal(1, 0.01, size=(4, n)).astype(np.float32)
    values[1, 7], values[2, 9] = np.nan, -np.inf
    x = lx.tensor(values)
    np.testing.assert_allclose(x.cumprod(1).numpy(), np.cumprod(values.astype(np.float64), 1), rtol=1e-4)
    for got, meant in ((x.cummax(1), np.maximum), (x.cummin(1), np.minimum)):
        running = meant.accumulate(values, 1)
        np.testing.assert_array_equal(got[0].numpy(), running)
        at = got[1].numpy()
        np.testing.assert_array_equal(np.take_along_axis(values, at, 1), running)
        assert (at <= np.arange(n)).all()


SHAPES = [((5000,), 0), ((8192,), 0), ((21, 300), 1), ((300, 21), 0), ((3, 500, 4), 1), ((10, 2, 300), 1)]


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_running_combinations_are_one_loop(shape, dim):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    t = lx.tensor(x, requires_grad=True)
    y = t.cumsum(dim)
    assert "xla_cpu_small_call" in text_of(y) and "reduce_window" not in text_of(y)
    np.testing.assert_allclose(y.detach().numpy(), np.cumsum(x.astype(np.float64), dim), rtol=1e-4, atol=1e-4)
    (y * lx.tensor(x)).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), np.flip(np.cumsum(np.flip(x, dim), dim), dim), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(lx.tensor(x > 0).cumsum(dim).numpy(), np.cumsum(x > 0, dim))
    logs = lx.tensor(x).logcumsumexp(dim).numpy()
    np.testing.assert_allclose(logs, np.logaddexp.accumulate(x.astype(np.float64), dim), rtol=1e-4, atol=1e-4)
    small = lx.tensor(x) * 0.01 + 1
    np.testing.assert_allclose(small.cumprod(dim).numpy(), np.cumprod(small.numpy().astype(np.float64), dim), rtol=1e-3)
    x[(1,) * x.ndim] = np.inf
    found = lx.tensor(x).cumsum(dim).numpy()
    np.testing.assert_array_equal(np.isinf(found), np.isinf(np.cumsum(x, dim)))


@pytest.mark.parametrize(("shape", "dim"), [((7,), 0), ((3, 6), 1), ((5, 2), 0)], ids=str)
def test_running_combinations_by_pairs(shape, dim, monkeypatch):
    """The form for other devices, run on this one."""
    monkeypatch.setattr(
        emit.Builder, "platform", property(lambda b: "another", lambda b, platform: None), raising=False
    )
    lx.lowering.clear_cache()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x[(1,) * x.ndim] = 0
    t = lx.tensor(x, requires_grad=True)
    y = t.cumprod(dim)
    assert "xla_cpu_small_call" not in text_of(y)
    np.testing.assert_allclose(y.detach().numpy(), np.cumprod(x, dim), rtol=1e-5)
    np.testing.assert_allclose(
        t.logcumsumexp(dim).detach().numpy(), np.logaddexp.accumulate(x, dim), rtol=1e-5, atol=1e-6
    )
    extremes = t.cummax(dim)
    np.testing.assert_array_equal(extremes.values.detach().numpy(), np.maximum.accumulate(x, dim))
    found = lx.lazy.ops.recurrence(t, lx.tensor(x) + 1, axis=dim, reverse=True)
    expected = lx.lazy.ops.recurrence.meaning(x, x + 1, axis=dim, reverse=True)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    extremes.values.sum().backward()
    counts = np.zeros_like(x)
    places = list(np.indices(shape))
    places[dim] = extremes.indices.numpy()
    np.add.at(counts, tuple(places), 1)
    np.testing.assert_array_equal(t.grad.numpy(), counts)
    lx.lowering.clear_cache()


@pytest.mark.parametrize("scan", ["cummax", "cummin"])
def test_gradients_of_running_extremes_go_to_their_last_places(scan):
    x = np.random.default_rng(0).integers(0, 9, (9, 500)).astype(np.float32)
    x[2, 7] = np.nan
    g = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    g[3, 5] = np.inf
    t = lx.tensor(x, requires_grad=True)
    y = getattr(t, scan)(1)
    y.values.backward(lx.tensor(g))
    expected = np.zeros_like(x)
    np.add.at(expected, (np.arange(9)[:, None], y.indices.numpy()), g)
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(y.values.detach().numpy(), np.take_along_axis(x, y.indices.numpy(), 1))


def test_running_products_of_zeros_and_again():
    x = lx.tensor([[2.0, 0.0, 3.0, 0.0, 4.0], [1.0, 2.0, -1.0, 0.5, 3.0]], dtype=lx.float64, requires_grad=True)
    x.cumprod(1).sum().backward()
    assert x.grad.tolist() == [[1.0, 8.0, 0.0, 0.0, 0.0], [-3.0, -2.0, 6.0, -8.0, -1.0]]
    for f in (lambda v: v.cumprod(1), lambda v: v.logcumsumexp(1), lambda v: v.cummax(1).values):
        assert lx.autograd.gradcheck(f, x) and lx.autograd.gradgradcheck(f, x)


def of_remainders(dtype: type, near: bool) -> tuple[np.ndarray, np.ndarray]:
    """Operands whose results are no denormal numbers: of all sizes or of near ones, multiples and their neighbours."""
    rng, info = np.random.default_rng(5), np.finfo(dtype)
    low, high = (-3, 6) if near else (info.minexp // 2, info.maxexp)

    def numbers(n: int) -> np.ndarray:
        sizes = np.ldexp(1 + rng.random(n), rng.integers(low, high, n))
        return (sizes * rng.choice([-1, 1], n)).astype(dtype)

    x, y = numbers(2000), numbers(2000)
    k = rng.integers(1, 1000, 500).astype(dtype)
    some = y[:500] if near else (rng.random(500) + 1).astype(dtype)
    multiples = (k * some).astype(dtype)
    special = np.array([0.0, -0.0, 1, -2.5, 3, np.inf, -np.inf, np.nan], dtype)
    a, b = (v.ravel() for v in np.meshgrid(special, special))
    below = np.nextafter(multiples, dtype(0))
    # the largest and the smallest number of a size, which leave no digit to spare
    ends = np.repeat(np.nextafter(np.array([2, 1], dtype), dtype(0.9)), 100), np.repeat(np.array([1.0], dtype), 100)
    x = np.concatenate([x, multiples, below, a, x[:200], x[:100]])
    y = np.concatenate([y, some, some, b, ends[0], np.nextafter(ends[1], dtype(2))])
    with np.errstate(all="ignore"):
        left = np.abs(np.fmod(x, y))
    kept = ~((left > 0) & (left < info.smallest_normal))
    return x[kept], y[kept]


@pytest.mark.parametrize("near", [True, False], ids=["near", "far"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16], ids=str)
def test_remainders_by_long_division_are_exact(dtype, near):
    x, y = of_remainders(dtype, near)
    with np.errstate(all="ignore"):
        expected = np.fmod(x, y)
    found = lx.fmod(lx.tensor(x), lx.tensor(y))
    assert re.search(r"stablehlo\.floor", text_of(found))
    assert_same(found, expected)


def test_remainders_of_bfloat16_and_by_numbers():
    x = lx.tensor(np.random.default_rng(0).normal(size=2000).astype(np.float32) * 100)
    exact = np.fmod(x.bfloat16().double().numpy(), 0.75)
    assert_same(lx.fmod(x.bfloat16(), 0.75).double(), exact)
    assert_same(lx.fmod(x, -0.7), np.fmod(x.numpy(), np.float32(-0.7)))
    assert_same(x % -2.5, np.mod(x.numpy(), np.float32(-2.5)))
    assert_same(x // 0.1, np.floor_divide(x.numpy(), np.float32(0.1)))


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8], ids=str)
def test_the_greatest_common_divisor_by_floats_is_exact(dtype, long):
    rng, most = np.random.default_rng(0), np.iinfo(dtype).max if long else min(1000, np.iinfo(dtype).max)
    x, y = (rng.integers(-most if dtype is not np.uint8 else 0, most, 3000, dtype) for _ in (0, 1))
    y[:2000] >>= rng.integers(0, np.iinfo(dtype).bits - 2, 2000).astype(dtype)
    pell, fibonacci = [0, 1], [0, 1]  # which take the most steps
    while fibonacci[-1] + fibonacci[-2] <= most:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    while 2 * pell[-1] + pell[-2] <= most:
        pell.append(2 * pell[-1] + pell[-2])
    a, b = (
        np.array([*pell, *fibonacci], dtype)[i] for i in np.indices((len(pell) + len(fibonacci),) * 2).reshape(2, -1)
    )
    x, y = np.concatenate([x, a]), np.concatenate([y, b])
    found = lx.gcd(lx.tensor(x), lx.tensor(y))
    assert "stablehlo.round_nearest_even" in text_of(found)
    np.testing.assert_array_equal(found.numpy(), np.gcd(x, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.uint32], ids=str)
def test_of_a_sort_of_which_one_element_is_read_only_this_is_found(dtype, monkeypatch):
    monkeypatch.setattr("lazyxla.lowering.forms.sorting.LARGE", 1)
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(3, 90)) * 2).round(1)
    values[:, ::7] = -0.0
    values[1, 5] = np.inf
    if dtype().dtype.kind != "f":
        values = np.nan_to_num(np.abs(values) if dtype is np.uint32 else values, posinf=9)
    values = values.astype(dtype)
    _, places = in_order(values, False)
    for k in (17, 44, 60):
        at = places[:, k : k + 1]
        for x, dim in ((lx.tensor(values), 1), (lx.tensor(values.T.copy()), 0)):
            found = x.kthvalue(k + 1, dim)
            assert "stablehlo.sort" not in text_of(*found)
            assert_same(found[0], np.take_along_axis(values, at, 1)[:, 0])
            assert_same(found[1], at[:, 0])
    row = lx.tensor(values[0])
    assert_same(row.median(), np.sort(values[0])[44])
    assert_same(row.sort(descending=True)[0][40:41], np.sort(values[0])[::-1][40:41])


def test_gradients_go_through_the_one_element(monkeypatch):
    monkeypatch.setattr("lazyxla.lowering.forms.sorting.LARGE", 1)
    x = lx.tensor(np.random.default_rng(1).permutation(80).astype(np.float32), requires_grad=True)
    (g,) = lx.autograd.grad(x.median() * 3, x)
    np.testing.assert_array_equal(g.numpy(), 3.0 * (x.detach().numpy() == 39))


@pytest.mark.parametrize("dtype", [np.float32, np.float16], ids=str)
def test_the_middle_of_what_is_not_nan_is_found_without_sorting(dtype, monkeypatch):
    monkeypatch.setattr("lazyxla.lowering.forms.sorting.LARGE", 1)
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(6, 90)) * 2).round(1).astype(dtype)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[1] = np.nan
    values[2, :60], values[3, 20:80], values[4, 1:] = -np.inf, np.inf, np.nan
    x = lx.tensor(values, requires_grad=True)
    found, places = x.nanmedian(1)
    assert "stablehlo.sort" not in text_of(found)
    kept = [np.sort(r[~np.isnan(r)]) for r in values]
    expected = [r[(len(r) - 1) // 2] if len(r) else np.nan for r in kept]
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    at = places.numpy()
    np.testing.assert_array_equal(values[np.arange(6), at], expected)
    assert at[1] == 0
    found.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.arange(90) == at[:, None])


def test_windows_and_scatters_of_constants_are_left_to_the_program():
    """A gradient begins with ones, and XLA's evaluator took seconds for what was made of them alone."""
    x = lx.tensor(np.arange(81, dtype=np.float32).reshape(1, 1, 9, 9), requires_grad=True)
    (g,) = lx.autograd.grad(lx.nn.functional.avg_pool2d(x, 3, 2, 1).sum(), x)
    assert re.search(r"barrier.*\n(.*constant.*\n)*.*reduce_window", text_of(g))
    count = np.array([[1 + (i % 2) * (i < 9) for i in range(9)]])
    np.testing.assert_allclose(g.numpy()[0, 0], count.T * count / 9, rtol=1e-6)
    (g,) = lx.autograd.grad(x.unfold(3, 4, 2).sum(), x)
    assert "barrier" in text_of(g).split("scatter")[0]
    assert g.numpy()[0, 0, 0].tolist() == [1, 1, 2, 2, 2, 2, 1, 1, 0]
    assert "barrier" not in text_of(lx.autograd.grad((x.unfold(3, 4, 2) ** 2).sum(), x)[0])


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_circular_functions_of_many_numbers(name):
    """By series near 0, by the C library where one is far: right to the last place or two in either case."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=40000) * 3, rng.uniform(-1e6, 1e6, 30000)]).astype(np.float32)
    quarters = (np.arange(-200, 200) * np.pi / 2).astype(np.float32)
    x[:400], x[400:408] = quarters, [0.0, -0.0, np.nan, 1e-30, -1e-30, 2.0**20, -(2.0**20), 1e-4]
    for special in ([], [np.inf, -np.inf, 1e30, 2.0**21]):
        x[500 : 500 + len(special)] = special
        with np.errstate(invalid="ignore"):
            expected = getattr(np, name)(x.astype(np.float64))
        y = getattr(lx, name)(lx.tensor(x))
        found = y.numpy()
        units = np.abs(found - expected) / np.spacing(np.abs(expected).astype(np.float32))
        assert np.nanmax(units) < (2 if special else 0.51)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert np.signbit(found[401]) == (name != "cos")
    called = f"stablehlo.{ {'sin': 'sine', 'cos': 'cosine', 'tan': 'tan'}[name] }"
    assert "while" in text_of(getattr(lx, name)(lx.tensor(x)))
    assert "while" not in text_of(getattr(lx, name)(lx.tensor(x[:99])))
    text = text_of(getattr(lx, name)(lx.tensor(x)), platform="cuda")
    assert called in text and "while" not in text


def test_angles_of_many_numbers():
    """All pairs of hard numbers, and others; right to the last place."""
    rng = np.random.default_rng(0)
    hard = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 1e30, 0.41421357, -0.5], np.float32)
    y = np.concatenate([np.repeat(hard, 11), rng.normal(size=2000).astype(np.float32)])
    x = np.concatenate([np.tile(hard, 11), rng.normal(size=2000).astype(np.float32)])
    inside = np.clip(x, -1.5, 1.5)
    with np.errstate(invalid="ignore"):
        pairs = [
            (lx.atan2(lx.tensor(y), lx.tensor(x)), np.arctan2(y.astype(np.float64), x)),
            (lx.atan(lx.tensor(y)), np.arctan(y.astype(np.float64))),
            (lx.asin(lx.tensor(inside)), np.arcsin(inside.astype(np.float64))),
            (lx.acos(lx.tensor(inside)), np.arccos(inside.astype(np.float64))),
        ]
    assert not re.search(r"stablehlo\.atan2|chlo\.a(sin|cos|tan)\b", text_of(*[got for got, _ in pairs]))
    for got, expected in pairs:
        found, real = got.numpy(), ~np.isnan(expected)
        np.testing.assert_array_equal(~np.isnan(found), real)
        np.testing.assert_array_equal(np.signbit(found[real]), np.signbit(expected[real]))
        with np.errstate(invalid="ignore"):
            units = np.abs(found - expected) / np.spacing(np.maximum(np.abs(expected), 1e-30).astype(np.float32))
        assert np.nanmax(units) < 0.52


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_sums_into_constant_places_are_gathers(dim):
    """The backward of an index of constants: places that are named twice, never, and from the end."""
    values = np.arange(11 * 12 * 13, dtype=np.float64).reshape(11, 12, 13)
    places = np.array([[0, 3, -1, 3], [5, 5, 5, 2]])
    index = (slice(None),) * dim + (places,)
    x = lx.tensor(values, requires_grad=True)
    weights = np.sin(np.arange(values[index].size)).reshape(values[index].shape)
    constant = conversion.constant(places, lx.int64, x.device)
    y = x[(slice(None),) * dim + (constant,)]
    (g,) = lx.autograd.grad(y, x, lx.tensor(weights))
    assert "stablehlo.scatter" not in text_of(g)
    expected = np.zeros_like(values)
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-14)


def test_bags_of_embeddings_are_sums_of_lookups():
    table = np.random.default_rng(0).standard_normal((20, 32)).astype(np.float32)
    table[3, 5], table[4, 6] = np.nan, np.inf
    places = np.random.default_rng(1).integers(0, 20, (40, 5))
    w, index = lx.tensor(table, requires_grad=True), lx.tensor(places)
    y = lx.nn.functional.embedding_bag(index, w, mode="sum")
    assert text_of(y.detach()).count('"stablehlo.gather"(') >= 5
    (g,) = lx.autograd.grad(y, w, lx.ones_like(y))
    np.testing.assert_allclose(y.detach().numpy(), table[places].sum(1), rtol=1e-5, atol=1e-5)
    expected = np.repeat(np.bincount(places.ravel(), minlength=20)[:, None], 32, 1)
    np.testing.assert_array_equal(g.numpy(), expected)
    best = lx.tensor(table)[index].amax(1)
    np.testing.assert_array_equal(best.numpy(), table[places].max(1))
    turned = lx.tensor(table.T.copy())[:, index].sum(2)  # what is looked up has no dim of its own at the end
    np.testing.assert_allclose(turned.numpy(), table[places].sum(1).T, rtol=1e-5, atol=1e-5)
