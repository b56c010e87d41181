"""How each op becomes StableHLO, where that is not simply its own name."""

from . import contraction, elementwise, indexing, order, random, reduction, shape

__all__ = ["contraction", "elementwise", "indexing", "order", "random", "reduction", "shape"]
