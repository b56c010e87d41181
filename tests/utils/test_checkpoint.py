"""Checkpointing: the gradients of the function itself, from a second run of it, in less memory."""

import contextlib

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
import lazyxla.nn.functional as F
from lazyxla.autograd import gradcheck, gradgradcheck
from lazyxla.lowering import debug
from lazyxla.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential
from tests.tolerances import assert_close

pytestmark = pytest.mark.usefixtures("clean")


def block(x, w, scale=1.0):
    h = (x @ w).tanh() * scale
    return x + (h.exp() @ w.T).sigmoid()


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    return [lx.tensor(rng.normal(size=(4, 4)) / 2, requires_grad=True) for _ in range(2)]


def plain(function, *args, **kwargs):
    for name in ("use_reentrant", "preserve_rng_state"):
        kwargs.pop(name, None)
    return function(*args, **kwargs)


def both(program):
    """What a program of ``call(function, *args)`` gives without and with checkpointing."""
    expected, got = program(plain), program(checkpoint)
    assert len(expected) == len(got)
    for a, b in zip(got, expected):
        assert_close(a.detach().numpy(), b.detach().numpy(), factor=4)  # XLA may round what is computed again otherwise


@pytest.mark.parametrize("use_reentrant", [None, False, True])
def test_gradients_of_arguments(use_reentrant):
    def program(call):
        x, w = inputs()
        y = call(block, x, w, scale=0.7, use_reentrant=use_reentrant)
        return [y, *lx.autograd.grad(y.square().sum(), [x, w])]

    both(program)


def test_gradients_against_finite_differences_first_and_second():
    x, w = inputs()
    assert gradcheck(lambda x, w: checkpoint(block, x, w), (x, w))
    assert gradgradcheck(lambda x, w: checkpoint(block, x, w), (x, w))


def test_parameters_of_a_module_and_what_flows_further():
    def program(call):
        lx.manual_seed(0)
        model = nn.ModuleList([nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.LayerNorm(5)) for _ in range(3)])
        x = lx.randn(4, 5, requires_grad=True)
        h = x * 2
        for layer in model:
            h = call(layer, h)
        h.square().sum().backward()
        return [h, x.grad, *(p.grad for p in model.parameters())]

    both(program)


def test_dropout_draws_the_same_numbers_again():
    def program(call):
        lx.manual_seed(1)
        x, w = inputs()
        h = x
        for _ in range(3):
            h = call(lambda x: F.dropout(block(x, w), 0.5), h)
        after = lx.rand(3)  # the stream goes on as if there had been one run
        return [h, *lx.autograd.grad(h.square().sum(), [x, w]), after, lx.rand(2)]

    both(program)


def test_without_the_state_other_numbers_are_drawn():
    x = lx.ones(200, requires_grad=True)
    y = checkpoint(lambda x: F.dropout(x.exp(), 0.5).exp(), x, preserve_rng_state=False)
    y.sum().backward()
    dropped = y.detach().numpy() == 1
    assert 0 < ((x.grad.numpy() == 0) != dropped).sum() < 200


def test_nested():
    def program(call):
        x, w = inputs()

        def outer(x):
            y = call(block, x, w)
            return call(lambda y: block(y.sin(), w), y) * y

        y = call(outer, x)
        return [y, *lx.autograd.grad(y.square().sum(), [x, w])]

    both(program)


def test_several_outputs_and_structured_arguments():
    def f(pair, options, power):
        a, b = pair
        y = (a * b).exp()
        return {"first": y, "rest": [(a + options["c"]).tanh() ** power, "a word"]}, y.sum(0) * 2

    def program(call):
        x, w = inputs()
        c = lx.tensor(np.linspace(-1, 1, 4), requires_grad=True)
        found, total = call(f, (x, w), {"c": c, "unused": 3}, 2)
        assert found["rest"][1] == "a word"
        loss = found["first"].sum() + (found["rest"][0] * found["first"]).sum() + total.sin().sum()
        return [loss, *lx.autograd.grad(loss, [x, w, c])]

    both(program)


def test_gradients_of_gradients():
    def program(call):
        x, w = inputs()
        y = call(lambda x: block(x, w), x)
        (g,) = lx.autograd.grad(y.square().sum(), [x], create_graph=True)
        return [g, *lx.autograd.grad((g * g.tanh()).sum(), [x, w])]

    both(program)


