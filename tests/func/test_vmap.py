"""vmap against a loop and a stack: every primitive, for each choice of operands; nested, with gradients, and its errors."""

import itertools

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.autograd.batching import BATCHING
from lazyxla.func import functional_call, grad, hessian, stack_module_state, vmap
from lazyxla.lazy import ops
from lazyxla.lazy.graph import LEAVES, Op
from tests.lazy.cases import CASES, KINDS
from tests.tolerances import assert_close

PRIMITIVES = [op for op in Op.table.values() if op not in LEAVES]
WITHOUT = {ops.result, ops.iota, ops.constant, ops.while_loop, ops.case}  # no operands, or their own tests
MANY = 3


def t(*shape, seed=0):
    return lx.tensor(np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32))


def stacked(f, n, *args):
    return lx.stack([f(*[a[i] for a in args]) for i in range(n)])


def same(got, expected, factor=20.0):
    assert_close(got.numpy(), expected.numpy(), factor=factor)


def test_every_primitive_has_a_rule():
    assert set(BATCHING) == set(PRIMITIVES)


def examples(x, k):
    """Another operand of the same kind: turned along its first dim, so that each example stays one that the op can take."""
    return x if x.ndim == 0 or x.shape[0] == 0 else np.roll(x, k, axis=0)


def results(value):
    aval = value._node.sig.aval
    if hasattr(aval, "elements"):
        return tuple(ops.result(value, index=i) for i in range(len(aval.elements)))
    return (value,)


@pytest.mark.parametrize("op", [op for op in PRIMITIVES if op not in WITHOUT], ids=lambda op: op.name)
def test_a_primitive_does_for_many_what_it_does_for_one(op):
    """Against the NumPy meanings, for every choice of the operands that differ."""
    kinds = CASES[op].kinds
    dtype = next((KINDS[k][0] for k in "fcib" if k in kinds), None)
    pending = []
    for row in CASES[op].rows:
        if op is ops.optimization_barrier and row.name == "empty":
            continue
        operands = row.operands(dtype)
        for varies in itertools.product((False, True), repeat=len(operands)):
            if not any(varies) or (len(operands) > 3 and sum(varies) not in (1, len(operands))):
                continue
            many = [np.stack([examples(x, k) for k in range(MANY)]) if v else x for x, v in zip(operands, varies)]
            dims = tuple(0 if v else None for v in varies)
            random = "same" if op is ops.random_bits else "error"
            got = vmap(lambda *xs, row=row: results(op(*xs, **row.attributes)), dims, 0, random)(*map(lx.tensor, many))
            with np.errstate(all="ignore"):
                one = [
                    op.meaning(*[x[k] if v else x for x, v in zip(many, varies)], **row.attributes) for k in range(MANY)
                ]
            one = [o if isinstance(o, tuple) or len(got) > 1 else (o,) for o in one]
            pending.append((got, [np.stack([np.asarray(o[i]) for o in one]) for i in range(len(got))]))
    lx.sync()
    for got, expected in pending:
        for g, e in zip(got, expected, strict=True):
            assert_close(g.numpy(), e, factor=max(CASES[op].factor, 20.0))


def test_in_dims_out_dims_and_trees():
    x, y = t(4, 3), t(3, 4, seed=1)
    same(vmap(lx.dot, (0, 1))(x, y), (x * y.T).sum(1))
    same(vmap(lambda a: a * 2, out_dims=1)(x), x.T * 2)
    same(vmap(lambda a: a * 2, -1, -1)(x), x * 2)
    got = vmap(lambda d, c: {"a": d["u"] + d["v"][0], "b": (d["u"].sum(), c * d["u"])}, in_dims=(0, None))(
        {"u": x, "v": [x * 3]}, 2.0
    )
    same(got["a"], x * 4)
    same(got["b"][0], x.sum(1))
    same(got["b"][1], x * 2)
    same(vmap(lambda a, *, scale: a * scale, 0)(x, scale=t(3)), x * t(3))
    same(vmap(lambda a: lx.ones(2), 0)(x), lx.ones(4, 2))
    a, b = vmap(lambda a: (a, lx.ones(2)), out_dims=(0, None))(x)
    assert a.shape == (4, 3) and b.shape == (2,)


def test_nested():
    x, y = t(4, 3), t(5, 3, seed=2)
    same(vmap(lambda a: vmap(lambda b: (a * b).sum())(y))(x), x @ y.T)
    same(vmap(vmap(lambda a: a.sin() * a))(x), x.sin() * x)
    same(vmap(vmap(lambda a, b: a - b, (0, None)), (None, 0))(x, y), x - y[:, None])


