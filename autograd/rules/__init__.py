"""How each op is differentiated, or that it has no derivative."""

from . import bridge, contraction, elementwise, fft, indexing, order, random, reduction, shape

__all__ = ["bridge", "contraction", "elementwise", "fft", "indexing", "order", "random", "reduction", "shape"]
