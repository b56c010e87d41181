"""All groups of cases."""

from . import attention, recurrent

GROUPS = ("attention", "recurrent")
__all__ = ["GROUPS", "attention", "recurrent"]