def test_layers_and_views_and_writes_inside():
    x, w = t(4, 2, 3, 6, 6), t(5, 3, 3, 3, seed=2)
    conv = vmap(lambda a: nn.functional.conv2d(a, w, padding=1).relu().mean((2, 3)))
    same(conv(x), stacked(lambda a: nn.functional.conv2d(a, w, padding=1).relu().mean((2, 3)), 4, x))

    def f(a):
        z = lx.zeros(3) + a
        z[1:] += a[:2]
        z.mul_(2)
        return lx.softmax(z.sort(descending=True)[0], 0)

    same(vmap(f)(t(4, 3)), stacked(f, 4, t(4, 3)))
    same(vmap(lambda a, i: a[i], (None, 0))(t(6, 2), lx.tensor([3, 0, 5])), t(6, 2)[lx.tensor([3, 0, 5])])


def test_a_write_to_a_mapped_input_is_the_callers():
    x = t(4, 3)
    before = x.clone()
    out = vmap(lambda a: a.add_(1), 1)(x)
    same(x, before + 1)
    same(out, (before + 1).T)


def test_no_examples():
    assert vmap(lambda a: a.sin().sum())(lx.zeros(0, 3)).shape == (0,)
    assert vmap(lambda a: a * 2, out_dims=1)(lx.zeros(0, 3)).shape == (3, 0)


def test_chunks():
    x = t(7, 3)
    same(vmap(lambda a: a.sin(), chunk_size=3)(x), x.sin())
    same(vmap(lambda a: a.sin(), 1, 1, chunk_size=2)(x), x.sin())
    lx.manual_seed(1)
    whole = vmap(lambda a: a + lx.rand(3), randomness="same")(x)
    lx.manual_seed(1)
    same(vmap(lambda a: a + lx.rand(3), randomness="same", chunk_size=2)(x), whole)


def test_random_numbers():
    x = lx.zeros(4, 8)
    drawn = vmap(lambda a: a + lx.rand(8), randomness="different")(x).numpy()
    assert len({row.tobytes() for row in drawn}) == 4 and ((0 <= drawn) & (drawn < 1)).all()
    alike = vmap(lambda a: a + lx.rand(8), randomness="same")(x).numpy()
    assert len({row.tobytes() for row in alike}) == 1


def test_gradients_of_examples_are_one_program(metrics):
    lx.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    params = {k: p.detach() for k, p in model.named_parameters()}
    x, y = t(5, 3), t(5, 2, seed=3)

    def loss(p, a, b):
        return ((functional_call(model, p, (a,)) - b) ** 2).mean()

    loops = [grad(loss)(params, x[i], y[i]) for i in range(5)]
    expected = {k: lx.stack([g[k] for g in loops]).numpy() for k in params}
    lx.sync()
    metrics.reset()
    got = vmap(grad(loss), (None, 0, 0))(params, x, y)
    lx.sync()
    assert metrics.report(as_dict=True)["compiles"] == 1
    for k in params:
        assert_close(got[k].numpy(), expected[k], factor=20)


def test_gradients_through_vmap():
    """To what is mapped and to what is one for all, once and twice."""
    x, w = t(4, 3), t(3, 2, seed=1)

    def f(a, v):
        return ((a @ v).tanh() * a.sum()).sum()

    def total(mapped):
        return lambda a, v: (mapped(a, v) ** 2).sum()

    loop = total(lambda a, v: stacked(lambda b: f(b, v), 4, a))
    batch = total(vmap(f, (0, None)))
    for k in (0, 1):
        same(grad(batch, k)(x, w), grad(loop, k)(x, w), 40)
        twice = [grad(lambda a, v, h=h, k=k: (grad(h, k)(a, v) ** 2).sum(), 1 - k)(x, w) for h in (batch, loop)]
        same(*[g.detach() for g in twice], 200)
    a, v = x.clone().requires_grad_(), w.clone().requires_grad_()
    vmap(f, (0, None))(a, v).sum().backward()
    same(v.grad, grad(lambda u: stacked(lambda b: f(b, u), 4, x).sum())(w), 40)
    same(a.grad, grad(lambda b: stacked(lambda c: f(c, w), 4, b).sum())(x), 40)


def test_hessian_of_each():
    x = t(4, 3)

    def f(a):
        return (a.sin() * a.prod()).sum()

    same(vmap(hessian(f))(x), stacked(hessian(f), 4, x), 40)


def test_batched_gradients():
    x = t(3).requires_grad_()
    y = x.sin() * x.sum()
    units = lx.eye(3)
    (got,) = lx.autograd.grad(y, x, units, retain_graph=True, is_grads_batched=True)
    same(got, lx.stack([lx.autograd.grad(y, x, u, retain_graph=True)[0] for u in units]))
    with pytest.raises(RuntimeError, match="Mismatch in shape: grad_output"):
        lx.autograd.grad(y, x, lx.ones(3, 2), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="same number along dim 0"):
        lx.autograd.grad(y, x, None, is_grads_batched=True)


