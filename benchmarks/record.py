"""What recording costs: Python time of one recorded op, and of recognising a graph that is already compiled."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable

from _timing import seconds, show
from absl import app, flags

import lazyxla as lx

_ROUNDS = flags.DEFINE_integer("rounds", 31, "Samples of each figure.", lower_bound=2)
LOOPS = 300  # passes over two ops; below the number of pending ops at which a graph is cut


def recording(requires_grad: bool) -> Callable[[], None]:
    """``z = (z + y) * y``, over and over: two ops a pass."""
    y = lx.ones(4, requires_grad=requires_grad)
    z0 = lx.ones(4)
    lx.sync()

    def run() -> None:
        z = z0
        for _ in range(LOOPS):
            z = (z + y) * y

    return run


def per_op(run: Callable[[], None], rounds: int) -> list[float]:
    samples = []
    for _ in range(rounds + 2):
        samples.append(seconds(run, 1) / (2 * LOOPS))
        lx.sync()  # nothing that was recorded is alive any more: forgets it, runs nothing
    return samples[2:]


def main(argv: list[str]) -> None:
    del argv
    gc.disable()
    off = per_op(recording(False), _ROUNDS.value)
    on = per_op(recording(True), _ROUNDS.value)
    show("Python time of one recorded op, z = (z + y) * y", {"requires_grad off": off, "requires_grad on": on})
    print(f"  targets: at most 3 us and 5 us -> {_verdict(off, 3)}, {_verdict(on, 5)}")


def _verdict(samples: list[float], target_us: float) -> str:
    return "met" if statistics.median(samples) * 1e6 <= target_us else "MISSED"


if __name__ == "__main__":
    app.run(main)
