"""``jit``: scripts run as their Python, traces as programs that are held against it; what cannot be says so."""

import enum
import functools
import typing
import warnings

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import jit, nn


class Net(nn.Module):
    scale: jit.Final[int]

    def __init__(self):
        super().__init__()
        self.linear, self.drop, self.scale = nn.Linear(3, 2), nn.Dropout(0.5), 3
        self.traced = []

    def forward(self, x, factor=1.0):
        self.traced.append(jit.is_tracing())
        return self.drop(self.linear(x)) * self.scale * factor

    @jit.export
    def twice(self, x):
        return self.linear(x) * 2


X = lx.tensor([[1.0, -2.0, 0.5], [0.25, 4.0, -1.0]])


def numbers(net, x=X):
    weight, bias = (t.detach().numpy() for t in (net.linear.weight, net.linear.bias))
    return x.numpy() @ weight.T + bias


def test_marks_leave_everything_as_it_is():
    def f(x):
        return x + 1

    for mark in (jit.export, jit.unused, jit.ignore, jit.script_method, jit.interface, jit.script_if_tracing,
        jit.ignore(drop=True), jit.ignore()):  # fmt: skip
        assert mark(f) is f
    assert not jit.is_scripting() and not jit.is_tracing() and jit.annotate(int, 3) == 3
    assert typing.get_origin(jit.Final[int]) is typing.Final
    assert jit.annotations.List is list or jit.annotations.List[int] == typing.List[int]  # noqa: UP006
    assert jit.wait(jit.fork(f, 2)) == 3
    assert jit.set_fusion_strategy([("STATIC", 3)]) == [("STATIC", 2), ("DYNAMIC", 10)]
    assert jit.set_fusion_strategy([("STATIC", 2), ("DYNAMIC", 10)]) == [("STATIC", 3)]
    jit.enable_onednn_fusion(True)
    assert jit.onednn_fusion_enabled()
    jit.enable_onednn_fusion(False)
    with jit.optimized_execution(False), jit.strict_fusion():
        assert not jit.onednn_fusion_enabled()


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [([1, 2], list[int], True), ([1, "a"], list[int], False), ({"a": 1.0}, dict[str, float], True), (1, list[int], False),
        ({"a": 1}, dict[str, float], False), ((1, "a"), tuple[int, str], True), ((1, 2), tuple[int, str], False),
        ((1,), tuple[int, str], False), ((1, 2, 3), tuple[int, ...], True), (None, typing.Optional[int], True),  # noqa: UP045
        ("a", typing.Optional[int], False), (1, int | str, True), (1, (str, float), False), (None, None, True),  # noqa: UP045
        (1, typing.Any, True)],
)  # fmt: skip
def test_isinstance_looks_inside(value, kind, expected):
    assert jit.isinstance(value, kind) is expected


