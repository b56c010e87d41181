"""What slides over images: convolutions, pooling, padding, unfold, resizing; against plain loops in NumPy."""

import itertools

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn
from lazyxla.autograd import gradcheck, gradgradcheck
from tests.lowering.test_forms import text_of
from tests.tolerances import compare

RNG = np.random.default_rng(0)


def windows(size, kernel, stride, dilation=1):
    """The places each window looks at, along one dim."""
    count = (size - dilation * (kernel - 1) - 1) // stride + 1
    return [[i * stride + dilation * j for j in range(kernel)] for i in range(count)]


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """A convolution of any number of dims, one window at a time."""
    n = x.ndim - 2
    stride, padding, dilation = (v if isinstance(v, tuple) else (v,) * n for v in (stride, padding, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    places = [windows(x.shape[d + 2], w.shape[d + 2], stride[d], dilation[d]) for d in range(n)]
    out = np.zeros((x.shape[0], w.shape[0], *map(len, places)))
    each_in, each_out = x.shape[1] // groups, w.shape[0] // groups
    for at in itertools.product(*(range(len(p)) for p in places)):
        piece = x[(slice(None), slice(None), *np.ix_(*(places[d][i] for d, i in enumerate(at))))]
        for g in range(groups):
            a = piece[:, g * each_in : (g + 1) * each_in].reshape(len(x), -1)
            k = w[g * each_out : (g + 1) * each_out].reshape(each_out, -1)
            out[(slice(None), slice(g * each_out, (g + 1) * each_out), *at)] = a @ k.T
    return out if b is None else out + b.reshape(-1, *(1,) * n)


def conv_transposed(x, w, stride, padding, output_padding, dilation, groups):
    """Each element of x adds its multiple of the kernel: the derivative of a convolution."""
    n = x.ndim - 2
    each_in, each_out = x.shape[1] // groups, w.shape[1]
    full = [(x.shape[d + 2] - 1) * stride[d] + dilation[d] * (w.shape[d + 2] - 1) + 1 + output_padding[d] for d in range(n)]
    out = np.zeros((x.shape[0], each_out * groups, *full))
    for at in itertools.product(*(range(s) for s in x.shape[2:])):
        for k in itertools.product(*(range(s) for s in w.shape[2:])):
            to = tuple(i * s + j * d for i, s, j, d in zip(at, stride, k, dilation))
            for g in range(groups):
                channels = slice(g * each_out, (g + 1) * each_out)
                inputs = slice(g * each_in, (g + 1) * each_in)
                out[(slice(None), channels, *to)] += x[(slice(None), inputs, *at)] @ w[(inputs, slice(None), *k)]
    return out[(slice(None), slice(None), *(slice(p, s - p) for p, s in zip(padding, full)))]


def randn(*shape):
    return RNG.normal(size=shape)


CONVOLUTIONS = [
    ((2, 3, 9), (4, 3, 3), {}), ((1, 4, 10), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ((2, 3, 7, 6), (4, 3, 3, 2), {}), ((1, 2, 8, 7), (3, 2, 3, 3), {"stride": (2, 1), "padding": (1, 2)}),
    ((2, 4, 9, 9), (4, 1, 3, 3), {"groups": 4, "dilation": 2}), ((1, 2, 5, 4, 6), (3, 2, 2, 3, 2), {"stride": (1, 1, 2)}),
]  # fmt: skip


def test_convolutions():
    pairs = {}
    for i, (shape, kernel, options) in enumerate(CONVOLUTIONS):
        x, w, b = randn(*shape), randn(*kernel), randn(kernel[0])
        f = getattr(F, f"conv{len(shape) - 2}d")
        pairs[f"{i}"] = f(lx.tensor(x), lx.tensor(w), lx.tensor(b), **options), conv(x, w, b, **options)
        layer = getattr(nn, f"Conv{len(shape) - 2}d")(shape[1], kernel[0], kernel[2:], bias=False, **options).double()
        layer.weight.data.copy_(lx.tensor(w))
        pairs[f"layer {i}"] = layer(lx.tensor(x)), conv(x, w, **options)
    x, w = randn(3, 7, 6), randn(4, 3, 3, 3)
    pairs["one image"] = F.conv2d(lx.tensor(x), lx.tensor(w)), conv(x[None], w)[0]
    pairs["same"] = F.conv2d(lx.tensor(x), lx.tensor(w), padding="same"), conv(x[None], w, padding=1)[0]
    pairs["valid"] = F.conv2d(lx.tensor(x), lx.tensor(w), padding="valid"), conv(x[None], w)[0]
    compare(pairs, factor=100)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_of_convolution_layers(mode):
    layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode).double()
    x = randn(2, 2, 5, 6)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)], {"replicate": "edge", "circular": "wrap"}.get(mode, mode))
    expected = conv(padded, layer.weight.detach().numpy(), layer.bias.detach().numpy())
    compare({mode: (layer(lx.tensor(x)), expected)}, factor=100)


