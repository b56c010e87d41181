"""A name for a program that is the same in every process: made of its recorded graph, without lowering it.

It says all that the module is made from: the graph, the numbers written into it, what is given away, how programs are
lowered (the source of this library's rooms that do it) and for which device. What cannot be said so has no name.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import os
from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import devices, lazy
from ..devices import Device, compiler
from ..lazy import ops
from ..lazy.dtypes import DType
from ..lazy.graph import LEAVES, Aval, HostValue, Op, Several, Signature, result
from ..lazy.ops.control import Region
from . import layouts, outline, rolling
from .emit import RULES, Plan


class _Nameless(Exception):
    """Something that is not the same in every process."""


_known: dict[Any, bytes] = {}  # by signature; signatures live as long as the process


def of(plan: Plan, key: Iterable[Any], device: Device) -> bytes | None:
    """The program's name; None where an op is the user's own, or has attributes that only this process understands."""
    words = array("q")
    others: dict[Any, int] = {}
    for k in key:
        words.append(k if type(k) is int else -1 - others.setdefault(k, len(others)))
    told = hashlib.sha256(words.tobytes())
    packed = {i for places in plan.packed.values() for i in places}
    try:
        for k in others:
            told.update(_named(k))
    except _Nameless:
        return None
    numbers = [
        (i, n.value.tobytes()) for i, n in enumerate(plan.order) if isinstance(n, HostValue) and i not in packed
    ]
    layout = [(dtype.name, places) for dtype, places in plan.packed.items()]
    told.update(repr((numbers, plan.roots, plan.leaves, layout, sorted(plan.donated.items()))).encode())
    told.update(_ways())
    told.update(compiler.target_signature(device).encode())
    return told.digest()


def _named(k: Any) -> bytes:
    if type(k) is not Signature:
        return _text(k).encode()
    found = _known.get(k)
    if found is None:
        rule = RULES.get(k.op)
        if k.op not in _own_ops() or (rule is not None and not rule.__module__.startswith(_PACKAGE)):
            raise _Nameless
        found = _known[k] = hashlib.sha256(_text((k.op.name, k.inputs, k.attributes, k.aval)).encode()).digest()
    return found


_PACKAGE = __name__.rpartition(".")[0] + ".rules"


@functools.cache
def _own_ops() -> frozenset[Op]:
    return frozenset({*LEAVES, result, *(op for op in vars(ops).values() if isinstance(op, Op))})


def _text(x: Any) -> str:
    """The same text for the same value in every process."""
    kind = type(x)
    if kind in (int, str, bool) or x is None:
        return repr(x)
    if kind is float:
        return x.hex()
    if kind is complex:
        return f"{x.real.hex()}+{x.imag.hex()}j"
    if kind in (tuple, list):
        return f"({','.join(map(_text, x))})"
    if kind is Aval:
        return f"{x.dtype.name}{x.shape}"  # of the device that the name as a whole is for
    if kind is Several:
        return _text(x.elements)
    if kind is Region:
        return _region(x)
    if isinstance(x, tuple):
        return f"{kind.__name__}{_text(tuple(x))}"
    if kind is DType:
        return x.name  # type: ignore[no-any-return]
    if kind is bytes:
        return hashlib.sha256(x).hexdigest()
    if isinstance(x, np.generic):
        return f"{x.dtype}{x.tobytes().hex()}"
    raise _Nameless


def _region(r: Region) -> str:
    place = {n: k for k, n in enumerate((*r.inputs, *r.order))}
    steps = [_named(n.sig).hex() + str([place[x] for x in n.inputs]) for n in r.order]
    return f"{_text(r.types)}{steps}{[place[n] for n in r.outputs]}"


def _ways() -> bytes:
    """How a program becomes a module: the switches and the source that does it."""
    switches = (
        rolling.enabled, rolling.LEAST, rolling.LONG, rolling.MANY, outline.enabled, outline.LEAST, outline.TRIPS,
        outline.PIECE, layouts.enabled,
    )  # fmt: skip
    return repr(switches).encode() + _source()


@functools.cache
def _source() -> bytes:
    """A digest of the files that turn a graph into a module: a changed rule must not find the old one's executables."""
    told = hashlib.sha256()
    for room in (os.path.dirname(__file__), os.path.dirname(lazy.__file__), os.path.dirname(devices.__file__)):
        for path in sorted(glob.glob(os.path.join(room, "**", "*.py"), recursive=True)):
            with open(path, "rb") as f:
                told.update(os.path.relpath(path, room).encode() + b"\0" + f.read())
    return told.digest()


__all__ = ["of"]
