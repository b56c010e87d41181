"""How each op becomes StableHLO, where that is not simply its own name."""

from . import (
    bridge,
    complex,
    contraction,
    control,
    elementwise,
    fft,
    indexing,
    order,
    random,
    reduction,
    running,
    shape,
    sorting,
)

__all__ = [
    "bridge", "complex", "contraction", "control", "elementwise", "fft", "indexing", "order", "random", "reduction", "running",
    "shape", "sorting",
]  # fmt: skip