TRANSPOSED = [
    ((2, 3, 5), (3, 4, 3), (1,), (0,), (0,), (1,), 1), ((1, 4, 5), (4, 3, 4), (3,), (2,), (1,), (1,), 2),
    ((2, 3, 4, 5), (3, 2, 3, 2), (2, 1), (1, 0), (1, 0), (1, 2), 1), ((1, 2, 3, 3, 2), (2, 2, 2, 2, 2), (2, 1, 2), (0, 1, 0),
    (0, 0, 1), (1, 1, 1), 1),
]  # fmt: skip


def test_transposed_convolutions():
    pairs = {}
    for i, (shape, kernel, *rest) in enumerate(TRANSPOSED):
        x, w = randn(*shape), randn(*kernel)
        f = getattr(F, f"conv_transpose{len(shape) - 2}d")
        stride, padding, extra, dilation, groups = rest
        got = f(lx.tensor(x), lx.tensor(w), None, stride, padding, extra, groups, dilation)
        pairs[f"{i}"] = got, conv_transposed(x, w, *rest)
    compare(pairs, factor=100)


def test_a_transposed_layer_can_be_told_its_size():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    assert layer(lx.ones(1, 2, 5, 5), output_size=(10, 9)).shape == (1, 3, 10, 9)
    with pytest.raises(ValueError, match="output size"):
        layer(lx.ones(1, 2, 5, 5), output_size=(12, 9))


def test_derivatives():
    x, w, b = (lx.tensor(randn(*s), requires_grad=True) for s in ((1, 2, 5, 4), (2, 1, 3, 2), (2,)))
    assert gradcheck(lambda *t: F.conv2d(*t, stride=2, padding=1, groups=2), (x, w, b))
    assert gradcheck(lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, groups=2), (x, w))
    assert gradcheck(lambda x: F.max_pool2d(x, 2, 1), (x,))
    assert gradcheck(lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (x,))
    assert gradcheck(lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (x,))
    assert gradcheck(lambda x: F.unfold(x, 2), (x,))
    assert gradcheck(lambda x: F.pad(x, (1, 2, 0, 1), "reflect"), (x,))
    assert gradcheck(lambda x: F.avg_pool2d(x, (4, 4)), (lx.tensor(randn(1, 1, 9, 8), requires_grad=True),))
    assert gradcheck(lambda x: F.interpolate(x, (3, 7), mode="bilinear"), (x,))
    assert gradcheck(lambda x: F.interpolate(x, scale_factor=(2, 3)), (x,))
    assert gradgradcheck(lambda x: F.interpolate(x, (7, 3), mode="bicubic").sin(), (x,))


