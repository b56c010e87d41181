"""Hooks on saved tensors: what is packed, what comes back, and gradients as without them."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
from lazyxla.autograd import graph
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
    node = x.exp().grad_fn
    assert isinstance(node, Node) and isinstance(node.next_functions[0][0], Node)
    assert node.name() == "ExpBackward0" and repr(node) == "<ExpBackward0>"
    node.register_hook(lambda gi, go: None)
    assert node.name() == "ExpBackward0"
    with saved_tensors_hooks(lambda t: t, lambda t: t):
        assert x.exp().grad_fn.name() == "ExpBackward0"
    end = node.next_functions[0][0]
    assert end.name() == "torch::autograd::AccumulateGrad" and end.variable is x and end.next_functions == ()
    node.metadata["mine"] = 7
    assert node.metadata == {"mine": 7} and end.metadata == {}


def test_hooks_of_a_node():
    """The two examples of PyTorch's documentation, and what hooks get."""
    a = lx.tensor([0.0, 0.0, 0.0], requires_grad=True)
    b = a.clone()
    for register, hook in (
        ("register_hook", lambda gi, go: (go[0] * 2,)),
        ("register_prehook", lambda go: (go[0] * 2,)),
    ):
        handle = getattr(b.grad_fn, register)(hook)
        b.sum().backward(retain_graph=True)
        assert a.grad.tolist() == [2.0, 2.0, 2.0]
        handle.remove()
        a.grad = None
    b.sum().backward(retain_graph=True)
    assert a.grad.tolist() == [1.0, 1.0, 1.0]

    seen = []
    x, w = lx.tensor([2.0], requires_grad=True), lx.tensor([3.0], requires_grad=True)
    y = x * w
    y.register_hook(lambda g: seen.append(("tensor", g.item())))
    y.grad_fn.register_prehook(lambda go: seen.append(("before", [g.item() for g in go])))
    y.grad_fn.register_hook(
        lambda gi, go: seen.append(("after", [None if g is None else g.item() for g in gi], len(go)))
    )
    x.register_post_accumulate_grad_hook(lambda t: seen.append(("accumulated", t.grad.item())))
    end = y.grad_fn.next_functions[0][0]
    end.register_prehook(lambda go: (go[0] * 10,))
    end.register_hook(lambda gi, go: seen.append(("end", gi, go[0].item())))
    y.backward(retain_graph=True)
    assert seen == [
        ("tensor", 1.0), ("before", [1.0]), ("after", [3.0, 2.0], 1), ("accumulated", 30.0), ("end", (), 30.0),
    ]  # fmt: skip
    seen.clear()
    assert lx.autograd.grad(y, x)[0].item() == 3.0  # the node of x is not gone through, nor is the gradient of w wanted
    assert seen == [("tensor", 1.0), ("before", [1.0]), ("after", [3.0, None], 1)]
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_hooks_of_nodes_with_several_results():
    x = lx.tensor([3.0, 1.0, 2.0], requires_grad=True)
    values, _ = x.sort()
    values.grad_fn.register_hook(lambda gi, go: (gi[0] * 10, *gi[1:]))
    (values * lx.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [30.0, 10.0, 20.0]

    class Two(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    x = lx.tensor([1.0], requires_grad=True)
    a, b = Two.apply(x)
    seen = []
    a.grad_fn.register_prehook(lambda go: seen.append([g.item() for g in go]) or (go[0], go[1] * 2))
    b.grad_fn.register_hook(lambda gi, go: (gi[0] + 0.5,))
    (a + b * 5).sum().backward()
    assert seen == [[1.0, 5.0]] and x.grad.tolist() == [32.5]


def test_hooks_of_a_node_that_saves_nothing_or_is_run_again():
    calls = []

    def f(x):
        y = x.exp()
        y.grad_fn.register_hook(lambda gi, go: calls.append(1) or (gi[0] * 2,))
        return y.sin()

    x = lx.tensor([0.3], requires_grad=True)
    f(x).sum().backward()
    expected, x.grad = x.grad.item(), None
    assert expected == pytest.approx(2 * np.cos(np.exp(0.3)) * np.exp(0.3), rel=1e-5)
    lx.utils.checkpoint.checkpoint(f, x, use_reentrant=False).sum().backward()
    assert x.grad.item() == pytest.approx(expected, rel=1e-6) and calls == [1, 1]
    s = (x + x.detach()).sum()
    s.grad_fn.register_hook(lambda gi, go: None)
    s.backward(), s.backward()  # a sum keeps nothing that could be freed


def test_what_hooks_of_nodes_may_give():
    x = lx.ones(2, requires_grad=True)
    for given, kind, words in (
        ((), RuntimeError, "incorrect number of values"),
        (7, TypeError, "expected Variable, but hook returned 'int'"),
        (lx.ones(3), RuntimeError, "changed the size of value"),
        (lx.ones(2, dtype=lx.float64), RuntimeError, "changed the type of value"),
    ):
        for register in ("register_prehook", "register_hook"):
            y = x.exp()
            getattr(y.grad_fn, register)(lambda *_, given=given: given)
            with pytest.raises(kind, match=words):
                y.sum().backward()


def test_hooks_of_tensors():
    """A gradient is retained as the last hook leaves it, and a hook gives what can stand in for it."""
    x = lx.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    y.sum().backward()
    assert y.grad.tolist() == [2.0, 2.0] and x.grad.tolist() == [6.0, 6.0]
    for given, kind, words in ((lx.ones(1), RuntimeError, "changed the size of value"), (7, TypeError, "returned 'int'")):
        y = x.exp()
        y.register_hook(lambda g, given=given: given)
        with pytest.raises(kind, match=words):
            y.sum().backward()


def test_hooks_of_nodes_and_gradients_of_gradients():
    x = lx.tensor([0.5], requires_grad=True)
    y = x.sin()
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * x.detach(),))
    (g,) = lx.autograd.grad(y, x, create_graph=True)
    (gg,) = lx.autograd.grad(g, x)
    np.testing.assert_allclose([g.item(), gg.item()], [np.cos(0.5) * 0.5, -np.sin(0.5) * 0.5], rtol=1e-6)


