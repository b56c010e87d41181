"""Tensors made in inference mode: outside of it they are neither written to nor saved for a backward pass."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Iterable
from typing import Any

from . import record as rec
from .graph import Node
from .record import mode, user_line

made: dict[int, weakref.ref[Any]] = {}  # those that live, by id
used = [False]  # whether a program has been in the mode: until then nothing is looked at
_unmarked: set[int] = set()  # of those, whose nodes do not say so yet
_REFUSED = (None, 0, -1)  # as ``overwritten`` of their nodes, at a serial that is later than no entry of the tape
_inside = [0]  # threads' modes
_lock = threading.Lock()


def begins() -> None:
    """A thread enters the mode."""
    with _lock:
        _inside[0] += 1
        used[0], rec._new, rec.check_saved = True, _noted, check_saved


def ends() -> None:
    """A thread leaves it."""
    with _lock:
        _inside[0] -= 1
        if not _inside[0]:
            rec._new = object.__new__


def _noted(cls: type) -> Any:
    t: Any = object.__new__(cls)
    if mode.inference:
        note(t)
    return t


def note(t: Any) -> None:
    """Say of a tensor that it was made, or has got a value, in inference mode."""
    key = id(t)
    if key not in made:
        made[key] = weakref.ref(t, functools.partial(_gone, key))
    _unmarked.add(key)


def _gone(key: int, _: Any) -> None:
    made.pop(key, None)
    _unmarked.discard(key)


def is_inference(t: Any) -> bool:
    """Whether a tensor, or what it is a view of, was made in inference mode."""
    meta = t._meta
    if meta is not None and meta.domain is not None:
        return meta.domain.storage.inference  # type: ignore[no-any-return]
    return id(t) in made or getattr(t._slot, "inference", False)


def check_write(t: Any) -> None:
    """RuntimeError for an in-place write outside the mode to what was made in it."""
    if not is_inference(t):
        return
    if not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
            f"tensor before doing inplace update.  ({user_line()})"
        )
    meta = t._meta
    members = [t] if meta is None or meta.domain is None else [r() for r in meta.domain.storage.members]
    for m in members:
        if m is not None:
            note(m)


def check_leaf(t: Any) -> None:
    """RuntimeError where what was made in the mode would require grad outside of it."""
    if not mode.inference and is_inference(t):
        raise RuntimeError(
            f"Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.  ({user_line()})"
        )


def check_saved(saved: Iterable[Node | None]) -> None:
    """RuntimeError where the tape would save a value that was made in inference mode."""
    if not made:
        return
    for key in list(_unmarked):
        t = made[key]() if key in made else None
        if t is not None and t._node is not None:
            _unmarked.discard(key)
            if is_inference(t):
                t._node.overwritten = _REFUSED
    for node in saved if not mode.inference else ():
        while node is not None:
            if node.overwritten is _REFUSED:
                raise RuntimeError(
                    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
                    "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use "
                    f"it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.  ({user_line()})"
                )
            passed_on = node.buffer is None and len(node.inputs) == 1 and node.sig.op.name in ("broadcast_in_dim", "convert")
            node = node.inputs[0] if passed_on else None


__all__ = ["begins", "check_leaf", "check_saved", "check_write", "ends", "is_inference", "made", "note", "used"]
