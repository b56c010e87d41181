"""Module mechanics: registration, naming, state dicts, moving, hooks, text."""

import copy
from collections import OrderedDict

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.again = self.first
        self.scale = nn.Parameter(lx.ones(3))
        self.register_buffer("seen", lx.zeros(2))
        self.register_buffer("scratch", lx.zeros(2), persistent=False)

    def forward(self, x, shift=0.0):
        return self.norm(self.first(x)) * self.scale + shift


def values(module):
    return {k: v.numpy().copy() for k, v in module.state_dict().items()}


# --- what is registered -----------------------------------------------------------------------------------------


def test_names_of_parameters_buffers_and_modules():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 7
    assert [n for n, _ in net.named_parameters(prefix="p", recurse=False)] == ["p.scale"]
    stats = ["norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch", *stats]
    assert [n for n, _ in net.named_modules()] == ["", "first", "norm"]
    assert [n for n, _ in net.named_children()] == ["first", "norm"]
    assert list(net.parameters())[0] is net.scale and list(net.buffers())[0] is net.seen
    assert list(net.modules()) == [net, net.first, net.norm] and list(net.children()) == [net.first, net.norm]


def test_lookup_by_path():
    net = Net()
    assert net.get_parameter("first.weight") is net.first.weight
    assert net.get_buffer("norm.running_var") is net.norm.running_var
    assert net.get_submodule("norm") is net.norm and net.get_submodule("") is net
    for path, message in (("second.weight", "Net has no attribute `second`"), ("first.other", "Linear has no attribute")):
        with pytest.raises(AttributeError, match=message):
            net.get_parameter(path)
    with pytest.raises(AttributeError, match="`seen` is not an nn.Parameter"):
        net.get_parameter("seen")
    with pytest.raises(AttributeError, match="`scale` is not an nn.Module"):
        net.get_submodule("scale")
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'other'"):
        _ = net.other
    assert {"first", "scale", "seen", "forward"} <= set(dir(net))


def test_assignment_registers_and_moves_between_tables():
    net = nn.Module()
    net.a = 1
    net.a = nn.Parameter(lx.ones(2))
    assert list(net._parameters) == ["a"] and "a" not in net.__dict__
    with pytest.raises(TypeError, match=r"cannot assign 'torch.FloatTensor' as parameter 'a' \(torch.nn.Parameter or None"):
        net.a = lx.ones(2)
    net.a = None
    assert net.a is None and list(net.parameters()) == []
    net.m = nn.ReLU()
    with pytest.raises(TypeError, match=r"cannot assign 'int' as child module 'm' \(torch.nn.Module or None expected\)"):
        net.m = 3
    net.b = nn.Buffer(lx.ones(2), persistent=False)
    net.b = lx.zeros(2)
    assert [n for n, _ in net.named_buffers()] == ["b"] and list(net.state_dict()) == []
    with pytest.raises(TypeError, match="cannot assign 'str' as buffer 'b'"):
        net.b = "x"
    del net.m, net.b
    assert not hasattr(net, "m") and not hasattr(net, "b")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.register_parameter("a.b", None), KeyError, r"parameter name can.*t contain"),
        (lambda m: m.register_parameter("", None), KeyError, r"parameter name can.*t be empty string"),
        (lambda m: m.register_parameter("forward", None), KeyError, "attribute 'forward' already exists"),
        (lambda m: m.register_parameter("p", 3), TypeError, "cannot assign 'int' object to parameter 'p'"),
        (lambda m: m.register_buffer("b", 3), TypeError, "cannot assign 'int' object to buffer 'b'"),
        (lambda m: m.register_buffer(1, None), TypeError, "buffer name should be a string. Got int"),
        (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("x.y", nn.ReLU()), KeyError, r"module name can.*t contain .*got: x.y"),
    ],
)
def test_bad_registrations(call, error, message):
    with pytest.raises(error, match=message):
        call(nn.Module())


def test_module_before_init_and_without_forward():
    class Early(nn.Module):
        def __init__(self):
            self.p = nn.Parameter(lx.ones(1))

    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        Early()
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


