"""Hooks' handles, under the name that programs import them by."""

from ..lazy.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
