"""Sparse tensors in coordinates, against dense NumPy arrays."""

import copy

import numpy as np
import pytest

import lazyxla as lx
from tests.tolerances import assert_close

I = np.array([[0, 1, 1, 0], [2, 0, 2, 2]])  # one place twice
V = np.array([3.0, 4.0, 5.0, 1.0], np.float32)
DENSE = np.array([[0, 0, 4], [4, 0, 5]], np.float32)


def twice(dtype=np.float32):
    return lx.sparse_coo_tensor(lx.tensor(I), lx.tensor(V.astype(dtype)), (2, 3))


def once():
    return twice().coalesce()


def random(shape, n, seed=0, dense=()):
    """A sparse tensor with places that may come twice, and what it is in NumPy."""
    rng = np.random.default_rng(seed)
    at = np.stack([rng.integers(0, k, n) for k in shape])
    values = rng.standard_normal((n, *dense)).astype(np.float32)
    full = np.zeros((*shape, *dense), np.float32)
    np.add.at(full, tuple(at), values)
    return lx.sparse_coo_tensor(lx.tensor(at), lx.tensor(values), full.shape), full


def test_what_it_is():
    a = twice()
    assert a.shape == (2, 3) and a.size(1) == 3 and a.ndim == a.dim() == 2 and a.numel() == 6 and len(a) == 2
    assert a.dtype is lx.float32 and a.device == lx.device("cpu") and a.layout == lx.sparse_coo and a._nnz() == 4
    assert (
        a.is_sparse
        and not a.is_sparse_csr
        and not a.is_coalesced()
        and lx.is_tensor(a)
        and not isinstance(a, lx.Tensor)
    )
    assert a.sparse_dim() == 2 and a.dense_dim() == 0 and a.type() == "torch.sparse.FloatTensor"
    assert isinstance(a, lx.sparse.FloatTensor) and not isinstance(a, lx.sparse.DoubleTensor)
    assert not lx.ones(2).is_sparse and lx.ones(2).layout == lx.strided
    assert repr(lx.sparse_coo) == "lazyxla.sparse_coo" and isinstance(a.layout, lx.layout)
    assert_close(a._indices(), I)
    assert_close(a._values(), V)
    assert_close(a.to_dense(), DENSE)


def test_coalesce_adds_what_shares_a_place_and_sorts():
    c = twice().coalesce()
    assert c.is_coalesced() and c.coalesce() is c and c._nnz() == 3
    assert c.indices().tolist() == [[0, 1, 1], [2, 0, 2]] and c.values().tolist() == [4, 4, 5]
    turned = lx.sparse_coo_tensor([[1, 0], [0, 1]], [1.0, 2.0]).coalesce()
    assert turned.indices().tolist() == [[0, 1], [1, 0]] and turned.values().tolist() == [2, 1]
    assert lx.sparse_coo_tensor([[1]], [1.0]).is_coalesced()
    for shape, n, dense in (((5, 4, 3), 40, ()), ((6,), 20, (2, 3)), ((7, 5), 0, ())):
        x, full = random(shape, n, dense=dense)
        c = x.coalesce()
        assert (np.diff(np.ravel_multi_index(tuple(c.indices().numpy()), shape)) > 0).all()
        assert_close(c.to_dense(), full, factor=4)


def test_places_beyond_what_int64_counts():
    n = 1 << 40
    x = lx.sparse_coo_tensor([[n - 1, 0, n - 1], [n - 1, 5, n - 1]], [1.0, 2.0, 3.0], (n, n)).coalesce()
    assert x.indices().tolist() == [[0, n - 1], [5, n - 1]] and x.values().tolist() == [2, 4]


@pytest.mark.parametrize("name", ["indices", "values"])
def test_elements_of_an_uncoalesced_tensor_are_not_shown(name):
    with pytest.raises(RuntimeError, match=rf"Cannot get {name} on an uncoalesced tensor.*test_coo.py"):
        getattr(twice(), name)()


