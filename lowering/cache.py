"""Executables: on disk by the recorded graph, in memory by the text of their modules; pieces are compiled side by side."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..devices import Device, RuntimeFailure, compiler, memory
from ..lazy import metrics
from . import disk, explain, fingerprint, often, profiling, stored
from .emit import Plan
from .outline import Outline, outlined
from .passes import lowered
from .pieces import Pieces, memory_of
from .rolling import Analysis, analysis

MAX_EXECUTABLES = 1024
LOOK = 64  # new executables after which the process is looked at again: it may be running out of memory mappings
WORTH_STORING = 0.05  # seconds of compile time above which a program goes to disk
_loaded: OrderedDict[tuple[Any, bytes], Any] = OrderedDict()
_new = 0  # executables since the process was looked at


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
    found, digests, compiling = made(plan, device, store if name is None else None)
    if isinstance(found, Pieces):
        metrics.count("layers_outlined", len(found.steps))
    if compiling is None:
        metrics.count("cache_hits")
        return found
    whole = time.perf_counter() - start
    _told(plan, found, compiling, whole - compiling, why, len(digests))
    if whole >= WORTH_STORING:
        _to_disk(store, name, found, digests)
    return found


def as_it_is(plan: Plan, module: Any, why: str) -> Any:
    """The executable for a plan whose module is made already."""
    device = plan.order[plan.roots[0]].sig.aval.device
    start = time.perf_counter()
    digest, module, text = _module(module)
    found = _remembered(device, digest)
    if found is not None:
        metrics.count("cache_hits")
        return found
    lowering = time.perf_counter() - start
    found, compiling = _by_text(plan, digest, module, text, device, disk.default_cache())
    if compiling is not None:
        _told(plan, found, compiling, lowering, why, 1)
    return found


def _told(plan: Plan, found: Any, compiling: float, lowering: float, why: str, executables: int) -> None:
    """Say in the metrics that a program was compiled."""
    metrics.spent("compile", compiling)
    metrics.spent("lowering", lowering)
    metrics.compiled(
        ops=len(plan.order) - len(plan.leaves), seconds=round(compiling, 4), lowering_seconds=round(lowering, 4), why=why,
        executables=executables, **memory_of(found)._asdict(),
    )  # fmt: skip


def made(plan: Plan, device: Device, store: Any = None) -> tuple[Any, list[bytes], float | None]:
    """The executable for a plan, or its pieces; the digests of its modules; the seconds of compiling, None if none was.

    ``store``: the disk cache, for a program that has no name but its module's text (one that calls a function of JAX's).
    """
    repeats = analysis(plan)
    outline = outlined(plan, repeats)
    digests, parts, seconds = _parts(plan, repeats, outline, device, store)
    if outline is None:
        return parts[0], digests, seconds
    sizes = [_bytes(plan.order[i].sig.aval) for i in plan.leaves]
    sizes += [sum(_bytes(plan.order[i].sig.aval) for i in places) for places in plan.packed.values()]
    return Pieces(parts, outline.steps, outline.constants, sizes, outline.roots, device), digests, seconds


def _bytes(aval: Any) -> int:
    return aval.size * aval.dtype.itemsize  # type: ignore[no-any-return]


def _parts(
    plan: Plan, repeats: Analysis | None, outline: Outline | None, device: Device, store: Any
) -> tuple[list[bytes], list[Any], float | None]:
    """The digests and executables of a plan's modules, and the seconds from the first compile to the last, if any."""
    if outline is None:
        digest, module, text = _module(lowered(plan, repeats=repeats))
        found = _remembered(device, digest)
        if found is not None:
            return [digest], [found], None
        found, seconds = _by_text(plan, digest, module, text, device, store)
        return [digest], [found], seconds
    modules = [_module(lowered(p)) for p in outline.programs]
    digests = [digest for digest, _, _ in modules]
    parts = [_remembered(device, digest) for digest in digests]
    new = [k for k, part in enumerate(parts) if part is None]
    if not new:
        return digests, parts, None
    start = time.perf_counter()
    with ThreadPoolExecutor(min(len(new), os.cpu_count() or 1)) as pool:  # compiling leaves Python to the others
        waiting = [pool.submit(_compiled, *modules[k][1:], outline.programs[k], device) for k in new]
        for k, future in zip(new, waiting):
            parts[k] = future.result()
            _remember(device, digests[k], parts[k])
    return digests, parts, time.perf_counter() - start


def _by_text(
    plan: Plan, digest: bytes, module: Any, text: str, device: Device, store: Any
) -> tuple[Any, float | None]:
    """The executable for a module that is not in memory: found on disk by its text, or compiled, and the seconds of that."""
    name = digest + compiler.target_signature(device).encode()
    found = _from_disk(store, name, device)
    if found is not None:
        return found, None
    start = time.perf_counter()
    found = _compiled(module, text, plan, device)
    seconds = time.perf_counter() - start
    _remember(device, digest, found)
    if seconds >= WORTH_STORING:
        _to_disk(store, name, found, [digest])
    return found, seconds


def _module(module: Any) -> tuple[bytes, Any, str]:
    """The digest of a module, the module, and its text."""
    text = module.operation.get_asm(enable_debug_info=False)
    return hashlib.sha256(text.encode()).digest(), module, text


def _compiled(module: Any, text: str, plan: Plan, device: Device) -> Any:
    code, start = compiler.bytecode(module), time.perf_counter()
    try:
        options = compiler.options_for(text, device)
        found = profiling.compiled(compiler.compile_module, code, device.pjrt, outputs_of(plan), options)
    except RuntimeFailure as e:
        raise explain.compile_failure(e, plan) from None
    found.recipe = often.recipe(code, text, found, time.perf_counter() - start, device)
    often.watch(found, device)
    return found


def _remembered(device: Device, digest: bytes) -> Any:
    found = _loaded.get((device.pjrt, digest))
    if found is not None:
        _loaded.move_to_end((device.pjrt, digest))
    return found


def _remember(device: Device, digest: bytes, part: Any) -> None:
    global _new
    _new += 1
    _loaded[device.pjrt, digest] = part
    if len(_loaded) > MAX_EXECUTABLES:
        _loaded.popitem(last=False)


def crowded() -> bool:
    """Whether it is time to let executables go: their code has taken half of the mappings that the process may have.

    Without room for another, XLA's compiler ends the process.
    """
    global _new
    if _new < LOOK:
        return False
    _new = 0
    return memory.mappings() > memory.most_mappings() // 2


def forget_half() -> None:
    """Forget the executables that were used longest ago."""
    for _ in range(len(_loaded) // 2):
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
