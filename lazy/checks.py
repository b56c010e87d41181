"""Checks whose outcome is still to be computed: they run with what is pending, and a later read of a value raises."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

from .. import devices
from .record import user_site, where_text

_MANY = 64  # checks that wait, at which those that are done are looked at

waiting: list[tuple[int, Any, Callable[[int, str], Exception], Any]] = []
_limit = [_MANY]


def defer(ok: Any, error: Callable[[int, str], Exception]) -> None:
    """Let the first read of a value after ``ok``, a pending vector of bools, is computed raise, in this thread, unless
    all are true: ``error(the first that is not, the user's line now)``."""
    waiting.append((get_ident(), ok, error, user_site(2)))
    if len(waiting) > _limit[0]:
        look(only_ready=True)
        _limit[0] = max(_MANY, 2 * len(waiting))


def look(only_ready: bool = False) -> None:
    """Raise for the first check that has failed; forget those that are done. ``only_ready``: wait for none."""
    if not waiting:
        return
    me = get_ident()
    left, failed = [], None
    for check in waiting:
        owner, ok, error, site = check
        buffer = ok._node.buffer if ok._node is not None else None
        if owner != me or buffer is None or (only_ready and not buffer.is_ready()):
            left.append(check)
        elif failed is None:
            found = _values(buffer)
            if not all(found):
                failed = error(found.index(False), where_text(*site))
    waiting[:] = left
    if failed is not None:
        raise failed


def _values(buffer: Any) -> list[bool]:
    try:
        devices.wait(buffer)
    except devices.RuntimeFailure:
        return [True]  # the run failed, which is said where its values are read
    return devices.to_numpy(buffer).reshape(-1).tolist()  # type: ignore[no-any-return]


__all__ = ["defer", "look", "waiting"]
