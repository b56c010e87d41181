"""The marks that programs set for ``torch.fx``'s symbolic tracer. There is no such tracer here: operations are recorded
as they run, so a mark changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["Proxy", "wrap"]


class Proxy:
    """What stands for a value in a symbolic trace. Programs ask whether something is one: nothing is."""

    def __init__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("Proxy(): lazyxla has no symbolic traces")


def wrap(fn_or_name: str | Callable[..., Any]) -> str | Callable[..., Any]:
    """Give back what is to be a leaf of symbolic traces; for use as a decorator. RuntimeError for what is neither a
    function nor a name."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    return fn_or_name
