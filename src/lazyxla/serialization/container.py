"""One safetensors file with checksums: each tensor's in the metadata, and a seal over the header and its length."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..lazy import dtypes
from .source import DamagedFileError, Source

LONGEST_HEADER = 100_000_000  # bytes, the format's own limit
SEAL, SUMS, PAIRS, TREE = "lazyxla.seal", "lazyxla.sums", "lazyxla.pairs", "lazyxla.tree"
_OURS = re.compile(rb"lazyxla\.[a-z]+")
_BLANK = "0" * 32
_PIECE = 1 << 26  # bytes written at once
_ALIGNMENT = 64  # bytes, of the first tensor

_D: Any = dtypes
CODES = {
    "BOOL": _D.bool_, "U8": _D.uint8, "U16": _D.uint16, "U32": _D.uint32, "U64": _D.uint64, "I8": _D.int8,
    "I16": _D.int16, "I32": _D.int32, "I64": _D.int64, "F8_E4M3": _D.float8_e4m3fn, "F8_E5M2": _D.float8_e5m2,
    "F16": _D.float16, "BF16": _D.bfloat16, "F32": _D.float32, "F64": _D.float64, "C64": _D.complex64,
}  # fmt: skip
_NAMES = {d.numpy: code for code, d in CODES.items() if code != "C64"}
NARROW = {d.numpy: d.wide.numpy for d in (_D.int4, _D.uint4)}  # a type that the format has not
COMPLEX = {np.dtype(np.complex64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.float64)}


def flat_bytes(array: np.ndarray) -> memoryview:
    """An array's bytes in row-major order; of a contiguous one, without a copy."""
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type]


