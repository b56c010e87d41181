"""Compiling for an accelerator that is not there: the real TPU compiler, compile-only devices, no hardware."""

from __future__ import annotations

import importlib.util
import os
from typing import Any, NamedTuple

from ..devices import RuntimeFailure, compiler
from ..lazy import Tensor, ops
from ..lazy.dtypes import complex128
from ..lazy.graph import Node
from ..lazy.record import where_text
from .debug import plan_for
from .emit import Plan
from .rolling import lowered

# libtpu asks the cloud what machine this is, and lets one process in at a time, unless told otherwise.
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4", "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}  # fmt: skip
# On these ops of complex128 the TPU compiler does not refuse: it ends the process.
_FATAL = frozenset({
    ops.absolute, ops.cosine, ops.divide, ops.exponential_minus_one, ops.logistic, ops.power, ops.rsqrt, ops.scatter, ops.sine,
    ops.tan,
})  # fmt: skip
_devices: dict[str, Any] = {}


class Report(NamedTuple):
    """What the compiler says of a program: its estimates (flops, bytes accessed), and the memory it takes, in bytes."""

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
        if not compiler.tpu_is_attached():  # a machine with a TPU knows these things of itself
            for name, value in _ENVIRONMENT.items():
                os.environ.setdefault(name, value)
        single = {"chips_per_host_bounds": [1, 1, 1]} if topology.endswith(":1x1") else {}
        try:
            found = _devices[topology] = compiler.topology_devices("tpu", topology, **single)[0]
        except RuntimeFailure as e:
            raise RuntimeError(f"no TPU topology '{topology}' can be had (one is 'v5e:2x2'): {_short(e)}") from None
    return found


def compile_plan(plan: Plan, topology: str) -> Report:
    """Compile a plan for one chip of the topology; RuntimeError with the compiler's words where it refuses."""
    device = _device(topology)
    for node in plan.order:
        if _is_fatal(node):
            raise RuntimeError(
                f"the TPU compiler cannot take {node.sig!r}, recorded at {where_text(node.code, node.lasti)}: "
                "complex128 is beyond it; use complex64"
            )
    try:
        made = compiler.compile_only(lowered(plan, "tpu"), device)
    except RuntimeFailure as e:
        raise RuntimeError(f"the compiler for {topology} refuses this program: {_short(e)}") from None
    stats = made.get_compiled_memory_stats()
    return Report(
        dict(made.cost_analysis()), stats.argument_size_in_bytes, stats.output_size_in_bytes, stats.temp_size_in_bytes
    )


def _is_fatal(node: Node) -> bool:
    return node.sig.op in _FATAL and any(a.dtype is complex128 for a in node.sig.inputs)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def compile_for(topology: str, *tensors: Tensor) -> Report:
    """Compile what computes the pending ``tensors`` for a TPU, e.g. 'v5e:2x2'; runs nothing and leaves them pending.

    Raises RuntimeError where libtpu is not installed, for an unknown topology, and where the compiler refuses.
    """
    if not tensors:
        raise TypeError("compile_for(): at least one tensor to compute is expected")
    return compile_plan(plan_for(*tensors), topology)
