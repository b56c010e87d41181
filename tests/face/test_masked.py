"""Masked reductions against NumPy on the elements that the mask keeps."""

import math

import numpy as np
import pytest
import scipy.special

import lazyxla as lx
from lazyxla import masked
from tests import tolerances

RANDOM = np.random.RandomState(1)
X = RANDOM.randn(4, 5)
M = RANDOM.rand(4, 5) > 0.4
M[2] = True
M[:, :2] = True
x, m = lx.tensor(X), lx.tensor(M)


def rows(f):
    """A function of the kept elements of each row."""
    return np.array([f(r[k]) for r, k in zip(X, M)])


REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "amax": np.max, "amin": np.min, "mean": np.mean,
    "var": lambda v: np.var(v, ddof=1), "std": lambda v: np.std(v, ddof=1), "logsumexp": scipy.special.logsumexp,
    "norm": np.linalg.norm, "median": lambda v: np.sort(v)[(len(v) - 1) // 2],
}  # fmt: skip


def test_reductions_of_what_is_kept():
    got = {n: (getattr(masked, n)(x, dim=1, mask=m), rows(f)) for n, f in REDUCTIONS.items()}
    tolerances.compare(got, 10)


def test_without_a_mask_and_over_all():
    whole = {n: f for n, f in REDUCTIONS.items() if n != "median"}
    tolerances.compare({n: (getattr(masked, n)(x), f(X.reshape(-1))) for n, f in whole.items()}, 10)
    tolerances.compare({n: (getattr(masked, n)(x, mask=m), f(X[M])) for n, f in whole.items()}, 10)
    assert masked.sum(x, 0, keepdim=True, mask=m).shape == (1, 5)
    tolerances.compare({"prod": (masked.prod(x, (0, 1), keepdim=True, mask=m), X[M].prod().reshape(1, 1))}, 10)


def test_running_and_placed():
    where = np.where(M, X, 0)
    tolerances.compare(
        {
            "cumsum": (masked.cumsum(x, 1, mask=m), np.cumsum(where, 1)),
            "cumprod": (masked.cumprod(x, 0, mask=m), np.cumprod(np.where(M, X, 1), 0)),
            "argmax": (masked.argmax(x, 1, dtype=lx.int64, mask=m), np.where(M, X, -math.inf).argmax(1)),
            "argmin": (masked.argmin(x, 1, dtype=lx.int64, mask=m), np.where(M, X, math.inf).argmin(1)),
        },
        10,
    )


def test_normalisations_share_among_what_is_kept():
    e = np.where(M, np.exp(X), 0)
    with np.errstate(divide="ignore"):
        logs = np.log(e / e.sum(1, keepdims=True))
    near = np.where(M, np.exp(-X), 0)
    lengths = np.linalg.norm(np.where(M, X, 0), axis=1, keepdims=True)
    tolerances.compare(
        {
            "softmax": (masked.softmax(x, 1, mask=m), e / e.sum(1, keepdims=True)),
            "log_softmax": (masked.log_softmax(x, 1, mask=m), logs),
            "softmin": (masked.softmin(x, 1, mask=m), near / near.sum(1, keepdims=True)),
            "normalize": (masked.normalize(x, 2.0, 1, mask=m), np.where(M, X, 0) / lengths),
            "logaddexp": (
                masked.logaddexp(x, x, input_mask=m), np.logaddexp(np.where(M, X, -math.inf), X)
            ),
        },
        10,
    )  # fmt: skip


def test_gradients_flow_only_to_what_is_kept():
    t = lx.tensor(X, requires_grad=True)
    for f in (masked.sum, masked.mean, masked.var, masked.logsumexp):
        (g,) = lx.autograd.grad(f(t, 1, mask=m).sum(), t)
        assert (g.numpy()[~M] == 0).all() and (g.numpy()[M] != 0).any()


def test_nothing_kept():
    none = lx.zeros(5, dtype=lx.bool)
    assert masked.sum(x, mask=none).item() == 0 and masked.prod(x, mask=none).item() == 1
    assert math.isnan(masked.mean(x, mask=none).item()) and masked.amax(x, mask=none).item() == -math.inf


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: masked.sum(x[0], mask=m), IndexError, r"a mask that broadcasts to the input \[5\] is expected"),
        (lambda: masked.mean(lx.tensor([1])), ValueError, "expects a floating point or complex dtype, got int64"),
        (lambda: masked.median(lx.tensor([1])), ValueError, "expects a floating input, got int64"),
        (lambda: masked.var(x, unbiased=True, correction=1), ValueError, "only one of unbiased and correction"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
