"""When a value is checked against a constraint: at once where the host has it, else together with what is pending.

Numbers and tensors made of host values are checked where they are given. Other values are not read for it: their check is
recorded, computed with the program that they belong to, and the next read of a value raises if it failed. With
``validate_args=True`` given by the user the check is read at once. While a compiled function is recorded, only values that
the host has are checked.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..devices import to_numpy
from ..lazy import checks
from ..lazy.graph import HostValue, Node, computed
from ..lazy.interpret import interpret
from ..lazy.record import mode, scratch
from ..lazy.replay.state import S
from . import constraints
from ._ops import Tensor, lx, user_line

_SMALL = 4096  # elements that are fetched from an accelerator for their check
_known_good: weakref.WeakKeyDictionary[Node, set[Any]] = weakref.WeakKeyDictionary()


class Check:
    """A value that is to satisfy a constraint: the parameter ``name`` of a distribution, or (None) an argument of it."""

    def __init__(self, owner: Any, name: str | None, value: Tensor, constraint: Any, lasting: bool = False) -> None:
        self.owner, self.name, self.value, self.constraint, self.lasting = owner, name, value, constraint, lasting
        self.message = ""  # said in place of the general one
        # broadcasting makes no value good or bad
        self.source = value.__dict__.get("_made_of", value) if name is not None else value

    def at_once(self) -> bool:
        """Check it by the host alone, if the host has all that it takes; ValueError if it does not hold."""
        node = self.source._node
        bounds = [v for v in getattr(self.constraint, "__dict__", {}).values() if isinstance(v, Tensor)]
        if not all(on_host(t) for t in (self.source, *bounds)):
            return False
        if not (self.lasting and self.constraint in _known_good.get(node, ())):
            if not _holds(self.constraint, self.source, plain=not bounds):
                raise self.error()
            if self.lasting:
                _known_good.setdefault(node, set()).add(self.constraint)
        return not self.source.requires_grad  # a parameter is computed from the next step on: the program is to be the same

    def error(self) -> ValueError:
        """With the value, which is read."""
        if self.message:
            return ValueError(f"{self.message}  ({user_line()})")
        return ValueError(f"{_words(*self.said(), self.owner)}:\n{self.value}  ({user_line()})")  # type: ignore[call-arg]

    def said(self) -> tuple[Any, ...]:
        """What it is about, without a tensor in it."""
        tensors = any(isinstance(v, Tensor) for v in getattr(self.constraint, "__dict__", {}).values())
        constraint = type(self.constraint).__name__.lstrip("_") if tensors else self.constraint
        return self.name, type(self.value).__name__, tuple(self.value.shape), constraint


def _words(name: str | None, kind: str, shape: tuple[int, ...], constraint: Any, owner: Any) -> str:
    if name is None:
        return (
            f"Expected value argument ({kind} of shape {shape}) to be within the support ({constraint!s}) of the distribution "
            f"{owner}, but found invalid values"
        )
    return (
        f"Expected parameter {name} ({kind} of shape {shape}) of distribution {owner} to satisfy the constraint "
        f"{constraint!s}, but found invalid values"
    )


def on_host(t: Tensor) -> bool:
    """Whether a tensor has values that came from the host, so that reading them waits for no program."""
    node = t._node
    if isinstance(node, HostValue):
        return True
    if node is None or node.buffer is None or node.sig.op is not computed:
        return False
    return t.device.platform == "cpu" or t.numel() <= _SMALL


def _holds(constraint: Any, value: Tensor, plain: bool) -> bool:
    if plain and constraints.is_elementwise(constraint):
        return bool(np.all(constraint.check(_array(value))))
    was = S.enter()
    try:
        with scratch():
            return bool(interpret(constraint.check(value).all()))
    finally:
        S.leave(was)


def _array(t: Tensor) -> np.ndarray:
    return t._node.value if isinstance(t._node, HostValue) else to_numpy(t._node.buffer)


def require(wanted: Sequence[Check], now: bool) -> None:
    """ValueError for the first check that does not hold: here, or at a later read (see above). ``now``: read them here."""
    later = [c for c in wanted if not c.at_once()]
    if not later or S.capture is not None:
        return
    grad, mode.grad = mode.grad, False
    try:
        found = [c.constraint.check(c.value).all() for c in later]
    finally:
        mode.grad = grad
    if now or mode.eager:
        for check, ok in zip(later, found):
            if not ok.item():
                raise check.error()
        return
    said = [c.message or _words(*c.said(), type(c.owner).__name__) for c in later]  # type: ignore[call-arg]
    checks.defer(
        found[0] if len(found) == 1 else lx.stack(found),
        lambda i, line: ValueError(f"{said[i]}  (checked at {line}, seen at {user_line()})"),
    )


__all__ = ["Check", "on_host", "require"]
