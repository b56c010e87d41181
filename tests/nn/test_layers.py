"""Every layer: made, shown, run, moved, copied, saved and loaded; and how parameters begin."""

import copy
import inspect

import numpy as np
import pytest
from scipy import stats

import lazyxla as lx
from lazyxla import nn
from lazyxla.nn import init
from tests.reference import kit

IMAGE, VOLUME, LINE, FLAT = (2, 4, 6, 6), (2, 4, 4, 4, 4), (2, 4, 8), (3, 4)
WINDOWED = {"1d": LINE, "2d": IMAGE, "3d": VOLUME}
ARGUMENTS = {
    "Linear": (4, 3), "Bilinear": (4, 4, 3), "Embedding": (9, 3), "GroupNorm": (2, 4), "LayerNorm": (4,), "RMSNorm": (4,),
    "LocalResponseNorm": (2,), "PReLU": (4,), "Threshold": (0.1, 2.0), "Unflatten": (1, (2, 2)), "Fold": ((4, 4), 2),
    "Unfold": (2,), "PixelShuffle": (2,), "PixelUnshuffle": (2,), "LPPool1d": (2.0, 2), "LPPool2d": (2.0, 2), "Softmax": (1,),
    "LogSoftmax": (1,), "Softmin": (1,), "GLU": (1,), "Upsample": (None, 2), "UpsamplingNearest2d": (None, 2),
    "UpsamplingBilinear2d": (None, 2), "ChannelShuffle": (2,), "MaxUnpool1d": (2,), "MaxUnpool2d": (2,),
    "MaxUnpool3d": (2,), "EmbeddingBag": (9, 3), "LPPool3d": (2.0, 2),
    "MultiheadAttention": (4, 2), "NonDynamicallyQuantizableLinear": (4, 3), "Transformer": (4, 2, 1, 1, 6),
    "TransformerEncoderLayer": (4, 2, 6), "TransformerDecoderLayer": (4, 2, 6),
    "FractionalMaxPool2d": (2, 3, None, False, lx.full((2, 4, 2), 0.3)),
    "FractionalMaxPool3d": (2, 2, None, False, lx.full((2, 4, 3), 0.3)),
}  # fmt: skip
INPUTS = {
    "Bilinear": (FLAT, FLAT), "GroupNorm": (IMAGE,), "LocalResponseNorm": (IMAGE,), "Fold": ((2, 4 * 4, 9),),
    "Unfold": (IMAGE,), "PixelShuffle": (IMAGE,), "PixelUnshuffle": (IMAGE,), "Softmax2d": (IMAGE,), "Upsample": (IMAGE,),
    "Dropout1d": (LINE,), "Dropout2d": (IMAGE,), "Dropout3d": (VOLUME,), "FeatureAlphaDropout": (IMAGE,),
    "CosineSimilarity": (FLAT, FLAT), "PairwiseDistance": (FLAT, FLAT), "Flatten": (IMAGE,),
    "UpsamplingNearest2d": (IMAGE,), "UpsamplingBilinear2d": (IMAGE,), "ChannelShuffle": (IMAGE,), "SyncBatchNorm": (IMAGE,),
    "MultiheadAttention": (LINE[:2] + (4,),) * 3, "Transformer": ((3, 2, 4), (5, 2, 4)), "RNN": ((5, 2, 4),),
    "TransformerEncoderLayer": ((3, 2, 4),), "TransformerDecoderLayer": ((3, 2, 4), (5, 2, 4)),
    "TransformerEncoder": ((3, 2, 4),), "TransformerDecoder": ((3, 2, 4), (5, 2, 4)), "LSTM": ((5, 2, 4),), "GRU": ((5, 2, 4),),
}  # fmt: skip
LAYERS = sorted(
    name for name, c in vars(nn).items()
    if inspect.isclass(c) and issubclass(c, nn.Module) and not name.endswith("Loss")
    and name not in ("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "DataParallel")
    and not name.startswith("Lazy") and not name.endswith(("Base", "Loss2d"))
)  # fmt: skip


def made(name):
    kind = getattr(nn, name)
    args = ARGUMENTS.get(name)
    if name in ("TransformerEncoder", "TransformerDecoder"):
        args = (getattr(nn, name + "Layer")(4, 2, 6), 2)
    elif args is None:
        if name.startswith("Conv"):
            args = (4, 2, 3)
        elif name.startswith(("RNN", "LSTM", "GRU")):
            args = (4, 3)
        elif "Norm" in name:
            args = (4,)
        elif "Adaptive" in name:
            args = (2,)
        elif "Pool" in name:
            args = (2,)
        elif "Pad" in name:
            args = (1, 0.5) if name.startswith("Constant") else (1,)
        else:
            args = ()
    return kind(*args)


def inputs(name):
    if name.startswith("Embedding"):
        return (lx.tensor([[1, 2], [0, 8]]),)
    if name.startswith("MaxUnpool"):
        n = int(name[-2])
        return lx.ones(2, 4, *[2] * n), lx.arange(2**n).reshape([2] * n).expand(2, 4, *[2] * n)
    shapes = INPUTS.get(name) or (next((s for end, s in WINDOWED.items() if name.endswith(end)), FLAT),)
    return tuple(lx.tensor(np.random.default_rng(0).normal(size=s).astype(np.float32)) for s in shapes)


def test_there_are_a_hundred_or_so():
    assert len(LAYERS) > 80, LAYERS


@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_life(name):
    lx.manual_seed(0)
    layer, given = made(name), inputs(name)
    assert repr(layer).startswith(f"{name}(")
    layer(*given)  # running statistics move
    layer.eval()
    with lx.no_grad():
        expected = layer(*given)
        twin = copy.deepcopy(layer)
        fresh = made(name).eval()
        fresh.load_state_dict(layer.state_dict())
        again = (twin(*given), fresh(*given))
        moved = made(name).eval()
        moved.load_state_dict(layer.state_dict())
        moved.to("xla")
        elsewhere = moved(*(t.to("xla") for t in given))
    assert kit.flat(elsewhere)[0].device.type == "xla"
    for got in (*again, elsewhere):
        for one, other in zip(kit.flat(got), kit.flat(expected), strict=True):
            np.testing.assert_allclose(one.cpu().numpy(), other.numpy(), rtol=2e-5, atol=1e-6)
    for p in twin.parameters():
        assert all(p is not q for q in layer.parameters())


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.startswith(("Embedding", "MaxUnpool"))])
def test_half_precision(name):
    layer = made(name).to(lx.bfloat16).eval()
    out = kit.flat(layer(*(t.to(lx.bfloat16) for t in inputs(name))))[0]
    assert out.dtype is lx.bfloat16
    assert bool(out.isfinite().all())


