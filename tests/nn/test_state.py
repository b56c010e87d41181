"""State dicts of modules that read what they wrote before they changed."""

from collections import OrderedDict

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn


class Scale(nn.Module):
    """Its weight was called ``gain`` once, and in the version before the second it was a logarithm."""

    _version = 2

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(lx.ones(2))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        seen.append((prefix, local_metadata.get("version")))
        if prefix + "gain" in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "gain")
        if (local_metadata.get("version") or 1) < 2 and prefix + "weight" in state_dict:
            state_dict[prefix + "weight"] = state_dict[prefix + "weight"].exp()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "written"] = lx.tensor(3.0)


seen = []


@pytest.fixture
def model():
    seen.clear()
    return nn.Sequential(nn.Linear(2, 2), Scale())


def test_old_names_and_values_are_read(model):
    old = OrderedDict((k, v) for k, v in model.state_dict().items() if not k.startswith("1."))
    old["1.gain"] = lx.tensor([0.0, 1.0])
    assert str(model.load_state_dict(old)) == "<All keys matched successfully>"
    np.testing.assert_allclose(model[1].weight.detach().numpy(), np.exp([0.0, 1.0]), rtol=1e-6)
    assert seen == [("1.", None)] and old["1.gain"].tolist() == [0.0, 1.0]  # what was given is as it was


def test_a_module_says_what_it_writes_and_of_which_version(model):
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.written"] and state["1.written"] == 3
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "1.written"'):
        model.load_state_dict(state)
    del state["1.written"]
    model.load_state_dict(state)
    assert seen[-1] == ("1.", 2) and model[1].weight.tolist() == [1, 1]


def test_versions_are_saved(model, tmp_path):
    state = model.state_dict()
    del state["1.written"]
    lx.save({"model": state, "more": 1}, tmp_path / "state")
    for found in (lx.load(tmp_path / "state")["model"], lx.load(tmp_path / "state", only="model")["model"]):
        assert type(found) is OrderedDict and found._metadata == state._metadata
        model.load_state_dict(found)
        assert seen[-1] == ("1.", 2)


def test_nothing_changes_where_a_later_module_does_not_fit(model):
    state = model.state_dict()
    del state["1.written"]
    state["0.weight"] = lx.zeros(2, 2)
    state["1.weight"] = lx.zeros(3)
    before = model[0].weight.tolist()
    with pytest.raises(RuntimeError, match="size mismatch for 1.weight"):
        model.load_state_dict(state)
    assert model[0].weight.tolist() == before


def test_part_of_a_model_loaded_while_the_whole_is(model):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.aside = nn.Linear(2, 2), nn.Linear(2, 2)

        def _load_from_state_dict(self, state_dict, prefix, *rest):
            self.aside.load_state_dict({"weight": lx.full((2, 2), 5.0), "bias": lx.zeros(2)})
            super()._load_from_state_dict(state_dict, prefix, *rest)

    outer = Outer()
    state = {k: v for k, v in outer.state_dict().items() if "aside" not in k}
    found = outer.load_state_dict(state, strict=False)
    assert found.missing_keys == ["aside.weight", "aside.bias"] and outer.aside.weight.tolist() == [[5, 5], [5, 5]]


def test_called_by_itself_it_loads_this_module_alone(model):
    missing, unexpected, errors = [], [], []
    given = {"a.weight": lx.full((2,), 4.0)}
    model[1]._load_from_state_dict(given, "a.", {"version": 2}, True, missing, unexpected, errors)
    assert model[1].weight.tolist() == [4, 4] and missing == unexpected == errors == []
    nn.Linear(1, 1)._load_from_state_dict(given, "a.", {}, True, missing, unexpected, errors)
    assert missing == ["a.bias"] and "size mismatch for a.weight" in errors[0]
