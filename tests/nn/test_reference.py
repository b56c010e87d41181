"""Layers, losses, optimizers and schedules against what PyTorch computed (scripts/reference_values.py made the values)."""

import functools
import inspect

import pytest

import lazyxla as lx
import lazyxla.nn.functional as F
from lazyxla import distributions, nn, optim
from tests.reference import cases, kit, watch

values = functools.cache(kit.load)

UNCOVERED = {
    "nn.Module": "a base", "nn.RNNBase": "a base", "nn.RNNCellBase": "a base", "optim.Optimizer": "a base",
    "distributions.Distribution": "a base", "distributions.ExponentialFamily": "a base",
    "nn.ModuleList": "never called: in the case containers", "nn.ModuleDict": "never called: in the case containers",
    "nn.ParameterList": "never called: in the case containers", "nn.ParameterDict": "never called: in the case containers",
    "nn.NonDynamicallyQuantizableLinear": "Linear under a name that torch.nn does not have",
    "nn.functional.gumbel_softmax": "draws: tests/nn/test_activation.py", "optim.Lion": "PyTorch has none: tests/optim",
    "optim.Optax": "PyTorch has none: tests/optim",
    "nn.LinearCrossEntropyLoss": "by the two that it joins: tests/nn/test_losses.py",
    "nn.functional.linear_cross_entropy": "by the two that it joins: tests/nn/test_losses.py",
}  # fmt: skip


def test_every_group_has_its_values():
    assert tuple(kit.groups) == cases.GROUPS
    for group in cases.GROUPS:
        assert sorted(values(group)[1]) == sorted(kit.groups[group])


def rows():
    """Each case; some with the slow sweeps: distributions, 1-d and 3-d windows; other tests have them by SciPy or by loops."""
    usual = {"Bernoulli", "Beta", "Categorical, logits", "Gamma", "LogNormal", "MultivariateNormal", "StudentT", "VonMises"}
    for group in cases.GROUPS:
        for name in kit.groups[group]:
            slow = name == "losses, sum" or (group == "spread" and name not in usual) or name.endswith((", 1d", ", 3d"))
            yield pytest.param(group, name, marks=pytest.mark.slow) if slow else (group, name)


@pytest.mark.parametrize("group, name", list(rows()))
def test_as_in_pytorch(group, name):
    kit.check(lx, group, name, *values(group))


def public():
    """The layers, functions, optimizers and distributions that there are, as tests/reference/watch.py names them."""
    D = distributions
    bases = {"nn": (nn, nn.Module), "optim": (optim, optim.Optimizer), "distributions": (D, D.Distribution)}
    for room, (module, base) in bases.items():
        for n, c in vars(module).items():
            if n[0] != "_" and inspect.isclass(c) and issubclass(c, base):
                yield f"{room}.{n}"
    for n, f in vars(F).items():
        if n[0] != "_" and callable(f) and f.__module__.startswith("lazyxla.nn.functional"):
            yield f"nn.functional.{n}"


def test_everything_public_has_a_case():
    """A new layer, function, optimizer or distribution needs a case in tests/reference, or a reason above."""
    names, covered = set(public()), {name for found in watch.covered().values() for name in found}
    assert len(names) > 330 and sorted(watch.covered()) == sorted(cases.GROUPS)
    assert sorted(names - covered - set(UNCOVERED)) == []
    assert sorted(set(UNCOVERED) - names) == [] and sorted(set(UNCOVERED) & covered) == []


def test_a_layer_without_a_case_is_found(monkeypatch):
    monkeypatch.setattr(nn, "Sinusoid", type("Sinusoid", (nn.Module,), {}), raising=False)
    with pytest.raises(AssertionError, match="nn.Sinusoid"):
        test_everything_public_has_a_case()
