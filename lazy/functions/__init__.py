"""Everything a user calls, with PyTorch's names: plain functions of the primitives. ``public`` lists them by name."""

from . import contraction, conversion, creation, elementwise, indexing, random, reduction, shape
from ._register import public

__all__ = ["contraction", "conversion", "creation", "elementwise", "indexing", "public", "random", "reduction", "shape"]
