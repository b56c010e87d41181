"""Helpers beside the core."""

from . import checkpoint, hooks, model_zoo

__all__ = ["checkpoint", "hooks", "model_zoo"]
