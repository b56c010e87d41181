"""What happened: ops recorded, syncs and their causes, cache hits, compiles with their time and reason."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

_counts: Counter[str] = Counter()
_seconds: dict[str, float] = {}
_causes: Counter[str] = Counter()
_compiles: deque[dict[str, Any]] = deque(maxlen=200)
_recordings: deque[dict[str, Any]] = deque(maxlen=200)
_LISTED = (
    "ops_recorded", "syncs", "executions", "ops_executed", "cache_hits", "compiles", "disk_hits", "donated_buffers",
    "loops_rolled", "ops_rolled", "layers_outlined", "convolutions_turned", "convolutions_widened", "replays",
    "replays_given_up", "compiled_calls", "programs_in_blocks", "programs_over_results", "lengths_padded", "by_numpy",
)  # fmt: skip


def count(name: str, by: int = 1) -> None:
    _counts[name] += by


def spent(name: str, seconds: float) -> None:
    _seconds[name] = _seconds.get(name, 0.0) + seconds


def peak(bytes_needed: int) -> None:
    """What one program needs on its device; the largest is reported."""
    _counts["peak_bytes"] = max(_counts["peak_bytes"], bytes_needed)


def synced(cause: str) -> None:
    _counts["syncs"] += 1
    _causes[cause] += 1


def compiled(**facts: Any) -> None:
    """One compile: ``ops``, ``seconds``, ``why``, ``executables`` (pieces of it), and its memory in bytes."""
    _counts["compiles"] += 1
    peak(facts.get("peak_bytes", 0))
    _compiles.append(facts)


def recorded(name: str, why: str) -> None:
    """A compiled function was recorded, and why."""
    _recordings.append({"function": name, "why": why})


def reset() -> None:
    """Start counting from zero."""
    for clear in (_counts.clear, _seconds.clear, _causes.clear, _compiles.clear, _recordings.clear):
        clear()


def report(as_dict: bool = False) -> Any:
    """The counts since the start or the last ``reset``: as text, or as a dict of numbers and lists.

    Keys: ops_recorded, syncs (times work was dispatched), sync_causes, executions (programs run), ops_executed,
    cache_hits, compiles, compile_seconds (in XLA), lowering_seconds (before that, where something was compiled),
    disk_hits, donated_buffers, peak_bytes (what the largest program compiled or loaded since then needs on its device:
    arguments, results and what lies between), recompiles (one dict a compile: ops, seconds, why, executables,
    argument_bytes, output_bytes, alias_bytes, temporary_bytes, peak_bytes),
    loops_rolled and ops_rolled (lowering/rolling), layers_outlined (lowering/outline.py), convolutions_turned (to channels
    last) and convolutions_widened (lowering/columns.py), replays and replays_given_up (lazy/replay), compiled_calls,
    programs_in_blocks and programs_over_results (compiled again: lowering/often.py), lengths_padded (runs of programs for
    any length: lowering/lengths.py and growth.py), by_numpy (runs that took no executable: lowering/by_numpy.py) and
    recordings (one dict for each time that a compiled function was recorded: function, why).
    """
    from .record import log  # what was recorded since the last sync is not yet in the counts

    facts: dict[str, Any] = {name: _counts[name] for name in _LISTED}
    facts["ops_recorded"] += len(log)
    facts["peak_bytes"] = _counts["peak_bytes"]
    facts["compile_seconds"] = round(_seconds.get("compile", 0.0), 3)
    facts["lowering_seconds"] = round(_seconds.get("lowering", 0.0), 3)
    facts["sync_causes"] = dict(_causes)
    facts["recompiles"] = list(_compiles)
    facts["recordings"] = list(_recordings)
    if as_dict:
        return facts
    lines = ["lazyxla metrics"]
    lines += [f"  {name.replace('_', ' '):<20}{facts[name]:>10,}" for name in _LISTED]
    lines.append(f"  {'compile seconds':<20}{facts['compile_seconds']:>10.2f}")
    lines.append(f"  {'peak MB':<20}{facts['peak_bytes'] / 1e6:>10,.1f}")
    if _causes:
        lines.append("  syncs by cause")
        lines += [f"    {n:>8,}  {cause}" for cause, n in _causes.most_common(12)]
    if _compiles:
        lines.append("  compiles")
        lines += [f"    {c['seconds']:7.2f} s {c['ops']:>6,} ops {_megabytes(c)}  {c['why']}" for c in list(_compiles)[-12:]]
    if _recordings:
        lines.append("  recordings of compiled functions")
        lines += [f"    {r['function']}: {r['why']}" for r in list(_recordings)[-12:]]
    return "\n".join(lines)


def _megabytes(facts: dict[str, Any]) -> str:
    return f"{facts['peak_bytes'] / 1e6:9,.1f} MB" if "peak_bytes" in facts else ""
