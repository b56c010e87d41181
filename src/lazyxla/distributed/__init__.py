"""A process group of one, as ``torch.distributed`` where a program is run as one process.

Every collective operation has one member, so each leaves what it was given, or copies it. RuntimeError where the
environment (WORLD_SIZE) or the program says that there are several processes.
"""

from __future__ import annotations

import os
from typing import Any

from ..futures import Future
from ..lazy import Tensor

_groups: list[str] = []  # the backend's name, once there is a group


class ReduceOp:
    """What ``all_reduce`` and ``reduce`` do with the members' values."""

    SUM, AVG, PRODUCT, MIN, MAX = "sum", "avg", "product", "min", "max"


def is_available() -> bool:
    return True


def is_initialized() -> bool:
    return bool(_groups)


def init_process_group(
    backend: str | None = None, init_method: str | None = None, timeout: Any = None, world_size: int = -1, rank: int = -1,
    store: Any = None, group_name: str = "", pg_options: Any = None, device_id: Any = None,
) -> None:  # fmt: skip
    """Begin the group; ValueError where there is one."""
    size = world_size if world_size > 0 else int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        raise RuntimeError(f"init_process_group(): {size} processes are asked for; a group is of one process here")
    if _groups:
        raise ValueError("trying to initialize the default process group twice!")
    _groups.append(backend or "undefined")


def destroy_process_group(group: Any = None) -> None:
    _initialized()
    _groups.clear()


def _initialized() -> None:
    if not _groups:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def get_backend(group: Any = None) -> str:
    _initialized()
    return _groups[0]


def get_rank(group: Any = None) -> int:
    _initialized()
    return 0


def get_world_size(group: Any = None) -> int:
    _initialized()
    return 1


def _done(async_op: bool) -> Future | None:
    """What is returned by an operation that has nobody to wait for."""
    _initialized()
    if not async_op:
        return None
    done = Future()
    done.set_result(None)
    return done


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Future | None:
    return _done(async_op)


def all_reduce(tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Future | None:
    """The sum (or another reduction) of one member's values is those values."""
    return _done(async_op)


def reduce(
    tensor: Tensor, dst: int = 0, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Future | None:
    return _done(async_op)


def broadcast(tensor: Tensor, src: int = 0, group: Any = None, async_op: bool = False) -> Future | None:
    return _done(async_op)


def all_gather(tensor_list: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False) -> Future | None:
    """The one member's tensor, into the list's one tensor."""
    _initialized()
    (own,) = tensor_list
    own.copy_(tensor.detach())
    return _done(async_op)


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    _initialized()
    object_list[0] = obj


def broadcast_object_list(object_list: list[Any], src: int = 0, group: Any = None, device: Any = None) -> None:
    _initialized()


from . import nn  # noqa: E402

__all__ = [
    "ReduceOp", "all_gather", "all_gather_object", "all_reduce", "barrier", "broadcast", "broadcast_object_list",
    "destroy_process_group", "get_backend", "get_rank", "get_world_size", "init_process_group", "is_available",
    "is_initialized", "nn", "reduce",
]  # fmt: skip
