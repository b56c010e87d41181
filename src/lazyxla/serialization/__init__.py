"""Checkpoints: nested state in one file (or shards of it), written whole or not at all, and read without running code.

``save`` and ``load`` are ``lazyxla.save`` and ``lazyxla.load``. The format is in docs/checkpoints.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, TypeAlias

import numpy as np

from ..devices import Device
from ..lazy import Tensor
from . import own, torch_files
from .source import DamagedFileError, Source
from .stored import Builder, chosen, collect
from .unpickle import UnsafeFileError

__all__ = [
    "MAP_LOCATION", "DamagedFileError", "UnsafeFileError", "add_safe_globals", "clear_safe_globals", "damages",
    "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load", "safe_globals", "save",
]  # fmt: skip

MAP_LOCATION: TypeAlias = Callable[[Tensor, str], Any] | Device | str | Mapping[str, str] | None
_TRIES = 3  # readings of an index whose shards another saving replaces meanwhile


def save(
    obj: Any, f: Any, pickle_module: None = None, pickle_protocol: int | None = None,
    _use_new_zipfile_serialization: bool = True, *, max_shard_size: int | str | None = None,
    progress: bool | None = None,
) -> None:  # fmt: skip
    """Save nested state (dicts, lists, numbers, text, arrays, tensors...) in a file, which is replaced whole or not at all.

    ``f`` is a path or a file to write to. A path that ends in '.safetensors' takes a flat dict of tensors. With
    ``max_shard_size`` (bytes, or '5GB') a larger state goes to several files that ``f`` leads to. A progress bar is
    shown from 1 GiB on, or as ``progress`` says. TypeError names the place of what cannot be saved.
    """
    if pickle_module is not None:
        raise TypeError("save(): pickle_module is given, but nothing is pickled: pass a state of data")
    most = None if max_shard_size is None else own.byte_count(max_shard_size)
    if hasattr(f, "write"):
        if most is not None:
            raise ValueError("save(): max_shard_size needs a path: shards are files beside it")
        own.write_stream(f.write, *own.pieces_of(obj))
        return
    path = os.fspath(f)
    if path.endswith(".safetensors"):
        own.write_path(path, None, _flat(obj), most, progress)
    else:
        own.write_path(path, *own.pieces_of(obj), most, progress)


def _flat(obj: Any) -> list[own.Piece]:
    """The tensors of a plain safetensors file; TypeError for a state that is more than a dict of them."""
    if not isinstance(obj, Mapping):
        raise TypeError(f"save(): a .safetensors file holds a dict of tensors, not a {type(obj).__name__}")
    pieces = []
    for name, value in obj.items():
        if type(name) is not str or name == "__metadata__" or not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(
                f"save(): a .safetensors file holds a dict of tensors by name, and state[{name!r}] is a "
                f"{type(value).__name__}: give the file another ending"
            )
        _, found = own.pieces_of(value.detach() if isinstance(value, Tensor) else np.ascontiguousarray(value))
        pieces.append(own.Piece(name, found[0].nbytes, found[0].fetch))
    return pieces


def load(
    f: Any, map_location: MAP_LOCATION = None, pickle_module: None = None, *, weights_only: bool | None = True,
    mmap: bool | None = None, only: Any = None, check: bool | None = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """The state that ``save`` put into a file; of PyTorch's checkpoints and of safetensors files too. No code is run.

    ``map_location`` says where tensors go: a device, a dict from device names to others, or a function of a tensor and
    the name of the device it was on. ``only`` takes a part: a prefix of 'key.key', several, or a function of it.
    ``mmap`` leaves tensors in the file until they are used; their checksums are then compared only if ``check`` says so.

    DamagedFileError (a RuntimeError) names the file and tensor that are not as they were written, UnsafeFileError (a
    RuntimeError) what only running code could make, whatever ``weights_only`` says.
    """
    if pickle_module is not None:
        raise TypeError("load(): pickle_module is given, but nothing is unpickled")
    check = not mmap if check is None else check
    for tries in range(_TRIES):
        builder = Builder(map_location)
        with ExitStack() as stack:
            try:
                state = _state(f, bool(mmap), check, stack, builder.replace)
                if only is not None:
                    state = chosen(state, only)
                builder.plan(collect(state))
                return builder.replace(state)
            except own.MissingShardError:
                if tries == _TRIES - 1:
                    raise
    raise AssertionError("not reached")


def _source(f: Any, mapped: bool, stack: ExitStack) -> tuple[Source, str]:
    if not hasattr(f, "read"):
        path = os.fspath(f)
        if os.path.isdir(path):
            raise IsADirectoryError(f"load(): {path} is a folder, not a checkpoint")
        return stack.enter_context(Source(path, mapped=mapped)), path
    if mapped:
        raise ValueError("load(): mmap=True needs a path, not an open file")
    name = getattr(f, "name", None)
    data = f.read()
    if not isinstance(data, bytes):
        raise TypeError("load(): the file gives text, not bytes: open it with mode 'rb'")
    return Source(name if isinstance(name, str) else "the buffer", data), ""


def _state(f: Any, mapped: bool, check: bool, stack: ExitStack, ready: Callable[[Any], Any]) -> Any:
    source, path = _source(f, mapped, stack)
    if source.size == 0:
        raise EOFError(f"load(): {source.name} is empty")
    start = bytes(source.take(0, min(source.size, 9)))
    if torch_files.is_zip(start) or (torch_files.is_old(start) and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        if not _looks_like_ours(source):
            return torch_files.state_of(source, start, _allowed, ready)
    if own.is_index(start) and not path:
        raise ValueError("load(): an index of shards is loaded by its path, beside which they lie")
    return own.state_of(*own.opened(path, mapped, stack, source), check)  # type: ignore[call-arg]


def _looks_like_ours(source: Source) -> bool:
    """Whether a file that begins as a pickle or a zip is a safetensors file, whose header's length happens to do so."""
    return source.size > 9 and bytes(source.take(6, 3)) == b"\0\0{"