def test_parameter():
    p = nn.Parameter(lx.ones(2))
    assert isinstance(p, nn.Parameter) and isinstance(p, lx.Tensor) and p.requires_grad and p.is_leaf
    assert not nn.Parameter(lx.ones(2), requires_grad=False).requires_grad
    assert type(p * 2) is lx.Tensor
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    with pytest.raises(RuntimeError, match="only Tensors of floating point and complex dtype can require gradients"):
        nn.Parameter(lx.ones(2, dtype=lx.int64))
    with pytest.raises(TypeError, match="expects a tensor, not list"):
        nn.Parameter([1.0])


# --- state dicts ------------------------------------------------------------------------------------------------


def test_state_dict_keys_and_sharing():
    net = Net()
    state = net.state_dict(prefix="net.")
    assert isinstance(state, OrderedDict)
    own = ["scale", "seen"]
    first, again = ([f"{m}.{n}" for n in ("weight", "bias")] for m in ("first", "again"))
    norm = [f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]
    assert list(state) == [f"net.{k}" for k in (*own, *first, *norm, *again)]
    assert not state["net.scale"].requires_grad and net.state_dict(keep_vars=True)["scale"] is net.scale
    with lx.no_grad():
        net.scale.fill_(7)
    np.testing.assert_array_equal(state["net.scale"].numpy(), [7, 7, 7])


def test_load_state_dict_from_tensors_and_arrays():
    a, b = Net(), Net()
    assert not np.array_equal(a.first.weight.detach().numpy(), b.first.weight.detach().numpy())
    weight = b.first.weight
    found = b.load_state_dict(a.state_dict())
    assert repr(found) == "<All keys matched successfully>" and b.first.weight is weight
    c = Net()
    c.load_state_dict({k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in values(a).items()})
    for k, v in values(a).items():
        for other in (b, c):
            got = values(other)[k]
            assert got.dtype == v.dtype
            np.testing.assert_array_equal(got, v)


def test_load_state_dict_errors_change_nothing():
    net = Net()
    before = values(net)
    state = {k: v + 1 for k, v in before.items() if k != "scale"}
    state["first.weight"] = np.ones((4, 2), np.float32)
    state["norm.bias"] = "text"
    state["extra"] = np.ones(1, np.float32)
    with pytest.raises(RuntimeError) as e:
        net.load_state_dict(state)
    shapes = f"{lx.Size((4, 2))} from checkpoint, the shape in current model is {lx.Size((3, 2))}."
    assert str(e.value) == (
        "Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "scale". \n'
        '\tUnexpected key(s) in state_dict: "extra". \n'
        f"\tsize mismatch for first.weight: copying a param with shape {shapes}\n"
        '\tWhile copying the parameter named "norm.bias", expected torch.Tensor or Tensor-like object from checkpoint '
        "but received <class 'str'>"
    )
    for k, v in values(net).items():
        np.testing.assert_array_equal(v, before[k])


def test_load_state_dict_not_strict():
    net = Net()
    found = net.load_state_dict({"scale": np.full(3, 5, np.float32), "extra": np.ones(1)}, strict=False)
    assert "first.weight" in found.missing_keys and found.unexpected_keys == ["extra"]
    np.testing.assert_array_equal(net.scale.detach().numpy(), [5, 5, 5])
    with pytest.raises(RuntimeError, match="size mismatch for scale"):
        net.load_state_dict({"scale": np.ones(4, np.float32)}, strict=False)
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        net.load_state_dict([1])


def test_load_state_dict_assign_takes_the_tensors():
    net = nn.Linear(2, 1)
    weight = lx.tensor([[1.0, 2.0]])
    net.load_state_dict({"weight": weight, "bias": lx.zeros(1)}, assign=True)
    assert isinstance(net.weight, nn.Parameter) and net.weight.requires_grad
    np.testing.assert_array_equal(net.weight.detach().numpy(), [[1, 2]])


def test_extra_state_and_state_hooks():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 3

        def get_extra_state(self):
            return self.count

        def set_extra_state(self, state):
            self.count = state

    net = nn.Sequential(Counter())
    state = net.state_dict()
    assert state == {"0._extra_state": 3}
    calls = []
    net.register_state_dict_post_hook(lambda m, s, prefix, meta: s.update(more=lx.ones(1)))
    net.register_load_state_dict_pre_hook(lambda m, s, *rest: s.pop("more", None))
    net.register_load_state_dict_post_hook(lambda m, keys: calls.append(keys.missing_keys))
    changed = net.state_dict()
    assert "more" in changed
    changed["0._extra_state"] = 9
    net.load_state_dict(changed)
    assert net[0].count == 9 and calls == [[]]


