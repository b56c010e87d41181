"""What libraries of models ask of ``torch.fx``. Nothing is traced symbolically here: what is recorded are the operations
themselves (see ``lazyxla.compile`` and ``lazyxla.jit.trace``)."""

from __future__ import annotations

from typing import Any

__all__ = ["Proxy", "wrap"]


class Proxy:
    """What PyTorch's tracer hands to the functions that it looks at: no value is one here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("fx.Proxy: functions are not traced symbolically; see lazyxla.compile and jit.trace")


def wrap(fn_or_name: Any) -> Any:
    """``fn_or_name`` itself, which PyTorch's tracer is told to leave whole. RuntimeError for what is neither."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    return fn_or_name
