"""Hooks on saved tensors: what is packed, what comes back, and gradients as without them."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
from lazyxla.autograd.graph import Node, save_on_cpu, saved_tensors_hooks

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(params=["lazy", "eager"], autouse=True)
def mode(request):
    with lx.eager(request.param == "eager"):
        yield request.param


def test_each_saved_tensor_goes_through_the_hooks():
    packed, unpacked = [], []
    x = lx.tensor([0.5], requires_grad=True)
    w = lx.tensor([2.0], requires_grad=True)

    def pack(t):
        assert not t.requires_grad
        packed.append(t.item())
        return len(packed) - 1

    def unpack(k):
        unpacked.append(k)
        return lx.tensor([packed[k]])

    with saved_tensors_hooks(pack, unpack):
        y = (x * w).exp()
    z = y.sin()  # outside: its operand is saved as it is
    assert packed == [0.5, 2.0, pytest.approx(np.exp(1), rel=1e-6)] and unpacked == []
    z.sum().backward()
    assert sorted(unpacked) == [0, 1, 2]
    slope = np.cos(np.exp(1)) * np.exp(1)
    np.testing.assert_allclose([x.grad.item(), w.grad.item()], [2 * slope, slope / 2], rtol=1e-5)


def test_packed_in_half_the_bytes():
    x = lx.linspace(-1, 1, 7, requires_grad=True)
    with saved_tensors_hooks(lambda t: t.to(lx.bfloat16), lambda t: t.float()):
        y = x.square()
    y.sum().backward()
    assert x.grad.tolist() == (2 * x.detach().to(lx.bfloat16).float()).tolist() != (2 * x.detach()).tolist()


def model_and_batch():
    lx.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.GELU(), nn.Flatten(), nn.Linear(12, 4), nn.LogSoftmax(-1)
    )
    return net, lx.randn(5, 2, 4, 4)


@pytest.mark.parametrize("context", [lambda: saved_tensors_hooks(lambda t: (t,), lambda k: k[0]), save_on_cpu])
def test_a_network_has_the_gradients_that_it_has_without(context):
    net, x = model_and_batch()
    net(x)[:, 1].sum().backward()
    expected = [p.grad.numpy().copy() for p in net.parameters()]
    net.zero_grad()
    with context():
        loss = net(x)[:, 1].sum()
    loss.backward()
    for p, g in zip(net.parameters(), expected):
        np.testing.assert_allclose(p.grad, g, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_what_is_saved_waits_on_the_host():
    x, w = lx.rand(3, 3, device="xla", requires_grad=True), lx.rand(3, 3, device="xla")
    (x @ w).exp().sum().backward()
    expected, x.grad = x.grad.tolist(), None
    with save_on_cpu():
        y = (x @ w).exp()
    entries, saved = [y.grad_fn], []
    while entries:
        e = entries.pop()
        saved += [kept.packed for kept in getattr(getattr(e, "rule", None), "kept", ()) if kept is not None]
        entries += [e for e, _ in getattr(e, "next_functions", ()) if e is not None]
    assert len(saved) >= 2
    assert all(device.type == "xla" and t.device.type == "cpu" for device, t in saved)
    y.sum().backward()
    assert x.grad.tolist() == expected and x.grad.device.type == "xla"


def test_steps_that_repeat():
    """Each step calls the hooks anew, whatever of it is followed."""
    net = nn.Linear(3, 1)
    start = {k: v.clone() for k, v in net.state_dict().items()}
    x = lx.randn(8, 3)
    calls, losses = [], []
    for hooked in (False, True):
        net.load_state_dict(start)
        optimizer = lx.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(6):
            optimizer.zero_grad()
            if hooked:
                with saved_tensors_hooks(lambda t: calls.append(1) or t, lambda t: t):
                    loss = net(x).square().mean()
            else:
                loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(losses[:6], losses[6:], rtol=1e-6)
    assert len(calls) % 6 == 0 and calls


def test_gradients_of_gradients():
    x = lx.tensor([0.3, 0.7], requires_grad=True)
    with saved_tensors_hooks(lambda t: t * 1, lambda t: t):
        y = (x.exp() * x).sum()
    (g,) = lx.autograd.grad(y, x, create_graph=True)
    (gg,) = lx.autograd.grad(g.sum(), x)
    v = x.detach().numpy()
    np.testing.assert_allclose(g.detach(), np.exp(v) * (1 + v), rtol=1e-5)
    np.testing.assert_allclose(gg, np.exp(v) * (2 + v), rtol=1e-5)


def test_the_innermost_hooks_are_called():
    names = []
    x = lx.ones(1, requires_grad=True)

    def named(name):
        return saved_tensors_hooks(lambda t: names.append(name) or t, lambda t: t)

    with named("outer"):
        with named("inner"):
            x.exp()
        x.exp()
    x.exp()
    assert names == ["inner", "outer"]


def test_functions_of_the_users_own():
    seen = []

    class Cube(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x, power):
            ctx.save_for_backward(x, None)
            return x**power

        @staticmethod
        def backward(ctx, g):
            x, nothing = ctx.saved_tensors
            assert nothing is None
            return g * 3 * x**2, None

    x = lx.tensor([2.0], requires_grad=True)
    with saved_tensors_hooks(lambda t: seen.append("packed") or t, lambda t: seen.append("unpacked") or t):
        y = Cube.apply(x, 3)
    assert seen == ["packed"]
    y.backward()
    assert seen == ["packed", "unpacked"] and x.grad.tolist() == [12.0]


def test_what_comes_back_must_be_what_was_packed():
    x = lx.ones(3, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda t: 7):
        y = x.exp()
    with pytest.raises(TypeError, match="expected to be a Tensor but got result of type int"):
        y.sum().backward()
    with saved_tensors_hooks(lambda t: t, lambda t: t[:2]):
        y = x.exp()
    with pytest.raises(RuntimeError, match=r"unpack_hook gave float32\[2\].* for a saved float32\[3\]"):
        y.sum().backward()


def test_nodes():
    x = lx.ones(1, requires_grad=True)
    assert isinstance(x.exp().grad_fn, Node) and isinstance(x.exp().grad_fn.next_functions[0][0], Node)