def test_a_scripted_function_computes_what_it_computed():
    @jit.script
    def f(x, n: int = 2):
        """Repeated."""
        if x.sum() > 0:  # a script may decide by values, as its Python may
            return x * n
        return x

    assert isinstance(f, jit.ScriptFunction) and f.name == "f" and f.__doc__ == "Repeated." and "x * n" in f.code
    assert jit.script(f) is f and repr(f) == "<ScriptFunction f>"
    np.testing.assert_array_equal(f(lx.tensor([1.0, 2.0])).numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(f(lx.tensor([-1.0]), n=5).numpy(), [-1.0])
    assert jit.script(functools.partial(pow, 2))(3) == 8

    class Kind(enum.Enum):
        A = 1

    for as_it_is in (Net, Kind, Kind.A, [1], {"a": 1}):
        assert jit.script(as_it_is) is as_it_is
    with pytest.raises(TypeError, match=r"jit.script\(\): a function, module or class is expected, not int"):
        jit.script(3)


def test_a_scripted_module_shares_all_of_its_module():
    net = Net().eval()
    scripted = jit.script(net)
    assert isinstance(scripted, jit.ScriptModule) and scripted.original_name == "Net" and not scripted.training
    assert list(scripted.state_dict()) == ["linear.weight", "linear.bias"] and scripted.linear is net.linear
    assert "original_name=Net" in repr(scripted) and "self.scale" in scripted.code
    lx.testing.assert_close(scripted(X).detach(), lx.tensor(numbers(net) * 3))
    lx.testing.assert_close(scripted.twice(X).detach(), lx.tensor(numbers(net) * 2))
    scripted.train()
    assert net.training and net.drop.training
    with pytest.raises(RuntimeError, match="Freezing is only for modules in eval mode"):
        jit.freeze(scripted)
    assert jit.freeze(scripted.eval()) is scripted is jit.optimize_for_inference(scripted)
    with pytest.raises(RuntimeError, match="Freezing expects a ScriptModule as input, not Net"):
        jit.freeze(net)


def test_a_script_module_takes_the_value_of_an_attribute():
    class Script(jit.ScriptModule):
        def __init__(self):
            super().__init__()
            self.rate = jit.Attribute(0.5, float)
            self.linear = nn.Linear(3, 2)

        @jit.script_method
        def forward(self, x):
            return self.linear(x) * self.rate

    net = Script()
    assert net.rate == 0.5 and net.original_name == "Script" and "self.rate" in net.code
    lx.testing.assert_close(net(X).detach(), lx.tensor(numbers(net) * 0.5))


def test_a_traced_function_is_a_program():
    calls = []

    def f(x, y):
        calls.append(jit.is_tracing())
        return x @ y, (x.sum(), {"y": y * 2})

    traced = jit.trace(f, (X, X.T.contiguous()))
    assert calls == [False, True]  # the Python, and the recording
    a, b = lx.rand(2, 3), lx.rand(3, 2)
    product, (total, rest) = traced(a, b)
    assert calls == [False, True]
    np.testing.assert_allclose(product.numpy(), a.numpy() @ b.numpy(), rtol=1e-5)
    np.testing.assert_allclose(total.numpy(), a.numpy().sum(), rtol=1e-5)
    np.testing.assert_array_equal(rest["y"].numpy(), 2 * b.numpy())
    traced(a[:1], b)  # another shape is recorded by itself
    assert calls == [False, True, True] and not jit.is_tracing()
    assert jit.trace(traced, (a, b)) is traced


def test_a_traced_module_follows_weights_and_modes():
    net = Net().eval()
    traced = jit.trace(net, X)
    assert isinstance(traced, jit.ScriptModule) and traced.original_name == "Net" and net.traced == [False, True]
    with lx.no_grad():
        net.linear.weight.mul_(2)
        lx.testing.assert_close(traced(X), lx.tensor(numbers(net) * 3))
        traced.train()
        dropped = traced(lx.ones(64, 3)).numpy()
    assert 0 < (dropped == 0).sum() < dropped.size and list(traced.state_dict()) == ["linear.weight", "linear.bias"]
    traced.eval()(X).sum().backward()
    np.testing.assert_allclose(net.linear.bias.grad.numpy(), [6.0, 6.0])
    kw = jit.trace(net, example_kwarg_inputs={"x": X, "factor": 2.0})
    lx.testing.assert_close(kw(x=X, factor=2.0).detach(), lx.tensor(numbers(net) * 6))
    both = jit.trace_module(net, {"forward": (X, 2.0), "twice": X})
    lx.testing.assert_close(both.twice(X).detach(), lx.tensor(numbers(net) * 2))
    lx.testing.assert_close(both(X, 2.0).detach(), lx.tensor(numbers(net) * 6))


@pytest.mark.parametrize("make", [jit.script, lambda net: jit.trace(net.eval(), X)], ids=["script", "trace"])
def test_in_a_model_it_has_the_names_of_its_module(make):
    inner = Net()
    outer = nn.Sequential(make(inner), nn.ReLU())
    names = ["0.linear.weight", "0.linear.bias"]
    assert list(outer.state_dict()) == names == [name for name, _ in outer.named_parameters()]
    outer.load_state_dict({"0.linear.weight": lx.ones(2, 3), "0.linear.bias": lx.zeros(2)})
    assert inner.linear.weight.sum().item() == 6
    assert outer.train() is outer and inner.training and inner.drop.training and outer[0].training
    assert not outer.eval()[0].training and not inner.training
    assert outer(X).tolist() == [[0.0, 0.0], [9.75, 9.75]]


def test_tracing_checks_and_leaves_the_random_numbers_alone():
    lx.manual_seed(7)
    first = lx.rand(3).tolist()
    lx.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", jit.TracerWarning)
        traced = jit.trace(lambda x: x + lx.rand(3), lx.zeros(3), check_inputs=[lx.ones(3)])
    assert lx.rand(3).tolist() == first
    assert traced(lx.zeros(3)).tolist() != traced(lx.zeros(3)).tolist()
    count = iter(range(10))
    with pytest.warns(jit.TracerWarning, match="results are not those of its Python"):
        jit.trace(lambda x: x + next(count), lx.zeros(3))
    assert jit.trace(lambda x: x + 1, lx.zeros(3), check_trace=False)(lx.zeros(3)).tolist() == [1, 1, 1]
    with warnings.catch_warnings():
        jit.TracerWarning.ignore_lib_warnings()
        jit.trace(lambda x: x + next(count), lx.zeros(3))


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: jit.trace(lambda x: x if x.sum() > 0 else -x, X), RuntimeError, "reads a value|needs a value|compiled"),
        (lambda: jit.trace(lambda x: x), RuntimeError, "example_inputs or example_kwarg_inputs must be given"),
        (lambda: jit.trace(3, X), TypeError, "a function or module is expected, not int"),
        (lambda: jit.trace(lambda x: x, 3), TypeError, "must be a tensor or a tuple of arguments, not int"),
        (lambda: jit.trace_module(3, {}), AttributeError, "expected a Module, not int"),
        (lambda: jit.trace_module(Net(), X), AttributeError, r"expected a dict of \(method name, arguments\)"),
        (lambda: jit.save(jit.script(Net()), "x.pt"), NotImplementedError, r"jit.save\(\): a TorchScript archive holds"),
        (lambda: jit.script(Net()).save("x.pt"), NotImplementedError, r"keep the weights with save\(module.state_dict"),
        (lambda: jit.script(len).save("x.pt"), NotImplementedError, r"jit.save\(\): a TorchScript archive holds"),
        (lambda: jit.load("x.pt"), NotImplementedError, r"jit.load\(\): a TorchScript archive holds"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_so(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
