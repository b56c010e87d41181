"""Files that are replaced whole or not at all, and what killed writers leave behind, removed by the next."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

STALE = 24 * 3600  # seconds after which a temporary file is dead whose writer cannot be asked


class Saving:
    """A file that is being written beside ``path``, and pieces that it will name; a lock says that its writer lives."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.folder, self.name = os.path.split(self.path)
        self.generation = ""
        self.pieces: list[str] = []
        self.file = self._begin()

    def _begin(self) -> BinaryIO:
        while True:
            self.generation = secrets.token_hex(4)
            self.temporary = os.path.join(self.folder, f".{self.name}.{_host()}-{os.getpid()}-{self.generation}.tmp")
            file = open(self.temporary, "xb")
            # Between the lines above and below, another process may find the file unlocked, and remove it: then a new
            # name is taken. Nobody is waited for.
            with contextlib.suppress(FileNotFoundError):
                if _lock(file.fileno(), own=True):
                    if os.path.samestat(os.stat(self.temporary), os.fstat(file.fileno())):
                        return file
                else:
                    os.unlink(self.temporary)
            file.close()

    @contextlib.contextmanager
    def piece(self, number: int, of: int) -> Iterator[tuple[str, BinaryIO]]:
        """One more file, by a name that no other saving uses; on disk when the block ends."""
        name = f"{self.name}.{self.generation}-{number:05d}-of-{of:05d}.safetensors"
        path = os.path.join(self.folder, name)
        self.pieces.append(path)
        with open(path, "xb") as f:
            yield name, f
            f.flush()
            os.fsync(f.fileno())

    def commit(self) -> None:
        """Put the file in the place of the former one, on disk."""
        self.file.flush()
        with contextlib.suppress(FileNotFoundError):
            os.chmod(self.temporary, os.stat(self.path).st_mode & 0o777)
        os.fsync(self.file.fileno())
        if self.pieces:
            _sync_folder(self.folder)  # the pieces' names before the one that leads to them
        os.replace(self.temporary, self.path)
        _sync_folder(self.folder)

    def abandon(self) -> None:
        for path in (*self.pieces, self.temporary):
            with contextlib.suppress(OSError):
                os.unlink(path)


@contextlib.contextmanager
def replacing(path: str, read_index: Any) -> Iterator[Saving]:
    """Write ``path`` anew: at the end of the block it is whole and on disk; where the block fails, nothing changed.

    ``read_index(path)`` gives the names of the pieces that a file leads to.
    """
    folder, name = os.path.split(os.path.realpath(path))
    clean(folder, name, read_index)  # before there is a new one, so that writers killed in a row leave one at most
    saving = Saving(path)
    try:
        yield saving
        saving.commit()
    except BaseException:
        saving.abandon()
        raise
    finally:
        with contextlib.suppress(OSError):  # what could not be written was reported by the flush before
            saving.file.close()
    clean(folder, name, read_index)


def clean(folder: str, name: str, read_index: Any) -> None:
    """Remove what dead writers of ``name`` left, and pieces that no file leads to. Living writers' files stay."""
    temporary = re.compile(rf"\.{re.escape(name)}\.([0-9a-f]{{8}})-\d+-([0-9a-f]{{8}})\.tmp")
    piece = re.compile(rf"{re.escape(name)}\.([0-9a-f]{{8}})-\d{{5}}-of-\d{{5}}\.safetensors")
    found = os.listdir(folder)
    pieces = {f: m[1] for f in found if (m := piece.fullmatch(f))}
    # A writer's temporary file is there before its pieces and until the name leads to them: so pieces are listed first,
    # then temporary files, and the name is read last.
    living = set()
    for f in os.listdir(folder) if pieces else found:
        m = temporary.fullmatch(f)
        if m is not None and not _removed(os.path.join(folder, f), m[1]):
            living.add(m[2])
    if not pieces:
        return
    used = read_index(os.path.join(folder, name))
    for f, generation in pieces.items():
        if generation not in living and f not in used:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, f))


def _removed(path: str, host: str) -> bool:
    """Whether a temporary file's writer is dead, and the file now removed."""
    try:
        if host != _host() or fcntl is None:
            dead = time.time() - os.stat(path).st_mtime > STALE
        else:
            descriptor = os.open(path, os.O_RDWR)
            try:
                dead = _lock(descriptor, own=False)
                if dead:
                    os.unlink(path)  # while it is locked, so that no new writer takes it for its own
            finally:
                os.close(descriptor)
            return dead
        if dead:
            os.unlink(path)
        return dead
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _lock(descriptor: int, own: bool) -> bool:
    """Whether the lock was to be had; for a process's own file also where the file system knows no locks."""
    if fcntl is None:
        return own
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return own
    return True


def _host() -> str:
    """This machine in a name: locks tell of writers on it only."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # has no such thing
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