# --- how parameters begin ---------------------------------------------------------------------------------------


def close_to(t, distribution):
    """Kolmogorov and Smirnov's test does not tell the values from the distribution."""
    return stats.kstest(t.detach().numpy().ravel().astype(np.float64), distribution.cdf).pvalue > 1e-3


def uniform(a, b):
    return stats.uniform(a, b - a)


def test_distributions():
    lx.manual_seed(7)
    w = lx.empty(60, 50, 2)  # 100 in, 120 out
    assert close_to(init.uniform_(w, -2, 3), uniform(-2, 3))
    assert close_to(init.normal_(w, 1, 2), stats.norm(1, 2))
    assert close_to(init.trunc_normal_(w, 0.5, 2, -1, 3), stats.truncnorm(-0.75, 1.25, 0.5, 2))
    assert close_to(init.xavier_uniform_(w, 2.0), uniform(-2 * (6 / 220) ** 0.5, 2 * (6 / 220) ** 0.5))
    assert close_to(init.xavier_normal_(w), stats.norm(0, (2 / 220) ** 0.5))
    bound = (6 / 100) ** 0.5
    assert close_to(init.kaiming_uniform_(w), uniform(-bound, bound))
    assert close_to(init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), stats.norm(0, (2 / 120) ** 0.5))
    assert not close_to(init.kaiming_normal_(w), stats.norm(0, 0.2))
    with pytest.warns(FutureWarning, match="nn.init.kaiming_normal_"):
        assert close_to(init.kaiming_normal(w), stats.norm(0, (2 / 100) ** 0.5))
    with pytest.warns(FutureWarning, match="nn.init.normal_"):
        assert close_to(init.normal(w, -1, 3), stats.norm(-1, 3))


