"""Schedules against numbers from their reference implementations; saving, chaining and errors."""

import json

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.optim.lr_scheduler as schedulers

# The rate at steps 0, 1, 3, 5, 6, 10, 23 and 40.
SCHEDULES = [
    (lambda m, o: m.StepLR(o, 3, 0.5), [0.1, 0.1, 0.05, 0.05, 0.025, 0.0125, 0.00078125, 1.220703125e-05]),
    (lambda m, o: m.MultiStepLR(o, [3, 3, 7]), [0.1, 0.1, 0.001, 0.001, 0.001, 0.0001, 0.0001, 0.0001]),
    (lambda m, o: m.ConstantLR(o), [0.03333333333, 0.03333333333, 0.03333333333, 0.1, 0.1, 0.1, 0.1, 0.1]),
    (lambda m, o: m.LinearLR(o), [0.03333333333, 0.04666666667, 0.07333333333, 0.1, 0.1, 0.1, 0.1, 0.1]),
    (
        lambda m, o: m.ExponentialLR(o, 0.9),
        [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294],
    ),
    (lambda m, o: m.PolynomialLR(o, 10, 2.0), [0.1, 0.081, 0.049, 0.025, 0.016, 0.0, 0.0, 0.0]),
    (
        lambda m, o: m.CosineAnnealingLR(o, 10, 0.001),
        [0.1, 0.09757729756, 0.07959536999, 0.0505, 0.03520365878, 0.001, 0.07959536999, 0.1],
    ),
    (
        lambda m, o: m.CosineAnnealingWarmRestarts(o, 5, 2),
        [0.1, 0.09045084972, 0.03454915028, 0.1, 0.09755282581, 0.05, 0.06545084972, 0.09619397663],
    ),
    (
        lambda m, o: m.OneCycleLR(o, 0.5, total_steps=70),
        [0.02, 0.02295479826, 0.04615843419, 0.09029437252, 0.1189315394, 0.26, 0.4953898077, 0.3211326121],
    ),
    (
        lambda m, o: m.OneCycleLR(o, 0.5, total_steps=70, three_phase=True, anneal_strategy="linear"),
        [0.02, 0.044, 0.092, 0.14, 0.164, 0.26, 0.428, 0.02],
    ),
    (
        lambda m, o: m.LambdaLR(o, lambda e: 0.9**e),
        [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294],
    ),
    (
        lambda m, o: m.MultiplicativeLR(o, lambda e: 0.9),
        [0.1, 0.09, 0.0729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294],
    ),
    (
        lambda m, o: m.SequentialLR(o, [m.ConstantLR(o, 0.1, 5), m.ExponentialLR(o, 0.9)], [6]),
        [0.01, 0.01, 0.01, 0.1, 0.1, 0.06561, 0.0166771817, 0.002781283894],
    ),
    (
        lambda m, o: m.ChainedScheduler([m.ConstantLR(o, 0.1, 5), m.ExponentialLR(o, 0.9)]),
        [0.01, 0.009, 0.00729, 0.059049, 0.0531441, 0.03486784401, 0.00886293812, 0.001478088294],
    ),
    (
        lambda m, o: m.CyclicLR(o, 0.01, 0.1, 7),
        [0.01, 0.02285714286, 0.04857142857, 0.07428571429, 0.08714285714, 0.06142857143, 0.07428571429, 0.03571428571],
    ),
    (
        lambda m, o: m.CyclicLR(o, 0.01, 0.1, 7, 4, mode="triangular2"),
        [0.01, 0.02285714286, 0.04857142857, 0.07428571429, 0.08714285714, 0.0325, 0.01321428571, 0.02125],
    ),
    (
        lambda m, o: m.CyclicLR(o, 0.01, 0.1, 7, mode="exp_range", gamma=0.99),
        [0.01, 0.02272857143, 0.04742581857, 0.07113507464, 0.08262846867, 0.05651107814, 0.06101806109, 0.02720213093],
    ),
    (
        lambda m, o: m.CosineAnnealingWarmRestarts(o, 7),
        [0.1, 0.0950484434, 0.0611260467, 0.01882550991, 0.004951556605, 0.0611260467, 0.08117449009, 0.01882550991],
    ),
    (
        lambda m, o: m.SequentialLR(o, [m.LinearLR(o, 0.1, 1.0, 5), m.CosineAnnealingLR(o, 20)], [5]),
        [0.01, 0.028, 0.064, 0.1, 0.09938441703, 0.08535533906, 0.002447174185, 0.08535533906],
    ),
    (
        lambda m, o: m.SequentialLR(
            o, [m.LinearLR(o, 0.1), m.CosineAnnealingWarmRestarts(o, 8, 2), m.StepLR(o, 4)], [5, 30]
        ),
        [0.01, 0.028, 0.064, 0.1, 0.09619397663, 0.03086582838, 0.03086582838, 0.001],
    ),
    (
        lambda m, o: m.ChainedScheduler([m.LinearLR(o, 0.1), m.CosineAnnealingLR(o, 17, 0.001)]),
        [0.01, 0.02777013685, 0.05930159411, 0.08040579896, 0.07263205301, 0.03698784731, 0.02843595139, 0.07256404861],
    ),
]


