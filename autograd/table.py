"""The table of backward rules: for each op, one function an operand, or the word that it has no derivative.

A rule is ``f(g, y, *operands, **attributes) -> gradient of that operand``, written in recorded ops, so that it can be
differentiated in turn. Complex numbers follow PyTorch's convention: g is the gradient with respect to the conjugate,
and a holomorphic f gives g * conj(f'(x)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..lazy.graph import Op

Vjp = Callable[..., Any]
#: op -> one rule (or None) an operand; () where the op has no derivative; a single function for variadic ops.
VJPS: dict[Op, tuple[Vjp | None, ...] | Vjp] = {}


def vjp(op: Op, *rules: Vjp | None) -> None:
    """The rules of an op, one an operand; None for an operand without a gradient."""
    _declare(op, rules)


def variadic(op: Op, rule: Vjp) -> None:
    """One rule for any number of operands: ``f(g, y, operands, argnum, **attributes)``."""
    _declare(op, rule)


def not_differentiable(*ops: Op) -> None:
    """Ops whose results carry no gradient: their derivative is zero, or has no meaning."""
    for op in ops:
        _declare(op, ())


def _declare(op: Op, rules: Any) -> None:
    if op in VJPS:
        raise ValueError(f"the derivative of {op} is declared twice")
    VJPS[op] = rules
