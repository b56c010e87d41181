"""Views and in-place writes on values that never change: a write makes a new value and moves every alias on to it.

Tensors that share memory in PyTorch share a ``Storage`` here. A view remembers how it is taken from the storage's
root (its chain of steps). Writing through any of them puts the new piece back into the root, and the others, left
without a node, take theirs anew when they are next used.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import inference, levels
from . import record as rec
from .dtypes import can_cast
from .graph import Aval, Node
from .graph import _serial as serial_numbers
from .record import GradNode, Leaf, mode, user_line, wrap
from .replay.state import note_write, opaque

Layout = tuple[int, tuple[int, ...]]  # offset and strides, counted in elements


class Step(NamedTuple):
    """One step of a view: how it is taken, how a changed piece is put back, and what it does to the layout."""

    name: str
    take: Callable[[Any], Any]
    put: Callable[[Any, Any], Any] | None  # (whole, changed piece) -> changed whole; None: the piece overlaps itself
    layout: Callable[[Layout, tuple[int, ...]], Layout]  # (of the whole, its shape) -> of the piece
    shape: tuple[int, ...]  # of the whole


class Storage:
    """The value that aliases share, and who they are. ``_node`` is the root's, so a sync keeps it computed."""

    __slots__ = ("__weakref__", "_edge", "_node", "inference", "members", "version")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._edge = None
        self.inference = False  # whether it was made in inference mode
        self.members: list[weakref.ref[Any]] = []
        self.version = 0


class Domain:
    """The aliases that share one gradient history: a base with its views, or a ``detach()`` with its."""

    __slots__ = ("counts", "edge", "storage", "version")

    def __init__(self, storage: Storage, edge: Any, counts: bool = True) -> None:
        self.storage, self.edge, self.counts = storage, edge, counts
        self.version = 0  # writes through a domain that does not count


class Meta:
    """What few tensors have: a gradient, hooks, aliases."""

    __slots__ = ("base", "chain", "domain", "grad", "retains", "shape", "untracked", "version")

    def __init__(self) -> None:
        self.grad: Any = None
        self.retains = False
        self.domain: Domain | None = None
        self.chain: tuple[Step, ...] = ()
        self.shape: tuple[int, ...] = ()  # the root's
        self.base: Any = None
        self.untracked = False  # a view taken under no_grad of something that requires grad
        self.version = 0


def share(t: Any) -> Domain:
    """The domain of a tensor, made when it gets its first alias."""
    meta = t.metadata()
    if meta.domain is None:
        node = t._node or t._refresh()
        storage = Storage(node)
        storage.inference = inference.is_inference(t)
        meta.domain = Domain(storage, t._edge)
        meta.shape = node.sig.aval.shape
        storage.members.append(weakref.ref(t))
    return meta.domain


def join(t: Any, domain: Domain, chain: tuple[Step, ...], shape: tuple[int, ...]) -> None:
    meta = t.metadata()
    meta.domain, meta.chain, meta.shape = domain, chain, shape
    members = domain.storage.members
    if len(members) > 32 and len(members) & (len(members) - 1) == 0:
        members[:] = [m for m in members if m() is not None]
    members.append(weakref.ref(t))
    if domain.storage.inference:
        inference.note(t)


def view(base: Any, step: Step) -> Any:
    """A tensor that aliases ``base``: sees writes to it and is seen writing."""
    out = _taken(step, base)
    return viewed(base, (step,), rec.track(out) if out._node is base._node else out)


def _taken(step: Step, whole: Any) -> Any:
    """The piece, with a history of its own where it is all of the whole."""
    out = step.take(whole)
    if out is not whole:
        return out
    edge = whole._edge
    return wrap(whole._node, None if edge is None or not mode.grad else _entry(whole._node, edge, _Alias()))


def rewrite(t: Any, node: Node, edge: Any) -> None:
    """``t`` takes a value that a program has computed for it; its aliases see it."""
    meta = t.metadata()
    if meta.domain is not None and meta.chain:
        saved, mode.grad = mode.grad, False
        try:
            _write_alias(t, meta, wrap(node), False, "a compiled function", write_begins())
        finally:
            mode.grad = saved
    elif meta.domain is not None:
        storage = meta.domain.storage
        storage._node = node
        storage.version += 1
        for ref in storage.members:
            member = ref()
            if member is not None:
                member._node = node if member._meta.chain == () else None
    else:
        meta.version += 1
    t._node = node
    if edge is not None:
        t._edge = edge


