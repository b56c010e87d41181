"""Values that several kernels read are computed once on the CPU: the same numbers, and kernels that do not grow with depth."""

import re

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lowering import debug

rng = np.random.default_rng(0)
READ = re.compile(r"call @read_\d+\((%\w+)\)")


def rows(*shape):
    return lx.tensor(rng.standard_normal(shape).astype(np.float32))


def normalised(x, scale):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale + scale


def in_numpy(x, scale):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(1e-5)) * scale + scale


def stream(x, scale, weights):
    """A residual stream: each layer reads the sum of all before it."""
    for w in weights:
        x = normalised(x + x @ w, scale)
    return x


def test_kernels_do_not_grow_with_depth():
    x, scale, weights = rows(24, 8), rows(8), [rows(8, 8) for _ in range(4)]

    def longest(depth):
        bodies = re.findall(r"%fused_computation[\w.]* \(.*?\n}", debug.hlo(stream(x, scale, weights[:depth])), re.S)
        return max(body.count("\n") for body in bodies)

    assert longest(4) <= longest(2) + 2
    y = x.numpy()
    for w in weights:
        y = in_numpy(y + y @ w.numpy(), scale.numpy())
    np.testing.assert_allclose(stream(x, scale, weights).numpy(), y, rtol=1e-4, atol=1e-4)


def test_gradients_through_them():
    x, scale, weights = rows(6, 8), rows(8), [rows(8, 8) for _ in range(3)]
    direction, step = rng.standard_normal((6, 8)), 1e-6
    start = x.double().requires_grad_()
    others = scale.double(), [w.double() for w in weights]
    stream(start, *others).square().sum().backward()
    ends = [stream(lx.tensor(x.double().numpy() + s * direction), *others).square().sum().item() for s in (step, -step)]
    expected = (ends[0] - ends[1]) / (2 * step)
    assert (start.grad.numpy() * direction).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("depth", "readers", "n", "cut"),
    [(8, 3, 64, True), (3, 3, 64, False), (8, 2, 64, False), (14, 2, 64, True), (8, 3, 512, False), (8, 1, 64, False)],
)
def test_what_is_worth_reading(depth, readers, n, cut):
    """Deep values that many kernels read, and small ones only: memory is slower than a few operations."""
    x = rows(n, 256)
    y = x
    for k in range(depth):
        y = y.abs() if k % 2 else y + x
    sums = [y.sum(1), y.amax(1), y.amin(1)][:readers]
    assert bool(READ.search(debug.stablehlo(*sums))) == cut


def test_what_is_computed_anyway_is_read_whatever_its_size():
    x, scale = rows(300, 256), rows(256)
    y = x
    for _ in range(4):
        y = (y * scale).abs() + scale
    assert READ.search(debug.stablehlo(y @ rows(256, 8), y.amax(1)))
    assert not READ.search(debug.stablehlo(y @ rows(256, 8)))


def test_one_kernel_stays_one():
    """What is read twice, but by one kernel in the end, is left in it."""
    x = rows(32, 32)
    y = x
    for _ in range(6):
        y = y * lx.sigmoid(y) + y.tanh()
    assert not READ.search(debug.stablehlo(y))
