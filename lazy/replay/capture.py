"""Capturing: a function is recorded once, and what it read, changed and returned is found by watching the recording."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any, NamedTuple, cast

import numpy as np

from ... import devices
from .. import ops
from .. import record as rec
from ..graph import HostValue, computed_as
from ..graph import _serial as serial_numbers
from ..overrides import foreign, overridden
from ..record import mode, type_only, user_line, user_site
from ..tensors import Tensor
from .arguments import same
from .recorder import Recorder
from .state import Player, S

_ref = weakref.ref


class CannotReplay(RuntimeError):
    """A compiled function does something that cannot be done again without running it."""


class Seen(NamedTuple):
    """A tensor that was met: weak references to it and to its first value, and whether it is from outside."""

    tensor: Any
    first: Any
    outside: bool


class Capture(Recorder):
    """The player while a compiled function is recorded. Nothing runs meanwhile; a read is an error."""

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self.name = name
        self.began = next(serial_numbers)
        self.seen: dict[int, Seen] = {}  # by id
        self.made: dict[int, Any] = {}  # by id, weak references to what the calls gave
        self.undo: list[Callable[[], None]] = []
        self.touched: dict[int, tuple[Any, Any]] = {}  # leaves whose .grad is set or read: and what it was at first
        self.modules: dict[int, Any] = {}
        self.rebound: dict[tuple[int, str], tuple[Any, str, Any]] = {}
        self.steps: list[Any] = []
        self._limit = rec.LIMIT[0]
        rec.LIMIT[0] = sys.maxsize
        S.capture = self

    def opaque(self, reason: str) -> None:
        if reason not in _HARMLESS:
            raise CannotReplay(f"{reason} inside {self.name}, which is compiled  ({user_line()})")

    def read(self, cause: str) -> None:
        raise CannotReplay(
            f"{cause} reads a value inside {self.name}, which is compiled and runs without Python: return the tensor and "
            f"read it outside  ({user_line()})"
        )

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != self.owner:
            return f(*args, **kwargs)
        others = foreign(args, kwargs)
        if others:
            return overridden(f, others, args, kwargs)
        tensors: list[Tensor] = []
        _tensors_in((*args, *kwargs.values()), tensors)
        for t in tensors:
            self.meets(t)
        was = S.enter()
        writes: list[Any] = []
        draws: list[Any] = []
        before, S.writes, S.draws = (S.writes, S.draws), writes, draws
        try:
            result = f(*args, **kwargs)
        finally:
            S.writes, S.draws = before
            S.leave(was)
            for t, _ in writes:
                self.meets(t)
        self.draws += [(g, _ref(node)) for g, node in draws]
        found: list[Tensor] = []
        _tensors_in((result,), found)
        self.made.update((id(t), _ref(t)) for t in found if id(t) not in self.seen or self.seen[id(t)].tensor() is not t)
        if self.steps and self.steps[-1].open:
            self.steps[-1].add(f, args, kwargs, tensors, result)
        return result

    def meets(self, t: Tensor) -> None:
        """Note a tensor, and the value that it has now."""
        if id(t) in self.seen and self.seen[id(t)].tensor() is t:
            return
        if t._slot is None and (t._node is None or t._node.serial < self.began):
            settle(t)
        node = t._node
        made = self.made.get(id(t))
        known = node is not None and (node.buffer is not None or isinstance(node, HostValue))
        outside = known and (made is None or made() is not t)
        self.seen[id(t)] = Seen(_ref(t), None if node is None else _ref(node), outside)
        if outside and node is not None:
            edge, meta = t._edge, t._meta
            storage = None if meta is None or meta.domain is None else meta.domain.storage
            kept = None if storage is None else storage._node

            held = _ref(t)

            def restore() -> None:
                found = held()
                if found is not None:
                    found._node, found._edge = node, edge
                if storage is not None and kept is not None:
                    storage._node = kept

            self.undo.append(restore)

    # --- said by others ---

    def accumulates(self, leaf: Tensor, known: Tensor | None) -> None:
        self.sees_grad(leaf)
        if known is not None:
            self.meets(known)

    def accumulated(self, leaf: Tensor, grad: Tensor, known: Tensor | None) -> None:
        pass

    def sees_grad(self, t: Tensor) -> None:
        """``t.grad`` is about to be asked for or set."""
        if id(t) not in self.touched:
            grad = None if t._meta is None else t._meta.grad
            self.touched[id(t)] = (_ref(t), grad)
            self.undo.append(lambda: setattr(t.metadata(), "grad", grad))

    def moves(self, x: Tensor, device: Any) -> None:
        """A tensor is about to be moved to another device, which happens at once."""
        if x._node is None or x._node.serial < self.began or x._node.buffer is None:
            raise CannotReplay(
                f"a tensor moves from {x.device} to {device} inside {self.name}, which is compiled: pass it in where it is "
                f"needed  ({user_line()})"
            )

    def uses(self, module: Any) -> None:
        self.modules.setdefault(id(module), module)

    def rebinds(self, module: Any, name: str, old: Any, new: Any) -> None:
        """An attribute of a module that is a tensor is set to another."""
        self.rebound.setdefault((id(module), name), (module, name, old))
        self.undo.append(lambda: module._put_back(name, old))

    def step_begins(self, optimizer: Any) -> None:
        for state in (optimizer.state, *optimizer.state.values()):
            self.undo.append(functools.partial(restore, state, dict(state)))
        step = OptimizerStep(optimizer)
        self.steps.append(step)
        S.numbers = Numbers(lambda: len(step.calls))

    def step_ends(self) -> None:
        step, made = self.steps[-1], cast(Numbers, S.numbers)
        step.open = False
        step.numbers, step.places = [_ref(n) for n in made], made.places
        S.numbers = None

    def take_back(self) -> None:
        """Undo what the function did so far."""
        for undo in reversed(self.undo):
            undo()

    def closes(self) -> None:
        """The function has returned, or failed."""
        rec.LIMIT[0] = self._limit
        self.undo = []
        S.capture = S.numbers = None


def settle(t: Tensor) -> None:
    """Bring a tensor from outside up to date; a constant, which no sync computes, gets a value that is an argument."""
    node = t._node or t._refresh()
    if node.buffer is None and node.sig.op is ops.constant:
        aval = node.sig.aval
        data = np.frombuffer(node.sig.keyword["data"], aval.dtype.numpy).reshape(aval.shape)
        computed_as(node, devices.put(data, aval.device))


_HARMLESS = {"an autograd.Function", "a hook on a gradient", "a second backward() before a step", "retain_grad()", "vmap"}


def restore(state: dict[Any, Any], copy: dict[Any, Any]) -> None:
    state.clear()
    state.update(copy)


class Numbers(list[Any]):
    """The numbers that an optimizer's step makes, and after how many of its calls on tensors each was made."""

    def __init__(self, calls: Callable[[], int]) -> None:
        super().__init__()
        self.calls, self.places = calls, list[int]()

    def append(self, node: Any) -> None:
        super().append(node)
        self.places.append(self.calls())


