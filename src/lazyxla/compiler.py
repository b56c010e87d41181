"""What programs ask of ``torch.compiler``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import lowering
from .lazy.replay.state import S


def is_compiling() -> bool:
    """Whether the function that is running is being recorded by ``lazyxla.compile``."""
    return S.capture is not None


is_dynamo_compiling = is_compiling
is_exporting = is_compiling


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself, or a decorator that returns it: there is no tracing of Python to keep it from."""
    return (lambda f: f) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


def reset() -> None:
    """Forget what was compiled (in memory; what lies on disk stays)."""
    lowering.clear_cache()


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark: where steps end is found by itself."""
