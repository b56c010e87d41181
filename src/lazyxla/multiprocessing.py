"""Python's ``multiprocessing`` by PyTorch's name, and ``spawn``. Tensors are sent by their values: no
process has another's memory."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import *  # noqa: F403
from multiprocessing.connection import wait
from typing import Any

__all__ = [
    *multiprocessing.__all__,
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]

_strategy = ["file_system"]


def get_all_sharing_strategies() -> set[str]:
    return {"file_system"}


def get_sharing_strategy() -> str:
    return _strategy[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Kept, without effect: no tensor is shared."""
    if new_strategy not in ("file_system", "file_descriptor"):
        raise ValueError(f"sharing strategy must be 'file_system' or 'file_descriptor', not {new_strategy!r}")
    _strategy[0] = new_strategy


class ProcessException(Exception):
    """A process of ``spawn`` did not end well."""

    def __init__(self, msg: str, error_index: int, pid: int | None) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """It ended with an exception."""


class ProcessExitedException(ProcessException):
    """It ended without one: with an exit code, or by a signal."""

    def __init__(self, msg: str, error_index: int, pid: int | None, exit_code: int | None) -> None:
        super().__init__(msg, error_index, pid)
        self.exit_code = exit_code


class ProcessContext:
    """Processes that run."""

    def __init__(self, processes: list[Any], errors: list[Any]) -> None:
        self.processes, self._errors = processes, errors

    def pids(self) -> list[int | None]:
        return [p.pid for p in self.processes]

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of one, or of all where none fails: whether all ended. The first that fails ends the others."""
        waiting = {p.sentinel: i for i, p in enumerate(self.processes) if p.exitcode is None}
        ended = [waiting[s] for s in wait(list(waiting), timeout)] if waiting else []
        for i in ended:
            self.processes[i].join()
        failed = next((i for i, p in enumerate(self.processes) if p.exitcode), None)
        if failed is None:
            return all(p.exitcode == 0 for p in self.processes)
        for p in self.processes:
            if p.is_alive():
                p.terminate()
            p.join()
        raise self._failure(failed)

    def _failure(self, i: int) -> ProcessException:
        process = self.processes[i]
        with suppress(EOFError):
            if self._errors[i].poll():
                what = f"\n\n-- Process {i} terminated with the following error:\n{self._errors[i].recv()}"
                return ProcessRaisedException(what, i, process.pid)
        how = f"exit code {process.exitcode}" if process.exitcode > 0 else f"signal {-process.exitcode}"
        return ProcessExitedException(f"process {i} terminated with {how}", i, process.pid, process.exitcode)


def _run(fn: Callable[..., Any], i: int, args: tuple[Any, ...], errors: Any) -> None:
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.send(traceback.format_exc())
        raise SystemExit(1) from None


def start_processes(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """``fn(i, *args)`` in processes 0 to ``nprocs - 1``; with ``join``, waits, and raises what one of them raised."""
    context: Any = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for i in range(nprocs):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(fn, i, args, sender), daemon=daemon)
        process.start()
        sender.close()
        processes.append(process)
        errors.append(receiver)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """``start_processes`` with fresh processes."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
