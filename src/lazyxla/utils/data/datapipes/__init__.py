"""Chains of iterable data sets, as ``torch.utils.data.datapipes``: the few that programs use."""

from . import iter
from .datapipe import IterDataPipe, functional_datapipe

__all__ = ["IterDataPipe", "functional_datapipe", "iter"]
