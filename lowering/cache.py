"""Executables: on disk by the recorded graph, in memory by the text of their modules; pieces are compiled side by side."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..devices import Device, RuntimeFailure, compiler, memory
from ..lazy import metrics
from . import disk, explain, fingerprint, stored
from .emit import Plan
from .outline import Outline, outlined
from .passes import lowered
from .pieces import Pieces, memory_of
from .rolling import Analysis, analysis

MAX_EXECUTABLES = 1024
WORTH_STORING = 0.05  # seconds of compile time above which a program goes to disk
_loaded: OrderedDict[tuple[Any, bytes], Any] = OrderedDict()


def outputs_of(plan: Plan) -> list[tuple[tuple[int, ...], Any]]:
    return [(plan.order[i].sig.aval.shape, plan.order[i].sig.aval.dtype.numpy) for i in plan.roots]


def executable(plan: Plan, why: str, graph: Any) -> Any:
    """The executable for a plan: its graph found on disk, its modules known, or compiled now."""
    device = plan.order[plan.roots[0]].sig.aval.device
    store = disk.default_cache()
    name = None if store is None else fingerprint.of(plan, graph.key, device)
    found = _from_disk(store, name, device)
    if found is not None:
        return found
    start = time.perf_counter()
    found, digests, compiled = made(plan, device)
    if isinstance(found, Pieces):
        metrics.count("layers_outlined", len(found.steps))
    if not compiled:
        metrics.count("cache_hits")
        return found
    seconds = time.perf_counter() - start
    metrics.spent("compile", seconds)
    metrics.compiled(
        ops=len(plan.order) - len(plan.leaves), seconds=round(seconds, 4), why=why, executables=len(digests),
        **memory_of(found)._asdict(),
    )  # fmt: skip
    if seconds >= WORTH_STORING:
        _to_disk(store, name, found, digests)
    return found


def made(plan: Plan, device: Device) -> tuple[Any, list[bytes], int]:
    """The executable for a plan, or its pieces; the digests of its modules, and how many of them had to be compiled."""
    repeats = analysis(plan)
    outline = outlined(plan, repeats)
    digests, parts, compiled = _parts(plan, repeats, outline, device)
    if outline is None:
        return parts[0], digests, compiled
    sizes = [_bytes(plan.order[i].sig.aval) for i in plan.leaves]
    sizes += [sum(_bytes(plan.order[i].sig.aval) for i in places) for places in plan.packed.values()]
    return Pieces(parts, outline.steps, outline.constants, sizes, outline.roots, device), digests, compiled


def _bytes(aval: Any) -> int:
    return aval.size * aval.dtype.itemsize  # type: ignore[no-any-return]


def _parts(
    plan: Plan, repeats: Analysis | None, outline: Outline | None, device: Device
) -> tuple[list[bytes], list[Any], int]:
    """The digests and executables of a plan's modules, and how many of them had to be compiled."""
    plans = [plan] if outline is None else outline.programs
    digests: list[bytes] = []
    parts: list[Any] = []
    with ThreadPoolExecutor(min(len(plans), os.cpu_count() or 1)) as pool:
        for p in plans:  # a module is compiled while the next is made
            module = lowered(p, repeats=repeats if outline is None else None)
            text = module.operation.get_asm(enable_debug_info=False)
            options = memory.compile_options(device.platform, text)
            digest = hashlib.sha256(text.encode()).digest()
            digests.append(digest)
            found = _remembered(device, digest)
            if found is not None:
                parts.append(found)
            elif len(plans) == 1:
                parts.append(_compiled(module, p, device, options))
                _remember(device, digest, parts[0])
                return digests, parts, 1
            else:
                parts.append(pool.submit(_compiled, module, p, device, options))
        compiled = [k for k, x in enumerate(parts) if isinstance(x, Future)]
        for k in compiled:
            parts[k] = parts[k].result()
            _remember(device, digests[k], parts[k])
    return digests, parts, len(compiled)


def _compiled(module: Any, plan: Plan, device: Device, options: dict[str, int]) -> Any:
    try:
        return compiler.compile_module(module, device.pjrt, outputs_of(plan), options)
    except RuntimeFailure as e:
        raise explain.compile_failure(e, plan) from None


def _remembered(device: Device, digest: bytes) -> Any:
    found = _loaded.get((device.pjrt, digest))
    if found is not None:
        _loaded.move_to_end((device.pjrt, digest))
    return found


def _remember(device: Device, digest: bytes, part: Any) -> None:
    _loaded[device.pjrt, digest] = part
    if len(_loaded) > MAX_EXECUTABLES:
        _loaded.popitem(last=False)


def _from_disk(store: Any, name: bytes | None, device: Device) -> Any:
    payload = None if store is None or name is None else store.get(name)
    if payload is None:
        return None
    try:
        found, parts = stored.unpack(payload, device, lambda digest: _remembered(device, digest))
    except (RuntimeFailure, ValueError, RuntimeError) as e:
        store.reject(name, f"it cannot be loaded ({str(e).splitlines()[0][:100]})")
        return None
    for digest, part in parts.items():
        _remember(device, digest, part)
    metrics.count("disk_hits")
    metrics.peak(memory_of(found).peak_bytes)
    return found


def _to_disk(store: Any, name: bytes | None, found: Any, digests: list[bytes]) -> None:
    if store is None or name is None:
        return
    try:
        payload = stored.pack(found, digests)
    except (RuntimeFailure, NotImplementedError):
        return  # this backend does not serialise; compiling again is all that is lost
    store.put(name, payload)


def clear() -> None:
    _loaded.clear()
