"""While somebody listens: how long each program takes to compile and to run, waited for; nothing otherwise."""

from __future__ import annotations

import time
from typing import Any

from .. import devices
from ..lazy.graph import site_of

#: None, or who is told: (kind, name, start and end in seconds, floating-point operations).
listener: list[Any] = [None]
_flops: dict[Any, float] = {}


def run(executable: Any, arguments: list[Any], sig: Any, code: Any, lasti: int) -> list[Any]:
    """Run an executable. ``sig``, ``code``, ``lasti``: the recording of its last result, by which it is named."""
    heard = listener[0]
    if heard is None:
        return executable.run(arguments)  # type: ignore[no-any-return]
    for x in arguments:
        devices.wait(x)  # so that the time is this program's own
    start = time.perf_counter()
    results = executable.run(arguments)
    for x in results:
        devices.wait(x)
    end = time.perf_counter()
    if executable not in _flops:
        _flops[executable] = float(executable.cost_analysis().get("flops", 0.0))
    filename, line = site_of(code, lasti)
    where = f" at {filename.rpartition('/')[2]}:{line}" if line else ""
    heard("execute", f"program to {sig.op.name}{where}", start, end, _flops[executable])
    return results  # type: ignore[no-any-return]


def compiled(make: Any, *arguments: Any) -> Any:
    """``make(*arguments)``, which compiles."""
    heard, start = listener[0], time.perf_counter()
    made = make(*arguments)
    if heard is not None:
        heard("compile", "compile", start, time.perf_counter(), 0.0)
    return made


def ends() -> None:
    """Nobody listens any more."""
    listener[0] = None
    _flops.clear()
