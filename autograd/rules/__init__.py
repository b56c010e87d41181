"""How each op is differentiated, or that it has no derivative."""

from . import contraction, elementwise, indexing, order, random, reduction, shape

__all__ = ["contraction", "elementwise", "indexing", "order", "random", "reduction", "shape"]
