"""Histograms, mantissas and exponents, neighbours of numbers, and random counts, against NumPy and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

import lazyxla as lx
from tests import tolerances

RANDOM = np.random.RandomState(0)
X = np.array([0.0, 1.0, 2.5, 2.5, 3.0, 3.999, 4.0, -1.0, 9.0, math.nan, 0.1])
POINTS = RANDOM.rand(200, 3) * 2 - 1
W = RANDOM.rand(200)


def counted(x, bins, limits):
    return np.histogram(x[np.isfinite(x)], bins, limits)[0].astype(x.dtype)


def test_histc_counts_what_lies_inside():
    x = lx.tensor(X)
    got = {
        "four": lx.histc(x, 4, 0, 4), "method": x.histc(bins=8, min=-1, max=9), "outside": lx.histc(x, 3, 100, 200),
        "of the data": lx.tensor(POINTS).histc(7), "one number": lx.full((5,), 3.0, dtype=lx.float64).histc(4),
        "none": lx.zeros(0, dtype=lx.float64).histc(4),
    }  # fmt: skip
    expected = {
        "four": counted(X, 4, (0, 4)), "method": counted(X, 8, (-1, 9)), "outside": np.zeros(3),
        "of the data": counted(POINTS, 7, (POINTS.min(), POINTS.max())), "one number": [0.0, 0, 5, 0], "none": np.zeros(4),
    }  # fmt: skip
    tolerances.compare({n: (got[n], np.asarray(v, np.float64)) for n, v in expected.items()}, kinds=True)


def test_histograms_are_numpys():
    x, w = lx.tensor(POINTS[:, 0].copy()), lx.tensor(W)
    edges = np.array([-0.9, -0.2, 0.0, 0.7])
    rows = {
        "bins": (lx.histogram(x, 10), np.histogram(POINTS[:, 0], 10)),
        "range": (x.histogram(4, range=(0.0, 0.5)), np.histogram(POINTS[:, 0], 4, (0.0, 0.5))),
        "edges": (lx.histogram(x, lx.tensor(edges)), np.histogram(POINTS[:, 0], edges)),
        "weights": (lx.histogram(x, 6, weight=w), np.histogram(POINTS[:, 0], 6, weights=W)),
        "density": (lx.histogram(x, 6, weight=w, density=True), np.histogram(POINTS[:, 0], 6, weights=W, density=True)),
    }
    for name, (got, want) in rows.items():
        tolerances.compare({name: (tuple(got), want)}, 10)


@pytest.mark.parametrize("density", [False, True])
def test_histograms_of_several_dims(density):
    hist, edges = lx.histogramdd(lx.tensor(POINTS), [3, 4, 5], weight=lx.tensor(W), density=density)
    want, lines = np.histogramdd(POINTS, [3, 4, 5], weights=W, density=density)
    tolerances.compare({"hist": (hist, want), **{f"edges {i}": (edges[i], lines[i]) for i in range(3)}}, 10)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: lx.histc(lx.ones(3), 0), RuntimeError, "bins must be > 0, but got 0"),
        (lambda: lx.histc(lx.ones(3), 3, 2, 1), RuntimeError, "max must be larger than min"),
        (lambda: lx.histc(lx.ones(3), 3, 0, math.inf), RuntimeError, "is not finite"),
        (lambda: lx.histc(lx.tensor([1, 2])), RuntimeError, "not implemented for 'int64'"),
        (lambda: lx.histogram(lx.ones(3), 3, weight=lx.ones(2)), RuntimeError, "same shape as the input"),
        (lambda: lx.histogramdd(lx.ones(3), 3), RuntimeError, "at least 2 dimensions"),
        (lambda: lx.histogramdd(lx.ones(3, 2), [3]), RuntimeError, "equal to the innermost dimension"),
        (lambda: lx.histogramdd(lx.ones(3, 2), 3, range=(0.0, 1.0)), RuntimeError, "range should have 4 elements"),
        (lambda: lx.frexp(lx.tensor([1])), RuntimeError, "only floating-point dtypes are supported, not int64"),
        (lambda: lx.nextafter(lx.tensor([1]), lx.tensor([2])), RuntimeError, "only floating-point dtypes"),
        (lambda: lx.poisson(lx.tensor([1])), RuntimeError, "not implemented for 'int64'"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


HARD = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.75, 1e-3, 1e30, -1e30, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_frexp(dtype):
    info = np.finfo(dtype)
    x = np.array([v for v in HARD if not np.isfinite(v) or abs(v) < float(info.max)] + [info.max, info.tiny], dtype)
    mantissa, exponent = lx.frexp(lx.tensor(x))
    want_m, want_e = np.frexp(x)
    want_e = np.where(np.isfinite(x), want_e, 0)
    assert exponent.dtype is lx.int32 and mantissa.dtype is lx.tensor(x).dtype
    tolerances.compare({"mantissa": (mantissa, want_m), "exponent": (exponent, want_e)})


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nextafter(dtype):
    x, y = (v.reshape(-1).astype(dtype) for v in np.meshgrid(*[[v for v in HARD if not 1e5 < abs(v) < 1e99]] * 2))
    got = lx.nextafter(lx.tensor(x), lx.tensor(y)).numpy()
    want = np.nextafter(x, y)
    bits = f"i{np.dtype(dtype).itemsize}"
    same = (got.view(bits) == want.view(bits)) | (np.isnan(got) & np.isnan(want))
    same |= (x == 0) & (y == 0) & (got.view(bits) == y.view(bits))  # y, as in C; NumPy's float16 gives x
    assert same.all(), (x[~same], y[~same], got[~same], want[~same])


def test_gradients_of_frexp_and_nextafter():
    x = lx.tensor([3.0, -0.7], dtype=lx.float64, requires_grad=True)
    lx.frexp(x).mantissa.sum().backward()
    assert x.grad.tolist() == [0.25, 1.0]
    y = lx.ones(2, dtype=lx.float64, requires_grad=True)
    a, b = lx.autograd.grad(lx.nextafter(x, y).sum(), (x, y), allow_unused=True, materialize_grads=True)
    assert a.tolist() == [1.0, 1.0] and b.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rate", [0.0, 0.3, 4.0, 9.9, 10.1, 35.0, 2000.0])
def test_poisson_numbers_are_distributed_as_they_should(rate):
    lx.manual_seed(3)
    drawn = lx.poisson(lx.full((20000,), rate)).numpy()
    assert (drawn >= 0).all() and (drawn == np.round(drawn)).all()
    cuts = scipy.stats.poisson.ppf([0.1, 0.25, 0.5, 0.75, 0.9], rate)
    shares = np.array([np.mean(drawn <= c) for c in cuts])
    wanted = scipy.stats.poisson.cdf(cuts, rate)
    np.testing.assert_allclose(shares, wanted, atol=4 * math.sqrt(0.25 / drawn.size))
    assert abs(drawn.mean() - rate) <= 5 * math.sqrt(rate / drawn.size)
    assert abs(drawn.var() - rate) <= 6 * rate * math.sqrt(3 / drawn.size)


def test_poisson_takes_a_generator_and_refuses_negative_rates():
    rates = lx.tensor([[1.0, 50.0], [-1.0, math.nan]])
    first, second = (lx.poisson(rates, lx.Generator().manual_seed(5)).numpy() for _ in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.isnan(first[1]).all() and not np.isnan(first[0]).any()


def test_poisson_numbers_of_a_batch_and_inside_a_loop():
    rates = lx.tensor([[0.5, 3.0, 12.0, 90.0]]).expand(500, 4)
    drawn = lx.func.vmap(lx.poisson, randomness="different")(rates).numpy()
    np.testing.assert_allclose(drawn.mean(0), rates[0].numpy(), atol=5 * math.sqrt(90 / 500))
    sums = lx.scan(lambda c, r: (c + lx.poisson(r), lx.poisson(r)), lx.zeros(4), rates)[1].numpy()
    np.testing.assert_allclose(sums.mean(0), rates[0].numpy(), atol=5 * math.sqrt(90 / 500))
    assert len(np.unique(sums[:, 3])) > 20


@pytest.mark.parametrize("name, initial, values, grads", [
    ("sum", None, [4.0, 0.0, 9.0], [1.0, 1.0, 2.0, 2.0, 2.0]),
    ("mean", None, [2.0, math.nan, 3.0], [0.5, 0.5, 2 / 3, 2 / 3, 2 / 3]),
    ("mean", 6.0, [5.0, 6.0, 5.0], [0.5, 0.5, 2 / 3, 2 / 3, 2 / 3]),
    ("max", None, [3.0, -math.inf, 4.0], [0.0, 1.0, 1.0, 1.0, 0.0]),
    ("max", 4.0, [4.0, 4.0, 4.0], [0.0, 0.0, 1.0, 1.0, 0.0]),
    ("min", None, [1.0, math.inf, 1.0], [1.0, 0.0, 0.0, 0.0, 2.0]),
    ("prod", 2.0, [6.0, 2.0, 32.0], [6.0, 2.0, 16.0, 16.0, 64.0]),
])  # fmt: skip
def test_segments_are_reduced(name, initial, values, grads):
    x = lx.tensor([1.0, 3.0, 4.0, 4.0, 1.0], requires_grad=True)  # two of them tie
    y = lx.segment_reduce(x, name, lengths=lx.tensor([2, 0, 3]), initial=initial)
    (g,) = lx.autograd.grad(y, x, lx.tensor([1.0, 1.0, 2.0]))
    np.testing.assert_allclose(y.tolist(), values, rtol=1e-6)
    np.testing.assert_allclose(g.tolist(), grads, rtol=1e-6)
    x = np.random.default_rng(0).normal(size=(2, 4, 3))
    at = np.array([[1, 1, 3], [0, 2, 4]])
    y = lx.segment_reduce(lx.tensor(x), name, offsets=lx.tensor(at), axis=1, initial=initial)
    rows = [[x[b, at[b, k] : at[b, k + 1]] for k in range(2)] for b in range(2)]
    assert y.shape == (2, 2, 3)
    np.testing.assert_allclose(y[0, 1].tolist(), _reduced(rows[0][1], name, initial), rtol=1e-6)
    np.testing.assert_allclose(y[1, 0].tolist(), _reduced(rows[1][0], name, initial), rtol=1e-6)


def _reduced(rows, name, initial):
    start = {"sum": 0.0, "mean": 0.0, "max": -math.inf, "min": math.inf, "prod": 1.0}[name] if initial is None else initial
    if name == "mean":
        return (rows.sum(0) + start) / len(rows)
    return getattr(rows, name)(0, initial=start)


@pytest.mark.parametrize("lengths", [lambda: lx.tensor([2, 4]), lambda: lx.tensor([6, -1]), lambda: lx.tensor([1, 2]) + 1])
def test_segments_that_do_not_fit_raise(lengths):
    data = lx.arange(5.0)
    with pytest.raises(RuntimeError, match="lengths along axis"):
        lx.segment_reduce(data, "sum", lengths=lengths() if lengths().sum() != 5 else lengths() + 1).tolist()
    assert lx.segment_reduce(data, "sum", lengths=lx.tensor([1, 2]), unsafe=True).tolist() == [0.0, 3.0]


@pytest.mark.parametrize("kind, words, arguments", [
    (RuntimeError, "Either lengths or offsets", {}), (RuntimeError, "not supported yet", {"indices": lx.tensor([0])}),
    (RuntimeError, "reduce argument must be", {"reduce": "median", "lengths": lx.tensor([5])}),
    (RuntimeError, "Expected axis to be the last", {"lengths": lx.tensor([[5]])}),
    (RuntimeError, "are to be those of data", {"data": lx.ones(2, 3), "lengths": lx.tensor([[3]]), "axis": 1}),
    (NotImplementedError, "int64 segments", {"lengths": lx.tensor([5.0])}),
])  # fmt: skip
def test_segments_refuse(kind, words, arguments):
    with pytest.raises(kind, match=words):
        lx.segment_reduce(**{"data": lx.arange(5.0), "reduce": "sum", **arguments})
