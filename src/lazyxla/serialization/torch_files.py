"""Checkpoints that PyTorch wrote: its zip files, and the older ones that are a row of pickles. Only data is read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .source import DamagedFileError, Source
from .stored import Data
from .torch_names import STORAGES, StorageRef, lookup
from .unpickle import Built, Global, Machine, UnsafeFileError

_ZIP = b"PK\x03\x04"
_OLD_MAGIC = 0x1950A86A20F9469CFC6C
_OLD_VERSION = 1001
_LOCAL_HEADER = 30  # bytes, before the name and the extra field


def is_zip(start: bytes) -> bool:
    return start[:4] == _ZIP


def is_old(start: bytes) -> bool:
    """Whether a file that starts so is in PyTorch's format of before 2020 (or another pickle)."""
    return start[:1] == b"\x80"


class Made(Built):
    """An object of a class that the user allowed."""

    def __init__(self, value: Any, ready: Callable[[Any], Any]) -> None:
        super().__init__(value)
        self.ready = ready

    def build(self, state: Any) -> None:
        state = self.ready(state)
        if hasattr(self.value, "__setstate__"):
            self.value.__setstate__(state)
        else:
            self.value.__dict__.update(state)


def _finder(where: str, allowed: dict[str, Any], ready: Callable[[Any], Any]) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        found = lookup(name)
        if found is not None:
            return found
        if name in allowed:
            c = allowed[name]
            return Global(
                name,
                call=lambda *a: Made(c(*ready(a)), ready),
                new=lambda *a: Made(c.__new__(c, *ready(a)), ready) if isinstance(c, type) else None,
            )
        raise UnsafeFileError(
            f"{where}: it names '{name}', which is not among the names of data; nothing of it was run. If you trust its "
            "source, allow the class with lazyxla.serialization.add_safe_globals"
        )

    return find


class _Unknown(Built):
    """What stands for an object of unknown kind while names are only listed."""

    def build(self, state: Any) -> None:
        pass


def _lister(found: list[str], allowed: Iterable[str]) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        known = lookup(name)
        if known is not None:
            return known
        if name not in found and name not in allowed:
            found.append(name)
        return Global(name, call=lambda *a: _Unknown(), new=lambda *a: _Unknown())

    return find


# --- zip files --------------------------------------------------------------------------------------------------


class Archive:
    """A zip checkpoint: its pickle, and its storages, read when they are wanted."""

    def __init__(self, source: Source) -> None:
        self.source = source
        try:
            self.zip = zipfile.ZipFile(source.file if source.data is None else _Buffer(source.data))
            names = self.zip.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as e:
            raise DamagedFileError(f"{source.name}: damaged: no zip file that can be read: {e}") from None
        inside = [n for n in names if n.rpartition("/")[2] == "data.pkl" and n.count("/") <= 1]
        if not inside:
            raise RuntimeError(f"{source.name}: a zip file, but no checkpoint: it has no data.pkl")
        self.root = inside[0].removesuffix("data.pkl")
        if f"{self.root}constants.pkl" in names:
            raise RuntimeError(f"{source.name}: a TorchScript program, which holds code, and no checkpoint")
        order = f"{self.root}byteorder"
        if order in names and self.take("byteorder").tobytes().strip() != b"little":
            raise RuntimeError(f"{source.name}: written by a big-endian machine, whose byte order is not read here")

    def take(self, name: str) -> np.ndarray:
        """The bytes of a member, whose checksum is compared (but of a mapped file)."""
        try:
            info = self.zip.getinfo(self.root + name)
            if self.source.mapped and info.compress_type == zipfile.ZIP_STORED:
                return self._in_place(info)
            return np.frombuffer(self.zip.read(info), np.uint8)
        except KeyError:
            raise DamagedFileError(f"{self.source.name}: damaged: '{name}' is missing") from None
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as e:
            raise DamagedFileError(f"{self.source.name}: damaged: '{name}' cannot be read: {e}") from None

    def _in_place(self, info: zipfile.ZipInfo) -> np.ndarray:
        head = bytes(self.source.take(info.header_offset, _LOCAL_HEADER))
        name, extra = struct.unpack("<HH", head[26:30])
        return self.source.take(info.header_offset + _LOCAL_HEADER + name + extra, info.file_size)

    def state(self, find: Callable[[str], Any]) -> Any:
        known: dict[tuple[str, Any], Data] = {}
        where = self.source.name

        def stored(given: Any) -> StorageRef:
            key, dtype, device, count = _storage(given, where)

            def typed(wanted: Any) -> Data:
                if (key, wanted) not in known:
                    read = lambda: _elements(self.take(f"data/{key}"), wanted, key, where)
                    known[key, wanted] = Data(f"data/{key}", read, device)
                return known[key, wanted]

            return StorageRef(key, dtype, device, count, typed)

        return Machine(self.take("data.pkl").tobytes(), find, stored, where).run()


