"""Optimizers and schedules against numbers from their reference implementations, and that nothing recompiles."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.optim.optimizer import (
    Optimizer,
    ParamsT,
    _default_to_fused_or_foreach,
    _get_value,
    _use_grad_for_differentiable,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)

# Three parameters after 20 steps from the same start (float64).
OPTIMIZERS = [
    ("SGD", {"lr": 0.1}, [0.0001716531, -0.0078099678, -0.0046962532]),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, [-0.1240824571, 0.8465369502, -0.3669612209]),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        [-0.3092254594, -0.0204405521, 0.1096652807],
    ),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True},
        [0.5872350739, 4.0311918297, -4.3153392067],
    ),
    ("Adam", {"lr": 0.1}, [0.1241725903, -0.1929208976, -0.5477489233]),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}, [0.1249581258, -0.2037471173, -0.5035370018]),
    ("AdamW", {"lr": 0.1}, [0.1239448616, -0.1907801854, -0.5358652394]),
    ("AdamW", {"lr": 0.1, "maximize": True}, [0.348626047, 2.7013994478, -2.1631649105]),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}, [0.0205820387, 0.8023196473, -1.1102983024]),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True}, [-0.0064063143, 0.004816637, 0.0562046552]),
    ("Adadelta", {"weight_decay": 0.1}, [0.0993670063, 1.2476828255, -1.3007048494]),
    ("RMSprop", {"weight_decay": 0.1}, [0.0008117266, 0.5662792549, 0.0287225154]),
    ("NAdam", {"lr": 0.1}, [-0.022356066, -0.0566072841, -0.5675343685]),
    (
        "NAdam",
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
        [-0.0202359801, -0.0467547607, -0.4353491607],
    ),
    ("RAdam", {"lr": 0.1}, [0.0690093627, 0.5836129554, -0.8449549977]),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1}, [0.0493836364, 0.517166899, -0.8092349256]),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1}, [0.0462611299, 0.1925191253, -0.8269461338]),
]

# The same with complex parameters, whose squares are those of the real and imaginary parts (complex128).
COMPLEX = [
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9},
        [(0.1759443001 - 0.0079211988j), (0.125015146 + 0.3542256366j), (0.489484339 - 0.022966606j)],
    ),
    (
        "Adam",
        {"lr": 0.1, "amsgrad": True},
        [(-0.0407095482 + 0.0608686404j), (-0.2615999023 - 0.0916461982j), (-0.4148957268 - 0.064248121j)],
    ),
    (
        "AdamW",
        {"lr": 0.1},
        [(-0.0398246557 + 0.0624816625j), (-0.2628020223 - 0.1002172253j), (-0.4071216339 - 0.0634091771j)],
    ),
    (
        "Adagrad",
        {"lr": 0.1, "initial_accumulator_value": 0.1},
        [(0.0157507225 - 0.3917484914j), (0.5968865307 + 0.6777282107j), (-0.9809130054 + 0.1333820185j)],
    ),
    (
        "RMSprop",
        {"momentum": 0.5, "centered": True},
        [(-1.41859e-05 - 0.0315019687j), (0.1183411752 + 0.3325098069j), (-0.0077674895 - 0.0023412615j)],
    ),
    (
        "Adadelta",
        {"weight_decay": 0.1},
        [(0.1077976556 - 0.6747824427j), (1.2166633092 + 1.2154276454j), (-1.3001513561 + 0.3426515361j)],
    ),
    (
        "NAdam",
        {"lr": 0.1},
        [(-0.0066811863 - 0.0830556242j), (0.0004282672 + 0.1369760882j), (-0.5916921956 - 0.017901606j)],
    ),
    (
        "RAdam",
        {"lr": 0.1},
        [(0.0832742244 - 0.5193556982j), (1.0426473658 + 1.0060950973j), (-1.1072833632 + 0.2637128761j)],
    ),
    (
        "Adamax",
        {"lr": 0.1},
        [(-0.0263602283 - 0.2583129256j), (0.156486568 + 0.4223496137j), (-0.7093744163 - 0.0207155464j)],
    ),
]
NAMES = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta"]


def start(imaginary=False):
    w, b = np.random.default_rng(0).standard_normal((3, 4)), np.random.default_rng(1).standard_normal(4)
    if imaginary:
        w, b = w + 1j * w[::-1], b + 1j * b[::-1]
    return lx.tensor(w, requires_grad=True), lx.tensor(b, requires_grad=True)


def made(name, params, **options):
    """An optimizer of that name, with momentum where it is an option."""
    return getattr(lx.optim, name)(params, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {}), **options)


def train(w, b, optimizer, steps, first=0, scheduler=None):
    for i in range(first, first + steps):
        x = lx.tensor(np.random.default_rng(i).standard_normal((5, 3)))
        y = x.to(w.dtype) @ w + b
        loss = (abs(y) ** 2).sum() / 20 if w.dtype.is_complex else (y.tanh() ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


@pytest.mark.parametrize("name, options, expected", OPTIMIZERS)
def test_twenty_steps(name, options, expected):
    w, b = start()
    optimizer = getattr(lx.optim, name)([{"params": [w]}, {"params": [b], "lr": 0.05}], **options)
    train(w, b, optimizer, 20)
    found = [w[0, 0].item(), w[1, 2].item(), b[3].item()]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name, options, expected", COMPLEX)
def test_twenty_steps_of_complex_parameters(name, options, expected):
    w, b = start(imaginary=True)
    optimizer = getattr(lx.optim, name)([{"params": [w]}, {"params": [b], "lr": 0.05}], **options)
    train(w, b, optimizer, 20)
    found = [w[0, 0].item(), w[1, 2].item(), b[3].item()]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    state = optimizer.state_dict()["state"][0]
    assert all(v.dtype is lx.complex128 for k, v in state.items() if k not in ("step", "mu_product"))


@pytest.mark.parametrize("name", NAMES)
def test_one_program_serves_all_steps_of_any_schedule(name, metrics):
    w, b = start()
    lx.sync()
    optimizer = made(name, [w, b])
    m = lx.optim.lr_scheduler
    cycles = "betas" in optimizer.defaults or "momentum" in optimizer.defaults
    scheduler = m.OneCycleLR(optimizer, 0.1, total_steps=20) if cycles else m.CosineAnnealingLR(optimizer, 20)
    metrics.reset()
    train(w, b, optimizer, 8, scheduler=scheduler)  # RAdam's rule changes at step 6
    optimizer.param_groups[0]["lr"] = 0.01
    train(w, b, optimizer, 1)
    facts = metrics.report(as_dict=True)
    assert (facts["compiles"], facts["executions"]) == (1, 9)


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_is_bit_for_bit_the_same(name, metrics):
    w, b = start()
    train(w, b, made(name, [w, b]), 6)
    v, c = start()
    first = made(name, [v, c])
    train(v, c, first, 3)
    again = made(name, [v, c], lr=1.0)
    again.load_state_dict(first.state_dict())
    metrics.reset()
    train(v, c, again, 3, first=3)
    assert metrics.report(as_dict=True)["compiles"] == 0  # a loaded state makes no other program
    assert np.array_equal(w.detach().numpy(), v.detach().numpy())
    assert np.array_equal(b.detach().numpy(), c.detach().numpy())


def test_the_state_is_laid_out_as_pytorchs():
    w, b = start()
    optimizer = lx.optim.Adam([{"params": [w], "lr": 0.1}, {"params": [b]}], amsgrad=True)
    assert optimizer.state_dict()["state"] == {}
    train(w, b, optimizer, 3)
    saved = optimizer.state_dict()
    assert set(saved) == {"state", "param_groups"}
    assert [g["params"] for g in saved["param_groups"]] == [[0], [1]] and saved["param_groups"][0]["lr"] == 0.1
    assert {k: set(v) for k, v in saved["state"].items()} == {
        n: {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"} for n in (0, 1)
    }
    step = saved["state"][1]["step"]
    assert step.item() == 3 and step.shape == () and step.dtype is lx.float32
    plain = lx.optim.SGD([w, b], lr=0.1)
    train(w, b, plain, 1)
    assert plain.state_dict()["state"] == {}


def test_a_loaded_state_is_not_shared():
    w, b = start()
    first = lx.optim.SGD([w, b], lr=0.1, momentum=0.9)
    train(w, b, first, 1)
    second = lx.optim.SGD([w, b], lr=0.5)
    second.load_state_dict(first.state_dict())
    before = second.state[w]["momentum_buffer"].clone()
    train(w, b, first, 1, first=1)
    assert (second.state[w]["momentum_buffer"] == before).all()
    assert not (first.state[w]["momentum_buffer"] == before).all()
    assert second.param_groups[0]["lr"] == 0.1
    second.param_groups[0]["lr"] = 7.0
    assert first.param_groups[0]["lr"] == 0.1


def test_step_reads_nothing_and_closures_are_called():
    w, b = start()
    optimizer = lx.optim.SGD([w, b], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with lx.no_sync():
        loss = optimizer.step(closure)
    assert loss.item() > (w * w).sum().item()


@pytest.mark.parametrize("name", NAMES)
def test_no_step_reads_a_value(name):
    w, b = start()
    optimizer = made(name, [w, b])
    with lx.no_sync():
        for _ in range(3):
            optimizer.zero_grad()
            (w.sum() * b.sum()).backward()
            optimizer.step()
            optimizer.state_dict()


@pytest.mark.parametrize("name", ["SGD", "AdamW", "NAdam"])
def test_the_rate_may_be_a_tensor(name, metrics):
    w, b = start()
    train(w, b, made(name, [w, b], lr=0.125), 4)
    v, c = start()
    lx.sync()
    metrics.reset()
    rate = lx.tensor(0.125)
    optimizer = made(name, [v, c], lr=rate)
    train(v, c, optimizer, 4)
    np.testing.assert_allclose(v.detach().numpy(), w.detach().numpy(), rtol=1e-6)
    assert metrics.report(as_dict=True)["compiles"] == 1
    scheduler = lx.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate and rate.item() == 0.0625
    before = v.detach().clone()
    rate.zero_()
    optimizer.param_groups[0]["weight_decay"] = 0.0
    train(v, c, optimizer, 1)
    assert (v == before).all()
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        lx.optim.SGD([v], lr=lx.ones(2))


def test_an_optimizer_of_ones_own_ends_its_step_with_a_boundary(metrics):
    class Sign(lx.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @lx.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.add_(p.grad.sign(), alpha=-group["lr"])
            return "done"

    w, _ = start()
    expected = w.detach().numpy() - 0.5 * np.sign(w.detach().numpy())
    optimizer = Sign([w], 0.5)
    (w * w).sum().backward()
    metrics.reset()
    assert optimizer.step() == "done"
    assert metrics.report(as_dict=True)["sync_causes"] == {"optimizer.step()": 1}
    np.testing.assert_allclose(w.detach().numpy(), expected)


def test_hooks():
    w, b = start()
    optimizer = lx.optim.SGD([w, b], lr=0.1)
    seen = []
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", o, args, kwargs))),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", o, args, kwargs))),
    ]
    optimizer.step()
    assert seen == [("pre", optimizer, (), {}), ("post", optimizer, (), {})]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 2
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 5.0,), {}))
    assert optimizer.step() == 5.0
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 1)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()
    optimizer.register_state_dict_post_hook(lambda o, d: {**d, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, d: {**d, "param_groups": [{"params": [0, 1], "lr": 9.0}]})
    saved = optimizer.state_dict()
    assert saved["more"] == 1
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 9.0


def test_errors():
    w, b = start()
    for bad in ({"lr": -1.0}, {"momentum": -0.1}, {"weight_decay": -1.0}, {"nesterov": True}):
        with pytest.raises(ValueError, match=r"Invalid|Nesterov"):
            lx.optim.SGD([w], **bad)
    with pytest.raises(ValueError, match="empty parameter list"):
        lx.optim.SGD([])
    with pytest.raises(TypeError, match="iterable of Tensors"):
        lx.optim.SGD(w)
    with pytest.raises(ValueError, match="non-leaf"):
        lx.optim.SGD([w * 2])
    with pytest.raises(ValueError, match="more than one parameter group"):
        lx.optim.SGD([{"params": [w]}, {"params": [w, b]}])
    optimizer = lx.optim.SGD([w, b], lr=0.1)
    with pytest.raises(ValueError, match="doesn't match the size"):
        optimizer.load_state_dict(lx.optim.SGD([w], lr=0.5).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.1
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"):
        with pytest.raises(ValueError, match=r"Invalid beta parameter at index 1: 1\.0"):
            getattr(lx.optim, name)([w], betas=(0.9, 1.0))
    for name in NAMES:
        with pytest.raises(ValueError, match=r"Invalid learning rate: -1\.0"):
            getattr(lx.optim, name)([w], lr=-1.0)
        with pytest.raises(ValueError, match=r"Invalid weight_decay value: nan"):
            getattr(lx.optim, name)([w], weight_decay=float("nan"))
    with pytest.raises(ValueError, match="Invalid rho value"):
        lx.optim.Adadelta([w], rho=1.5)
    with pytest.raises(RuntimeError, match="differentiable"):
        lx.optim.SGD([w], differentiable=True)
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        lx.optim.Adam([w], fused=True, foreach=True)


def test_parameter_groups():
    w, b = start()
    optimizer = lx.optim.SGD([("w", w)], lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [b]})
    optimizer.add_param_group({"params": [("b", b)], "lr": 0.5})
    assert [g["param_names"] for g in optimizer.param_groups] == [["w"], ["b"]]
    assert optimizer.param_groups[1]["lr"] == 0.5 and optimizer.param_groups[1]["momentum"] == 0.9
    with pytest.raises(ValueError, match="Some param names are missing"):
        lx.optim.SGD([("w", w), b])
    with pytest.raises(TypeError, match="must be a dict"):
        optimizer.add_param_group([w])
    with pytest.raises(TypeError, match="ordered collections"):
        lx.optim.SGD([{"params": {w, b}}])
    with pytest.raises(TypeError, match="can only optimize Tensors, but one of the params is int"):
        lx.optim.SGD([w, 3])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        lx.optim.SGD([w, w])
    assert repr(optimizer).startswith("SGD (\nParameter Group 0\n    dampening: 0\n") and "lr: 0.5" in repr(optimizer)
    assert "\n\nParameter Group 1\n    dampening: 0\n" in repr(optimizer)
    assert repr(optimizer).endswith("weight_decay: 0\n)")


def test_zero_grad():
    w, _ = start()
    optimizer = lx.optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    alias = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is alias and (alias == 0).all()
    optimizer.zero_grad()
    assert w.grad is None


def test_the_gradient_may_be_shared_in_place():
    """p.grad is the caller's to change: an update must not write to it."""
    w, _ = start()
    (w * w).sum().backward()
    before = w.grad.clone().numpy()
    lx.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    assert np.array_equal(w.grad.numpy(), before)


