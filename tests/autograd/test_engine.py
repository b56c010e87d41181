"""backward and grad: accumulation, several inputs and outputs, higher orders, hooks, modes, errors."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import Function, grad, gradcheck, gradgradcheck


def leaf(*values, dtype=lx.float64):
    return lx.tensor(values, dtype=dtype, requires_grad=True)


def test_backward_twice_doubles():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    assert x.grad.tolist() == [2.0, 4.0]
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_backward_of_several_tensors():
    x, w = leaf(1.0, 2.0), leaf(3.0)
    lx.autograd.backward([(x * w).sum(), x * x], [None, lx.tensor([1.0, 10.0], dtype=lx.float64)])
    assert x.grad.tolist() == [3 + 2, 3 + 40] and w.grad.tolist() == [3.0]
    y = x * w
    lx.autograd.backward(y.sum(), inputs=[w])
    assert x.grad.tolist() == [5, 43] and w.grad.tolist() == [6.0]
    with pytest.raises(RuntimeError, match="implicitly created only for scalar outputs"):
        lx.autograd.backward(x * w)


def test_inputs_of_any_iterable():
    """The values of a dict of fast weights, and the parameters of a module, which come one by one."""
    fast = {"w": leaf(2.0), "b": leaf(3.0)}
    for _ in range(3):  # the third time the calls are followed
        loss = (fast["w"] ** 2 * fast["b"]).sum()
        assert [g.item() for g in grad(loss, fast.values(), retain_graph=True)] == [12.0, 4.0]
        assert [g.item() for g in grad(loss, (v for v in fast.values()))] == [12.0, 4.0]


def test_a_freed_graph_cannot_be_gone_through_again():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*test_engine.py"):
        y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_what_saves_nothing_can_be_gone_through_again():
    """Inputs made once, with requires_grad, before a conversion: each step's backward goes through that again."""
    x = leaf(1.0, 2.0)
    moved = x.float().view(1, 2).to("xla") + 1
    for n in (1, 2, 3, 4):
        loss = (moved * moved).sum()
        loss.backward()
        assert x.grad.tolist() == [4.0 * n, 6.0 * n]
        lx.sync()
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time.*MulBackward0"):
        loss.backward()


def test_shared_subexpressions_and_diamonds():
    x = leaf(0.5)
    y = x.sin()
    z = y * y + y.exp() * x
    (z + y).sum().backward()
    v = 0.5
    expected = 2 * np.sin(v) * np.cos(v) + np.exp(np.sin(v)) * (1 + v * np.cos(v)) + np.cos(v)
    assert x.grad.item() == pytest.approx(expected, rel=1e-12)


def test_grad_of_several_outputs_and_inputs():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    gx, gy = grad([(x * y).sum(), (x + y * y).sum()], [x, y])
    assert gx.tolist() == [4.0, 5.0]
    assert gy.tolist() == [7.0, 10.0]
    assert x.grad is None and y.grad is None


def test_grad_outputs_weigh():
    x = leaf(1.0, 2.0)
    (g,) = grad(x * x, x, lx.tensor([1.0, 10.0], dtype=lx.float64))
    assert g.tolist() == [2.0, 40.0]


def test_unused_inputs():
    x, y = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match="appears to not have been used.*input 1"):
        grad((x * 2).sum(), [x, y])
    assert grad((x * 2).sum(), [x, y], allow_unused=True)[1] is None
    assert grad((x * 2).sum(), [x, y], materialize_grads=True)[1].tolist() == [0.0]


def test_gradients_of_gradients():
    x = leaf(0.3, -0.7)
    (g,) = grad((x**4).sum(), x, create_graph=True)
    (h,) = grad(g.sum(), x, create_graph=True)
    (t,) = grad(h.sum(), x)
    np.testing.assert_allclose(h.detach().numpy(), 12 * np.array([0.3, -0.7]) ** 2)
    np.testing.assert_allclose(t.numpy(), 24 * np.array([0.3, -0.7]))


