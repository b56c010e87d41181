"""What lowering needs of a device: the MLIR bindings, compiling, loading and storing executables."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import platform
import re

from ._jaxlib import (
    Executable,
    bytecode,
    compile_module,
    compile_only,
    deserialize,
    func,
    ir,
    mlir_context,
    runtime_version,
    stablehlo,
    topology_devices,
    tpu_is_attached,
)
from .device import Device


@functools.cache
def host_signature() -> str:
    """What compiled CPU code depends on: the processor's kind and features."""
    try:
        with open("/proc/cpuinfo") as f:
            flags = next((line for line in f if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = ""
    return f"{platform.machine()} {hashlib.sha256(flags.encode()).hexdigest()[:16]}"


def target_signature(device: Device) -> str:
    """Everything but the program that a serialised executable depends on."""
    d = device.pjrt
    kind = getattr(d, "device_kind", "")
    flags = [os.environ.get(name, "") for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    where = f"{d.platform} {kind} id {d.id} of {len(d.client.devices())}"
    return f"{runtime_version()} | {where} | {host_signature()} | {flags}"


# 'stablehlo.reduce(...) applies stablehlo.add across dimensions = [3] : (tensor<2x2x2x2x12x11x10xf32>, ...'
_SUM_OF_MANY_DIMS = re.compile(r"applies stablehlo\.add across dimensions = \[[\d, ]*\] : \(tensor<(?:\d+x){7}")


MANY_OPS = 256  # of a module whose compile time is felt


_KERNELS = "xla_cpu_experimental_ynn_fusion_type"
_DOTS, _CONVOLUTIONS = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT", "LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
_REDUCTIONS = "LIBRARY_FUSION_TYPE_REDUCE"  # with those above, all that it makes by itself

_REDUCTION = re.compile(
    r"applies stablehlo\.(?:add|maximum|minimum) across dimensions = \[([\d, ]+)\] : \(tensor<((?:\d+x)+)f32>"
)
FEW_TERMS = 32  # of a sum over a dim that is not the last: XLA's own loops have the others in vectors and are done soon
MANY_TERMS = 1 << 16  # of a program, whose reductions take time


def _reduces_few_far_apart(text: str) -> bool:
    """Whether nearly all that a module of that text reduces lies along a short dim before others (a softmax of pixels)."""
    apart, other = 0, 0
    for dims, shape in _REDUCTION.findall(text):
        sizes = [int(size) for size in shape[:-1].split("x")]
        axes = [int(dim) for dim in dims.split(",")]
        few = len(axes) == 1 and sizes[axes[0]] <= FEW_TERMS <= math.prod(sizes[axes[0] + 1 :])
        apart, other = (apart + math.prod(sizes), other) if few else (apart, other + math.prod(sizes))
    return apart >= MANY_TERMS and apart >= 8 * other  # the others take up to nine times as long in XLA's own loops


def options_for(text: str, device: Device) -> dict[str, int | str]:
    """XLA's options for a module of that text.

    The kernels that XLA's CPU backend makes with YNNPACK end the process at a sum of products over more than six dims of
    which one factor is repeated (jaxlib 0.10.2): programs with such sums do without them. Those of convolutions run on one
    core, and take up to ten times as long as Eigen's where the kernel is large, as in the gradient of the weights. Those of
    reductions are fast over a last dim or all, and slow where a few numbers each lie far apart, as in a softmax of pixels.

    LLVM takes most of the time that a long program compiles in, and much of that for loops over small dims that it writes
    out turn by turn. Without, such programs compile in half to nine tenths of the time and run no slower (a step of
    training is products of matrices, and loops over many numbers). Short ones, which compile soon, are left as they are.
    """
    options: dict[str, int | str] = {}
    if device.platform != "cpu":
        return options
    users = os.environ.get("XLA_FLAGS", "")
    if _SUM_OF_MANY_DIMS.search(text):
        options[_KERNELS] = ""
    elif _KERNELS not in users:
        unwanted = {_CONVOLUTIONS: "stablehlo.convolution" in text, _REDUCTIONS: _reduces_few_far_apart(text)}
        if any(unwanted.values()):
            options[_KERNELS] = ",".join(kind for kind in (_DOTS, _CONVOLUTIONS, _REDUCTIONS) if not unwanted.get(kind))
    if text.count("stablehlo.") >= MANY_OPS and "optimization_level" not in users:
        options.update({"xla_backend_optimization_level": 1, "-unroll-full-max-count": 4})
    return options


__all__ = [
    "Executable",
    "bytecode",
    "compile_module",
    "compile_only",
    "deserialize",
    "func",
    "host_signature",
    "ir",
    "mlir_context",
    "options_for",
    "runtime_version",
    "stablehlo",
    "target_signature",
    "topology_devices",
    "tpu_is_attached",
]
