"""Helpers beside the core."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import checkpoint, hooks

if TYPE_CHECKING:
    from . import data, model_zoo

__all__ = ["checkpoint", "data", "hooks", "model_zoo"]


def __getattr__(name: str) -> Any:
    """``data`` and ``model_zoo`` are imported when first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)
