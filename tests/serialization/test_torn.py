"""Killed writers, full disks, flipped bits, and writers beside each other: a small run of scripts/torn_checkpoints.py."""

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lazyxla as lx
from lazyxla.serialization import DamagedFileError, damages

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_small_run_of_the_script():
    script = str(ROOT / "scripts" / "torn_checkpoints.py")
    command = [sys.executable, script, "--kills", "20", "--disks", "6", "--flips", "200", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("all well") == 5, done.stdout + done.stderr


def test_the_script_notices_torn_files(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("torn", ROOT / "scripts" / "torn_checkpoints.py")
    torn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(torn)
    mixed = torn.state(1)
    mixed["model"]["layer2.weight"][5] = 2
    lx.save(mixed, tmp_path / "x.pt")
    with pytest.raises(RuntimeError, match=r"made of versions \[1, 2"):
        torn.version_of(str(tmp_path / "x.pt"))
    monkeypatch.setattr(lx.serialization.container, "seal_of", lambda *a: "0" * 32)
    monkeypatch.setattr(torn.lx, "load", lambda path: None)
    with pytest.raises(RuntimeError, match="was not noticed"):
        list(torn.flips(10, str(tmp_path), 0))


def test_a_hidden_bar_takes_no_lock_that_processes_share(tmp_path, monkeypatch):
    def shown(**options):
        raise RuntimeError("a bar was made")

    monkeypatch.setattr(lx.serialization.own, "tqdm", shown)
    lx.save({"a": 1}, tmp_path / "x.pt")
    lx.save({"a": 2}, tmp_path / "x.pt", progress=False)
    with pytest.raises(RuntimeError, match="a bar was made"):
        lx.save({"a": 3}, tmp_path / "x.pt", progress=True)
    assert lx.load(tmp_path / "x.pt") == {"a": 2}


def test_stale_files_go_and_a_living_writers_stay(tmp_path):
    from lazyxla.serialization.files import Saving, _host

    path = str(tmp_path / "x.pt")
    living = Saving(path)
    dead = [f".x.pt.{_host()}-1-00000000.tmp", "x.pt.00000000-00001-of-00002.safetensors"]
    kept = [".x.pt.00000000-1-00000001.tmp", ".y.pt.tmp", "x.pt.mine", os.path.basename(living.temporary)]
    for name in (*dead, *kept[:3]):
        (tmp_path / name).write_bytes(b"")
    lx.save({"a": 1}, path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "x.pt"])  # another machine's is left until it is a day old
    living.abandon()
    living.file.close()


def test_the_link_and_the_mode_of_a_file_stay(tmp_path):
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    lx.save({"v": 1}, real)
    real.chmod(0o640)
    link.symlink_to(real)
    lx.save({"v": 2}, link)
    assert link.is_symlink() and lx.load(real) == {"v": 2} and real.stat().st_mode & 0o777 == 0o640
    lx.save({"v": 2}, "/dev/null")
    with open(tmp_path / "open.pt", "w+b") as f:
        lx.save({"v": 3}, f)
        f.seek(0)
        assert lx.load(f) == {"v": 3}


def test_threads_that_save_and_load_the_same_path(tmp_path):
    path, failed = tmp_path / "x.pt", []

    def save(v):
        try:
            for _ in range(8):
                lx.save({f"w{i}": lx.full((20,), v) for i in range(4)}, path, max_shard_size=100)
                found = lx.load(path)
                assert len({t[0].item() for t in found.values()}) == 1
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=save, args=(float(v),)) for v in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failed and len(os.listdir(tmp_path)) == 5


def test_messages_name_file_and_tensor(tmp_path):
    path = tmp_path / "x.pt"
    lx.save({"w": lx.ones(50), "v": lx.ones(3)}, path, max_shard_size=200)
    shard = next(f for f in tmp_path.iterdir() if "00001-of-00002" in f.name)
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DamagedFileError, match=rf"{shard.name}: damaged: the values of 'w' are not those"):
        lx.load(path)
    assert lx.load(path, only="v")["v"].tolist() == [1, 1, 1] and len(damages(path)) == 1
    assert lx.load(path, mmap=True)["v"].tolist() == [1, 1, 1]
    with pytest.raises(DamagedFileError, match="the values of 'w'"):
        lx.load(path, mmap=True, check=True)
    shard.write_bytes(data[:-1])
    with pytest.raises(DamagedFileError, match="bytes, but its header tells of"):
        lx.load(path)
    lx.save({"w": lx.zeros(50)}, tmp_path / "other.pt")
    shard.write_bytes((tmp_path / "other.pt").read_bytes())
    with pytest.raises(DamagedFileError, match="of another saving"):
        lx.load(path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="leads to"):
        lx.load(path)