def test_ways_of_making_one():
    i, v = lx.tensor(I), lx.tensor(V)
    assert lx.sparse_coo_tensor(I, V).shape == (2, 3)
    assert lx.sparse_coo_tensor([[0], [1]], [2], dtype=lx.float64).dtype is lx.float64
    assert_close(lx.sparse.FloatTensor(i, v, lx.Size((2, 3))).to_dense(), DENSE)
    assert lx.sparse.LongTensor(i, i[0]).dtype is lx.int64 and lx.sparse.FloatTensor(2, 3)._nnz() == 0
    for empty in (lx.sparse_coo_tensor((2, 3)), lx.sparse_coo_tensor(size=(2, 3)), lx.zeros_like(twice()),
                  lx.zeros(2, 3).to_sparse()):  # fmt: skip
        assert empty.shape == (2, 3) and empty._nnz() == 0 and empty.layout == lx.sparse_coo
        assert_close(empty.to_dense(), np.zeros((2, 3), np.float32))
        assert_close(empty @ lx.ones(3, 2), np.zeros((2, 2), np.float32))
    for found in (lx.tensor(DENSE).to_sparse(), lx.tensor(DENSE).to_sparse_coo()):
        assert found.layout == lx.sparse_coo and found._nnz() == 3
        assert_close(found.to_dense(), DENSE)
    rows = lx.tensor([[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]]).to_sparse(1)
    assert rows.indices().tolist() == [[0, 2]] and rows.values().tolist() == [[0, 1], [2, 0]]
    hybrid, full = random((4, 3), 9, dense=(2,))
    assert hybrid.dense_dim() == 1
    assert_close(hybrid.to_dense(), full)
    scalar = lx.sparse_coo_tensor(np.zeros((0, 3), np.int64), [1.0, 2.0, 3.0], ())
    assert scalar.to_dense().item() == 6


BAD = [
    (lambda i, v: (i, v, (2,)), RuntimeError, "sparse_dim \\+ dense_dim' is not satisfied: len\\(size\\) = 1"),
    (
        lambda i, v: (i, v[:2], (2, 3)),
        RuntimeError,
        "must have same nnz, but got nnz from indices: 4, nnz from values: 2",
    ),
    (lambda i, v: (i, v, (2, 2)), RuntimeError, "for dim 1, size is 2 but found index 2"),
    (lambda i, v: (lx.tensor(-I), v, (2, 3)), RuntimeError, "found negative index -1 for dim 0"),
    (lambda i, v: (lx.tensor(-I), v), RuntimeError, "found negative index -1 for dim 0"),
    (lambda i, v: (i, v, (-2, 3)), RuntimeError, "size must not be negative"),
    (lambda i, v: (i[None], v, (2, 3)), RuntimeError, "indices must be sparse_dim x nnz"),
    (
        lambda i, v: (i, v[:, None].expand(4, 2), (2, 3, 3)),
        RuntimeError,
        "values has incorrect size, expected \\[4, 3\\]",
    ),
    (lambda i, v: (twice(), v), RuntimeError, "expected indices to be a dense tensor"),
    (lambda i, v: (i, twice()), RuntimeError, "expected values to be a dense tensor"),
    (lambda i, v: (None, v), TypeError, "invalid combination of arguments"),
]


@pytest.mark.parametrize(("args", "kind", "words"), BAD)
def test_bad_input(args, kind, words):
    with pytest.raises(kind, match=words + r".*test_coo.py"):
        lx.sparse_coo_tensor(*args(lx.tensor(I), lx.tensor(V)))


def test_places_that_are_not_computed_yet_are_checked_at_the_next_read():
    at = lx.tensor([[0, 1], [1, 6]]) + lx.tensor([[0, 0], [0, 1]])
    x = lx.sparse_coo_tensor(at, lx.ones(2), (2, 3))
    with pytest.raises(RuntimeError, match=r"for dim 1, size is 3 but found an index outside of it"):
        x.to_dense().numpy()