def damages(f: Any) -> list[str]:
    """What is wrong with the values in a checkpoint of ours, a message for each tensor; [] for a whole one.

    DamagedFileError where already its structure is damaged.
    """
    with ExitStack() as stack:
        source, path = _source(f, False, stack)
        return list(own.damages(own.opened(path, False, stack, source)[1]))


# --- names that the user trusts ---------------------------------------------------------------------------------

_allowed: dict[str, Any] = {}


def _named(given: Iterable[Any]) -> dict[str, Any]:
    out = {}
    for item in given:
        if isinstance(item, tuple):
            value, name = item
        else:
            value, name = item, f"{item.__module__}.{item.__qualname__}"
        out[name] = value
    return out


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Allow classes (or (class, name in the file) pairs) to be made when PyTorch's checkpoints are loaded."""
    _allowed.update(_named(safe_globals))


def get_safe_globals() -> list[Any]:
    """The classes that are allowed besides those of data."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Allow no classes but those of data."""
    _allowed.clear()


class safe_globals:
    """Allow classes inside a ``with`` block."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.given = _named(safe_globals)

    def __enter__(self) -> None:
        self.before = dict(_allowed)
        _allowed.update(self.given)

    def __exit__(self, *_: object) -> None:
        _allowed.clear()
        _allowed.update(self.before)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a checkpoint that are neither data's nor allowed, for which ``load`` refuses it; [] for ours."""
    with ExitStack() as stack:
        source, _ = _source(f, False, stack)
        start = bytes(source.take(0, min(source.size, 9)))
        if not (torch_files.is_zip(start) or torch_files.is_old(start)) or _looks_like_ours(source):
            return []
        return torch_files.unknown_names(source, start, _allowed)


