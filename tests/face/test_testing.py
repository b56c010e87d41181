"""Comparing tensors, making them, random streams that are put back, futures, and PyTorch's names of nn functions."""

import math

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.futures import Future, collect_all, wait_all
from lazyxla.testing import assert_allclose, assert_close, make_tensor

A = lx.tensor([1.0, 2.0, 3.0])
EQUAL = {
    "near": (A, A + 1e-6), "numbers": (1.0, 1.0 + 1e-8), "bools": (True, True), "arrays": (np.ones(2), np.ones(2)),
    "lists": ([A, (1, None)], [A, (1, None)]), "dicts": ({"a": A}, {"a": A}),
    "halves": (A.bfloat16(), A.bfloat16() * 1.005), "inf": (A / 0, A / 0), "complex": (1 + 2j, 1 + 2j),
    "empty": (lx.zeros(0), lx.zeros(0)),
}  # fmt: skip
DIFFERENT = {
    "far": (A, A + 1e-3, r"Mismatched elements: 3 / 3 \(100.0%\)"), "one": (A, lx.tensor([1.0, 2.0, 4.0]), "at index"),
    "numbers": (1.0, 1.1, "Scalars are not close"), "whole": (lx.tensor([1, 2]), lx.tensor([1, 3]), "not equal"),
    "shape": (A, A[:2], "attribute 'shape' do not match"), "dtype": (A, A.double(), "attribute 'dtype' do not match"),
    "length": ([A], [A, A], "length of the sequences mismatch: 1 != 2"), "within": ([1, [2, 3]], [1, [2, 4]], "at index 1 at"),
    "keys": ({"a": 1}, {"b": 1}, "keys of the mappings do not match"), "none": (None, A, "None mismatch"),
    "nan": (lx.tensor(math.nan), lx.tensor(math.nan), "not close"),
}  # fmt: skip


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_close(pair):
    assert_close(*pair)


@pytest.mark.parametrize("row", DIFFERENT.values(), ids=DIFFERENT)
def test_not_close(row):
    with pytest.raises(AssertionError, match=row[2]):
        assert_close(row[0], row[1])


def test_choices_of_comparing():
    assert_close(A, A + 0.1, rtol=0, atol=0.2)
    assert_close(A, A.double(), check_dtype=False)
    assert_close(lx.tensor(math.nan), lx.tensor(math.nan), equal_nan=True)
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(A, A + 1, msg="mine")
    with pytest.raises(AssertionError, match=r"Tensor-likes(?s:.*) indeed"):
        assert_close(A, A + 1, msg=lambda text: text + " indeed")
    with pytest.raises(ValueError, match="must both be specified"):
        assert_close(A, A, rtol=1.0)
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type str"):
        assert_close("a", "a")
    with pytest.warns(FutureWarning, match="assert_allclose"):
        assert_allclose(A, [1.0, 2.0, 3.0])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="not close"):
        assert_allclose(A, A + 1)


def test_made_tensors_lie_where_they_should():
    x = make_tensor(50, 4, dtype=lx.float32, low=2, high=3, requires_grad=True)
    assert x.shape == (50, 4) and x.requires_grad and ((x >= 2) & (x < 3)).all()
    n = make_tensor((400,), dtype=lx.int64)
    assert n.min() >= -9 and n.max() <= 9 and make_tensor(9, dtype=lx.bool).dtype is lx.bool
    assert (make_tensor(500, dtype=lx.int32, low=0, high=2, exclude_zero=True) == 1).all()
    assert make_tensor(3, dtype=lx.complex64).imag.abs().max() <= 9


def test_forked_random_numbers_leave_the_stream_alone():
    lx.manual_seed(1)
    with lx.random.fork_rng():
        lx.manual_seed(9)
        inside = lx.rand(2).tolist()
    after = lx.rand(2).tolist()
    lx.manual_seed(1)
    assert lx.rand(2).tolist() == after != inside
    lx.manual_seed(1)
    with lx.random.fork_rng(enabled=False):
        lx.rand(2)
    assert lx.rand(2).tolist() != after


def test_futures():
    first, second = Future(), Future()
    doubled = first.then(lambda f: f.value() * 2)
    both = collect_all([first, second])
    assert not first.done() and not doubled.done()
    with pytest.raises(RuntimeError, match="is not done"):
        first.value()
    first.set_result(4)
    assert doubled.wait() == 8 and not both.done()
    second.set_result(5)
    assert wait_all([first, second]) == [4, 5] and [f.value() for f in both.wait()] == [4, 5]
    with pytest.raises(RuntimeError, match="can only be set once"):
        first.set_result(1)
    failed = Future()
    failed.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        wait_all([failed])
    with pytest.raises(TypeError, match="an exception is expected, not int"):
        failed.set_exception(3)
    assert collect_all([]).wait() == []


def test_native_names_are_nns():
    F = lx.nn.functional
    x, w, b = lx.randn(2, 3, 8), lx.randn(4, 3, 3), lx.randn(4)
    scale, shift, mean, var = lx.rand(3), lx.rand(3), lx.rand(3), lx.rand(3) + 1
    pairs = [
        (lx.conv1d(x, w, b), F.conv1d(x, w, b)),
        (lx.batch_norm(x, scale, shift, mean, var, False, 0.1, 1e-5), F.batch_norm(x, mean, var, scale, shift)),
        (lx.embedding(lx.eye(5), lx.tensor([1, 2])), lx.eye(5)[1:3]),
        (lx.layer_norm(x, (8,)), F.layer_norm(x, (8,))),
        (lx.prelu(x, scale), x.prelu(scale)),
        (lx.kl_div(x, x.abs(), 2), F.kl_div(x, x.abs(), reduction="sum")),
        (lx.dropout(x, 0.5, False), x),
        (lx.max_pool1d_with_indices(x, 2)[0], F.max_pool1d(x, 2)),
    ]
    for got, want in pairs:
        assert_close(got, want)
