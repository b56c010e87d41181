"""Subclasses of ``Tensor`` and modes, which have a say in every call by ``__torch_function__``."""

import copy
import pickle
from typing import ClassVar

import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla.lazy import subclassing
from lazyxla.overrides import BaseTorchFunctionMode, TorchFunctionMode


@pytest.fixture(autouse=True)
def asked():
    """As after the definition of a subclass; other tests run as in a program without one."""
    subclassing.asks[:] = ["subclasses"]
    yield
    subclassing.asks.clear()


class Plain(lx.Tensor):
    pass


class Named(lx.Tensor):
    @staticmethod
    def __new__(cls, data, name=None):
        return super().__new__(cls, data)

    def __init__(self, data, name=None):
        self.name_ = name


class Log(lx.Tensor):
    calls: ClassVar[list] = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is not lx.Tensor.__repr__:
            cls.calls.append((func.__name__, len(args)))
        return super().__torch_function__(func, types, args, kwargs or {})


def test_results_are_of_the_subclass():
    s, x = Plain([1.0, 2.0]), lx.ones(2)
    results = [
        s + 1, 1 - s, x + s, s == 1, -s, s[0], s.T, s.data, s.detach(), s.clone(), s.sum(), s.max(0).values, *s, *s.split(1),
        lx.relu(s), lx.add(x, other=s), lx.cat([x, s]), lx.where(s > 0, s, 0.0), lx.zeros_like(s), lx.einsum("i,i->", s, s),
        F.relu(s), lx.nn.Linear(2, 1)(s), lx.linalg.norm(s), s.new_zeros(2), s.double(), s.to("cpu"),
    ]  # fmt: skip
    assert {type(r) for r in results} == {Plain}
    assert type(s.max(0)) is lx.return_types.max and type(s.shape) is lx.Size and s.tolist() == [1.0, 2.0]
    assert type(s.as_subclass(lx.Tensor)) is lx.Tensor and type(x + x) is lx.Tensor
    assert repr(s) == "Plain([1., 2.])" and repr(x) == "tensor([1., 1.])" and len(s) == 2 and bool(s[0] == 1)


def test_gradients_and_writes():
    s = Plain([1.0, 2.0]).requires_grad_()
    loss = (s * s).sum()
    loss.backward()
    assert type(loss) is Plain and type(s.grad) is lx.Tensor and s.grad.tolist() == [2.0, 4.0] and s.is_leaf
    t, x = Plain([1.0, 2.0]), lx.ones(2)
    row = t[1:]
    assert t.add_(1) is t and t.tolist() == [2.0, 3.0] and row.tolist() == [3.0]
    y = x.add_(t)  # the plain tensor that was written to stays one
    assert type(x) is lx.Tensor and type(y) is Plain and x.tolist() == y.tolist() == [3.0, 4.0]
    y.mul_(2)
    assert x.tolist() == [6.0, 8.0]


def test_attributes_copies_and_pickles():
    n = Named([1.0, 2.0], "a")
    assert n.name_ == "a" and type(n * 2) is Named and not hasattr(n * 2, "name_")
    for other in (copy.copy(n), copy.deepcopy(n), pickle.loads(pickle.dumps(n))):
        assert type(other) is Named and other.name_ == "a" and other.tolist() == [1.0, 2.0]


def test_each_call_is_asked_about_once():
    x = lx.ones(2).as_subclass(Log)
    Log.calls.clear()
    y = lx.relu(x) + 1
    _ = 2 - y, y.shape, y[0], y @ y, F.linear(lx.ones(1, 2), y), str(y)
    y[0] = 3
    y += 1
    assert Log.calls == [
        ("relu", 1), ("add", 2), ("__rsub__", 2), ("__get__", 1), ("__getitem__", 2), ("matmul", 2), ("linear", 2),
        ("__setitem__", 3), ("__iadd__", 2),
    ]  # fmt: skip
    with lx._C.DisableTorchFunctionSubclass():
        assert type(y + 1) is lx.Tensor
    assert (
        len(Log.calls) == 9
        and lx.overrides.has_torch_function((y,))
        and not lx.overrides.has_torch_function((lx.ones(1),))
    )


