"""The table of batching rules: for each op, what to record so that it is done for all examples at once.

A rule is ``f(size, xs, varies, **attributes) -> tensor``. Operands that vary come with all examples along a new dim 0, of
``size``; the others are one for all. So does the result. Rules are called only where an operand varies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...lazy import ops
from ...lazy.graph import Op
from ...lazy.record import wrap

Rule = Callable[..., Any]
BATCHING: dict[Op, Rule | None] = {}


def batching(*declared: Op) -> Callable[[Rule], Rule]:
    """Declare the rule of ops, which is handed the op before all else where it is for several."""

    def register(f: Rule) -> Rule:
        for op in declared:
            _declare(op, f if len(declared) == 1 else _for(f, op))
        return f

    return register


def _for(f: Rule, op: Op) -> Rule:
    return lambda *given, **attributes: f(op, *given, **attributes)


def never_varies(*declared: Op) -> None:
    """Ops without operands: one value for all examples."""
    for op in declared:
        _declare(op, None)


def _declare(op: Op, rule: Rule | None) -> None:
    if op in BATCHING:
        raise ValueError(f"the batching rule of {op} is declared twice")
    BATCHING[op] = rule


def spread(size: int, x: Any) -> Any:
    """The same for each example. What was repeated to its shape is repeated once, from what it was before."""
    node, shape, dims = x._node, tuple(x.shape), tuple(range(x.ndim))
    if node.buffer is None and node.sig.op is ops.broadcast_in_dim:
        x, dims = wrap(node.inputs[0]), node.sig.keyword["dims"]
    return ops.broadcast_in_dim(x, shape=(size, *shape), dims=tuple([d + 1 for d in dims]))


def all_spread(size: int, xs: Sequence[Any], varies: Sequence[bool]) -> list[Any]:
    """Each operand with the examples along dim 0."""
    return [x if v else spread(size, x) for x, v in zip(xs, varies)]


def shifted(dims: Sequence[int], by: int = 1) -> tuple[int, ...]:
    """Dims behind the new one."""
    return tuple([d + by for d in dims])


__all__ = ["BATCHING", "all_spread", "batching", "never_varies", "shifted", "spread"]
