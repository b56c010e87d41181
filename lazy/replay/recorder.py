"""Recording: a segment runs as ever, and its calls are written down as a script."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

import numpy as np

from ... import devices
from .. import dtypes
from .. import record as rec
from ..graph import HostValue, Node
from ..graph import _serial as serial_numbers
from ..overrides import foreign, overridden
from ..record import GradNode, user_site
from ..tensors import Tensor
from ..views import layout
from .arguments import VALUES, Items, Number, Place, Unsayable, constant, indexing, number, numeric, place
from .script import Call, Grad, Leaf, Read, Result, Same, Script, Write, here, is_spent
from .state import Player, S

_ref = weakref.ref
READS = 4  # in a segment


def defaults() -> Any:
    """What a call without tensors depends on besides its arguments."""
    return dtypes.get_default_dtype(), devices.get_default_device()


class Recorder(Player):
    """Writes down a segment. ``why`` says, once it is not empty, why the segment cannot be followed."""

    def __init__(self, start: Any) -> None:
        self.start = start
        self.owner = get_ident()
        self.calls: list[Call] = []
        self.leaves: list[Leaf] = []
        self.leaf_handles: list[Any] = []  # weak references to the tensors, and to their nodes
        self.leaf_nodes: list[Any] = []
        self._leaf_of: dict[int, int] = {}  # id of a leaf's node -> the first leaf that has it
        self.results: list[Result] = []
        self.handles: list[Any] = []
        self.draws: list[tuple[Any, Any]] = []  # (generator, weak reference to the key's node)
        self.numbers: list[tuple[int, Any]] = []  # (call, weak reference to the node of its number)
        self.aliases: list[tuple[Any, Result]] = []  # weak references to others that a write has changed
        self.reads: dict[int, Read] = {}
        self.computed: list[Any] = []  # weak references to the nodes that they computed
        self.ops = 0  # recorded before them
        self.logged = len(rec.log)
        self.why = ""
        self._fresh: list[Tensor] = []
        self._grads: list[Any] = []

    def opaque(self, reason: str) -> None:
        """Give up: what follows cannot be said."""
        if not self.why:
            self.why = reason
            self.forget()
        if S.player is self:
            S.active = None

    def forget(self) -> None:
        """Take the slots off all tensors."""
        for r in (*self.handles, *self.leaf_handles, *(r for r, _ in self.aliases)):
            t = r()
            if t is not None:
                t._slot = None
        self.handles, self.leaf_handles, self.aliases = [], [], []

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != self.owner:
            return f(*args, **kwargs)
        others = foreign(args, kwargs)
        if others:
            return overridden(f, others, args, kwargs)  # a script says the calls that come of it
        if len(rec.log) != self.logged:
            self.opaque("ops recorded outside of any call")
            return f(*args, **kwargs)
        tensors: list[Tensor] = []
        said = number if f in numeric else (lambda x: place(x, tensors[0]._slot.aval.shape)) if f in indexing else constant
        try:
            call = Call(
                f, tuple([self._pattern(a, tensors, said) for a in args]),
                {k: self._pattern(v, tensors, said) for k, v in kwargs.items()}, user_site(2),
            )  # fmt: skip
            if self.aliases:
                call.others = self._other_names(tensors)
        except Unsayable as e:
            self.opaque(str(e))
            return f(*args, **kwargs)
        if not tensors:
            call.needs = defaults()
        before = [t._node for t in tensors]
        began = next(serial_numbers)
        was = S.enter()
        S.writes, S.draws, self._grads = [], [], []
        try:
            result = f(*args, **kwargs)
        finally:
            writes, draws, S.writes, S.draws = S.writes, S.draws, None, None
            S.leave(was)
            if self.why:
                S.active = None
        if result is NotImplemented or S.player is not self or self.why:
            return result  # a sync inside has begun another segment, or there is nothing to say any more
        try:
            self._outcome(call, result, tensors, before, writes, draws, began)
        except Unsayable as e:
            self.opaque(str(e))
        self._fresh, self._grads = [], []  # nothing here may keep a tensor alive
        return result

    def _add(self, call: Call) -> None:
        call.leaves = len(self.leaves)
        self.calls.append(call)

    def found_again(self, call: Call) -> None:
        """A call of another script that computed nothing: it takes no leaves of this one."""
        self._add(copy.copy(call))

    # --- operands ---

    def _pattern(self, a: Any, tensors: list[Tensor], said: Callable[[Any], Any]) -> Any:
        if isinstance(a, Tensor):
            tensors.append(a)
            return a._slot or self._leaf(a)
        if isinstance(a, (list, tuple)) and any(isinstance(x, (Tensor, list, tuple)) for x in a):
            items = tuple([self._pattern(x, tensors, constant) for x in a])
            if type(a) not in (list, tuple):
                raise Unsayable(f"tensors in a {type(a).__name__}")
            return Items(type(a), items)
        return said(a)

    def _leaf(self, t: Tensor) -> Leaf:
        node = t._node
        if node is None or (node.buffer is None and not isinstance(node, HostValue)):
            raise Unsayable("an operand that is pending from before")
        if type(t._edge) is GradNode and not is_spent(t._edge):
            raise Unsayable("an operand that has its history from before")
        leaf = Leaf(len(self.leaves), t, self._family_of(t))
        first = self._leaf_of.get(id(node))
        if first is not None and self.leaf_nodes[first]() is node:
            leaf.same_as = first
        else:
            self._leaf_of[id(node)] = leaf.index
        self.leaves.append(leaf)
        self.leaf_handles.append(_ref(t))
        self.leaf_nodes.append(_ref(node))
        t._slot = leaf
        return leaf

    def _family_of(self, t: Tensor) -> list[Any]:
        """The values known to share memory with a tensor."""
        meta = t._meta
        if meta is not None and meta.domain is not None:
            for m in meta.domain.storage.members:
                other = m()
                if other is not None and other._slot is not None:
                    return other._slot.family  # type: ignore[no-any-return]
        return []

    def _other_names(self, tensors: list[Tensor]) -> dict[Any, bool]:
        """Which operands are aliases of what was written, each with whether it has a history."""
        results = [t for t in tensors if type(t._slot) is Result]
        others = {t._slot: t._edge is not None for t in results if self.handles[t._slot.index]() is not t}
        if others and any((t._edge is not None) is not others.get(t._slot, t._edge is not None) for t in results):
            raise Unsayable("a value under two names in one call")
        return others

    # --- what came of it ---

    def _outcome(
        self, call: Call, result: Any, tensors: list[Tensor], before: list[Node], writes: list[Any], draws: list[Any],
        began: int,
    ) -> None:  # fmt: skip
        self._fresh = []
        recorded = len(rec.log) - self.logged
        found = self._returned(result, tensors)
        there = [t for t in self._fresh if t._node.buffer is not None or isinstance(t._node, HostValue)]
        if not recorded and not writes and not draws and not self._grads and len(there) == len(self._fresh):
            if self._fresh or not tensors:
                call.direct = True
                self._add(call)
            elif any(t._node is not n for t, n in zip(tensors, before)):
                raise Unsayable("a tensor changed other than by an in-place write")
            else:
                call.returned = found
                self._add(call)
            return
        if there:
            raise Unsayable("a call with pending results and with others")
        at = len(self.calls)
        call.writes = tuple(self._written(tensors, before, writes, at, began))
        call.results = tuple([self._result(t, tensors, call) for t in self._fresh])
        slots = iter(call.results)
        call.returned = _filled(found, slots)
        call.grads = tuple([self._grad(leaf, grad, known, at) for leaf, grad, known in self._grads])
        call.draws = tuple([g for g, _ in draws])
        self.draws += [(g, _ref(node)) for g, node in draws]
        self._number(call, at, began)
        call.fresh = _only_results(call.returned) and call.needs is None and not (call.writes or call.draws or call.grads)
        call.simple = call.fresh and not (call.kwargs or call.others or any(type(x) in VALUES for x in call.args))
        self._add(call)
        self.logged = len(rec.log)

    def _returned(self, r: Any, tensors: list[Tensor]) -> Any:
        if isinstance(r, Tensor):
            for i, t in enumerate(tensors):
                if t is r:
                    return Same(i)
            if any(t is r for t in self._fresh):
                raise Unsayable("the same tensor returned twice")
            if r._slot is not None or r._node is None:
                raise Unsayable("a tensor returned that is not new")
            self._fresh.append(r)
            return Result
        if isinstance(r, (tuple, list)) and any(isinstance(x, Tensor) for x in r):
            return Items(type(r), tuple([self._returned(x, tensors) for x in r]))
        return constant(r)

    def _result(self, t: Tensor, tensors: list[Tensor], call: Call) -> Result:
        slot = Result(len(self.results), t, self._family_of(t), len(self.calls))
        meta = t._meta
        if meta is not None and meta.domain is not None:
            slot.layout = layout(t)
            if any(type(a) is Place for a in call.args) or any(x._slot.layout and x._slot.layout[0] is None for x in tensors):
                slot.layout = None, slot.layout[1]
            if meta.base is not None:
                if meta.base._slot is None:
                    raise Unsayable("a view of what no call returned")
                slot.kept = meta.base._slot
        return self._takes(slot, t)

    def _takes(self, slot: Result, t: Tensor) -> Result:
        """A tensor has a new value."""
        self.results.append(slot)
        self.handles.append(_ref(t))
        t._slot = slot
        return slot

    def _written(
        self, tensors: list[Tensor], before: list[Node], writes: list[Any], at: int, began: int
    ) -> list[Write]:
        found = []
        accumulated = {id(g) for _, g, known in self._grads if known is not None}
        operands = {id(t) for t in tensors}
        for t, old in writes:
            if id(t) not in operands and id(t) not in accumulated and (t._slot is not None or old.serial < began):
                raise Unsayable("an in-place write to what is no operand")
        written = {id(t) for t, _ in writes}
        writes.clear()  # which lets go of views that only the call itself had
        t = old = None  # type: ignore[assignment]
        done: set[int] = set()
        for i, (t, old) in enumerate(zip(tensors, before)):
            if t._node is old or id(t) in done:
                continue
            if id(t) not in written:
                raise Unsayable("a tensor changed other than by an in-place write")
            done.add(id(t))
            found.append(self._write(i, t, at))
        return found

    def _write(self, i: int, t: Tensor, at: int) -> Write:
        family = t._slot.family
        others = []
        for slot in family:
            if isinstance(slot, Result):
                holder = self.handles[slot.index]()
                if holder is None:
                    others.append(slot.index)
                elif holder is not t:
                    raise Unsayable("an in-place write to what is held under another name")
        slot = self._takes(Result(len(self.results), t, family, at), t)
        for m in full_aliases(t):
            if isinstance(m._slot, Result):
                raise Unsayable("an in-place write to what is held under another name")
            m._slot = slot
            self.aliases.append((_ref(m), slot))
        return Write(i, slot, tuple(others))

    def accumulates(self, leaf: Tensor, known: Tensor | None) -> None:
        """Said by a backward before it adds to the ``.grad`` of a leaf, which is ``known`` so far."""
        if self.why:
            return
        if known is not None and known._slot is None:
            try:
                self._leaf(known)
            except Unsayable as e:
                self.opaque(str(e))

    def accumulated(self, leaf: Tensor, grad: Tensor, known: Tensor | None) -> None:
        """Said after that; ``grad`` is its ``.grad`` now."""
        if not self.why:
            self._grads.append((leaf, grad, known))

    def _grad(self, leaf: Tensor, grad: Tensor, known: Tensor | None, at: int) -> Grad:
        if leaf._slot is None:
            raise Unsayable("a gradient of what is no operand")
        before = None
        if known is not None:
            before = known._slot
            if full_aliases(known):
                raise Unsayable("a gradient held under another name")
        elif grad._slot is not None:
            raise Unsayable("one gradient for two leaves")
        slot = self._takes(Result(len(self.results), grad, self._family_of(grad), at), grad)
        return Grad(leaf._slot, before, slot)

    def _number(self, call: Call, at: int, began: int) -> None:
        """Find the node that the call's number became; a number that is no such node is a constant."""
        places = [i for i, a in enumerate(call.args) if type(a) in VALUES]
        if not places and not any(type(v) is Number for v in call.kwargs.values()):
            return
        call.kwargs = {k: v.value if type(v) is Number else v for k, v in call.kwargs.items()}
        found: set[Node] = set()
        if len(places) == 1 and self._fresh_or_written(call):
            value = call.args[places[0]].value
            stack = [self._fresh_or_written(call)[0]._node]
            seen = 0
            while stack and seen < 12:
                n = stack.pop()
                seen += 1
                if isinstance(n, HostValue):
                    if np.array_equal(n.value, np.asarray(value).astype(n.value.dtype)):
                        found.add(n)
                elif n is not None and n.buffer is None and n.serial > began:
                    stack.extend(n.inputs)
            if stack:
                found.clear()  # it may be among those not seen
        if len(found) == 1:
            self.numbers.append((at, _ref(found.pop())))
        else:
            call.args = tuple([a.with_value(a.value) if type(a) in VALUES else a for a in call.args])

    def _fresh_or_written(self, call: Call) -> list[Any]:
        held = [self.handles[s.index]() for s in (*call.results, *(w.slot for w in call.writes))]
        return [t for t in held if t is not None]

    # --- a read inside the segment ---

    def may_read(self, t: Tensor) -> bool:
        """Whether the segment may go on beyond this read of one of its values: some backward is still to come."""
        if self.why or S.inside or get_ident() != self.owner or len(self.reads) >= READS or type(t._slot) is not Result:
            return False
        edges = (x._edge for r, s in zip(self.handles, self.results) if (x := r()) is not None and x._slot is s)
        return any(type(e) is GradNode and not is_spent(e) for e in edges)

    def has_read(self, t: Tensor, ran: list[Any]) -> bool:
        """Write down a read, for which these programs ran. False where the segment ends here after all."""
        if self.why:
            return False
        made = [n for program in ran for n in program.nodes()]
        first = len(self.computed)
        number = {n: -1 - k for k, n in enumerate(made, first)}
        values = {s.index: number[x._node] for r, s in zip(self.handles, self.results)
                  if (x := r()) is not None and x._slot is s and x._node in number}  # fmt: skip
        call = Call(here, (t._slot, *(x for program in ran for x in (program.graph, program.bundled))), {}, None)
        if not ran or t._slot.index not in values or any(program.consumes() for program in ran):
            self.opaque("a read that consumes a value")
            return False
        known = self._numbers_of_leaves()
        if not self._linked(ran, known, {n: [k] for n, k in number.items()}):
            self.opaque("a read of what was pending from before")
            return False
        self.computed += map(_ref, made)
        self.reads[len(self.calls)] = Read(ran, values)
        self._add(call)
        self.ops += self.logged
        self.logged = len(rec.log)
        return True

    def _numbers_of_leaves(self) -> dict[Any, int]:
        """By the nodes that programs take: leaves, and what reads have computed."""
        found = {r(): i for i, r in enumerate(self.leaf_nodes) if self.leaves[i].same_as is None}
        found.update((r(), -1 - k) for k, r in enumerate(self.computed))
        return found

    def _linked(self, ran: list[Any], leaves: dict[Any, int], wanted: dict[Node, list[int]]) -> bool:
        draws = {r(): i for i, (_, r) in enumerate(self.draws)}
        numbers = {r(): (call, self.calls[call].number()) for call, r in self.numbers}
        return all([program.link(leaves, draws, numbers, wanted) for program in ran])

    # --- the end of the segment ---

    def ends(self, roots: list[Node]) -> Script | None:
        """The script, its programs still to be linked; None if there is none. Called before what is pending runs."""
        try:
            if not self.why and self.calls:
                return self._script(roots)
        except Unsayable as e:
            self.why = str(e)
        finally:
            self.forget()
        return None

    def _script(self, roots: list[Node]) -> Script:
        alive: dict[int, Node] = {}
        for r, slot in [*zip(self.handles, self.results), *self.aliases]:
            t = r()
            if t is None or t._slot is not slot:
                continue
            if type(t._edge) is GradNode:
                if not is_spent(t._edge):
                    raise Unsayable("a history that is still to be gone through backward")
                slot.edge = spent(t._edge)
            else:
                slot.edge = type(t._edge)
            alive[slot.index] = t._node
        held = set(alive.values())
        if any(n.buffer is None and n not in held for n in roots):
            raise Unsayable("a value that no call returned")
        self.alive_nodes = sorted(alive.items())
        script = Script([*self.calls, None], self.leaves, self.results, tuple(sorted(alive)))
        script.ops = self.ops + self.logged
        script.reads = self.reads
        return script

    def link(self, script: Script, ran: list[Any]) -> bool:
        """Tell the script how the programs that ran get their arguments and to which values their results belong."""
        leaves = self._numbers_of_leaves()
        wanted: dict[Node, list[int]] = {}
        for i, node in self.alive_nodes:
            if leaves.get(node, 0) < 0:
                script.early[i] = leaves[node]
            else:
                wanted.setdefault(node, []).append(i)
        known = {node for program in ran for node in program.nodes()}
        script.programs = ran
        return self._linked(ran, leaves, wanted) and wanted.keys() <= known


def spent(entry: GradNode) -> GradNode:
    """What is left of a history that a backward has gone through and freed."""
    found = GradNode(entry.sig, (), (), None, entry.serial, entry.code, entry.lasti)
    found.freed = True
    return found


def _only_results(returned: Any) -> bool:
    if type(returned) is Result:
        return True
    return type(returned) is Items and returned.kind in (tuple, list) and all(type(x) is Result for x in returned.items)


def _filled(pattern: Any, slots: Any) -> Any:
    if pattern is Result:
        return next(slots)
    if isinstance(pattern, Items):
        return Items(pattern.kind, tuple([_filled(p, slots) for p in pattern.items]))
    return pattern


def full_aliases(t: Tensor) -> list[Tensor]:
    """The other living tensors of all of the same memory; Unsayable where one is a part of it, or ``t`` is."""
    meta = t._meta
    if meta is None or meta.domain is None:
        return []
    found = []
    for r in meta.domain.storage.members:
        m = r()
        if m is not None and m is not t:
            if m._meta.chain or meta.chain:
                raise Unsayable("an in-place write through a view, or beside one")
            found.append(m)
    if meta.chain:
        raise Unsayable("an in-place write through a view, or beside one")
    return found
