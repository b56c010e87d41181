"""Products with sparse matrices, their gradients, and graph networks, against dense computation and SciPy."""

import numpy as np
import pytest
import scipy.sparse

import lazyxla as lx
import lazyxla.nn.functional as F
from tests.sparse.test_coo import random
from tests.tolerances import assert_close

LAYOUTS = ("sparse_coo", "sparse_csr", "sparse_csc")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_times_dense(layout, seed):
    a, x = random((6, 5), 14)
    a = a.to_sparse(layout=getattr(lx, layout))
    d, e, v, w = (seed.standard_normal(s).astype(np.float32) for s in ((5, 4), (3, 6), 5, 6))
    batch = seed.standard_normal((2, 5, 3)).astype(np.float32)
    D, E, W, B = map(lx.tensor, (d, e, w, batch))
    for found, expected in (
        (a @ D, x @ d), (lx.mm(a, D), x @ d), (a.mm(D), x @ d), (lx.spmm(a, D), x @ d), (lx.sparse.mm(a, D), x @ d),
        (lx.matmul(a, D), x @ d), (E @ a, e @ x), (lx.mm(E, a), e @ x), (a @ lx.tensor(v), x @ v),
        (a.mv(lx.tensor(v)), x @ v),
        (W @ a, w @ x), (a.t() @ W, x.T @ w), (a @ B, x @ batch),
        (B.transpose(1, 2)[..., :5] @ a.t(), batch.transpose(0, 2, 1) @ x.T),
        (lx.addmm(lx.ones(6, 4), a, D, beta=2, alpha=3), 2 + 3 * (x @ d)),
        (lx.sparse.addmm(lx.ones(4), a, D), 1 + x @ d),
        (F.linear(lx.tensor(e[:, :5]), a), e[:, :5] @ x.T),
    ):  # fmt: skip
        assert not found.is_sparse
        assert_close(found, expected, factor=16)


@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_sparse_times_sparse_is_sparse(layout):
    (a, _), (b, _) = random((40, 30), 90), random((30, 50), 120, 1)
    x, y = (scipy.sparse.coo_array((m._values().numpy(), tuple(m._indices().numpy())), m.shape) for m in (a, b))
    expected = (x.tocsr() @ y.tocsr()).toarray()
    kind = getattr(lx, layout)
    found = a.to_sparse(layout=kind) @ b.to_sparse(layout=kind)
    assert found.layout == kind and found._nnz() <= np.count_nonzero(expected) + 5
    assert_close(found.to_dense(), expected, factor=16)
    none = a @ lx.sparse_coo_tensor((30, 50))
    assert none._nnz() == 0 and none.shape == (40, 50)


def test_batches():
    a, x = random((3, 4, 5), 20)
    d = np.random.default_rng(1).standard_normal((3, 5, 2)).astype(np.float32)
    assert_close(lx.bmm(a, lx.tensor(d)), x @ d, factor=16)


@pytest.mark.parametrize("dtype", [lx.float16, lx.bfloat16, lx.float64, lx.int64, lx.complex64])
def test_types(dtype):
    a, x = random((6, 5), 14)
    a, x = (a * 4).to(lx.int64).to(dtype), (lx.tensor(np.trunc((a * 4)._values().numpy())), a)
    values, places = x[0].to(dtype), x[1]._indices()
    dense = lx.zeros(6, 5, dtype=dtype).index_put(tuple(places.unbind(0)), values, accumulate=True)
    d = lx.arange(10).reshape(5, 2).to(dtype)
    found = a @ d
    assert found.dtype is dtype
    assert_close(found, (dense @ d).numpy())


def test_reductions_of_products():
    a = lx.sparse_csr_tensor([0, 2, 2, 3], [0, 2, 1], [1.0, 2.0, -1.0], (3, 3))
    d = lx.tensor([[1.0, 2.0], [3.0, 4.0], [-5.0, 6.0]])
    assert lx.sparse.mm(a, d, "mean").tolist() == [[-4.5, 7], [0, 0], [-3, -4]]
    assert lx.sparse.mm(a, d, "amax").tolist() == [[1, 12], [0, 0], [-3, -4]]
    assert lx.sparse.mm(a, d, "amin").tolist() == [[-10, 2], [0, 0], [-3, -4]]
    with pytest.raises(RuntimeError, match="reduce argument must be either sum, prod, mean, amax or amin, got foo"):
        lx.sparse.mm(a, d, "foo")


