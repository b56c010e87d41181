"""Helpers beside the core."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import checkpoint, hooks

if TYPE_CHECKING:
    from . import _pytree, benchmark, data, dlpack, model_zoo, tensorboard

_LATER = ("_pytree", "benchmark", "data", "dlpack", "model_zoo", "tensorboard")

__all__ = ["_pytree", "benchmark", "checkpoint", "data", "dlpack", "hooks", "model_zoo", "tensorboard"]


def __getattr__(name: str) -> Any:
    """What few programs use is imported when first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f".{name}", __name__)