def plain(array: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones in a last dim, which every reader of the format knows; integers of four bits as
    those of eight."""
    if array.dtype in NARROW:
        return array.astype(NARROW[array.dtype])
    real = COMPLEX.get(array.dtype)
    return array if real is None else np.ascontiguousarray(array).view(real).reshape(*array.shape, 2)  # type: ignore[call-overload]


def seal_of(data: bytes, key: str, what: str) -> str:
    """The digest of a text in which the seal itself, under ``key``, counts as zeros. DamagedFileError without one."""
    found = re.search(rb'"%s": ?"([^"]{32})"' % re.escape(key.encode()), data)
    if found is None:
        raise DamagedFileError(f"{what}: damaged: its seal is missing")
    blanked = data[: found.start(1)] + _BLANK.encode() + data[found.end(1) :]
    digest = hashlib.blake2b(blanked, digest_size=16).hexdigest()
    if digest.encode() != found[1]:
        raise DamagedFileError(f"{what}: damaged: its header is not the one that was written")
    return digest


def sealed(data: bytes, key: str) -> tuple[bytes, str]:
    """A text with the seal put where it has zeros for it, and the seal."""
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return data.replace(f'"{key}":"{_BLANK}"'.encode(), f'"{key}":"{digest}"'.encode(), 1), digest


def blank(key: str) -> dict[str, str]:
    return {key: _BLANK}


def write(
    put: Callable[[Any], Any], tensors: Iterable[tuple[str, np.ndarray]], metadata: dict[str, str],
    advance: Callable[[int], Any] = lambda n: None,
) -> str:  # fmt: skip
    """Write a file by ``put(bytes)``: tensors with the widest types first, so that each is aligned. Gives the seal."""
    given = sorted(((n, plain(a), a.dtype) for n, a in tensors), key=lambda t: -t[1].dtype.itemsize)
    pairs = {name: dtype.name for name, _, dtype in given if dtype in COMPLEX or dtype in NARROW}
    sums = {name: f"{zlib.crc32(flat_bytes(array)):08x}" for name, array, _ in given}
    meta = {"format": "pt", **blank(SEAL), SUMS: json.dumps(sums, separators=(",", ":"))}
    if pairs:
        meta[PAIRS] = json.dumps(pairs, separators=(",", ":"))
    header: dict[str, Any] = {"__metadata__": {**meta, **metadata}}
    at = 0
    for name, array, _ in given:
        header[name] = {
            "dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]
        }  # fmt: skip
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    if len(text) > LONGEST_HEADER:
        raise ValueError(
            f"save(): {len(text)} bytes of structure, more than the {LONGEST_HEADER} that a file's header holds: keep long "
            "lists of numbers as tensors"
        )
    whole, seal = sealed(struct.pack("<Q", len(text)) + text, SEAL)
    put(whole)
    for _, array, _ in given:
        data = flat_bytes(array)
        for start in range(0, len(data), _PIECE):
            put(data[start : start + _PIECE])
            advance(min(_PIECE, len(data) - start))
    return seal


class Container:
    """A safetensors file that is open for reading; its header is checked at once, a tensor when it is read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        name = source.name
        if source.size < 8:
            raise DamagedFileError(f"{name}: no checkpoint: {source.size} bytes")
        (length,) = struct.unpack("<Q", bytes(source.take(0, 8)))
        if length > min(source.size - 8, LONGEST_HEADER):
            raise DamagedFileError(
                f"{name}: damaged or no checkpoint: a header of {length} bytes in a file of {source.size}"
            )
        text = bytes(source.take(8, length))
        # One of several such names survives any one flipped bit, so a damaged file of ours is not taken for another's.
        marks = len(_OURS.findall(text))
        self.seal = seal_of(struct.pack("<Q", length) + text, SEAL, name) if marks else None
        try:
            header = json.loads(text)
            self.metadata: dict[str, str] = header.pop("__metadata__", {})
            self.entries = {k: _Entry(k, v) for k, v in header.items()}
            self.sums = json.loads(self.metadata.get(SUMS, "{}"))
            self.pairs = json.loads(self.metadata.get(PAIRS, "{}"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise DamagedFileError(f"{name}: damaged or no checkpoint: its header cannot be read: {e}") from None
        self.start = 8 + length
        self._check_layout()

    def _check_layout(self) -> None:
        at = 0
        for e in sorted(self.entries.values(), key=lambda e: (e.start, e.end)):
            if e.start != at or e.end < e.start:
                raise DamagedFileError(f"{self.source.name}: damaged: '{e.name}' begins at {e.start}, expected {at}")
            if e.end - e.start != e.nbytes:
                raise DamagedFileError(
                    f"{self.source.name}: damaged: '{e.name}' takes {e.end - e.start} bytes, its shape {e.nbytes}"
                )
            at = e.end
        if self.start + at != self.source.size:
            raise DamagedFileError(
                f"{self.source.name}: damaged: {self.source.size} bytes, but its header tells of {self.start + at}"
            )

    def read(self, name: str, check: bool) -> np.ndarray:
        """A tensor's values; DamagedFileError where ``check`` finds them to be others than were written."""
        e = self.entries[name]
        dtype = e.dtype(self.source.name)
        data = self.source.take(self.start + e.start, e.end - e.start)
        if check and self.seal is not None and f"{zlib.crc32(memoryview(data)):08x}" != self.sums.get(name):  # type: ignore[arg-type]
            raise DamagedFileError(f"{self.source.name}: damaged: the values of '{name}' are not those that were written")
        if data.ctypes.data % dtype.itemsize:
            data = data.copy()
        found = data.view(dtype).reshape(e.shape)
        kind = None if name not in self.pairs else np.dtype(self.pairs[name])
        if kind in NARROW:
            return found.astype(kind)
        return found if kind is None else found.view(kind).reshape(e.shape[:-1])


class _Entry:
    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.name, self.code = name, entry["dtype"]
        self.start, self.end = entry["data_offsets"]
        self.shape = tuple(entry["shape"])
        if not all(type(n) is int and n >= 0 for n in (*self.shape, self.start, self.end)):
            raise ValueError(f"sizes of '{name}' that are none")

    @property
    def nbytes(self) -> int:
        found = CODES.get(self.code)
        size = self.end - self.start if found is None else found.itemsize
        for n in self.shape if found is not None else ():
            size *= n
        return size

    def dtype(self, where: str) -> np.dtype:
        if self.code not in CODES:
            raise RuntimeError(f"{where}: '{self.name}' is of type {self.code}, which no tensor here has")
        return CODES[self.code].numpy
