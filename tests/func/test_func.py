"""lx.func: transformations against jax's, nested, on trees, with aux; modules as functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lazyxla as lx
import lazyxla.func as F
from tests.tolerances import assert_close

X, Y = np.random.default_rng(0).standard_normal((2, 2, 3))
Y = Y.T.copy()


def f(m, x, y):
    return {"a": m.sin(x) @ y, "b": (x * x).sum()}


def tensors(*arrays):
    return [lx.tensor(a) for a in arrays]


def same(got, expected, factor=20):
    if isinstance(expected, dict):
        assert set(got) == set(expected)
        for k in expected:
            same(got[k], expected[k], factor)
    elif isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected):
            same(g, e, factor)
    else:
        assert not got.requires_grad
        assert_close(got.numpy(), np.asarray(expected), factor=factor)


@pytest.fixture
def wide():
    with jax.enable_x64(True):
        yield


def test_gradients_nest(wide):
    g, expected = lx.sin, jnp.sin
    for _ in range(4):
        g, expected = F.grad(g), jax.grad(expected)
        same(g(lx.tensor(0.7, dtype=lx.float64)), expected(0.7))


def test_values_beside_gradients(wide):
    def loss(m, p, scale):
        return (m.exp(p["w"]) * scale).sum() + p["b"] ** 2

    p = {"w": X, "b": np.array(2.0)}
    t = {k: lx.tensor(v) for k, v in p.items()}
    value, gradient = jax.value_and_grad(lambda p: loss(jnp, p, 3.0))({k: jnp.asarray(v) for k, v in p.items()})
    same(F.value_and_grad(lambda p, s: loss(lx, p, s))(t, 3.0), (value, gradient))
    same(F.grad_and_value(lambda p, s: loss(lx, p, s))(t, 3.0), (gradient, value))
    same(F.grad(lambda p, s: loss(lx, p, s))(t, s=3.0), gradient)


def test_aux_and_argnums(wide):
    def g(x, y):
        return (x * y).sum(), {"twice": x * 2}

    x, y = tensors(X, Y.T.copy())
    same(F.grad(g, argnums=1, has_aux=True)(x, y), (X, {"twice": 2 * X}))
    same(F.grad(lambda x, y: (x * y).sum(), argnums=(1, 0))(x, y), (X, Y.T))
    same(F.grad(lambda x, y: (x * y).sum(), argnums=-1)(x, y), X)
    gradient, (value, aux) = F.grad_and_value(g, has_aux=True)(x, y)
    same((gradient, value, aux["twice"]), (Y.T, (X * Y.T).sum(), 2 * X))


def test_vjp(wide):
    output, pull = F.vjp(lambda x, y: f(lx, x, y), *tensors(X, Y))
    expected, jax_pull = jax.vjp(lambda x, y: f(jnp, x, y), X, Y)
    same(output, expected)
    for _ in range(2):  # as often as one likes
        same(pull(output), jax_pull(expected))
    output, pull, aux = F.vjp(lambda x: (x * 2, x.sum()), lx.tensor(X), has_aux=True)
    same((output, aux, pull(output)), (2 * X, X.sum(), (4 * X,)))


def test_jvp(wide):
    output, tangent = F.jvp(lambda x, y: f(lx, x, y), tuple(tensors(X, Y)), tuple(tensors(Y.T.copy(), Y)))
    same((output, tangent), jax.jvp(lambda x, y: f(jnp, x, y), (X, Y), (Y.T, Y)))
    output, push = F.linearize(lambda x: lx.sin(x), lx.tensor(X))
    same(push(lx.tensor(Y.T.copy())), np.cos(X) * Y.T)
    same(F.jvp(lambda x: (x * 2, x), (lx.tensor(X),), (lx.tensor(X),), has_aux=True), (2 * X, 2 * X, X))


def test_forward_over_reverse_and_back(wide):
    def g(m, x):
        return (m.sin(x) ** 2).sum() * x[0, 0]

    x, v = tensors(X, Y.T.copy())
    expected = jax.jvp(jax.grad(lambda x: g(jnp, x)), (X,), (Y.T,))[1]
    same(F.jvp(F.grad(lambda x: g(lx, x)), (x,), (v,))[1], expected)
    same(F.grad(lambda x: (F.grad(lambda x: g(lx, x))(x) * v).sum())(x), expected)
    same(F.grad(lambda x: F.jvp(lambda x: g(lx, x), (x,), (v,))[1])(x), expected)


def test_jacobians(wide):
    x, y = tensors(X, Y)
    expected = jax.jacrev(lambda x, y: f(jnp, x, y), (0, 1))(X, Y)
    same(F.jacrev(lambda x, y: f(lx, x, y), (0, 1))(x, y), expected)
    same(F.jacfwd(lambda x, y: f(lx, x, y), (0, 1))(x, y), expected)
    found = F.jacrev(lambda x: (x * 2, x.sum()), has_aux=True)(lx.tensor([1.0, 2.0]))
    same(found, (np.float32([[2, 0], [0, 2]]), np.float32(3)))
    same(F.jacrev(lambda x: x[:0])(lx.ones(3)), np.zeros((0, 3), np.float32))
    same(F.jacfwd(lambda x: x * 2)(lx.ones(0)), np.zeros((0, 0), np.float32))


def test_hessians(wide):
    def g(m, x):
        return (m.sin(x) ** 3).sum() * x[0, 0]

    same(F.hessian(lambda x: g(lx, x))(lx.tensor(X)), jax.hessian(lambda x: g(jnp, x))(X), factor=100)


def test_what_does_not_matter_has_a_gradient_of_zero():
    same(F.grad(lambda x, y: x.sum(), argnums=1)(lx.ones(2), lx.ones(3)), np.zeros(3, np.float32))
    same(F.grad(lambda x: lx.tensor(3.0))(lx.ones(2)), np.zeros(2, np.float32))
    same(F.jvp(lambda x: lx.ones(2), (lx.ones(3),), (lx.ones(3),))[1], np.zeros(2, np.float32))


def test_an_outer_backward_flows_through():
    w = lx.tensor(2.0, requires_grad=True)
    F.grad(lambda x: x**3 * w)(lx.tensor(3.0)).backward()
    assert w.grad.item() == 27
    x = lx.tensor(2.0, requires_grad=True)
    F.grad(lambda x: x**3)(x).backward()
    assert x.grad.item() == 12
    with lx.no_grad():
        assert not F.grad(lambda x: x**3)(x).requires_grad
        assert F.grad(lambda x: x**3)(x).item() == 12


def test_inputs_are_left_alone():
    x = lx.tensor([1.0, 2.0], requires_grad=True)
    F.grad(lambda x: (x * x).sum())(x)
    assert x.grad is None and x.is_leaf


def test_dicts_keep_their_order():
    p = {"weight": lx.ones(2), "bias": lx.zeros(1)}
    g, (_, aux) = F.grad_and_value(lambda p: ((p["weight"] * p["bias"]).sum(), {"z": p["bias"], "a": 1}), has_aux=True)(p)
    assert list(g) == list(F.jacrev(lambda p: p["weight"] + p["bias"])(p)) == ["weight", "bias"]
    assert list(aux) == ["z", "a"]
    assert list(F.vjp(lambda p: {"y": p["weight"], "x": p["bias"]}, p)[0]) == ["y", "x"]
    assert list(F.jvp(lambda p: {"y": p["weight"], "x": p["bias"]}, (p,), (p,))[1]) == ["y", "x"]


def test_modules_as_functions():
    net = lx.nn.Sequential(lx.nn.Linear(3, 4), lx.nn.Tanh(), lx.nn.Linear(4, 1))
    p = {name: t.detach() for name, t in net.named_parameters()}
    x = lx.ones(5, 3)
    zero = {name: t * 0 for name, t in p.items()}
    assert F.functional_call(net, zero, (x,)).tolist() == [[0.0]] * 5
    assert F.functional_call(net, p, x).tolist() == net(x).tolist()
    gradients = F.grad(lambda p: F.functional_call(net, p, (x,)).sum())(p)
    net(x).sum().backward()
    for name, t in net.named_parameters():
        assert_close(gradients[name].numpy(), t.grad.numpy())
    some = F.functional_call(net, {"2.weight": zero["2.weight"]}, x)  # the rest stays the module's
    assert_close(some.detach().numpy(), np.broadcast_to(net[2].bias.detach().numpy(), (5, 1)))


def test_shared_parameters_and_buffers():
    class Net(lx.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = lx.nn.Linear(2, 2, bias=False)
            self.second = lx.nn.Linear(2, 2, bias=False)
            self.second.weight = self.first.weight
            self.register_buffer("scale", lx.ones(1))

        def forward(self, x):
            return self.second(self.first(x)) * self.scale

    net, eye = Net(), lx.eye(2)
    x = lx.ones(1, 2)
    assert F.functional_call(net, {"first.weight": eye, "scale": lx.full((1,), 3.0)}, x).tolist() == [[3.0, 3.0]]
    untied = F.functional_call(net, {"first.weight": eye}, x, tie_weights=False)
    assert_close(untied.detach().numpy(), net.second(x).detach().numpy())
    assert net.scale.tolist() == [1.0] and isinstance(net.first.weight, lx.nn.Parameter)


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (lambda: F.grad(lambda x: x)(lx.ones(2)), RuntimeError, "to return a scalar tensor, but got tensor with 1 dims"),
        (lambda: F.grad(lambda x: 1.0)(lx.ones(2)), RuntimeError, "grad: expected the function to return a tensor, got float"),
        (lambda: F.grad(lx.sum, argnums=1)(lx.ones(2)), RuntimeError, "grad: got argnum=1, but only 1 positional inputs"),
        (lambda: F.grad(lx.sum)(3.0), RuntimeError, "grad: expected the differentiated inputs to be tensors, got float"),
        (lambda: F.grad(lx.sum)(lx.arange(3)), RuntimeError, "tensors can require gradients, got int64"),
        (lambda: F.grad(lx.sum, has_aux=True)(lx.ones(2)), RuntimeError, "the function must return a tuple"),
        (lambda: F.vjp(lx.sin, lx.ones(2))[1]([lx.ones(2)]), RuntimeError, "vjp: expected cotangents with the structure"),
        (lambda: F.vjp(lambda x: 3, lx.ones(2)), RuntimeError, "vjp: expected the outputs to be tensors, got int"),
        (lambda: F.jvp(lx.sin, lx.ones(2), lx.ones(2)), RuntimeError, "jvp: expected primals and tangents to be tuples"),
        (lambda: F.jvp(lx.sin, (lx.ones(2),), (lx.ones(3),)), RuntimeError, "jvp: expected tangents of the primals'"),
        (
            lambda: F.functional_call(lx.nn.Linear(1, 1), {"w": lx.ones(1)}, lx.ones(1)),
            RuntimeError, r"functional_call: unexpected key\(s\) in the given tensors: w",
        ),
        (
            lambda: F.functional_call(lx.nn.Linear(1, 1), {"weight": lx.ones(1, 1)}, lx.ones(1), strict=True),
            RuntimeError, r"functional_call: missing key\(s\) in the given tensors: bias",
        ),
        (
            lambda: F.functional_call(lx.nn.Linear(1, 1), [{"bias": lx.ones(1)}, {"bias": lx.ones(1)}], lx.ones(1)),
            ValueError, "bias appears in multiple dictionaries",
        ),
    ],
)  # fmt: skip
def test_refused(call, kind, words):
    with pytest.raises(kind, match=rf"{words}.*test_func.py:\d+"):
        call()


def test_stateless_has_functional_call_too():
    from lazyxla.nn.utils import stateless

    layer, x = lx.nn.Linear(2, 1), lx.ones(1, 2)
    given = {"weight": lx.ones(1, 2), "bias": lx.zeros(1)}
    assert stateless.functional_call(layer, given, x).tolist() == [[2.0]]


def test_functionalized_functions_do_the_same():
    def f(x):
        y = x + 1
        y.view(-1).add_(1)
        x.mul_(2)
        return y

    for remove in ("mutations", "mutations_and_views"):
        x = lx.ones(2)
        assert F.functionalize(f, remove=remove)(x).tolist() == [3.0, 3.0] and x.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="received invalid argument for remove="):
        F.functionalize(f, remove="views")
