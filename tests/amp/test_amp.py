"""Autocast: which functions run in which type, where, and what gradients come back. (GradScaler: tests/reference.)"""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import nn
from lazyxla.lazy import autocast as lists
from tests.tolerances import assert_close


def x(*shape, seed=0):
    return lx.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_products_in_16_bits_and_sums_in_32():
    a, b, image = x(4, 3), x(3, 5, seed=1), x(1, 3, 5, 5)
    vector = lx.tensor([1, 0, 2, 1])
    with lx.autocast("cpu"):
        half = {
            "@": a @ b, "mm": lx.mm(a, b), "linear": F.linear(a, b.T), "conv2d": F.conv2d(image, x(2, 3, 3, 3)),
            "einsum": lx.einsum("ij,jk->ik", a, b), "bmm": lx.bmm(a[None], b[None]), "addmm": lx.addmm(x(5), a, b),
            "attention": F.scaled_dot_product_attention(a[None], a[None], a[None]), "method": a.matmul(b),
            "conv bias": F.conv2d(image, x(2, 3, 3, 3), x(2)), "layer": nn.ConvTranspose2d(3, 2, 3)(image),
            "lstm": nn.LSTM(3, 2)(x(5, 2, 3))[0], "gru cell": nn.GRUCell(3, 2)(a), "relu": F.relu(a @ b),
        }  # fmt: skip
        h = a @ b
        full = {
            "softmax": h.softmax(-1), "exp": h.exp(), "pow": h**2, "sum": h.sum(), "cross_entropy": F.cross_entropy(h, vector),
            "layer_norm": F.layer_norm(h, (5,)), "norm": h.norm(), "mse_loss": F.mse_loss(h, h), "cumsum": h.cumsum(0),
            "reciprocal": 1 / h,
        }  # fmt: skip
        double = a.double() @ b.double()
    assert {k: v.dtype for k, v in half.items()} == dict.fromkeys(half, lx.bfloat16)
    assert {k: v.dtype for k, v in full.items()} == dict.fromkeys(full, lx.float32)
    assert double.dtype is lx.float64
    assert (a @ b).dtype is lx.float32
    rounded = a.numpy().astype(half["@"].detach().numpy().dtype).astype(np.float32)
    weights = b.numpy().astype(half["@"].numpy().dtype).astype(np.float32)
    assert_close(half["@"].float().numpy(), rounded @ weights, "bfloat16")


def test_gradients_have_the_parameters_type():
    layer, given = nn.Linear(3, 4), x(5, 3)
    with lx.autocast("cpu"):
        loss = F.mse_loss(layer(given), x(5, 4, seed=2))
    loss.backward()
    assert layer.weight.grad.dtype is lx.float32
    exact = nn.Linear(3, 4)
    exact.load_state_dict(layer.state_dict())
    F.mse_loss(exact(given), x(5, 4, seed=2)).backward()
    assert_close(layer.weight.grad.numpy(), exact.weight.grad.numpy(), "bfloat16", factor=3)


def test_what_is_written_to_casts_nothing():
    a, b, out = x(4, 3), x(3, 5, seed=1), lx.empty(4, 5)
    with lx.autocast("cpu"):
        assert lx.mm(a, b, out=out) is out and F.linear(a, b.T, out=lx.empty(4, 5)).dtype is lx.float32
    np.testing.assert_allclose(out.numpy(), a.numpy() @ b.numpy(), rtol=1e-6)


def test_the_widest_type_where_several_must_agree():
    a = x(3, 2)
    with lx.autocast("cpu"):
        h = a @ x(2, 3)
        assert lx.dot(h[0], a.T[0]).dtype is lx.float32
        assert lx.dot(h[0], h[1]).dtype is lx.bfloat16


def test_only_tensors_of_that_device():
    with lx.autocast("xla", dtype=lx.float16):
        assert (x(2, 2) @ x(2, 2)).dtype is lx.float32
        assert (x(2, 2).to("xla") @ x(2, 2).to("xla")).dtype is lx.float16
        assert lx.is_autocast_enabled() and lx.is_autocast_xla_enabled() and not lx.is_autocast_cpu_enabled()
        assert lx.get_autocast_xla_dtype() is lx.float16
    assert not lx.is_autocast_enabled()