def viewed(base: Any, steps: tuple[Step, ...], value: Any) -> Any:
    """``value`` as the view of ``base`` that ``steps`` take, which it is the value of."""
    domain, meta = share(base), base._meta
    join(value, domain, (*meta.chain, *steps), meta.shape)
    value._meta.base = meta.base if meta.base is not None else base
    value._meta.untracked = value._edge is None and base._edge is not None
    return value


def detached(t: Any, counts: bool = True) -> Any:
    """An alias without gradient history (``detach()``; ``.data`` where writes are not to be ``counts``-ed)."""
    out = rec.track(wrap(t._node or t._refresh()))
    domain = share(t)
    join(out, Domain(domain.storage, None, counts), t._meta.chain, t._meta.shape)
    return out


def refresh(t: Any) -> Node:
    """The current node of an alias whose storage was written to."""
    if t._slot is not None:
        opaque("a value used outside of any call")
        if t._node is not None:
            return t._node
    meta = t._meta
    domain = meta.domain
    root = wrap(domain.storage._node, domain.edge)
    saved, mode.grad = mode.grad, domain.edge is not None
    try:
        for step in meta.chain:
            root = _taken(step, root)
    finally:
        mode.grad = saved
    t._node = root._node
    if (type(t._edge) is not Leaf and not meta.untracked) or meta.chain == ():
        t._edge = root._edge
    return t._node


def _check_leaf(t: Any) -> None:
    if not mode.grad:
        return
    if type(t._edge) is Leaf:
        raise RuntimeError(
            f"a leaf Variable that requires grad is being used in an in-place operation.  ({user_line()})"
        )
    meta = t._meta
    if meta is not None and meta.domain is not None and type(meta.domain.edge) is Leaf:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation.  "
            f"({user_line()})"
        )


def write_begins() -> int:
    """Said before the value of an in-place op is recorded: what that recording itself saves, its write does not harm."""
    return next(serial_numbers)


def assign(t: Any, new: Any, name: str, begun: int | None = None) -> Any:
    """The in-place op ``name``: ``t`` takes the value (and the history) of ``new``; so do its aliases. Returns t.

    ``begun``: what ``write_begins`` gave before ``new`` was recorded. Where it may be given, ``new`` may be another tensor
    of the user's.
    """
    _check_leaf(t)
    if inference.used[0]:
        inference.check_write(t)
    node = t._node or t._refresh()
    note_write(t, node)
    aval = node.sig.aval
    fresh = new._node or new._refresh()
    if begun is None:
        begun = write_begins()
    elif (fresh.serial < begun or new._meta is not None) and new is not t:
        new = _copy(new)
        fresh = new._node
    found = fresh.sig.aval
    if found is not aval:
        new = _fit(t, new, aval, found, name)
        fresh = new._node
    if levels.active:
        levels.check_write(t, fresh, name)
    tracked = mode.grad and (new._edge is not None or t._edge is not None)
    edge = new._edge
    if tracked and edge is None:
        edge = no_flow(fresh)
    meta = t._meta
    if meta is None or meta.domain is None:
        node.overwritten = (*rec.user_site(2), begun)
        t._node = fresh
        if mode.grad:
            t._edge = edge
        t.metadata().version += 1
        return rec.track(t)
    _write_alias(t, meta, wrap(fresh, edge), tracked, name, begun)
    return t


def _fit(t: Any, new: Any, aval: Aval, found: Aval, name: str) -> Any:
    """The new value in the type of the tensor it is written to, or PyTorch's error."""
    if found.device is not aval.device:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {aval.device} and {found.device}!  "
            f"[{name} at {user_line()}]"
        )
    if found.shape != aval.shape:
        raise RuntimeError(
            f"output with shape {list(aval.shape)} doesn't match the broadcast shape {list(found.shape)}  "
            f"[{name} at {user_line()}]"
        )
    if not can_cast(found.dtype, aval.dtype):
        raise RuntimeError(
            f"result type {found.dtype.name} can't be cast to the desired output type {aval.dtype.name}  "
            f"[{name} at {user_line()}]"
        )
    from .functions.conversion import convert

    return convert(new, aval.dtype)


