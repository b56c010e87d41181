"""Programs that run often are compiled again: with temporary memory in blocks, with results over results of before."""

import threading

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.devices import RuntimeFailure, compiler, memory, spares
from lazyxla.lowering import cache, disk, often, stored

FACTS = ("programs_in_blocks", "disk_hits", "compiles")


@pytest.fixture
def short(monkeypatch, tmp_path):
    """Blocks of 4 KiB after three runs, and a disk cache of its own."""
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: True)
    monkeypatch.setattr(memory, "BLOCK", 4096)
    monkeypatch.setattr(often, "RUNS", 3)
    monkeypatch.setattr(cache, "WORTH_STORING", 0.0)
    lx.lowering.clear_cache()
    disk._cache_in.cache_clear()


def facts():
    found = lx.metrics.report(as_dict=True)
    return {name: found[name] for name in FACTS}


def wait():
    for thread in threading.enumerate():
        if thread.name == "lazyxla-often":
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


@pytest.fixture
def large(short, monkeypatch):
    """Results of 4 KiB are large ones, places are looked for after three runs, and there is memory for six of them."""
    monkeypatch.setattr(memory, "BLOCK", 1 << 40)
    monkeypatch.setattr(spares, "LARGE", 4096)
    monkeypatch.setattr(spares, "KEPT", 6 * 4096)
    spares.empty()
    lx.metrics.reset()
    yield
    wait()  # or the next test would count what is still compiled for this one
    spares.empty()


N = 1024
RAMP = np.arange(N, dtype=np.float32)


def start(f, *arguments):
    """Run ``f`` until it has been compiled again."""
    for _ in range(4):
        f(*arguments).numpy()
        wait()
    assert lx.metrics.report(as_dict=True)["programs_over_results"] == 1


def place(t):
    return t._node.buffer.unsafe_buffer_pointer()


def test_results_lie_where_those_lay_that_nobody_wants(large):
    def f(x):
        return x.sin() * x - 3

    x = lx.tensor(RAMP)
    start(f, x)
    places = []
    for _ in range(6):
        y = f(x)
        np.testing.assert_allclose(y.numpy(), np.sin(RAMP) * RAMP - 3, rtol=1e-5, atol=1e-4)
        places.append(place(y))
    assert len(set(places[2:])) <= 2


HOLDERS = {
    "the tensor": lambda y: y,
    "a detached tensor": lambda y: y.detach(),
    "a view of NumPy's": lambda y: y.numpy()[::2],
    "another library, by DLPack": lambda y: np.from_dlpack(y),
    "JAX": lambda y: y.to_jax(),
    "a program that has not run yet": lambda y: y * 2,
}


@pytest.mark.parametrize("who", HOLDERS)
def test_a_result_that_is_wanted_stays(large, who):
    def f(x):
        return x.cos() * x + 5

    x = lx.tensor(RAMP)
    start(f, x)
    held, expected = [], []
    for i in range(30):
        y = f(lx.tensor(RAMP + i)) if i % 3 else f(x)
        lx.sync()
        expected.append(np.array(HOLDERS[who](y.clone())))
        held.append(HOLDERS[who](y))
        del y
    for h, e in zip(held, expected):
        np.testing.assert_array_equal(np.asarray(h), e)


def test_a_program_whose_results_live_on_keeps_none(large):
    def f(x):
        return x.tan() * x + 7

    x = lx.tensor(RAMP)
    start(f, x)
    spares.empty()
    results = [f(x) for _ in range(1 + spares.PATIENCE) if lx.sync() is None]
    lx.sync()
    assert len(results) > spares.PATIENCE
    assert all(s.bytes() == 0 for s in spares._all)


def test_what_another_program_consumes_is_not_kept_for_it(large):
    def f(x):
        return x.exp() * 1e-3 + 9

    x = lx.tensor(RAMP / N)
    start(f, x)
    y = f(x)
    lx.sync()
    before = place(y)
    y = y * 2  # the old value dies: its memory is the new one's
    lx.sync()
    assert place(y) == before
    np.testing.assert_allclose(y.numpy(), 2 * (np.exp(RAMP / N) * 1e-3 + 9), rtol=1e-6)


def test_arguments_that_are_given_away_come_first(large):
    @lx.compile
    def step(state, x):
        state.mul_(0.5).add_(x)
        return state * 3

    state, x = lx.zeros(N), lx.tensor(RAMP)
    expected = np.zeros(N, np.float32)
    for _ in range(12):
        found = step(state, x)
        expected = expected * np.float32(0.5) + RAMP
        np.testing.assert_allclose(found.numpy(), expected * 3, rtol=1e-6)
        np.testing.assert_allclose(state.numpy(), expected, rtol=1e-6)
        wait()
    assert lx.metrics.report(as_dict=True)["programs_over_results"] >= 1


def test_no_more_is_kept_than_there_is_memory_for(large):
    def each(k):
        return lambda x: (x + k).log1p() * x

    x = lx.tensor(RAMP)
    programs = [each(k) for k in range(1, 6)]
    for f in programs:
        for _ in range(5):
            f(x).pow(1 + 1 / 3).sort().values.numpy()
            wait()
    assert 0 < sum(s.bytes() for s in spares._all) <= spares.KEPT
    lx.accelerator.empty_cache()
    assert sum(s.bytes() for s in spares._all) == 0
