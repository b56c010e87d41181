"""What a program costs besides running: time to the first step, deep and long ones, the second process, memory.

``python -m benchmarks.costs``; each figure is measured in fresh processes that take turns. ``--json`` writes them.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags

from .timing import quiet
from .workloads import ALL, gpt, lstm
from .workloads.base import JIT, LAZYXLA

FLAGS = flags.FLAGS
FIGURES = ("depth", "length", "second", "memory")
flags.DEFINE_list("figures", list(FIGURES), f"Which to measure, of {', '.join(FIGURES)}.")
flags.DEFINE_integer("repeats", 1, "Processes for each number; the median counts.", lower_bound=1)
flags.DEFINE_integer("layers", 48, "Layers of the deep GPT, held against its 4.", lower_bound=8)
flags.DEFINE_integer("length", 1000, "Cells of the long LSTM, held against 100.", lower_bound=101)
flags.DEFINE_list("second", ["mlp", "lstm", "gpt", "resnet"], "Programs that a second process runs again.")
flags.DEFINE_string("json", None, "Where to write the figures.")

Row = dict[str, Any]


# --- in processes of their own ----------------------------------------------------------------------------------


def in_process(job: Callable[..., Row], *args: Any, **environment: str) -> Row:
    """What ``job(*args)`` returns in a fresh process with these variables set; RuntimeError where that ends badly."""
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    with _set(environment):
        process = spawn.Process(target=_run, args=(job, args, theirs))
        process.start()
    theirs.close()
    try:
        found = pipe.recv()
    except EOFError:
        raise RuntimeError(f"the process for {job.__name__}{args} ended, exit code {process.exitcode}") from None
    finally:
        process.join()
    return found  # type: ignore[no-any-return]


@contextlib.contextmanager
def _set(environment: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _run(job: Callable[..., Row], args: tuple[Any, ...], pipe: Any) -> None:
    quiet()
    pipe.send(job(*args))


def first_steps(make: Callable[[], Any]) -> Row:
    """Seconds of making a program, of its first step and of later ones, each until all is computed that is alive."""
    import jax

    import lazyxla as lx

    def waited(run: Callable[[], Any]) -> tuple[Any, float]:
        start = time.perf_counter()
        found = run()
        for array in jax.live_arrays():
            array.block_until_ready()
        return found, time.perf_counter() - start

    step, making = waited(make)
    lx.sync()
    processor = time.process_time()
    _, first = waited(lambda: step(0).item())
    processor = time.process_time() - processor
    later = [waited(lambda i=i: step(i).item())[1] for i in range(1, 6)]
    facts = lx.metrics.report(as_dict=True)
    return {
        "making": making, "first": first, "first, of all cores": processor, "later": statistics.median(later[1:]),
        "compiles": facts["compiles"],
        "compile": max((c["seconds"] for c in facts["recompiles"]), default=0.0), "found on disk": facts["disk_hits"],
        "peak": facts["peak_bytes"], "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }  # fmt: skip


def gpt_of(layers: int) -> Row:
    import lazyxla

    return first_steps(lambda: gpt.program(lazyxla, "xla", layers))


def lstm_of(length: int) -> Row:
    import lazyxla

    return first_steps(lambda: lstm.training(lstm.Sizes(length, 16, 128, 256))(lazyxla, "xla"))


def workload(name: str) -> Row:
    import lazyxla  # noqa: F401  (its import is not part of the figure)

    return first_steps(lambda: ALL[name].contestants[LAZYXLA]("xla"))


def memory_of_jax(name: str) -> Row:
    """What XLA says of the memory of the step that the workload's jax contestant compiles."""
    import jax

    found: Row = {}
    really = jax.jit

    def jit(f: Any, **options: Any) -> Any:
        made = really(f, **options)

        def call(*args: Any) -> Any:
            if not found:
                m = made.lower(*args).compile().memory_analysis()
                found.update(
                    arguments=m.argument_size_in_bytes, results=m.output_size_in_bytes, aliased=m.alias_size_in_bytes,
                    temporary=m.temp_size_in_bytes,
                )  # fmt: skip
            return made(*args)

        return call

    jax.jit = jit
    ALL[name].contestants[JIT]("xla")(0)
    return {**found, "peak": found["arguments"] + found["results"] - found["aliased"] + found["temporary"]}


def memory_of_ours(name: str) -> Row:
    import lazyxla as lx

    step = ALL[name].contestants[LAZYXLA]("xla")
    for i in range(3):
        step(i).item()
    c = lx.metrics.report(as_dict=True)["recompiles"][-1]
    return {
        "arguments": c["argument_bytes"], "results": c["output_bytes"], "aliased": c["alias_bytes"],
        "temporary": c["temporary_bytes"], "peak": c["peak_bytes"],
    }  # fmt: skip


# --- the figures ------------------------------------------------------------------------------------------------


