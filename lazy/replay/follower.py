"""Following: as long as a program makes the calls of a script, its calls only hand out the values that the script names.

Nothing is recorded then. If the segment ends where the script ends, with the same values still held, the programs of the
script run on the new arguments. If anything differs, the calls made so far are made again, for real, and recording goes
on from there: so nothing but time is lost.
"""

from __future__ import annotations

import operator
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from sys import getrefcount
from threading import get_ident
from typing import Any

from .. import metrics
from .. import record as rec
from ..graph import Node
from ..inference import note
from ..overrides import foreign, overridden
from ..record import GradNode, mode
from ..record import Leaf as LeafEdge
from ..tensors import Tensor
from ..views import Storage
from .again import Again, collect
from .arguments import VALUES, Items, Unsayable, same
from .held_views import HeldViews
from .recorder import defaults, full_aliases
from .script import Call, Leaf, Read, Result, Same, Script, Slot, here
from .state import Player, S

_ref = weakref.ref
_new: Callable[[type], Any] = object.__new__
# References to a tensor that only ``bound`` holds, counted as they are below; their number differs between versions of Python.
_ONLY_OURS = next(getrefcount(t) for t, _ in zip([object()], [None]))


class Follower(Player):
    """Follows one script."""

    def __init__(self, start: Any, script: Script) -> None:
        self.start, self.script = start, script
        self.tried = {script}
        self.owner = get_ident()
        self.calls, self.at = script.calls, 0
        self.handles: list[Any] = []  # weak references, in the order of the script's results
        self.bound: list[Any] = [None] * len(script.leaves)
        self.nodes: list[Any] = [None] * len(script.leaves)  # of the leaves; then of what reads computed, the last one first
        self.known: dict[int, int] = {}  # the values that reads computed
        self.changed: list[tuple[Any, ...]] = []  # (tensor or a weak reference, its node, edge, version) before a write
        self.aliases: list[tuple[Any, Result]] = []  # others that a write has changed
        self.keys: list[Any] = []
        self.numbers: dict[int, Any] = {}  # call -> a number other than the script's

    def begins(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a first call is the script's first."""
        call = self.calls[0]
        if call is None or call.f is not f or call.grad is not mode.grad or call.cast is not mode.cast:
            return False
        if call.direct or self._fit(call, args, kwargs):
            return True
        for t in self.bound:
            if t is not None:
                t._slot = None
        return False

    # --- a call ---

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = self.calls[self.at]
        if get_ident() != self.owner:
            return f(*args, **kwargs)
        if call is None or call.f is not f or call.grad is not mode.grad or call.cast is not mode.cast:
            return self.otherwise(f, args, kwargs)
        if call.simple and not kwargs and len(args) == len(call.args):
            try:
                for a, x in zip(args, call.args):
                    if a is not x and a._slot is not x:
                        break
                else:
                    self.at += 1
                    r = call.returned
                    return self._made(r) if type(r) is Result else self._several(r)
            except AttributeError:  # no tensor, and not the very same object
                pass
        if call.direct:
            return self._direct(f, args, kwargs)
        if not self._fit(call, args, kwargs):
            return self.otherwise(f, args, kwargs)
        if call.fresh:
            self.at += 1
            r = call.returned
            return self._made(r) if type(r) is Result else self._several(r)
        return self._effects(call, args, kwargs)

    def pair(self, f: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
        """The same as ``call``, said at length: long loops consist of this."""
        call = self.calls[self.at]
        if call is not None and call.f is f and call.simple and call.grad is mode.grad and call.cast is mode.cast:
            x, y = call.args  # of an operator, so that it returns one tensor
            try:
                if (a is x or a._slot is x) and (b is y or b._slot is y) and get_ident() == self.owner:
                    t = _new(Tensor)
                    t._node = t._edge = t._meta = None
                    t._slot = call.returned
                    self.handles.append(_ref(t))
                    self.at += 1
                    return t
            except AttributeError:
                pass
        return self.call(f, (a, b), {})

    def _fit(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if len(args) != len(call.args) or ((kwargs or call.kwargs) and not self._same_keywords(call, kwargs)):
            return False
        return self._all_fit(args, call.args) and (not call.others or self._same_names(call, args, kwargs))

    def _all_fit(self, given: Sequence[Any], expected: Sequence[Any]) -> bool:
        for a, x in zip(given, expected):
            if isinstance(x, Slot):
                try:
                    if a._slot is x:
                        continue
                except AttributeError:
                    return False
                if not self._binds(a, x):
                    return False
            elif a is not x and not self._matches(a, x):
                return False
        return True

    def _same_names(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether what was written under another name comes with or without a history, as in the script."""
        tensors: list[Any] = []
        collect((*args, *kwargs.values()), tensors)
        return all((t._edge is not None) is call.others.get(t._slot, t._edge is not None) for t in tensors)

    def _matches(self, a: Any, x: Any) -> bool:
        kind = type(x)
        if kind is Items:
            return type(a) is x.kind and len(a) == len(x.items) and self._all_fit(a, x.items)
        if kind in VALUES:
            value = x.matches(a)
            if value is None:
                return False
            self.numbers[self.at] = value
            return True
        return same(a, x)

    def _takes(self, a: Any, x: Slot) -> bool:
        return isinstance(a, Tensor) and (a._slot is x or self._binds(a, x))

    def _same_keywords(self, call: Call, kwargs: dict[str, Any]) -> bool:
        expected = call.kwargs
        return kwargs.keys() == expected.keys() and self._all_fit(list(kwargs.values()), [expected[k] for k in kwargs])

    def _binds(self, t: Any, x: Slot) -> bool:
        """Take a tensor for a leaf of the script."""
        if type(x) is not Leaf or not isinstance(t, Tensor) or t._slot is not None or self.bound[x.index] is not None:
            return False
        if not x.fits(t) or (x.same_as is not None and self.nodes[x.same_as] is not t._node):
            return False
        self.bound[x.index], self.nodes[x.index] = t, t._node
        t._slot = x
        return True

    def _direct(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if any(_pending(a) for a in (*args, *kwargs.values())) or foreign(args, kwargs):
            return self.otherwise(f, args, kwargs)
        self.at += 1
        was = S.enter()
        try:
            return f(*args, **kwargs)
        finally:
            S.leave(was)

    # --- what a call does ---

    def _effects(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors: list[Tensor] = []
        if call.writes or not isinstance(call.returned, Result):
            collect((*args, *(kwargs[k] for k in call.kwargs)), tensors)
        aliases = self._aliases(call, tensors)
        if aliases is None or (call.needs is not None and call.needs != defaults()):
            return self.otherwise(call.f, args, kwargs)
        for generator in call.draws:
            self.keys.append(generator.next_words())
        for w, others in zip(call.writes, aliases):
            self._write(tensors[w.operand], w.slot, others)
        made = iter([self._made(s) for s in call.results])
        out = self._returned(call.returned, tensors, made)
        if call.grads:
            for g in call.grads:
                self._accumulate(g)
            rec.sockets.backward_done()
        self.at += 1
        return out

    def _made(self, slot: Result) -> Tensor:
        t: Any = _new(Tensor)
        t._node = t._edge = t._meta = None
        t._slot = slot
        self.handles.append(_ref(t))
        return t  # type: ignore[no-any-return]

    def _several(self, r: Items) -> Any:
        return r.kind(map(self._made, r.items))

    def _returned(self, r: Any, tensors: list[Tensor], made: Any) -> Any:
        if isinstance(r, Result):
            return next(made)
        if type(r) is Same:
            return tensors[r.operand]
        if type(r) is Items:
            items = [self._returned(x, tensors, made) for x in r.items]
            return r.kind(*items) if hasattr(r.kind, "_fields") else r.kind(items)
        return r

    def _aliases(self, call: Call, tensors: list[Tensor]) -> list[list[Tensor]] | None:
        """The other tensors of what each write changes; None where the call may not write as the script's did."""
        found = []
        for w in call.writes:
            t = tensors[w.operand]
            for i in w.others:
                held = self.handles[i]()
                if held is not None and held is not t:
                    return None
            others = _others(t)
            if others is None:
                return None
            found.append(others)
        return found if not call.grads or self._may_accumulate(call) else None

    def _may_accumulate(self, call: Call) -> bool:
        if rec.sockets.backward_again():
            return False
        for g in call.grads:
            p = self._holder(g.leaf)
            known = None if p is None or p._meta is None else p._meta.grad
            if p is None or p._edge is None or p._edge.any_hooks():
                return False
            if g.before is None:
                if known is not None:
                    return False
            elif known is None or not self._takes(known, g.before) or _others(known) != []:
                return False
        return True

    def _holder(self, slot: Slot) -> Any:
        return self.bound[slot.index] if type(slot) is Leaf else self.handles[slot.index]()

    def _write(self, t: Tensor, slot: Result, others: list[Tensor]) -> None:
        self.handles.append(_ref(t))
        for m in (t, *others):
            if m is not t:
                self.aliases.append((_ref(m), slot))
            # What this segment made lives only as long as the program holds it: a value kept here would be a result more.
            owner = m if m._node is not None else _ref(m)
            self.changed.append((owner, m._node, m._edge, None if m._meta is None else m._meta.version))
            m._node = None  # type: ignore[assignment]
            m._slot = slot
        meta = t._meta or t.metadata()
        if meta.domain is None:
            meta.version += 1
        else:
            storage = meta.domain.storage
            self.changed.append((storage, storage._node, None, storage.version))
            storage._node = None  # type: ignore[assignment]
            if meta.domain.counts:
                storage.version += 1

    def _accumulate(self, g: Any) -> None:
        p = self._holder(g.leaf)
        if g.before is None:
            p.metadata().grad = self._made(g.slot)
        else:
            self._write(p._meta.grad, g.slot, [])

    # --- a read ---

    def reads(self, t: Tensor) -> Node | None:
        """The value of a tensor that the script reads here or has read, while a backward is still to come."""
        if type(t._slot) is not Result or t._node is not None or rec.log or S.inside or get_ident() != self.owner:
            return None
        if t._slot.index not in self.known:
            call = self.calls[self.at]
            if call is None or call.f is not here:
                self._turns(here)
                call = self.calls[self.at]
            if call is None or call.f is not here or call.args[0] is not t._slot:
                return None
            if not self._runs(self.script.reads[self.at]):
                return None
            self.at += 1
        return self.nodes[self.known[t._slot.index]]  # type: ignore[no-any-return]

    def _runs(self, read: Read) -> bool:
        # The calls may still have to be made again, so that nothing is consumed: all leaves are held by us.
        prepared = [p.prepare(self.nodes, {}, self.keys, self.numbers) for p in read.programs]
        if any(p is None for p in prepared):
            return False
        computed: dict[int, Node] = {}
        for program, arguments in zip(read.programs, prepared):
            computed.update(program.run(*arguments))
        end = len(self.script.leaves)
        self.nodes[end:end] = [computed[k] for k in sorted(computed)]
        self.known.update(read.values)
        return True

    # --- the end ---

    def finish(self) -> list[Node] | None:
        """Run the script's programs, if the segment ends here as the script does: all that is held then has its value.
        The nodes of these values; None, and nothing changed, where it does not end so."""
        if rec.log or get_ident() != self.owner or (self.calls[self.at] is not None and not self._turns(None)):
            return None
        script = self.script
        living = zip(script.results, map(operator.call, self.handles))
        held = [(slot, t) for slot, t in living if t is not None and t._slot is slot]
        held += [(slot, t) for r, slot in self.aliases if (t := r()) is not None and t._slot is slot]
        needed = {slot.index for slot, _ in held}
        for slot, _ in held:
            if type(slot.kept) is Result:
                needed.add(slot.kept.index)
        if tuple(sorted(needed)) != script.alive:
            return None
        computed = {i: self.nodes[k] for i, k in script.early.items()}
        ours = self._references()
        prepared = [p.prepare(self.nodes, ours, self.keys, self.numbers) for p in script.programs]
        if any(p is None for p in prepared):
            return None
        for program, arguments in zip(script.programs, prepared):
            computed.update(program.run(*arguments))
        self._settle(held, computed)
        self.start.followed()
        metrics.count("ops_recorded", script.ops)
        metrics.count("replays")
        return list(computed.values())

    def _references(self) -> Counter[int]:
        """By id of a leaf's node, how often it is referred to from here, apart from ``nodes``."""
        found = Counter(id(node) for _, node, *_ in self.changed)
        found.update(id(node) for leaf, node in zip(self.script.leaves, self.nodes) if leaf.same_as is not None)
        for t, node in zip(self.bound, self.nodes):
            if t is not None and t._node is node and getrefcount(t) <= _ONLY_OURS:
                found[id(node)] += 1  # the program has let go of the tensor
        return found

    def _settle(self, held: list[tuple[Result, Any]], computed: dict[int, Node]) -> None:
        for t in self.bound:
            if t is not None and type(t._slot) is Leaf:
                t._slot = None
        old = {id(_owner(t)) for t, *_ in self.changed}
        for slot, t in held:
            t._node, t._slot = computed[slot.index], None
            if slot.inference:
                note(t)
            if id(t) not in old:
                t._edge = LeafEdge(t) if slot.edge is LeafEdge else slot.edge if isinstance(slot.edge, GradNode) else None
            elif isinstance(slot.edge, GradNode):
                t._edge = slot.edge
        for storage, *_ in self.changed:
            if isinstance(storage, Storage):
                member = next(m for m in (r() for r in storage.members) if m is not None and not m._meta.chain)
                storage._node = member._node
        views = [(slot, t) for slot, t in held if slot.layout is not None]
        if views:
            tied = HeldViews(self, dict(held), computed)
            for slot, t in views:
                tied.tie(slot, t)

    def with_number(self, x: Any, at: int) -> Any:
        """An argument of a call with the number that it had this time."""
        return x.with_value(self.numbers.get(at, x.value)) if type(x) in VALUES else x

    # --- another script ---

    def _turns(self, f: Callable[..., Any] | None) -> bool:
        """Go over to a script that says the same of the calls so far and goes on with ``f`` (None: ends), if there is one."""
        for other in self.start.scripts:
            if other in self.tried or other.shares(self.script) < self.at:
                continue
            call = other.calls[self.at]
            if (call is None) if f is None else (call is not None and call.f is f):
                self._goes_over(other)
                return True
        return False

    def _goes_over(self, other: Script) -> None:
        old, known = self.script, self.calls[self.at - 1].leaves if self.at else 0
        self.tried.add(other)
        for i, r in enumerate(self.handles):
            t = r()
            if t is not None and t._slot is old.results[i]:
                t._slot = other.results[i]
        aliases = [(r, other.results[slot.index]) for r, slot in self.aliases]
        for (r, slot), (_, new) in zip(self.aliases, aliases):
            t = r()
            if t is not None and t._slot is slot:
                t._slot = new
        self.aliases = aliases
        for i, t in enumerate(self.bound):
            if t is not None and t._slot is old.leaves[i]:
                t._slot = other.leaves[i] if i < known else None  # else: taken for the call that did not fit
        more = [None] * (len(other.leaves) - known)
        computed = self.nodes[len(old.leaves) :]
        self.bound, self.nodes = [*self.bound[:known], *more], [*self.nodes[:known], *more, *computed]
        self.script, self.calls = other, other.calls

    # --- giving up ---

    def opaque(self, reason: str) -> None:
        self.give_up()

    def otherwise(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that is not the script's next."""
        others = foreign(args, kwargs)
        if others:
            return overridden(f, others, args, kwargs)
        if self.calls[self.at] is None and f in readers:
            was = S.enter()
            try:
                return f(*args, **kwargs)
            finally:
                S.leave(was)
        if self._turns(f):
            return self.call(f, args, kwargs)
        self.give_up()
        return f(*args, **kwargs) if S.active is None else S.active.call(f, args, kwargs)

    def give_up(self) -> None:
        """Make the calls so far for real, into the tensors that are held."""
        if S.player is not self:
            return
        metrics.count("replays_given_up")
        self.start.gave_up()
        for changed, node, edge, version in reversed(self.changed):
            owner = _owner(changed)
            if owner is None:
                continue
            owner._node = node
            if isinstance(owner, Storage):
                owner.version = version
            else:
                owner._edge = edge
                if owner._meta is not None and version is not None:
                    owner._meta.version = version
        for t in self.bound:
            if t is not None:
                t._slot = None
        for r in (*self.handles, *(r for r, _ in self.aliases)):
            t = r()
            if t is not None:
                t._slot = None
        if any(call.grads for call in self.calls[: self.at]):
            rec.sockets.backward_undone()
        recorder = self.start.recorder()
        S.set_player(recorder)
        saved, cast = (mode.grad, mode.inference, mode.site), mode.cast
        again = Again(self, recorder)
        try:
            for k, call in enumerate(self.calls[: self.at]):
                again.make(k, call)
        finally:
            mode.grad, mode.inference, mode.site = saved
            if mode.cast is not cast:
                again.autocast.resume(cast)
            S.forced = []


def _others(t: Tensor) -> list[Tensor] | None:
    """The other tensors of a tensor's memory; None where a write to it can't be followed."""
    try:
        return full_aliases(t)
    except Unsayable:
        return None


def _owner(changed: Any) -> Any:
    return changed() if type(changed) is weakref.ref else changed


def _pending(a: Any) -> bool:
    if isinstance(a, Tensor):
        return a._node is None
    return isinstance(a, (tuple, list)) and any(map(_pending, a))


#: Functions that may read a value: at the end of a script they are let go on, for the sync that ends it.
readers: set[Any] = set()
