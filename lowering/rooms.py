"""Values in memory that has room behind what is real of them, so that they can grow in place of being copied."""

from __future__ import annotations

from typing import Any

from ..lazy import ops
from ..lazy.graph import Aval, Node, Room, leaf, signature


def become_part(node: Node, aval: Aval, dims: tuple[int, ...], buffer: Any) -> None:
    """Let a pending node be the real part, which is open in ``dims``, of the array of that type in ``buffer``."""
    room = leaf(aval, buffer, Room)
    assert isinstance(room, Room)
    room.open = dims
    real = node.sig.aval.shape
    where = (0,) * len(real), real, (1,) * len(real)
    node.sig, node.inputs = signature(ops.slice_, (aval,), where), (room,)


def open_dims(part: Node) -> tuple[int, ...]:
    """The dims in which a real part may grow."""
    return part.inputs[0].open  # type: ignore[attr-defined, no-any-return]


__all__ = ["become_part", "open_dims"]
