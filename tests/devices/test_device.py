"""Devices by name: which names there are, which tensors meet, and what an absent or unknown device says."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import lazyxla as lx

ABSENT = ["tpu:99", "cuda:99", "gpu:99", "xla:99", "cpu:99"]


@pytest.fixture
def default():
    """Puts the default device back."""
    yield
    lx.set_default_device(None)


@pytest.mark.parametrize(
    "name, kind, index",
    [
        ("cpu", "cpu", None), ("cpu:0", "cpu", 0), ("cuda", "cuda", None), ("gpu", "cuda", None), ("gpu:2", "cuda", 2),
        ("tpu:1", "tpu", 1), ("xla", "xla", None), ("xla:3", "xla", 3),
    ],
)  # fmt: skip
def test_names(name, kind, index):
    d = lx.device(name)
    assert (d.type, d.index) == (kind, index)
    assert str(d) == kind + ("" if index is None else f":{index}")
    assert lx.device(name) is d and lx.device(d) is d and lx.device(str(d)) is d
    assert eval(repr(d), {"device": lx.device}) is d
    assert copy.deepcopy(d) is d and pickle.loads(pickle.dumps(d)) is d


def test_name_and_index_apart():
    assert lx.device("xla", 0) is lx.device("xla:0")
    assert lx.device(1) is lx.device("xla:1")


@pytest.mark.parametrize("name", ["abacus", "", ":0", "CPU", "cpu0"])
def test_an_unknown_name(name):
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda, gpu, meta, tpu, xla device type at start of"):
        lx.device(name)


@pytest.mark.parametrize("name", ["cpu:", "cpu:-1", "cpu:a", "xla:0:1", "xla:1.0", "xla: 1", "xla:٣"])
def test_a_bad_number(name):
    with pytest.raises(RuntimeError, match=f"Invalid device string: '{name}'"):
        lx.device(name)


def test_a_number_given_twice_or_wrong():
    with pytest.raises(RuntimeError, match="Invalid device string: 'xla:0'"):
        lx.device("xla:0", 1)
    with pytest.raises(RuntimeError, match="index must not be negative"):
        lx.device("xla", -1)
    with pytest.raises(RuntimeError, match="index must not be negative"):
        lx.device(-1)
    with pytest.raises(TypeError, match="an index is an int, not str"):
        lx.device("xla", "1")
    with pytest.raises(TypeError, match=r"a name such as 'xla:0' is expected, not float"):
        lx.device(1.5)


def test_the_devices_of_this_machine():
    found = lx.devices()
    assert lx.device("cpu") in found
    assert len(set(found)) == len(found)
    for d in found:
        assert lx.ones(1, device=d).device is d
    assert lx.devices("cpu")[0] is lx.device("cpu")
    assert [d.type for d in lx.devices("xla")] == ["xla"] * len(lx.devices("xla"))
    assert len(lx.devices("xla")) >= 1
    with pytest.raises(RuntimeError, match="Expected one of"):
        lx.devices("abacus")


def test_xla_is_the_best_that_is_there():
    expected = next(kind for kind in ("tpu", "cuda", "cpu") if lx.devices(kind))
    assert lx.device("xla").platform == expected
    assert lx.device("xla:0").pjrt is lx.device(expected).pjrt


@pytest.mark.parametrize("name", ABSENT)
def test_an_absent_device_says_what_is_there(name):
    kind = lx.device(name).type
    with pytest.raises(RuntimeError, match=rf"device '{kind}:99' is not available: this machine has .*present: .*cpu"):
        lx.ones(2, device=name)
    x = lx.ones(2)
    with pytest.raises(RuntimeError, match=f"device '{kind}:99' is not available"):
        x.to(name)
    assert x.device is lx.device("cpu") and x.tolist() == [1, 1]  # unchanged
    with pytest.raises(RuntimeError, match=f"device '{kind}:99' is not available"):
        lx.nn.Linear(2, 2).to(name)


def test_tensors_carry_canonical_names():
    assert lx.ones(1, device="cpu:0").device is lx.device("cpu")
    assert lx.ones(1, device="xla").device is lx.device("xla:0")
    assert repr(lx.ones(1, device="xla")) == "tensor([1.], device='xla:0')"
    assert "device" not in repr(lx.ones(1))


MAKERS = {
    "zeros": lambda **k: lx.zeros(2, **k), "full": lambda **k: lx.full((2,), 3.0, **k), "empty": lambda **k: lx.empty(2, **k),
    "tensor": lambda **k: lx.tensor([1.0, 2.0], **k), "as_tensor": lambda **k: lx.as_tensor([1.0], **k),
    "arange": lambda **k: lx.arange(3, **k),
    "linspace": lambda **k: lx.linspace(0, 1, 3, **k), "eye": lambda **k: lx.eye(2, **k),
    "rand": lambda **k: lx.rand(2, **k),
    "randn": lambda **k: lx.randn(2, **k), "randint": lambda **k: lx.randint(0, 3, (2,), **k),
    "randperm": lambda **k: lx.randperm(3, **k), "zeros_like": lambda **k: lx.zeros_like(lx.ones(2, **k)),
    "Linear": lambda **k: lx.nn.Linear(1, 1, **k).weight,
}  # fmt: skip


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_everything_that_makes_a_tensor_takes_a_device(make, default):
    assert make().device is lx.device("cpu")
    assert make(device="xla").device is lx.device("xla:0")
    lx.set_default_device("xla")
    assert make().device is lx.device("xla:0")
    assert make(device="cpu").device is lx.device("cpu")
    assert np.isfinite(make().cpu().detach().numpy()).all()


def test_the_default_device(default):
    assert lx.get_default_device() is lx.device("cpu")
    lx.set_default_device("xla")
    assert lx.get_default_device() is lx.device("xla:0")
    for wrong in ("abacus", "tpu:99"):
        with pytest.raises(RuntimeError, match="Expected one of|not available"):
            lx.set_default_device(wrong)
        assert lx.get_default_device() is lx.device("xla:0")
    lx.set_default_device(None)
    assert lx.get_default_device() is lx.device("cpu")


MEETINGS = {
    "add": lambda a, b: a + b, "sub_": lambda a, b: a.sub_(b), "matmul": lambda a, b: a @ b, "cat": lambda a, b: lx.cat([a, b]),
    "stack": lambda a, b: lx.stack([a, b]), "where": lambda a, b: lx.where(a > 0, a, b), "compare": lambda a, b: a < b,
    "linear": lambda a, b: lx.nn.functional.linear(a, b[None]), "maximum": lambda a, b: lx.maximum(a, b),
    "loss": lambda a, b: lx.nn.functional.mse_loss(a, b),
}  # fmt: skip


@pytest.mark.parametrize("meet", MEETINGS.values(), ids=MEETINGS)
@pytest.mark.parametrize("flipped", [False, True])
def test_devices_do_not_mix(meet, flipped):
    a, b = lx.ones(3), lx.ones(3, device="xla")
    with pytest.raises(RuntimeError, match=r"same device, but found at least two devices, cpu and xla:0!.*test_device.py:\d+"):
        meet(b, a) if flipped else meet(a, b)
    assert a.tolist() == b.tolist() == [1, 1, 1]
    assert (a.device, b.device) == (lx.device("cpu"), lx.device("xla:0"))


def test_modules_do_not_mix_either():
    with pytest.raises(RuntimeError, match="cpu and xla:0!"):
        lx.nn.Linear(3, 2)(lx.ones(1, 3, device="xla"))


def test_numbers_and_0_d_cpu_tensors_go_along():
    x = lx.ones(2, device="xla")
    for y in (x + 2, 2 - x, x * lx.tensor(3.0), lx.tensor(3.0) * x, x + np.float32(1)):
        assert y.device is lx.device("xla:0")
    assert (x * lx.tensor(3.0)).tolist() == [3, 3]


def test_to_moves_values_and_returns_itself_where_nothing_changes():
    x = lx.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=lx.float64)
    assert x.to("cpu") is x and x.cpu() is x and x.to(lx.float64) is x
    y = (x * 2).to("xla")
    assert y.device is lx.device("xla:0") and y.dtype is lx.float64
    assert y.to("xla:0") is y
    z = y.to("cpu", lx.float32)
    assert (z.device, z.dtype) == (lx.device("cpu"), lx.float32)
    assert z.tolist() == [[2, 4], [6, 8]]
    assert x.to(y).device is y.device
    assert x.to("cpu", copy=True) is not x
    with pytest.raises(TypeError, match="invalid argument of type list"):
        x.to([])
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        x.to("cpu", speed=3)


def test_a_moved_tensor_and_its_source_part():
    x = lx.arange(4.0)
    lx.sync()
    y = x.to("xla")
    y += 1
    x *= 10
    assert x.tolist() == [0, 10, 20, 30] and y.tolist() == [1, 2, 3, 4]
    v = x.numpy()
    z = x.to("xla")
    z.zero_()
    lx.sync()
    assert v.tolist() == x.tolist() == [0, 10, 20, 30]


def test_the_gradient_flows_back_through_to():
    x = lx.tensor([1.0, 2.0], requires_grad=True)
    y = x.to("xla")
    assert y.requires_grad and not y.is_leaf
    ((y * y).sum().cpu() * x[0]).backward()  # d/dx (x.x) x0
    assert x.grad.device is lx.device("cpu")
    assert x.grad.tolist() == [2.0 * 1 + 5.0, 4.0]


def test_moving_pending_work_dispatches_it(metrics):
    x = lx.ones(3) + 1
    y = x.to("xla")
    assert metrics.report(as_dict=True)["syncs"] == 1
    assert any(cause.startswith("to('xla:0') at test_device.py:") for cause in metrics.report(as_dict=True)["sync_causes"])
    assert y.tolist() == [2, 2, 2]


def test_several_devices_of_one_kind():
    program = """
