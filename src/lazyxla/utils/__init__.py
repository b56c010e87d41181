"""Helpers beside the core."""

from . import checkpoint, hooks, model_zoo

__all__ = ["checkpoint", "hooks", "model_zoo"]
from . import checkpoint, data

__all__ = ["checkpoint", "data"]
