"""Convolutions with the channels last: random nets against NumPy and against the pass switched off, and what is emitted."""

import re

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.lazy import ops
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import debug, layouts, passes
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def off(monkeypatch):
    monkeypatch.setattr(layouts, "enabled", [False])


def turned() -> int:
    return lx.metrics.report(as_dict=True)["convolutions_turned"]


def widened() -> int:
    return lx.metrics.report(as_dict=True)["convolutions_widened"]


def text_of(*tensors) -> str:
    return debug.stablehlo(*tensors, locations=False)


def count(text: str, op: str) -> int:
    return len(re.findall(rf"stablehlo\.{op}\b", text))


class RandomNet:
    """A net of convolutions and of what stands between them, drawn at random; all values are [N, C, *S] of one rank."""

    KINDS = (
        "conv", "conv", "conv", "strided", "grouped", "dilated", "transposed", "norm", "relu", "residual", "join", "max",
        "mean", "edges", "crop", "flip", "gate", "softmax", "permuted", "regrouped", "running", "row", "matrix", "where",
        "write",
    )  # fmt: skip

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.n = int(rng.choice([1, 2, 2, 2, 3]))
        self.leaves: list = []
        size = {1: 12, 2: 7, 3: 4}[self.n]
        self.x = self.leaf(int(rng.integers(1, 4)), int(rng.integers(1, 5)), *rng.integers(size, size + 3, self.n).tolist())

    def leaf(self, *shape: int):
        found = lx.tensor(self.rng.normal(size=shape), requires_grad=True)
        self.leaves.append(found)
        return found

    def conv(self, x, stride: int = 1, dilation: int = 1, groups: int = 1, kernel: int = 3, transposed: bool = False):
        f = getattr(F, f"conv{'_transpose' if transposed else ''}{self.n}d")
        inputs, outputs = x.shape[1], groups * int(self.rng.integers(1, 4))
        k = [min(kernel, 2 if s < 3 else kernel) for s in x.shape[2:]]
        w = self.leaf(*((inputs, outputs // groups) if transposed else (outputs, inputs // groups)), *k)
        pads = [int(self.rng.integers(dilation * (a - 1) // 2, dilation * (a - 1) + 1)) for a in k]
        if transposed:
            pads = [p // 2 for p in pads]
        bias = self.leaf(outputs) if self.rng.integers(0, 2) else None
        return f(x, w / (w.numel() / outputs) ** 0.5, bias, stride=stride, padding=pads, dilation=dilation, groups=groups)

    def step(self, kind: str, x, values: list):
        n, rng = self.n, self.rng
        spatial = tuple(range(2, n + 2))
        small = min(x.shape[2:]) < 4
        if kind == "conv":
            return self.conv(x, kernel=int(rng.choice([1, 2, 3])))
        if kind == "strided":
            return x if small else self.conv(x, stride=2)
        if kind == "grouped":
            return self.conv(x, groups=x.shape[1])
        if kind == "dilated":
            return x if small else self.conv(x, dilation=2, kernel=2)
        if kind == "transposed":
            return self.conv(x, stride=2, kernel=2, transposed=True)[(..., *[slice(0, 9)] * n)]
        if kind == "norm":
            return F.batch_norm(x, None, None, self.leaf(x.shape[1]), self.leaf(x.shape[1]), True)
        if kind == "relu":
            return F.leaky_relu(x, 0.1)
        if kind == "residual":
            same = [v for v in values if v.shape == x.shape]
            return x + same[int(rng.integers(0, len(same)))] if same else x
        if kind == "join":
            fitting = [v for v in values if v.shape[2:] == x.shape[2:] and v.shape[0] == x.shape[0]]
            return lx.cat([x, fitting[int(rng.integers(0, len(fitting)))]], 1)[:, :6] if fitting else x
        if kind == "max":
            return x if small else getattr(F, f"max_pool{n}d")(x, 2, padding=int(rng.integers(0, 2)))
        if kind == "mean":
            return x if small else getattr(F, f"avg_pool{n}d")(x, 3, stride=int(rng.integers(1, 3)), padding=1)
        if kind == "edges":
            return F.pad(x, [int(p) for p in rng.integers(0, 2, 2 * n)], value=0.5)
        if kind == "crop":
            return x if small else x[:, :, 1:, ..., ::2] if n > 1 else x[..., 1:]
        if kind == "flip":
            return x.flip([int(rng.integers(1, n + 2))])
        if kind == "gate":
            return x * x.mean(spatial, keepdim=True).sigmoid()
        if kind == "softmax":
            return lx.softmax(x, 1)
        if kind == "permuted":  # twice round, with something between
            order = rng.permutation(n + 2).tolist()
            y = x.permute(order)
            y = y * y.sum(int(rng.integers(0, n + 2)), keepdim=True).tanh()
            return y.permute(np.argsort(order).tolist())
        if kind == "regrouped":
            return x.flatten(1).tanh().reshape(x.shape)
        if kind == "running":
            return lx.cumsum(x, int(rng.integers(1, n + 2))) / max(x.shape)
        if kind == "row":
            return x + lx.arange(x.shape[-1], dtype=x.dtype) * 0.1
        if kind == "matrix":
            return x @ self.leaf(x.shape[-1], x.shape[-1]) / x.shape[-1]
        if kind == "write":
            y = x.clone()
            y[:, :1, ..., 0] = y[:, -1:, ..., -1] * 2
            return y
        return lx.where(x > 0, x, x.mean((0, *spatial), keepdim=True))

    def record(self) -> list:
        values = [self.x]
        kinds = self.rng.choice(self.KINDS, int(self.rng.integers(4, 12))).tolist()
        for kind in ["conv", *kinds, "conv"]:
            values.append(self.step(kind, values[-1], values))
        outputs = [values[-1], values[len(values) // 2]]
        total = sum((v * v).mean() for v in outputs)
        return outputs + [g for g in lx.autograd.grad(total, self.leaves, allow_unused=True) if g is not None]


SEEDS = [*range(24), *(pytest.param(s, marks=pytest.mark.slow) for s in range(24, 300))]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_nets_agree_with_numpy(seed):
    outputs = [t.detach() for t in RandomNet(seed).record()]
    expected = [interpret(t) for t in outputs]
    lx.sync()
    assert turned() > 2
    for got, value in zip(outputs, expected, strict=True):
        assert_close(got.numpy(), value, factor=1000)


@pytest.mark.parametrize("seed", range(4))
def test_the_pass_can_be_switched_off(seed, monkeypatch):
    found, counts = [], []
    for on in (True, False):
        monkeypatch.setattr(layouts, "enabled", [on])
        lx.lowering.clear_cache()
        found.append([t.detach().numpy() for t in RandomNet(seed).record()])
        counts.append(turned())
    assert counts[0] == counts[1] > 0
    for got, value in zip(*found, strict=True):
        assert_close(got, value, factor=1000)


def test_choose_layouts_is_the_switch():
    x, w = lx.ones(2, 3, 8, 8), lx.ones(4, 3, 3, 3)
    try:
        lx.lowering.choose_layouts(False)
        assert "[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]" in text_of(F.conv2d(x, w))
        assert turned() == 0
    finally:
        lx.lowering.choose_layouts(True)
    assert "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in text_of(F.conv2d(x, w))
    assert turned() == 1


def test_in_one_dim():
    x, w = lx.ones(2, 3, 5), lx.ones(4, 3, 2)
    assert "[b, 0, f]x[0, i, o]->[b, 0, f]" in text_of(F.conv1d(x, w))


@pytest.mark.parametrize("transposed, options", [
    (False, {"padding": 1}), (False, {"stride": 2, "padding": (1, 0, 1)}), (False, {"dilation": (2, 1, 2), "padding": 2}),
    (True, {"stride": 2, "padding": 1}), (True, {"stride": (2, 1, 3), "output_padding": (1, 0, 2), "dilation": 2}),
    (True, {"groups": 2, "stride": (3, 2, 1), "padding": (2, 1, 0)}),
])  # fmt: skip
def test_volumes_are_done_as_images(transposed, options):
    """The result and both gradients, of which those of strided convolutions are dilated."""
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(2, 4, 4, 5, 6)), requires_grad=True)
    w = lx.tensor(rng.normal(size=(4, 3, 3, 2, 3) if transposed else (3, 4, 3, 2, 3)), requires_grad=True)
    y = (F.conv_transpose3d if transposed else F.conv3d)(x, w, **options)
    results = [t.detach() for t in (y, *lx.autograd.grad((y * y).sum(), (x, w)))]
    text = text_of(*results)
    assert "[b, 0, 1, f]" in text and "[b, 0, 1, 2, f]" not in text
    for got, value in zip(results, [interpret(t) for t in results], strict=True):
        assert_close(got.numpy(), value, factor=200)


def test_a_volume_that_is_spread_and_taken_in_steps():
    rng = np.random.default_rng(0)
    x, w = lx.tensor(rng.normal(size=(1, 2, 4, 3, 3))), lx.tensor(rng.normal(size=(3, 2, 2, 2, 2)))
    steps = {"strides": (2, 1, 1), "padding": ((-1, 2), (1, 0), (0, 0)), "lhs_dilation": (3, 2, 1), "rhs_dilation": (2, 1, 1)}
    y = ops.convolution(x, w, **steps, groups=1)
    assert_close(y.numpy(), interpret(y), factor=100)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_other_platforms_choose_for_themselves(platform):
    plan = debug.plan_for(F.conv2d(lx.ones(2, 3, 8, 8), lx.ones(4, 3, 3, 3)))
    text = passes.lowered(plan, platform).operation.get_asm(enable_debug_info=False)
    assert "[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]" in text
    assert turned() == 0


@pytest.mark.parametrize("dtype", [lx.int32, lx.complex64], ids=str)
def test_whole_and_complex_numbers_are_left_alone(dtype):
    x, w = lx.ones(2, 3, 8, 8, dtype=dtype), lx.ones(4, 3, 3, 3, dtype=dtype)
    assert "[b, f, 0, 1]x" in text_of(lx.conv_general(x, w, (1, 1), [(0, 0)] * 2, (1, 1), None, 1))


def block(x, w, scale, running):
    x = F.batch_norm(F.conv2d(x, w, padding=1), *running, scale, scale, True)
    return F.relu(x)


def test_a_run_of_convolutions_is_turned_once_at_its_ends():
    x, v = lx.rand(2, 32, 8, 8), lx.ones(32)
    weights = [lx.rand(32, 32, 3, 3) for _ in range(4)]
    for w in weights:
        x = block(x, w, v, (lx.zeros(32), lx.ones(32))) + x
    x = F.max_pool2d(lx.cat([x, F.pad(x, (1, 1, 0, 0))[..., 1:-1]], 1), 2)
    text = text_of(x)
    assert count(text, "convolution") == 4
    images = re.findall(r"stablehlo\.transpose.*tensor<2x", text)
    assert len(images) == 2  # what comes in, and what goes out
    assert count(text, "transpose") == 2 + len(weights)


def test_a_training_step_turns_no_more_than_it_must():
    x = lx.ones(4, 32, 8, 8)
    weights = [lx.ones(32, 32, 3, 3, requires_grad=True) for _ in range(3)]
    y = x
    for w in weights:
        y = F.relu(F.conv2d(y, w, padding=1))
    text = text_of(*lx.autograd.grad(y.mean(), weights))
    # the images that come in; of each weight's gradient two operands and the result; the weights, forward and backward
    assert count(text, "transpose") <= 1 + 3 * len(weights) + 2 * len(weights)
    assert count(text, "convolution") == 3 + 3 + 2


def test_a_user_who_permutes_to_channels_last_turns_nothing():
    x = lx.rand(2, 8, 8, 24).permute(0, 3, 1, 2)
    y = F.conv2d(x, lx.rand(24, 24, 3, 3)).permute(0, 2, 3, 1)
    assert count(text_of(y), "transpose") == 1  # the weight


@pytest.mark.parametrize("channels, outputs, kernel, stride, size, expected", [
    (16, 16, 3, 1, 32, 2), (3, 16, 3, 1, 32, 4), (3, 32, 3, 1, 32, 2), (3, 64, 7, 2, 32, 1), (1, 32, 3, 1, 28, 1),
    (1, 6, 5, 1, 28, 4), (8, 8, 3, 1, 32, 4), (16, 16, 3, 2, 32, 2), (32, 16, 3, 1, 32, 1), (16, 16, 1, 1, 32, 1),
    (16, 16, 3, 1, 15, 1), (16, 8, 3, 1, 14, 2), (4, 4, 2, 3, 32, 1),
])  # fmt: skip
def test_few_channels_are_done_several_columns_at_once(channels, outputs, kernel, stride, size, expected):
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(2, channels, size, size)))
    w = lx.tensor(rng.normal(size=(outputs, channels, kernel, kernel)))
    y = F.conv2d(x, w, stride=stride, padding=kernel // 2)
    value = interpret(y)
    assert (f"x{expected * outputs}xf64>)" in text_of(y)) is True
    assert_close(y.numpy(), value, factor=200)
    assert widened() == 2 * (expected > 1)


@pytest.mark.parametrize("options", [{"dilation": (1, 2)}, {"groups": 2}])
def test_dilated_and_grouped_kernels_are_not_widened(options):
    y = F.conv2d(lx.ones(2, 4, 16, 16), lx.ones(4, 4 // options.get("groups", 1), 3, 3), **options)
    text_of(y)
    assert widened() == 0


@pytest.mark.parametrize("n, channels, outputs, groups, options", [
    (2, 6, 6, 6, {"padding": 1}), (2, 3, 9, 3, {"stride": 2, "padding": (1, 0)}), (1, 4, 4, 4, {"dilation": 2, "padding": 3}),
    (3, 2, 2, 2, {}), (2, 4, 6, 2, {"stride": 2, "padding": 1}), (2, 66, 66, 33, {"padding": 1}),
])  # fmt: skip
def test_groups_of_channels(n, channels, outputs, groups, options):
    """Depthwise ones as sums, few groups as convolutions of their own, many by the backend; forward and gradients."""
    rng = np.random.default_rng(0)
    size = {1: 12, 2: 6, 3: 4}[n]
    x = lx.tensor(rng.normal(size=(2, channels, *[size] * n)), requires_grad=True)
    w = lx.tensor(rng.normal(size=(outputs, channels // groups, *[3] * n)), requires_grad=True)
    y = getattr(F, f"conv{n}d")(x, w, groups=groups, **options)
    results = [t.detach() for t in (y, *lx.autograd.grad((y * y).sum(), (x, w)))]
    assert ("feature_group_count = 33" in text_of(*results)) is (groups == 33)
    for got, value in zip(results, [interpret(t) for t in results], strict=True):
        assert_close(got.numpy(), value, factor=200)


def test_a_depthwise_step_has_no_convolution():
    x, w = lx.rand(2, 6, 8, 8, requires_grad=True), lx.rand(6, 1, 3, 3, requires_grad=True)
    y = F.conv2d(x, w, padding=1, groups=6, stride=2)
    assert count(text_of(*lx.autograd.grad((y * y).sum(), (x, w))), "convolution") == 0


@pytest.mark.parametrize("n, size, options", [
    (2, 5, {}), (1, 6, {}), (3, 3, {}), (2, 7, {"stride": 2}), (2, 6, {"stride": (2, 3)}),
])  # fmt: skip
def test_kernels_of_one_place_are_products(n, size, options):
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(2, 3, *[size] * n)), requires_grad=True)
    w = lx.tensor(rng.normal(size=(4, 3, *[1] * n)), requires_grad=True)
    y = getattr(F, f"conv{n}d")(x, w, **options)
    results = [t.detach() for t in (y, *lx.autograd.grad((y * y).sum(), (x, w)))]
    text = text_of(*results)
    assert count(text, "convolution") == (2 if options else 0)  # strided: the result and the image's gradient
    assert count(text, "dot_general") == (1 if options else 3)
    for got, value in zip(results, [interpret(t) for t in results], strict=True):
        assert_close(got.numpy(), value, factor=100)


def test_a_kernel_as_large_as_the_image_is_a_product():
    rng = np.random.default_rng(0)
    x, w = lx.tensor(rng.normal(size=(2, 3, 5, 7))), lx.tensor(rng.normal(size=(4, 3, 3, 4)))
    y = F.conv2d(x[:, :, :3, :4], w)
    dilated = F.conv2d(x, w, dilation=2)
    assert (count(text_of(y, dilated), "convolution"), y.shape, dilated.shape) == (0, (2, 4, 1, 1), (2, 4, 1, 1))
    for value in (y, dilated):
        assert_close(value.numpy(), interpret(value), factor=100)


def test_dilated_rows_and_uneven_edges_are_widened_right():
    rng = np.random.default_rng(0)
    x, w = lx.tensor(rng.normal(size=(2, 3, 9, 10))), lx.tensor(rng.normal(size=(5, 3, 2, 4)))
    y = lx.conv_general(x, w, (2, 1), [(1, 0), (2, 3)], (3, 1), None, 1)
    value = interpret(y)
    assert_close(y.numpy(), value, factor=100)
    assert widened() == 1


def test_broadcasts_and_reductions_of_turned_values():
    """Kept dims in another order than the program's: the result stays as it lies until somebody reads it."""
    rng = np.random.default_rng(0)
    x, w = lx.tensor(rng.normal(size=(2, 3, 6, 5))), lx.tensor(rng.normal(size=(4, 3, 3, 3)))
    y = F.conv2d(x, w, padding=1)
    planes = y.sum(0)  # [C, H, W], held as [H, W, C]
    again = ops.broadcast_in_dim(planes, shape=(4, 7, 6, 5), dims=(0, 2, 3))
    rows = ops.broadcast_in_dim(y.amax(3), shape=(2, 4, 6, 3), dims=(0, 1, 2))
    for value in (planes, again, rows, y.any(2), y.prod(1), again + planes[:, None]):
        assert_close(value.numpy(), interpret(value), factor=100)


def test_an_empty_batch():
    assert F.conv2d(lx.ones(0, 3, 8, 8), lx.ones(4, 3, 3, 3)).numpy().shape == (0, 4, 6, 6)


def test_gradients_of_gradients():
    rng = np.random.default_rng(0)
    x = lx.tensor(rng.normal(size=(1, 2, 4, 4)), requires_grad=True)
    w = lx.tensor(rng.normal(size=(2, 2, 3, 3)), requires_grad=True)
    assert lx.autograd.gradgradcheck(lambda x, w: F.conv2d(x, w, padding=1, stride=2).tanh(), (x, w))


@pytest.mark.parametrize("output_padding, dilation", [(0, 1), (1, 2)])
def test_the_zeros_in_a_transposed_convolution_are_not_multiplied_for_its_weight(output_padding, dilation):
    rng = np.random.default_rng(0)
    x, w = lx.tensor(rng.normal(size=(2, 3, 4, 5))), lx.tensor(rng.normal(size=(3, 2, 3, 2)), requires_grad=True)
    y = F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=output_padding, dilation=dilation)
    g = lx.tensor(rng.normal(size=tuple(y.shape)))
    y.backward(g)
    assert "lhs_dilation = array<i64: 2" not in text_of(w.grad)
    # an element of x meets the element of the result that lies a tap further on
    expected = np.zeros(w.shape)
    edge = np.pad(g.numpy(), ((0, 0), (0, 0), (1, 3), (1, 3)))
    for i in range(3):
        for j in range(2):
            part = edge[:, :, i * dilation :, j * dilation :][:, :, :8:2, :10:2]
            expected[:, :, i, j] = np.einsum("nchw,nohw->co", x.numpy(), part)
    np.testing.assert_allclose(w.grad.numpy(), expected, rtol=1e-12)
    few = x[:1, :, :2, :2]
    one = w.detach()[:, :1].requires_grad_()
    assert lx.autograd.gradgradcheck(lambda w: F.conv_transpose2d(few, w, stride=2).tanh(), (one,))


@pytest.mark.parametrize("channels, times", [(3, 1), (4, 2)])
def test_groups_in_eager_mode(channels, times):
    w = lx.arange(times * channels * 9.0).reshape(times * channels, 1, 3, 3).sin().requires_grad_()
    x = lx.arange(channels * 50.0).reshape(2, channels, 5, 5).cos()

    def gradient():
        (g,) = lx.autograd.grad(F.conv2d(x, w, groups=channels).square().sum(), w)
        return g.numpy()

    expected = gradient()
    with lx.eager():
        np.testing.assert_allclose(gradient(), expected, rtol=1e-4, atol=1e-4)
