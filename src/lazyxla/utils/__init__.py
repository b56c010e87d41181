"""Helpers beside the core."""

from . import checkpoint

__all__ = ["checkpoint"]
