"""Measuring what statements take, as ``torch.utils.benchmark``: the work on the device counts, too."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import textwrap
import timeit as std
from collections.abc import Callable, Iterable
from typing import Any

from .. import sync, synchronize

_UNITS = ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s"))


def timer() -> float:
    """The time in seconds, when all that was recorded so far has been computed."""
    sync()
    synchronize()
    return std.default_timer()


def select_unit(t: float) -> tuple[str, float]:
    """The unit that a time in seconds is best read in, and how many seconds that is."""
    for seconds, name in reversed(_UNITS):
        if t >= seconds:
            return name, seconds
    return _UNITS[0][1], _UNITS[0][0]


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What was measured."""

    stmt: str
    setup: str
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        return self.stmt + (f"\n  setup: {self.setup}" if self.setup != "pass" else "")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Times in seconds of ``number_per_run`` runs each (``raw_times``), or of one (``times``)."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    @property
    def times(self) -> list[float]:
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many of the digits of the median are more than noise: as the spread says, between 1 and 4."""
        if self.iqr == 0:
            return 4
        return max(1, min(4, len(str(int(self.median / self.iqr))) + 1))

    @property
    def has_warnings(self) -> bool:
        return self.iqr / self.median > 0.1 if self.median else False

    @property
    def title(self) -> str:
        return self.task_spec.title

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or (not hasattr(TaskSpec, name) and name not in TaskSpec.__dataclass_fields__):
            raise AttributeError(name)
        return getattr(self.task_spec, name)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Those of the same task and number of runs as one."""
        groups: dict[Any, list[float]] = {}
        for m in measurements:
            groups.setdefault((m.number_per_run, m.task_spec), []).extend(m.raw_times)
        return [Measurement(n, times, spec) for (n, spec), times in groups.items()]

    def __repr__(self) -> str:
        unit, scale = select_unit(self.median)
        lines = [f"<{type(self).__module__}.{type(self).__name__} object>", self.title]
        if len(self.times) > 1:
            lines.append(f"Median: {self.median / scale:.2f} {unit}\n  IQR: {self.iqr / scale:.2f} {unit}")
        else:
            lines.append(f"  {self.median / scale:.2f} {unit}")
        runs = "run" if self.number_per_run == 1 else "runs"
        lines.append(f"  {len(self.times)} measurements, {self.number_per_run} {runs} per measurement")
        if self.has_warnings:
            lines.append("  WARNING: the quartiles lie more than 10% apart.")
        return "\n".join(lines)


class Timer:
    """Times ``stmt``, run after ``setup`` with the names in ``globals``.

        Timer("y @ y", setup="y = lazyxla.ones(64, 64)").blocked_autorange()

    Each measurement runs the statement once before the clock starts, to compile it, and waits for the device at both ends.
    ``num_threads`` is noted, not set. Other languages than Python are an error.
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "", timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None, label: str | None = None, sub_label: str | None = None,
        description: str | None = None, env: str | None = None, num_threads: int = 1, language: Any = "python",
    ) -> None:  # fmt: skip
        if str(language).lower().rsplit(".", 1)[-1] not in ("python", "py"):
            raise ValueError(f"Timer: expected statements in Python, not in {language}")
        if global_setup:
            raise ValueError(f"global_setup is C++ only, got {global_setup!r}")
        stmt, setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        library = sys.modules[__package__.partition(".")[0]]
        names = {"lazyxla": library, "torch": library, **(globals or {})}
        self._spec = TaskSpec(stmt, setup, label, sub_label, description, env, num_threads)
        self._timer, self._now = std.Timer(stmt, setup, timer, names), timer

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One measurement of ``number`` runs."""
        self._timer.timeit(max(number // 100, 2))
        return Measurement(number, [self._timer.timeit(number)], self._spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measurements for ``min_run_time`` seconds, each of enough runs that the clock's own cost is small."""
        number = self._enough(min_run_time)
        return self._until(number, min_run_time, lambda times: True, min_run_time, callback)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Measurements until the quartiles lie less than ``threshold`` of the median apart, or ``max_run_time`` is over."""
        number = self._enough(0.05)

        def settled(times: list[float]) -> bool:
            found = Measurement(number, times, self._spec)
            return len(times) > 3 and found.iqr < threshold * found.median

        return self._until(number, min_run_time, settled, max_run_time, callback)

    def _enough(self, min_run_time: float) -> int:
        """Of how many runs the clock is less than 1e-4, and which take at least a thousandth of the time."""
        overhead = statistics.median(self._clock() for _ in range(5))
        number = 1
        self._timer.timeit(2)
        while True:
            taken = self._timer.timeit(number)
            if taken >= min_run_time or (overhead / taken <= 1e-4 and taken >= min_run_time / 1000):
                return number
            number *= 10

    def _clock(self) -> float:
        begin = self._now()
        return self._now() - begin

    def _until(
        self, number: int, least: float, settled: Callable[[list[float]], bool], most: float, callback: Any
    ) -> Measurement:
        times: list[float] = []
        begin = std.default_timer()
        while True:
            times.append(self._timer.timeit(number))
            if callback is not None:
                callback(number, times[-1])
            taken = std.default_timer() - begin
            if taken >= most or (taken >= least and settled(times)):
                return Measurement(number, times, self._spec)


class Compare:
    """A table of measurements: a row a ``sub_label``, a column a ``description``, in one unit."""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Taken for compatibility."""

    def colorize(self, rowwise: bool = False) -> None:
        """Taken for compatibility."""

    def __str__(self) -> str:
        found = Measurement.merge(self._results)
        unit, scale = select_unit(min((m.median for m in found), default=1.0))
        out = []
        for label in dict.fromkeys(m.task_spec.label for m in found):
            group = [m for m in found if m.task_spec.label == label]
            rows = list(dict.fromkeys(m.task_spec.sub_label or m.task_spec.stmt for m in group))
            columns = list(dict.fromkeys(m.task_spec.description or "" for m in group))
            cells = {
                (m.task_spec.sub_label or m.task_spec.stmt, m.task_spec.description or ""): f"{m.median / scale:.1f}"
                for m in group
            }
            left = max(map(len, rows))
            widths = [max(len(c), *(len(cells.get((r, c), "")) for r in rows)) for c in columns]
            lines = ["  |  ".join([" " * left, *(c.rjust(w) for c, w in zip(columns, widths))])]
            for r in rows:
                lines.append(
                    "  |  ".join([r.ljust(left), *(cells.get((r, c), "").rjust(w) for c, w in zip(columns, widths))])
                )
            title = f" {label or ''} ".center(len(lines[0]) + 4, "-")
            out.append("\n".join([f"[{title}]", *(f"  {line}" for line in lines), f"\nTimes are in {unit}."]))
        return "\n\n".join(out)

    def print(self) -> None:
        print(str(self))


__all__ = ["Compare", "Measurement", "TaskSpec", "Timer", "select_unit", "timer"]
