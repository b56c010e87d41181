"""What recording costs: Python time of one recorded op, and of recognising a graph that is compiled already."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from absl import app, flags

import lazyxla as lx
from lazyxla.lazy.replay import starts
from lazyxla.lowering import execute as engine

from .timing import quiet, seconds, show

_ROUNDS = flags.DEFINE_integer("rounds", 31, "Samples of each figure.", lower_bound=2)
LOOPS = 300  # passes over two ops; below the number of pending ops at which a graph is cut


def recording(requires_grad: bool) -> Callable[[], lx.Tensor]:
    """``z = (z + y) * y``, over and over: two ops a pass."""
    y = lx.ones(4, requires_grad=requires_grad)
    z0 = lx.ones(4)
    lx.sync()

    def run() -> lx.Tensor:
        z = z0
        for _ in range(LOOPS):
            z = (z + y) * y
        return z

    return run


def per_op(run: Callable[[], lx.Tensor], rounds: int) -> list[float]:
    samples = []
    for _ in range(rounds + 2):
        samples.append(seconds(run, 1) / (2 * LOOPS))
        lx.sync()  # nothing that was recorded is alive any more: forgets it, runs nothing
    return samples[2:]


def recognising(rounds: int) -> list[float]:
    """From a pending result to the executable that computes it, which is known; running it is left out."""
    chain = recording(False)
    chain().sum().item()
    pending = chain().sum()
    lx.metrics.reset()
    really_run = engine._run
    engine._run = lambda *graph: (engine._variant(*graph), [])
    try:
        samples = [
            seconds(lambda: engine.execute([pending._node], "benchmark"), 5) / (2 * LOOPS) for _ in range(rounds + 2)
        ]
    finally:
        engine._run = really_run
    if lx.metrics.report(as_dict=True)["compiles"]:
        raise RuntimeError("the graph was not known: this is not the time of a lookup")
    return samples[2:]


def main(argv: list[str]) -> None:
    del argv
    quiet()
    starts.enabled[0] = False  # a loop that is followed records nothing
    starts.begins()
    off = per_op(recording(False), _ROUNDS.value)
    on = per_op(recording(True), _ROUNDS.value)
    known = recognising(_ROUNDS.value)
    show("Python time of one recorded op, z = (z + y) * y", {"requires_grad off": off, "requires_grad on": on})
    print(f"  targets: at most 3 us and 5 us -> {_verdict(off, 3)}, {_verdict(on, 5)}")
    show("Finding the executable of a known graph, for each op in it", {"key and lookup": known})
    print(f"  target: at most 1.5 us -> {_verdict(known, 1.5)}")


def _verdict(samples: list[float], target_us: float) -> str:
    return "met" if statistics.median(samples) * 1e6 <= target_us else "MISSED"


if __name__ == "__main__":
    app.run(main)
