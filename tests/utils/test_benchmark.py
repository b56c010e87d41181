"""The timer measures what statements take, the device's work with them."""

import itertools
import re

import pytest

import lazyxla as lx
from lazyxla.utils import benchmark


def steps(*taken):
    """A clock by which each measurement takes the next of these times, over and over."""
    durations = itertools.cycle(taken)
    now = [0.0, False]

    def clock():
        if now[1]:
            now[0] += next(durations)
        now[1] = not now[1]
        return now[0]

    return clock


def test_one_measurement():
    found = benchmark.Timer("calls.append(1)", globals={"calls": (calls := [])}, timer=steps(2.0)).timeit(4)
    assert found.times == [0.5] and found.mean == found.median == 0.5 and found.iqr == 0
    assert len(calls) == 4 + 2
    assert "500.00 ms" in repr(found) and "1 measurements, 4 runs per measurement" in repr(found)


def test_ranges():
    timer = benchmark.Timer(
        "x @ x", setup="x = torch.ones(8, 8)", label="product", sub_label="8", description="float32"
    )
    found = timer.blocked_autorange(min_run_time=0.02)
    assert len(found.raw_times) >= 1 and 0 < found.median < 1 and found.label == "product"
    assert found.title == "product: 8"
    seen = []
    found = timer.adaptive_autorange(0.5, max_run_time=0.1, callback=lambda n, t: seen.append((n, t)))
    assert seen == [(found.number_per_run, t) for t in found.raw_times]


def test_the_clock_waits_for_what_was_recorded():
    x = lx.ones(16, 16)
    syncs = lx.metrics.report(as_dict=True)["syncs"]
    y = x @ x
    benchmark.timer()
    assert lx.metrics.report(as_dict=True)["syncs"] > syncs
    assert y[0, 0] == 16


def test_the_table():
    def of(label, name, seconds):
        return benchmark.Measurement(1, [seconds], benchmark.TaskSpec("f()", "pass", label, name, "here"))

    text = str(benchmark.Compare([of("sums", "small", 2e-3), of("sums", "large", 5e-2), of("sums", "small", 4e-3)]))
    assert re.search(r"small +\| +3\.0\n", text) and re.search(r"large +\| +50\.0\n", text)
    assert "here" in text and "Times are in ms." in text and " sums " in text


def test_errors():
    with pytest.raises(ValueError, match="expected statements in Python, not in c"):
        benchmark.Timer("f();", language="c++")
    with pytest.raises(NotImplementedError, match="blocked_autorange"):
        benchmark.Timer().repeat()
