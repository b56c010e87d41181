"""What registering a hook returns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from typing import Any

_ids = itertools.count()


class RemovableHandle:
    """A key ``id`` of its own for a table of hooks: ``remove()`` takes the hook out again, as leaving a ``with`` does.

    ``table[handle.id] = hook`` is for the caller to do. ``extra_dict`` (or a list of them) are tables with notes on the
    hook, which go with it.
    """

    def __init__(self, hooks_dict: MutableMapping[int, Any], *, extra_dict: Any = None) -> None:
        self.table, self.id = hooks_dict, next(_ids)
        self.others = [extra_dict] if isinstance(extra_dict, MutableMapping) else list(extra_dict or ())

    def remove(self) -> None:
        for table in (self.table, *self.others):
            table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def add(owner: Any, slot: str, hook: Callable[..., Any]) -> RemovableHandle:
    """Put a hook into a table of the owner's, which is made with the first."""
    table = getattr(owner, slot)
    if table is None:
        table = {}
        setattr(owner, slot, table)
    handle = RemovableHandle(table)
    table[handle.id] = hook
    return handle
