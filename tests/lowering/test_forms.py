"""What is said to XLA in place of an op as recorded: the same values, in the form that is meant."""

import re

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy import ops
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.passes import lowered
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")


def tensor(*shape: int, seed: int = 0, **options) -> lx.Tensor:
    return lx.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32), **options)


def text_of(*tensors: lx.Tensor, platform: str | None = None) -> str:
    return lowered(plan_for(*tensors), platform).operation.get_asm()


def check(*tensors: lx.Tensor, factor: float = 50.0) -> None:
    expected = [interpret(t.detach()) for t in tensors]
    for got, value in zip(tensors, expected):
        assert_close(got.detach().numpy(), value, factor=factor)


# --- products ---


def test_a_product_with_a_transpose_contracts_the_other_dim():
    y = tensor(3, 4) @ tensor(5, 4, seed=1).T
    text = text_of(y)
    assert "contracting_dims = [1] x [1]" in text
    assert not re.search(r"dot_general.*tensor<4x5xf32>", text)
    check(y)


@pytest.mark.parametrize("permutation", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("dims", [("bik", "bkj"), ("bik", "jkb"), ("ibk", "kjb"), ("kbi", "ljk"), ("ijk", "lmk")])
def test_products_of_transposes_keep_their_values(permutation, dims):
    sizes = dict(b=2, i=3, j=4, k=5, l=6, m=7)
    operands = []
    for seed, names in enumerate(dims):
        shape = tuple(sizes[c] for c in names)
        turned = tuple(shape[permutation.index(d)] for d in range(3))
        operands.append(lx.permute(tensor(*turned, seed=seed), permutation))
    out = "".join(sorted({c for names in dims for c in names} - {"k"}))
    check(lx.einsum(f"{dims[0]},{dims[1]}->{out}", *operands))


def test_what_is_left_out_may_still_be_wanted_itself():
    turned = tensor(5, 4).T
    check(tensor(3, 4, seed=1) @ turned, turned)


# --- rows a page long ---


@pytest.mark.parametrize("columns, padded", [(1024, True), (2048, True), (1000, False), (512, False)])
def test_rows_that_fall_into_one_set_of_the_cache_are_made_longer(columns, padded):
    y = tensor(40, columns).T @ tensor(40, 48, seed=1)
    assert ("stablehlo.pad" in text_of(y)) == padded
    assert "stablehlo.pad" not in text_of(y, platform="tpu")
    check(y)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_small_second_operand_is_turned_about_instead(dtype):
    x, w = ((tensor(128, n, seed=n) * 3).to(getattr(lx, dtype)) for n in (2048, 40))
    y = x.T @ w
    text = text_of(y)
    assert "stablehlo.pad" not in text and "tensor<40x2048x" in text
    assert "tensor<40x2048x" not in text_of(y, platform="tpu")
    check(y)


def test_small_products_are_not_padded():
    assert "stablehlo.pad" not in text_of(tensor(8, 1024).T @ tensor(8, 48))
    assert "stablehlo.pad" not in text_of(tensor(64, 1024).T @ tensor(64, 8))


@pytest.mark.parametrize("dtype, columns", [("float64", 512), ("float16", 2048), ("bfloat16", 2048)])
def test_a_page_is_counted_in_bytes(dtype, columns):
    x = (tensor(40, columns) * 3).to(getattr(lx, dtype))
    w = (tensor(40, 33, seed=1) * 3).to(getattr(lx, dtype))
    y = x.T @ w
    assert "stablehlo.pad" in text_of(y)
    check(y)


# --- sums of paddings ---


def gradient_of_parts(cut, *shape: int) -> lx.Tensor:
    x = tensor(*shape, requires_grad=True)
    parts = cut(x)
    return lx.autograd.grad(sum((k + 1.0) * p.square().sum() for k, p in enumerate(parts)), x)[0]


@pytest.mark.parametrize(
    "cut",
    [lambda x: x.chunk(4, 1), lambda x: x.split([3, 1, 4], 1), lambda x: x.split([2, 4], 0), lambda x: x.chunk(2, 1)[::-1]],
)
def test_the_gradient_of_parts_is_a_concatenation(cut):
    g = gradient_of_parts(cut, 6, 8)
    text = text_of(g)
    assert text.count("stablehlo.concatenate") == 1
    check(g)


@pytest.mark.parametrize(
    "cut",
    [
        lambda x: (x.split([5, 3], 1)[0], x.split([3, 5], 1)[1]),  # they overlap
        lambda x: x.split([3, 1, 4], 1)[::2],  # they leave a gap
        lambda x: (x[:, ::2], x[:, 1::2]),  # they alternate
        lambda x: (*x.chunk(2, 0)[0].chunk(2, 1), x.chunk(2, 0)[1]),  # along two dims
        lambda x: x.chunk(2, 1)[:1] * 2,  # twice the same
        lambda x: (*x.chunk(2, 1), x.chunk(2, 1)[1]),  # more than fills it
    ],
)
def test_paddings_that_do_not_fill_it_once_keep_their_sum(cut):
    check(gradient_of_parts(cut, 6, 8))


def test_paddings_by_other_than_zero_are_added():
    parts = [lx.nn.functional.pad(tensor(2, 3, seed=k), (3 * k, 3 - 3 * k), value=1.5) for k in range(2)]
    y = parts[0] + parts[1]
    assert "stablehlo.concatenate" not in text_of(y)
    check(y)


def test_a_padding_value_that_varies_is_not_taken_for_zero():
    for value in (0.0, 0.0, 2.0, 3.0):
        parts = [lx.nn.functional.pad(tensor(2, 3, seed=k), (3 * k, 3 - 3 * k), value=value) for k in range(2)]
        check(parts[0] + parts[1])


def test_gradients_of_gradients_of_parts():
    x = tensor(3, 8, requires_grad=True)
    a, b = x.chunk(2, 1)
    (g,) = lx.autograd.grad((a.square() * b.tanh()).sum(), x, create_graph=True)
    (h,) = lx.autograd.grad(g.square().sum(), x)
    check(h)


def test_a_value_already_there_is_not_computed_again():
    turned = tensor(5, 4).T
    lx.sync()
    y = tensor(3, 4, seed=1) @ turned
    assert "stablehlo.transpose" not in text_of(y)
    assert turned._node.sig.op is ops.transpose or turned._node.buffer is not None
    check(y)


@pytest.mark.parametrize(("shape", "dims"), [((40, 40), (0, 1)), ((3, 33, 35), (1, 2)), ((36, 2, 34), (2, 0))])
@pytest.mark.parametrize("offset", [0, 2, -1])
def test_the_gradient_of_a_diagonal_compares_row_and_column(shape, dims, offset):
    x = tensor(*shape, requires_grad=True)
    y = x.diagonal(offset, *dims)
    g = tensor(*y.shape, seed=1)
    (found,) = lx.autograd.grad(y, x, g)
    assert "stablehlo.select" in text_of(found)
    expected = np.zeros(shape, np.float32)
    lines = np.moveaxis(expected, dims, (-2, -1))
    rows = np.arange(y.shape[-1]) + max(-offset, 0)
    lines[..., rows, rows + offset] = g.numpy()
    np.testing.assert_array_equal(found.numpy(), expected)