def _write_alias(t: Any, meta: Meta, new: Any, tracked: bool, name: str, begun: int) -> None:
    domain = meta.domain
    assert domain is not None
    storage = domain.storage
    value = new._node
    site = (*rec.user_site(3), begun)
    saved, mode.grad = mode.grad, mode.grad and (tracked or domain.edge is not None)
    try:
        pieces = [wrap(storage._node, domain.edge)]
        for step in meta.chain[:-1]:
            pieces.append(step.take(pieces[-1]))
        first = next((i for i, step in enumerate(meta.chain) if step.put is None), None)
        if first is not None:
            new = _put_where_it_lies(meta.chain[first:], pieces[first], new, name)
        for step, parent in zip(reversed(meta.chain[:first]), reversed(pieces[:first])):
            new = step.put(parent, new)  # type: ignore[misc]
        root_node, root_edge = new._node, new._edge
        if root_node is storage._node:
            return
    finally:
        mode.grad = saved
    if domain.counts:
        storage._node.overwritten = site
        storage.version += 1
    else:
        domain.version += 1
    storage._node = root_node
    if mode.grad:
        domain.edge = root_edge
    for ref in storage.members:
        member = ref()
        if member is None:
            continue
        if domain.counts and member._node is not None:
            member._node.overwritten = site
        if member._meta.chain == ():
            member._node = root_node
            if member._meta.domain is domain and mode.grad and type(member._edge) is not Leaf:
                member._edge = root_edge
        else:
            member._node = None
    rec.track(storage)
    rec.track(t)
    if t._node is None and not tracked:
        t._node = value
    elif t._node is None:
        refresh(t)


_TURNING = ("conj", "neg", "real", "imag", "view_as_real", "view_as_complex")


def _put_where_it_lies(chain: tuple[Step, ...], whole: Any, piece: Any, name: str) -> Any:
    """The changed whole, of which a step of the chain shows elements more than once: the piece may show them once, or be
    filled with one number."""
    from .functions.scattering import put_at

    rest, filled = chain[1:], name in ("fill_", "zero_")
    turned = piece.dtype is not whole.dtype or any(step.name in _TURNING for step in rest)
    if turned and all(step.put is not None for step in rest):  # the elements change on the way, so they go back step by step
        parents = [chain[0].take(whole)]
        for step in rest[:-1]:
            parents.append(step.take(parents[-1]))
        for step, parent in zip(reversed(rest), reversed(parents)):
            piece = step.put(parent, piece)  # type: ignore[misc]
        filled = filled and all(step.name in _TURNING for step in rest)
        chain, turned = chain[:1], False
    state: Layout = (0, contiguous_strides(chain[0].shape))
    for step in chain:
        state = step.layout(state, step.shape)
    places = offsets(state, tuple(piece.shape))
    once = filled or len(np.unique(places)) == places.size
    if not once or turned:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single "
            f"memory location. Please clone() the tensor before performing the operation.  [{name} at {user_line()}]"
        )
    return put_at(whole, places, piece)


def _copy(x: Any) -> Any:
    from . import ops

    return ops.copy(x)


class _Nothing:
    """The backward rule of a value written over by one without history."""

    name, keeps = "Fill", False

    def __call__(self, g: Any, node: GradNode) -> tuple[None]:
        return (None,)


class _Alias:
    """The backward rule of a view of the whole."""

    name, keeps = "Alias", False

    def __call__(self, g: Any, node: GradNode) -> tuple[Any]:
        return (g,)


def _entry(node: Node, edge: Any, rule: Any) -> GradNode:
    out = GradNode(node.sig, (edge,), (), None, next(serial_numbers), *rec.user_site(3))
    out.rule = rule
    return out


