"""Normalisation, dropout, embedding, linear maps, distances and attention, against NumPy."""

import re

import numpy as np
import pytest
from jaxlib.mlir.passmanager import PassManager
from scipy import special

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn
from lazyxla.autograd import gradcheck, gradgradcheck
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.passes import lowered
from tests.tolerances import compare

RNG = np.random.default_rng(2)


def normal(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def test_batch_norm_in_training_and_evaluation():
    for layer, shape in ((nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (4, 3, 5)), (nn.BatchNorm2d, (4, 3, 2, 5))):
        x = RNG.normal(2, 3, size=shape)
        axes = (0, *range(2, x.ndim))
        norm = layer(3, momentum=0.2).double()
        norm.weight.data.copy_(lx.tensor([1.0, 2.0, 3.0]))
        norm.bias.data.copy_(lx.tensor([0.5, 0.0, -1.0]))
        tall = (-1, *(1,) * (x.ndim - 2))
        scale, shift = np.array([1.0, 2, 3]).reshape(tall), np.array([0.5, 0, -1]).reshape(tall)
        count = x.size // 3
        mean, var = 0.2 * x.mean(axes), 0.8 + 0.2 * x.var(axes) * count / (count - 1)
        training = norm(lx.tensor(x))
        compare({
            "training": (training, normal(x, axes) * scale + shift), "running mean": (norm.running_mean, mean),
            "running variance": (norm.running_var, var), "batches": (norm.num_batches_tracked, np.int64(1)),
        }, factor=100)  # fmt: skip
        evaluated = norm.eval()(lx.tensor(x))
        expected = (x - mean.reshape(tall)) / np.sqrt(var.reshape(tall) + 1e-5) * scale + shift
        compare({"evaluation": (evaluated, expected), "kept": (norm.running_mean, mean)}, factor=100)


def test_momentum_none_is_the_mean_of_all_batches():
    norm = nn.BatchNorm1d(2, momentum=None).double()
    batches = [RNG.normal(size=(5, 2)) for _ in range(3)]
    for b in batches:
        norm(lx.tensor(b))
    np.testing.assert_allclose(norm.running_mean.numpy(), np.mean([b.mean(0) for b in batches], 0), rtol=1e-10)


def test_over_layers_groups_and_instances():
    x = RNG.normal(1, 2, size=(2, 6, 3, 4))
    t = lx.tensor(x)
    w, b = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    groups = normal(x.reshape(2, 3, -1), 2).reshape(x.shape)
    rms = x / np.sqrt((x**2).mean((2, 3), keepdims=True) + 1e-6)
    group_layer = nn.GroupNorm(3, 6).double()
    tall = np.arange(6.0).reshape(6, 1, 1)
    group_layer.weight.data.copy_(lx.arange(6.0))
    neighbours = np.stack([(x[:, max(0, i - 1) : i + 2] ** 2).sum(1) for i in range(6)], 1)
    compare({
        "layer": (F.layer_norm(t, (3, 4), lx.tensor(w), lx.tensor(b)), normal(x, (2, 3)) * w + b),
        "layer module": (nn.LayerNorm([3, 4], elementwise_affine=False)(t), normal(x, (2, 3))),
        "group": (F.group_norm(t, 3), groups), "group module": (group_layer(t), groups * tall),
        "lines": (nn.InstanceNorm1d(6)(t.flatten(2)), normal(x.reshape(2, 6, 12), 2)),
        "instance": (nn.InstanceNorm2d(6)(t), normal(x, (2, 3))), "its function": (F.instance_norm(t), normal(x, (2, 3))),
        "rms": (F.rms_norm(t, (3, 4), eps=1e-6), rms),
        "local response": (F.local_response_norm(t, 3, 0.1, 0.75, 2.0), x / (2 + 0.1 * neighbours / 3) ** 0.75),
        "unit": (F.normalize(t, dim=2), x / np.linalg.norm(x, axis=2, keepdims=True)),
        "unit p": (F.normalize(t, p=1.0, dim=1), x / np.abs(x).sum(1, keepdims=True)),
    }, factor=100)  # fmt: skip


def test_derivatives():
    x = lx.tensor(RNG.normal(size=(3, 4, 2)), requires_grad=True)
    w, b = (lx.tensor(RNG.normal(size=4), requires_grad=True) for _ in range(2))
    assert gradcheck(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), (x, w, b))
    assert gradcheck(lambda x, w, b: F.group_norm(x, 2, w, b), (x, w, b))
    assert gradcheck(lambda x: F.layer_norm(x, (4, 2)), (x,))
    assert gradcheck(lambda x: F.normalize(x, dim=1), (x,))