@pytest.mark.parametrize("mode", ["linear", "bilinear", "bicubic", "trilinear"])
def test_resizing_with_a_gradient_to_come_is_that_without(mode):
    n = {"linear": 1, "trilinear": 3}.get(mode, 2)
    x = randn(2, 3, *[5, 6, 4][:n])
    x[1, 2, ..., 1] = np.inf
    x[1, 0, ..., 3] = np.nan
    for size in ([7, 11, 8][:n], [3, 2, 5][:n]):
        for align in (False, True):
            plain = F.interpolate(lx.tensor(x), size, mode=mode, align_corners=align)
            traced = F.interpolate(lx.tensor(x, requires_grad=True), size, mode=mode, align_corners=align)
            np.testing.assert_array_equal(traced.detach().numpy(), plain.numpy())
            assert np.isfinite(plain.numpy()[0]).all() and np.isfinite(plain.numpy()[1, 1]).all()
            kept = np.where(np.isfinite(x), x, 0.5)  # by products
            plain = F.interpolate(lx.tensor(kept), size, mode=mode, align_corners=align)
            traced = F.interpolate(lx.tensor(kept, requires_grad=True), size, mode=mode, align_corners=align)
            np.testing.assert_allclose(traced.detach().numpy(), plain.numpy(), atol=1e-12)


def test_resizing_is_mapped_over_a_batch():
    x = lx.tensor(randn(3, 1, 2, 4, 4))
    f = lambda x: F.interpolate(x, (5, 6), mode="bilinear").square().sum()
    each = lx.stack([lx.func.grad(f)(y) for y in x])
    np.testing.assert_allclose(lx.func.vmap(lx.func.grad(f))(x).numpy(), each.numpy(), atol=1e-12)


def pooled(x, kernel, stride, padding, f, dilation=1, ceil=False, fill=-np.inf):
    """f over each window; windows that begin in the padding behind the end are left out, as ceil_mode has it."""
    n = x.ndim - 2
    starts = []
    for d in range(n):
        size, span = x.shape[d + 2], dilation * (kernel - 1) + 1
        count = (size + 2 * padding - span + (stride - 1 if ceil else 0)) // stride + 1
        if ceil and (count - 1) * stride >= size + padding:
            count -= 1
        starts.append([i * stride - padding for i in range(count)])
    out = np.zeros((*x.shape[:2], *map(len, starts)))
    for at in itertools.product(*(range(len(s)) for s in starts)):
        places = [[starts[d][i] + dilation * j for j in range(kernel)] for d, i in enumerate(at)]
        inside = [[p for p in found if 0 <= p < x.shape[d + 2]] for d, found in enumerate(places)]
        within = [sum(-padding <= p < x.shape[d + 2] + padding for p in found) for d, found in enumerate(places)]
        piece = x[(slice(None), slice(None), *np.ix_(*inside))]
        out[(slice(None), slice(None), *at)] = f(piece.reshape(*x.shape[:2], -1), int(np.prod(within)))
    return out


def test_pooling():
    pairs = {}
    largest = lambda v, _: v.max(-1)
    mean = lambda v, _: v.mean(-1)
    with_edge = lambda v, count: v.sum(-1) / count
    for n, ceil, (k, s, p) in itertools.product((1, 2, 3), (False, True), ((2, 2, 0), (3, 2, 1))):
        x = randn(2, 3, *(7, 6, 5)[:n])
        t = lx.tensor(x)
        name = f"{n}d {k} {s} {p} {ceil}"
        most, average = getattr(F, f"max_pool{n}d"), getattr(F, f"avg_pool{n}d")
        pairs[f"max {name}"] = most(t, k, s, p, ceil_mode=ceil), pooled(x, k, s, p, largest, ceil=ceil)
        pairs[f"avg {name}"] = average(t, k, s, p, ceil), pooled(x, k, s, p, with_edge, ceil=ceil)
        pairs[f"mean {name}"] = average(t, k, s, p, ceil, False), pooled(x, k, s, p, mean, ceil=ceil)
        pairs[f"layer {name}"] = getattr(nn, f"MaxPool{n}d")(k, s, p, ceil_mode=ceil)(t), pairs[f"max {name}"][1]
        pairs[f"avg layer {name}"] = getattr(nn, f"AvgPool{n}d")(k, s, p, ceil)(t), pairs[f"avg {name}"][1]
    x = randn(1, 2, 9, 8)
    t = lx.tensor(x)
    pairs["dilated"] = F.max_pool2d(t, 2, 1, dilation=2), pooled(x, 2, 1, 0, largest, dilation=2)
    pairs["divisor"] = F.avg_pool2d(t, 2, divisor_override=3), pooled(x, 2, 2, 0, lambda v, _: v.sum(-1) / 3)
    pairs["lp"] = F.lp_pool2d(t.abs(), 3.0, 2), pooled(np.abs(x), 2, 2, 0, lambda v, _: (v**3).sum(-1) ** (1 / 3))
    compare(pairs, factor=100)


