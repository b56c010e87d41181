"""What the tape keeps between forward and backward, packed and unpacked by the user: ``torch.autograd.graph``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from ..lazy import Tensor, sync
from ..lazy.graph import Node as Value
from ..lazy.record import GradNode, Leaf, mode, packers, track, user_line, wrap
from ..lazy.replay.state import opaque
from .engine import derivatives

Node = (GradNode, Leaf)  # for isinstance: what ``grad_fn`` and its ``next_functions`` are


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
        self.name = entry.name().removesuffix("Backward0").removesuffix("Backward")

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


__all__ = ["Node", "save_on_cpu", "saved_tensors_hooks"]