def test_a_gradient_penalty_trains():
    w = leaf(0.5, -1.0)
    x = leaf(1.0, 2.0)
    (g,) = grad((w * x).tanh().sum(), x, create_graph=True)
    (g * g).sum().backward()

    def penalty(v):
        return (((1 - np.tanh(v * [1.0, 2.0]) ** 2) * v) ** 2).sum()

    for i in range(2):
        step = np.zeros(2)
        step[i] = 1e-6
        expected = (penalty(np.array([0.5, -1.0]) + step) - penalty(np.array([0.5, -1.0]) - step)) / 2e-6
        assert w.grad[i].item() == pytest.approx(expected, rel=1e-6)


def test_gradient_of_an_intermediate():
    x = leaf(2.0)
    y = x * x
    z = y * y
    (g,) = grad(z.sum(), y)
    assert g.tolist() == [8.0]


def test_retain_grad_and_inputs():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert y.grad.tolist() == [12.0] and x.grad.tolist() == [36.0]
    a, b = leaf(1.0), leaf(1.0)
    (a * b).sum().backward(inputs=[a])
    assert a.grad.tolist() == [1.0] and b.grad is None


def test_hooks_change_and_see_gradients():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    handle = y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [21.0, 21.0]
    handle.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_post_accumulate_hook():
    x = leaf(1.0)
    calls = []
    x.register_post_accumulate_grad_hook(lambda t: calls.append(t.grad.item()))
    (x * 5).sum().backward()
    assert calls == [5.0]


def test_modes():
    x = leaf(1.0)
    with lx.no_grad():
        assert not (x * 2).requires_grad
        with lx.enable_grad():
            assert (x * 2).requires_grad
    with lx.inference_mode():
        assert not (x * 2).requires_grad and lx.is_inference_mode_enabled()
    assert lx.is_grad_enabled()

    @lx.no_grad()
    def f(v):
        return v * 2

    @lx.no_grad
    def g(v):
        return v * 2

    assert not f(x).requires_grad and not g(x).requires_grad

    @lx.no_grad()
    def steps(v):
        yield (v * 2).requires_grad
        yield (v * 2).requires_grad

    for flag in steps(x):
        assert not flag and lx.is_grad_enabled()
    with lx.set_grad_enabled(False):
        assert not lx.is_grad_enabled()
    assert lx.is_grad_enabled()
    lx.set_grad_enabled(False)
    assert not lx.is_grad_enabled()
    lx.set_grad_enabled(True)


def test_an_exception_restores_the_mode():
    with pytest.raises(KeyError), lx.no_grad():
        raise KeyError
    assert lx.is_grad_enabled()


def test_detach_cuts():
    x = leaf(3.0)
    (x.detach() * x).sum().backward()
    assert x.grad.tolist() == [3.0]


def test_implicit_gradients_only_for_scalars():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="implicitly created only for scalar outputs"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        lx.ones(1).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2).backward(lx.ones(3, dtype=lx.float64))


def test_python_control_flow():
    def power(x, n):
        return x if n == 1 else power(x, n // 2) * power(x, n - n // 2)

    def partial_sums(x):
        total = 0
        for i in range(1, 5):
            total = total + x**i
            yield total

    x = leaf(1.1)
    (g,) = grad(power(x, 7).sum(), x)
    assert g.item() == pytest.approx(7 * 1.1**6, rel=1e-12)
    (g,) = grad(list(partial_sums(x))[-1].sum(), x)
    assert g.item() == pytest.approx(1 + 2 * 1.1 + 3 * 1.1**2 + 4 * 1.1**3, rel=1e-12)
    y = x
    trips = 0
    while y.item() < 100:  # a branch on the data
        y = y * 3
        trips += 1
    (g,) = grad(y.sum(), x)
    assert g.item() == 3.0**trips


def test_complex_gradients_follow_pytorch():
    z = lx.tensor([1 + 2j, -0.5j], dtype=lx.complex128, requires_grad=True)
    (z.abs() ** 2).sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), 2 * z.detach().numpy())
    z.grad = None
    (z * z).real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), np.conj(2 * z.detach().numpy()))


