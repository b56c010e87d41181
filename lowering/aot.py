"""Compiling for an accelerator that is not there: the real TPU compiler, compile-only devices, no hardware."""

from __future__ import annotations

import importlib.util
import os
from typing import Any, NamedTuple

from ..devices import RuntimeFailure, compiler
from ..lazy import Tensor
from .debug import plan_for
from .emit import Plan, module_of

# libtpu looks for a machine's metadata unless told that there is none to ask.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4", "TPU_WORKER_HOSTNAMES": "localhost",
}  # fmt: skip
_devices: dict[str, Any] = {}


class Report(NamedTuple):
    """What the compiler says of a program: estimated flops and bytes, and the memory it takes."""

    cost: dict[str, float]
    argument_bytes: int
    output_bytes: int
    temporary_bytes: int


def tpu_compiler_is_there() -> bool:
    """Whether libtpu, which brings the compiler, is installed (``pip install "jax[tpu]"``)."""
    return importlib.util.find_spec("libtpu") is not None


def _device(topology: str) -> Any:
    found = _devices.get(topology)
    if found is None:
        if not tpu_compiler_is_there():
            raise RuntimeError(f'compiling for {topology} needs libtpu, which `pip install "jax[tpu]"` brings')
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        found = _devices[topology] = compiler.topology_devices("tpu", topology)[0]
    return found


def compile_plan(plan: Plan, topology: str) -> Report:
    """Compile a plan for one chip of the topology; RuntimeError with the compiler's words where it refuses."""
    try:
        made = compiler.compile_only(module_of(plan), _device(topology))
    except RuntimeFailure as e:
        raise RuntimeError(f"the compiler for {topology} refuses this program: {' '.join(str(e).split())[:500]}") from None
    stats = made.get_compiled_memory_stats()
    return Report(
        dict(made.cost_analysis()), stats.argument_size_in_bytes, stats.output_size_in_bytes, stats.temp_size_in_bytes
    )


def compile_for(topology: str, *tensors: Tensor) -> Report:
    """Compile what computes the pending ``tensors`` for a TPU, e.g. 'v5e:2x2'; runs nothing and leaves them pending."""
    return compile_plan(plan_for(*tensors), topology)
