"""When things are computed, which does not change what they are."""

from __future__ import annotations

from typing import Any

from ..graph import Aval, define


def _barrier(x: Aval, after: Aval) -> Aval:
    return x


def _barrier_meaning(x: Any, after: Any) -> Any:
    return x.copy()


optimization_barrier = define(
    "optimization_barrier", _barrier, _barrier_meaning,
    "The first operand, for the compiler another value than before, which is there no sooner than the second.",
)  # fmt: skip
