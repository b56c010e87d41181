"""Contestants in processes of their own, waiting for their turns: no library's threads get in another's way."""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from .timing import interleaved, quiet
from .workloads import ALL, SMALL, Workload


class Outcome(NamedTuple):
    """What came of one workload: seconds of each sample, the first call's seconds, and who was left out and why."""

    samples: dict[str, list[float]]
    first: dict[str, float]
    missing: dict[str, str]


def run(workload: Workload, names: list[str], device: str, rounds: int, clock: str = "wall") -> Outcome:
    """Check that all arrive at the same losses, then time them, taking turns. ValueError where losses differ.

    ``clock``: 'wall', or 'cpu' for the processors' time, all threads together.
    """
    spawn = multiprocessing.get_context("spawn")
    losses: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    missing: dict[str, str] = {}
    turns: dict[str, Callable[[], float]] = {}
    pipes, processes = [], []
    try:
        for name in names:
            pipe, theirs = spawn.Pipe()
            given = (workload.name, workload is SMALL.get(workload.name), name, device, theirs)
            process = spawn.Process(target=_contestant, args=given, daemon=True)
            process.start()
            processes.append(process)
            theirs.close()
            try:
                answer = pipe.recv()
            except EOFError:
                answer = f"its process ended, exit code {process.exitcode}"
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
            process.join(timeout=10)
            if process.is_alive():
                process.terminate()
    return Outcome(samples, first, missing)


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


def _contestant(workload: str, small: bool, name: str, device: str, pipe: Any) -> None:
    """Says its first losses and the seconds of its first call; then for each number of steps asked of it, the seconds.

    Where it cannot take part, it says why, in a string.
    """
    quiet()
    task = (SMALL if small else ALL)[workload]
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
