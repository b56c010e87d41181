"""``lazyxla.profiler``: where time goes: the host's own spans, XLA's compiles, and each program's run, measured.

Inside ``profile`` each compiled program is waited for, so that its time is known: steps overlap less than without it.
"""

from __future__ import annotations

import enum
import functools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .lazy import metrics
from .lazy.record import user_line
from .lowering import profiling


class ProfilerActivity(enum.Enum):
    """What is looked at: the host and its programs; XLA's devices are waited for on the host, so all say the same."""

    CPU, CUDA, XPU, XLA = range(4)


class ProfilerAction(enum.Enum):
    """What a profiler does in a step."""

    NONE, WARMUP, RECORD, RECORD_AND_SAVE = range(4)


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0
) -> Callable[[int], ProfilerAction]:
    """For each step, what to do: ``skip_first`` once, then rounds (``repeat`` of them, 0: for ever) of ``wait`` steps of
    nothing, ``warmup`` steps, and ``active`` recorded ones."""
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError("Invalid profiler schedule arguments: active must be positive, the others not negative")

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        size = wait + warmup + active
        if step < 0 or (repeat and step >= repeat * size):
            return ProfilerAction.NONE
        place = step % size
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if place == size - 1 else ProfilerAction.RECORD

    return action


class Event:
    """All spans of one name: their number, total time, and operations of floating point that XLA counts in them."""

    def __init__(self, name: str, kind: str) -> None:
        self.key, self.kind, self.count, self.seconds, self.flops = name, kind, 0, 0.0, 0.0

    @property
    def cpu_time_total(self) -> float:
        """Microseconds on the host, waiting for programs included."""
        return self.seconds * 1e6

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / max(self.count, 1)


class EventList(list[Event]):
    """What ``key_averages()`` gives."""

    def table(self, sort_by: str | None = None, row_limit: int = 100, **_: Any) -> str:
        """A table, the longest first, or by ``count`` or ``flops``."""
        order = {"count": lambda e: e.count, "flops": lambda e: e.flops}.get(sort_by or "", lambda e: e.seconds)
        rows = [f"{'name':<48}{'kind':<10}{'calls':>8}{'total ms':>12}{'mean us':>12}{'GFLOP/s':>10}"]
        for e in sorted(self, key=order, reverse=True)[: row_limit if row_limit > 0 else None]:
            rate = f"{e.flops / e.seconds / 1e9:.2f}" if e.flops and e.seconds else ""
            rows.append(
                f"{e.key[:47]:<48}{e.kind:<10}{e.count:>8}{e.seconds * 1e3:>12.3f}{e.cpu_time:>12.1f}{rate:>10}"
            )
        return "\n".join(rows)


