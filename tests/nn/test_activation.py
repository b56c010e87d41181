"""Activations against their formulas in NumPy and SciPy: values, layers, in-place forms, derivatives."""

import numpy as np
import pytest
from scipy import special

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn
from lazyxla.autograd import gradcheck, gradgradcheck
from tests.tolerances import compare

X = np.array([[-25.0, -6.5, -3.0, -1.2, -0.5, -0.1], [0.0, 0.2, 0.5001, 1.3, 3.5, 30.0]])
SMOOTH = np.array([[-4.1, -2.2, -0.8, -0.3], [0.2, 0.7, 1.9, 4.5]])  # no kink, no limit near


def softplus(x, beta=1.0):
    return np.logaddexp(0, beta * x) / beta


# name: (function, layer, formula, has a derivative everywhere on SMOOTH)
TABLE = {
    "relu": (F.relu, nn.ReLU(), lambda x: np.maximum(x, 0)),
    "relu6": (F.relu6, nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    "hardtanh": (lambda x: F.hardtanh(x, -2, 0.5), nn.Hardtanh(-2, 0.5), lambda x: np.clip(x, -2, 0.5)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "threshold": (lambda x: F.threshold(x, 0.6, -7), nn.Threshold(0.6, -7), lambda x: np.where(x > 0.6, x, -7)),
    "hardsigmoid": (F.hardsigmoid, nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "hardswish": (F.hardswish, nn.Hardswish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hardshrink": (F.hardshrink, nn.Hardshrink(), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    "softshrink": (F.softshrink, nn.Softshrink(), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0)),
    "elu": (lambda x: F.elu(x, 1.5), nn.ELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0)))),
    "celu": (lambda x: F.celu(x, 2.0), nn.CELU(2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2))),
    "selu": (F.selu, nn.SELU(), lambda x: 1.0507009873554805 * np.where(
        x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))),
    "gelu": (F.gelu, nn.GELU(), lambda x: x * special.ndtr(x)),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), nn.GELU("tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    "silu": (F.silu, nn.SiLU(), lambda x: x * special.expit(x)),
    "mish": (F.mish, nn.Mish(), lambda x: x * np.tanh(softplus(x))),
    "softplus": (lambda x: F.softplus(x, 2.0), nn.Softplus(2.0), lambda x: softplus(x, 2.0)),
    "softsign": (F.softsign, nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    "logsigmoid": (F.logsigmoid, nn.LogSigmoid(), special.log_expit),
    "sigmoid": (F.sigmoid, nn.Sigmoid(), special.expit),
    "tanh": (F.tanh, nn.Tanh(), np.tanh),
    "tanhshrink": (F.tanhshrink, nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    "softmax": (lambda x: F.softmax(x, 1), nn.Softmax(1), lambda x: special.softmax(x, 1)),
    "softmin": (lambda x: F.softmin(x, 0), nn.Softmin(0), lambda x: special.softmax(-x, 0)),
    "log_softmax": (lambda x: F.log_softmax(x, -1), nn.LogSoftmax(-1), lambda x: special.log_softmax(x, -1)),
    "glu": (lambda x: F.glu(x, 1), nn.GLU(1), lambda x: x[:, :x.shape[1] // 2] * special.expit(x[:, x.shape[1] // 2:])),
}  # fmt: skip


def test_values_of_functions_and_layers():
    x = lx.tensor(X)
    pairs = {name: (f(x), formula(X)) for name, (f, _, formula) in TABLE.items()}
    pairs |= {f"layer {name}": (layer(x), formula(X)) for name, (_, layer, formula) in TABLE.items()}
    compare(pairs, factor=10)


def test_values_in_float32():
    x = X.astype(np.float32)
    compare({n: (f(lx.tensor(x)), formula(x).astype(np.float32)) for n, (f, _, formula) in TABLE.items()}, factor=10)


@pytest.mark.parametrize("name", TABLE)
def test_derivatives(name):
    x = lx.tensor(SMOOTH, requires_grad=True)
    assert gradcheck(TABLE[name][0], (x,))
    assert gradgradcheck(TABLE[name][0], (x,))


def test_the_derivative_at_a_kink_is_pytorchs():
    """0 at 0 for relu, and 0 at the limits of hardtanh and relu6."""
    for f, at in ((F.relu, 0.0), (F.relu6, 0.0), (F.relu6, 6.0), (F.hardtanh, 1.0), (F.hardtanh, -1.0)):
        x = lx.tensor([at], requires_grad=True)
        f(x).sum().backward()
        assert x.grad.item() == 0, (f.__name__, at)


@pytest.mark.parametrize(
    "layer", [nn.ReLU(True), nn.ReLU6(True), nn.Hardtanh(inplace=True), nn.LeakyReLU(0.1, True), nn.ELU(1.0, True),
              nn.SELU(True), nn.CELU(1.0, True), nn.SiLU(True), nn.Mish(True), nn.Hardswish(True), nn.Threshold(1, 2, True)],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_in_place_writes_where_it_reads_and_is_differentiable(layer):
    x = lx.tensor(SMOOTH, requires_grad=True)
    y = x * 1.0
    view = y[0]
    out = layer(y)
    assert out is y
    layer.inplace = False
    separate = lx.tensor(SMOOTH, requires_grad=True)
    expected = layer(separate)
    assert np.array_equal(view.detach().numpy(), expected.detach().numpy()[0])
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), separate.grad.numpy(), rtol=1e-12)


def test_prelu_has_a_weight_a_channel():
    layer = nn.PReLU(3, init=0.1)
    layer.weight.data.copy_(lx.tensor([0.1, 0.2, 0.3]))
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    slope = np.array([0.1, 0.2, 0.3], np.float32)[:, None]
    compare({"prelu": (layer(lx.tensor(x)), np.where(x > 0, x, slope * x))})
    layer(lx.tensor(x)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.minimum(x, 0).sum((0, 2)), rtol=1e-5)
    with pytest.raises(RuntimeError, match="Mismatch of parameter numbers"):
        F.prelu(lx.ones(2, 5), lx.ones(3))


def test_rrelu_draws_slopes_in_training_and_takes_their_mean_in_evaluation():
    lx.manual_seed(0)
    x = lx.full((2000,), -1.0)
    drawn = -F.rrelu(x, 0.1, 0.3, training=True).numpy()
    assert 0.1 <= drawn.min() < 0.105 and 0.295 < drawn.max() <= 0.3 and abs(drawn.mean() - 0.2) < 0.01
    np.testing.assert_allclose(F.rrelu(x, 0.1, 0.3).numpy(), -0.2, rtol=1e-6)


def test_gumbel_softmax():
    lx.manual_seed(0)
    logits = lx.log(lx.tensor([0.2, 0.3, 0.5])).expand(3000, 3).requires_grad_()
    soft = F.gumbel_softmax(logits, tau=0.7)
    np.testing.assert_allclose(soft.detach().sum(1).numpy(), 1, rtol=1e-5)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.detach().numpy())) == {0.0, 1.0}
    np.testing.assert_allclose(hard.detach().mean(0).numpy(), [0.2, 0.3, 0.5], atol=0.04)
    hard[:, 0].sum().backward()
    assert np.abs(logits.grad.numpy()).max() > 0  # straight through


def test_whole_numbers_stay_whole_where_they_can():
    x = lx.arange(-3, 9)
    compare({
        "relu": (F.relu(x), np.maximum(np.arange(-3, 9), 0)), "relu6": (F.relu6(x), np.clip(np.arange(-3, 9), 0, 6)),
        "hardtanh": (F.hardtanh(x), np.clip(np.arange(-3, 9), -1, 1)),
    })  # fmt: skip
    assert F.hardtanh(x).dtype is lx.int64


@pytest.mark.parametrize("call, kind, words", [
    (lambda: F.hardtanh(lx.ones(2), 1, -1), ValueError, "min_val cannot be greater"),
    (lambda: F.leaky_relu(lx.arange(3)), NotImplementedError, "leaky_relu not implemented for .*int64"),
    (lambda: F.glu(lx.ones(3)), RuntimeError, "must be even"),
    (lambda: F.gelu(lx.ones(3), "exact"), RuntimeError, "none.*tanh"),
    (lambda: F.rrelu(lx.ones(2), 0.3, 0.1), RuntimeError, "must be less than or equal to upper bound"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize("name", "elu selu celu softplus hardshrink softshrink logsigmoid hardsigmoid silu mish gelu".split())
def test_smooth_ones_refuse_whole_numbers(name):
    with pytest.raises(NotImplementedError, match=f"{name} not implemented for .*int64"):
        getattr(F, name)(lx.arange(3))


@pytest.mark.parametrize("name, arguments", [
    ("gelu", ()), ("softplus", (2.0,)), ("softshrink", ()), ("hardshrink", ()), ("logsigmoid", ()),
    ("linear", (lx.ones(2, 4),)), ("avg_pool2d", (2,)), ("avg_pool3d", (2,)),
])  # fmt: skip
def test_results_are_written_where_out_says(name, arguments):
    x = lx.arange(32.0).reshape(2, 2, 2, 4) - 9
    f, wanted = getattr(F, name), getattr(F, name)(x, *arguments)
    out = lx.empty(tuple(wanted.shape))
    alias = out.view(-1)
    assert f(x, *arguments, out=out) is out
    np.testing.assert_array_equal(alias.numpy(), wanted.numpy().reshape(-1))
    with pytest.raises(RuntimeError, match=f"{name}.*Expected out tensor to have dtype float32"):
        f(x, *arguments, out=lx.empty(0, dtype=lx.float64))
    with pytest.raises(RuntimeError, match=f"{name}.*don't support automatic differentiation"):
        f(x.requires_grad_(), *arguments, out=lx.empty(0))
