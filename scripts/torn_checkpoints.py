"""Kill writers of checkpoints, fill their disks and flip bits of their files: ``python scripts/torn_checkpoints.py``.

After each kill and each full disk, the checkpoint must be whole (the former or the new one), and no temporary files may
pile up. Each flipped bit must be found when the file is loaded. Exits with 1 where anything is not so.
"""

from __future__ import annotations

import argparse
import errno
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lazyxla as lx
from lazyxla.serialization import DamagedFileError

SIZES = (1, 200, 3000, 40_000, 150_000)  # elements of the arrays in a checkpoint


def state(version: int) -> dict[str, Any]:
    """A checkpoint whose every part tells its version; NumPy arrays, so that writing it needs no device."""
    arrays = {f"layer{i}.weight": np.full(n, version, np.float32) for i, n in enumerate(SIZES)}
    return {"version": version, "model": arrays, "history": [version] * 20}


def version_of(path: str) -> int:
    """The version of the checkpoint at ``path``, read whole; RuntimeError where its parts are of several."""
    found = lx.load(path)
    version = found["version"]
    parts = {version, *found["history"]}
    for a in found["model"].values():
        parts.update(np.unique(a).tolist())
    if parts != {version} or [a.size for a in found["model"].values()] != list(SIZES):
        raise RuntimeError(f"{path} is made of versions {sorted(parts)}")
    return int(version)


