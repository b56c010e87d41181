"""What goes along an axis, on a batch: along the same axis, one further back."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import all_spread, batching


@batching(ops.cumprod, ops.logcumsumexp, ops.recurrence, ops.cummax, ops.cummin)
def _along(op: Any, size: int, xs: Any, varies: Any, axis: int, **attributes: Any) -> Any:
    return op(*all_spread(size, xs, varies), axis=axis + 1, **attributes)
