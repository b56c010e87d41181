"""Functions of one example, recorded once, as functions of a batch: how each op does for many what it does for one."""

from . import bridge, contraction, control, elementwise, fft, indexing, order, random, reduction, running, shape
from .batch import Batch, batched_gradients
from .table import BATCHING

__all__ = [
    "BATCHING", "Batch", "batched_gradients", "bridge", "contraction", "control", "elementwise", "fft", "indexing", "order",
    "random", "reduction", "running", "shape",
]  # fmt: skip