# --- modes, types, devices --------------------------------------------------------------------------------------


def test_train_eval_apply_and_requires_grad():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Linear(1, 1)))
    assert net.eval() is net and not net[1][0].training
    net.train()
    assert net[0].training
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train("yes")
    order = []
    net.apply(lambda m: order.append(type(m).__name__))
    assert order == ["Dropout", "Linear", "Sequential", "Sequential"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(lx.ones(1, 2)).sum().backward()
    net.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(net.weight.grad.numpy(), [[0, 0]])
    net.zero_grad()
    assert net.weight.grad is None


def test_to_keeps_the_parameters_and_their_gradients():
    net = Net()
    net(lx.randn(4, 2)).sum().backward()
    weight, value = net.first.weight, net.first.weight.detach().numpy().copy()
    assert net.to("xla", lx.float64) is net
    assert net.first.weight is weight and net.again.weight is weight and weight.requires_grad and weight.is_leaf
    assert weight.dtype is lx.float64 and weight.device == lx.device("xla:0") == weight.grad.device
    assert weight.grad.dtype is lx.float64
    assert net.norm.num_batches_tracked.dtype is lx.int64 and net.seen.dtype is lx.float64
    np.testing.assert_array_equal(weight.detach().cpu().numpy(), value.astype(np.float64))
    weight.grad = None
    net(lx.ones(3, 2, dtype=lx.float64, device="xla")).sum().backward()
    assert weight.grad is not None
    net.cpu().float()
    assert weight.dtype is lx.float32 and weight.device.type == "cpu"
    assert net.half().first.weight.dtype is lx.float16 and net.bfloat16().scale.dtype is lx.bfloat16
    assert net.to(lx.ones(1, dtype=lx.float64)).scale.dtype is lx.float64
    assert net.type(lx.float32).norm.num_batches_tracked.dtype is lx.float32


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((lx.int64,), TypeError, "nn.Module.to only accepts floating point or complex dtypes"),
        (({},), TypeError, "invalid argument of type dict"),
        (("nonsense",), RuntimeError, "nonsense"),
    ],
)
def test_to_with_bad_arguments_changes_nothing(args, error, message):
    net = nn.Linear(2, 1)
    with pytest.raises(error, match=message):
        net.to(*args)
    assert net.weight.dtype is lx.float32 and net.weight.device.type == "cpu"


def test_deepcopy_is_independent():
    net = nn.Linear(2, 1)
    other = copy.deepcopy(net)
    before = net.weight.detach().numpy().copy()
    with lx.no_grad():
        other.weight.zero_()
    np.testing.assert_array_equal(net.weight.detach().numpy(), before)
    assert other.weight.requires_grad and isinstance(other.weight, nn.Parameter)