import lazyxla as lx
assert list(map(str, lx.devices())) == ["cpu", "cpu:1"], lx.devices()
assert list(map(str, lx.devices("xla"))) == ["xla:0", "xla:1"]
a, b = lx.arange(3.0, device="xla:0"), lx.arange(3.0, device="xla:1")
c = a.to("xla:1") + b
assert str(c.device) == "xla:1" and c.tolist() == [0, 2, 4]
assert c.to_jax().devices() == {lx.device("cpu:1").pjrt}
x = lx.ones(2, device="cpu:1", requires_grad=True)
(x.cpu() * lx.tensor([2.0, 3.0])).sum().backward()
assert str(x.grad.device) == "cpu:1" and x.grad.tolist() == [2, 3]
try:
    a + b
except RuntimeError as e:
    assert "xla:0 and xla:1!" in str(e), e
else:
    raise SystemExit("they mixed")
try:
    lx.ones(1, device="xla:2")
except RuntimeError as e:
    assert "this machine has 2 xla device(s) (present: cpu, cpu:1)" in str(e), e
"""
    environment = {
        **os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu",
        "LAZYXLA_CACHE_DIR": "off",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_with_a_device_what_is_created_is_there():
    with lx.device("xla") as d:
        assert d is lx.device("xla")
        made = [lx.ones(2), lx.tensor([1.0]), lx.randn(2), lx.nn.Linear(2, 2).weight]
        with lx.device("cpu"):
            inner = lx.zeros(1)
    assert {str(t.device) for t in made} == {"xla:0"}
    assert inner.device.type == lx.ones(1).device.type == "cpu"


def test_the_default_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), lx.device("xla"):
        1 / 0  # noqa: B018
    assert lx.get_default_device() is lx.device("cpu")
