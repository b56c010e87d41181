"""What programs ask of ``torch._dynamo``, the tracer behind ``torch.compile``: hints, which change nothing here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .compiler import allow_in_graph, disable, is_compiling, reset

__all__ = [
    "allow_in_graph", "config", "disable", "graph_break", "is_compiling", "mark_dynamic", "mark_static",
    "mark_static_address", "maybe_mark_dynamic", "reset",
]  # fmt: skip

#: Settings of the tracer. What is set can be read, and decides nothing.
config = SimpleNamespace(
    cache_size_limit=8, capture_scalar_outputs=False, recompile_limit=8, suppress_errors=False, verbose=False
)


def graph_break(msg: str = "") -> None:
    """Nothing to break: Python runs as it stands."""


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Nothing to mark: where a tensor lies is XLA's to say."""


def mark_static(t: Any, index: Any = None) -> None:
    """Nothing to mark: each shape is a program of its own."""


def mark_dynamic(t: Any, index: Any, *, min: int | None = None, max: int | None = None) -> None:
    """Nothing to mark: each shape is a program of its own."""


maybe_mark_dynamic = mark_static
