"""Pipes: of an iterable, of the files of a folder, of files opened."""

from __future__ import annotations

import copy
import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..datapipe import IterDataPipe, functional_datapipe


class IterableWrapper(IterDataPipe):
    """The elements of an iterable, of which each iteration takes a copy (``deepcopy``)."""

    def __init__(self, iterable: Iterable[Any], deepcopy: bool = True) -> None:
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self) -> Iterator[Any]:
        yield from copy.deepcopy(self.iterable) if self.deepcopy else self.iterable

    def __len__(self) -> int:
        return len(self.iterable)  # type: ignore[arg-type]


class _OfLength(IterDataPipe):
    length: int

    def __len__(self) -> int:
        if self.length < 0:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


@functional_datapipe("list_files")
class FileLister(_OfLength):
    """The paths of files below folders, in order of their names, that match one of the masks."""

    def __init__(
        self, root: str | Sequence[str] | IterDataPipe = ".", masks: str | Sequence[str] = "", *, recursive: bool = False,
        abspath: bool = False, non_deterministic: bool = False, length: int = -1,
    ) -> None:  # fmt: skip
        self.roots: Any = [root] if isinstance(root, (str, os.PathLike)) else root
        self.masks = [masks] if isinstance(masks, str) else list(masks)
        self.recursive, self.abspath, self.length = recursive, abspath, length

    def __iter__(self) -> Iterator[str]:
        for root in self.roots:
            for folder, folders, names in os.walk(os.path.abspath(root) if self.abspath else root):
                folders.sort()
                if not self.recursive:
                    folders.clear()
                for name in sorted(names):
                    if any(m == "" or fnmatch.fnmatch(name, m) for m in self.masks):
                        yield os.path.join(folder, name)


@functional_datapipe("open_files")
class FileOpener(_OfLength):
    """Paths with their files, opened; the program closes them."""

    def __init__(self, datapipe: Iterable[str], mode: str = "r", encoding: str | None = None, length: int = -1) -> None:
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        if "b" in mode and encoding is not None:
            raise ValueError("binary mode doesn't take an encoding argument")
        self.datapipe, self.encoding, self.length = datapipe, encoding, length
        self.mode = mode if "r" in mode else "r" + mode

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for path in self.datapipe:
            yield path, open(path, self.mode, encoding=self.encoding)


__all__ = ["FileLister", "FileOpener", "IterDataPipe", "IterableWrapper"]