class _Buffer:
    """Bytes as a file to read, without a copy."""

    def __init__(self, data: Any) -> None:
        self.data, self.at = memoryview(data), 0

    def read(self, count: int = -1) -> bytes:
        end = len(self.data) if count is None or count < 0 else min(self.at + count, len(self.data))
        found = bytes(self.data[self.at : end])
        self.at = max(self.at, end)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self.at, len(self.data))[whence]
        if at < 0:
            raise OSError("a place before the beginning")
        self.at = at
        return at

    def tell(self) -> int:
        return self.at

    def seekable(self) -> bool:
        return True


def _storage(given: Any, where: str) -> tuple[str, Any, str, int]:
    """(key, type, device, elements) of what a pickle says of a storage."""
    if type(given) is not tuple or len(given) < 5 or given[0] != "storage":
        raise UnsafeFileError(f"{where}: it refers to something outside of it, {str(given)[:80]}")
    _, kind, key, device, count = given[:5]
    name = kind.name.rpartition(".")[2].removesuffix("Storage") if type(kind) is Global else ""
    if name not in STORAGES or type(key) is not str or type(device) is not str or type(count) is not int or count < 0:
        raise DamagedFileError(f"{where}: damaged: a storage of {kind!r} with {count!r} elements on {device!r}")
    return key, STORAGES[name], device, count


def _elements(data: np.ndarray, dtype: Any, key: str, where: str) -> np.ndarray:
    if data.nbytes % dtype.itemsize:
        raise DamagedFileError(f"{where}: damaged: storage '{key}' has {data.nbytes} bytes for {dtype.name}")
    if data.ctypes.data % dtype.itemsize:
        data = data.copy()
    return data.view(dtype.numpy)


# --- the older format -------------------------------------------------------------------------------------------


def old_state(source: Source, find: Callable[[str], Any]) -> Any:
    """The state in a row of pickles: magic number, version, facts of the machine, the object, keys; then the storages."""
    data = source.data if source.data is not None else source.take(0, source.size)
    where = source.name
    storages: dict[str, tuple[Any, int]] = {}
    known: dict[tuple[str, Any], Data] = {}
    values: dict[str, np.ndarray] = {}

    def stored(given: Any) -> StorageRef:
        key, dtype, device, count = _storage(given, where)
        if len(given) > 5 and given[5] is not None:
            raise RuntimeError(f"{where}: a view of another storage, as PyTorch wrote before version 0.4: not read here")
        storages[key] = dtype, count

        def typed(wanted: Any) -> Data:
            if (key, wanted) not in known:
                read = lambda: _elements(values[key], wanted, key, where)
                known[key, wanted] = Data(f"storage {key}", read, device)
            return known[key, wanted]

        return StorageRef(key, dtype, device, count, typed)

    machine = Machine(data, _finder(where, {}, lambda x: x), stored, where)
    if machine.run() != _OLD_MAGIC:
        raise UnsafeFileError(f"{where}: a pickle, but no checkpoint of PyTorch's: pickles are not read")
    if machine.run() != _OLD_VERSION:
        raise RuntimeError(f"{where}: PyTorch's old format in a version that is not known here")
    facts = machine.run()
    if isinstance(facts, dict) and facts.get("little_endian") is False:
        raise RuntimeError(f"{where}: written by a big-endian machine, whose byte order is not read here")
    machine.find, machine.memo = find, {}
    obj = machine.run()
    machine.memo = {}
    keys = machine.run()
    at, whole = machine.at, memoryview(data)  # type: ignore[arg-type]
    for key in keys:
        if key not in storages or at + 8 > len(whole):
            raise DamagedFileError(f"{where}: damaged: storage '{key}' is unknown, or missing")
        (count,) = struct.unpack("<q", whole[at : at + 8])
        dtype, wanted = storages[key]
        end = at + 8 + count * dtype.itemsize
        if count != wanted or end > len(whole):
            raise DamagedFileError(f"{where}: damaged: storage '{key}' has {count} elements, expected {wanted}")
        values[key] = np.frombuffer(whole[at + 8 : end], np.uint8)
        at = end
    if set(storages) - set(values):
        raise DamagedFileError(f"{where}: damaged: storages are missing")
    return obj


# --- both -------------------------------------------------------------------------------------------------------


def state_of(source: Source, start: bytes, allowed: dict[str, Any], ready: Callable[[Any], Any]) -> Any:
    """The state in a checkpoint of PyTorch's, with ``Stored`` for its tensors."""
    find = _finder(source.name, allowed, ready)
    return Archive(source).state(find) if is_zip(start) else old_state(source, find)


def unknown_names(source: Source, start: bytes, allowed: Iterable[str]) -> list[str]:
    """The names in a checkpoint of PyTorch's that are neither data's nor allowed."""
    found: list[str] = []
    find = _lister(found, allowed)
    if is_zip(start):
        Archive(source).state(find)
    else:
        old_state(source, find)
    return found


