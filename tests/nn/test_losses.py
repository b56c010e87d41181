"""Losses against their formulas in NumPy: values under each reduction, layers, derivatives, and bad input."""

import functools
import re

import numpy as np
import pytest
from scipy import special

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn
from lazyxla.autograd import gradcheck
from tests.lowering.test_forms import text_of
from tests.tolerances import compare

pytestmark = pytest.mark.filterwarnings("ignore:kl_div")
RNG = np.random.default_rng(1)
X, Y, Z = (RNG.normal(size=(4, 3)) for _ in range(3))
P = special.expit(X)
T = RNG.uniform(size=(4, 3))  # targets in [0, 1]
SIGN = np.array([1.0, -1.0, -1.0, 1.0])


def tensors(*arrays):
    return [lx.tensor(a) for a in arrays]


def distance(a, b, eps=1e-6):
    return np.linalg.norm(a - b + eps, axis=-1)


def cosine(a, b):
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


# name: (function, layer, arguments, loss an element)
TABLE = {
    "mse_loss": (F.mse_loss, nn.MSELoss, {}, (X, Y), (X - Y) ** 2),
    "l1_loss": (F.l1_loss, nn.L1Loss, {}, (X, Y), np.abs(X - Y)),
    "smooth_l1_loss": (F.smooth_l1_loss, nn.SmoothL1Loss, {"beta": 0.7}, (X, Y), np.where(
        np.abs(X - Y) < 0.7, (X - Y) ** 2 / 1.4, np.abs(X - Y) - 0.35)),
    "huber_loss": (F.huber_loss, nn.HuberLoss, {"delta": 0.7}, (X, Y), np.where(
        np.abs(X - Y) < 0.7, (X - Y) ** 2 / 2, 0.7 * (np.abs(X - Y) - 0.35))),
    "binary_cross_entropy": (F.binary_cross_entropy, nn.BCELoss, {}, (P, T), -T * np.log(P) - (1 - T) * np.log1p(-P)),
    "with_logits": (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss, {}, (X, T),
        -T * special.log_expit(X) - (1 - T) * special.log_expit(-X)),
    "kl_div": (F.kl_div, nn.KLDivLoss, {}, (np.log(P), T), special.xlogy(T, T) - T * np.log(P)),
    "poisson_nll_loss": (F.poisson_nll_loss, nn.PoissonNLLLoss, {}, (X, T), np.exp(X) - T * X),
    "gaussian_nll_loss": (F.gaussian_nll_loss, nn.GaussianNLLLoss, {}, (X, Y, P), (np.log(P) + (X - Y) ** 2 / P) / 2),
    "soft_margin_loss": (F.soft_margin_loss, nn.SoftMarginLoss, {}, (X, np.sign(Y)), np.log1p(np.exp(-np.sign(Y) * X))),
    "hinge_embedding_loss": (F.hinge_embedding_loss, nn.HingeEmbeddingLoss, {"margin": 0.4}, (X, np.sign(Y)), np.where(
        Y > 0, X, np.maximum(0, 0.4 - X))),
    "margin_ranking_loss": (F.margin_ranking_loss, nn.MarginRankingLoss, {"margin": 0.2}, (X[:, 0], Y[:, 0], SIGN),
        np.maximum(0, -SIGN * (X[:, 0] - Y[:, 0]) + 0.2)),
    "cosine_embedding_loss": (F.cosine_embedding_loss, nn.CosineEmbeddingLoss, {"margin": 0.1}, (X, Y, SIGN), np.where(
        SIGN > 0, 1 - cosine(X, Y), np.maximum(0, cosine(X, Y) - 0.1))),
    "triplet_margin_loss": (F.triplet_margin_loss, nn.TripletMarginLoss, {"margin": 0.8}, (X, Y, Z),
        np.maximum(0, distance(X, Y) - distance(X, Z) + 0.8)),
    "multilabel": (F.multilabel_soft_margin_loss, nn.MultiLabelSoftMarginLoss, {}, (X, np.round(T)),
        -(np.round(T) * special.log_expit(X) + (1 - np.round(T)) * special.log_expit(-X)).mean(1)),
}  # fmt: skip