def no_flow(node: Node) -> GradNode:
    """A tape entry through which no gradient flows, so that the tensor still requires one."""
    return _entry(node, None, _Nothing())


def replace(t: Any, new: Any) -> None:
    """``t.data = new``: t leaves its aliases and shares with ``new``; its history and identity stay."""
    own, other = t._meta, new._meta
    if own is not None and other is not None and own.domain is not None and other.domain is not None:
        if own.domain.storage is other.domain.storage and own.chain == other.chain:
            return  # it shares that memory already: `t.data += x` ends with this
    opaque("data replaced")
    node = new._node or new._refresh()
    leaf = t._edge
    source = share(new)
    source.storage.inference = source.storage.inference and inference.is_inference(t)  # a module converted in that mode
    meta = t.metadata()
    old = meta.domain
    if old is not None:
        old.storage.members[:] = [m for m in old.storage.members if m() is not t]
    meta.domain, meta.chain, meta.base = None, (), None
    join(t, Domain(source.storage, leaf, False), new._meta.chain, new._meta.shape)
    t._node = node
    rec.track(t)


def version(t: Any) -> int:
    """How often the memory of ``t`` was written in place."""
    meta = t._meta
    if inference.used[0] and inference.is_inference(t):
        raise RuntimeError(f"Inference tensors do not track version counter.  ({user_line()})")
    if meta is None:
        return 0
    domain = meta.domain
    if domain is None:
        return meta.version
    return meta.version + (domain.storage.version if domain.counts else domain.version)


def bumped(t: Any) -> None:
    """Count a write to the memory of ``t`` that changed nothing here."""
    node, meta = t._node or t._refresh(), t.metadata()
    domain = meta.domain
    if domain is not None and not domain.counts:
        domain.version += 1
        return
    node.overwritten = site = (*rec.user_site(2), write_begins())
    if domain is None:
        meta.version += 1
    else:
        domain.storage._node.overwritten = site
        domain.storage.version += 1


# --- layout -----------------------------------------------------------------------------------------------------


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def offsets(state: Layout, shape: tuple[int, ...]) -> np.ndarray:
    """Where the elements of a tensor of that layout lie, int64 in its shape."""
    places = np.full(shape, state[0], np.int64)
    for d, (n, s) in enumerate(zip(shape, state[1])):
        places += (np.arange(n) * s).reshape([-1 if i == d else 1 for i in range(len(shape))])
    return places


def layout(t: Any) -> Layout:
    """The offset and strides that this tensor would have in PyTorch, where XLA keeps no such thing."""
    if t._node is None and t._slot is not None and t._slot.layout is not None:
        if t._slot.layout[0] is not None:
            return t._slot.layout  # type: ignore[no-any-return]
        opaque("the offset of a view that varies")
    meta = t._meta
    if meta is None or meta.domain is None:
        return 0, contiguous_strides(t.shape)
    state: Layout = (0, contiguous_strides(meta.shape))
    for step in meta.chain:
        state = step.layout(state, step.shape)
    return state


def overlap_in_part(a: Any, b: Any) -> bool:
    """Whether some memory of two tensors is the same, but they are not the very same array. False where one leaves gaps,
    as PyTorch has it."""
    found = [t._meta.domain for t in (a, b) if t._meta is not None and t._meta.domain is not None]
    if len(found) < 2 or found[0].storage is not found[1].storage or a.dtype is not b.dtype:
        return False
    (at, step), (other, other_step) = layout(a), layout(b)
    if not (_is_dense(step, a.shape) and _is_dense(other_step, b.shape)):
        return False
    if (at, a.numel()) == (other, b.numel()):
        return step != other_step
    return at < other + b.numel() and other < at + a.numel()


def _is_dense(step: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether elements of that layout fill their memory, each place once."""
    expected = 1
    for s, n in sorted((s, n) for s, n in zip(step, shape) if n != 1):
        if s != expected:
            return False
        expected *= n
    return True


def strides(t: Any) -> tuple[int, ...]:
    """The strides of its layout."""
    if t._node is None and t._slot is not None and t._slot.layout is not None:
        return t._slot.layout[1]  # type: ignore[no-any-return]
    return layout(t)[1]