class Handles(lx.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return "the mean" if func is lx.mean else "a sum" if func is lx.Tensor.add else NotImplemented


class Other(lx.Tensor):
    pass


def test_own_answers_and_none():
    h = lx.ones(2).as_subclass(Handles)
    assert lx.mean(h) == h.mean() == "the mean" and h + 1 == "a sum"
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch.exp'"):
        lx.exp(h)
    with pytest.raises(TypeError, match="unsupported operand type"):
        h * 2
    with pytest.raises(TypeError, match="unsupported operand type"):
        Plain([1.0]) + Other([1.0])  # neither is a base of the other


class Method(lx.Tensor):
    __slots__ = ("more",)  # so that no tensor can become one

    def sub(self, other):
        return "mine"

    def __mul__(self, other):
        return super().__mul__(other)


class Deeper(Plain, Method):
    pass


def test_methods_of_the_subclass_win():
    m = lx.ones(2).as_subclass(Method)
    assert m.sub(1) == "mine" and type(m * 2) is Method and (m * 2).tolist() == [2.0, 2.0] and type(m.abs()) is Method
    assert type(Plain([1.0]) + Deeper([1.0])) is Deeper


class Weight(lx.nn.Parameter):
    pass


def test_parameters_have_no_say():
    class Net(lx.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = Weight(lx.ones(2))

    net = Net()
    assert [type(p) for p in net.parameters()] == [Weight] and net.w.requires_grad and type(net.w * 2) is lx.Tensor
    assert repr(net.w).startswith("Parameter containing:\ntensor([1., 1.]")


def test_steps_with_subclasses_are_followed(metrics):
    lx.sync()
    lx.lowering.clear_cache()
    x, layer = Plain([[1.0, 2.0]]), lx.nn.Linear(2, 1)
    optimizer = lx.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        loss = (layer(x.as_subclass(Log)) - 1).pow(2).mean()
        loss.backward()
        optimizer.step()
        assert type(loss) is Log
    assert metrics.report(as_dict=True)["replays"] >= 3
    assert loss.item() < 1e-3


class Calls(TorchFunctionMode):
    def __init__(self):
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_modes_are_asked_about_calls():
    x = lx.ones(2)
    with Calls() as outer:
        _ = lx.relu(x) + 1, lx.tensor([1.0]), F.softmax(x, 0)
        with BaseTorchFunctionMode(), Calls() as inner:
            lx.exp(x)
        with lx._C.DisableTorchFunction():
            lx.log(x)
    lx.cos(x)
    assert outer.names == ["relu", "add", "tensor", "softmax", "exp"] and inner.names == ["exp"]
    assert subclassing.asks == ["subclasses"]


def test_a_mode_changes_what_functions_do():
    class Wide(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if func in (lx.zeros, lx.empty):
                kwargs.setdefault("dtype", lx.float64)
            return func(*args, **kwargs)

    with Wide():
        assert lx.zeros(1).dtype is lx.float64
        with pytest.raises(RuntimeError, match="same"):
            lx.zeros(2) @ lx.ones(3)
    assert lx.zeros(1).dtype is lx.float32


def test_the_users_own_functions_ask_subclasses_and_modes():
    def twice(a):
        if lx.overrides.has_torch_function((a,)):
            return lx.overrides.handle_torch_function(twice, (a,), a)
        return a * 2

    x = lx.ones(2).as_subclass(Log)
    Log.calls.clear()
    assert type(twice(x)) is Log and Log.calls == [("twice", 1)]
    y = lx.ones(1)
    with Calls() as mode:
        assert twice(y).tolist() == [2.0]
    assert mode.names == ["twice"]


def test_what_is_a_method():
    o = lx.overrides
    assert o.is_tensor_method_or_property(lx.Tensor.add) and o.is_tensor_method_or_property(lx.Tensor.shape.__get__)
    assert not o.is_tensor_method_or_property(lx.zeros) and lx.Tensor.grad.__get__ in o.get_default_nowrap_functions()


subclassing.asks.clear()  # of the classes above, for tests of other files
