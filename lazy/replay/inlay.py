"""Inlays: a function recorded on stand-ins, as the body of an op. What it reads from outside becomes operands of the op."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import numpy as np

from .. import dtypes, ops
from .. import record as rec
from ..graph import Aval, HostValue, Node, after_inputs, leaf_signature, placeholder
from ..graph import _serial as serial_numbers
from ..ops.control import Region, numbers_in
from ..overrides import foreign, overridden
from ..record import GradNode, mode, user_line, wrap
from ..tensors import Tensor
from .capture import Capture
from .state import Player, S

_HARMLESS = {"an autograd.Function", "a hook on a gradient", "retain_grad()", "a change of what requires grad"}


def stand_in(aval: Aval) -> Tensor:
    """A tensor of which only the type is known; where a gradient arrives that flows to it, it can be caught."""
    node = Node(leaf_signature(placeholder, aval), (), None, 0)
    edge = None
    if aval.dtype.is_inexact:
        edge = GradNode(node.sig, (), (), None, node.serial, None, 0)
        edge.settled = True
    return wrap(node, edge)  # type: ignore[no-any-return]


class Inlay(Player):
    """The player while bodies of an op are recorded. In each call, tensors from outside are replaced by stand-ins, which
    the bodies share. Nothing runs, and nothing outside may be changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.owner = get_ident()
        self.outside: Any = None
        self.began = 0
        self.stand_ins: dict[int, tuple[Any, Tensor]] = {}  # by id, tensors from outside and what stands for them
        self.own: list[tuple[Tensor, Node]] = []  # what the bodies are given, and the stand-ins
        self.draws: list[tuple[Any, Any]] = []
        self.trip: Tensor | None = None  # the number of the trip, in the body of a loop

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Inside, calls belong to a body."""
        ops, tensors = len(rec.log), len(rec.live)
        flags = mode.eager, mode.no_sync, rec.LIMIT[0], S.inside, S.writes, S.draws
        self.outside, self.began = S.player, next(serial_numbers)
        mode.eager, mode.no_sync, rec.LIMIT[0] = False, None, sys.maxsize
        S.inside = False
        S.writes = S.draws = None
        S.set_player(self)
        try:
            yield
        finally:
            mode.eager, mode.no_sync, rec.LIMIT[0], S.inside, S.writes, S.draws = flags
            S.set_player(self.outside)
            del rec.log[ops:], rec.live[tensors:]

    def gives(self, types: Sequence[Aval]) -> list[Tensor]:
        """What a body is called with."""
        made = [stand_in(a) for a in types]
        self.own += [(t, t._node) for t in made]
        return made

    # --- what a body does ---

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != self.owner:
            return f(*args, **kwargs)
        others = foreign(args, kwargs)
        if others:
            return overridden(f, others, args, kwargs)
        args, kwargs = self.replaced(args), self.replaced(kwargs)
        was = S.enter()
        before, S.writes, S.draws = (S.writes, S.draws), [], self.draws
        try:
            result = f(*args, **kwargs)
            if S.writes:
                self._check()
        finally:
            S.writes, S.draws = before
            S.leave(was)
        return result

    def _check(self) -> None:
        """Nothing may have been written to that the op has as an operand."""
        for t, node in self.own:
            if t._node is not node:
                raise RuntimeError(
                    f"{self.name}: an in-place write to a {node.sig.aval!r} that is given to the function, or that it reads "
                    f"from outside: give the new value back instead, or write to a clone()  ({user_line()})"
                )

    def replaced(self, x: Any) -> Any:
        """The same with stand-ins for tensors from outside."""
        if isinstance(x, Tensor):
            return self._inner(x)
        if isinstance(x, (tuple, list)):
            items = [self.replaced(v) for v in x]
            if all(a is b for a, b in zip(items, x)):
                return x
            return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
        if type(x) is dict:
            return {k: self.replaced(v) for k, v in x.items()}
        return x

    def _inner(self, t: Tensor) -> Tensor:
        found = self.stand_ins.get(id(t))
        if found is not None:
            return found[1]
        if t._node is None and t._slot is None:  # an alias to be taken anew
            source = t._meta.domain.storage._node if t._meta is not None and t._meta.domain is not None else None
            if source is None or self._is_inner(source):
                return t
        elif t._node is not None and self._is_inner(t._node):
            return t
        return self._stands(t)

    def _stands(self, t: Tensor) -> Tensor:
        made = stand_in(t._aval())
        self.stand_ins[id(t)] = (t, made)
        self.own.append((made, made._node))
        return made

    def _is_inner(self, n: Node) -> bool:
        return n.serial > self.began and n.buffer is None and not isinstance(n, HostValue)

    # --- said by others ---

    def key(self, key: Tensor) -> Tensor:
        """The key of random numbers that a body draws: another in each trip of the loops around it."""
        if isinstance(self.outside, Inlay):
            key = self._stands(self.outside.key(key))
        return key if self.trip is None else folded(key, self.trip)

    def read(self, cause: str) -> None:
        raise RuntimeError(
            f"{cause} reads a value inside the function given to {self.name}, which is recorded once and runs on the device: "
            f"there are no values yet. Choose with lx.where or lx.cond, and give back what is to be read  ({user_line()})"
        )

    def opaque(self, reason: str) -> None:
        if reason in _HARMLESS or self.outside is None:
            return
        S.set_player(self.outside)
        try:
            self.outside.opaque(reason)
        finally:
            self.outside = S.player
            S.set_player(self)

    def accumulates(self, leaf: Tensor, known: Tensor | None) -> None:
        raise RuntimeError(
            f"backward() inside the function given to {self.name} would write to the .grad of a tensor outside: use "
            f"lx.func.grad or lx.autograd.grad  ({user_line()})"
        )

    def accumulated(self, leaf: Tensor, grad: Tensor, known: Tensor | None) -> None:
        pass

    # --- what came of it ---

    def regions(self, bodies: Sequence[tuple[Sequence[Tensor], Sequence[Tensor]]]) -> tuple[list[Region], list[Any], list[Any]]:
        """The bodies, each (what it was given, what it gave back), as regions: of what it was given, then the operands
        that all of them share. Those tensors, and what stood for them. Numbers of the user's program are among them, so
        that another number needs no other program."""
        given = {t._node for inputs, _ in bodies for t in inputs}
        outputs = [t._node or t._refresh() for _, ts in bodies for t in ts]
        standing = {s._node: t for t, s in self.stand_ins.values()}
        numbers = numbers_in(outputs, given)
        used = set(after_inputs(outputs, lambda n: n.inputs))
        operands = [(t, s) for t, s in self.stand_ins.values() if s._node in used]
        shared = [s._node for _, s in operands] + list(numbers)
        for n in used:
            if n.buffer is not None or (n.sig.op is placeholder and n not in given and n not in standing):
                raise RuntimeError(
                    f"{self.name}: a {n.sig.aval!r} from outside is used other than by a call of lazyxla's; give it to the "
                    f"function as an argument  ({user_line()})"
                )
        self._tell()
        found = [
            Region([*[t._node for t in inputs], *shared], [t._node or t._refresh() for t in ts]) for inputs, ts in bodies
        ]
        outer = [t for t, _ in operands] + [wrap(n) for n in numbers]
        return found, outer, [s for _, s in operands] + [None] * len(numbers)

    def _tell(self) -> None:
        """Whoever listens outside: random numbers were drawn."""
        if not self.draws:
            return
        drawn, self.draws = self.draws, []
        if isinstance(self.outside, Capture):
            self.outside.draws += [(g, weakref.ref(node)) for g, node in drawn]
        elif isinstance(self.outside, Inlay):
            self.outside.draws += drawn
        elif self.outside is not None:
            self.outside.opaque(f"random numbers drawn inside {self.name}")


def folded(key: Tensor, trip: Tensor) -> Tensor:
    """A key of its own for a trip: the upper half of the seed, which few programs use, is mixed with the trip's number."""
    device = key.device
    words = Aval((4,), dtypes.uint32, device)
    number = ops.broadcast_in_dim(ops.convert(trip, dtype=dtypes.uint32), shape=(4,), dims=())

    def fixed(*values: int) -> Tensor:
        return ops.constant(data=np.array(values, np.uint32).tobytes(), aval=words)  # type: ignore[no-any-return]

    mixed = ops.add(ops.multiply(key, fixed(1, 0x9E3779B1, 1, 1)), ops.multiply(number, fixed(0, 1, 0, 0)))
    return ops.add(mixed, fixed(0, 1, 0, 0))  # type: ignore[no-any-return]


__all__ = ["Inlay", "stand_in"]
