"""Optimizers and schedules against numbers from their reference implementations, and that nothing recompiles."""

import numpy as np
import pytest

import lazyxla as lx

# Three parameters after 20 steps from the same start (float64).
OPTIMIZERS = [
    ("SGD", {"lr": 0.1}, [0.0001716531, -0.0078099678, -0.0046962532]),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, [-0.1240824571, 0.8465369502, -0.3669612209]),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, [-0.3092254594, -0.0204405521, 0.1096652807]),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "maximize": True}, [0.5872350739, 4.0311918297, -4.3153392067]),
    ("Adam", {"lr": 0.1}, [0.1241725903, -0.1929208976, -0.5477489233]),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}, [0.1249581258, -0.2037471173, -0.5035370018]),
    ("AdamW", {"lr": 0.1}, [0.1239448616, -0.1907801854, -0.5358652394]),
    ("AdamW", {"lr": 0.1, "maximize": True}, [0.348626047, 2.7013994478, -2.1631649105]),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}, [0.0205820387, 0.8023196473, -1.1102983024]),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True}, [-0.0064063143, 0.004816637, 0.0562046552]),
    ("Adadelta", {"weight_decay": 0.1}, [0.0993670063, 1.2476828255, -1.3007048494]),
]  # fmt: skip


def start():
    w = lx.tensor(np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True)
    b = lx.tensor(np.random.default_rng(1).standard_normal(4), requires_grad=True)
    return w, b


def train(w, b, optimizer, steps, first=0, scheduler=None):
    for i in range(first, first + steps):
        x = lx.tensor(np.random.default_rng(i).standard_normal((5, 3)))
        loss = ((x @ w + b).tanh() ** 2).sum()
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


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"])
def test_steps_and_schedules_never_recompile(name, metrics):
    w, b = start()
    optimizer = getattr(lx.optim, name)([w, b], **({"momentum": 0.9} if name == "SGD" else {}))
    scheduler = lx.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    train(w, b, optimizer, 3, scheduler=scheduler)
    compiles = metrics.report(as_dict=True)["compiles"]
    assert compiles <= 2
    train(w, b, optimizer, 5, scheduler=scheduler)
    assert metrics.report(as_dict=True)["compiles"] == compiles


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_resumed_run_is_bit_for_bit_the_same(name):
    options = {"lr": 0.1, **({"momentum": 0.9} if name == "SGD" else {})}
    w, b = start()
    train(w, b, getattr(lx.optim, name)([w, b], **options), 6)
    v, c = start()
    first = getattr(lx.optim, name)([v, c], **options)
    train(v, c, first, 3)
    saved = first.state_dict()
    second = getattr(lx.optim, name)([v, c], lr=1.0)
    second.load_state_dict(saved)
    train(v, c, second, 3, first=3)
    assert np.array_equal(w.detach().numpy(), v.detach().numpy())
    if name == "Adam":
        assert saved["state"][0]["step"].item() == 3 and set(saved["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}


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
    with pytest.raises(ValueError, match="beta parameter at index 1"):
        lx.optim.Adam([w], betas=(0.9, 1.0))


def test_zero_grad():
    w, _ = start()
    optimizer = lx.optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert (w.grad == 0).all()
    optimizer.zero_grad()
    assert w.grad is None


def test_the_gradient_may_be_shared_in_place():
    """p.grad is the caller's to change: an update must not write to it."""
    w, _ = start()
    (w * w).sum().backward()
    before = w.grad.clone().numpy()
    lx.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    assert np.array_equal(w.grad.numpy(), before)


# The rate at steps 0, 1, 3, 5, 6, 10, 23 and 40.
SCHEDULES = [
    (lambda m, o: m.StepLR(o, 3, .5), [0.1, 0.1, 0.05, 0.05, 0.025, 0.0125, 0.00078125, 1.220703125e-05]),
    (lambda m, o: m.MultiStepLR(o, [3,3,7]), [0.1, 0.1, 0.001, 0.001, 0.001, 0.0001, 0.0001, 0.0001]),
    (lambda m, o: m.ConstantLR(o), [0.03333333333, 0.03333333333, 0.03333333333, 0.1, 0.1, 0.1, 0.1, 0.1]),
    (lambda m, o: m.LinearLR(o), [0.03333333333, 0.04666666667, 0.07333333333, 0.1, 0.1, 0.1, 0.1, 0.1]),
    (lambda m, o: m.ExponentialLR(o, .9), [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294]),
    (lambda m, o: m.PolynomialLR(o, 10,2.), [0.1, 0.081, 0.049, 0.025, 0.016, 0.0, 0.0, 0.0]),
    (lambda m, o: m.CosineAnnealingLR(o, 10, .001), [0.1, 0.09757729756, 0.07959536999, 0.0505, 0.03520365878, 0.001, 0.07959536999, 0.1]),
    (lambda m, o: m.CosineAnnealingWarmRestarts(o, 5,2), [0.1, 0.09045084972, 0.03454915028, 0.1, 0.09755282581, 0.05, 0.06545084972, 0.09619397663]),
    (lambda m, o: m.OneCycleLR(o, .5,total_steps=70), [0.02, 0.02295479826, 0.04615843419, 0.09029437252, 0.1189315394, 0.26, 0.4953898077, 0.3211326121]),
    (lambda m, o: m.OneCycleLR(o, .5,total_steps=70,three_phase=True,anneal_strategy="linear"), [0.02, 0.044, 0.092, 0.14, 0.164, 0.26, 0.428, 0.02]),
    (lambda m, o: m.LambdaLR(o, lambda e: 0.9**e), [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294]),
    (lambda m, o: m.MultiplicativeLR(o, lambda e: 0.9), [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294]),
    (lambda m, o: m.SequentialLR(o, [m.ConstantLR(o, .1,5),m.ExponentialLR(o, .9)],[6]), [0.01, 0.01, 0.01, 0.1, 0.1, 0.06561, 0.0166771817, 0.002781283894]),
    (lambda m, o: m.ChainedScheduler([m.ConstantLR(o, .1,5),m.ExponentialLR(o, .9)]), [0.01, 0.009, 0.00729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294]),
]  # fmt: skip


@pytest.mark.parametrize("make, expected", SCHEDULES, ids=range(len(SCHEDULES)))
def test_schedules(make, expected):
    p = lx.zeros(1, requires_grad=True)
    optimizer = lx.optim.SGD([p], lr=0.1, momentum=0.9)
    scheduler = make(lx.optim.lr_scheduler, optimizer)
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(40):
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    np.testing.assert_allclose([rates[i] for i in (0, 1, 3, 5, 6, 10, 23, 40)], expected, rtol=1e-8)
    assert optimizer.param_groups[0]["lr"] == rates[-1]


def test_a_schedule_resumes():
    def make():
        optimizer = lx.optim.SGD([lx.zeros(1, requires_grad=True)], lr=0.1)
        return optimizer, lx.optim.lr_scheduler.StepLR(optimizer, 2)

    optimizer, scheduler = make()
    for _ in range(3):
        scheduler.step()
    other_optimizer, other = make()
    other.load_state_dict(scheduler.state_dict())
    other_optimizer.load_state_dict(optimizer.state_dict())
    scheduler.step()
    other.step()
    assert other.get_last_lr() == scheduler.get_last_lr()


def test_plateau():
    optimizer = lx.optim.SGD([lx.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lx.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    rates = []
    for loss in (3.0, 2.0, 2.0, 2.0, 1.0, lx.tensor(1.0), 1.0, 1.0):
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