def made(lr=0.1, groups=1):
    return lx.optim.SGD([{"params": [lx.zeros(1, requires_grad=True)]} for _ in range(groups)], lr=lr, momentum=0.9)


def follow(scheduler, optimizer, steps):
    """The rate now and after each of so many steps."""
    found = [scheduler.get_last_lr()[0]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return found


@pytest.mark.parametrize("make, expected", SCHEDULES, ids=range(len(SCHEDULES)))
def test_schedules(make, expected):
    optimizer = made()
    found = follow(make(schedulers, optimizer), optimizer, 40)
    np.testing.assert_allclose([found[i] for i in (0, 1, 3, 5, 6, 10, 23, 40)], expected, rtol=1e-8, atol=1e-12)
    assert optimizer.param_groups[0]["lr"] == found[-1]


@pytest.mark.parametrize("make, expected", SCHEDULES, ids=range(len(SCHEDULES)))
def test_a_schedule_resumes(make, expected):
    whole = made()
    expected = follow(make(schedulers, whole), whole, 30)
    optimizer = made()
    scheduler = make(schedulers, optimizer)
    follow(scheduler, optimizer, 12)
    saved = json.loads(json.dumps([scheduler.state_dict(), optimizer.state_dict()]))  # plain data
    for milestones in _milestones(saved[0]):  # JSON knows no numbers as keys
        milestones.update({int(k): milestones.pop(k) for k in list(milestones)})
    other = made()
    resumed = make(schedulers, other)
    resumed.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    assert follow(resumed, other, 18) == expected[12:]


def _milestones(state):
    found = [state["milestones"]] if isinstance(state.get("milestones"), dict) else []
    return found + [m for s in state.get("_schedulers", ()) for m in _milestones(s)]


def test_momentum_goes_the_other_way_round():
    optimizer = made()
    scheduler = schedulers.CyclicLR(optimizer, 0.01, 0.11, 4)
    found = []
    for _ in range(9):
        found.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(found, [0.9, 0.875, 0.85, 0.825, 0.8, 0.825, 0.85, 0.875, 0.9])
    adam = lx.optim.Adam([lx.zeros(1, requires_grad=True)])
    schedulers.OneCycleLR(adam, 0.1, total_steps=10, max_momentum=0.95)
    assert adam.param_groups[0]["betas"] == (0.95, 0.999)


@pytest.mark.parametrize("make", [
    lambda o: schedulers.StepLR(o, 3, 0.5), lambda o: schedulers.MultiStepLR(o, [3, 3, 7]),
    lambda o: schedulers.ConstantLR(o, 0.5), lambda o: schedulers.LinearLR(o),
    lambda o: schedulers.ExponentialLR(o, 0.9), lambda o: schedulers.PolynomialLR(o, 10, 2.0),
    lambda o: schedulers.CosineAnnealingLR(o, 10, 0.001),
    lambda o: schedulers.CosineAnnealingWarmRestarts(o, 5, 2), lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4),
])  # fmt: skip
def test_the_closed_form_agrees_with_the_steps(make):
    optimizer, jumping = made(), made()
    stepwise = follow(make(optimizer), optimizer, 14)
    scheduler = make(jumping)
    jumping.step()
    found = []
    for epoch in range(15):
        scheduler.step(epoch)
        found.append(scheduler.get_last_lr()[0])
    np.testing.assert_allclose(found, stepwise, rtol=1e-9, atol=1e-15)


def test_groups_have_rates_of_their_own():
    optimizer = made(groups=2)
    optimizer.param_groups[1]["lr"] = 1.0
    scheduler = schedulers.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 1 / (1 + e)])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.5] == [g["lr"] for g in optimizer.param_groups]
    with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
        schedulers.LambdaLR(optimizer, [lambda e: 1.0])
    with pytest.raises(ValueError, match="max_lr has 3 values, param_groups has 2"):
        schedulers.OneCycleLR(optimizer, [1.0, 2.0, 3.0], total_steps=5)


def test_a_schedule_of_ones_own():
    class Halving(schedulers.LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    optimizer = made()
    assert follow(Halving(optimizer), optimizer, 2) == [0.1, 0.05, 0.025]


def test_callables_that_are_no_functions_are_saved():
    class Factor:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, epoch):
            return self.factor**epoch

    state = schedulers.LambdaLR(made(), Factor(0.5)).state_dict()
    assert state["lr_lambdas"] == [{"factor": 0.5}]
    other = schedulers.LambdaLR(made(), Factor(0.1))
    other.load_state_dict(state)
    assert other.lr_lambdas[0].factor == 0.5


