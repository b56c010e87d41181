"""Control flow on a batch: not yet, and said where it was written."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.record import user_line
from .table import batching


@batching(ops.while_loop, ops.case)
def _control(op: Any, size: int, xs: Any, varies: Any, **attributes: Any) -> Any:
    raise NotImplementedError(
        f"vmap of {op.name} is not implemented where what it reads differs from example to example: choose with where(), or "
        f"put the loop outside of vmap  ({user_line()})"
    )
