"""Collective operations that give new tensors, and through which gradients go (``torch.distributed.nn``), in a group of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..lazy import Tensor
from . import ReduceOp, get_world_size

__all__ = ["all_gather", "all_reduce", "broadcast", "gather", "reduce", "scatter"]


def _own(tensor: Tensor) -> Tensor:
    get_world_size()  # ValueError where there is no group
    return tensor.clone()


def all_reduce(tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The reduction of one member's values is those values."""
    return _own(tensor)


def reduce(tensor: Tensor, dst: int, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    return _own(tensor)


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    return _own(tensor)


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """What each member has: the one member's tensor."""
    return (_own(tensor),)


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    return (_own(tensor),)


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """This member's part: the list's one tensor."""
    (own,) = tensors
    return _own(own)
