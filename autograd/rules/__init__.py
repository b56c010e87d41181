"""How each op is differentiated, or that it has no derivative."""

from . import bridge, contraction, elementwise, fft, indexing, random, reduction, shape

__all__ = ["bridge", "contraction", "elementwise", "fft", "indexing", "random", "reduction", "shape"]
