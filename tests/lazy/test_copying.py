"""Copies of tensors, modules and optimizers by Python's protocols: ``copy`` and ``pickle``."""

import copy
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest

import lazyxla as lx
from lazyxla import nn


def through_pickle(x):
    return pickle.loads(pickle.dumps(x))


TENSORS = {
    "leaf": lambda: lx.ones(3, requires_grad=True),
    "elsewhere": lambda: lx.arange(4, device="xla"),
    "empty": lambda: lx.zeros(0, 3),
    "0-d": lambda: lx.tensor(1.5),
    "turned": lambda: lx.arange(6.0).reshape(2, 3).t(),
    "expanded": lambda: lx.ones(1).expand(4),
    "complex": lambda: lx.tensor([1 + 2j]),
    "bfloat16": lambda: lx.tensor([1.5, float("nan")], dtype=lx.bfloat16),
    "float8": lambda: lx.ones(2).to(lx.float8_e4m3fn),
    "bool": lambda: lx.tensor([True, False]),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_is_pickled_by_its_value(name):
    t = TENSORS[name]()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        got = pickle.loads(pickle.dumps(t, protocol))
        assert type(got) is lx.Tensor and got.dtype is t.dtype and got.device is t.device and got.is_leaf
        assert got.requires_grad is t.requires_grad and got.shape == t.shape
        assert got.detach().cpu().numpy().tobytes() == t.detach().cpu().numpy().tobytes()
    with lx.no_grad():
        got.zero_()
    assert not got.any() and (t.numel() == 0 or bool(t.any()))


def test_history_is_left_behind():
    x = lx.ones(2, requires_grad=True)
    y = through_pickle(x * 3)
    assert y.is_leaf and y.requires_grad and y.tolist() == [3.0, 3.0]
    x.grad = lx.ones(2)
    assert through_pickle(x).grad is None


def test_one_tensor_stays_one():
    t = lx.ones(2)
    a, b = through_pickle([t, t])
    assert a is b


def test_parameters_keep_their_kind_and_attributes():
    p = nn.Parameter(lx.ones(2), requires_grad=False)
    p.tag = "seen"
    for got in (through_pickle(p), copy.copy(p), copy.deepcopy(p)):
        assert type(got) is nn.Parameter and got.tag == "seen" and got is not p and not got.requires_grad
    buffer = through_pickle(nn.Buffer(lx.ones(1), persistent=False))
    assert type(buffer) is nn.Buffer and buffer.persistent is False
    lazy = nn.UninitializedParameter(dtype=lx.float64)
    for got in (through_pickle(lazy), copy.copy(lazy), copy.deepcopy(lazy)):
        assert type(got) is nn.UninitializedParameter and got.dtype is lx.float64 and got is not lazy


def test_a_shallow_copy_shares_memory():
    t = lx.ones(3)
    copy.copy(t).add_(1)
    assert t.tolist() == [2.0, 2.0, 2.0]
    x = lx.ones(2, requires_grad=True)
    assert copy.copy(x).is_leaf and copy.copy(x).requires_grad


def test_sparse_tensors():
    a = lx.eye(3).to_sparse().requires_grad_()
    b = through_pickle(a)
    assert b.requires_grad and b.is_coalesced() and lx.equal(b.to_dense(), lx.eye(3))
    assert lx.equal(through_pickle(lx.eye(2).to_sparse_csr()).to_dense(), lx.eye(2))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.register_buffer("seen", lx.zeros(()))

    def forward(self, x):
        self.seen += 1
        return self.second(self.first(x).relu())


def test_a_module_and_its_optimizer_go_on_as_they_would_have():
    lx.manual_seed(0)
    model, x = Tied(), lx.randn(4, 3)
    optimizer = lx.optim.AdamW(model.parameters(), 1e-2)
    schedule = lx.optim.lr_scheduler.StepLR(optimizer, 2)

    def step(model, optimizer, schedule):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
        schedule.step()

    step(model, optimizer, schedule)
    other = through_pickle((model, optimizer, schedule))
    assert other[0].second.weight is other[0].first.weight
    for _ in range(2):
        step(model, optimizer, schedule)
        step(*other)
    for (name, a), (_, b) in zip(model.state_dict().items(), other[0].state_dict().items(), strict=True):
        assert lx.equal(a, b), name


@lx.compile
def doubled(x):
    return x * 2


def test_compiled_functions_and_modules():
    model, x = lx.compile(nn.Linear(2, 2)), lx.ones(1, 2)
    with lx.no_grad():
        y = model(x)
        for other in (copy.deepcopy(model), through_pickle(model)):
            assert lx.equal(other(x), y)
            other.weight.zero_()
            assert lx.equal(other(x), other.bias[None]) and lx.equal(model(x), y)
    assert through_pickle(doubled) is doubled and copy.deepcopy(doubled) is doubled
    layer = nn.Linear(2, 2)
    layer.compile()
    assert copy.deepcopy(layer)._compiled.fn.__self__ is not layer


def test_between_processes_too():
    sent = bytes(ForkingPickler.dumps({"x": lx.arange(3), "model": nn.Linear(2, 1)}))
    got = pickle.loads(sent)
    assert got["x"].tolist() == [0, 1, 2] and isinstance(got["model"].weight, nn.Parameter)
