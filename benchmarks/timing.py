"""Timing side by side: contestants take turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from absl import logging


def quiet() -> None:
    """jax tells, as information, which accelerators it does not find; tables are easier to read without."""
    logging.set_verbosity(logging.WARNING)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The mean seconds of one call of ``run``, over ``repeats`` calls in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def interleaved(contestants: Mapping[str, Callable[[], float]], rounds: int = 15) -> dict[str, list[float]]:
    """``rounds`` samples of what each contestant returns, a time; who begins changes from round to round."""
    names = list(contestants)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        contestants[name]()  # warm
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            samples[name].append(contestants[name]())
    return samples


def show(title: str, samples: Mapping[str, list[float]], baseline: str | None = None, unit: str = "us") -> None:
    """A table of medians with quartiles and, where a ``baseline`` is named, the median ratio to it, round by round."""
    scale = {"us": 1e6, "ms": 1e3, "s": 1.0}[unit]
    print(title)
    for name, values in samples.items():
        low, middle, high = (scale * q for q in statistics.quantiles(values, n=4))
        line = f"  {name:<44}{middle:>10.2f} {unit}  ({low:.2f} to {high:.2f})"
        if baseline is not None and name != baseline:
            ratios = [mine / other for mine, other in zip(values, samples[baseline], strict=True)]
            line += f"   {statistics.median(ratios):.2f} x {baseline}"
        print(line)