def test_sampled_products(seed):
    a, x = random((6, 5), 12)
    c = a.coalesce().to_sparse_csr()
    m, n = seed.standard_normal((6, 4)).astype(np.float32), seed.standard_normal((4, 5)).astype(np.float32)
    found = lx.sparse.sampled_addmm(c, lx.tensor(m), lx.tensor(n), beta=0.5, alpha=2.0)
    assert found.layout == lx.sparse_csr
    assert_close(found.to_dense(), 0.5 * x + 2 * np.where(x != 0, m @ n, 0), factor=16)


def test_diagonals():
    d = np.arange(1.0, 9.0, dtype=np.float32).reshape(2, 4)
    for offsets, shape in (((0, 1), (3, 3)), ((-1, 2), (4, 4)), ((0, -2), (5, 3))):
        expected = scipy.sparse.spdiags(d, offsets, *shape).toarray()
        assert_close(lx.sparse.spdiags(lx.tensor(d), lx.tensor(offsets), shape).to_dense(), expected)
    with pytest.raises(RuntimeError, match="duplicate values"):
        lx.sparse.spdiags(lx.tensor(d), lx.tensor([1, 1]), (3, 3))


BAD = [
    (lambda a, d: a @ d[:2], RuntimeError, "Expected dim 0 size 5, got 2"),
    (lambda a, d: lx.mm(a, d.double()), RuntimeError, "expected scalar type Float but found Double"),
    (lambda a, d: lx.mm(a, d[:, 0]), RuntimeError, "must be a matrix"),
    (lambda a, d: lx.mm(a, "x"), TypeError, "argument 'mat2' \\(position 2\\) must be Tensor, not str"),
    (lambda a, d: lx.mv(a, d[:2, 0]), RuntimeError, "expected self.size\\(-1\\) == vec.size\\(-1\\)"),
    (lambda a, d: a @ d.to("xla"), RuntimeError, "same device"),
    (lambda a, d: lx.bmm(a, d), RuntimeError, "must have 3 sparse dims, but has 2"),
]


@pytest.mark.parametrize(("f", "kind", "words"), BAD)
def test_bad_input(f, kind, words):
    with pytest.raises(kind, match=words + r".*test_products.py"):
        f(random((6, 5), 14)[0], lx.ones(5, 4))


# --- gradients --------------------------------------------------------------------------------------------------


def gradients(f, at, shape, sparse):
    """Those of a function of a matrix, sparse or the same one dense, and a dense operand: of the values and the operand."""
    rng = np.random.default_rng(5)
    values = lx.tensor(rng.standard_normal(at.shape[1]).astype(np.float32), requires_grad=True)
    dense = lx.tensor(rng.standard_normal((shape[1], 3)).astype(np.float32), requires_grad=True)
    if sparse:
        a = lx.sparse_coo_tensor(lx.tensor(at), values, shape)
    else:
        a = lx.zeros(shape).index_put(tuple(lx.tensor(at)), values, accumulate=True)
    f(a, dense).backward()
    return values.grad, dense.grad


AT = np.array([[0, 1, 1, 0, 3, 3], [2, 0, 2, 2, 1, 3]])
LOSSES = {
    "mm": lambda a, d: (a @ d).pow(2).sum(),
    "transposed": lambda a, d: (a.t() @ d).pow(2).sum(),
    "dense first": lambda a, d: (d.t() @ a).pow(3).sum(),
    "two products": lambda a, d: (a @ (a @ d).tanh()).pow(2).sum(),
    "sum of dense and sparse": lambda a, d: ((d @ d.t() + a) ** 2).sum(),
    "scaled": lambda a, d: ((a * 3 - a) @ d).pow(2).sum() + d.sum(),
    "times dense": lambda a, d: ((a * (d @ d.t())) @ d).pow(2).sum(),
    "to dense": lambda a, d: (a.to_dense() ** 3).sum() + d.sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name):
    of = LOSSES[name]
    for found, expected in zip(gradients(of, AT, (4, 4), True), gradients(of, AT, (4, 4), False)):
        assert_close(found, expected.numpy(), factor=64)


SPARSE_ONLY = {
    "square": (
        lambda a, d: ((a @ a.t()).to_dense() ** 2).sum() + d.sum(),
        lambda a, d: ((a @ a.t()) ** 2).sum() + d.sum(),
    ),
    "coalesced": (lambda a, d: (a.coalesce().values() ** 2).sum() + d.sum(), lambda a, d: (a**2).sum() + d.sum()),
    "csr": (lambda a, d: (a.to_sparse_csr() @ d).pow(2).sum(), LOSSES["mm"]),
    "csc": (lambda a, d: (d.t() @ a.to_sparse_csc()).pow(3).sum(), LOSSES["dense first"]),
    "sum": (lambda a, d: (a.sum(1).to_dense() ** 2).sum() + d.sum(), lambda a, d: (a.sum(1) ** 2).sum() + d.sum()),
    "row": (lambda a, d: (a[1].to_dense() ** 2).sum() + d.sum(), lambda a, d: (a[1] ** 2).sum() + d.sum()),
    "tanh": (lambda a, d: (a.tanh() @ d).pow(2).sum(), lambda a, d: (a.tanh() @ d).pow(2).sum()),
}


