"""Worker processes: what they send, and every way in which they end."""

import glob
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parent))
from kit import Examples, Shared, no_init

METHODS = ["forkserver", "fork"]
ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
WORKERS = {"num_workers": 2}


@pytest.fixture(scope="module", autouse=True)
def xla_runs():
    assert (lx.ones(3) + 1).sum().item() == 6


def indices(loader):
    return [b["i"].tolist() for b in loader]


@pytest.mark.parametrize("method", METHODS)
def test_values_arrive_and_can_be_computed_with(method):
    seen = []
    for b in DataLoader(Examples(), 8, multiprocessing_context=method, **WORKERS):
        i = b["i"].numpy()
        np.testing.assert_array_equal(b["x"].numpy(), np.repeat(6 * i[:, None] + 1, 5, 1).astype(np.float32))
        np.testing.assert_array_equal(b["a"].numpy(), np.broadcast_to(i[:, None, None], (8, 60, 60)))
        np.testing.assert_array_equal((b["a"] * 2).sum((1, 2)).numpy(), 7200.0 * i)
        assert b["s"] == [str(k) for k in i] and b["x"].device.type == "cpu"
        seen += i.tolist()
    assert seen == list(range(48))


def test_a_seed_says_the_order_and_what_workers_draw():
    def epoch(**options):
        lx.manual_seed(7)
        return list(DataLoader(Examples(), 8, shuffle=True, **options))

    a, b, here = epoch(**WORKERS), epoch(**WORKERS), epoch()
    for x, y in zip(a, b):
        assert x["r"].tolist() == y["r"].tolist() and x["numpy"].tolist() == y["numpy"].tolist()
    assert [x["i"].tolist() for x in a] == [x["i"].tolist() for x in b] == [x["i"].tolist() for x in here]
    seeds = {s for x in a for s in x["seeds"].tolist()}
    assert len(seeds) == 2 and max(seeds) - min(seeds) == 1


@pytest.mark.parametrize("method", METHODS)
def test_heavy_operations_in_a_worker(method):
    found = [b.tolist() for b in DataLoader(Examples(8, "conv"), 4, multiprocessing_context=method, **WORKERS)]
    assert found == [[18, 19, 20, 21], [22, 23, 24, 25]]


def test_iterable_data_sets_are_shared_out():
    found = [b.tolist() for b in DataLoader(Shared(), 4, **WORKERS)]
    assert sorted(itertools.chain(*found)) == list(range(21))
    assert found[:2] == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_keeps_its_class_and_traceback(method):
    with pytest.raises(KeyError, match=r"Caught KeyError in DataLoader worker process 0") as e:
        indices(DataLoader(Examples(fault="raise"), 8, multiprocessing_context=method, **WORKERS))
    assert "kit.py" in str(e.value) and "no such" in str(e.value) and "\n" in repr(e.value)


def test_an_exception_of_worker_init_fn():
    with pytest.raises(ValueError, match="worker 0 does not want to"):
        indices(DataLoader(Examples(), 8, worker_init_fn=no_init, **WORKERS))


def test_the_next_batch_can_be_had_after_an_exception():
    batches = iter(DataLoader(Examples(fault="raise"), 8, **WORKERS))
    assert [next(batches)["i"][0].item(), next(batches)["i"][0].item()] == [0, 8]
    with pytest.raises(KeyError):
        next(batches)
    assert next(batches)["i"][0].item() == 24


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_worker_is_reported_at_once(method):
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader worker 0 \(pid \d+\) is killed by signal: Killed \(SIGKILL\)"):
        indices(DataLoader(Examples(fault="kill"), 8, multiprocessing_context=method, **WORKERS))
    assert time.monotonic() - began < 10


def test_timeout():
    with pytest.raises(RuntimeError, match="DataLoader timed out after 0.5 seconds"):
        indices(DataLoader(Examples(fault="slow"), 8, timeout=0.5, multiprocessing_context="fork", **WORKERS))


