"""The disk cache: what comes back is what was put there, or nothing, whatever happened to the file or who else wrote."""

import os
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from lazyxla.lowering import disk
from lazyxla.lowering.disk import DiskCache

KEY, PAYLOAD = b"a key", bytes(range(256)) * 40


@pytest.fixture
def store(tmp_path):
    return DiskCache(tmp_path / "cache")


def files(store):
    return sorted(os.listdir(store.directory))


def test_round_trip(store):
    assert store.get(KEY) is None
    store.put(KEY, PAYLOAD)
    store.put(b"another", b"")
    assert store.get(KEY) == PAYLOAD
    assert store.get(b"another") == b""
    assert DiskCache(store.directory).get(KEY) == PAYLOAD
    store.put(KEY, b"newer")
    assert store.get(KEY) == b"newer"
    assert len(files(store)) == 2 and not [f for f in files(store) if f.startswith(".")]


def test_every_damage_is_found_reported_once_and_replaced(store):
    store.put(KEY, PAYLOAD)
    path = store.path(KEY)
    with open(path, "rb") as f:
        good = f.read()
    rng = np.random.default_rng(0)
    flips = [(int(at), 1 << int(bit)) for at, bit in zip(rng.integers(0, len(good), 150), rng.integers(0, 8, 150))]
    damaged = [good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :] for at, mask in flips]
    damaged += [good[:n] for n in (0, 1, len(disk.MAGIC), 60, len(good) // 2, len(good) - 1)]
    damaged += [good + b"x", b"\0" * len(good), b"lazyxla-executable-0\n" + good[len(disk.MAGIC) :]]
    for data in damaged:
        with open(path, "wb") as f:
            f.write(data)
        fresh = DiskCache(store.directory)
        with pytest.warns(RuntimeWarning, match="is damaged or foreign; it is ignored and will be replaced"):
            assert fresh.get(KEY) is None
        assert not os.path.exists(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # reported once
            with open(path, "wb") as f:
                f.write(data)
            assert fresh.get(KEY) is None
            fresh.put(KEY, PAYLOAD)
            assert fresh.get(KEY) == PAYLOAD


def test_an_entry_under_another_keys_name_is_foreign(store):
    store.put(KEY, PAYLOAD)
    os.rename(store.path(KEY), store.path(b"other"))
    with pytest.warns(RuntimeWarning, match="damaged or foreign"):
        assert store.get(b"other") is None


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    store = DiskCache(in_the_way / "cache")
    with pytest.warns(RuntimeWarning, match="cannot be written .*going on without it"):
        store.put(KEY, PAYLOAD)
    store.put(KEY, PAYLOAD)  # says nothing more


def test_a_full_disk_leaves_no_torn_entry(store, monkeypatch):
    store.put(KEY, b"old")

    def full(handle, mode):
        os.close(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fdopen", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        store.put(KEY, PAYLOAD)
    assert store.get(KEY) == b"old"
    assert len(files(store)) == 1


def test_the_least_recently_used_go_first(tmp_path):
    store = DiskCache(tmp_path, max_bytes=3500)
    for i in range(3):
        store.put(b"%d" % i, b"x" * 1000)
        os.utime(store.path(b"%d" % i), (1000 + i, 1000 + i))
    assert store.get(b"0") is not None  # used: the youngest now
    store.put(b"3", b"x" * 1000)
    assert store.get(b"1") is None
    assert all(store.get(k) is not None for k in (b"0", b"2", b"3"))


def test_temporary_files_of_dead_writers_are_swept_and_living_ones_left(store):
    store.put(KEY, PAYLOAD)
    old, new = (os.path.join(store.directory, f".writing-{n}") for n in ("old", "new"))
    for path in (old, new):
        open(path, "w").close()
    past = time.time() - disk.STALE - 60
    os.utime(old, (past, past))
    store.put(b"another", PAYLOAD)
    assert not os.path.exists(old) and os.path.exists(new)


WRITER = """
import sys
from lazyxla.lowering.disk import DiskCache
store = DiskCache(sys.argv[1])
for _ in range(60):
    store.put(b"a key", bytes([int(sys.argv[2])]) * 20000)
"""


def test_concurrent_writers_and_a_reader_see_whole_entries(store):
    store.put(KEY, bytes([0]) * 20000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, store.directory, str(i)]) for i in (1, 2)]
    while any(w.poll() is None for w in writers):
        found = store.get(KEY)
        assert found is not None and len(found) == 20000 and len(set(found)) == 1
    assert [w.returncode for w in writers] == [0, 0]
    assert store.get(KEY)[0] in (1, 2)
    assert files(store) == [os.path.basename(store.path(KEY))]


def test_where_it_lies(monkeypatch, tmp_path):
    for off in ("off", "OFF", "0", "none"):
        monkeypatch.setenv("LAZYXLA_CACHE_DIR", off)
        assert disk.default_cache() is None
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", str(tmp_path / "here"))
    assert disk.default_cache().directory == str(tmp_path / "here")
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert disk.default_cache().directory == str(tmp_path / "lazyxla")


PROGRAM = """
import lazyxla as lx, lazyxla.lowering.cache as cache
cache.WORTH_STORING = 0.0
x = lx.arange(6.0, dtype=lx.float64).reshape(2, 3)
print(((x @ x.T).exp() / 1e9).sum().item())
facts = lx.metrics.report(as_dict=True)
print(facts["compiles"], facts["disk_hits"])
"""


def _run(directory):
    environment = {**os.environ, "LAZYXLA_CACHE_DIR": str(directory), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    value, compiles, hits = done.stdout.split()
    return float(value), int(compiles), int(hits), done.stderr


def test_a_second_process_compiles_nothing_and_a_damaged_file_is_compiled_anew(tmp_path):
    value, compiles, hits, _ = _run(tmp_path)
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(value, (np.exp(x @ x.T) / 1e9).sum(), rtol=1e-12)
    assert compiles >= 1 and hits == 0
    assert _run(tmp_path)[:3] == (value, 0, compiles)

    stored = sorted(p for p in tmp_path.iterdir() if p.suffix == ".exe")
    assert len(stored) == compiles
    for p in stored:
        data = bytearray(p.read_bytes())
        data[-10] ^= 1
        p.write_bytes(bytes(data))
    again = _run(tmp_path)
    assert again[:3] == (value, compiles, 0)
    assert again[3].count("RuntimeWarning: compile cache:") == compiles
    assert _run(tmp_path)[:3] == (value, 0, compiles)


def test_a_whole_file_that_is_no_executable_is_compiled_anew(tmp_path):
    value, compiles, _, _ = _run(tmp_path)
    for p in tmp_path.iterdir():
        data = p.read_bytes()
        head = len(disk.MAGIC) + disk.DIGEST
        key = data[head : head + disk.DIGEST]
        body = key + b"not an executable"
        p.write_bytes(disk.MAGIC + disk.hashlib.sha256(body).digest() + body)
    again = _run(tmp_path)
    assert again[:3] == (value, compiles, 0)
    assert "cannot be loaded" in again[3]