def test_values_under_each_reduction():
    pairs = {}
    for name, (f, layer, options, arrays, each) in TABLE.items():
        t = tensors(*arrays)
        pairs[f"{name} none"] = f(*t, reduction="none", **options), each
        pairs[f"{name} sum"] = f(*t, reduction="sum", **options), each.sum()
        pairs[f"{name} mean"] = f(*t, **options), each.mean()
        pairs[f"{name} layer"] = layer(reduction="sum", **options)(*t), each.sum()
    compare(pairs, factor=30)


@pytest.mark.parametrize("name", TABLE)
def test_derivatives(name):
    f, _, options, arrays, _ = TABLE[name]
    first, *rest = tensors(*arrays)
    assert gradcheck(lambda x: f(x, *rest, **options), (first.requires_grad_(),))


LOGITS = RNG.normal(size=(5, 4))
CLASSES = np.array([0, 3, 1, 1, 2])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.1])


def test_the_divergence_of_a_batch():
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(*tensors(np.log(P), T))
    divergence = (special.xlogy(T, T) - T * np.log(P)).sum() / 4
    compare({
        "batchmean": (F.kl_div(*tensors(np.log(P), T), reduction="batchmean"), divergence),
        "log target": (F.kl_div(*tensors(np.log(P), np.log(T)), reduction="batchmean", log_target=True), divergence),
    }, factor=10)  # fmt: skip


def test_cross_entropy_in_all_its_forms():
    x, y, w = lx.tensor(LOGITS), lx.tensor(CLASSES), lx.tensor(WEIGHT)
    logp = special.log_softmax(LOGITS, 1)
    each = -logp[np.arange(5), CLASSES]
    weights = WEIGHT[CLASSES]
    kept = CLASSES != 1
    soft = RNG.dirichlet(np.ones(4), 5)
    smooth = 0.9 * each - 0.1 * logp.mean(1)
    image = RNG.normal(size=(2, 4, 3, 2))
    labels = RNG.integers(0, 4, (2, 3, 2))
    in_image = -np.take_along_axis(special.log_softmax(image, 1), labels[:, None], 1)[:, 0]
    compare({
        "mean": (F.cross_entropy(x, y), each.mean()), "sum": (F.cross_entropy(x, y, reduction="sum"), each.sum()),
        "none": (F.cross_entropy(x, y, reduction="none"), each), "layer": (nn.CrossEntropyLoss()(x, y), each.mean()),
        "weighted": (F.cross_entropy(x, y, w), (each * weights).sum() / weights.sum()),
        "ignored": (F.cross_entropy(x, y, ignore_index=1), each[kept].mean()),
        "ignored each": (F.cross_entropy(x, y, ignore_index=1, reduction="none"), np.where(kept, each, 0)),
        "smoothed": (F.cross_entropy(x, y, label_smoothing=0.1), smooth.mean()),
        "probabilities": (F.cross_entropy(x, lx.tensor(soft)), -(soft * logp).sum(1).mean()),
        "image": (F.cross_entropy(lx.tensor(image), lx.tensor(labels)), in_image.mean()),
        "one": (F.cross_entropy(x[0], y[0]), each[0]),
        "nll": (F.nll_loss(F.log_softmax(x, 1), y, w), (each * weights).sum() / weights.sum()),
        "nll layer": (nn.NLLLoss(reduction="sum")(F.log_softmax(x, 1), y), each.sum()),
        "all ignored": (F.cross_entropy(x, lx.full((5,), -100)), np.nan),
    }, factor=10)  # fmt: skip


def test_its_derivative():
    y, w = lx.tensor(CLASSES), lx.tensor(WEIGHT)
    for options in ({}, {"weight": w}, {"ignore_index": 1}, {"label_smoothing": 0.2, "weight": w}):
        assert gradcheck(functools.partial(F.cross_entropy, target=y, **options), (lx.tensor(LOGITS, requires_grad=True),))
    x = lx.tensor(LOGITS, requires_grad=True)
    F.cross_entropy(x, y).backward()
    np.testing.assert_allclose(
        x.grad.numpy(), (special.softmax(LOGITS, 1) - np.eye(4)[CLASSES]) / 5, rtol=1e-10, atol=1e-14
    )


