"""What registering a hook returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class HookHandle:
    """What registering a hook returns: ``remove()`` takes it out again; a context manager that does so."""

    def __init__(self, owner: Any, slot: str, key: int) -> None:
        self.owner, self.slot, self.key = owner, slot, key

    @classmethod
    def add(cls, owner: Any, slot: str, hook: Callable[..., Any]) -> HookHandle:
        table = getattr(owner, slot)
        if table is None:
            table = {}
            setattr(owner, slot, table)
        key = max(table, default=-1) + 1
        table[key] = hook
        return cls(owner, slot, key)

    def remove(self) -> None:
        table = getattr(self.owner, self.slot)
        if table:
            table.pop(self.key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()
