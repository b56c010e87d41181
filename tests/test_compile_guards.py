"""What a compiled function reads of Python is part of what was recorded: another value records it anew."""

import types

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn

pytestmark = pytest.mark.usefixtures("clean")


def recordings() -> int:
    return len(lx.metrics.report(as_dict=True)["recordings"])


def changed(f, change, before, after):
    x = lx.ones(2)
    for _ in range(3):
        assert f(x).tolist() == [before] * 2
    assert recordings() == 1
    change()
    for _ in range(3):
        assert f(x).tolist() == [after] * 2
    assert recordings() == 2


def test_a_dict():
    settings = {"scale": 2.0, "name": "a"}
    changed(lx.compile(lambda x: x * settings["scale"]), lambda: settings.update(scale=5.0), 2, 5)


def test_a_list_of_tensors():
    weights = [lx.tensor(2.0), lx.tensor(1.0)]
    changed(lx.compile(lambda x: x * weights[0]), lambda: weights.__setitem__(0, lx.tensor(5.0)), 2, 5)


def test_an_attribute_of_an_object():
    options = types.SimpleNamespace(model=types.SimpleNamespace(scale=2.0, unread=1))
    f = lx.compile(lambda x: x * options.model.scale)
    options.model.unread = 2
    changed(f, lambda: setattr(options.model, "scale", 5.0), 2, 5)


def test_a_small_array():
    shifts = np.array([2.0, 3.0])
    changed(lx.compile(lambda x: x * float(shifts[0])), lambda: shifts.__setitem__(0, 5.0), 2, 5)


def test_the_owner_of_a_method():
    class Scaled:
        def __init__(self):
            self.scale, self.steps = 2.0, 0

        def by(self):
            return self.scale

        @lx.compile
        def run(self, x):
            return x * self.by()

    owner = Scaled()
    changed(owner.run, lambda: setattr(owner, "scale", 5.0), 2, 5)
    owner.steps += 1  # not read
    owner.run(lx.ones(2))
    assert recordings() == 2


def test_attributes_of_modules():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.scale, self.seen = nn.Dropout(0.0), 2.0, 0

        def forward(self, x):
            return self.drop(x) * self.scale if self.training else -x

    net = Net()
    f = lx.compile(net)
    changed(f, lambda: setattr(net, "scale", 5.0), 2, 5)
    net.seen += 1  # not read
    f(lx.ones(2))
    assert recordings() == 2
    net.drop.p = 1.0
    assert f(lx.ones(2)).tolist() == [0, 0]
    net.eval()
    assert f(lx.ones(2)).tolist() == [-1, -1]


def test_what_it_changes_itself_records_nothing_anew():
    seen = []

    @lx.compile
    def f(x):
        seen.append(tuple(x.shape))
        return x + len(seen)

    for n in (2, 3, 2, 3, 2, 3):
        f(lx.ones(n))
    assert recordings() == 2 and seen == [(2,), (3,)]


def test_constants_among_the_arguments():
    f = lx.compile(lambda x: x.sum())
    assert [f(lx.linspace(i, i + 1, 3)).item() for i in range(4)] == [1.5, 4.5, 7.5, 10.5]
    assert recordings() == 1
