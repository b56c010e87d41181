"""Names that PyTorch programs import or extend, which do little by themselves."""

import copy
import os
import sys
from typing import get_args

import pytest

import lazyxla as lx
from lazyxla import backends, compiler, fx, hub, jit, mps, xpu
from lazyxla.autograd.function import Function, FunctionCtx, InplaceFunction
from lazyxla.types import Device, Number, _size


def test_newaxis():
    assert lx.ones(2, 3)[:, lx.newaxis].shape == (2, 1, 3)


def test_types_for_annotations():
    assert isinstance(3.0, Number) and not isinstance("3", Number) and lx.Size in get_args(_size)
    assert isinstance("cpu", Device) and isinstance(lx.device("cpu"), Device) and isinstance(None, Device)


def test_functions():
    class Double(InplaceFunction):
        @staticmethod
        def forward(ctx, x):
            assert isinstance(ctx, FunctionCtx)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = lx.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    assert issubclass(Double, Function) and x.grad.tolist() == [2, 2]


def test_optimizers_of_ones_own_that_extend_how_they_are_restored():
    class Mine(lx.optim.SGD):
        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("mine", 1)

    p = lx.ones(2, requires_grad=True)
    optimizer = copy.deepcopy(Mine([p], lr=0.1))
    assert optimizer.param_groups[0]["mine"] == 1 and optimizer.param_groups[0]["lr"] == 0.1


def test_reset_forgets_programs():
    x = lx.ones(3)
    (x * 2).tolist()
    compiles = lx.metrics.report(as_dict=True)["compiles"]
    compiler.cudagraph_mark_step_begin()
    compiler.reset()
    assert (x * 2).tolist() == [2, 2, 2]
    assert lx.metrics.report(as_dict=True)["compiles"] > compiles


def test_assertions_as_functions():
    lx._assert(lx.tensor(1) > 0, "never said")
    with pytest.raises(AssertionError, match="not positive"):
        lx._assert(lx.tensor(-1) > 0, "not positive")
    for name, error in (
        ("_check", RuntimeError), ("_check_value", ValueError), ("_check_index", IndexError), ("_check_type", TypeError),
        ("_check_not_implemented", NotImplementedError),
    ):  # fmt: skip
        check = getattr(lx, name)
        assert check(True, lambda: 1 / 0) is None
        with pytest.raises(error, match="^3 is wrong$"):
            check(False, lambda: "3 is wrong")
        with pytest.raises(error, match="Expected cond to be True"):
            check(False)
    with pytest.raises(TypeError, match="cond must be a bool, but got a Tensor. For tensor"):
        lx._check(lx.tensor(True))
    with pytest.raises(TypeError, match="message must be a callable"):
        lx._check(False, "words")
    lx._check_is_size(3, max=3)
    lx._check_tensor_all(lx.tensor([True, True]))
    with pytest.raises(RuntimeError):
        lx._check_is_size(-1)
    with pytest.raises(RuntimeError):
        lx._check_is_size(4, max=3)
    with pytest.raises(RuntimeError, match="some are not"):
        lx._check_tensor_all(lx.tensor([True, False]), lambda: "some are not")


def test_sizes_and_products_by_other_names():
    assert lx._shape_as_tensor(lx.ones(2, 3)).tolist() == [2, 3]
    sparse = lx.tensor([[0.0, 2.0], [1.0, 0.0]]).to_sparse()
    assert lx.dsmm(sparse, lx.tensor([[1.0], [5.0]])).tolist() == [[10.0], [1.0]]


def test_devices_that_are_not_here():
    assert not xpu.is_available() and not mps.is_available() and xpu.device_count() == mps.device_count() == 0
    assert not xpu.is_bf16_supported() and xpu.empty_cache() is None and mps.empty_cache() is None
    for place in (xpu, mps):
        place.manual_seed(0)
    xpu.manual_seed_all(0)
    with pytest.raises(RuntimeError, match="No XPU"):
        xpu.synchronize()
    assert backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")
    assert backends.opt_einsum.is_available() and backends.opt_einsum.enabled and backends.opt_einsum.strategy == "auto"


def test_marks_for_pytorchs_compilers(monkeypatch):
    def f(x):
        return x

    assert jit._overload_method(f) is jit._overload(f) is jit._script_if_tracing(f) is fx.wrap(f) is f
    assert fx.wrap("f") == "f"
    with pytest.raises(RuntimeError, match="callable or string"):
        fx.wrap(3)
    with pytest.raises(NotImplementedError, match="symbolically"):
        fx.Proxy()
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    assert hub._get_torch_home() == "/somewhere"
    assert hub.HASH_REGEX.search("resnet18-f37072fd.pth").group(1) == "f37072fd"


