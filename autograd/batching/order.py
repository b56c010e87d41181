"""Ops that only say when something is computed, on a batch."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import batching, spread


@batching(ops.optimization_barrier)
def _barrier(size: int, xs: Any, varies: Any) -> Any:
    x, after = xs
    return ops.optimization_barrier(x if varies[0] else spread(size, x), after)
