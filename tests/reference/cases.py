"""All groups of cases."""

from . import attention, layers, recurrent

GROUPS = ("attention", "layers", "recurrent")
__all__ = ["GROUPS", "attention", "layers", "recurrent"]
