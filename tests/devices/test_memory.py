"""Temporary memory on the CPU: how its blocks are chosen, and that the user's settings go first."""

import types

import jax
import numpy as np
import pytest

import lazyxla as lx
from lazyxla.devices import RuntimeFailure, _jaxlib, compiler, memory
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.passes import lowered


def test_the_largest_value_of_a_code():
    text = "tensor<2x3xf32> tensor<10xbf16> tensor<f32> tensor<7xf64> tensor<3xcomplex<f64>> tensor<40xi1>"
    assert memory.largest(text) == 56
    assert memory.largest("tensor<3x5xcomplex<f64>>") == 3 * 5 * 16
    assert memory.largest("tensor<f32>") == 0


def test_blocks_hold_the_largest_value():
    name = "xla_multiheap_size_constraint_per_heap"
    assert memory.in_blocks("tensor<4xf32>") == {name: memory.BLOCK}
    assert memory.in_blocks("tensor<4096x4096xf32>")[name] > 4096 * 4096 * 4
    assert memory.in_blocks("tensor<1048576x1048576xf32>") == {}


@pytest.mark.parametrize("name, value", [("MALLOC_TRIM_THRESHOLD_", "1"), ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")])
def test_settings_of_the_users_go_first(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not memory.keep_freed_memory.__wrapped__()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("", ""))
    assert not memory.keep_freed_memory.__wrapped__()


def code():
    return compiler.bytecode(lowered(plan_for(lx.arange(6.0).reshape(2, 3) * 2)))


OUTPUTS = [((2, 3), np.dtype(np.float32))]


def test_an_option_that_xla_does_not_know_is_left_out():
    device = jax.devices("cpu")[0]
    made = compiler.compile_module(code(), device, OUTPUTS, {"xla_no_such_option": 1})
    np.testing.assert_array_equal(np.asarray(made.run([])[0]), [[0, 2, 4], [6, 8, 10]])


def test_other_refusals_are_raised():
    device = jax.devices("cpu")[0]
    with pytest.raises(RuntimeFailure, match="xla_multiheap_size_constraint_per_heap"):
        compiler.compile_module(code(), device, OUTPUTS, {"xla_multiheap_size_constraint_per_heap": "many"})


def test_options_reach_the_compiler():
    device = jax.devices("cpu")[0]
    options = _jaxlib._options(device, {"xla_multiheap_size_constraint_per_heap": 5})
    assert options.env_option_overrides == [("xla_multiheap_size_constraint_per_heap", 5)]


def test_a_program_that_xla_has_no_code_for_is_compiled_otherwise(monkeypatch):
    """An error of XLA's newer emitters; the older ones make the program."""
    given = []

    class Client:
        def compile_and_load(self, code, devices, options):
            given.append(options)
            if not options:
                raise RuntimeFailure("INTERNAL: RET_CHECK failure: Failed to translate module to LLVM IR.")
            return "loaded"

    class Executable:
        def __init__(self, loaded, outputs, device):
            self.loaded = loaded

    monkeypatch.setattr(_jaxlib, "_options", lambda device, options=None: options or {})
    monkeypatch.setattr(_jaxlib, "Executable", Executable)
    made = compiler.compile_module(b"", types.SimpleNamespace(client=Client()), [])
    assert made.loaded == "loaded"
    assert given == [{}, {"xla_cpu_use_fusion_emitters": False}]