ZERO_KEEPING = (
    "abs asin atan ceil erf expm1 floor isnan log1p neg relu round sign sin sqrt square tan tanh trunc".split()
)


@pytest.mark.parametrize("name", ZERO_KEEPING)
def test_functions_that_keep_zeros(name):
    x, full = random((4, 5), 12)
    x, full = (x.abs() * 0.1).coalesce(), np.abs(full) * np.float32(0.1)
    for found in (getattr(lx, name)(x), getattr(x, name)(), getattr(x.to_sparse_csr(), name)()):
        assert_close(found.to_dense(), getattr(lx, name)(lx.tensor(full)).numpy(), factor=4)


def test_arithmetic():
    (a, x), (b, y) = random((4, 5), 9, 1), random((4, 5), 9, 2)
    d = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    t = lx.tensor(d)
    cases = {
        "a + b": (a + b, x + y), "coalesced": (a.coalesce() + b.coalesce(), x + y), "a - b": (a - b, x - y),
        "dense + a": (t + a, d + x), "dense - a": (t - a, d - x), "alpha": (lx.add(t, a, alpha=3), d + 3 * x),
        "2 a": (2 * a, 2 * x), "a / 4": (a / 4, x / 4), "-a": (-a, -x), "a b": (a * b, x * y), "a dense": (a * t, x * d),
        "dense a": (t * a, x * d), "a row": (a * t[:1], x * d[:1]), "a vector": (a * t[0], x * d[0]), "a a": (a * a, x * x),
        "a column": (a * t[:, :1], x * d[:, :1]), "a 0-d": (a * t[0, 0], x * d[0, 0]), "a ** 2": (a**2, x**2),
        "mixed types": (a + b.double(), x + y.astype(np.float64)), "float": (a.double(), x.astype(np.float64)),
        "rounded": (lx.div(a, 0.3, rounding_mode="floor"), np.floor_divide(x, np.float32(0.3))),
    }  # fmt: skip
    for name, (found, expected) in cases.items():
        found = found.to_dense() if found.is_sparse else found
        assert found.shape == expected.shape, name
        assert_close(found, expected, "float32", factor=8)
    assert (a.coalesce() + b.coalesce()).is_coalesced() and not (a + b).is_coalesced() and (a + a)._nnz() == a._nnz()


def test_in_place():
    a, x = random((4, 5), 9)
    same = a
    a *= 2
    a.add_(a).div_(4).neg_()
    assert a is same
    assert_close(a.to_dense(), -x)
    d = lx.ones(4, 5)
    assert d.add_(a) is d
    assert_close(d, 1 - x)
    a += random((4, 5), 3, 5)[0]
    assert a is same and a._nnz() == 12
    assert a.zero_()._nnz() == 0 and a.copy_(same.clone()) is a
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        twice().requires_grad_().zero_()


