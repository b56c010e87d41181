"""Rearranging, joining and splitting, triangles, creation, indexing and scattering, against NumPy; and ``out=``."""

import itertools

import numpy as np
import pytest
import scipy.linalg

import lazyxla as lx
from tests.tolerances import compare

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
M = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_rearranging():
    x, m = lx.tensor(A), lx.tensor(M)
    compare({
        "reshape": (x.reshape(4, -1), A.reshape(4, -1)), "keyword": (lx.reshape(x, shape=(6, 4)), A.reshape(6, 4)),
        "view": (x.view(size=(3, 8)), A.reshape(3, 8)), "flatten": (x.flatten(1), A.reshape(2, 12)),
        "unflatten": (x.unflatten(2, (2, -1)), A.reshape(2, 3, 2, 2)), "squeeze": (x[:, :1].squeeze(1), A[:, 0]),
        "permute": (lx.permute(x, dims=(2, 0, 1)), A.transpose(2, 0, 1)),
        "transpose": (x.transpose(0, -1), A.swapaxes(0, 2)),
        "movedim": (x.movedim(0, -1), np.moveaxis(A, 0, -1)), "t": (m.t(), M.T), "mT": (x.mT, A.swapaxes(1, 2)),
        "expand": (m[:1].expand(2, -1), np.broadcast_to(M[:1], (2, 4))),
        "repeat": (m.repeat(2, 1, 2), np.tile(M, (2, 1, 2))),
        "tile": (m.tile((2,)), np.tile(M, 2)), "flip": (lx.flip(x, dims=(0, 2)), np.flip(A, (0, 2))),
        "roll": (x.roll((1, -1), (1, 2)), np.roll(A, (1, -1), (1, 2))), "roll all": (m.roll(5), np.roll(M, 5)),
        "rot90": ([lx.rot90(m, k) for k in range(-1, 4)], [np.rot90(M, k) for k in range(-1, 4)]),
        "interleave": (m.repeat_interleave(2, 1), np.repeat(M, 2, 1)),
        "interleave by": (m.repeat_interleave(lx.tensor([1, 0, 2]), 0), np.repeat(M, [1, 0, 2], 0)),
        "fliplr": (lx.fliplr(m), np.fliplr(M)), "flipud": (lx.flipud(m), np.flipud(M)),
        "as_strided": (m.as_strided((3, 2), (1, 4), 1),
            np.lib.stride_tricks.as_strided(M.ravel()[1:], (3, 2), (4, 16))),
        "unfold": (m.unfold(1, 2, 1), np.lib.stride_tricks.sliding_window_view(M, 2, 1)),
    })  # fmt: skip


def test_joining_and_splitting():
    x, m, v = lx.tensor(A), lx.tensor(M), lx.tensor([1, 2, 3])
    n = np.array([1, 2, 3])
    compare({
        "cat": (lx.cat([m, m], dim=1), np.hstack([M, M])), "axis": (lx.cat([m, m], axis=1), np.hstack([M, M])),
        "promoted": (lx.cat([v, m[:, 0]]), np.concatenate([n, M[:, 0]]).astype(np.float32)),
        "stack": (lx.stack([m, m], -1), np.stack([M, M], -1)), "hstack": (lx.hstack([v, v]), np.hstack([n, n])),
        "vstack": (lx.vstack([v, v]), np.vstack([n, n])), "dstack": (lx.dstack([m, m]), np.dstack([M, M])),
        "column_stack": (lx.column_stack([v, v]), np.column_stack([n, n])),
        "block_diag": (lx.block_diag(m, v), scipy.linalg.block_diag(M, n).astype(np.float32)),
        "split": (x.split([1, 3], 2), np.split(A, [1], 2)), "sizes": (m.split(3, 1), np.split(M, [3], 1)),
        "chunk": (m.chunk(2, 1), np.split(M, 2, 1)), "tensor_split": (m.tensor_split(3, 1), np.array_split(M, 3, 1)),
        "hsplit": (lx.hsplit(x, [1]), np.hsplit(A, [1])), "vsplit": (x.vsplit(2), np.vsplit(A, 2)),
        "dsplit": (x.dsplit(2), np.dsplit(A, 2)), "unbind": (x.unbind(1), [A[:, i] for i in range(3)]),
        "product": (lx.cartesian_prod(v, v), list(itertools.product(n, n))),
        "combinations": (lx.combinations(v), list(itertools.combinations(n, 2))),
        "meshgrid": (lx.meshgrid(v, v[:2], indexing="xy"), np.meshgrid(n, n[:2])),
        "atleast": (lx.atleast_3d(v), np.atleast_3d(n)),
    })  # fmt: skip


