"""Executables by the text of their module: in memory (bounded, least recently used goes first) and on disk."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import Any

from ..devices import RuntimeFailure, compiler, memory
from ..lazy import metrics
from . import disk, explain
from .emit import Plan
from .rolling import lowered

MAX_EXECUTABLES = 1024
WORTH_STORING = 0.05  # seconds of compile time above which an executable goes to disk
_loaded: OrderedDict[tuple[Any, bytes], Any] = OrderedDict()


def outputs_of(plan: Plan) -> list[tuple[tuple[int, ...], Any]]:
    return [(plan.order[i].sig.aval.shape, plan.order[i].sig.aval.dtype.numpy) for i in plan.roots]


def executable(plan: Plan, why: str, graph: Any) -> Any:
    """The executable for a plan: known by its module's text, loaded from disk, or compiled."""
    device = plan.order[plan.roots[0]].sig.aval.device
    module = lowered(plan)
    text = module.operation.get_asm(enable_debug_info=False)
    digest = hashlib.sha256(text.encode()).digest()
    key = (device.pjrt, digest)
    found = _loaded.get(key)
    if found is not None:
        _loaded.move_to_end(key)
        metrics.count("cache_hits")
        return found
    store = disk.default_cache()
    options = memory.compile_options(device.platform, text)
    name = digest + f"{compiler.target_signature(device)} | {options}".encode()
    found = _from_disk(store, name, device, plan) if store is not None else None
    if found is None:
        start = time.perf_counter()
        try:
            found = compiler.compile_module(module, device.pjrt, outputs_of(plan), options)
        except RuntimeFailure as e:
            raise explain.compile_failure(e, plan) from None
        seconds = time.perf_counter() - start
        metrics.spent("compile", seconds)
        metrics.compiled(ops=len(plan.order) - len(plan.leaves), seconds=round(seconds, 4), why=why)
        if store is not None and seconds >= WORTH_STORING:
            _to_disk(store, name, found)
    _loaded[key] = found
    if len(_loaded) > MAX_EXECUTABLES:
        _loaded.popitem(last=False)
    return found


def _from_disk(store: Any, name: bytes, device: Any, plan: Plan) -> Any:
    payload = store.get(name)
    if payload is None:
        return None
    try:
        found = compiler.deserialize(payload, device.pjrt, outputs_of(plan))
    except (RuntimeFailure, ValueError, RuntimeError) as e:
        store.reject(name, f"it cannot be loaded ({str(e).splitlines()[0][:100]})")
        return None
    metrics.count("disk_hits")
    return found


def _to_disk(store: Any, name: bytes, found: Any) -> None:
    try:
        payload = found.serialize()
    except (RuntimeFailure, NotImplementedError):
        return  # this backend does not serialise; compiling again is all that is lost
    store.put(name, payload)


def clear() -> None:
    _loaded.clear()