def test_dims():
    a, x = random((4, 3, 5), 20)
    h, y = random((4, 3), 9, dense=(2, 6))
    cases = [
        (a.permute(2, 0, 1), x.transpose(2, 0, 1)), (a.transpose(0, 2), x.transpose(2, 1, 0)),
        (a.unsqueeze(1), x[:, None]),
        (h.transpose(0, 1), y.transpose(1, 0, 2, 3)), (h.transpose(2, 3), y.transpose(0, 1, 3, 2)),
        (h.unsqueeze(-1), y[..., None]),
        (lx.cat([a, a], 1), np.concatenate([x, x], 1)), (lx.stack([a, a], 2), np.stack([x, x], 2)), (a[1], x[1]),
        (a[-1, 2], x[-1, 2]),
        (a[:, 1], x[:, 1]), (a[None], x[None]), (a[..., 0], x[..., 0]), (h[1, 2], y[1, 2]),
        (h[:, :, 1], y[:, :, 1]), (a[1, 2, 3], x[1, 2, 3]),
        (a.index_select(1, lx.tensor([2, 0, 2])), x[:, [2, 0, 2]]), (a.index_select(0, lx.tensor([3, 3])), x[[3, 3]]),
        (h.index_select(3, lx.tensor([5, 0])), y[..., [5, 0]]), (a.narrow_copy(2, 1, 3), x[:, :, 1:4]),
        (a[0].t(), x[0].T), (a[0].T, x[0].T),
        (a.sum(0), x.sum(0)), (a.sum((0, 2)), x.sum((0, 2))), (a.sum(), x.sum()), (a.sum((0, 1, 2)), x.sum()),
        (h.sum(2), y.sum(2)),
        (h.sum((0, 3)), y.sum((0, 3))), (a.sum(1, keepdim=True), x.sum(1, keepdims=True)),
        (h.sum((0, 1)), y.sum((0, 1))),
        (lx.sparse.sum(a, -1), x.sum(-1)), (a.norm(), np.linalg.norm(x.ravel())),
    ]  # fmt: skip
    for i, (found, expected) in enumerate(cases):
        found = found.to_dense() if found.is_sparse else found
        assert found.shape == expected.shape, i
        assert_close(found, expected, factor=16)
    assert [r.shape for r in a] == [(3, 5)] * 4


def test_softmax_counts_only_what_is_there():
    for dim in (0, 1):
        c = random((5, 6), 12)[0].coalesce()
        at, full = tuple(c.indices().numpy()), np.full((5, 6), -np.inf, np.float32)
        full[at] = c.values().numpy()
        grown = np.exp(full - np.where(np.isinf(full.max(dim, keepdims=True)), 0, full.max(dim, keepdims=True)))
        expected = (grown / np.maximum(grown.sum(dim, keepdims=True), 1e-30))[at]
        assert_close(lx.sparse.softmax(c, dim).values(), expected, factor=4)
        assert_close(lx.sparse.log_softmax(c, dim).values(), np.log(expected), factor=4)


def test_masks():
    d = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert lx.tensor(d).sparse_mask(once()).values().tolist() == [2, 3, 5]
    less = lx.sparse_coo_tensor([[0, 1], [2, 1]], [1.0, 1.0], (2, 3)).coalesce()
    assert once().sparse_mask(less).values().tolist() == [4, 0]
    assert lx.tensor(d).sparse_mask(once().to_sparse_csr()).values().tolist() == [2, 3, 5]


def test_text():
    assert repr(once()) == (
        "tensor(indices=tensor([[0, 1, 1],\n                       [2, 0, 2]]),\n       values=tensor([4., 4., 5.]),\n"
        "       size=(2, 3), nnz=3, layout=lazyxla.sparse_coo)"
    )
    assert repr(once().to_sparse_csr()) == (
        "tensor(crow_indices=tensor([0, 1, 3]),\n       col_indices=tensor([2, 0, 2]),\n"
        "       values=tensor([4., 4., 5.]), size=(2, 3), nnz=3,\n       layout=lazyxla.sparse_csr)"
    )
    assert repr(lx.sparse_coo_tensor((2, 3)).requires_grad_()).endswith(
        "values=tensor([], size=(0,)),\n       size=(2, 3), nnz=0, layout=lazyxla.sparse_coo, requires_grad=True)"
    )
    assert "dtype=lazyxla.float64, layout=lazyxla.sparse_coo)" in repr(twice(np.float64))


def test_copies():
    a = twice().requires_grad_()
    b = copy.deepcopy(a)
    assert b.requires_grad and b is not a and b._nnz() == 4 and a.clone().grad_fn is not None
    assert a.to("cpu") is a and a.float() is a and a.double().dtype is lx.float64
    moved = a.detach().to("xla")
    assert moved.device is moved._indices().device and moved.device.type == "xla"