NORMS = {
    "batch": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    "instance": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
    "group": lambda x, w, b: F.group_norm(x, 2, w, b),
    "layer": lambda x, w, b: F.layer_norm(x, (4,), w, b),
}


@pytest.mark.parametrize("name", NORMS)
def test_derivatives_with_some_of_the_parameters(name):
    shape = (2, 3, 4) if name == "layer" else (2, 4, 3)
    x, w, b = (lx.tensor(RNG.normal(size=s), requires_grad=True) for s in (shape, 4, 4))
    f = NORMS[name]
    assert gradcheck(f, (x, w, b)) and gradgradcheck(f, (x, w, b))
    assert gradcheck(lambda x, w: f(x, w, None), (x, w)) and gradcheck(lambda x, b: f(x, None, b), (x, b))
    assert gradcheck(lambda x, b: f(x, w.detach(), b), (x, b)) and gradcheck(lambda x, w: f(x, w, b.detach()), (x, w))
    assert gradcheck(lambda x: f(x, None, None), (x,))
    assert gradcheck(lambda w, b: f(x.detach(), w, b), (w, b)) and gradcheck(lambda b: f(x.detach(), w, b), (b,))


@pytest.mark.parametrize("name", ["batch", "instance", "group"])
def test_the_gradients_of_a_norm_share_their_sums(name):
    x, w, b = (lx.tensor(RNG.normal(size=s), requires_grad=True) for s in ((5, 4, 6), 4, 4))
    y = NORMS[name](x, w, b)
    g = lx.tensor(RNG.normal(size=(5, 4, 6)))
    module = lowered(plan_for(y, *lx.autograd.grad(y, (x, w, b), g)))
    with module.context:
        PassManager.parse("builtin.module(cse)").run(module.operation)
    sums = re.findall(r"applies stablehlo.add .*: \(tensor<([\dx]+)xf64>", module.operation.get_asm())
    large = [shape for shape in sums if np.prod([int(n) for n in shape.split("x")]) == x.numel()]
    assert len(large) == 4, sums  # the mean and the variance, sums of g and of g times what differs from the mean


def test_the_variance_of_large_numbers_does_not_cancel():
    x = (1e4 + np.arange(8)).astype(np.float32).reshape(1, 8)
    got = F.layer_norm(lx.tensor(x), (8,)).numpy()
    np.testing.assert_allclose(got, normal(x.astype(np.float64), 1), atol=1e-3)


def test_sixteen_bits_are_normalised_in_float32():
    x = RNG.normal(size=(64, 8)).astype(np.float32) * 100
    norm = nn.BatchNorm1d(8)
    y = norm(lx.tensor(x).to(lx.bfloat16))
    assert y.dtype is lx.bfloat16 and norm.running_mean.dtype is lx.float32
    np.testing.assert_allclose(y.float().detach().numpy(), normal(x, 0), atol=0.05)


def test_dropout_keeps_the_mean_and_stops_in_evaluation():
    lx.manual_seed(3)
    x = lx.ones(200, 100)
    layer = nn.Dropout(0.25)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    assert layer.eval()(x) is x or np.array_equal(layer(x).numpy(), x.numpy())
    whole = nn.Dropout2d(0.5)(lx.ones(40, 30, 2, 3)).numpy().reshape(1200, 6)
    assert all(len(set(row)) == 1 for row in whole) and 0.4 < (whole[:, 0] == 0).mean() < 0.6
    alpha = nn.AlphaDropout(0.3)(lx.randn(300, 300)).numpy()
    assert abs(alpha.mean()) < 0.02 and abs(alpha.std() - 1) < 0.02
    assert np.array_equal(F.dropout(x, 1.0).numpy(), np.zeros((200, 100)))


