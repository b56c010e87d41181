"""Large results that nobody refers to any more, kept as places for the next results of the program that made them.

The C library maps a block of more than 32 MiB anew each time, and the system clears its pages as they are first written: two
fifths of what a program takes that does little more than write such results.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

from . import forks, memory

LARGE = memory.KEPT  # bytes of a result from which the C library does not keep its block itself
KEPT = 512 << 20  # bytes of all that are kept
RUNS = 2  # whose results are kept: those of the last one are often read while the next runs
PATIENCE = 8  # runs in a row that find no place, after which a program's results are taken to be wanted

_all: weakref.WeakSet[Spares] = weakref.WeakSet()
_lock = forks.renewed(threading.RLock())
_clock = itertools.count()


class Spares:
    """The last results of a program, and the program compiled to write its next ones over them.

    ``program(arguments + places) -> results`` consumes the places; ``results`` says which result each of them becomes.
    """

    def __init__(self, program: Callable[[list[Any]], list[Any]], results: Sequence[int]) -> None:
        self._program, self._results = program, results
        self._kept: list[list[Any]] = [[] for _ in results]
        self._missed = 0
        self._used = next(_clock)
        with _lock:
            _all.add(self)

    def run(self, plain: Callable[[list[Any]], list[Any]], arguments: list[Any]) -> list[Any]:
        """The results, by ``plain`` where a place is missing."""
        if self._missed > PATIENCE:
            return plain(arguments)
        with _lock:
            places = self._take()
        results = plain(arguments) if places is None else self._program(arguments + places)
        with _lock:
            self._missed = 0 if places is not None else self._missed + 1
            for kept, i in zip(self._kept, self._results):
                kept.append(results[i])
                del kept[:-RUNS]
            if self._missed > PATIENCE:
                for kept in self._kept:
                    kept.clear()
            self._used = next(_clock)
            _keep_within(KEPT)
        return results

    def _take(self) -> list[Any] | None:
        """A place for each result; None where one is missing."""
        free = [_free(kept) for kept in self._kept]
        if None in free:
            return None
        return [kept.pop(k) for kept, k in zip(self._kept, free)]  # type: ignore[arg-type]

    def bytes(self) -> int:
        return sum(x.nbytes for kept in self._kept for x in kept)


def _free(kept: list[Any]) -> int | None:
    """Which of them only we refer to."""
    for k, x in enumerate(kept):
        if getrefcount(x) <= _OURS and not x.is_deleted():
            return k
    return None


def _in_a_list(kept: list[Any]) -> int:
    for _, x in enumerate(kept):
        return getrefcount(x)
    return 0


_OURS = _in_a_list([object()])  # references to a result that `_free` asks about


def forget(buffer: Any) -> bool:
    """Let go of a buffer, which is to be given away otherwise; whether it was kept here."""
    with _lock:
        for spares in _all:
            for kept in spares._kept:
                for k, x in enumerate(kept):
                    if x is buffer:
                        del kept[k]
                        return True
    return False


def empty() -> None:
    """Let go of all that is kept."""
    with _lock:
        _keep_within(0)


def _keep_within(limit: int) -> None:
    """Let go of the results that were kept longest ago, until no more than ``limit`` bytes are left."""
    total = sum(s.bytes() for s in _all)
    for spares in sorted(_all, key=lambda s: s._used):
        while total > limit and (size := spares.bytes()):
            for kept in spares._kept:
                del kept[:1]
            total -= size - spares.bytes()
