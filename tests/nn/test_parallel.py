"""The wrappers for several devices and processes, with one."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn


@pytest.mark.parametrize("wrapper", [nn.parallel.DistributedDataParallel, nn.parallel.DataParallel])
def test_it_is_the_module(wrapper):
    model = nn.Linear(3, 2)
    wrapped = wrapper(model, device_ids=None)
    assert wrapped.module is model and list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    wrapped(lx.ones(4, 3)).sum().backward()
    np.testing.assert_array_equal(model.weight.grad.numpy(), np.full((2, 3), 4, np.float32))


def test_no_sync_adds_up_as_ever():
    wrapped = nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
    with wrapped.no_sync():
        wrapped(lx.ones(1, 3)).sum().backward()
    wrapped(lx.ones(1, 3)).sum().backward()
    np.testing.assert_array_equal(wrapped.module.bias.grad.numpy(), [2, 2])


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="WORLD_SIZE=2, but gradients are not averaged"):
        nn.parallel.DistributedDataParallel(nn.Linear(3, 2))


def test_nothing_to_train_is_refused():
    with pytest.raises(RuntimeError, match="doesn't have any parameter that requires a gradient"):
        nn.parallel.DistributedDataParallel(nn.ReLU())
