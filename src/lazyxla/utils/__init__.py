"""Helpers beside the core."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
