"""Hooks of all modules: called for each, before its own, until they are removed."""

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.nn as nn
from lazyxla.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_they_are_called_for_each_module_and_before_its_own(model):
    seen = []
    model[1].register_forward_hook(lambda m, args, out: seen.append("own"))
    with register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__)):
        model(lx.ones(2, 3))
    assert seen == ["Linear", "Tanh", "own", "Linear", "Sequential"]
    model(lx.ones(2, 3))
    assert seen[5:] == ["own"]


def test_what_they_return_goes_on(model):
    x = lx.ones(2, 3)
    expected = model(x)
    with register_module_forward_pre_hook(lambda m, args: (args[0] * 2,) if isinstance(m, nn.Sequential) else None):
        np.testing.assert_allclose(model(x).detach(), model.forward(2 * x).detach(), rtol=1e-6)
    with register_module_forward_hook(lambda m, args, out: out + 1 if isinstance(m, nn.Sequential) else None):
        np.testing.assert_allclose(model(x).detach(), (expected + 1).detach(), rtol=1e-6)


def test_options_of_forward_hooks(model):
    seen = []
    with register_module_forward_hook(lambda m, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True):
        model[0](input=lx.ones(1, 3))
    assert seen == [["input"]]
    with (
        register_module_forward_hook(lambda m, args, out: seen.append(out), always_call=True),
        pytest.raises(RuntimeError),
    ):
        model[0](lx.ones(1, 5))
    assert seen[1:] == [None]


def test_backward_hooks_see_and_change_gradients(model):
    x = lx.ones(2, 3, requires_grad=True)
    model(x).sum().backward()
    expected = x.grad.numpy().copy()
    x.grad = None
    seen = []

    def after(m, grad_input, grad_output):
        seen.append((type(m).__name__, tuple(grad_output[0].shape)))
        return (grad_input[0] * 3,) if m is model[0] else None

    before = register_module_full_backward_pre_hook(lambda m, g: seen.append("before"))
    with register_module_full_backward_hook(after), before:
        model(x).sum().backward()
    assert [s for s in seen if s != "before"] == [
        ("Linear", (2, 2)), ("Tanh", (2, 4)), ("Linear", (2, 4)), ("Sequential", (2, 2)),
    ]  # fmt: skip
    assert seen.count("before") == 4
    np.testing.assert_allclose(x.grad, 3 * expected, rtol=1e-6)


def test_the_older_name_of_backward_hooks(model):
    seen = []
    model[0].register_backward_hook(lambda m, grad_input, grad_output: seen.append(tuple(grad_output[0].shape)))
    model(lx.ones(2, 3, requires_grad=True)).sum().backward()
    assert seen == [(2, 4)]