def test_contexts_nest_and_decorate():
    @lx.autocast("cpu")
    def product(a, b):
        return a @ b

    with lx.amp.autocast("cpu"):
        with lx.autocast("cpu", enabled=False):
            assert (x(2, 2) @ x(2, 2)).dtype is lx.float32
            assert product(x(2, 2), x(2, 2)).dtype is lx.bfloat16
        with lx.autocast("cpu", dtype=lx.float16):
            assert (x(2, 2) @ x(2, 2)).dtype is lx.float16
            assert lx.get_autocast_dtype("cpu") is lx.float16
        assert (x(2, 2) @ x(2, 2)).dtype is lx.bfloat16


def test_defaults_and_settings():
    assert lx.get_autocast_gpu_dtype() is lx.float16 and lx.get_autocast_cpu_dtype() is lx.bfloat16
    assert lx.get_autocast_dtype("tpu") is lx.bfloat16
    try:
        lx.set_autocast_dtype("cpu", lx.float16)
        lx.set_autocast_enabled("cpu", True)
        assert (x(2, 2) @ x(2, 2)).dtype is lx.float16
    finally:
        lx.set_autocast_enabled("cpu", False)
        lx.set_autocast_dtype("cpu", lx.bfloat16)
    assert (x(2, 2) @ x(2, 2)).dtype is lx.float32


def test_functions_of_ones_own():
    seen = []

    class Scaled(lx.autograd.Function):
        @staticmethod
        @lx.amp.custom_fwd(device_type="cpu", cast_inputs=lx.float32)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            seen.append((a.dtype, lx.is_autocast_enabled("cpu")))
            return a @ b

        @staticmethod
        @lx.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            seen.append((g.dtype, lx.is_autocast_enabled("cpu")))
            return g @ b.T, a.T @ g

    a = x(2, 2).requires_grad_()
    with lx.autocast("cpu"):
        y = Scaled.apply(a @ x(2, 2), x(2, 2))
    y.sum().backward()
    assert seen == [(lx.float32, False), (lx.float32, False)]
    assert y.dtype is lx.float32 and a.grad.dtype is lx.float32


def test_lists_name_functions():
    missing = [
        n for n in sorted(lists.LOWER | lists.FULL | lists.WIDEST)
        if n not in lx.lazy.public and not hasattr(F, n) and not hasattr(lx.Tensor, n)
    ]  # fmt: skip
    assert set(missing) <= {"multi_dot", "cdist", "renorm", "nuclear_norm", "chain_matmul"}, missing
    assert not lists.LOWER & lists.FULL and not lists.FULL & lists.WIDEST


@pytest.mark.parametrize("call, kind, words", [
    (lambda: lx.autocast("quantum"), RuntimeError, "unsupported autocast device_type 'quantum'"),
    (lambda: lx.autocast(3), ValueError, "device_type"),
    (lambda: lx.autocast("cpu")(3), TypeError, "requires a callable"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_what_cannot_be_says_so():
    with pytest.warns(UserWarning, match="target dtype is not supported"), lx.autocast("cpu", dtype=lx.float64):
        assert not lx.is_autocast_enabled("cpu")
    if "cuda" not in {d.type for d in lx.devices.devices()}:
        with pytest.warns(UserWarning, match="CUDA is not available"):
            assert not lx.amp.GradScaler().is_enabled()
    w = nn.Parameter(x(3).half())
    scaler = lx.amp.GradScaler("cpu")
    scaler.scale((w * 2).sum()).backward()
    with pytest.raises(ValueError, match="unscale FP16"):
        scaler.unscale_(lx.optim.SGD([w]))


def test_the_older_names_for_cuda_take_their_own_arguments():
    amp = lx.cuda.amp
    a = x(3, 3)
    with amp.autocast(enabled=False):
        assert not lx.is_autocast_enabled("cuda")
    with amp.autocast(True, lx.bfloat16):
        assert lx.get_autocast_dtype("cuda") == lx.bfloat16 and (a @ a).dtype == lx.float32  # of another device
    with amp.autocast():
        assert lx.is_autocast_enabled("cuda") and lx.get_autocast_dtype("cuda") == lx.float16
    assert amp.autocast()(lambda: lx.is_autocast_enabled("cuda"))() and not lx.is_autocast_enabled("cuda")
    scaler = amp.GradScaler(1024.0, enabled=False)
    assert isinstance(scaler, lx.amp.GradScaler) and scaler.scale(a) is a

    class Square(lx.autograd.Function):
        @staticmethod
        @amp.custom_fwd(cast_inputs=lx.float32)
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return v * v

        @staticmethod
        @amp.custom_bwd
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    v = lx.tensor([3.0], requires_grad=True)
    Square.apply(v).backward()
    assert v.grad.tolist() == [6.0]
