"""Run the workloads side by side: ``python -m benchmarks --against torch,jax``.

Contestants take turns in one run, so that a busy machine slows all alike; losses are compared before anything is timed.
Prints a table of medians and ratios, and writes it as JSON and as a picture if asked.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from typing import Any

from absl import app, flags

from .contest import Outcome, run
from .workloads import ALL, SMALL, Workload
from .workloads.base import EAGER, INDUCTOR, NUMPY, PYTORCH_XLA

FLAGS = flags.FLAGS
flags.DEFINE_list("workloads", None, f"Which to run, of {', '.join(ALL)}; all if not named.")
flags.DEFINE_list(
    "against", ["torch", "jax"], "Whom to run against, of torch, jax, torch_xla and numpy; none if empty."
)
flags.DEFINE_string(
    "torch_xla_python", sys.executable, "The Python that has PyTorch/XLA, which wants a PyTorch of its own."
)
flags.DEFINE_bool("small", False, f"On few numbers, to see that they run: {', '.join(SMALL)}.")
flags.DEFINE_integer("rounds", 9, "Samples of each contestant.", lower_bound=2)
flags.DEFINE_enum(
    "clock", "wall", ["wall", "cpu"], "What is measured; the processors' time is steadier on a busy machine."
)
flags.DEFINE_string("device", "xla", "Where to run: xla is the best device present; the others take theirs.")
flags.DEFINE_string("json", None, "Where to write the figures.")
flags.DEFINE_string("picture", None, "Where to draw them.")

Row = dict[str, Any]


def taking_part(workload: Workload, against: list[str]) -> list[str]:
    others = {NUMPY: "numpy", PYTORCH_XLA: "torch_xla"}

    def library(name: str) -> str:
        if name.startswith("lazyxla"):
            return "lazyxla"
        if name in others:
            return others[name]
        return "torch" if name in (EAGER, INDUCTOR) or name.startswith("PyTorch") else "jax"

    return [name for name in workload.contestants if library(name) in ("lazyxla", *against)]


def ratio(outcome: Outcome, ours: str, other: str) -> float:
    """How many times as fast ours is: the median over rounds."""
    return statistics.median(b / a for a, b in zip(outcome.samples[ours], outcome.samples[other], strict=True))


def tell(workload: Workload, outcome: Outcome) -> Row:
    print(f"\n{workload.name}: {workload.what}")
    row: Row = {"what": workload.what, "milliseconds": {}, "first call, seconds": outcome.first, "ratios": []}
    for name, samples in outcome.samples.items():
        low, middle, high = (1e3 * q for q in statistics.quantiles(samples, n=4))
        row["milliseconds"][name] = {"median": middle, "quartiles": [low, high]}
        print(f"  {name:<24}{middle:>10.2f} ms  ({low:.2f} to {high:.2f})   first call {outcome.first[name]:.2f} s")
    for (ours, other), target in workload.targets.items():
        if ours in outcome.samples and other in outcome.samples:
            found = ratio(outcome, ours, other)
            row["ratios"].append({"ours": ours, "against": other, "ratio": found, "target": target})
            verdict = "reached" if found >= target else "MISSED"
            print(f"  {ours} is {found:.2f} x as fast as {other} (target {target:.2f}: {verdict})")
    for name, why in outcome.missing.items():
        print(f"  {name} left out: {why}")
    return row


def draw(rows: dict[str, Row], path: str) -> None:
    """Bars on a log scale, a group for each workload."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(n for row in rows.values() for n in row["milliseconds"]))
    figure, axes = plt.subplots(figsize=(1.7 * len(rows) + 3, 4.5), layout="constrained")
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        at = [i for i, row in enumerate(rows.values()) if name in row["milliseconds"]]
        heights = [row["milliseconds"][name]["median"] for row in rows.values() if name in row["milliseconds"]]
        axes.bar([i + (k - (len(names) - 1) / 2) * width for i in at], heights, width, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds a step, less is better")
    axes.set_xticks(range(len(rows)), list(rows))
    axes.legend(fontsize="small", ncols=2)
    part = path + ".part"
    figure.savefig(part, format="png", dpi=120)
    os.replace(part, path)
    plt.close(figure)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}: name workloads with --workloads")
    known = SMALL if FLAGS.small else ALL
    unknown = [name for name in FLAGS.workloads or () if name not in known]
    if unknown or not set(FLAGS.against) <= {"torch", "jax", "torch_xla", "numpy"}:
        raise app.UsageError(f"workloads are {', '.join(known)}; against may be any of torch, jax, torch_xla and numpy")
    rows, pythons = {}, {PYTORCH_XLA: FLAGS.torch_xla_python}
    for name in FLAGS.workloads or known:
        workload = known[name]
        names = taking_part(workload, FLAGS.against)
        rows[name] = tell(workload, run(workload, names, FLAGS.device, FLAGS.rounds, FLAGS.clock, pythons))
    if FLAGS.json:
        part = FLAGS.json + ".part"
        with open(part, "w") as f:
            json.dump(rows, f, indent=1)
        os.replace(part, FLAGS.json)
    if FLAGS.picture:
        draw(rows, FLAGS.picture)


if __name__ == "__main__":
    app.run(main)
