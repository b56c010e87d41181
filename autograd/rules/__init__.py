"""How each op is differentiated, or that it has no derivative."""

from . import bridge, contraction, control, elementwise, fft, indexing, order, random, reduction, running, shape

__all__ = [
    "bridge", "contraction", "control", "elementwise", "fft", "indexing", "order", "random", "reduction", "running", "shape",
]  # fmt: skip
