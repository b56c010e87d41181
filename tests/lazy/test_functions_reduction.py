"""Sums, extremes, norms, scans, sorting and what is found by it, and softmax, against NumPy and SciPy."""

import functools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import lazyxla as lx
from tests import tolerances

RNG = np.random.default_rng(7)
A = RNG.standard_normal((3, 4, 2))
HOLES = np.where(A > 0.8, np.nan, A)
N = np.array([[3, 1, 2, 3, 1], [0, 0, 5, 2, 2]])


compare = functools.partial(tolerances.compare, factor=10.0, kinds=True)


@pytest.mark.parametrize("keep", [False, True])
def test_along_dims(keep):
    x, h = lx.tensor(A), lx.tensor(HOLES)
    k, d = {"keepdims": keep}, (0, 2)
    compare({
        "sum": (x.sum(d, keep), A.sum(d, **k)), "all": (x.sum(), A.sum()), "mean": (x.mean(-1, keep), A.mean(-1, **k)),
        "numpy's names": (lx.sum(x, axis=1, keepdims=keep), A.sum(1, **k)),
        "prod": (x.prod(1, keep), A.prod(1, **k)), "var": (x.var(d, keepdim=keep), A.var(d, ddof=1, **k)),
        "std": (x.std(1, correction=0, keepdim=keep), A.std(1, **k)), "amax": (x.amax(d, keep), A.max(d, **k)),
        "amin": (x.amin(d, keep), A.min(d, **k)), "argmax": (x.argmax(1, keep), A.argmax(1, **k)),
        "argmin": (x.argmin(1, keep), A.argmin(1, **k)), "max": (x.max(1, keep), (A.max(1, **k), A.argmax(1, **k))),
        "nansum": (h.nansum(1, keep), np.nansum(HOLES, 1, **k)),
        "nanmean": (h.nanmean(d, keep), np.nanmean(HOLES, d, **k)),
        "any": ((x > 1).any(1, keep), (A > 1).any(1, **k)), "all hold": ((x > -2).all(1, keep), (A > -2).all(1, **k)),
        "logsumexp": (x.logsumexp(d, keep), scipy.special.logsumexp(A, d, **k)),
        "norm": (x.norm(2, d, keep), np.sqrt((A**2).sum(d, **k))),
        "norm 3": (x.norm(3, 1, keep), (np.abs(A) ** 3).sum(1, **k) ** (1 / 3)),
        "norm inf": (x.norm(math.inf, 1, keep), np.abs(A).max(1, **k)),
        "median": (x.median(0, keep), (np.median(A, 0, **k), np.take(np.argsort(A, 0), [1] if keep else 1, 0))),
        "quantile": (lx.quantile(x, 0.3, 1, keep), np.quantile(A, 0.3, 1, **k)),
        "several": (x.quantile(lx.tensor([0.2, 1.0], dtype=lx.float64), 1, keep), np.quantile(A, [0.2, 1.0], 1, **k)),
        "nanquantile": (h.nanquantile(0.6, 1, keep), np.nanquantile(HOLES, 0.6, 1, **k)),
    })  # fmt: skip


def test_integers_and_bools():
    x = lx.tensor(N, dtype=lx.int32)
    compare({
        "sum": (x.sum(), N.sum()), "bools": ((x > 1).sum(1), (N > 1).sum(1)),
        "count": (x.count_nonzero(1), np.count_nonzero(N, 1)),
        "prod": (x.prod(0), N.prod(0)), "bytes": (lx.all(lx.tensor([1, 0], dtype=lx.uint8)), np.uint8(0)),
        "aminmax": (lx.aminmax(x, dim=1), (N.min(1), N.max(1))),
        "mode": (x.mode(1), (np.array([1, 0]), np.array([4, 1]))), "median": (x.median(), np.int32(2)),
        "max": (lx.max(x, x * 0 + 2), np.maximum(N, 2)),
    })  # fmt: skip
    assert x.sum().dtype is lx.int64 and x.amax().dtype is lx.int32 and x.sum(dtype=lx.float32).dtype is lx.float32


