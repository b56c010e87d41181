"""Programs written for PyTorch, with nothing but their imports changed: their losses are PyTorch's, and compiles are few."""

import json

import numpy as np
import pytest

import lazyxla as lx

from . import kit, settings

kept = json.loads(settings.KEPT.read_text())
# Programs of 100 operations or more: a training step, one for the smaller last batch, and those of evaluation.
# LBFGS compiles its direction anew for each length of its history: that is what sine_waves has more.
MOST = {
    "digit_classifier": 4, "sine_waves": 14, "vae": 5, "word_model_lstm": 6, "word_model_transformer": 7, "reinforce": 3,
    "adding_gpt": 8,
}  # fmt: skip
# REINFORCE's loss is the sum of some twenty terms of both signs, of size 1, that cancel.
SMALL = {"reinforce": 2e-5}


def test_every_program_has_its_losses():
    assert sorted(kept) == sorted(settings.PROGRAMS) == sorted(MOST)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", settings.PROGRAMS)
def test_losses_are_those_of_pytorch(name, clean):
    lx.lowering.clear_cache()
    got = settings.losses(name, "lazyxla", "cpu")
    assert len(got) == len(kept[name])
    np.testing.assert_allclose(got, kept[name], rtol=1e-4, atol=SMALL.get(name, 0))
    compiles = [c for c in clean.report(as_dict=True)["recompiles"] if c["ops"] >= 100]
    assert len(compiles) <= MOST[name] + 1, [c["why"] for c in compiles]  # one makes the initial weights


def test_only_imports_are_changed():
    for program in {program for program, _ in settings.PROGRAMS.values()}:
        ours, theirs = kit.source(program, "lazyxla").splitlines(), kit.source(program, "torch").splitlines()
        assert len(ours) == len(theirs)
        changed = [a for a, b in zip(ours, theirs) if a != b]
        assert changed and all("import" in line for line in changed)
        assert not any("import torch" in line and "lazyxla" not in line for line in ours)
