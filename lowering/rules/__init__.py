"""How each op becomes StableHLO, where that is not simply its own name."""

from . import bridge, contraction, elementwise, fft, indexing, order, random, reduction, shape

__all__ = ["bridge", "contraction", "elementwise", "fft", "indexing", "order", "random", "reduction", "shape"]