def in_child(work: Callable[[], Any]) -> int:
    """The pid of a forked process that does ``work`` and ends without cleaning up after itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jax warns of forking; the child computes nothing
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def options(sharded: bool) -> dict[str, Any]:
    return {"max_shard_size": "200KB", "progress": False} if sharded else {"progress": False}


def leftovers(folder: str) -> list[str]:
    return [f for f in os.listdir(folder) if f.endswith(".tmp")]


# --- kills ------------------------------------------------------------------------------------------------------


def kills(count: int, folder: str, seed: int, sharded: bool = False) -> Iterator[str]:
    """``kill -9`` of a process that writes one checkpoint after the other, at random moments. Gives what happened."""
    rng = np.random.default_rng(seed)
    path = os.path.join(folder, "model.pt")
    lx.save(state(0), path, **options(sharded))
    start = time.perf_counter()
    for _ in range(5):
        lx.save(state(0), path, **options(sharded))
    typical = (time.perf_counter() - start) / 5
    version = 0
    for _ in range(count):

        def write(first: int = version + 1) -> None:
            for v in range(first, first + 1000):
                lx.save(state(v), path, **options(sharded))

        pid = in_child(write)
        time.sleep(float(rng.uniform(0, 3 * typical)))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        left = leftovers(folder)
        found = version_of(path)
        if found < version:
            raise RuntimeError(f"version {found} after {version}")
        if len(left) > 1:
            raise RuntimeError(f"temporary files pile up: {left}")
        yield ("torn" if left else "between") + (", an older one kept" if found == version else ", a newer one there")
        version = found
    lx.save(state(version), path, **options(sharded))
    expected = 1 + (len(os.listdir(folder)) - 1 if sharded else 0)
    if leftovers(folder) or len(os.listdir(folder)) != expected:
        raise RuntimeError(f"files left over: {os.listdir(folder)}")


# --- full disks -------------------------------------------------------------------------------------------------


def disks(count: int, folder: str, seed: int, sharded: bool = False) -> Iterator[str]:
    """Saving where the disk is full after a random number of bytes. Gives what happened.

    In turn: a limit of the file's size that the system enforces, and writes that fail as those on a full disk do.
    """
    rng = np.random.default_rng(seed)
    path = os.path.join(folder, "model.pt")
    lx.save(state(0), path, **options(sharded))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    for i in range(count):
        room = int(rng.integers(0, size // (4 if sharded else 1)))
        limit = _limit_file_size if i % 2 == 0 else _limit_writes

        def write(room: int = room, limit: Any = limit) -> None:
            limit(room)
            try:
                lx.save(state(1), path, **options(sharded))
            except OSError as e:
                if e.errno not in (errno.EFBIG, errno.ENOSPC):
                    raise
            else:
                os._exit(3)

        _, status = os.waitpid(in_child(write), 0)
        code = os.waitstatus_to_exitcode(status)
        found = version_of(path)
        if code == 3:
            raise RuntimeError(f"a disk with room for {room} bytes was not noticed")
        if code != 0 or found != 0:
            raise RuntimeError(f"room for {room} bytes: the writer ended with {code}, the checkpoint is version {found}")
        if leftovers(folder):
            raise RuntimeError(f"temporary files are left: {leftovers(folder)}")
        yield "file size limit" if limit is _limit_file_size else "no space left"


def _limit_file_size(room: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writes fail instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def _limit_writes(room: int) -> None:
    """Make files opened for writing fail with ENOSPC after ``room`` bytes (in this process, which is a child)."""
    import builtins
    import io

    left = [room]
    plain = builtins.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:  # type: ignore[override]
            given = memoryview(data).cast("B")
            if not left[0] and len(given):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = super().write(given[: left[0]])
            left[0] -= written
            return written

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode not in ("xb", "wb"):
            return plain(file, mode, *args, **kwargs)
        return io.BufferedWriter(Full(file, mode[0]))

    builtins.open = opened  # type: ignore[assignment]


# --- flipped bits -----------------------------------------------------------------------------------------------


def flips(count: int, folder: str, seed: int) -> Iterator[str]:
    """A copy of a checkpoint with one bit flipped at a random place, loaded: it must be refused. Gives what was said.

    Every bit of the header is as likely as one of the data, though it is the smaller part.
    """
    rng = np.random.default_rng(seed)
    path = os.path.join(folder, "model.pt")
    weights = {f"w{i}": lx.tensor(rng.standard_normal(50 + i).astype(np.float32)) for i in range(6)}
    lx.save({"epoch": 3, "model": weights, "text": "x" * 40, "list": [1.5, None, True]}, path)
    with open(path, "rb") as f:
        good = f.read()
    header = 8 + int.from_bytes(good[:8], "little")
    for i in range(count):
        at = int(rng.integers(0, header)) if i % 2 else int(rng.integers(header, len(good)))
        bad = bytearray(good)
        bad[at] ^= 1 << int(rng.integers(0, 8))
        with open(path, "wb") as f:
            f.write(bad)
        try:
            lx.load(path)
        except DamagedFileError as e:
            if path not in str(e) or (at >= header and "'model.w" not in str(e)):
                raise RuntimeError(f"the message does not say where: {e}") from None
            yield "in the header" if at < header else "in a tensor"
        else:
            raise RuntimeError(f"a flipped bit of byte {at} was not noticed")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--disks", type=int, default=100)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    trials = [
        ("kills, one file", lambda d: kills(given.kills - given.kills // 2, d, given.seed)),
        ("kills, shards", lambda d: kills(given.kills // 2, d, given.seed + 1, sharded=True)),
        ("full disks, one file", lambda d: disks(given.disks - given.disks // 2, d, given.seed + 2)),
        ("full disks, shards", lambda d: disks(given.disks // 2, d, given.seed + 3, sharded=True)),
        ("flipped bits", lambda d: flips(given.flips, d, given.seed + 4)),
    ]
    failed = 0
    for name, trial in trials:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            seen: Counter[str] = Counter()
            try:
                seen.update(trial(folder))
                outcome = "all well"
            except RuntimeError as e:
                outcome, failed = f"FAILED: {e}", 1
        kinds = "; ".join(f"{n} {kind}" for kind, n in sorted(seen.items()))
        print(f"{name}: {seen.total()} ({kinds}): {outcome}, {time.perf_counter() - start:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
