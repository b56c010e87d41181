"""Programs with much temporary memory: stored plainly, compiled again in blocks when they have run often."""

import threading

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.devices import RuntimeFailure, compiler, memory
from lazyxla.lowering import blocks, cache, disk, stored

FACTS = ("programs_in_blocks", "disk_hits", "compiles")


@pytest.fixture
def short(monkeypatch, tmp_path):
    """Blocks of 4 KiB after three runs, and a disk cache of its own."""
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: True)
    monkeypatch.setattr(memory, "BLOCK", 4096)
    monkeypatch.setattr(blocks, "RUNS", 3)
    monkeypatch.setattr(cache, "WORTH_STORING", 0.0)
    lx.lowering.clear_cache()
    disk._cache_in.cache_clear()


def facts():
    found = lx.metrics.report(as_dict=True)
    return {name: found[name] for name in FACTS}


def wait():
    for thread in threading.enumerate():
        if thread.name == "lazyxla-blocks":
            thread.join()


def run(i, size=40):
    x = lx.full((size, size), float(i))
    y = x @ x
    return (y @ y.sort(dim=0).values).sum().item()


def test_a_program_that_runs_often_takes_blocks_and_keeps_its_results(short):
    expected = [run(i) for i in range(2)]
    lx.metrics.reset()
    found = [run(i % 2) for i in range(6)]
    wait()
    assert facts()["programs_in_blocks"] >= 1
    found += [run(i % 2) for i in range(4)]
    assert found == [expected[i % 2] for i in range(10)]


def test_such_a_program_is_found_on_disk_and_takes_blocks_there_too(short):
    for i in range(5):
        expected = run(i, size=41)
    wait()
    lx.lowering.clear_cache()
    lx.metrics.reset()
    for i in range(5):
        found = run(i, size=41)
    wait()
    assert found == expected
    after = facts()
    assert after["compiles"] == 0 and after["disk_hits"] > 0 and after["programs_in_blocks"] > 0


def test_an_xla_without_blocks_runs_on(short, monkeypatch):
    run(0, size=42)  # compiled
    run(1, size=42)

    def refuse(*_):
        raise RuntimeFailure("no blocks")

    monkeypatch.setattr(compiler, "compile_module", refuse)
    lx.metrics.reset()
    assert len({run(1, size=42) for _ in range(6)}) == 1
    wait()
    assert facts()["programs_in_blocks"] == 0


def test_the_file_holds_what_compiling_again_takes(short):
    from lazyxla.lowering.debug import plan_for

    x = lx.tensor(np.ones((43, 43), np.float32))
    y = x @ x
    plan = plan_for(y @ y.sort(dim=0).values)
    device = plan.order[plan.roots[0]].sig.aval.device
    found, digests, _ = cache.made(plan, device)
    assert found.recipe is not None
    again, _ = stored.unpack(stored.pack(found, digests), device, lambda _: None)
    assert again.recipe == found.recipe
