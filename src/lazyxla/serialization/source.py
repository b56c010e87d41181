"""Where the bytes of a checkpoint come from: a file, a file mapped into memory, or bytes that are there."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

_ALIGNMENT = 64  # bytes: memory that XLA can share is so aligned


class DamagedFileError(RuntimeError):
    """A checkpoint that is not as it was written."""


class Source:
    """Random access to bytes; ``name`` is for messages."""

    def __init__(self, name: str, data: Any = None, mapped: bool = False) -> None:
        self.name, self.mapped = name, mapped
        self.file: Any = None
        if data is not None:
            self.data: Any = data
        else:
            self.file, self.data = open(name, "rb"), None
            if mapped:
                size = os.fstat(self.file.fileno()).st_size
                self.data = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self.size = len(self.data) if self.data is not None else os.fstat(self.file.fileno()).st_size

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was mapped stays as long as arrays lie in it."""
        if self.file is not None:
            self.file.close()

    def take(self, start: int, count: int) -> np.ndarray:
        """Bytes as uint8: a view of what is in memory, else read into memory that XLA can share."""
        if start + count > self.size:
            raise DamagedFileError(f"{self.name}: damaged: {self.size} bytes, of which {start + count} are needed")
        if self.data is not None:
            return np.frombuffer(self.data, np.uint8, count, start)
        room = np.empty(count + _ALIGNMENT, np.uint8)
        skip = -room.ctypes.data % _ALIGNMENT
        out = room[skip : skip + count]
        self.file.seek(start)
        got = self.file.readinto(memoryview(out)) if count else 0  # type: ignore[arg-type]
        if got != count:
            raise DamagedFileError(f"{self.name}: damaged: it ends {count - got} bytes early")
        return out
