"""JAX functions on a batch: by ``jax.vmap``."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from .table import batching


@batching(ops.jax_function)
def _jax_function(size: int, xs: Any, varies: Any, function: Any) -> Any:
    return ops.jax_function(*xs, function=function.over_batch(tuple(varies)))