@pytest.mark.parametrize("name", SPARSE_ONLY)
def test_gradients_of_what_is_said_otherwise(name):
    f, g = SPARSE_ONLY[name]
    for found, expected in zip(gradients(f, AT, (4, 4), True), gradients(g, AT, (4, 4), False)):
        assert_close(found, expected.numpy(), factor=64)


def test_the_gradient_of_a_leaf_is_sparse():
    d = lx.arange(6.0).reshape(3, 2)
    values = lx.tensor([3.0, 4.0, 5.0, 1.0])
    for a in (lx.sparse_coo_tensor(lx.tensor(AT[:, :4]), values, (2, 3), requires_grad=True),
              lx.sparse_coo_tensor(lx.tensor(AT[:, :4]), values, (2, 3)).coalesce().requires_grad_()):  # fmt: skip
        assert a.requires_grad and a.is_leaf and a.grad is None and a.grad_fn is None
        (a @ d).sum().backward()
        assert a.grad.is_sparse and a.grad.indices().tolist() == [[0, 1, 1], [2, 0, 2]]
        assert a.grad.values().tolist() == [9, 1, 9]
        a.grad = None
        assert a.grad is None and not a.detach().requires_grad
    assert not values.requires_grad
    b = lx.sparse_coo_tensor(lx.tensor(AT[:, :4]), values.requires_grad_(), (2, 3))
    assert not b.is_leaf and b.grad_fn is not None and b.coalesce().grad_fn is not None


def test_gradients_of_making_one_of_a_dense_tensor():
    x = lx.tensor([[0.0, 1.0], [2.0, 0.0]], requires_grad=True)
    (x.to_sparse() * 3).to_dense().sum().backward()
    assert x.grad.tolist() == [[0, 3], [3, 0]]
    x.grad = None
    lx.sparse.sum(x.sparse_mask(lx.eye(2).to_sparse())).backward()
    assert x.grad.tolist() == [[1, 0], [0, 1]]


def test_softmax_has_gradients():
    v = lx.tensor([1.0, 2.0, 3.0], requires_grad=True, dtype=lx.float64)
    w = lx.tensor([1.0, -2.0, 0.5], dtype=lx.float64)
    at = lx.tensor([[0, 0, 1], [0, 2, 1]])
    assert lx.autograd.gradcheck(
        lambda v: lx.sparse.softmax(lx.sparse_coo_tensor(at, v, (2, 3)), 1)._values() * w, (v,)
    )


# --- programs ---------------------------------------------------------------------------------------------------


def graph(n=30, m=120):
    rng = np.random.default_rng(3)
    at, w = rng.integers(0, n, (2, m)), rng.random(m).astype(np.float32)
    return at, w, rng.standard_normal((n, 8)).astype(np.float32), rng.integers(0, 4, n)


class GCN(lx.nn.Module):
    def __init__(self, adj):
        super().__init__()
        self.register_buffer("adj", adj)
        self.first, self.second = lx.nn.Linear(8, 16), lx.nn.Linear(16, 4)

    def forward(self, x):
        return lx.spmm(self.adj, self.second(F.relu(lx.spmm(self.adj, self.first(x)))))


def train(adj, steps=15, wrap=lambda f: f):
    lx.manual_seed(0)
    model = GCN(adj)
    optimizer = lx.optim.Adam(model.parameters(), lr=0.05)
    _, _, x, y = graph()
    x, y = lx.tensor(x), lx.tensor(y)

    @wrap
    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return [step().item() for _ in range(steps)]


def test_a_graph_network_learns_as_with_a_dense_matrix(metrics):
    at, w, *_ = graph()
    adj = lx.sparse_coo_tensor(lx.tensor(at), lx.tensor(w), (30, 30))
    dense = train(adj.to_dense())
    assert dense[-1] < 0.8 * dense[0]
    metrics.reset()
    for a in (adj, adj.coalesce(), adj.to_sparse_csr()):
        assert np.allclose(train(a), dense, rtol=1e-4)
    report = metrics.report(as_dict=True)
    assert report["replays"] > 20, "steps with sparse tensors are followed"
    assert np.allclose(train(adj, wrap=lx.compile), dense, rtol=1e-4)