class OptimizerStep:
    """A step of an optimizer. Its Python runs at every call: it counts steps and works out rates. Its calls on tensors
    must be those that were captured, and only hand out stand-ins."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.open = True
        self.calls: list[OptimizerCall] = []
        self.numbers: list[Any] = []  # weak references to the nodes of the numbers it made
        self.places: list[int] = []  # and the calls before each
        self.grads = [
            (p, p.grad is not None) for group in optimizer.param_groups for p in group["params"]
        ]  # fmt: skip
        self.course: Any = None  # a shorter way through the step, once it is known
        self.made: list[Any] = []  # the numbers of the last step

    def add(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor], result: Any
    ) -> None:
        if result is not None and not isinstance(result, Tensor):
            raise CannotReplay(f"{getattr(f, '__qualname__', f)} in an optimizer's step gives several values")
        again = next((i for i, t in enumerate(tensors) if t is result), None)
        stand_in = None if result is None or again is not None else type_only(result._node.sig.aval)
        self.calls.append(OptimizerCall(f, tuple([_said(a) for a in (*args, *kwargs.values())]), again, stand_in))

    def repeats(self) -> bool:
        """Whether a step counts nothing and would make the numbers of the last one, ``made``."""
        return self.course is not None and self.course.repeats() and self.course.holds()

    def runs(self) -> list[Any]:
        """Do the bookkeeping of a step; gives the numbers of this one. ``Differs`` where it takes another course."""
        course = self.course if self.course is not None and self.course.holds() else None
        player = Bookkeeper(self.calls if course is None else course.calls)
        grads = self.grads if course is None else [(p, True) for p, *_ in course.leaders]
        saved, held = S.player, [(p, p._meta.grad if p._meta is not None else None) for p, _ in grads]
        was, S.inside = S.inside, False
        site, mode.site = mode.site, user_site()  # one for all
        for p, there in grads:
            p.metadata().grad = type_only(p._aval()) if there else None
        S.set_player(player)
        S.numbers = made = Numbers(lambda: player.at)
        try:
            if course is None:
                self.course = self.optimizer.bookkeeping(self.calls, lambda: player.at)
            else:
                course.run()
        finally:
            S.numbers = None
            S.inside, mode.site = was, site
            S.set_player(saved)
            for p, grad in held:
                p._meta.grad = grad
        # numbers made at other places are shared by other parameters; in a course, sharing more makes fewer
        as_captured = made.places == self.places if course is None else len(made) == len(self.places)
        if player.at != len(player.calls) or not as_captured:
            raise Differs
        self.made = made
        return made


class Differs(Exception):
    """An optimizer's step would do other things than those that were captured."""


class OptimizerCall(NamedTuple):
    """A call on tensors in an optimizer's step: ``args`` has ``Tensor`` in the place of each; it gives the tensor among its
    arguments of the number ``again``, or another, for which a stand-in will do."""

    f: Any
    args: tuple[Any, ...]
    again: int | None
    stand_in: Any


class Bookkeeper(Player):
    """The player of an optimizer's step that only counts: calls on tensors do nothing."""

    def __init__(self, calls: list[OptimizerCall]) -> None:
        self.calls, self.at = calls, 0

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.at == len(self.calls):
            raise Differs
        call = self.calls[self.at]
        self.at += 1
        given = (*args, *kwargs.values())
        if call.f is not f or len(given) != len(call.args):
            raise Differs
        for a, x in zip(given, call.args):
            if x is Tensor:
                if not isinstance(a, Tensor):
                    raise Differs
            elif not same(a, x):
                raise Differs
        if call.again is None:
            return call.stand_in
        tensors: list[Tensor] = []
        _tensors_in(given, tensors)
        return tensors[call.again]

    def opaque(self, reason: str) -> None:
        raise Differs


def _said(a: Any) -> Any:
    return Tensor if isinstance(a, Tensor) else tuple(map(_said, a)) if isinstance(a, tuple) else a


def _tensors_in(args: Any, found: list[Tensor]) -> None:
    for a in args:
        if isinstance(a, Tensor):
            found.append(a)
        elif isinstance(a, (tuple, list)):
            _tensors_in(a, found)
        elif isinstance(a, dict):
            _tensors_in(a.values(), found)