def test_triangles_and_products():
    x, m, v = lx.tensor(A), lx.tensor(M), lx.tensor([1.0, 2.0, 4.0])
    n = np.array([1, 2, 4], np.float32)
    compare({
        "tril": (x.tril(1), np.tril(A, 1)), "triu": (m.triu(-1), np.triu(M, -1)),
        "diagonal": (x.diagonal(1, 1, 2), A.diagonal(1, 1, 2)),
        "diag": (lx.diag(v, -1), np.diag(n, -1)), "of matrix": (lx.diag(m, 1), np.diag(M, 1)),
        "diagflat": (lx.diagflat(v[:2], 1), np.diagflat(n[:2], 1)),
        "tril_indices": (lx.tril_indices(3, 4, 1), np.tril_indices(3, 1, 4)),
        "triu_indices": (lx.triu_indices(3, 3), np.triu_indices(3)), "trace": (m.trace(), np.trace(M)),
        "kron": (lx.kron(m, v), np.kron(M, n)),
        "cross": (lx.cross(m[:, :3], m[:, 1:]), np.cross(M[:, :3], M[:, 1:], axis=0)),
        "cov": (lx.cov(m), np.cov(M).astype(np.float32)), "outer": (lx.outer(v, v), np.outer(n, n)),
        "inner": (lx.inner(v, v), np.inner(n, n)), "inner with a number": (lx.inner(m, lx.tensor(2)), 2 * M),
        "tensordot": (lx.tensordot(x, x, ([0, 2], [0, 2])), np.tensordot(A, A, ([0, 2], [0, 2]))),
        "einsum": (lx.einsum("bij,bkj->bik", x, x), np.einsum("bij,bkj->bik", A, A)),
        "by numbers": (lx.einsum(x, [..., 0, 1], x, [..., 30, 1], [..., 0, 30]), np.einsum("bij,bkj->bik", A, A)),
        "in their order": (lx.einsum(m, [26, 0], v, [26]), np.einsum("ij,i->j", M, n)),
        "addmm": (lx.addmm(m[:, :3], m, m.t(), beta=2, alpha=0.5), 2 * M[:, :3] + 0.5 * (M @ M.T)),
    })  # fmt: skip
    square = lx.zeros(3, 3)
    square.fill_diagonal_(2.0)
    square.tril_().triu_()
    np.testing.assert_array_equal(square.numpy(), 2 * np.eye(3))