def test_gains_of_nonlinearities():
    gains = {
        "linear": 1, "conv2d": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": 2**0.5, "leaky_relu": (2 / 1.0001) ** 0.5,
        "selu": 0.75,
    }  # fmt: skip
    assert {name: init.calculate_gain(name) for name in gains} == pytest.approx(gains)
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx((2 / 1.04) ** 0.5)


def test_what_is_not_random():
    assert np.array_equal(init.eye_(lx.empty(2, 3)).numpy(), np.eye(2, 3))
    assert np.array_equal(init.constant_(lx.empty(3), 0.3).numpy(), np.full(3, 0.3, np.float32))
    assert init.zeros_(lx.empty(2)).tolist() == [0, 0] and init.ones_(lx.empty(2)).tolist() == [1, 1]
    x = lx.tensor(np.random.default_rng(0).normal(size=(1, 4, 5)).astype(np.float32))
    kernel = init.dirac_(lx.empty(4, 4, 3))
    np.testing.assert_allclose(nn.functional.conv1d(x, kernel, padding=1).numpy(), x.numpy(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 2)])
def test_orthogonal(shape):
    w = init.orthogonal_(lx.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1).astype(np.float64)
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_sparse():
    w = init.sparse_(lx.empty(20, 30), 0.3).numpy()
    assert ((w == 0).sum(0) == 6).all()


def test_layers_begin_as_pytorchs_do():
    lx.manual_seed(1)
    linear, conv = nn.Linear(400, 300), nn.Conv2d(8, 40, 5)
    for layer, fan_in in ((linear, 400), (conv, 200)):
        bound = fan_in**-0.5
        assert close_to(layer.weight, uniform(-bound, bound)) and close_to(layer.bias, uniform(-bound, bound))
    assert close_to(nn.Embedding(100, 50).weight, stats.norm)
    norm = nn.BatchNorm2d(3)
    assert norm.weight.tolist() == [1, 1, 1] and norm.bias.tolist() == [0, 0, 0]


@pytest.mark.parametrize("call, kind, words", [
    (lambda: init.xavier_uniform_(lx.empty(3)), ValueError, "[Ff]an in and fan out"),
    (lambda: init.eye_(lx.empty(3)), ValueError, "2 dimensions"),
    (lambda: init.calculate_gain("softplus"), ValueError, "nonlinearity softplus"),
    (lambda: init.kaiming_uniform_(lx.empty(3, 3), mode="fan"), ValueError, "fan"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "divisible by groups"),
    (lambda: nn.Conv2d(4, 4, 3, padding_mode="mirror"), ValueError, "padding_mode"),
    (lambda: nn.Dropout(-0.1), ValueError, "between 0 and 1"),
    (lambda: nn.GroupNorm(3, 4), ValueError, "divisible"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_the_fan_that_a_mode_names():
    w = lx.empty(3, 5, 2)
    assert [nn.init._calculate_correct_fan(w, mode) for mode in ("fan_in", "FAN_OUT")] == [10, 6]
    with pytest.raises(ValueError, match="Mode fan not supported"):
        nn.init._calculate_correct_fan(w, "fan")
