"""All groups of cases."""

from . import recurrent

GROUPS = ("recurrent",)
__all__ = ["GROUPS", "recurrent"]
