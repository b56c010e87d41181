"""The names that PyTorch programs use: none that is covered goes missing, and docs/coverage.md says which are."""

import re

import pytest

from tests import coverage

STATES = {"Covered": "yes", "Not covered": "no"}


def listed(text: str) -> dict[str, str]:
    """The names on the page, with the state that it gives them."""
    out: dict[str, str] = {}
    for title, body in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S):
        for word, reason, items in re.findall(
            r"^(Covered|Not covered|Refused, in words \((.*?)\)): (.*)\.$", body, re.M
        ):
            for name in re.findall(r"`([^`]+)`", items):
                assert f"{title}.{name}" not in out, f"{title}.{name} is listed twice"
                out[f"{title}.{name}"] = STATES.get(word, reason)
    return out


def lost(page: dict[str, str]) -> list[str]:
    """What the page calls covered and is not there."""
    return [name for name, kind in page.items() if kind == "yes" and coverage.state(name) != "yes"]


def test_no_covered_name_goes_missing():
    assert lost(listed(coverage.PAGE.read_text())) == []


def test_the_page_is_up_to_date():
    page = listed(coverage.PAGE.read_text())
    assert set(page) == set(coverage.names())
    stale = [name for name, kind in page.items() if kind != coverage.state(name)]
    assert stale == [], "run scripts/coverage"
    assert coverage.PAGE.read_text() == coverage.page(), "run scripts/coverage"


def test_every_covered_name_has_a_test_against_a_reference():
    faults = [coverage.untested(n, test) for n, test in coverage.tests().items() if coverage.state(n) == "yes"]
    assert [f for f in faults if f] == []


@pytest.mark.parametrize(
    ("name", "test", "words"),
    [
        ("Tensor.cos_", "lazy/test_methods.py::test_in_place_methods_write_where_the_tensor_lies", None),
        ("torch.nn.Conv2d", "nn/test_reference.py::test_as_in_pytorch", None),
        ("torch.nn.modules.rnn.GRU", "torch.nn.GRU", None),
        ("torch.nn.modules.rnn.GRU", "torch.nn.LSTM", "is not torch.nn.LSTM"),
        ("torch.nn.GRU", "", "has no test"),
        ("Tensor.cos_", "lazy/test_methods.py::test_no_such", "there is no test"),
        ("Tensor.cos_", "lazy/test_no_such.py::test_gradients", "there is no test"),
        ("Tensor.cos_", "lazy/test_methods.py::split", "there is no test"),
        ("Tensor.cos_", "lazy/test_methods.py::test_functions_and_methods", "does not mention"),
    ],
)
def test_what_is_not_tested_is_found(name, test, words):
    found = coverage.untested(name, test)
    assert found is None if words is None else words in found


def test_what_goes_missing_is_found():
    assert lost({"torch.nn.Linear": "yes", "torch.no_such_name": "yes", "Tensor.share_memory_": "yes"}) == [
        "torch.no_such_name", "Tensor.share_memory_",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("torch.nn.functional.relu", "yes"),
        ("Tensor.sum", "yes"),
        ("torch.no.such", "no"),
        ("Tensor.to_sparse", "yes"),
        ("torch.nested.nested_tensor", "nested"),
    ],
)
def test_states(name, kind):
    assert coverage.state(name) == kind
