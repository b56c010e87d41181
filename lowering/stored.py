"""What lies in a file of the disk cache: the executables of a program, and how they hang together if there are several."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ..devices import compiler
from ..lazy import dtypes
from . import often
from .outline import Step
from .pieces import Pieces

_LENGTH = 8  # bytes that say how long the JSON before the executables is
_TYPES = {d.name: d.numpy for d in dtypes.ALL}


def pack(found: Any, digests: list[bytes]) -> bytes:
    """The bytes of an executable, or of a program of pieces; ``digests`` of their modules, in order.

    Whatever serialising raises comes through: some backends cannot.
    """
    parts = found.executables if isinstance(found, Pieces) else [found]
    blobs = [p.serialize() for p in parts]
    head: dict[str, Any] = {
        "parts": [
            [digest.hex(), len(blob), [[list(shape), dtypes.of_numpy(dtype).name] for shape, dtype in p.outputs]]
            for digest, blob, p in zip(digests, blobs, parts)
        ],
        "recipes": [None if p.recipe is None else [len(p.recipe.code), *p.recipe[1:]] for p in parts],
    }
    if isinstance(found, Pieces):
        head["steps"] = [list(s) for s in found.steps]
        head["values"] = [[list(v.shape), dtypes.of_numpy(v.dtype).name, v.tobytes().hex()] for v in found.values]
        head["arguments"], head["roots"] = found.arguments, found.roots
    text = json.dumps(head).encode()
    modules = [p.recipe.code for p in parts if p.recipe is not None]
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *blobs, *modules])


def unpack(payload: bytes, device: Any, known: Callable[[bytes], Any]) -> tuple[Any, dict[bytes, Any]]:
    """The executable, and its parts by digest; ``known`` says which parts are loaded already, or None.

    Raises ValueError (or the runtime's error) where the bytes are no executable for this device.
    """
    end = _LENGTH + int.from_bytes(payload[:_LENGTH], "little")
    try:
        head = json.loads(payload[_LENGTH:end])
        listed = [(bytes.fromhex(d), n, [(tuple(s), _numpy(name)) for s, name in outs]) for d, n, outs in head["parts"]]
    except (ValueError, KeyError, TypeError) as e:
        raise ValueError(f"not a stored executable: {e}") from None
    parts, modules = [], end + sum(length for _, length, _ in listed)
    for (digest, length, outputs), recipe in zip(listed, head["recipes"]):
        part = known(digest)
        if part is None:
            part = compiler.deserialize(payload[end : end + length], device.pjrt, outputs)
            if recipe is not None:
                part.recipe = often.Recipe(payload[modules : modules + recipe[0]], *recipe[1:])
                often.watch(part, device)
        parts.append(part)
        end += length
        modules += 0 if recipe is None else recipe[0]
    made = dict(zip((d for d, _, _ in listed), parts))
    if "steps" not in head:
        return parts[0], made
    steps = [Step(program, *(tuple(x) for x in rest)) for program, *rest in head["steps"]]
    values = [np.frombuffer(bytes.fromhex(raw), _numpy(name)).reshape(shape) for shape, name, raw in head["values"]]
    return Pieces(parts, steps, values, head["arguments"], head["roots"], device), made


def _numpy(name: str) -> np.dtype:
    return _TYPES[name]
