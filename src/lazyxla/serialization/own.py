"""Checkpoints in our own format: one safetensors file, or several with an index that leads to them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from ..lazy import Tensor, sync, views
from ..lazy.functions.scattering import _root_of
from ..lazy.replay.state import opaque
from . import container
from .container import TREE, Container
from .files import replacing
from .source import DamagedFileError, Source
from .stored import Data, Stored, components, row_major
from .tree import _KINDS, Encoder, decode, text_of

INDEX = "lazyxla.index"
VERSION = "1"
LARGE = 1 << 30  # bytes from which on progress is shown
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


# --- what to write ----------------------------------------------------------------------------------------------


class Piece:
    """Values under a name, fetched when they are written."""

    def __init__(self, name: str, nbytes: int, fetch: Callable[[], np.ndarray]) -> None:
        self.name, self.nbytes, self.fetch = name, nbytes, fetch


def _of_tensor(name: str, t: Tensor) -> Piece:
    value = t.detach()
    return Piece(name, t.nbytes, lambda: value._array("save()"))


def pieces_of(obj: Any) -> tuple[dict[str, Any], list[Piece]]:
    """The structure of a state as JSON, and the values it refers to, each once."""
    encoder = Encoder()
    try:
        form = encoder.encode(obj)
        text_of(form)
    except RecursionError:
        raise ValueError("save(): the state is nested too deeply") from None
    if encoder.tensors:
        opaque("save()")
        sync("save()")
    names: dict[str, int] = {}

    def unique(path: str) -> str:
        path = path if path not in ("", "__metadata__") else "value"
        names[path] = names.get(path, 0) + 1
        return path if names[path] == 1 else unique(f"{path}#{names[path]}")

    pieces: list[Piece] = []
    table: list[Any] = [None] * len(encoder.tensors)
    for group in _by_storage(encoder.tensors):
        data, rows = _group(group, unique)
        pieces += data
        for number, row in rows:
            table[number] = row
    arrays = []
    for path, a in encoder.arrays:
        arrays.append(unique(path))
        pieces.append(Piece(arrays[-1], a.nbytes, lambda a=a: a))  # type: ignore[misc]
    return {"tree": form, "tensors": table, "arrays": arrays}, pieces


def _by_storage(tensors: list[tuple[str, Tensor]]) -> list[list[tuple[int, str, Tensor]]]:
    """Tensors, with number and path, that share memory together."""
    groups: dict[int, list[tuple[int, str, Tensor]]] = {}
    for number, (path, t) in enumerate(tensors):
        domain = None if t._meta is None else t._meta.domain
        groups.setdefault(id(t if domain is None else domain.storage), []).append((number, path, t))
    return list(groups.values())


def _group(group: list[tuple[int, str, Tensor]], unique: Callable[[str], str]) -> tuple[list[Piece], list[Any]]:
    """What to write of tensors on one memory: the whole for those that overlap, else each by itself."""
    pieces: list[Piece] = []
    rows: list[Any] = []

    def row(number: int, name: str, t: Tensor, view: Any) -> None:
        rows.append((number, [name, _KINDS[type(t)], t.requires_grad, str(t.device), view]))

    if len(group) == 1:
        number, path, t = group[0]
        name = unique(path)
        row(number, name, t, None)
        return [_of_tensor(name, t)], rows
    laid = [(tuple(t.shape), *views.layout(t)) for _, _, t in group]
    if len({t.dtype for _, _, t in group}) > 1:
        paths = ", ".join(path or "state" for _, path, _ in group)
        raise RuntimeError(
            f"Cannot save multiple tensors or storages that view the same data as different types: {paths}. Save clone()s"
        )
    root = _root_of(group[0][2])
    for part in components(laid):
        members = [(*group[i], laid[i]) for i in part]
        number, path, t, first = members[0]
        name = unique(path)
        if all(v == first and v[2] == row_major(v[0]) for *_, v in members):
            pieces.append(_of_tensor(name, t))
            for number, _, t, (shape, _, strides) in members:
                row(number, name, t, [shape, 0, strides] if len(members) > 1 else None)
        elif len(members) == 1:
            pieces.append(_of_tensor(name, t))
            row(number, name, t, None)
        else:
            if root.dtype is not t.dtype:
                raise RuntimeError(
                    "Cannot save multiple tensors or storages that view the same data as different types: "
                    f"{path or 'state'} is of {t.dtype.name}, its memory of {root.dtype.name}. Save a clone()"
                )
            pieces.append(_of_tensor(name, root))
            for number, _, t, view in members:
                row(number, name, t, view)
    return pieces, rows


# --- writing ----------------------------------------------------------------------------------------------------


def byte_count(given: int | str) -> int:
    """5000000000 or '5GB' as a number of bytes. ValueError for anything else."""
    if isinstance(given, int) and given > 0:
        return given
    text = str(given).upper().strip()
    unit = next((u for u in sorted(_UNITS, key=len, reverse=True) if text.endswith(u)), "")
    try:
        found = int(float(text.removesuffix(unit)) * _UNITS.get(unit, 1))
    except ValueError:
        found = 0
    if found <= 0:
        raise ValueError(f"save(): max_shard_size={given!r} is no size: give bytes, or text such as '5GB'")
    return found


@contextmanager
def _bar(total: int, progress: bool | None, name: str) -> Iterator[Callable[[int], Any]]:
    """What is told of bytes written. A hidden bar is not even made: tqdm's lock is shared with forked processes, and
    where one of them is killed while it holds that lock, the others would wait for ever."""
    if total >= LARGE and sys.stderr.isatty() if progress is None else progress:
        with tqdm(total=total, unit="B", unit_scale=True, desc=name) as bar:
            yield bar.update
    else:
        yield lambda n: None


def _metadata(structure: dict[str, Any]) -> dict[str, str]:
    return {"format": "lazyxla", "lazyxla.version": VERSION, TREE: text_of(structure)}


def write_stream(put: Callable[[Any], Any], structure: dict[str, Any], pieces: list[Piece]) -> None:
    container.write(put, ((p.name, p.fetch()) for p in pieces), _metadata(structure))


def write_path(
    path: str, structure: dict[str, Any] | None, pieces: list[Piece], most: int | None, progress: bool | None
) -> None:
    """Write a file, or shards with an index; where it fails, the former ones are as they were.

    ``structure`` None: a plain safetensors file.
    """
    shards = [pieces] if most is None else _shards(pieces, most)
    meta = {} if structure is None else _metadata(structure)
    total = sum(p.nbytes for p in pieces)
    if path_is_special(path):
        with open(path, "wb") as f:
            write_stream(f.write, structure or {}, pieces)
        return
    with replacing(path, index_names) as saving, _bar(total, progress, os.path.basename(path)) as advance:
        if len(shards) == 1:
            container.write(saving.file.write, ((p.name, p.fetch()) for p in pieces), meta, advance)
            return
        places, files = {}, {}
        for number, shard in enumerate(shards, 1):
            with saving.piece(number, len(shards)) as (name, f):
                files[name] = container.write(f.write, ((p.name, p.fetch()) for p in shard), {}, advance)
            places.update({p.name: name for p in shard})
        index = {
            **container.blank(INDEX), "metadata": {"total_size": total, **meta}, "files": files, "weight_map": places
        }  # fmt: skip
        saving.file.write(container.sealed(text_of(index).encode(), INDEX)[0])


def path_is_special(path: str) -> bool:
    """Whether the path is a device or a pipe, which is written to and not replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _shards(pieces: list[Piece], most: int) -> list[list[Piece]]:
    out: list[list[Piece]] = [[]]
    size = 0
    for p in pieces:
        if out[-1] and size + p.nbytes > most:
            out.append([])
            size = 0
        out[-1].append(p)
        size += p.nbytes
    return out