def test_hooks_of_every_optimizer():
    w, b = start()
    first, second = lx.optim.SGD([w], lr=0.1), lx.optim.Adam([b])
    seen = []
    handles = [
        register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", o))),
        register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append(("post", o))),
        first.register_step_pre_hook(lambda o, args, kwargs: seen.append(("own pre", o))),
        first.register_step_post_hook(lambda o, args, kwargs: seen.append(("own post", o))),
    ]
    first.step()
    assert seen == [("pre", first), ("own pre", first), ("own post", first), ("post", first)]
    second.step()
    assert seen[4:] == [("pre", second), ("post", second)]
    for handle in handles:
        handle.remove()
    first.step(), second.step()
    assert len(seen) == 6


class Plain(Optimizer):
    """Gradient descent, as optimizers in papers' repositories are written."""

    def __init__(self, params: ParamsT, lr=required, differentiable=False):
        if lr is not required and lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, {"lr": lr, "differentiable": differentiable})

    @_use_grad_for_differentiable
    def step(self, closure=None):
        assert not lx.is_grad_enabled()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            lx._foreach_add_(params, [p.grad for p in params], alpha=-group["lr"])


def test_an_optimizer_written_with_what_pytorchs_module_has():
    assert repr(required) == "<required parameter>"
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        Plain([lx.ones(1)])
    w, b = start()
    (w.sum() * 2 + b.sum() * 3).backward()
    expected = [w.detach().numpy() - 0.2, b.detach().numpy() - np.float32(0.3)]
    optimizer = Plain([w, b], lr=0.1)
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), expected[0], rtol=1e-6)
    np.testing.assert_allclose(b.detach().numpy(), expected[1], rtol=1e-6)
    assert lx.is_grad_enabled() and _get_value(lx.tensor(3.0)) == _get_value(3.0) == 3.0
    assert _default_to_fused_or_foreach([w, b], False, use_fused=True) == (False, False)