def test_steps_that_make_the_matrix_anew_are_followed(metrics):
    at, w, x, _ = graph()
    at, x = lx.tensor(at), lx.tensor(x)
    weights = lx.tensor(w, requires_grad=True)
    optimizer = lx.optim.SGD([weights], lr=1e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = (lx.sparse_coo_tensor(at, weights.exp(), (30, 30)) @ x).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert metrics.report(as_dict=True)["replays"] >= 6

    weights = lx.tensor(w, requires_grad=True)
    dense = []
    for _ in range(10):
        a = lx.zeros(30, 30).index_put(tuple(at), weights.exp(), accumulate=True)
        (g,) = lx.autograd.grad((a @ x).pow(2).mean(), weights)
        dense.append((a.detach() @ x).pow(2).mean().item())
        weights = (weights.detach() - 1e-3 * g).requires_grad_()
    assert np.allclose(losses, dense, rtol=1e-5) and losses[-1] < losses[0]


def test_a_sparse_argument_of_a_compiled_function():
    at, w, x, _ = graph()
    adj = lx.sparse_coo_tensor(lx.tensor(at), lx.tensor(w), (30, 30))

    @lx.compile
    def f(a, x):
        return (a * 2) @ x

    for _ in range(3):
        assert_close(f(adj, lx.tensor(x)), 2 * (adj.to_dense().numpy() @ x), factor=32)
    adj._values().mul_(3)
    assert_close(f(adj, lx.tensor(x)), 2 * (adj.to_dense().numpy() @ x), factor=32)


def test_a_compiled_function_takes_and_gives_sparse_tensors(metrics):
    step = lx.compile(lambda a, x: {"scaled": a * x, "product": a.t() @ (a @ x)})
    metrics.reset()
    for seed in range(3):
        for kind in ("coo", "csr"):
            a, full = random((6, 5), 14, seed)
            a = a.to_sparse_csr() if kind == "csr" else a
            x = np.random.default_rng(seed).standard_normal(5).astype(np.float32)
            out = step(a, lx.tensor(x))
            assert out["scaled"].layout == a.layout and out["scaled"].shape == (6, 5)
            assert_close(out["scaled"].to_dense(), full * x, factor=16)
            assert_close(out["product"], full.T @ (full @ x), factor=32)
    assert metrics.report(as_dict=True)["compiled_calls"] >= 2


def test_reading_places_in_a_compiled_function_is_an_error():
    adj = random((6, 5), 14)[0]
    with pytest.raises(RuntimeError, match="coalesce\\(\\) of a sparse tensor's indices reads a value inside"):
        lx.compile(lambda x: adj.coalesce() @ x)(lx.ones(5, 2))


class Special(lx.autograd.Function):
    """The product that attention networks on graphs write themselves."""

    @staticmethod
    def forward(ctx, indices, values, shape, b):
        a = lx.sparse_coo_tensor(indices, values, shape)
        ctx.save_for_backward(a, b)
        return lx.matmul(a, b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        places = a._indices()[0, :] * a.shape[1] + a._indices()[1, :]
        return None, g.matmul(b.t()).view(-1)[places], None, a.t().matmul(g)


def test_a_function_with_a_backward_of_its_own():
    at = lx.tensor(AT)
    plain = lambda i, v, shape, b: lx.sparse_coo_tensor(i, v, shape) @ b
    found = []
    for f in (Special.apply, plain):
        v, b = lx.ones(AT.shape[1]).requires_grad_(), lx.arange(8.0).reshape(4, 2).requires_grad_()
        f(at, v, lx.Size([4, 4]), b).pow(2).sum().backward()
        found.append((v.grad.tolist(), b.grad.tolist()))
    assert found[0] == found[1]


def test_a_module_moves_its_sparse_buffers():
    model = GCN(random((30, 30), 50)[0])
    state = model.state_dict()
    assert state["adj"].is_sparse
    assert model.double().adj.dtype is lx.float64 and model.to("xla").adj.device.type == "xla"
    assert GCN(random((30, 30), 20)[0]).load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch for adj"):
        GCN(random((20, 20), 20)[0]).load_state_dict(state)


def test_autocast_keeps_sparse_products_wide():
    a, x = random((6, 5), 14)
    with lx.autocast("cpu", dtype=lx.bfloat16):
        out = a @ (lx.ones(5, 5) @ lx.ones(5, 2))
    assert out.dtype is lx.float32
    assert_close(out, x @ np.full((5, 2), 5, np.float32), factor=16)
