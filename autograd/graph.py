"""What the tape keeps between forward and backward, packed and unpacked by the user: ``torch.autograd.graph``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from weakref import WeakKeyDictionary

from ..lazy import Tensor, sync
from ..lazy.graph import Node as Value
from ..lazy.hooks import RemovableHandle
from ..lazy.record import GradNode, mode, packers, track, user_line, wrap
from ..lazy.replay.state import opaque
from ..lazy.tape import TapeNode, parts_of
from ..lazy.views import bumped
from .engine import derivatives, expected
from .hooks import GradientEdge

Node = TapeNode


class saved_tensors_hooks:
    """Within the context, each tensor that the tape saves goes through ``pack_hook``, and what that gives is kept instead;
    going backward, ``unpack_hook`` makes of it a tensor of the same shape, type and device.

        with saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
            y = model(x)

    Hooks get tensors without history. In nested contexts the innermost one's are called. RuntimeError, going backward,
    for an unpacked value that is something else than what was packed.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._threads: list[int] = []

    def __enter__(self) -> None:
        opaque("hooks on saved tensors")
        if _disabled:
            raise RuntimeError(_disabled[-1])
        self._threads.append(get_ident())
        packers.append(self)

    def __exit__(self, *_: Any) -> None:
        packers.remove(self)
        self._threads.pop()

    def entry(self, entry: GradNode) -> None:
        """Pack what an entry of the tape saved."""
        if get_ident() not in self._threads:
            return
        values = (*entry.saved, entry.out)
        if any(v is not None for v in values):
            kept = [None if v is None else _Kept(track(wrap(v)), self) for v in values]
            entry.rule = _Unpacking(entry, kept)
            entry.saved, entry.out = (None,) * len(entry.saved), None

    def tensors(self, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        """Pack what a ``Function`` saved."""
        if get_ident() not in self._threads:
            return saved
        return tuple(_Kept(t.detach(), self, t) if isinstance(t, Tensor) else t for t in saved)


_disabled: list[str] = []


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within the context, hooks on saved tensors are a RuntimeError with this message."""
    _disabled.append(error_message)
    try:
        yield
    finally:
        _disabled.pop()


class _Kept:
    """A packed tensor: what its hook gave, and what must come back."""

    def __init__(self, tensor: Tensor, hooks: saved_tensors_hooks, whole: Tensor | None = None) -> None:
        opaque("hooks on saved tensors")
        node = tensor._node or tensor._refresh()
        self.aval, self.unpack = node.sig.aval, hooks.unpack_hook
        self.edge = None if whole is None else whole._edge
        with _unrecorded():
            self.packed = hooks.pack_hook(tensor)

    def value(self) -> Value:
        with _unrecorded():
            found = self.unpack(self.packed)
        if not isinstance(found, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}  ({user_line()})"
            )
        node = found._node or found._refresh()
        if node.sig.aval is not self.aval:
            raise RuntimeError(f"unpack_hook gave {node.sig.aval!r} for a saved {self.aval!r}  ({user_line()})")
        return node

    def tensor(self) -> Tensor:
        return track(wrap(self.value(), self.edge))


def unpacked(saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a ``Function`` saved, as it was."""
    return tuple(s.tensor() if isinstance(s, _Kept) else s for s in saved)


@contextmanager
def _unrecorded() -> Iterator[None]:
    """Hooks are not differentiated, and what they do is not packed in turn."""
    grad, mode.grad = mode.grad, False
    try:
        yield
    finally:
        mode.grad = grad


class _Unpacking:
    """The rule of an entry whose saved tensors are packed: that of a twin which has them."""

    def __init__(self, entry: GradNode, kept: list[_Kept | None]) -> None:
        self.rule, self.kept = entry.rule, kept
        self.name, self.ours = parts_of(entry.name())

    def __call__(self, g: Tensor, entry: GradNode) -> tuple[Any, ...]:
        *saved, out = [None if k is None else k.value() for k in self.kept]
        twin = GradNode(entry.sig, entry.edges, tuple(saved), out, entry.serial, entry.code, entry.lasti)
        twin.rule = self.rule
        return derivatives(twin, g)

    def release(self) -> None:
        self.kept = []
        release = getattr(self.rule, "release", None)
        if release is not None:
            release()


class save_on_cpu(saved_tensors_hooks):
    """Within the context, what the tape saves waits for the backward pass in the host's memory, and not on the device.

    What was computed in the context goes over when it ends, at once. ``pin_memory`` is taken for compatibility.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(self._pack, self._unpack)
        self._waiting: list[list[Any]] = []

    def _pack(self, t: Tensor) -> list[Any]:
        kept = [t.device, t]
        self._waiting.append(kept)
        return kept

    @staticmethod
    def _unpack(kept: list[Any]) -> Tensor:
        device, t = kept
        return t.to(device)

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        waiting, self._waiting = [k for k in self._waiting if k[0].type != "cpu"], []
        if waiting:
            sync()
            with _unrecorded():
                for kept in waiting:
                    kept[1] = kept[1].to("cpu")


class _Frozen(saved_tensors_hooks):
    """Keeps what is saved as the value that it has now, which no write changes."""

    def __init__(self) -> None:
        super().__init__(lambda t: track(wrap(t._node or t._refresh())), self._given_back)
        self.open = True

    def _given_back(self, value: Tensor) -> Tensor:
        if not self.open:
            raise AssertionError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was originally "
                f"recorded.  ({user_line()})"
            )
        return value

    def clear(self) -> None:
        """Let go of what is kept: a backward afterwards raises."""
        self.open = False


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[Any]:
    """Within the context, what is saved for the backward pass may be written to in place: the gradients are those of the
    values from before. The backward has to be within it, too, else it is an AssertionError. Contexts cannot be nested."""
    if any(isinstance(p, _Frozen) for p in packers):
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    kept = _Frozen()
    with kept:
        try:
            yield kept
        finally:
            kept.clear()


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge at which the tensor's gradient arrives: ``grad(loss, edge)`` is ``grad(loss, tensor)``."""
    if not tensor.requires_grad:
        raise RuntimeError(
            f"It is not possible to get the gradient edge for a Tensor that does not require gradients  ({user_line()})"
        )
    return GradientEdge(tensor._edge, 0)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Say that the memory of a tensor (or of several) was written to where autograd did not see it."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        bumped(t)


class _Handles(RemovableHandle):
    """Several handles as one."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        super().__init__({})
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[[Any], None], *, mode: str = "all"
) -> RemovableHandle:
    """Call ``fn`` once in each backward pass that computes gradients of ``tensors``.

    ``mode='all'``: with a list of them, when the last one is there, None for those that the pass does not compute.
    ``mode='any'``: with the first one. ValueError for another mode.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if mode == "any":
        return _Handles(_on_any([t for t in tensors if t.requires_grad], fn))
    return _Handles(_on_all(tuple(tensors), fn))


def _on_any(tensors: Sequence[Tensor], fn: Callable[[Any], None]) -> list[RemovableHandle]:
    called: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    def once(g: Tensor) -> None:
        if not called.get(mode.task):
            called[mode.task] = True
            fn(g)

    return [t.register_hook(once) for t in tensors]


def _on_all(tensors: Sequence[Tensor], fn: Callable[[Any], None]) -> list[RemovableHandle]:
    state: WeakKeyDictionary[Any, tuple[list[Any], list[int]]] = WeakKeyDictionary()  # by run: gradients, how many lack

    def hook_of(place: int) -> Callable[[Tensor], None]:
        def arrives(g: Tensor) -> None:
            if mode.task not in state:
                there = expected(mode.task)
                state[mode.task] = [None] * len(tensors), [sum(id(e) in there for e in edges)]
            found, lacking = state[mode.task]
            found[place] = g
            lacking[0] -= 1
            if lacking[0] == 0:
                del state[mode.task]
                fn(found)

        return arrives

    handles = [t.register_hook(hook_of(i)) for i, t in enumerate(tensors)]
    edges = [t._edge for t in tensors]
    return handles


__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]