def test_jacobians_as_one_batch():
    x, w = t(3), t(3, seed=5)

    def f(a, b):
        return lx.outer(a.sin(), b), a.sum(), b * 2

    for got, expected in zip(
        lx.autograd.functional.jacobian(f, (x, w), vectorize=True), lx.autograd.functional.jacobian(f, (x, w))
    ):
        for g, e in zip(got, expected):
            same(g, e)
    one = lx.autograd.functional
    same(one.hessian(lambda a: a.sin().prod(), x, vectorize=True), one.hessian(lambda a: a.sin().prod(), x))
    with pytest.raises(RuntimeError, match="not supported together"):
        one.jacobian(lx.sin, x, strict=True, vectorize=True)


def test_an_ensemble():
    models = [nn.Linear(3, 2) for _ in range(4)]
    params, buffers = stack_module_state(models)
    x = t(5, 3)
    got = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(params, buffers)
    same(got.detach(), lx.stack([m(x) for m in models]).detach())
    got.sum().backward()
    assert params["weight"].grad.shape == (4, 2, 3)
    modes, classes = [models[0], nn.Linear(3, 2).eval()], [models[0], nn.Tanh()]
    for wrong, message in (([], "at least one"), (modes, "mode"), (classes, "class")):
        with pytest.raises(RuntimeError, match=message):
            stack_module_state(wrong)


def test_what_an_example_prints():
    texts = []
    vmap(lambda a: texts.append(repr(a)) or a)(X)
    assert "another for each of 2 examples" in texts[0]


def test_in_a_compiled_function():
    f = lx.compile(lambda a, b: vmap(lambda c, d: (c * d).sum())(a, b) * 2)
    for k in range(3):
        x, y = t(4, 3, seed=k), t(4, 3, seed=9 + k)
        same(f(x, y), (x * y).sum(1) * 2)


def test_in_a_loop_that_is_followed():
    w = t(3)
    for k in range(6):
        x = t(4, 3, seed=k)
        y = vmap(lambda a, b: (a * b).sum(), (0, None))(x, w)
        w = w + y.mean()
        expected = (x * (w - y.mean())).sum(1)
        lx.sync()
        same(y, expected, 100)


X = lx.ones(2, 3)
WRONG = {
    "in_dims list": (ValueError, "int or a .* tuple", lambda: vmap(lx.sin, [0])(X)),
    "in_dims too many": (ValueError, "does not have the structure", lambda: vmap(lx.sin, (0, 0))(X)),
    "in_dims text": (ValueError, "got in_dim='a'", lambda: vmap(lx.sin, ("a",))(X)),
    "in_dims far": (ValueError, "got in_dim=2 for an input of 2 dims", lambda: vmap(lx.sin, 2)(X)),
    "no tensor": (ValueError, "cannot be mapped over", lambda: vmap(lambda a, b: a)(X, 1)),
    "all None": (ValueError, "all in_dims are None", lambda: vmap(lx.sin, (None,))(X)),
    "sizes": (ValueError, "same size", lambda: vmap(lx.add)(X, lx.ones(3, 3))),
    "no inputs": (ValueError, "got no inputs", lambda: vmap(lambda: X)()),
    "out_dims text": (ValueError, "out_dims must be", lambda: vmap(lx.sin, 0, "a")(X)),
    "out_dims too many": (ValueError, "structure of the function's 1", lambda: vmap(lx.sin, 0, (0, 0))(X)),
    "out_dims far": (IndexError, "out of range", lambda: vmap(lx.sin, 0, 2)(X)),
    "out_dims None": (ValueError, "differs from example", lambda: vmap(lx.sin, 0, None)(X)),
    "no result": (ValueError, "must only return Tensors", lambda: vmap(lambda a: 1)(X)),
    "chunk_size": (ValueError, "greater than 0", lambda: vmap(lx.sin, chunk_size=0)),
    "randomness": (RuntimeError, "'different' or 'same'", lambda: vmap(lx.sin, randomness="x")(X)),
    "draw": (RuntimeError, "say randomness=", lambda: vmap(lambda a: a + lx.rand(3))(X)),
    "read": (RuntimeError, "reads a value", lambda: vmap(lambda a: a.sum().item())(X)),
    "branch": (RuntimeError, "reads a value", lambda: vmap(lambda a: a if a.sum() > 0 else -a)(X)),
    "write": (RuntimeError, "Map over that tensor", lambda: vmap(lx.ones(3).add_)(X)),
    "backward": (RuntimeError, r"backward\(\) inside", lambda: vmap(lambda a: a.requires_grad_().sum().backward())(X)),
    "loop": (NotImplementedError, "vmap of while", lambda: vmap(lambda a: lx.scan(lambda c, b: (c + b, c), a.sum(), a)[0])(X)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    kind, message, call = WRONG[name]
    with pytest.raises(kind, match=message):
        call()
    same(vmap(lx.sin)(X), X.sin())  # nothing is left behind


def test_a_value_of_one_example_does_not_get_out():
    kept = []
    vmap(lambda a: kept.append(a * 2) or a)(X)
    with pytest.raises(RuntimeError, match="computed for one example inside vmap"):
        kept[0].numpy()