def test_errors():
    optimizer = made()
    with pytest.raises(TypeError, match="Tensor is not an Optimizer"):
        schedulers.StepLR(lx.zeros(1), 3)
    with pytest.raises(KeyError, match=r"param 'initial_lr' is not specified in param_groups\[0\]"):
        schedulers.StepLR(optimizer, 3, last_epoch=4)
    scheduler = schedulers.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`"):
        scheduler.step()
    for make, words in (
        (lambda: schedulers.ConstantLR(optimizer, 1.5), "between 0 and 1"),
        (lambda: schedulers.LinearLR(optimizer, 0.0), "greater than 0 and less or equal to 1"),
        (lambda: schedulers.LinearLR(optimizer, 1.0, -1.0), "between 0 and 1"),
        (lambda: schedulers.CosineAnnealingWarmRestarts(optimizer, 0), "positive integer T_0, but got 0"),
        (lambda: schedulers.CosineAnnealingWarmRestarts(optimizer, 3, 0), "integer T_mult >= 1, but got 0"),
        (lambda: schedulers.OneCycleLR(optimizer, 0.1), "either total_steps OR"),
        (lambda: schedulers.OneCycleLR(optimizer, 0.1, total_steps=-1), "positive integer total_steps, but got -1"),
        (lambda: schedulers.OneCycleLR(optimizer, 0.1, epochs=2, steps_per_epoch=0), "steps_per_epoch, but got 0"),
        (lambda: schedulers.OneCycleLR(optimizer, 0.1, 9, anneal_strategy="no"), "'cos' or 'linear', instead got no"),
        (lambda: schedulers.OneCycleLR(optimizer, 0.1, 9, pct_start=2.0), "between 0 and 1 pct_start, but got 2.0"),
        (lambda: schedulers.CyclicLR(optimizer, 0.1, 1.0, mode="no"), "mode is invalid"),
        (lambda: schedulers.CyclicLR(lx.optim.Adagrad([lx.zeros(1)]), 0.1, 1.0), "must support momentum or beta1"),
        (lambda: schedulers.SequentialLR(optimizer, [scheduler], [3]), "schedulers 1 and the number of milestones"),
        (lambda: schedulers.SequentialLR(made(), [scheduler], []), "belong to the same optimizer"),
        (lambda: schedulers.ChainedScheduler([]), "at least one scheduler"),
        (lambda: schedulers.ChainedScheduler([schedulers.ReduceLROnPlateau(optimizer)]), "not support `Reduce"),
        (lambda: schedulers.ReduceLROnPlateau(optimizer, factor=1.0), "Factor should be < 1.0"),
        (lambda: schedulers.ReduceLROnPlateau(optimizer, mode="no"), "mode no is unknown"),
        (lambda: schedulers.ReduceLROnPlateau(optimizer, min_lr=[0.0, 0.0]), "expected 1 min_lrs, got 2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(TypeError, match="lr_lambda should be a function, but got float"):
        schedulers.MultiplicativeLR(optimizer, 0.5)
    short = schedulers.OneCycleLR(made(), 0.1, total_steps=2)
    short.optimizer.step()
    short.step()
    short.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times\. The specified number of total steps is 2"):
        short.step()


def test_plateau():
    optimizer = lx.optim.SGD([lx.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = lx.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    rates = []
    for loss in (3.0, 2.0, 2.0, 2.0, 1.0, lx.tensor(1.0), 1.0, 1.0):
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("mode, threshold_mode, metrics, expected", [
    ("max", "rel", [1.0, 1.05, 1.2, 1.25], [1.0, 0.5, 0.5, 0.25]),
    ("max", "abs", [1.0, 1.05, 1.2, 1.25], [1.0, 0.5, 0.5, 0.25]),
    ("min", "rel", [10.0, 9.5, 8.9, 8.5], [1.0, 0.5, 0.5, 0.25]),
    ("min", "abs", [10.0, 9.5, 8.9, 8.85], [1.0, 1.0, 1.0, 0.5]),
])  # fmt: skip
def test_what_counts_as_better(mode, threshold_mode, metrics, expected):
    optimizer = made(lr=1.0)
    scheduler = schedulers.ReduceLROnPlateau(
        optimizer, mode, factor=0.5, patience=0, threshold=0.1, threshold_mode=threshold_mode
    )
    found = []
    for value in metrics:
        scheduler.step(value)
        found.append(scheduler.get_last_lr()[0])
    assert found == expected


def test_cooldown_and_the_least_rate():
    optimizer = made(lr=1.0)
    scheduler = schedulers.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, cooldown=2, min_lr=0.3)
    found = []
    for _ in range(8):
        scheduler.step(1.0)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3]