def test_an_optimizer_that_has_nothing_to_optimize():
    """It leaves the base class's __init__ out, as one for evaluation does."""

    class Idle(lx.optim.Optimizer):
        def __init__(self):
            self.param_groups = [{"lr": 0}]

        def step(self):
            self.steps = 1

        def zero_grad(self, set_to_none=False):
            pass

    idle, called = Idle(), []
    idle.register_step_post_hook(lambda *_: called.append(1))
    idle.step()
    idle.zero_grad()
    assert idle.steps == 1 and called == [1] and copy.deepcopy(idle).param_groups == [{"lr": 0}]
    Idle().step()
    assert called == [1]  # hooks are an optimizer's own


def test_hints_for_the_tracer_behind_torch_compile():
    lx._dynamo.config.suppress_errors = True
    assert lx._dynamo.config.suppress_errors
    lx._dynamo.config.suppress_errors = False
    x = lx.zeros(2)
    lx._dynamo.mark_static_address(x)
    lx._dynamo.mark_dynamic(x, 0)
    lx._dynamo.graph_break()
    assert x.tolist() == [0, 0] and not lx._dynamo.is_compiling() and lx._dynamo.disable(len) is len


def test_processes_of_ones_own():
    mp = lx.multiprocessing
    queue = mp.get_context("spawn").SimpleQueue()
    assert mp.spawn(queue.put) is None and queue.get() == 0
    with pytest.raises(mp.ProcessRaisedException, match=r"Process 0 terminated with .*:\n[\s\S]*ZeroDivision"):
        mp.spawn(divmod, args=(0,))
    with pytest.raises(mp.ProcessExitedException, match="process 1 terminated with exit code 1") as failed:
        mp.spawn(os._exit, nprocs=2)
    assert failed.value.exit_code == failed.value.error_index == 1
    mp.set_sharing_strategy("file_system")
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    with pytest.raises(ValueError, match="must be 'file_system' or 'file_descriptor'"):
        mp.set_sharing_strategy("pigeon")


def test_other_places():
    from lazyxla._tensor import Tensor
    from lazyxla.functional import einsum
    from lazyxla.nn.common_types import _size_2_t
    from lazyxla.nn.utils.clip_grad import clip_grad_norm_
    from lazyxla.nn.utils.weight_norm import weight_norm
    from lazyxla.optim.adamw import AdamW

    assert Tensor is lx.Tensor and einsum is lx.einsum is lx.functional.einsum and int in get_args(_size_2_t)
    assert clip_grad_norm_ is lx.nn.utils.clip_grad_norm_ and weight_norm is lx.nn.utils.weight_norm
    assert AdamW is lx.optim.AdamW is lx.optim.adamw.AdamW and "clip_grad_norm_" in dir(lx.nn.utils.clip_grad)


def test_places_have_what_they_name():
    from lazyxla._places import _PLACES

    for name in _PLACES:
        place = sys.modules[f"lazyxla.{name}"]
        assert all(hasattr(place, n) for n in place.__all__), name
        with pytest.raises(AttributeError):
            _ = place.no_such_name


def test_many_tensors_as_one():
    from lazyxla._utils import _flatten_dense_tensors, _reorder_tensors_as, _take_tensors, _unflatten_dense_tensors

    tensors = [lx.arange(4.0).reshape(2, 2), lx.ones(3), lx.tensor(7.0)]
    flat = _flatten_dense_tensors(tensors)
    assert flat.tolist() == [0, 1, 2, 3, 1, 1, 1, 7]
    parts = _unflatten_dense_tensors(flat, tensors)
    assert [p.tolist() for p in parts] == [t.tolist() for t in tensors]
    flat.mul_(2)
    assert parts[2].item() == 14.0 and _flatten_dense_tensors(tensors[:1]).tolist() == [0, 1, 2, 3]
    mixed = [lx.ones(1), lx.ones(2).long(), lx.ones(3), lx.ones(4).long()]
    buckets = list(_take_tensors(mixed, 16))
    assert [[t.numel() for t in b] for b in buckets] == [[2], [1, 3], [4]]
    assert [t.numel() for t in _reorder_tensors_as([mixed[0], mixed[2], mixed[1], mixed[3]], mixed)] == [1, 2, 3, 4]