class _Spans:
    """The spans of one recording; times are seconds of one clock."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, float, float, int, dict[str, Any]]] = []

    def add(self, name: str, kind: str, start: float, end: float, **facts: Any) -> None:
        self.spans.append((name, kind, start, end, threading.get_ident(), facts))


_current: _Spans | None = None


class record_function:
    """A span with a name of the program's own; a context manager or a decorator."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        if _current is not None:
            _current.add(self.name, "user", self._start, time.perf_counter())

    def __call__(self, f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return f(*args, **kwargs)

        return inside


class profile:
    """Measure what runs inside: ``with profile() as p: ...``, then ``p.key_averages().table()``.

    schedule: what to do in each step; ``p.step()`` ends a step. on_trace_ready: called with the profiler when a round ends.
    with_stack: say the user's line of each program. activities, record_shapes, profile_memory, with_flops, with_modules:
    accepted; flops are always told where XLA counts them.
    Raises RuntimeError inside another ``profile``.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None, on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False, profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
        with_modules: bool = False, experimental_config: Any = None, acc_events: bool = False, use_cuda: Any = None,
    ) -> None:  # fmt: skip
        self.activities = set(activities or ProfilerActivity)
        self._action = schedule or (lambda _: ProfilerAction.RECORD)
        self._ready, self._stack = on_trace_ready, with_stack
        self.step_num = 0
        self._recorded = _Spans()
        self._counts: dict[str, int] = {}
        self._step_started: float | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> None:
        if _current is not None or profiling.listener[0] is not None:
            raise RuntimeError("a profiler is already running: profilers are not used inside each other")
        self._turn(ProfilerAction.NONE, self._action(0))

    def stop(self) -> None:
        self._end_step()
        was_on = _current is not None
        self._off()
        if was_on and self._ready is not None:
            self._ready(self)

    def step(self) -> None:
        """A step ends, and the next begins."""
        self._end_step()
        before = self._action(self.step_num)
        self.step_num += 1
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._off()
            if self._ready is not None:
                self._ready(self)
        self._turn(before, self._action(self.step_num))

    def _turn(self, before: ProfilerAction, now: ProfilerAction) -> None:
        if now in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE):
            if _current is None:
                self._on()
            self._step_started = time.perf_counter()

    def _end_step(self) -> None:
        if _current is not None and self._step_started is not None:
            _current.add(f"ProfilerStep#{self.step_num}", "step", self._step_started, time.perf_counter())
        self._step_started = None

    def _on(self) -> None:
        global _current
        self._recorded = _current = _Spans()
        self._before = metrics.report(as_dict=True)
        profiling.listener[0] = self._heard

    def _off(self) -> None:
        global _current
        if _current is not None:
            now = metrics.report(as_dict=True)
            self._counts = {k: now[k] - self._before[k] for k in now if type(now[k]) is int and k != "peak_bytes"}
        _current = None
        profiling.ends()

    def _heard(self, kind: str, name: str, start: float, end: float, flops: float) -> None:
        facts = {"flops": flops} if flops else {}
        line = {"line": user_line()} if self._stack else {}
        self._recorded.add(name, kind, start, end, **facts, **line)

    # --- what was found ---

    @property
    def counts(self) -> dict[str, int]:
        """What ``lazyxla.metrics`` counted meanwhile: operations recorded, programs run and compiled, and so on."""
        return dict(self._counts)

    def events(self) -> list[tuple[str, str, float, float, int, dict[str, Any]]]:
        """All spans: name, kind, start and end in seconds, thread, facts."""
        return list(self._recorded.spans)

    def key_averages(self, *_: Any, **__: Any) -> EventList:
        """The spans by name. Kinds: 'user' and 'step' (they contain the others), 'compile', 'execute'."""
        found: dict[tuple[str, str], Event] = {}
        for name, kind, start, end, _thread, facts in self._recorded.spans:
            name = "ProfilerStep*" if kind == "step" else name
            e = found.setdefault((name, kind), Event(name, kind))
            e.count += 1
            e.seconds += end - start
            e.flops += facts.get("flops", 0.0)
        return EventList(found.values())

    def export_chrome_trace(self, path: str) -> None:
        """Write a trace for chrome://tracing or Perfetto."""
        pid = os.getpid()
        events: list[dict[str, Any]] = [
            {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": "lazyxla"}}
        ]
        events += [
            {"ph": "X", "name": n, "cat": k, "ts": a * 1e6, "dur": (b - a) * 1e6, "pid": pid, "tid": t, "args": facts}
            for n, k, a, b, t, facts in self._recorded.spans
        ]
        partly = f"{path}.{pid}.part"
        with open(partly, "w", encoding="utf-8") as f:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms", "counts": self._counts}, f)
        os.replace(partly, path)


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """For ``on_trace_ready=``: writes each round's trace into a folder, as ``WORKER.TIME.pt.trace.json``."""
    if use_gzip:
        raise NotImplementedError("tensorboard_trace_handler: use_gzip=True is not supported; the trace is written as JSON")

    def write(p: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        p.export_chrome_trace(os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json"))

    return write


__all__ = [
    "ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule", "tensorboard_trace_handler",
]  # fmt: skip