# --- reading ----------------------------------------------------------------------------------------------------


def is_index(start: bytes) -> bool:
    """Whether a file that starts so is an index of shards."""
    return start[:1] == b"{" and start[6:9] != b"\0\0{"  # nor the length of a header, which may look so


def read_index(source: Source) -> dict[str, Any]:
    text = bytes(source.take(0, source.size))
    container.seal_of(text, INDEX, source.name)
    return json.loads(text)  # type: ignore[no-any-return]  # as it was written: the seal says so


def index_names(path: str) -> set[str]:
    """The shards that the file at ``path`` leads to: none, unless it is an index."""
    try:
        with open(path, "rb") as f:
            if not is_index(f.read(9)):
                return set()
        source = Source(path)
        try:
            return set(read_index(source)["files"])
        finally:
            source.close()
    except (FileNotFoundError, DamagedFileError):
        return set()


def opened(path: str, mapped: bool, stack: ExitStack, source: Source | None = None) -> Any:
    """(the structure or None, {name: its container}) of a checkpoint in our format, one file or many."""
    source = stack.enter_context(Source(path, mapped=mapped)) if source is None else source
    if not is_index(bytes(source.take(0, min(source.size, 9)))):
        found = Container(source)
        return _structure(found.metadata, source.name), dict.fromkeys(found.entries, found)
    index = read_index(source)
    folder = os.path.dirname(os.path.realpath(path))
    shards = {}
    for name, seal in index["files"].items():
        where = os.path.join(folder, name)
        try:
            shards[name] = Container(stack.enter_context(Source(where, mapped=mapped)))
        except FileNotFoundError:
            raise MissingShardError(f"{path} is an index, and leads to {where}, which is not there") from None
        if shards[name].seal != seal:
            raise DamagedFileError(f"{where}: damaged, or of another saving than {path}")
    return _structure(index["metadata"], path), {k: shards[v] for k, v in index["weight_map"].items()}


class MissingShardError(FileNotFoundError):
    """An index leads to a file that is not there (another saving may have replaced both meanwhile)."""


def _structure(metadata: dict[str, str], name: str) -> Any:
    text = metadata.get(TREE)
    if text is None:
        return None
    if metadata.get("lazyxla.version") != VERSION:
        raise RuntimeError(f"{name}: written by a newer lazyxla (format {metadata.get('lazyxla.version')})")
    return json.loads(text)


def state_of(structure: Any, places: dict[str, Container], check: bool) -> Any:
    """The state, with ``Stored`` for its tensors and arrays; a plain safetensors file's is a dict."""
    known: dict[tuple[str, str], Data] = {}

    def data(name: str, device: str = "cpu") -> Data:
        if (name, device) not in known:
            if name not in places:
                raise DamagedFileError(f"a checkpoint's structure names '{name}', which is not there")
            known[name, device] = Data(name, lambda: places[name].read(name, check), device)
        return known[name, device]

    if structure is None:
        return {name: Stored(data(name)) for name in places}
    table: dict[int, Stored] = {}

    def tensor(number: int) -> Stored:
        if number not in table:
            name, kind, grad, device, view = structure["tensors"][number]
            seen = None if view is None else (tuple(view[0]), view[1], tuple(view[2]))
            table[number] = Stored(data(name, device), seen, kind, grad)
        return table[number]

    def array(number: int) -> Stored:
        return Stored(data(structure["arrays"][number]), kind="array")

    return decode(structure["tree"], tensor, array)


def damages(places: dict[str, Container]) -> Iterator[str]:
    """What is wrong with the values of a checkpoint: a message for each tensor."""
    for name, place in places.items():
        try:
            place.read(name, True)
        except DamagedFileError as e:
            yield str(e)
