"""Programs that need much temporary memory: compiled once more, with that memory in blocks, when they have run often.

Blocks save time at each run (devices/memory.py), but XLA cannot store such an executable. So the plain one is what starts
at once, in this process and, from the disk, in the next; the other is compiled beside it, and takes over.
"""

from __future__ import annotations

import threading
import zlib
from typing import Any, NamedTuple

from ..devices import Device, RuntimeFailure, compiler, memory
from ..lazy import metrics

RUNS = 32  # after which a program is thought to run on: it then compiles for about as long as the blocks have yet to save
_one_at_a_time = threading.Lock()


class Recipe(NamedTuple):
    """What it takes to compile a module again: its bytecode, compressed, and XLA's options."""

    code: bytes
    options: dict[str, int | str]


def recipe(code: bytes, text: str, found: Any, device: Device) -> Recipe | None:
    """How to compile a module in blocks, where its executable needs more than one of them."""
    if device.platform != "cpu" or not memory.keep_freed_memory():
        return None
    if found.memory_stats().temp_size_in_bytes <= memory.BLOCK:
        return None
    options = memory.in_blocks(text)
    if not options:
        return None
    return Recipe(zlib.compress(code, 1), {**options, **compiler.options_for(text, device)})


def watch(found: Any, device: Device) -> None:
    """Compile an executable that has a recipe again, once it has run often."""
    if found.recipe is not None and memory.keep_freed_memory():
        found.after(RUNS, lambda: threading.Thread(target=_take_over, args=(found, device), name="lazyxla-blocks").start())


def _take_over(found: Any, device: Device) -> None:
    code, options = found.recipe
    with _one_at_a_time:
        if not threading.main_thread().is_alive():
            return  # the program has ended: it need not wait for this
        try:
            better = compiler.compile_module(zlib.decompress(code), device.pjrt, found.outputs, options)
        except RuntimeFailure:
            return  # an XLA without blocks: the plain executable runs on
    found.run_as(better)
    metrics.count("programs_in_blocks")