def test_hard_numbers():
    x = np.array([[np.nan, 1.0, -np.inf], [-np.inf, -np.inf, -np.inf], [np.inf, 2.0, 1.0], [-1.0, -2.0, -3.0]])
    t, empty = lx.tensor(x), lx.ones(0, 3)
    with np.errstate(all="ignore"):
        compare({
            "max": (t.max(1), (x.max(1), x.argmax(1))), "min": (t.min(1), (x.min(1), x.argmin(1))),
            "sorted": (t.sort(1)[0], np.sort(x, 1)),
            "logsumexp": (t.logsumexp(1), scipy.special.logsumexp(x, 1)),
            "median": (t.median(1)[0], [np.nan, -np.inf, 2, -2]),
            "nanmedian": (t.nanmedian(1)[0], [-np.inf, -np.inf, 2, -2]),
            "cummax": (t.cummax(1)[0], np.maximum.accumulate(x, 1)),
            "logcumsumexp": (t.logcumsumexp(1), np.logaddexp.accumulate(x, 1)),
            "sum of none": (empty.sum(0), np.zeros(3)),
            "prod of none": (empty.prod(0), np.ones(3)), "mean of none": (empty.mean(0), np.full(3, np.nan)),
            "any of none": (empty.any(0), np.zeros(3, bool)),
            "var of one": (lx.ones(1).var(), np.nan),
        })  # fmt: skip


def test_softmax():
    x = np.array([[1.0, 2.0, 1000.0], [-np.inf, 0.0, 0.0]])
    t = lx.tensor(x)
    compare({
        "softmax": (t.softmax(1), scipy.special.softmax(x, 1)),
        "log": (t.log_softmax(1), scipy.special.log_softmax(x, 1)),
        "0-d": (lx.tensor(3.0).softmax(0), np.float32(1)),
        "half": (lx.tensor([1.0, 2.0]).half().softmax(0, dtype=lx.float32), scipy.special.softmax(np.float32([1, 2]))),
    })  # fmt: skip


def test_scans_and_neighbours():
    x, n = lx.tensor(A), lx.tensor(N)
    last = [[0, 0, 0, 3, 3], [0, 1, 2, 2, 2]]
    compare({
        "cumsum": (x.cumsum(1), A.cumsum(1)), "cumprod": (x.cumprod(1), A.cumprod(1)),
        "ints": (n.cumprod(1), N.cumprod(1)),
        "logcumsumexp": (x.logcumsumexp(1), np.logaddexp.accumulate(A, 1)),
        "cummax": (n.cummax(1), (np.maximum.accumulate(N, 1), np.array(last))),
        "cummin": (n.cummin(1), (np.minimum.accumulate(N, 1), np.array([[0, 1, 1, 1, 4], [0, 1, 1, 1, 1]]))),
        "diff": (x.diff(2, 1), np.diff(A, 2, 1)),
        "prepend": (lx.diff(n, prepend=n[:, :1]), np.diff(N, prepend=N[:, :1])),
        "trapezoid": (lx.trapezoid(x, dx=0.5, dim=1), scipy.integrate.trapezoid(A, dx=0.5, axis=1)),
        "at": (lx.trapz(x, lx.tensor([0.0, 1.0, 4.0, 5.0], dtype=lx.float64), dim=1),
            scipy.integrate.trapezoid(A, [0, 1, 4, 5], axis=1)),
        "cumulative": (lx.cumulative_trapezoid(x, dim=1), scipy.integrate.cumulative_trapezoid(A, axis=1)),
    })  # fmt: skip


def test_sorting_and_finding():
    x, n, edges = lx.tensor(A), lx.tensor(N), np.array([1.0, 2.0, 2.0, 5.0])
    values = np.array([[0.0, 1.0, 2.0], [5.0, 6.0, np.nan]])
    e, v = lx.tensor(edges), lx.tensor(values)
    rows = np.sort(N.astype(float), 1)
    ranks = {side: np.searchsorted(edges, values, side) for side in ("left", "right")}
    compare({
        "sort": (x.sort(1), (np.sort(A, 1), np.argsort(A, 1))),
        "stable": (n.argsort(1), np.argsort(N, 1, kind="stable")),
        "descending": (n.argsort(1, descending=True), np.argsort(-N, 1, kind="stable")),
        "topk": (x.topk(2, 1), (-np.sort(-A, 1)[:, :2], np.argsort(-A, 1)[:, :2])),
        "smallest": (x.topk(2, 1, largest=False)[0], np.sort(A, 1)[:, :2]),
        "kthvalue": (x.kthvalue(3, 1)[0], np.sort(A, 1)[:, 2]),
        "msort": (lx.msort(n), np.sort(N, 0)), "left": (lx.searchsorted(e, v), ranks["left"]),
        "right": (lx.searchsorted(e, v, right=True), ranks["right"]),
        "rows": (lx.searchsorted(lx.tensor(rows), v[:, :2]),
            np.array([np.searchsorted(r, w) for r, w in zip(rows, values[:, :2])])),
        "bucketize": (lx.bucketize(v, e, out_int32=True), ranks["left"]),
        "bincount": (lx.bincount(n[0], minlength=6), np.bincount(N[0], minlength=6)),
        "weights": (lx.bincount(n[0], x[0].reshape(-1)[:5]), np.bincount(N[0], A[0].ravel()[:5])),
        "unique": (n.unique(return_inverse=True, return_counts=True),
            np.unique(N, return_inverse=True, return_counts=True)),
        "columns": (lx.unique(n[:, [0, 1, 0]], dim=1), np.unique(N[:, [0, 1, 0]], axis=1)),
        "runs": (n[1].unique_consecutive(return_counts=True), ([0, 5, 2], [2, 1, 2])),
    })  # fmt: skip
    assert lx.bucketize(v, e, out_int32=True).dtype is lx.int32
    assert lx.allclose(x, x + 1e-9) and not lx.equal(x, x + 1) and not lx.equal(x, x[0])