def test_large_logits_stay_finite():
    x = lx.tensor([[1000.0, -1000.0], [-1000.0, 1000.0]], requires_grad=True)
    loss = F.cross_entropy(x, lx.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 1000.0
    assert np.array_equal(x.grad.numpy(), [[0, 0], [-0.5, 0.5]])
    logits = lx.tensor([500.0, -500.0], requires_grad=True)
    F.binary_cross_entropy_with_logits(logits, lx.tensor([0.0, 1.0]), reduction="sum").backward()
    assert np.array_equal(logits.grad.numpy(), [1, -1])


def test_at_the_kinks_of_losses():
    x = lx.tensor([[1.0, 2.0, 2.0, 0.0]], requires_grad=True)  # the first is at the margin of the second, exactly
    (g,) = lx.autograd.grad(F.multi_margin_loss(x, lx.tensor([1])), x)
    assert g.tolist() == [[0.0, -0.25, 0.25, 0.0]]
    d = lx.tensor([0.5, 1.0, 2.0, -1.0], requires_grad=True)
    (g,) = lx.autograd.grad(F.huber_loss(d, lx.zeros(4), reduction="sum"), d, create_graph=True)
    assert g.tolist() == [0.5, 1.0, 1.0, -1.0]
    assert lx.autograd.grad(g.sum(), d)[0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_multi_margin_and_weights():
    x, y = lx.tensor(LOGITS), lx.tensor(CLASSES)
    own = LOGITS[np.arange(5), CLASSES][:, None]
    gap = np.maximum(0, 1 - own + LOGITS)
    gap[np.arange(5), CLASSES] = 0
    compare({
        "1": (F.multi_margin_loss(x, y), gap.sum(1).mean() / 4),
        "2": (F.multi_margin_loss(x, y, p=2, reduction="none"), (gap**2).sum(1) / 4),
        "weighted": (nn.MultiMarginLoss(weight=lx.tensor(WEIGHT))(x, y), (gap.sum(1) * WEIGHT[CLASSES]).mean() / 4),
        "one class": (F.multi_margin_loss(lx.tensor(0.3), lx.tensor(0)), np.float32(0)),
        "pos_weight": (F.binary_cross_entropy_with_logits(*tensors(X, T), pos_weight=lx.tensor([1.0, 2.0, 3.0]).double()),
            (-T * special.log_expit(X) * [1, 2, 3] - (1 - T) * special.log_expit(-X)).mean()),
    }, factor=10)  # fmt: skip


@pytest.mark.parametrize("call, kind, words", [
    (lambda: F.cross_entropy(lx.ones(3, 4), lx.zeros(2, dtype=lx.int64)), ValueError, "batch_size"),
    (lambda: F.cross_entropy(lx.ones(3, 4), lx.zeros(3, dtype=lx.int64), reduction="average"), ValueError, "average"),
    (lambda: F.cross_entropy(lx.ones(3, 4), lx.zeros(3, dtype=lx.int64), lx.ones(5)), RuntimeError, "weight"),
    (lambda: F.binary_cross_entropy(lx.ones(3), lx.ones(4)), ValueError, "size"),
    (lambda: F.multi_margin_loss(lx.ones(2, 3), lx.zeros(2, dtype=lx.int64), p=3), ValueError, "p == 1"),
    (lambda: F.cross_entropy(lx.ones(3, 4), lx.zeros(3, dtype=lx.int32)), RuntimeError, "Long or Byte, but got Int"),
    (lambda: F.ctc_loss(lx.ones(5, 2, 3), lx.ones(2, 4).long(), (6, 5), (4, 4)), RuntimeError, "input_lengths .* 0 and 5"),
    (lambda: F.ctc_loss(lx.ones(5, 2, 3), lx.ones(2, 4).long(), (5, 5), (4, 5)), RuntimeError, "target_lengths .* 0 and 4"),
    (lambda: F.multi_margin_loss(lx.ones(2, 3), lx.zeros(2), reduction="abc"), ValueError, "abc"),
    (lambda: F.multi_margin_loss(lx.ones(2, 3), lx.zeros(2), weight=lx.ones(())), ValueError, "one-dimensional"),
    (lambda: F.multilabel_margin_loss(lx.ones(2, 0), lx.ones(2, 0).long()), RuntimeError, "non-empty vector"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_weights_of_classes_are_looked_up_for_each_target():
    """And not multiplied with every class of every pixel; an ignored target has no weight, one outside the classes is NaN."""
    rng = np.random.default_rng(0)
    logp, weight = rng.standard_normal((2, 5, 3, 4)), rng.random(5)
    target = rng.integers(0, 5, (2, 3, 4))
    target[0, 0, 0] = -100
    x = lx.tensor(logp, requires_grad=True)
    loss = F.nll_loss(x, lx.tensor(target), lx.tensor(weight))
    assert not re.search(r"stablehlo.multiply .*tensor<2x5x3x4xf64>", text_of(loss.detach()))
    keep = target >= 0
    w = np.where(keep, weight[np.maximum(target, 0)], 0.0)
    own = np.take_along_axis(logp, np.maximum(target, 0)[:, None], 1)[:, 0]
    np.testing.assert_allclose(loss.item(), -(w * own).sum() / w.sum(), rtol=1e-12)
    (g,) = lx.autograd.grad(loss, x)
    expected = np.zeros_like(logp)
    np.put_along_axis(expected, np.maximum(target, 0)[:, None], (-w / w.sum())[:, None], 1)
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-12)
    target[1, 2, 3] = 5
    each = F.nll_loss(x, lx.tensor(target), lx.tensor(weight), reduction="none").detach().numpy()
    np.testing.assert_array_equal(np.isnan(each), target == 5)


def test_cross_entropy_of_a_linear_layer():
    lx.manual_seed(0)
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.standard_normal((2, 5)))
    classes = lx.tensor(rng.integers(0, 3, (2, 2, 4)))
    loss = nn.LinearCrossEntropyLoss(5, 3, out_features=(2, 4), bias=True, dtype=lx.float64, ignore_index=1)
    assert loss.linear.weight.shape == (24, 5) and loss.linear.bias.shape == (24,)
    logits = loss.linear(x).reshape(2, 3, 2, 4)
    assert loss(x, classes).item() == pytest.approx(F.cross_entropy(logits, classes, ignore_index=1).item(), rel=1e-12)
    assert "in_features=5, num_classes=3, out_features=(2, 4), bias=True" in repr(loss)

    plain = nn.LinearCrossEntropyLoss(5, 3, dtype=lx.float64, label_smoothing=0.1, options=nn.LinearCrossEntropyOptions())
    one, likely = x[0], lx.tensor([0.2, 0.3, 0.5], dtype=lx.float64)
    expected = F.cross_entropy(plain.linear(one), likely, label_smoothing=0.1)
    assert plain(one, likely).item() == pytest.approx(expected.item(), rel=1e-12)
    weight = lx.tensor([1.0, 2.0, 0.5], dtype=lx.float64)
    found = F.linear_cross_entropy(x, plain.linear.weight, classes[:, 0, 0], weight=weight, reduction="none")
    assert found.tolist() == F.cross_entropy(plain.linear(x), classes[:, 0, 0], weight, reduction="none").tolist()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda w: F.linear_cross_entropy(lx.ones(1, 2, 5), w, lx.zeros(1)), "dimensionality 1 or 2, got 3"),
        (lambda w: F.linear_cross_entropy(lx.ones(2, 5), lx.ones(5), lx.zeros(1)), "dimensionality at least 2, got 1"),
        (lambda w: F.linear_cross_entropy(lx.ones(2, 4), w, lx.zeros(2)), r"\(in_features\), got 4 and 5"),
        (lambda w: F.linear_cross_entropy(lx.ones(5), lx.ones(3, 2, 5), lx.zeros(2)), "requires batched input"),
        (lambda w: F.linear_cross_entropy(lx.ones(5), w, lx.ones(3), ignore_index=0), "ignore_index cannot be specified"),
        (lambda w: F.linear_cross_entropy(lx.ones(5), w, lx.ones(3), linear_bias=lx.ones(2)), "expected linear_bias shape"),
        (lambda w: nn.LinearCrossEntropyLoss(5, 3, weight=lx.ones(2)), "expected weight shape"),
        (lambda w: nn.LinearCrossEntropyLoss(5, 3, label_smoothing=2.0), "label_smoothing to be in range"),
    ],
)  # fmt: skip
def test_what_cross_entropy_of_a_linear_layer_refuses(call, words):
    with pytest.raises(RuntimeError, match=words):
        call(lx.ones(3, 5))


@pytest.mark.parametrize("options", [{"acc_policy": "best"}, {"chunking_method": "aspect_ratio:0"}, {"batch_chunk_size": 0}])
def test_options_that_there_are_not(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        nn.LinearCrossEntropyOptions(**options)
