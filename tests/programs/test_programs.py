"""Programs written for PyTorch, with nothing but their imports changed: their losses are PyTorch's, and compiles are few."""

import json

import numpy as np
import pytest

import lazyxla as lx

from . import kit, settings

kept = json.loads(settings.KEPT.read_text())
# All programs compiled from the first line to the last: a training step (two programs where its loss is read before the
# optimizer's step, or where its first step makes the mask), one more for a smaller last batch, and the same for evaluation.
# LBFGS has six small ones for its directions, REINFORCE one for each of its three lengths; averages and pruned weights are
# made in some of their own.
MOST = {
    "digit_classifier": 3, "sine_waves": 10, "vae": 3, "word_model_lstm": 4, "word_model_transformer": 5, "reinforce": 4,
    "adding_gpt": 3, "wgan_clipped": 4, "wgan_penalty": 3, "maml": 3, "compressed": 11,
}  # fmt: skip
# REINFORCE's loss is the sum of some twenty terms of both signs, of size 1, that cancel; a critic's, of what it says of the
# real and of the made.
SMALL = {"reinforce": 2e-5, "wgan_clipped": 1e-6}
CLOSE = {"sine_waves": 1e-10}  # in float64


def test_every_program_has_its_losses():
    assert sorted(kept) == sorted(settings.PROGRAMS) == sorted(MOST)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", settings.PROGRAMS)
def test_losses_are_those_of_pytorch(name, clean):
    lx.lowering.clear_cache()
    got = settings.losses(name, "lazyxla", "cpu")
    assert len(got) == len(kept[name])
    np.testing.assert_allclose(got, kept[name], rtol=CLOSE.get(name, 1e-4), atol=SMALL.get(name, 0))
    compiles = clean.report(as_dict=True)["recompiles"]
    assert len(compiles) <= MOST[name], "\n".join(f"{c['ops']} ops: {c['why']}" for c in compiles)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", settings.PROGRAMS)
def test_eagerly_they_are_the_same(name):
    with lx.eager():
        got = settings.losses(name, "lazyxla", "cpu", steps=20)
    np.testing.assert_allclose(got, kept[name], rtol=CLOSE.get(name, 1e-4), atol=SMALL.get(name, 0))


def test_only_imports_are_changed():
    for program in {program for program, _ in settings.PROGRAMS.values()}:
        ours, theirs = kit.source(program, "lazyxla").splitlines(), kit.source(program, "torch").splitlines()
        assert len(ours) == len(theirs)
        changed = [a for a, b in zip(ours, theirs) if a != b]
        assert changed and all("import" in line for line in changed)
        assert not any("import torch" in line and "lazyxla" not in line for line in ours)