def repeated(jobs: dict[str, Callable[[], Row]], repeats: int) -> dict[str, Row]:
    """Medians of what the jobs return; they take turns."""
    found: dict[str, list[Row]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            found[name].append(job())
    return {name: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for name, rows in found.items()}


def verdict(what: str, found: float, target: float, unit: str = "") -> Row:
    reached = found <= target
    print(f"  {what}: {found:.2f}{unit} (target at most {target:.2f}{unit}: {'reached' if reached else 'MISSED'})")
    return {"what": what, "found": found, "target": target, "reached": reached}


def show(name: str, r: Row) -> None:
    print(
        f"  {name:<28}making {r['making']:6.2f} s   first step {r['first']:7.2f} s "
        f"({r['first, of all cores']:.2f} of all cores)   compiling {r['compile']:6.2f} s   "
        f"a later step {1e3 * r['later']:8.1f} ms"
    )


OFF = {"LAZYXLA_CACHE_DIR": "off"}


def depth() -> Row:
    deep, few = FLAGS.layers, gpt.LAYERS
    print(f"\nA GPT of equal layers, {deep} against {few}: a training step with AdamW, nothing cached")
    found = repeated(
        {f"{n} layers": lambda n=n: in_process(gpt_of, n, **OFF) for n in (few, deep)}
        | {f"{deep} layers in one": lambda: in_process(gpt_of, deep, LAZYXLA_OUTLINE="0", **OFF)},
        FLAGS.repeats,
    )
    for name, r in found.items():
        show(name, r)
    a, b, whole = found.values()
    return {
        "seconds": found,
        "verdicts": [
            verdict("first step, times as long", b["first"] / a["first"], 2.0),
            verdict("beyond a later step, times as long", (b["first"] - b["later"]) / (a["first"] - a["later"]), 2.0),
            verdict("a later step against one program's, times as long", b["later"] / whole["later"], 1.03),
        ],
    }


def length() -> Row:
    print(f"\nAn LSTM as a Python loop, {FLAGS.length} cells against 100: forward, backward, update, nothing cached")
    found = repeated(
        {f"{n} cells": lambda n=n: in_process(lstm_of, n, **OFF) for n in (100, FLAGS.length)}, FLAGS.repeats
    )
    for name, r in found.items():
        show(name, r)
    a, b = found.values()
    return {
        "seconds": found,
        "verdicts": [
            verdict("compiling", b["compile"], 3.0, " s"),
            verdict("compiling, times as long", b["compile"] / a["compile"], 1.1),
        ],
    }


def second() -> Row:
    print("\nThe same program in a second process, by the cache on disk: after import, to the end of the first step")
    rows: Row = {"seconds": {}, "verdicts": []}
    for name in FLAGS.second:
        ratios, pairs = [], []
        for _ in range(FLAGS.repeats):
            with tempfile.TemporaryDirectory() as folder:
                pair = [in_process(workload, name, LAZYXLA_CACHE_DIR=folder) for _ in range(2)]
            if pair[1]["compiles"] > pair[0]["compiles"] or not pair[1]["found on disk"]:
                raise RuntimeError(f"{name}: the second process found nothing: {pair[1]}")
            pairs.append(pair)
            once, again = (r["making"] + r["first"] for r in pair)
            ratios.append(again / once)
        for k, label in enumerate(("first", "second")):
            show(f"{name}, {label} process", pairs[-1][k])
        rows["seconds"][name] = pairs[-1]
        rows["verdicts"].append(verdict(f"{name}, times as long", statistics.median(ratios), 0.3))
    return rows


def memory() -> Row:
    print("\nMemory of a GPT's training step, as XLA states it, against a donated jax.jit step")
    ours, theirs = in_process(memory_of_ours, "gpt", **OFF), in_process(memory_of_jax, "gpt")
    for name, r in (("lazyxla", ours), ("jax.jit", theirs)):
        print(f"  {name:<10}" + "   ".join(f"{k} {v / 1e6:.1f} MB" for k, v in r.items()))
    unaliased = max(0.0, 1 - ours["aliased"] / theirs["aliased"])
    return {
        "bytes": {"lazyxla": ours, "jax.jit": theirs},
        "verdicts": [
            verdict("the most at once, times as much", ours["peak"] / theirs["peak"], 1.05),
            verdict("of what jax.jit gives away, not given away", unaliased, 0.001),
        ],
    }


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}: name figures with --figures")
    if unknown := set(FLAGS.figures) - set(FIGURES):
        raise app.UsageError(f"figures are {', '.join(FIGURES)}; unknown: {', '.join(sorted(unknown))}")
    measure = {"depth": depth, "length": length, "second": second, "memory": memory}
    rows = {name: measure[name]() for name in FLAGS.figures}
    if FLAGS.json:
        part = FLAGS.json + ".part"
        with open(part, "w") as f:
            json.dump(rows, f, indent=1)
        os.replace(part, FLAGS.json)


if __name__ == "__main__":
    app.run(main)