def test_dropout_hides_the_same_elements_from_the_gradient():
    lx.manual_seed(4)
    x = lx.ones(50, requires_grad=True)
    y = F.dropout(x, 0.5)
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())


def test_embedding():
    table = RNG.normal(size=(5, 3))
    layer = nn.Embedding(5, 3, padding_idx=2).double()
    assert np.array_equal(layer.weight.detach().numpy()[2], np.zeros(3))
    layer.weight.data.copy_(lx.tensor(table))
    at = np.array([[0, 2, 4], [2, 1, 0]])
    out = layer(lx.tensor(at))
    compare({"rows": (out, table[at])})
    out.sum().backward()
    expected = np.zeros((5, 3))
    np.add.at(expected, at, 1)
    expected[2] = 0
    assert np.array_equal(layer.weight.grad.numpy(), expected)
    assert np.array_equal(F.one_hot(lx.tensor([0, 2]), 4).numpy(), np.eye(4, dtype=np.int64)[[0, 2]])


def test_linear_maps_and_distances():
    x, y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    w, b = RNG.normal(size=(2, 3)), RNG.normal(size=2)
    v = RNG.normal(size=(2, 3, 3))
    s, t = lx.tensor(x), lx.tensor(y)
    compare({
        "linear": (F.linear(s, lx.tensor(w), lx.tensor(b)), x @ w.T + b), "vector": (F.linear(s[0], lx.tensor(w)), w @ x[0]),
        "bilinear": (F.bilinear(s, t, lx.tensor(v), lx.tensor(b)), np.einsum("ni,kij,nj->nk", x, v, y) + b),
        "cosine": (F.cosine_similarity(s, t), (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)),
        "distance": (F.pairwise_distance(s, t), np.linalg.norm(x - y + 1e-6, axis=1)),
    }, factor=10)  # fmt: skip


def test_attention():
    q, k, v = (RNG.normal(size=(2, 3, n, 4)) for n in (5, 6, 6))
    mask = RNG.uniform(size=(5, 6)) > 0.3
    mask[:, 0] = True
    bias = RNG.normal(size=(5, 6))

    def expected(extra=0.0, scale=0.5):
        return special.softmax(q @ k.swapaxes(-1, -2) * scale + extra, -1) @ v

    t = [lx.tensor(a) for a in (q, k, v)]
    causal = np.where(np.tril(np.ones((5, 6), bool)), 0, -np.inf)
    compare({
        "plain": (F.scaled_dot_product_attention(*t), expected()),
        "masked": (F.scaled_dot_product_attention(*t, attn_mask=lx.tensor(mask)), expected(np.where(mask, 0, -np.inf))),
        "biased": (F.scaled_dot_product_attention(*t, attn_mask=lx.tensor(bias)), expected(bias)),
        "causal": (F.scaled_dot_product_attention(*t, is_causal=True), expected(causal)),
        "scaled": (F.scaled_dot_product_attention(*t, scale=0.1), expected(scale=0.1)),
    }, factor=10)  # fmt: skip


@pytest.mark.parametrize("call, kind, words", [
    (lambda: nn.BatchNorm1d(2)(lx.ones(1, 2)), ValueError, "more than 1 value per channel"),
    (lambda: nn.BatchNorm2d(2)(lx.ones(3, 2)), ValueError, "expected 4D input"),
    (lambda: F.batch_norm(lx.ones(4), None, None, training=True), IndexError, "batch_norm"),
    (lambda: F.layer_norm(lx.ones(2, 3), (4,)), RuntimeError, "normalized_shape"),
    (lambda: F.layer_norm(lx.arange(3), (3,)), NotImplementedError, "layer_norm not implemented for .*int64"),
    (lambda: F.group_norm(lx.ones(2, 5), 2), RuntimeError, "divisible"),
    (lambda: F.linear(lx.ones(2, 3), lx.ones(4, 5)), RuntimeError, r"cannot be multiplied \(2x3 and 5x4\)"),
    (lambda: F.dropout(lx.ones(2), 1.5), ValueError, "between 0 and 1"),
    (lambda: F.embedding(lx.tensor([0.5]), lx.ones(2, 2)), RuntimeError, "[Ii]nt|Long"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