def test_an_iterator_given_up_leaves_nothing():
    before = set(glob.glob("/dev/shm/psm_*"))
    batches = iter(DataLoader(Examples(400), 8, multiprocessing_context="fork", **WORKERS))
    for _ in range(9):
        next(batches)
    mapped = [s for own in batches.workers.segments for s in own.segments.values()]
    assert mapped, "shared memory was not used"
    processes = batches.workers.processes
    assert all(p.is_alive() for p in processes)
    del batches
    assert [p.exitcode for p in processes] == [0, 0]
    assert not set(glob.glob("/dev/shm/psm_*")) - before


def test_persistent_workers_stay_and_an_epoch_left_early_is_forgotten():
    loader = DataLoader(Examples(), 8, persistent_workers=True, pin_memory=True, **WORKERS)
    pids = set()
    for epoch in range(4):
        seen = []
        for b in loader:
            seen += b["i"].tolist()
            if epoch % 2:
                break
        assert seen == list(range(8 if epoch % 2 else 48))
        pids.add(tuple(p.pid for p in loader._workers_iterator.workers.processes))
    assert len(pids) == 1


def test_out_of_order():
    assert sorted(itertools.chain(*indices(DataLoader(Examples(), 8, in_order=False, **WORKERS)))) == list(range(48))


def test_what_cannot_be_sent_is_forked_or_refused():
    before = set(multiprocessing.active_children())
    batch = {"collate_fn": lambda examples: examples, "num_workers": 1}
    assert list(DataLoader([3, 4], 2, **batch)) == [[3, 4]]
    with pytest.raises(Exception, match="lambda") as e:
        iter(DataLoader([3, 4], 2, multiprocessing_context="forkserver", **batch))
    assert "importable by name" in e.value.__notes__[0]
    with pytest.raises(RuntimeError, match="a tensor on xla:0 is not sent to or from a worker process"):
        iter(DataLoader(TensorDataset(lx.ones(4, device="xla")), num_workers=1))
    assert set(multiprocessing.active_children()) <= before


FORKED = """
import os, warnings
import lazyxla as lx
warnings.simplefilter("ignore")
x = (lx.ones(3) + 1)
assert x.sum().item() == 6
pid = os.fork()
if pid == 0:
    try:
        (x * 2).numpy()
    except RuntimeError as e:
        assert "forked after XLA had started" in str(e), e
        assert x.tolist() == [2, 2, 2]
        os._exit(7)
    os._exit(1)
print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
"""


def run(code, *, stop=None):
    p = subprocess.Popen([sys.executable, "-c" if stop is None else "-uc", code], env=ENV, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    if stop is not None:
        assert p.stdout.readline().strip() == "going"
        os.killpg(p.pid, stop)
    out, err = p.communicate(timeout=60)
    return p, out, err


def running(group):
    """The processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in "ZX":
            found.append(stat.parent.name)
    return found


def test_a_forked_child_that_computes_is_told_why_not():
    assert run(FORKED)[1].strip() == "7"


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background commands ignore
from lazyxla.utils.data import DataLoader
from kit import Examples
for b in DataLoader(Examples(10**6), 4, num_workers=2):
    print("going")
"""


def test_ctrl_c_ends_all():
    before = set(glob.glob("/dev/shm/psm_*"))
    p, _, err = run(INTERRUPTED, stop=signal.SIGINT)
    assert "KeyboardInterrupt" in err and "leaked" not in err and err.count("Traceback") == 1
    deadline = time.monotonic() + 10
    while running(p.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(p.pid)
    assert not set(glob.glob("/dev/shm/psm_*")) - before


UNGUARDED = """
import sys
import lazyxla as lx
from lazyxla.utils.data import DataLoader, Dataset
print(lx.ones(2).sum().item())
class Mine(Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return lx.tensor([i]) + 1
print([b.tolist() for b in DataLoader(Mine(), 2, num_workers=2)])
try:
    iter(DataLoader(Mine(), 2, num_workers=2, multiprocessing_context="spawn"))
except RuntimeError as e:
    print(e)
kept = iter(DataLoader(Mine(), 2, num_workers=1))
next(kept)
"""


def test_a_script_without_a_guard_and_an_iterator_kept_to_the_end(tmp_path):
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "script.py")], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "" and done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:2] == ["2.0", "[[[1], [2]], [[3], [4]]]"]
    assert "would come to" in lines[2] and "script.py:11 again" in lines[2] and "if __name__ == '__main__'" in lines[3]