def test_gradients():
    x = lx.tensor(RNG.permutation(12).reshape(3, 4) / 5 - 1.1, requires_grad=True)
    with_zero = lx.tensor([[0.0, 2.0, -1.5]], dtype=lx.float64, requires_grad=True)
    assert lx.autograd.gradcheck(
        lambda x, z: (
            x.mean(1), x.prod(0), z.prod(1), x.var(1), x.std(), x.amax(0), x.max(1)[0], x.min(0)[0], x.softmax(1),
            x.log_softmax(0), x.logsumexp(1),
            x.norm(), x.norm(3, 1), x.norm(math.inf, 1), x.cumsum(1), x.cumprod(1), z.cumprod(1), x.logcumsumexp(1),
            x.cummax(1)[0], x.sort(1)[0],
            x.topk(2, 1)[0], x.median(1)[0], x.quantile(0.4, 1), x.nansum(0), x.nanmean(1), x.diff(1),
            lx.trapezoid(x, dx=2.0),
        ),
        (x, with_zero),
    )  # fmt: skip
    zero = lx.zeros(3, requires_grad=True)
    (zero.norm() + zero.norm(0)).backward()
    np.testing.assert_array_equal(zero.grad.numpy(), np.zeros(3))


def test_values_are_read_only_where_the_size_depends_on_them(metrics):
    x, n = lx.tensor(A), lx.tensor(N)
    lx.searchsorted(x.reshape(-1).sort()[0], x), x.quantile(0.5), x.median(), n.mode(), x.cummax(0), lx.isin(n, 3)
    lx.gcd(n, 6 + n)
    assert metrics.report(as_dict=True)["syncs"] == 0
    for f in (lx.unique, lx.nonzero, lx.unique_consecutive, lambda t: t[t > 2], lambda t: lx.bincount(t[0])):
        before = metrics.report(as_dict=True)["syncs"]
        f(n * 1)
        assert metrics.report(as_dict=True)["syncs"] == before + 1


def test_imaginary_numbers_are_true():
    a = np.array([[0j, 1j], [2 + 0j, 0j]])
    t = lx.tensor(a)
    assert t.bool().tolist() == a.astype(bool).tolist()
    assert t.any(0).tolist() == a.any(0).tolist()
    assert t.all(1).tolist() == a.all(1).tolist()
    assert t.logical_not().tolist() == np.logical_not(a).tolist()
    assert t.count_nonzero().item() == np.count_nonzero(a)


def test_running_complex_logs_are_on_the_branch_of_the_larger_term():
    x = np.random.RandomState(1).randn(3, 9) + 1j * np.random.RandomState(2).randn(3, 9) * 30
    x[1, 3], x[2, 0] = -np.inf + 20j, -np.inf
    expected = np.empty_like(x)
    for row, out in zip(x, expected):  # one after the other: log(1 + exp(smaller - larger)) + larger
        sum_ = complex(-np.inf, 0)
        for i, term in enumerate(row):
            small, large = (term, sum_) if term.real < sum_.real else (sum_, term)
            out[i] = sum_ = small if large.real == -np.inf else np.log1p(np.exp(small - large)) + large
    tolerances.assert_close(lx.tensor(x).logcumsumexp(1), expected, factor=10)
    tolerances.assert_close(lx.tensor(x[:2].T.copy()).logcumsumexp(0), expected[:2].T, factor=10)


@pytest.mark.parametrize("scan", [lx.cummax, lx.cummin, lx.logcumsumexp])
def test_a_scan_along_one_element_is_no_alias(scan):
    t = lx.tensor([[1.0], [2.0]])
    y = scan(t, 1)
    y = y if isinstance(y, lx.Tensor) else y.values
    assert y.tolist() == [[1.0], [2.0]]
    y.add_(5)
    assert t.tolist() == [[1.0], [2.0]]
