"""JAX functions as operations: values, trees, static arguments, derivatives of all orders, errors, other platforms."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import gradcheck, gradgradcheck
from lazyxla.devices.jax_functions import JaxFunction
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import debug
from tests.tolerances import assert_close


def double(*shape, seed=0, complex=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return lx.tensor(x + 1j * rng.standard_normal(shape) if complex else x, requires_grad=True)


# --- values -----------------------------------------------------------------------------------------------------


def test_it_is_recorded_and_compiled_with_the_rest(metrics):
    swish = lx.from_jax_function(lambda x: x * jax.nn.sigmoid(x))
    x = lx.tensor([0.0, 1.0, -2.0])
    y = swish(x + 1) * 2
    assert metrics.report(as_dict=True)["compiles"] == 0
    expected = np.array([1.0, 2.0, -1.0]) / (1 + np.exp(-np.array([1.0, 2.0, -1.0]))) * 2
    assert_close(y.numpy(), expected.astype(np.float32))
    assert metrics.report(as_dict=True)["compiles"] == 1


def test_trees_go_in_and_come_out():
    def f(state, *, scale):
        return {"next": [state["x"] * scale, (state["y"].sum(), None)], "count": state["x"].shape[0]}

    out = lx.from_jax_function(lambda s, scale: f(s, scale=scale)["next"])({"x": lx.ones(2), "y": lx.arange(4)}, 3)
    assert out[0].tolist() == [3.0, 3.0]
    assert out[1][0].item() == 6 and out[1][1] is None


def test_static_arguments_make_forms_of_their_own():
    seen = []

    def f(x, mode, power=2):
        seen.append((mode, power))
        return x**power if mode == "power" else x + power

    op = lx.from_jax_function(f)
    x = lx.tensor([3.0])
    for _ in range(2):
        assert op(x, "power").item() == 9
        assert op(x, "add", power=5).item() == 8
        assert op(x, "add", power=5.0).item() == 8
    assert seen == [("power", 2), ("add", 5), ("add", 5.0)]  # traced once each


def test_one_function_is_one_op(metrics):
    def f(x):
        return jnp.tanh(x)

    assert lx.from_jax_function(f) is lx.from_jax_function(f)
    for k in range(3):
        lx.from_jax_function(f)(lx.ones(3) * k).numpy()
    assert metrics.report(as_dict=True)["compiles"] <= 2  # the second with the number as an argument


def test_numpy_and_jax_arrays_become_tensors():
    op = lx.from_jax_function(lambda x, y, z: x + y + z)
    assert op(lx.ones(2), np.float32([1, 2]), jnp.array([3.0, 4.0])).tolist() == [5.0, 7.0]


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.complex128, np.uint64], ids=lambda d: d.__name__)
def test_64_bits_stay(dtype):
    x = np.array([2**40 + 1, 3]).astype(dtype)
    y = lx.from_jax_function(lambda x: x + x)(lx.tensor(x))
    assert y.dtype.numpy == dtype and y.tolist() == (x + x).tolist()


def test_without_them_jax_defaults_are_narrow():
    op = lx.from_jax_function(lambda x: x + jnp.zeros(2))
    assert op(lx.ones(2)).dtype is lx.float32
    assert op(lx.tensor(np.ones(2, ml_dtypes.bfloat16))).dtype is lx.float32
    assert op(lx.ones(2, dtype=lx.float64)).dtype is lx.float64


def test_constants_of_the_function_are_in_the_program():
    table = jnp.arange(4.0)
    assert lx.from_jax_function(lambda x: table * x)(lx.ones(4)).tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_argument_that_is_not_used_keeps_its_place():
    assert lx.from_jax_function(lambda x, y, z: z - x)(lx.ones(2), lx.zeros(3), lx.ones(2) * 5).tolist() == [4.0, 4.0]


def test_inner_functions_of_one_name_do_not_meet():
    def first(x):
        @jax.jit
        def inner(x):
            return x + 1

        return inner(x)

    def second(x):
        @jax.jit
        def inner(x):
            return x * 10

        return inner(x) + inner(x * 2)

    f, g = map(lx.from_jax_function, (first, second))
    y = f(lx.ones(2)) + g(lx.ones(2)) + f(lx.ones(3)).sum()
    assert debug.stablehlo(y).count("func.func private") >= 4
    assert y.tolist() == [38.0, 38.0]


def test_it_calls_one_function_however_often_it_occurs():
    op = lx.from_jax_function(lambda x: jnp.cos(x))
    y = op(op(op(lx.ones(2) / 3)))
    assert debug.stablehlo(y).count("stablehlo.cosine") == 1


def test_the_interpreter_knows_it():
    y = lx.from_jax_function(lambda x: (jnp.sort(x), x.sum()))(lx.tensor([3.0, 1.0, 2.0]))[0] * 2
    assert interpret(y).tolist() == [2.0, 4.0, 6.0] == y.tolist()


def test_eager_mode_runs_all_results_together(metrics):
    op = lx.from_jax_function(lambda x: (x + 1, x * 2))
    x = lx.ones(2)
    with lx.eager():
        before = lx.metrics.report(as_dict=True)["executions"]
        a, b = op(x)
        assert lx.metrics.report(as_dict=True)["executions"] == before + 1
    assert a.tolist() == [2.0, 2.0] and b.tolist() == [2.0, 2.0]


def rolled_cell(h, w):
    return jnp.tanh(h @ w), jnp.sum(h)


def test_inside_a_rolled_loop(metrics):
    cell, norm = lx.from_jax_function(rolled_cell), lx.from_jax_function(lambda w: (w / jnp.max(w), w))
    w, x = double(4, 4), double(2, 4, seed=1)

    def run(trips):
        h, total = x, 0
        for _ in range(trips):
            new, s = cell(h, w)
            h = (new + h.sin() * h.cos() * norm(w)[0].sum() * 0.01) * 0.5
            total = total + s
        return (h.sum() + total)

    def plain(x, w):
        h, total = x, 0.0
        for _ in range(60):
            new, s = rolled_cell(h, w)
            h = (new + jnp.sin(h) * jnp.cos(h) * jnp.sum(w / jnp.max(w)) * 0.01) * 0.5
            total = total + s
        return jnp.sum(h) + total

    y = run(60)
    y.backward()
    with jax.enable_x64(True):
        expected, gradients = jax.value_and_grad(plain, (0, 1))(x.detach().numpy(), w.detach().numpy())
    assert_close(y.detach().numpy(), expected, factor=10)
    for t, g in zip((x, w), gradients):
        assert_close(t.grad.numpy(), g, factor=100)
    assert metrics.report(as_dict=True).get("loops_rolled", 0) >= 1


# --- derivatives ------------------------------------------------------------------------------------------------


def product(x, y):
    return jnp.sin(x) @ y, jnp.sum(x * x), jnp.argmax(x)


def test_derivatives_of_two_orders():
    op = lx.from_jax_function(product)
    inputs = [double(3, 3), double(3, 2, seed=1)]
    assert gradcheck(lambda x, y: tuple(op(x, y)), inputs)
    assert gradgradcheck(lambda x, y: tuple(op(x, y)), inputs)


def test_three_orders():
    op = lx.from_jax_function(lambda x: jnp.sin(x) * x**3)
    x = lx.tensor(0.7, dtype=lx.float64, requires_grad=True)
    y = op(x)
    for _ in range(3):
        (y,) = lx.autograd.grad(y, x, create_graph=True)
    with jax.enable_x64(True):
        expected = jax.grad(jax.grad(jax.grad(lambda x: jnp.sin(x) * x**3)))(0.7)
    assert_close(y.detach().numpy(), expected, factor=10)


def test_views_written_to_through_their_base():
    op, w = lx.from_jax_function(lambda x: x * x), double(4)
    base = lx.zeros(4, dtype=lx.float64)
    view = base[1:3]
    base.add_(w)
    op(view).sum().backward()
    expected = 2 * w.detach().numpy()
    assert_close(w.grad.numpy(), np.array([0, expected[1], expected[2], 0]))


def test_hooks_on_results_see_their_gradients():
    op, x, seen = lx.from_jax_function(lambda x: (x * 2, x * 3)), double(2), []
    a, b = op(x)
    a.register_hook(lambda g: seen.append(g.tolist()))
    (a.sum() + b.sum() * 5).backward()
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [17.0, 17.0]


def test_a_result_alone_has_its_gradient():
    op = lx.from_jax_function(product)
    x, y = double(3, 3), double(3, 2, seed=1)
    op(x, y)[1].backward()
    assert_close(x.grad.numpy(), 2 * x.detach().numpy())
    assert y.grad is None or not y.grad.numpy().any()


def test_integers_have_none():
    op = lx.from_jax_function(lambda x, i: (x[i] * 2, i + 1))
    x, i = double(4), lx.tensor([1, 1, 3])
    taken, moved = op(x, i)
    assert not moved.requires_grad
    taken.sum().backward()
    assert x.grad.tolist() == [0.0, 4.0, 0.0, 2.0]


@pytest.mark.parametrize(
    "f",
    [lambda z: z * z, lambda z: z.conj() * 2j, lambda z: jnp.abs(z), lambda z: jnp.exp(z).real, lambda z: (z @ z.T).imag],
)
def test_complex_numbers_by_pytorchs_convention(f):
    op, z = lx.from_jax_function(f), double(2, 2, complex=True)
    assert gradcheck(op, [z]) and gradgradcheck(op, [z])


def test_a_rule_of_the_functions_own_is_used():
    @jax.custom_vjp
    def clipped(x):
        return x * 1

    clipped.defvjp(lambda x: (x * 1, None), lambda _, g: (jnp.clip(g, -1, 1),))
    x = double(3)
    (lx.from_jax_function(clipped)(x) * lx.tensor([5.0, -7.0, 0.5])).sum().backward()
    assert x.grad.tolist() == [1.0, -1.0, 0.5]


def test_nothing_is_recorded_for_backward_without_need():
    op = lx.from_jax_function(lambda x: jnp.sin(x))
    with lx.no_grad():
        assert not op(double(2)).requires_grad
    assert not op(double(2).detach()).requires_grad


def test_forward_is_not_run_twice(metrics):
    op = lx.from_jax_function(lambda x: jnp.exp(jnp.sin(x)))
    x = double(3)
    y = op(x).sum()
    y.item()
    y.backward()
    assert "stablehlo.exponential" not in debug.stablehlo(x.grad)
    assert_close(x.grad.numpy(), np.exp(np.sin(x.detach().numpy())) * np.cos(x.detach().numpy()))


def test_the_graph_is_freed_and_retained_as_any_other():
    op, x = lx.from_jax_function(lambda x: x * x), double(2)
    y = op(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert_close(x.grad.numpy(), 4 * x.detach().numpy())
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*test_bridge.py"):
        y.backward()


def test_an_operand_overwritten_since_is_an_error():
    op, x = lx.from_jax_function(lambda x: x * x), double(2)
    t = x * 1
    y = op(t).sum()
    t.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*test_bridge.py"):
        y.backward()


def test_what_the_derivative_does_not_read_may_be_overwritten():
    op, w = lx.from_jax_function(lambda x: jnp.tanh(x)), double(3)
    t = w * 1
    y = op(t)
    t.add_(1)  # the derivative of tanh is made of its result
    y.sum().backward()
    assert_close(w.grad.numpy(), 1 / np.cosh(w.detach().numpy()) ** 2, factor=10)
    z = lx.from_jax_function(lambda x: jnp.sin(x))(w)
    z.mul_(2)
    w.grad = None
    z.sum().backward()
    assert_close(w.grad.numpy(), 2 * np.cos(w.detach().numpy()))


def test_pallas_kernels_in_interpret_mode():
    from jax.experimental import pallas as pl

    def kernel(x, out):
        out[...] = x[...] * 2 + 1

    @jax.custom_vjp
    def f(x):
        return pl.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype), interpret=True)(x)

    f.defvjp(lambda x: (f(x), None), lambda _, g: (g * 2,))
    x = lx.ones(8, 128, requires_grad=True)
    y = lx.from_jax_function(f)(x)
    y.sum().backward()
    assert y.detach().numpy().min() == 3 == y.detach().numpy().max()
    assert x.grad.numpy().min() == 2 == x.grad.numpy().max()


# --- platforms --------------------------------------------------------------------------------------------------


def test_it_is_lowered_for_the_platform_at_hand():
    f = JaxFunction(lambda x: tuple(jnp.linalg.eigh(x)), "eigh")
    types = (((3, 3), np.dtype(np.float32)),)
    assert b"lapack_ssyevd" in f.stablehlo(types, "cpu")
    assert b"lapack" not in f.stablehlo(types, "tpu")


# --- errors -----------------------------------------------------------------------------------------------------


def not_traceable(x):
    return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (lambda: lx.from_jax_function(3), TypeError, r"from_jax_function\(\): a function is expected, not int"),
        (lambda: lx.from_jax_function(product)(1, 2), TypeError, r"product\(\): at least one tensor is expected"),
        (
            lambda: lx.from_jax_function(product)(lx.ones(2), {1, 2}),
            TypeError,
            r"product\(\): what is no tensor is a static argument and must be hashable, but set is not",
        ),
        (
            lambda: lx.from_jax_function(product)(lx.ones(2, 3), lx.ones(2, 3)),
            TypeError,
            r"product cannot be traced: TypeError: dot_general requires contracting.*float32\[2,3\], float32\[2,3\]",
        ),
        (lambda: lx.from_jax_function(not_traceable)(lx.ones(2)), TypeError, "not_traceable cannot be traced: Tracer"),
        (
            lambda: lx.from_jax_function(lambda x: jax.pure_callback(np.sin, x, x))(lx.ones(2)),
            NotImplementedError,
            r"calls back into Python \(pure_callback\)",
        ),
        (
            lambda: lx.from_jax_function(lambda x: jax.random.key(0))(lx.ones(2)), TypeError,
            "returns key<fry> of JAX's own",
        ),
        (lambda: lx.from_jax_function(lambda x: ())(lx.ones(2)), TypeError, "returns no array"),
    ],
)  # fmt: skip
def test_errors_name_the_users_line(call, kind, words):
    with pytest.raises(kind, match=rf"{words}.*test_bridge.py:\d+"):
        call()


def test_what_jax_cannot_differentiate_fails_only_going_backward():
    def until_small(x):
        return jax.lax.while_loop(lambda x: (x > 1).any(), lambda x: x / 2, x)

    y = lx.from_jax_function(until_small)(lx.tensor([8.0], requires_grad=True))
    assert y.item() == 1
    with pytest.raises(NotImplementedError, match=r"derivative of UntilSmall cannot be had.*while_loop.*test_bridge.py"):
        y.sum().backward()


def test_what_cannot_be_lowered_names_the_users_line():
    from jax.experimental import pallas as pl

    def for_tpu(x):
        return pl.pallas_call(lambda x, o: None, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype))(x)

    y = lx.from_jax_function(for_tpu)(lx.ones(8, 128))
    with pytest.raises(RuntimeError, match=r"for_tpu cannot be lowered for cpu.*interpret mode.*test_bridge.py:\d+"):
        y.numpy()


@pytest.mark.parametrize("f", [lx.from_jax_function, lx.func.grad], ids=lambda f: f.__name__)
def test_examples_of_the_documentation_run(f):
    import doctest

    names = {"lazyxla": lx, "from_jax_function": lx.from_jax_function}
    tests = doctest.DocTestFinder().find(f, f.__name__, globs=names)
    runner = doctest.DocTestRunner()
    assert sum(runner.run(t).attempted for t in tests) > 0
    assert runner.failures == 0


def test_executables_are_found_on_disk(tmp_path):
    """Also those that call LAPACK."""
    import os
    import subprocess
    import sys

    program = (
        "import lazyxla as lx; a = lx.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=lx.float64); L = lx.linalg; "
        "y = L.svd(a).S.sum() + L.eigvalsh(a).sum() + L.qr(a).R.abs().sum() + L.det(a); "
        "print(y.item(), lx.metrics.report(as_dict=True).get('disk_hits', 0))"
    )
    environment = {**os.environ, "LAZYXLA_CACHE_DIR": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    runs = [r.stdout.split() for r in runs]
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == "0" and int(runs[1][1]) >= 1


def test_values_on_the_host_compile_once():
    traced = []

    def f(x):
        traced.append(x.shape)
        return [jnp.sin(x) * 2]

    function = JaxFunction(f, "f")
    for k in range(3):
        np.testing.assert_allclose(function.run([np.full(4, k, np.float32)])[0], np.full(4, 2 * np.sin(k)), rtol=1e-6)
    assert traced == [(4,)]
