"""Sparse matrices by rows and by columns, against SciPy's."""

import numpy as np
import pytest
import scipy.sparse

import lazyxla as lx
from tests.sparse.test_coo import random
from tests.tolerances import assert_close

MAKE = {"csr": lx.sparse_csr_tensor, "csc": lx.sparse_csc_tensor}
SCIPY = {"csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_array}


def parts(x):
    if x.layout == lx.sparse_csr:
        return x.crow_indices(), x.col_indices(), x.values()
    return x.ccol_indices(), x.row_indices(), x.values()


@pytest.mark.parametrize("kind", MAKE)
def test_between_layouts(kind):
    a, full = random((7, 5), 20)
    expected = SCIPY[kind](full)
    for x in (a, lx.tensor(full), a.to_sparse_csr(), a.to_sparse_csc()):
        found = getattr(x, f"to_sparse_{kind}")()
        for part, wanted in zip(parts(found), (expected.indptr, expected.indices, expected.data)):
            assert_close(part, wanted, factor=4)
        assert found.shape == (7, 5) and found.layout == getattr(lx, f"sparse_{kind}")
        assert not found.is_sparse and found.is_sparse_csr is (kind == "csr")
        assert_close(found.to_sparse().to_dense(), full, factor=4)
        assert_close(found.to_dense(), full, factor=4)
        assert_close(found.t().to_dense(), full.T, factor=4)
        assert found.t().layout != found.layout and found.transpose(0, 1).shape == (5, 7)


@pytest.mark.parametrize("kind", MAKE)
def test_made_of_its_parts(kind):
    given = np.array([0, 2, 2, 3]), np.array([0, 2, 1]), np.array([1.0, 2.0, 3.0], np.float32)
    x = MAKE[kind](*map(lx.tensor, given))
    assert_close(x.to_dense(), SCIPY[kind](tuple(reversed(given)), shape=(3, 3)).toarray())
    assert x._nnz() == 3 and x.dtype is lx.float32
    again = lx.sparse_compressed_tensor(*given, (3, 3), layout=x.layout, dtype=lx.float64)
    assert again.dtype is lx.float64 and again.layout == x.layout
    pending = MAKE[kind](lx.tensor(given[0]) + 0, lx.tensor(given[1]), lx.tensor(given[2]), (3, 3))
    assert_close(pending.to_dense(), x.to_dense().numpy())
    hybrid = MAKE[kind]([0, 1, 2], [1, 0], [[1.0, 2.0], [3.0, 4.0]])
    assert hybrid.shape == (2, 2, 2) and hybrid.dense_dim() == 1 and hybrid.to_dense()[0 if kind == "csr" else 1].any()


def test_arithmetic_keeps_the_layout():
    (a, x), (b, y) = random((7, 5), 20), random((7, 5), 9, 1)
    d = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    r, s, t = a.to_sparse_csr(), b.to_sparse_csr(), lx.tensor(d)
    for found, expected in (
        (r * 2, 2 * x), (r / 2, x / 2), (-r, -x), (r + s, x + y), (r - s, x - y), (r * s, x * y), (r * t, x * d),
        (r + r, 2 * x), (r.double(), x.astype(float)), (r.clone(), x), (r.detach(), x),
        (r.sum(1, keepdim=True), x.sum(1, keepdims=True)),
    ):  # fmt: skip
        assert found.layout == lx.sparse_csr
        assert_close(found.to_dense(), expected, factor=16)
    for found, expected in ((r + t, x + d), (t + r, d + x), (t - r, d - x), (r.sum(), x.sum())):
        assert not found.is_sparse_csr
        assert_close(found, expected, factor=16)


BAD = [
    (
        lambda: lx.sparse_csr_tensor([0, 2, 1], [0, 1], [1.0, 2.0], (2, 3)),
        "`crow_indices\\[..., -1\\] == nnz` is not satisfied",
    ),
    (lambda: lx.sparse_csr_tensor([0, 1, 3], [0, 1], [1.0, 2.0], (2, 3)), "== nnz` is not satisfied"),
    (
        lambda: lx.sparse_csr_tensor([1, 1, 2], [0, 1], [1.0, 2.0], (2, 3)),
        "`crow_indices\\[..., 0\\] == 0` is not satisfied",
    ),
    (lambda: lx.sparse_csr_tensor([0, 3, 2, 2], [0, 1], [1.0, 2.0], (3, 3)), "`0 <= crow_indices"),
    (lambda: lx.sparse_csr_tensor([0, 1, 2], [0, 5], [1.0, 2.0], (2, 3)), "`0 <= col_indices < 3` is not satisfied"),
    (lambda: lx.sparse_csr_tensor([0, 2, 2], [1, 0], [1.0, 2.0], (2, 3)), "sorted and distinct"),
    (lambda: lx.sparse_csr_tensor([0, 1], [0, 1], [1.0, 2.0], (2, 3)), "number of rows \\+ 1 \\(=3\\), but got 2"),
    (lambda: lx.sparse_csc_tensor([0, 1], [0, 1], [1.0, 2.0], (2, 3)), "number of columns \\+ 1 \\(=4\\), but got 2"),
    (lambda: lx.sparse_csr_tensor([0, 1, 2], [0], [1.0, 2.0], (2, 3)), "must match, but got 1 and 2"),
    (lambda: lx.sparse_csr_tensor([[0, 1]], [0], [1.0], (1, 3)), "dimensionality 1"),
    (lambda: lx.sparse_csr_tensor([0, 1], [0], [1.0], (3,)), "does not fit values"),
    (lambda: lx.ones(2, 2).to_sparse_csr().sum(1), "keepdim=False is unsupported"),
    (
        lambda: lx.ones(2, 2).to_sparse_csr().coalesce(),
        "coalesce expected sparse coordinate tensor layout but got SparseCsr",
    ),
    (
        lambda: lx.ones(2, 2).to_sparse_csr().row_indices(),
        "expected sparse column compressed tensor layout but got SparseCsr",
    ),
    (lambda: lx.ones(2, 2).to_sparse_csr() + lx.ones(2, 2).to_sparse(), "to have one layout"),
    (lambda: lx.ones(3).to_sparse_csr(), "a matrix is expected"),
    (lambda: lx.ones(3).to_sparse().to_sparse_csr(), "sparse_dim\\(\\)!=2 is not supported"),
]


@pytest.mark.parametrize(("f", "words"), BAD)
def test_bad_input(f, words):
    with pytest.raises(RuntimeError, match=words + r".*test_compressed.py"):
        f()


def test_blocks_are_refused_in_words():
    for f in (lx.sparse_bsr_tensor, lx.sparse_bsc_tensor):
        with pytest.raises(NotImplementedError, match="lazyxla has no sparse block tensors"):
            f([0, 1], [0], [[[1.0]]])


def test_the_gradient_of_a_leaf_has_its_layout():
    x = lx.sparse_csr_tensor([0, 1, 2], [1, 0], [1.0, 2.0], requires_grad=True)
    (x @ lx.tensor([[1.0], [3.0]])).sum().backward()
    assert x.grad.layout == lx.sparse_csr and x.grad.values().tolist() == [3, 1] and x.is_leaf
