"""The device 'meta': tensors with a shape and a type and no values. Messages are PyTorch's."""

import copy
import warnings

import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.func import functional_call, stack_module_state, vmap

NO_DATA = "Cannot copy out of meta tensor; no data!"


def test_what_it_is():
    x = lx.empty(2, 3, device="meta")
    assert (x.device, x.is_meta, x.get_device(), x.data_ptr()) == (lx.device("meta"), True, -1, 0)
    assert not lx.ones(2).is_meta and str(lx.empty(1, device="meta:0").device) == "meta"
    assert repr(x) == "tensor(..., device='meta', size=(2, 3))"
    whole = lx.ones(2, dtype=lx.int64, device="meta")
    assert repr(whole) == "tensor(..., device='meta', size=(2,), dtype=lazyxla.int64)"
    assert repr(x.requires_grad_().sum()) == "tensor(..., device='meta', size=(), grad_fn=<SumBackward0>)"
    assert lx.device("meta") not in lx.devices()


def test_operations_give_types_and_run_nothing():
    lx.sync()
    ran = lx.metrics.report(as_dict=True)["compiles"]
    x = lx.randn(4, 4, device="meta")
    x[0] = 1.0
    x.view(-1)[3] = 2
    assert (x[:, None] + x).shape == (4, 4, 4) and (x @ x).sum(0).is_meta
    assert lx.linalg.svd(x)[1].shape == (4,) and x.sort().indices.dtype is lx.int64
    assert (x + lx.tensor(1.0)).is_meta and x.copy_(lx.ones(4, 4)).is_meta
    with pytest.raises(RuntimeError, match="at least two devices, cpu and meta"):
        x + lx.ones(4, 4)
    with pytest.raises(RuntimeError, match="Expected size|contracting|cannot be multiplied"):
        x @ lx.empty(3, 2, device="meta")
    lx.sync()
    assert lx.metrics.report(as_dict=True)["compiles"] == ran


def test_a_value_is_never_read():
    x = lx.empty(2, 3, device="meta")
    for read in (x.cpu, x.tolist, lambda: x.to("xla"), lambda: lx.zeros(2, 3).copy_(x), x.nonzero):
        with pytest.raises(NotImplementedError, match=NO_DATA):
            read()
    for read in (x.sum().item, lambda: bool(x.sum()), lambda: float(x.sum() * 2)):
        with pytest.raises(RuntimeError, match=r"Tensor\.item\(\) cannot be called on meta tensors"):
            read()
    with pytest.raises(TypeError, match="can't convert meta device type tensor to numpy"):
        x.numpy()


def test_modules():
    with lx.device("meta"):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert all(t.is_meta for t in model.state_dict().values())
    optimizer = lx.optim.Adam(model.parameters())
    for _ in range(4):  # from the third on, a step may be followed
        optimizer.zero_grad()
        model(lx.empty(5, 3, device="meta")).sum().backward()
        optimizer.step()
    assert model[0].weight.grad.is_meta and model[0].weight.grad.shape == (4, 3)
    with pytest.raises(NotImplementedError, match=r"Please use torch\.nn\.Module\.to_empty\(\) instead"):
        model.to("xla")
    model.to_empty(device="xla")
    assert model[1].running_mean.tolist() == [0.0] * 4


def test_no_random_number_is_drawn():
    lx.manual_seed(0)
    nn.Linear(2, 2, device="meta")
    after = lx.rand(2).tolist()
    lx.manual_seed(0)
    assert lx.rand(2).tolist() == after


def test_state_dicts():
    real, bare = nn.Linear(2, 1), nn.Linear(2, 1, device="meta")
    with pytest.warns(UserWarning, match="which is a no-op") as seen:
        bare.load_state_dict(real.state_dict())
    assert len(seen) == 2 and bare.weight.is_meta
    with pytest.raises(RuntimeError, match=f'named "weight".*{NO_DATA}'):
        real.load_state_dict(bare.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bare.load_state_dict(real.state_dict(), assign=True)
    assert bare.weight.tolist() == real.weight.tolist() and isinstance(bare.weight, nn.Parameter)


def test_an_ensemble_of_a_skeleton():
    lx.manual_seed(0)
    models = [nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).to("xla") for _ in range(3)]
    params, buffers = stack_module_state(models)
    skeleton = copy.deepcopy(models[0]).to("meta")
    assert all(p.is_meta for p in skeleton.parameters()) and not models[0][0].weight.is_meta
    x = lx.randn(5, 2, device="xla")
    got = vmap(lambda p, b, x: functional_call(skeleton, (p, b), (x,)), in_dims=(0, 0, None))(params, buffers, x)
    lx.testing.assert_close(got, lx.stack([m(x) for m in models]))
