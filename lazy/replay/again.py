"""Giving up: the calls that a follower only pretended to make are made for real, into the tensors that are held."""

from __future__ import annotations

import weakref
from typing import Any

from .. import record as rec
from ..inference import note
from ..record import Leaf as LeafEdge
from ..record import mode
from ..tensors import Tensor
from .arguments import Items
from .script import Call, Result, Slot, here
from .state import S

_ref = weakref.ref


class Again:
    """The calls of a script, made for real."""

    def __init__(self, follower: Any, recorder: Any) -> None:
        from ..autocast import state  # which is made of recorded functions

        self.follower, self.recorder, self.autocast = follower, recorder, state
        self.values: dict[Slot, Any] = dict(zip(follower.script.leaves, follower.bound))
        S.forced = list(follower.keys)

    def _writing(self) -> bool:
        return self.recorder is not None and S.player is self.recorder and not self.recorder.why

    def make(self, k: int, call: Call) -> None:
        if call.f is here:
            self._read(k, call.args[0])
            return
        if call.direct:
            if self._writing():
                self.recorder.found_again(call)
            return
        for slot, traced in call.others.items():
            self.values[slot] = _named(self.values[slot], traced)
        args = tuple([self._value(x, k) for x in call.args])
        kwargs = {name: self._value(x, k) for name, x in call.kwargs.items()}
        mode.grad, mode.inference, mode.site = call.grad, call.grad is None, call.site
        if call.cast is not mode.cast:
            self.autocast.resume(call.cast)
        grads = [(g, self.values[g.leaf].metadata()) for g in call.grads]
        held = [meta.grad for _, meta in grads]
        for g, meta in grads:
            meta.grad = None if g.before is None else self._known(g, meta)
        result = self.recorder.call(call.f, args, kwargs) if self._writing() else call.f(*args, **kwargs)
        self._take(call.returned, result)
        tensors: list[Tensor] = []
        collect((*args, *kwargs.values()), tensors)
        for w in call.writes:
            self.values[w.slot] = tensors[w.operand]
        for (g, meta), now in zip(grads, held):
            self.values[g.slot] = meta.grad if g.before is not None else self._into(g.slot, meta.grad)
            meta.grad = now

    def _read(self, k: int, slot: Slot) -> None:
        """Run what ran for a read, so that what comes after it is a program by itself again."""
        from ..sync_points import sync_for

        t, follower = self.values[slot], self.follower
        used: set[Any] = set()  # what is kept here beside it would be results more
        for call in follower.calls[k + 1 : follower.at]:
            _slots((call.args, tuple(call.kwargs.values()), tuple(call.others), call.grads), used)
        self.values = {s: x for s, x in self.values.items() if s in used}
        sync_for(t, "a value read before its backward()")
        if S.player is not self.recorder:
            S.set_player(None)  # until the next segment

    def _known(self, g: Any, meta: Any) -> Any:
        return self.values.get(g.before, meta.grad)

    def _value(self, x: Any, k: int) -> Any:
        if isinstance(x, Slot):
            return self.values[x]
        if type(x) is Items:
            return x.kind([self._value(y, k) for y in x.items])
        return self.follower.with_number(x, k)

    def _take(self, pattern: Any, result: Any) -> None:
        if isinstance(pattern, Result):
            self.values[pattern] = self._into(pattern, result)
        elif type(pattern) is Items:
            for p, r in zip(pattern.items, result):
                self._take(p, r)

    def _into(self, slot: Result, made: Tensor) -> Any:
        """The tensor that the program holds for a value, now with what was made; or, where it holds none, that."""
        held = self.follower.handles[slot.index]()
        if slot.inference:
            note(made if held is None else held)
        if held is None:
            return made
        handed_over(made, held)
        recorder = self.recorder
        if self._writing() and type(held._slot) is Result:
            recorder.handles[held._slot.index] = _ref(held)
        return held


def _named(t: Any, traced: bool) -> Any:
    """A tensor, or that alias of it which has a history, or has none."""
    names = [t] if t._meta is None or t._meta.domain is None else [r() for r in t._meta.domain.storage.members]
    whole = (m for m in names if m is not None and (m._meta is None or not m._meta.chain))
    return next((m for m in whole if (m._edge is not None) is traced), t)


def _slots(x: Any, found: set[Any]) -> None:
    """All slots among arguments."""
    if isinstance(x, Slot):
        found.add(x)
    elif isinstance(x, (tuple, list)):  # Items and Grad among them
        for y in x:
            _slots(y, found)


def handed_over(made: Tensor, t: Tensor, keep_value: bool = False) -> None:
    """Let ``t`` be in all respects what ``made`` is, which is then forgotten."""
    slot, made._slot = made._slot, None
    meta = made._meta
    if meta is not None:
        if t._meta is not None:
            meta.grad, meta.retains = t._meta.grad, t._meta.retains
        t._meta, made._meta = meta, None
        if meta.domain is not None:
            members = meta.domain.storage.members
            members[:] = [_ref(t) if m() is made else m for m in members]
    if not keep_value:
        t._node, t._edge = made._node, made._edge
        if type(t._edge) is LeafEdge:
            t._set_edge(LeafEdge(t))
        rec.track(t)
        t._slot = slot


def collect(args: Any, tensors: list[Tensor]) -> None:
    """The tensors among arguments, in the order in which a recorder meets them."""
    for a in args:
        if isinstance(a, Tensor):
            tensors.append(a)
        elif isinstance(a, (tuple, list)):
            collect(a, tensors)