def test_functions_with_a_backward_of_their_own():
    class Cube(lx.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    def program(call):
        x, w = inputs()
        y = call(lambda x: Cube.apply(x @ w).sin() + lx.logsumexp(x, 1).unsqueeze(1), x)
        return [y, *lx.autograd.grad(y.sum(), [x, w])]

    both(program)


def test_the_graph_may_be_used_twice_if_retained_and_not_otherwise():
    x, w = inputs()
    y = checkpoint(block, x, w).sum()
    first = lx.autograd.grad(y, [x, w], retain_graph=True)
    second = lx.autograd.grad(y, [x, w])
    for a, b in zip(first, second):
        assert_close(a.numpy(), b.numpy())
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        lx.autograd.grad(y, [x, w])


def test_a_read_before_backward_and_a_write_to_the_argument_do_no_harm():
    def program(call):
        x, w = inputs()
        h = x * 1.0
        y = call(block, h, w)
        loss = y.square().sum()
        loss.item()
        with lx.no_grad():
            h.mul_(100.0)
        return [loss, *lx.autograd.grad(loss, [x, w])]

    both_are = program(checkpoint)
    x, w = inputs()
    loss = block(x * 1.0, w).square().sum()
    for a, b in zip(both_are, [loss, *lx.autograd.grad(loss, [x, w])]):
        assert_close(a.detach().numpy(), b.detach().numpy())


def test_a_parameter_written_to_in_between_is_an_error():
    x, w = inputs()
    y = checkpoint(lambda x: block(x, w), x).sum()
    with lx.no_grad():
        w.add_(1.0)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation: a float64\[4,4\] .*test_checkpoint.py"):
        y.backward()


def test_a_second_run_that_differs_is_an_error():
    calls = []

    def f(x):
        calls.append(1)
        return x.exp().sin() if len(calls) % 2 else x.exp().cos()

    def g(x):
        calls.append(1)
        return x.exp().sin() if len(calls) % 2 else x.exp().sin().tanh()

    x, _ = inputs()
    y = checkpoint(f, x)
    with pytest.raises(CheckpointError, match="recorded sine.* going forward and cosine.*test_checkpoint.py"):
        y.sum().backward()
    calls.clear()
    y = checkpoint(g, x)
    with pytest.raises(CheckpointError, match="2 differentiable operations going forward and 3"):
        y.sum().backward()
    with pytest.raises(ValueError, match="'default' or 'none', but got 'strict'"):
        checkpoint(f, x, determinism_check="strict")


def test_the_contexts_are_entered_once_each():
    entered = []

    @contextlib.contextmanager
    def context(name):
        entered.append(name)
        yield

    x, w = inputs()
    y = checkpoint(block, x, w, context_fn=lambda: (context("first"), context("again")))
    assert entered == ["first"]
    y.sum().backward()
    assert entered == ["first", "again"]


@pytest.mark.parametrize("mode", ["lazy", "eager"])
def test_autocast_of_the_first_run_is_on_in_the_second(mode):
    def program(call):
        x, w = inputs()
        with lx.autocast("cpu", lx.bfloat16):
            y = call(block, x, w)
        assert not lx.is_autocast_enabled("cpu")
        with lx.autocast("cpu", enabled=False):
            y.sum().backward()
        assert not lx.is_autocast_enabled("cpu")
        return y, x.grad, w.grad

    with lx.eager(mode == "eager"):
        both(program)


def test_nothing_to_differentiate_runs_once():
    calls = []

    def f(x):
        calls.append(1)
        return x.exp()

    x, _ = inputs()
    with lx.no_grad():
        assert not checkpoint(f, x).requires_grad
    assert not checkpoint(f, x.detach()).requires_grad
    assert len(calls) == 2


def test_in_segments():
    def program(call):
        lx.manual_seed(0)
        model = nn.Sequential(*(nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(7)))
        x = lx.randn(4, 5, requires_grad=True)
        y = model(x) if call is plain else checkpoint_sequential(model, 3, x)
        y.square().sum().backward()
        return [y, x.grad, *(p.grad for p in model.parameters())]

    both(program)
    with pytest.raises(ValueError, match="between 1 and the 1 functions, but got 2"):
        checkpoint_sequential(nn.Sequential(nn.Tanh()), 2, lx.ones(1))


def test_a_training_step_gives_everything_away():
    lx.manual_seed(0)
    model = nn.ModuleList([nn.Linear(5, 5) for _ in range(3)])
    optimizer = lx.optim.Adam(model.parameters(), lr=0.01)
    x = lx.randn(4, 5)
    for _ in range(3):
        optimizer.zero_grad()
        h = x
        for layer in model:
            h = checkpoint(lambda h, layer=layer: layer(h).tanh().exp(), h)
        loss = h.square().mean()
        loss.backward()
        optimizer.step()
    facts = lx.metrics.report(as_dict=True)
    assert facts["recompiles"][-1]["alias_bytes"] == 3 * sum(p.numel() * 4 for p in model.parameters())


def temporary(call, layers=12, rows=2048, width=64):
    x = lx.ones(rows, width)
    weights = [lx.ones(width, width, requires_grad=True) for _ in range(layers)]
    lx.sync()

    def deep(x, w):
        h = (x @ w).tanh()
        return x + (h.sin() @ w).exp().cos().tanh()

    for w in weights:
        x = call(deep, x, w)
    found = lx.autograd.grad(x.square().sum(), weights)
    return debug.memory(*found).temporary_bytes / (rows * width * 4)


def test_a_deep_perceptron_takes_less_memory():
    """In units of one layer's values: without, each of the 12 layers keeps several; with, it keeps its input."""
    without, with_ = temporary(plain), temporary(checkpoint)
    assert with_ < 0.5 * without
