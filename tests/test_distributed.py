"""A process group of one, under PyTorch's names."""

import pytest

import lazyxla as lx
from lazyxla import distributed as dist


@pytest.fixture
def group():
    dist.init_process_group("gloo", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_group_of_one(group):
    assert dist.is_initialized() and (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
    x, others, objects = lx.arange(3.0), [lx.zeros(3)], [None]
    dist.all_reduce(x, op=dist.ReduceOp.SUM)
    assert dist.broadcast(x, src=0, async_op=True).wait() is None
    dist.all_gather(others, x)
    dist.all_gather_object(objects, "said")
    dist.barrier()
    assert x.tolist() == others[0].tolist() == [0, 1, 2] and objects == ["said"]
    with pytest.raises(ValueError, match="twice"):
        dist.init_process_group()


def test_there_is_no_group_of_several(monkeypatch):
    with pytest.raises(RuntimeError, match="2 processes are asked for"):
        dist.init_process_group("nccl", rank=1, world_size=2)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(RuntimeError, match="4 processes are asked for"):
        dist.init_process_group()
    assert dist.is_available() and not dist.is_initialized()
    with pytest.raises(ValueError, match="has not been initialized"):
        dist.get_rank()


def test_gradients_go_through_collective_operations(group):
    x = lx.tensor([1.0, 2.0], requires_grad=True)
    parts = [
        dist.nn.all_reduce(x, op=dist.ReduceOp.MAX), dist.nn.reduce(x, 0), dist.nn.broadcast(x, 0),
        *dist.nn.all_gather(x), *dist.nn.gather(x), dist.nn.scatter([x]),
    ]  # fmt: skip
    assert all(p is not x and p.tolist() == [1, 2] for p in parts)
    sum(i * p.sum() for i, p in enumerate(parts)).backward()
    assert x.grad.tolist() == [15, 15]


def test_no_collective_operation_without_a_group():
    with pytest.raises(ValueError, match="process group has not been initialized"):
        dist.nn.all_reduce(lx.ones(2))
