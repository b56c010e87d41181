"""Functions that are recorded once, for one example of a batch: which values differ between examples, and what such a
value cannot do."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NoReturn

from . import record as rec
from .graph import Node, after_inputs
from .graph import _serial as serial_numbers
from .ops.random import random_bits
from .record import mode, user_line, where_text

active: list[Level] = []  # of all threads, the innermost last: no sync may run what is recorded in one


class Level:
    """A function's recording for one of ``size`` examples.

    ``values`` holds, for placeholders and what has been found so far, the node of all examples' values. What is computed
    from those differs from example to example; the rest is one for all.
    """

    def __init__(self, size: int, randomness: str, name: str) -> None:
        self.size, self.randomness, self.name = size, randomness, name
        self.start = next(serial_numbers)
        self.site = rec.user_site(2)
        self.thread = 0
        self.values: dict[Node, Node] = {}
        self._varying: dict[Node, bool] = {}
        self._owners: dict[int, Any] = {}  # tensors and storages from outside, written to inside

    def varies(self, node: Node) -> bool:
        """Whether a value differs from example to example."""
        known = self._varying
        found = known.get(node)
        if found is None:
            if node.serial <= self.start:
                return False
            for n in after_inputs([node], lambda n: () if n in known or n.serial <= self.start else n.inputs):
                if n not in known and n.serial > self.start:
                    known[n] = n in self.values or self._drawn(n) or any([known.get(x, False) for x in n.inputs])
            found = known[node]
        return found

    def _drawn(self, node: Node) -> bool:
        return self.randomness == "different" and node.sig.op is random_bits

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record for one example. Nothing of that runs, now or later."""
        eager, limit, ops, thread = mode.eager, rec.LIMIT[0], len(rec.log), self.thread
        mode.eager, rec.LIMIT[0], self.thread = False, sys.maxsize, get_ident()
        active.append(self)
        try:
            yield
        finally:
            active.remove(self)
            mode.eager, rec.LIMIT[0], self.thread = eager, limit, thread
            del rec.log[ops:]
            rec.live[:] = [ref for ref in rec.live if not self._of_one(ref())]

    def _of_one(self, owner: Any) -> bool:
        return owner is not None and owner._node is not None and self.varies(owner._node)

    def from_outside(self, t: Any) -> bool:
        """Whether the memory of ``t`` was there before the function was called."""
        meta = t._meta
        owner = t if meta is None or meta.domain is None else meta.domain.storage
        if id(owner) not in self._owners:
            if owner._node.serial > self.start:
                return False
            self._owners[id(owner)] = owner
        return True


def here() -> list[Level]:
    """The recordings that this thread is in, the outermost first."""
    thread = get_ident()
    return [level for level in active if level.thread == thread]


def runs(node: Node) -> bool:
    """Whether a value is one that a program can compute: one for all examples of every recording."""
    return not any([level.varies(node) for level in active])


def varying(t: Any) -> Level | None:
    """The innermost recording in which ``t`` differs from example to example."""
    if not active:
        return None
    node = t._node or t._refresh()
    return next((level for level in reversed(here()) if level.varies(node)), None)


def printed(text: Callable[[Any], str]) -> Callable[[Any], str]:
    """The text of a tensor; of one that differs from example to example, that it does."""

    @functools.wraps(text)
    def found(t: Any) -> str:
        level = varying(t)
        if level is None:
            return text(t)
        return f"<{t._node.sig.aval!r}, another for each of {level.size} examples of {level.name}>"

    return found


def check_read(t: Any, cause: str) -> None:
    """RuntimeError for a read of a value that differs from example to example."""
    level = varying(t)
    if level is not None:
        raise RuntimeError(
            f"vmap: {cause} reads a value, but inside {level.name} it is another for each of {level.size} examples. What "
            f"depends on values can be written with where(), or be done outside of vmap  ({user_line()})"
        )


def check_write(t: Any, new: Node, name: str) -> None:
    """RuntimeError where a tensor from outside would take a value for each example."""
    for level in here():
        if level.from_outside(t) and level.varies(new):
            raise RuntimeError(
                f"vmap: {name} writes a value that is another for each of {level.size} examples to a tensor that {level.name} "
                f"did not make and is not mapped over. Map over that tensor, too, or write out of place  ({user_line()})"
            )


def check_random() -> None:
    """RuntimeError for a draw of random numbers where the user has not said which."""
    for level in here():
        if level.randomness == "error":
            raise RuntimeError(
                f"vmap: random numbers are drawn inside {level.name}: say randomness='different' (others for each example) or "
                f"randomness='same', or draw them outside of vmap  ({user_line()})"
            )


def check_backward() -> None:
    """RuntimeError for a backward() that would leave one example's gradients in ``.grad``."""
    for level in here():
        raise RuntimeError(
            f"vmap: backward() inside {level.name} would add one example's gradients to .grad: use func.grad, func.vjp or "
            f"autograd.grad there, or call backward() outside of vmap  ({user_line()})"
        )


def escaped(node: Node) -> NoReturn:
    """RuntimeError for a program that needs what was computed for one example."""
    raise RuntimeError(
        f"a value computed for one example inside vmap is used outside of it, at {where_text(node.code, node.lasti)}: return "
        "it from the function instead"
    )


__all__ = [
    "Level", "active", "check_backward", "check_random", "check_read", "check_write", "escaped", "here", "printed", "runs",
    "varying",
]  # fmt: skip