def test_max_pooling_tells_where():
    x = randn(2, 3, 6, 6)
    got, where = F.max_pool2d(lx.tensor(x), 2, return_indices=True)
    flat = x.reshape(2, 3, -1)
    assert where.dtype is lx.int64
    np.testing.assert_array_equal(np.take_along_axis(flat, where.numpy().reshape(2, 3, -1), 2), got.numpy().reshape(2, 3, -1))


def test_adaptive_pooling():
    pairs = {}
    x = randn(2, 3, 7, 10)
    t = lx.tensor(x)
    for size in ((1, 1), (7, 5), (3, 4), (9, 2)):
        edges = [[(i * n // o, -(-(i + 1) * n // o)) for i in range(o)] for n, o in zip((7, 10), size)]
        blocks = [[x[:, :, a:b, c:d] for c, d in edges[1]] for a, b in edges[0]]
        for name, f in (("avg", np.mean), ("max", np.max)):
            expected = np.stack([np.stack([f(v, (2, 3)) for v in row], -1) for row in blocks], -2)
            pairs[f"{name} {size}"] = getattr(F, f"adaptive_{name}_pool2d")(t, size), expected
    pairs["kept"] = nn.AdaptiveAvgPool2d((None, 1))(t), x.mean(3, keepdims=True)
    pairs["kept max"] = nn.AdaptiveMaxPool2d((None, 1))(t), x.max(3, keepdims=True)
    compare(pairs, factor=100)


def test_padding():
    x = randn(2, 3, 4, 5)
    t = lx.tensor(x)
    width = [(0, 0), (0, 0), (2, 1), (1, 3)]
    compare({
        "constant": (F.pad(t, (1, 3, 2, 1), value=2.5), np.pad(x, width, constant_values=2.5)),
        "reflect": (F.pad(t, (1, 3, 2, 1), "reflect"), np.pad(x, width, "reflect")),
        "replicate": (F.pad(t, (1, 3, 2, 1), "replicate"), np.pad(x, width, "edge")),
        "circular": (F.pad(t, (1, 3, 2, 1), "circular"), np.pad(x, width, "wrap")),
        "cropped": (F.pad(t, (-1, 2)), np.pad(x, [(0, 0)] * 3 + [(0, 2)])[..., 1:]),
        "layers": ([nn.ZeroPad2d((1, 3, 2, 1))(t), nn.ReflectionPad2d(1)(t), nn.ReplicationPad2d((0, 1, 2, 0))(t)],
            [np.pad(x, width), np.pad(x, [(0, 0)] * 2 + [(1, 1)] * 2, "reflect"),
             np.pad(x, [(0, 0)] * 2 + [(2, 0), (0, 1)], "edge")]),
    })  # fmt: skip
    with pytest.raises(RuntimeError, match=r"[Pp]adding"):
        F.pad(t, (5, 5), "reflect")


def test_unfold_and_fold_are_each_others_transpose():
    x = randn(2, 3, 6, 5)
    columns = F.unfold(lx.tensor(x), (3, 2), padding=1, stride=2)
    y = randn(*columns.shape)
    back = F.fold(lx.tensor(y), (6, 5), (3, 2), padding=1, stride=2)
    np.testing.assert_allclose((columns.numpy() * y).sum(), (x * back.numpy()).sum(), rtol=1e-12)
    w = randn(4, 3, 3, 2)
    product = (lx.tensor(w.reshape(4, -1)) @ columns).numpy().reshape(2, 4, *conv(x, w, stride=2, padding=1).shape[2:])
    np.testing.assert_allclose(product, conv(x, w, stride=2, padding=1), rtol=1e-10, atol=1e-12)


def test_pixel_shuffle_and_resizing():
    x = randn(2, 8, 3, 4)
    shuffled = x.reshape(2, 2, 2, 2, 3, 4).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 8)
    t = lx.tensor(x)
    line = lambda n, m: np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
    wide = np.apply_along_axis(lambda v: np.interp(line(4, 7), np.arange(4), v), 3, x)
    corners = np.apply_along_axis(lambda v: np.interp(np.linspace(0, 3, 7), np.arange(4), v), 3, x)
    compare({
        "shuffle": (F.pixel_shuffle(t, 2), shuffled), "unshuffle": (F.pixel_unshuffle(lx.tensor(shuffled), 2), x),
        "nearest": (F.interpolate(t, scale_factor=2), x.repeat(2, 2).repeat(2, 3)),
        "bilinear": (F.interpolate(t, (3, 7), mode="bilinear"), wide),
        "aligned": (F.interpolate(t, (3, 7), mode="bilinear", align_corners=True), corners),
    }, factor=100)  # fmt: skip


def test_bytes_are_resized_in_whole_numbers_and_rounded_after_each_dim():
    image = lx.tensor([[[[0, 255]]]], dtype=lx.uint8)
    assert F.interpolate(image, (1, 4), mode="bilinear", align_corners=True).tolist() == [[[[0, 85, 170, 255]]]]
    assert F.interpolate(image, (2, 1), mode="bilinear").tolist() == [[[[128], [128]]]]
    image = lx.tensor([[[[0, 1], [2, 2]]]], dtype=lx.uint8)
    assert F.interpolate(image, (1, 1), mode="bilinear").item() == 2  # rows first: 1 (0.5, rounded) and 2; then 1.5
    x = RNG.integers(0, 256, (2, 3, 6, 9)).astype(np.uint8)
    for mode, antialias in itertools.product(("bilinear", "bicubic"), (False, True)):
        for size in ((9, 4), (4, 13)):
            kw = {"size": size, "mode": mode, "antialias": antialias}
            whole, real = F.interpolate(lx.tensor(x), **kw), F.interpolate(lx.tensor(x.astype(np.float64)), **kw)
            assert whole.dtype is lx.uint8
            far = np.abs(whole.numpy() - np.clip(real.numpy(), 0, 255))
            inside = np.isin(whole.numpy(), (0, 255), invert=True) | (mode == "bilinear")
            assert (far[inside] <= 1.6).mean() > (0.9 if mode == "bicubic" else 0.999), (kw, far.max())


@pytest.mark.parametrize("call, words", [
    (lambda: F.interpolate(lx.ones(1, 1, 4, 4, dtype=lx.int64), 2, mode="bilinear"), "only for uint8 and floats"),
    (lambda: F.conv2d(lx.ones(1, 3, 5, 5), lx.ones(4, 2, 3, 3)), "channels"),
    (lambda: F.conv2d(lx.ones(1, 3, 2, 2), lx.ones(4, 3, 3, 3)), "[Kk]ernel size can't be greater"),
    (lambda: F.conv2d(lx.ones(3, 5), lx.ones(4, 3, 3, 3)), "Expected"),
    (lambda: F.max_pool2d(lx.ones(1, 1, 4, 4), 2, padding=2), "[Pp]ad"),
    (lambda: F.avg_pool2d(lx.ones(1, 1, 4, 4), 2, divisor_override=0), "divisor"),
    (lambda: F.pixel_shuffle(lx.ones(1, 3, 2, 2), 2), "divisible"),
    (lambda: F.conv1d(lx.ones(1, 1, 4), lx.ones(1, 1, 2), lx.ones(1).double()), "bias type .float64. should be the same"),
    (lambda: F.max_pool1d(lx.ones(2, 0, 10), 1), "optional 0 dim batch size"),
    (lambda: F.avg_pool2d(lx.ones(0, 10, 10), 1), "optional 0 dim batch size"),
    (lambda: F.adaptive_max_pool1d(lx.ones(1, 1, 4), -1), "must not be negative"),
    (lambda: F.adaptive_avg_pool2d(lx.ones(2, 2), 2), "Expected 3D or 4D"),
    (lambda: F.pixel_shuffle(lx.ones(1, 4, 2, 2), -1), "positive upscale_factor"),
    (lambda: F.pixel_unshuffle(lx.ones(1, 4, 2, 2), 0), "positive downscale_factor"),
    (lambda: F.unfold(lx.ones(1, 2, 4, 4), 0), "should be greater than zero"),
    (lambda: F.fold(lx.ones(8), (4, 4), 2), "Expected 2D or 3D"),
    (lambda: F.interpolate(lx.ones(1, 1, 4), size=0), "should be greater than 0"),
    (lambda: F.interpolate(lx.ones(1, 1, 4), scale_factor=-1.0), "should be greater than 0"),
    (lambda: F.grid_sample(lx.ones(1, 1, 4, 4), lx.ones(1, 2, 2, 2).double(), align_corners=True), "same dtype"),
    (lambda: F.linear(lx.ones(2, 3), lx.ones(2, 4, 3)), "weight of 1 or 2 dims"),
    (lambda: F.linear(lx.ones(1, 2), lx.ones(2, 2), lx.ones(2).double()), "same dtype"),
    (lambda: F.bilinear(lx.ones(1, 2), lx.ones(1, 2), lx.ones(1, 2, 2), lx.ones(1).double()), "same dtype"),
])  # fmt: skip
def test_bad_input(call, words):
    with pytest.raises(RuntimeError, match=words) as info:
        call()
    assert "test_windows.py" in str(info.value)


def test_interpolate_takes_a_size_for_each_dim():
    with pytest.raises(ValueError, match="same number of spatial dimensions"):
        F.interpolate(lx.ones(1, 1, 4), size=(2, 2))


def test_adaptive_pools_say_the_rank_that_their_output_needs():
    for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        with pytest.raises(ValueError, match="Input dimension should be at least 3"):
            f(lx.ones(2, 2), (2, 2))
    assert tuple(F.max_pool1d(lx.ones(0, 2, 10), 2).shape) == (0, 2, 5)  # of no examples


def test_the_identity_meets_the_pixels_as_in_pytorch():
    """A point beside a pixel has another gradient than one on it: a product and a quotient, each rounded, as PyTorch's."""
    places = F.affine_grid(lx.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 28, 28), align_corners=False)[0, 0, :, 0]
    line = lx.linspace(-1, 1, 28).numpy()
    np.testing.assert_array_equal(places.numpy(), line * np.float32(27) / np.float32(28))


def test_the_gradient_of_adaptive_maxima_is_one_scatter():
    """To the first of equal elements, and to NaN."""
    x = np.array([[1.0, 4.0, 4.0, 0.0, 2.0], [7.0, 4.0, -0.0, 5.0, 5.0], [np.nan, 1.0, 1.0, 9.0, 1.0]], np.float32)
    t = lx.tensor(x[None, None], requires_grad=True)
    y, places = F.adaptive_max_pool2d(t, 2, return_indices=True)
    np.testing.assert_array_equal(y.detach().numpy()[0, 0], [[7, 5], [np.nan, 9]])
    np.testing.assert_array_equal(places.numpy()[0, 0], [[5, 8], [10, 13]])
    (g,) = lx.autograd.grad(y, t, lx.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert text_of(g).count('"stablehlo.scatter"(') == 1
    expected = np.zeros((3, 5), np.float32)
    expected[[1, 1, 2, 2], [0, 3, 0, 3]] = [1, 2, 3, 4]
    np.testing.assert_array_equal(g.numpy()[0, 0], expected)


def test_fractional_maxima_look_each_element_of_a_window_up_once():
    x = lx.tensor(np.arange(2 * 3 * 6 * 7, dtype=np.float32).reshape(2, 3, 6, 7), requires_grad=True)
    y, places = F.fractional_max_pool2d(x, 2, (3, 3), return_indices=True, _random_samples=lx.full((2, 3, 2), 0.5))
    assert text_of(y.detach()).count('"stablehlo.gather"(') == 5  # 4, and of the result
    expected = places.numpy().reshape(6, 9) + 42 * np.arange(6)[:, None]
    np.testing.assert_array_equal(y.detach().numpy().reshape(6, 9), expected)
    (g,) = lx.autograd.grad(y.sum(), x)
    expected = np.zeros((6, 42), np.float32)
    np.put_along_axis(expected, places.numpy().reshape(6, 9), 1, 1)
    np.testing.assert_array_equal(g.numpy().reshape(6, 42), expected)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions_by_name(n):
    """Against autograd's, and differentiable: a convolution is linear in each of its factors."""
    size, window = (5, 7, 5)[:n], (3, 3, 3)[:n]
    x, w = lx.randn(2, 4, *size, requires_grad=True), lx.randn(6, 4, *window, requires_grad=True)
    options = {"stride": 2, "padding": 1}
    y = getattr(F, f"conv{n}d")(x, w, **options)
    g = lx.randn(*y.shape)
    of_x, of_w = (v.numpy() for v in lx.autograd.grad(y, (x, w), g))
    by_x = getattr(nn.grad, f"conv{n}d_input")(x.shape, w, g, **options)
    by_w = getattr(nn.grad, f"conv{n}d_weight")(x, w.shape, g, **options)
    np.testing.assert_allclose(by_x.detach().numpy(), of_x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_w.detach().numpy(), of_w, rtol=1e-4, atol=1e-5)
    (second,) = lx.autograd.grad((by_x * x.detach()).sum(), w)  # <x, gradient in x> is <g, y>, too
    np.testing.assert_allclose(second.numpy(), of_w, rtol=1e-4, atol=1e-5)
    with lx.no_grad():
        assert not getattr(nn.grad, f"conv{n}d_input")(x.shape, w, g, **options).requires_grad


@pytest.mark.parametrize("size, window", [((6, 4), (2, 3)), ((5, 6, 4), (3, 2, 3)), ((6,), (2,))])
def test_gradients_of_images_smaller_than_the_kernel_that_meets_them(size, window):
    """A convolution is linear in each factor. XLA's simplifier ended the process for the first two."""
    n = len(size)
    x, w = lx.randn(2, 4, *size, requires_grad=True), lx.randn(6, 4, *window, requires_grad=True)
    y = getattr(F, f"conv{n}d")(x, w, stride=2, padding=1)
    g = lx.randn(*y.shape)
    of_x, of_w = lx.autograd.grad(y, (x, w), g)
    product = (y * g).sum().item()
    np.testing.assert_allclose((of_x * x).sum().item(), product, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose((of_w * w).sum().item(), product, rtol=1e-4, atol=1e-3)


def test_a_convolution_of_nothing():
    x, w = lx.randn(2, 4, 4, 6, requires_grad=True), lx.randn(4, 3, 1, 1, requires_grad=True)
    y = F.conv_transpose2d(x, w, stride=(1, 2), padding=(2, 0))
    assert y.shape == (2, 3, 0, 11)
    of_x, of_w = lx.autograd.grad(y.sum(), (x, w))
    assert not of_x.any() and not of_w.any()