def test_requires_grad_rules():
    with pytest.raises(RuntimeError, match="floating point and complex dtype can require gradients"):
        lx.arange(3).requires_grad_()
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="change requires_grad flags of leaf"):
        (x * 2).requires_grad_(False)
    assert (x * 2).grad_fn.name() == "MulBackward0"
    assert x.is_leaf and not (x * 2).is_leaf


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class SumAndDifference(Function):
    @staticmethod
    def forward(ctx, x, y, scale):
        ctx.scale = scale
        return (x + y) * scale, (x - y) * scale

    @staticmethod
    def backward(ctx, g_sum, g_difference):
        return (g_sum + g_difference) * ctx.scale, (g_sum - g_difference) * ctx.scale, None


class Wrong(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos() * 1.01


def test_functions_of_ones_own():
    x, y = leaf(0.5, -1.5), leaf(2.0, 3.0)
    assert gradcheck(Cube.apply, (x,)) and gradgradcheck(Cube.apply, (x,))
    assert gradcheck(lambda a, b: SumAndDifference.apply(a, b, 3.0), (x, y))
    total, _ = SumAndDifference.apply(x, y, 2.0)  # one result unused
    total.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0] and y.grad.tolist() == [2.0, 2.0]


def test_what_comes_right_after_a_function_leads_back_through_it():
    for after in (lx.sum, lambda y: y.sin().sum(), lambda y: (y * y).sum()):
        x, w = leaf(0.5, -1.5), leaf(2.0, 3.0)
        got = grad(after(Cube.apply(x * w)), [x, w])
        expected = grad(after((x * w) ** 3), [x, w])
        for a, b in zip(got, expected):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_gradcheck_finds_a_wrong_function():
    x = leaf(0.5, -1.5)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, (x,))
    assert not gradcheck(Wrong.apply, (x,), raise_exception=False)
    assert not gradcheck(Wrong.apply, (x,), raise_exception=False, fast_mode=True)
    with pytest.raises(ValueError, match="double precision"):
        gradcheck(lambda v: v, lx.ones(2, requires_grad=True))


def test_saved_tensors_modified_in_place():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*overwritten at test_engine.py:\d+"):
        z.sum().backward()


def test_results_modified_in_place():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    a = x + 1
    a.mul_(2)  # neither needs its operands
    a.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_leaves_are_not_written_in_place():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"a leaf Variable that requires grad.*test_engine.py"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[0] = 3.0
    assert x.tolist() == [1.0, 2.0]
    with lx.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0, 3.0]


def test_gradients_through_views_and_in_place_writes():
    def f(x):
        y = x * 1
        y[1:3] *= 2
        y.view(2, 2)[0].add_(x[:2] * x[2:])
        return (y * y).sum()

    x = leaf(0.5, 1.5, -1.0, 2.0)
    assert gradcheck(f, (x,)) and gradgradcheck(f, (x,))


def test_anomaly_mode_is_kept():
    with lx.autograd.detect_anomaly():
        assert lx.is_anomaly_enabled()
    with lx.autograd.set_detect_anomaly(True, check_nan=False):
        assert lx.is_anomaly_enabled()
    assert not lx.is_anomaly_enabled()
    lx.autograd.set_detect_anomaly(False)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 1), (1, 1, 1)])
def test_a_gradient_of_what_a_function_broadcast_is_summed(shape):
    """As PyTorch does, where ``backward`` gives it in the broadcast shape; 2 d/dw sum(c w) is c summed over what was 1."""

    class Scaled(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x)
            return x * w

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return None, g * x

    c = np.arange(6.0).reshape(1, 2, 3) + 1
    w = lx.ones(shape, dtype=lx.float64, requires_grad=True)
    Scaled.apply(lx.tensor(c), w).sum().backward()
    aligned = (1,) * (3 - len(shape)) + shape
    axes = tuple(i for i, n in enumerate(aligned) if n == 1)
    assert w.grad.shape == shape and np.array_equal(w.grad.numpy(), c.sum(axes, keepdims=True).reshape(shape))


def test_a_gradient_that_does_not_fit_is_refused():
    class Wrong(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return lx.ones(3)

    with pytest.raises(RuntimeError, match=r"invalid gradient at index 0 - got \[3\] but expected shape compatible with \[2\]"):
        Wrong.apply(lx.ones(2, requires_grad=True)).sum().backward()
