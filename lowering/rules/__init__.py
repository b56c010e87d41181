"""How each op becomes StableHLO, where that is not simply its own name."""

from . import contraction, elementwise, indexing, random, reduction, shape

__all__ = ["contraction", "elementwise", "indexing", "random", "reduction", "shape"]