WRONG = [
    (lambda a, d: a + d, RuntimeError, "add\\(sparse, dense\\) is not supported"),
    (lambda a, d: a + 1, RuntimeError, "add\\(sparse"),
    (lambda a, d: a / a, RuntimeError, "Sparse division requires a scalar or zero-dim dense tensor divisor"),
    (lambda a, d: a.exp(), NotImplementedError, "Could not run 'exp' with arguments of layout lazyxla.sparse_coo"),
    (lambda a, d: lx.exp(a), NotImplementedError, "Could not run 'exp'"),
    (lambda a, d: lx.nn.functional.dropout(a), NotImplementedError, "has no sparse form"),
    (lambda a, d: lx.sort(a), NotImplementedError, "Could not run 'sort'"),
    (lambda a, d: lx.where(d > 0, a, a), NotImplementedError, "Could not run 'where'"),
    (lambda a, d: a == a, NotImplementedError, "Could not run 'eq'"),
    (lambda a, d: a[0:1], NotImplementedError, "Could not run 'indexing with slice"),
    (lambda a, d: a[5], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
    (lambda a, d: a.index_select(0, lx.tensor([5])), IndexError, "index contains 5 that is out of range"),
    (lambda a, d: a.sum(5), IndexError, "Dimension out of range"),
    (lambda a, d: a.permute(0), RuntimeError, "permute\\(sparse_coo\\): number of dimensions"),
    (lambda a, d: a.numpy(), TypeError, "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense"),
    (lambda a, d: np.asarray(a), TypeError, "can't convert Sparse layout"),
    (
        lambda a, d: a.crow_indices(),
        RuntimeError,
        "crow_indices expected sparse row compressed tensor layout but got Sparse",
    ),
    (lambda a, d: d.values(), RuntimeError, "values expected sparse tensor layout but got Strided"),
    (lambda a, d: d.coalesce(), RuntimeError, "coalesce expected sparse coordinate tensor layout but got Strided"),
    (lambda a, d: a + lx.sparse_coo_tensor((2, 4)), RuntimeError, "expected sizes of 'self' and 'other' to match"),
    (lambda a, d: d[:1] + a, RuntimeError, "dense-sparse addition does not currently support broadcasting"),
    (lambda a, d: d.to_sparse_bsr(), NotImplementedError, "lazyxla has no sparse block tensors"),
    (lambda a, d: d.to_sparse(layout=lx.sparse_bsr), NotImplementedError, "sparse_coo, sparse_csr and sparse_csc"),
    (lambda a, d: d.to_sparse(3), RuntimeError, "sparse_dim argument must be in \\[0,2\\] range, but 3 is given"),
    (lambda a, d: bool(a), RuntimeError, "Boolean value of Tensor with more than one value is ambiguous"),
    (lambda a, d: d.sparse_mask(d), NotImplementedError, "a sparse mask is expected"),
]


@pytest.mark.parametrize(("f", "kind", "words"), WRONG)
def test_what_cannot_be(f, kind, words):
    with pytest.raises(kind, match=words + r".*test_coo.py"):
        f(twice(), lx.ones(2, 3))


def test_an_unknown_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'no_such'"):
        twice().no_such  # noqa: B018


def test_no_function_takes_a_sparse_tensor_for_a_dense_one():
    """Every public function knows what it does with one, or refuses it, or gives it back."""
    from lazyxla.sparse.tensor import TABLE

    right = {"dist", "pairwise_distance"}  # of a dense tensor minus a sparse one
    a, taken = once(), set()
    for name, f in lx.lazy.public.items():
        if name.startswith("_") or name in TABLE or not callable(f):
            continue
        for args in ((a,), (a, a), (a, 1), ([a, a],), (lx.ones(2, 3), a)):
            if name == "unique" and args[0] is not a:  # whose second argument is a flag
                continue
            try:
                found = f(*args)
            except (TypeError, NotImplementedError, RuntimeError, ValueError, IndexError):
                continue
            if isinstance(found, lx.Tensor):
                taken.add(name)
    assert taken <= right
