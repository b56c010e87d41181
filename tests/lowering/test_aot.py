"""Compiling for an absent TPU: what is refused before any compiler is asked, and that no primitive is left out."""

import importlib.util

import pytest

import lazyxla as lx
from lazyxla.lazy.graph import LEAVES, Op
from lazyxla.lowering import aot
from tests.lazy.cases import CASES


def uncovered(table, cases):
    """Primitives that the compiles for TPU would leave out: those without a case."""
    return [op.name for op in table if op not in LEAVES and not (op in cases and (cases[op].rows or op.name == "result"))]


def test_every_primitive_is_compiled_for_tpu():
    assert uncovered(Op.table.values(), CASES) == []


def test_a_primitive_without_cases_is_found():
    without = {op: case for op, case in CASES.items() if op.name != "tanh"}
    empty = {**CASES, Op.table["tanh"]: CASES[Op.table["tanh"]]._replace(rows=[])}
    assert uncovered(Op.table.values(), without) == uncovered(Op.table.values(), empty) == ["tanh"]


def test_without_libtpu_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(aot, "_devices", {})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r'v5e:2x2 needs libtpu, which `pip install "jax\[tpu\]"` brings'):
        aot.compile_for("v5e:2x2", lx.ones(2) + 1)


def test_nothing_to_compile_is_an_error():
    with pytest.raises(TypeError, match="at least one tensor"):
        aot.compile_for("v5e:2x2")