def test_state_of_before_batches_were_counted():
    """PyTorch's checkpoints of before version 2 of its norms, and dicts that say no version, lack a count of batches."""
    norm = nn.BatchNorm1d(2)
    state = {k: v + 1 for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
    net = nn.Sequential(norm)
    net.load_state_dict({f"0.{k}": v for k, v in state.items()})
    assert norm.running_mean.tolist() == [1, 1] and norm.num_batches_tracked.item() == 0
    versioned = OrderedDict(state)
    versioned._metadata = {"": {"version": 2}}
    with pytest.raises(RuntimeError, match='Missing key.* "num_batches_tracked"'):
        norm.load_state_dict(versioned)


def test_state_hooks_under_their_older_names():
    net = nn.Linear(2, 2, bias=False)
    net._register_state_dict_hook(lambda m, state, prefix, _: {"old." + k: v for k, v in state.items()})
    net._register_load_state_dict_pre_hook(lambda state, *_: state.update(weight=state.pop("old.weight")))
    net.load_state_dict({k: v * 0 for k, v in net.state_dict().items()})
    assert net.weight.abs().sum().item() == 0


# --- hooks ------------------------------------------------------------------------------------------------------


def test_forward_hooks_in_order_and_removed():
    log = []
    net = nn.Identity()
    first = net.register_forward_hook(lambda m, args, out: log.append(("post", args, out)))
    net.register_forward_hook(lambda m, args, out: out + 1)
    net.register_forward_hook(lambda m, args, out: log.append("first"), prepend=True)
    net.register_forward_pre_hook(lambda m, args: (args[0] * 10,))
    assert net(2) == 21 and log == ["first", ("post", (20,), 20)]
    first.remove()
    log.clear()
    assert net(3) == 31 and log == ["first"]


def test_hooks_with_keyword_arguments():
    net = Net().eval()
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"shift": kwargs["shift"] + 1}), with_kwargs=True)
    seen = []
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    x = lx.ones(1, 2)
    shifted = net(x, shift=1.0)
    assert seen == [{"shift": 2.0}]
    np.testing.assert_allclose(shifted.detach().numpy(), net.forward(x, 2.0).detach().numpy(), rtol=1e-6)
    bad = nn.Identity()
    bad.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
        bad(1)


def test_tables_hold_the_hooks_themselves():
    net = nn.Identity()
    before, after = lambda m, args: None, lambda m, args, kwargs, out: None
    net.register_forward_pre_hook(before)
    handle = net.register_forward_hook(after, with_kwargs=True, always_call=True)
    assert list(net._forward_pre_hooks.values()) == [before] and list(net._forward_hooks.values()) == [after]
    handle.remove()
    assert not (net._forward_hooks or net._forward_hooks_with_kwargs or net._forward_hooks_always_called)


def test_always_called_hook_sees_a_failure():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    net, seen = Broken(), []
    net.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    net.register_forward_hook(lambda m, args, out: seen.append("never"))
    with pytest.raises(ValueError, match="broken"):
        net(1)
    assert seen == [None]


def test_full_backward_hooks():
    net, log = nn.Linear(2, 1, bias=False), []
    with lx.no_grad():
        net.weight.copy_(lx.tensor([[2.0, 3.0]]))
    pre = net.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 2,))
    net.register_full_backward_hook(lambda m, grad_input, grad_output: log.append((grad_input[0], grad_output[0])))
    more = net.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] + 1,))
    x = lx.tensor([[1.0, 1.0]], requires_grad=True)
    net(x).sum().backward()
    np.testing.assert_array_equal(log[0][0].numpy(), [[4, 6]])
    np.testing.assert_array_equal(log[0][1].numpy(), [[2]])
    np.testing.assert_array_equal(x.grad.numpy(), [[5, 7]])
    np.testing.assert_array_equal(net.weight.grad.numpy(), [[2, 2]])
    pre.remove()
    more.remove()
    log.clear()
    net(lx.ones(1, 2)).sum().backward()  # no input that requires grad: the hook still runs
    assert log[0][0] is None
    np.testing.assert_array_equal(log[0][1].numpy(), [[1]])
    net.register_full_backward_hook(lambda m, grad_input, grad_output: grad_output)
    with pytest.raises(RuntimeError, match="where no input requires gradient should always return None"):
        net(lx.ones(1, 2)).sum().backward()


# --- text -------------------------------------------------------------------------------------------------------


def test_repr():
    net = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(1, 2, 3, padding="same", bias=False), rest=nn.Sequential(nn.ReLU(True), nn.Flatten()))
    )
    assert repr(net) == (
        "Sequential(\n"
        "  (conv): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=same, bias=False)\n"
        "  (rest): Sequential(\n"
        "    (0): ReLU(inplace=True)\n"
        "    (1): Flatten(start_dim=1, end_dim=-1)\n"
        "  )\n"
        ")"
    )
    assert repr(nn.Module()) == "Module()"


def test_a_parameter_shares_the_memory_of_its_tensor():
    data = lx.zeros(3)
    p = nn.Parameter(data)
    with lx.no_grad():
        data.add_(1)
        p.mul_(3)
    assert p.tolist() == data.tolist() == [3, 3, 3]
    assert p.is_leaf and p.requires_grad and not data.requires_grad and not p._is_view()