def test_hooks_on_the_gradients_of_several_tensors():
    """The example of PyTorch's documentation, and the first of several."""
    a, b = lx.rand(2, 3, requires_grad=True), lx.rand(2, 3, requires_grad=True)
    c, d = a * b, a * b
    seen, first = [], []
    handle = graph.register_multi_grad_hook((a, b, c, d), lambda gs: seen.append([g is not None for g in gs]))
    graph.register_multi_grad_hook((a, c, d), first.append, mode="any")
    c.sum().backward(retain_graph=True)
    c.sum().backward(inputs=(a,), retain_graph=True)
    lx.autograd.grad((c + d).sum(), (c, d), retain_graph=True)
    assert seen == [[True, True, True, False], [True, False, True, False], [False, False, True, True]]
    assert [g.tolist() for g in first] == [lx.ones(2, 3).tolist()] * 3
    handle.remove()
    c.sum().backward()
    assert len(seen) == 3 and len(first) == 4
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook((a,), print, mode="some")
    with pytest.raises(RuntimeError, match="doesn't require grad"):
        graph.register_multi_grad_hook((lx.ones(1),), print)


def test_gradient_edges():
    x = lx.tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    z = y.sum()
    edges = [graph.get_gradient_edge(t) for t in (x, y)]
    assert edges[1].node is y.grad_fn and edges[1].output_nr == 0
    gx, gy = lx.autograd.grad(z, edges, retain_graph=True)
    assert gx.tolist() == [4.0, 6.0] and gy.tolist() == [1.0, 1.0]
    assert lx.autograd.grad(edges[1], x, lx.tensor([1.0, 10.0]), retain_graph=True)[0].tolist() == [4.0, 60.0]
    lx.autograd.backward(graph.get_gradient_edge(z), inputs=edges[0])
    assert x.grad.tolist() == [4.0, 6.0]
    unused = graph.get_gradient_edge(x.exp())
    assert lx.autograd.grad((x * x).sum(), unused, allow_unused=True) == (None,)
    with pytest.raises(RuntimeError, match="implicitly created only for scalar outputs"):
        lx.autograd.grad(unused, x)
    with pytest.raises(RuntimeError, match="not possible to get the gradient edge"):
        graph.get_gradient_edge(lx.ones(1))


def test_writes_to_saved_tensors_that_are_allowed():
    """The example of PyTorch's documentation; a graph of the context is of no use outside of it."""
    with graph.allow_mutation_on_saved_tensors():
        a = lx.full((2, 3), 3.0, requires_grad=True)
        b = a.clone()
        out = (b**2).sum()
        b.sin_()
        out.sum().backward(retain_graph=True)
        assert a.grad.tolist() == [[6.0] * 3] * 2
        with pytest.raises(RuntimeError, match="cannot be nested"), graph.allow_mutation_on_saved_tensors():
            pass
    with pytest.raises(AssertionError, match="outside of the 'allow_mutation_on_saved_tensors' context"):
        out.backward()
    b = a.clone()
    out = (b**2).sum()
    b.sin_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_versions_that_are_counted_by_hand():
    a = lx.ones(3, requires_grad=True)
    b = a.clone()
    out = (b**2).sum()
    graph.increment_version([b, b[:1]])
    assert b._version == 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_hooks_on_saved_tensors_that_are_not_allowed():
    with graph.disable_saved_tensors_hooks("none of these here"):
        with pytest.raises(RuntimeError, match="none of these here"), save_on_cpu():
            pass
    with save_on_cpu():
        pass
