"""Contestants in processes of their own, waiting for their turns: no library's threads get in another's way."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from .timing import interleaved, quiet
from .workloads import ALL, SMALL, Workload


class Outcome(NamedTuple):
    """What came of one workload: seconds of each sample, the first call's seconds, and who was left out and why."""

    samples: dict[str, list[float]]
    first: dict[str, float]
    missing: dict[str, str]


def run(
    workload: Workload,
    names: list[str],
    device: str,
    rounds: int,
    clock: str = "wall",
    pythons: Mapping[str, str] | None = None,
) -> Outcome:
    """Check that all arrive at the same losses, then time them, taking turns. ValueError where losses differ.

    ``clock``: 'wall', or 'cpu' for the processors' time, all threads together. ``pythons``: the interpreters of contestants
    whose library lives in an environment of its own.
    """
    from tqdm import tqdm  # which such an environment need not have

    losses: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    missing: dict[str, str] = {}
    turns: dict[str, Callable[[], float]] = {}
    pipes, processes = [], []
    try:
        for name in names:
            pipe, process = _started(workload, name, device, (pythons or {}).get(name, sys.executable))
            processes.append(process)
            try:
                answer = pipe.recv()
            except EOFError:
                answer = f"its process ended, exit code {process.wait()}"
            if isinstance(answer, str):
                missing[name] = answer
                continue
            losses[name], first[name] = answer
            turns[name] = lambda pipe=pipe: (pipe.send(workload.steps) or pipe.recv())[clock]
            pipes.append(pipe)
        _agree(workload, losses)
        bar = tqdm(total=len(turns) * (rounds + 1), desc=workload.name, leave=False)
        counted = {name: lambda turn=turn: (turn(), bar.update())[0] for name, turn in turns.items()}
        samples = interleaved(counted, rounds) if turns else {}
        bar.close()
    finally:
        for pipe in pipes:
            pipe.send(0)
        for process in processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
    return Outcome(samples, first, missing)


def _started(workload: Workload, name: str, device: str, python: str) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A contestant in a process of its own, and the pipe to it."""
    ours, theirs = multiprocessing.Pipe()
    given = ["small" if workload is SMALL.get(workload.name) else "whole", workload.name, name, device]
    command = [python, "-m", "benchmarks.contest", str(theirs.fileno()), *given]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    return ours, process


def _agree(workload: Workload, losses: dict[str, list[float]]) -> None:
    reference = next(iter(losses), None)
    for name, found in losses.items():
        expected = losses[reference]
        if not np.allclose(found, expected, rtol=workload.tolerance, atol=workload.absolute):
            raise ValueError(f"{workload.name}: {name} arrives at the losses {found}, {reference} at {expected}")


def _settle(step: Callable[[int], Any], steps: int) -> None:
    """As many steps as it takes until nobody compiles anything better beside the running program."""
    for i in range(steps):
        loss = step(i)
    loss.item()
    for thread in threading.enumerate():
        if thread.name == "lazyxla-blocks":
            thread.join()


def _contestant(pipe: Any, size: str, workload: str, name: str, device: str) -> None:
    """Says its first losses and the seconds of its first call; then for each number of steps asked of it, the seconds.

    Where it cannot take part, it says why, in a string.
    """
    quiet()
    task = (SMALL if size == "small" else ALL)[workload]
    try:
        step = task.contestants[name](device)
        start = time.perf_counter()
        losses = [step(0).item()]
        first = time.perf_counter() - start
        losses += [step(i).item() for i in range(1, task.checked)]
        _settle(step, task.settling)
    except ImportError as e:
        pipe.send(f"not installed ({e})")
        return
    except Exception:
        pipe.send(traceback.format_exc(limit=-3))
        return
    pipe.send((losses, first))
    while steps := pipe.recv():
        start, busy = time.perf_counter(), time.process_time()
        for i in range(steps):
            loss = step(i)
        loss.item()  # waits for the last: every step needs the one before, or is waited for with it
        found = {"wall": time.perf_counter() - start, "cpu": time.process_time() - busy}
        pipe.send({name: seconds / steps for name, seconds in found.items()})


if __name__ == "__main__":
    _contestant(Connection(int(sys.argv[1])), *sys.argv[2:])
