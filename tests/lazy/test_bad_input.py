"""Wrong ranks, types, shapes and dims, empty and 0-d tensors: PyTorch's answer, or its class of error.

PyTorch's answers are kept by scripts/bad_input_values.py; where lazyxla's is another, ``bad_input_known.json`` says which.
"""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import lazyxla as lx
from tests import bad_inputs

HERE = Path(__file__).parent
PYTORCH = {c: k for k, calls in json.loads((HERE / "bad_input_values.json").read_text()).items() for c in calls}
KNOWN = {c: k for k, calls in json.loads((HERE / "bad_input_known.json").read_text()).items() for c in calls}
ERRORS = {e.__name__: e for e in (RuntimeError, NotImplementedError, IndexError, TypeError, ValueError, AttributeError)}


def agrees(found, expected):
    """A subclass of PyTorch's error is caught where it is; PyTorch says RuntimeError of types by a class below it."""
    if found == expected:
        return True
    return found in ERRORS and expected in ERRORS and issubclass(ERRORS[found], ERRORS[expected])


@pytest.fixture(scope="module")
def answers():
    names = bad_inputs.names_of(lx)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {call: bad_inputs.answer(lx, names, call, eval) for call in bad_inputs.CALLS}


def test_the_table_covers_what_is_kept():
    assert set(PYTORCH) == set(bad_inputs.CALLS) and set(KNOWN) <= set(PYTORCH) and len(PYTORCH) > 8000


def test_every_call_answers_as_pytorch_does(answers):
    expected = {**PYTORCH, **KNOWN}
    wrong = {c: (found, expected[c]) for c, (found, _) in answers.items() if not agrees(found, expected[c])}
    assert not wrong


def test_what_is_known_to_differ_still_does(answers):
    assert not [c for c in KNOWN if agrees(answers[c][0], PYTORCH[c])]


def test_messages_are_sentences_of_ours(answers):
    """No error of Python's own, or of a library below, comes through bare; most name the user's line."""
    errors = [(c, e) for c, (_, e) in answers.items() if isinstance(e, (RuntimeError, IndexError, TypeError, ValueError))]
    bare = [c for c, e in errors if re.search(r"tuple index out of range|XlaRuntimeError|INVALID_ARGUMENT|mlir|MLIR", str(e))]
    assert not bare
    named = [c for c, e in errors if re.search(r"<string>:\d", str(e))]
    assert len(named) > 0.8 * len(errors)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("f @ f", r"matmul.*contracting|mat1 and mat2|sizes"),
        ("f + ones(4)", r"size of tensor a \(3\) must match the size of tensor b \(4\).*test_bad_input|<string>"),
        ("sum(f, 2)", r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)"),
        ("sum(f, 1.5)", r"int"),
        ("adjoint(f1)", r"adjoint\(\): matrices are expected, got \[3\]"),
        ("chunk(f0, 2)", r"chunk\(\) expects at least a 1-dimensional tensor"),
        ("squeeze(f, (0, 0))", r"squeeze\(\): a dim appears multiple times"),
        ("f.repeat(-1, 2)", r"repeat\(\): the repeats must not be negative"),
        ("inner(f, i)", r"inner\(\): expected both tensors to have the same dtype, but got float32 and int64"),
        ("norm(i)", r"norm\(\): a floating point or complex tensor is expected, got int64"),
        ("take_along_dim(f, i, 1)", r"same number of dims, but got 2 and 1"),
        ("f1 << 1", r"not implemented for 'float32': expected integer.*shift_left"),
    ],
)
def test_what_a_message_says(call, words):
    names = bad_inputs.names_of(lx)
    names.update({k: eval(v, names) for k, v in bad_inputs.INPUTS.items()})
    with pytest.raises(tuple(ERRORS.values()), match=words):
        eval(call, names)


@pytest.mark.parametrize("small_by_numpy", [False, True])
def test_integer_division_by_zero_is_defined(small_by_numpy, monkeypatch):
    """By the number 0 an error; by a tensor's zeros as XLA defines it: all ones, and the dividend as remainder."""
    monkeypatch.setattr(lx.lowering.by_numpy, "enabled", [small_by_numpy])
    lx.lowering.clear_cache()
    x, zero = lx.tensor([7, -7, 0]), lx.tensor([0, 0, 0])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        x // 0
    assert np.array_equal(lx.div(x, zero, rounding_mode="trunc").numpy(), [-1, -1, -1])
    assert np.array_equal(lx.fmod(x, zero).numpy(), [7, -7, 0])


def test_an_index_tensor_out_of_bounds_is_clamped():
    x = lx.arange(4.0)
    assert np.array_equal(x[lx.tensor([1, 9, -9])].numpy(), [1.0, 3.0, 0.0])
    with pytest.raises(IndexError, match="index 9 is out of bounds for dimension 0 with size 4"):
        x[[9]]
