"""The persistent cache: one checked file an executable, safe against concurrent writers, torn files and full disks."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Iterator

MAGIC = b"lazyxla-executable-1\n"
DIGEST = 32
STALE = 3600.0  # seconds after which a temporary file has been left by a writer that died


class DiskCache:
    """Payloads by key in a directory. Nothing in it is trusted: what fails its checksum is reported once and removed."""

    def __init__(self, directory: str | os.PathLike[str], max_bytes: int = 2 << 30) -> None:
        self.directory = os.fspath(directory)
        self.max_bytes = max_bytes
        self._reported: set[str] = set()
        self._usable = True

    def path(self, key: bytes) -> str:
        return os.path.join(self.directory, hashlib.sha256(key).hexdigest() + ".exe")

    def get(self, key: bytes) -> bytes | None:
        """The payload stored under ``key``, or None."""
        path = self.path(key)
        try:
            with open(path, "rb") as f:
                data = f.read()
        except FileNotFoundError:
            return None
        except OSError as e:
            self._report(path, f"cannot be read ({e.strerror})")
            return None
        payload = _checked(data, key)
        if payload is None:
            self.reject(key, "is damaged or foreign")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # recently used: evicted last
        return payload

    def put(self, key: bytes, payload: bytes) -> None:
        """Store a payload, whole or not at all; a failure to is reported once and does no harm."""
        if not self._usable:
            return
        body = hashlib.sha256(key).digest() + payload
        temporary = None
        try:
            os.makedirs(self.directory, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".writing-")
            with os.fdopen(handle, "wb") as f:
                f.write(MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(temporary, self.path(key))
        except OSError as e:
            self._usable = False
            self._report(self.directory, f"cannot be written ({e.strerror}); going on without it")
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            return
        self._evict()

    def reject(self, key: bytes, reason: str) -> None:
        """Report an entry that cannot be used, and remove it."""
        path = self.path(key)
        self._report(path, f"{reason}; it is ignored and will be replaced")
        with contextlib.suppress(OSError):
            os.unlink(path)

    def _report(self, path: str, what: str) -> None:
        if path not in self._reported:
            self._reported.add(path)
            warnings.warn(f"compile cache: {path} {what}", RuntimeWarning, stacklevel=3)

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        with contextlib.suppress(OSError), os.scandir(self.directory) as found:
            yield from found

    def _evict(self) -> None:
        """Remove temporary files of dead writers, and the least recently used entries beyond ``max_bytes``."""
        entries = []
        for entry in self._entries():
            with contextlib.suppress(OSError):
                facts = entry.stat()
                if entry.name.startswith(".writing-"):
                    if time.time() - facts.st_mtime > STALE:
                        os.unlink(entry.path)
                elif entry.name.endswith(".exe"):
                    entries.append((facts.st_mtime, facts.st_size, entry.path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.max_bytes:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
                total -= size


def _checked(data: bytes, key: bytes) -> bytes | None:
    """The payload of a file's bytes, or None where anything about them is wrong."""
    head = len(MAGIC)
    if len(data) < head + 2 * DIGEST or data[:head] != MAGIC:
        return None
    digest, body = data[head : head + DIGEST], data[head + DIGEST :]
    if hashlib.sha256(body).digest() != digest or body[:DIGEST] != hashlib.sha256(key).digest():
        return None
    return body[DIGEST:]


@functools.cache
def _cache_in(directory: str) -> DiskCache:
    return DiskCache(directory)


def default_cache() -> DiskCache | None:
    """The cache in ``$LAZYXLA_CACHE_DIR`` ('off': none), else in the user's cache directory."""
    directory = os.environ.get("LAZYXLA_CACHE_DIR", "")
    if directory.lower() in ("off", "0", "none"):
        return None
    if not directory:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        directory = os.path.join(home, "lazyxla")
    return _cache_in(directory)