def test_creation():
    like = lx.ones(2, 3, dtype=lx.int64)
    compare({
        "zeros": (lx.zeros(size=(2, 2)), np.zeros((2, 2))), "full": (lx.full((2,), 7), [7, 7]),
        "eye": (lx.eye(2, 3), np.eye(2, 3)),
        "arange": (lx.arange(1, 8, 3), [1, 4, 7]), "floats": (lx.arange(0, 1, 0.25), np.float32([0, 0.25, 0.5, 0.75])),
        "linspace": (lx.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        "logspace": (lx.logspace(0, 3, 4, base=2), [1, 2, 4, 8]),
        "whole": (lx.logspace(0, 2, 3, dtype=lx.int64), [1, 10, 100]),
        "tensor ends": (lx.linspace(lx.tensor(1.0), 3, 3), [1, 2, 3]),
        "range": (lx.range(0, 3), [0.0, 1, 2, 3]), "full_like": (lx.full_like(like, 3), np.full((2, 3), 3)),
        "new": (like.new(2, 2) * 0, np.zeros((2, 2), int)), "old": (lx.LongTensor([1, 2]), [1, 2]),
        "fill": (lx.fill(like, 2), np.full((2, 3), 2)),
    })  # fmt: skip
    with_history = lx.ones(2, requires_grad=True) * 2
    assert lx.asarray(with_history).requires_grad and not lx.asarray(with_history, copy=True).requires_grad
    assert isinstance(lx.ones(2), lx.FloatTensor) and not isinstance(like, lx.FloatTensor) and isinstance(like,
        lx.LongTensor)
    assert like.type("torch.FloatTensor").dtype is lx.float32 and like.type(lx.DoubleTensor).dtype is lx.float64
    assert like.type(lx.Tensor).dtype is lx.get_default_dtype()
    assert like.type() == "torch.LongTensor" and lx.empty_strided((2, 3), (3, 1)).shape == (2, 3)


def test_selecting():
    m, x = lx.tensor(M), lx.tensor(A)
    i, j = np.array([2, 0]), np.array([[0, 1], [3, 2], [1, 1]])
    a, b = lx.tensor(i), lx.tensor(j)
    compare({
        "rows": (m[a], M[i]), "list": (m[[0, -1]], M[[0, -1]]), "pair": (m[a, [1, 3]], M[i, [1, 3]]),
        "apart": (x[:, a, 1:], A[:, i, 1:]),
        "around": (x[a % 2, :, [0, 1]], A[i % 2, :, [0, 1]]), "mask": (m[m > 5], M[M > 5]),
        "mask rows": (m[m[:, 0] > 3], M[M[:, 0] > 3]),
        "new": (m[None, ..., 0], M[None, ..., 0]), "steps": (x[..., ::2, 1:4:2], A[..., ::2, 1:4:2]),
        "empty": (m[[]], M[[]]),
        "gather": (m.gather(1, b), np.take_along_axis(M, j, 1)), "index_select": (m.index_select(1, a), M[:, i]),
        "take": (m.take(b), M.take(j)), "along": (m.take_along_dim(b, 1), np.take_along_axis(M, j, 1)),
        "masked": (m.masked_select(m > 5), M[M > 5]), "0-d": (lx.tensor(3.0).masked_select(lx.tensor(True)), [3.0]),
        "0-d select": (lx.tensor(3.0).index_select(0, lx.tensor([0])), 3.0),
        "nonzero": ((m % 2).nonzero(), np.argwhere(M % 2)),
        "tuple": ((m % 3).nonzero(as_tuple=True), np.nonzero(M % 3)),
        "unravel": (lx.unravel_index(b, (2, 2)), np.unravel_index(j, (2, 2))),
    })  # fmt: skip


def test_writing():
    m, j = lx.tensor(M), lx.tensor([[0, 1, 0, 0]])
    src = lx.tensor([[10.0, 20, 30, 40]])

    def scattered(combine, keep=True):
        out = M.copy() if keep else np.where(np.isin(np.arange(12).reshape(3, 4), [0, 5, 2, 3]), np.nan, M)
        for c, r in enumerate([0, 1, 0, 0]):
            s = [10, 20, 30, 40][c]
            out[r, c] = s if np.isnan(out[r, c]) else combine(out[r, c], s)
        return out

    half = lx.tensor([1, 1, 1])
    added = M.copy()
    np.add.at(added, [1, 1, 1], 1.0)
    put = M.copy().ravel()
    put[[5, 0]] = [-1, -2]
    compare({
        "scatter": (m.scatter(0, j, src), scattered(lambda a, b: b)),
        "number": (m.scatter(0, j, 5), scattered(lambda a, b: 5)),
        "add": (m.scatter_add(0, j, src), scattered(np.add)),
        "multiply": (m.scatter(0, j, src, reduce="multiply"), scattered(np.multiply)),
        "amax": (m.scatter_reduce(0, j, src, "amax"), scattered(max)),
        "mean": (m.scatter_reduce(0, j, src, "mean"), scattered(lambda a, b: (a + b) / 2)),
        "alone": (m.scatter_reduce(0, j, src, "sum", include_self=False), scattered(np.add, False)),
        "index_add": (m.index_add(0, half, lx.ones(3, 4)), added),
        "index_fill": (m.index_fill(1, lx.tensor([0]), 9), np.c_[[9, 9, 9], M[:, 1:]]),
        "index_copy": (m.index_copy(0, lx.tensor([2]), src), np.vstack([M[:2], [[10, 20, 30, 40]]])),
        "index_put": (m.index_put((lx.tensor([0]), lx.tensor([1])), lx.tensor(7.0)),
            np.where(np.arange(12).reshape(3, 4) == 1, 7, M)),
        "put": (m.put(lx.tensor([5, 0]), lx.tensor([-1.0, -2])), put.reshape(3, 4)),
        "masked_scatter": (m.masked_scatter(m > 9, src[0]), np.where(M == 10, 10, np.where(M == 11, 20, M))),
        "select_scatter": (m.select_scatter(src[0], 0, 1), np.vstack([M[0], [10, 20, 30, 40], M[2]])),
        "slice_scatter": (m.slice_scatter(src, 0, 2), np.vstack([M[:2], [10, 20, 30, 40]])),
    })  # fmt: skip
    y, expected = m.clone(), M.copy()
    y[1:, ::2] = -1
    y[[0, 2], [1, 3]] += 5
    y[y > 8] = 0
    y[:, 0] *= 2
    expected[1:, ::2] = -1
    expected[[0, 2], [1, 3]] += 5
    expected[expected > 8] = 0
    expected[:, 0] *= 2
    np.testing.assert_array_equal(y.numpy(), expected)


def test_objects_that_change_their_shape():
    base = lx.zeros(2, 1, 3)
    view = base.view(2, 3)
    assert base.squeeze_(1) is base and base.shape == (2, 3)
    assert base.t_().shape == (3, 2) and base.unsqueeze_(0).shape == (1, 3, 2)
    base.add_(1)
    np.testing.assert_array_equal(view.numpy(), np.ones((2, 3)))  # still the same memory
    strided = view.as_strided((2,), (4,))
    strided.fill_(5)
    np.testing.assert_array_equal(view.numpy(), [[5, 1, 1], [1, 5, 1]])
    np.testing.assert_array_equal(view.clone().resize_(2).numpy(), [5, 1])
    leaf = lx.ones(2, 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        leaf.squeeze_()


def test_out():
    x, out = lx.tensor([1.0, 4.0]), lx.zeros(2)
    alias = out.view(1, 2)
    assert lx.sqrt(x, out=out) is out
    np.testing.assert_array_equal(alias.numpy(), [[1, 2]])
    assert lx.add(x, 1, out=out) is out and lx.arange(2, out=out) is out
    np.testing.assert_array_equal(out.numpy(), [0, 1])
    empty = lx.empty(0)
    values, places = lx.max(lx.tensor([[1.0, 3.0]]), 1, out=(empty, lx.empty(0, dtype=lx.int64)))
    assert values is empty and values.tolist() == [3.0] and places.tolist() == [1]
    with pytest.warns(UserWarning, match="was resized"):
        lx.cat([x, x], out=out)
    assert out.tolist() == [1, 4, 1, 4]
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        lx.exp(x, out=lx.zeros(2, dtype=lx.int64))
    with pytest.raises(TypeError, match="argument 'out' must be Tensor, not list"):
        lx.exp(x, out=[1])
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        lx.exp(x.clone().requires_grad_(), out=out)


def test_gradients():
    x = lx.tensor([[0.3, -1.2, 0.9], [1.7, 0.6, -0.4]], dtype=lx.float64, requires_grad=True)
    i = lx.tensor([[0, 1, 0]])
    assert lx.autograd.gradcheck(
        lambda x: (
            x.gather(0, i), x.scatter(0, i, x * 2), x.scatter_reduce(0, i, x * x, "mean"), x[[1, 0, 1], 1:],
            x.roll(1, 1), lx.rot90(x),
            x.as_strided((2, 2), (1, 2)), x.masked_select(x > 0), x.index_add(0, i[0, :1], x[:1] ** 2), lx.kron(x, x),
            lx.cov(x),
            lx.cross(x, x.flip(0)), x.unfold(1, 2, 1), lx.combinations(x[0]), lx.block_diag(x, x),
            x.select_scatter(x[0] ** 2, 0, 1),
            x.put(i[0, :1] + 3, x[0, :1] ** 2),
        ),
        (x,),
    )  # fmt: skip


def test_names_of_arguments_that_methods_and_overloads_have():
    x = lx.arange(6.0)
    assert [p.tolist() for p in x.split(split_size=4)] == [[0, 1, 2, 3], [4, 5]]
    assert [p.shape[0] for p in lx.split_with_sizes(x, split_sizes=[1, 5])] == [1, 5]
    assert [p.shape[0] for p in x.tensor_split(sections=3)] == [p.shape[0] for p in x.tensor_split(indices=(2, 4))] == [2] * 3
    assert x.reshape(2, 3).swapaxes(axis0=0, axis1=1).shape == (3, 2)
    assert x.view(dtype=lx.int32)[1].item() == 0x3F800000
    assert lx.zeros(6).copy_(src=x).sum().item() == 15
    assert lx.full_like(x, 2, memory_format=lx.preserve_format).sum().item() == 12
    factor = lx.eye(2) * 2
    assert lx.cholesky_solve(lx.ones(2, 1), input2=factor).tolist() == [[0.25], [0.25]]
    with pytest.raises(TypeError, match="unexpected keyword argument 'sizes'"):
        x.split(sizes=2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex64"])
def test_evenly_spaced_numbers_are_rounded_once(dtype):
    """Each a product and a sum with one rounding, from the nearer end, in the type's own step."""
    wide = np.clongdouble if dtype == "complex64" else np.longdouble
    kind = np.dtype("float64" if dtype == "int64" else dtype)
    for start, end, steps in ((-1, 1, 28), (0, 10, 7), (7, 2, 100), (3, 3, 1), (0, 1, 2)):
        step = (kind.type(end) - kind.type(start)) / kind.type(max(steps - 1, 1))
        at, half = np.arange(steps), max(steps // 2, 1)
        expected = [start + wide(step) * i if i < half else end - wide(step) * (steps - 1 - i) for i in at]
        got = lx.linspace(start, end, steps, dtype=getattr(lx, dtype)).numpy()
        np.testing.assert_array_equal(got, np.array(expected).astype(kind).astype(dtype))
