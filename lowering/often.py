"""Programs that run often: compiled once more, on the CPU, in the form that pays only then.

- Much temporary memory lies in blocks that the C library keeps (devices/memory.py).
- Large results are written over those of earlier runs, where nobody refers to these any more (devices/spares.py).

XLA cannot store an executable of the first kind, and the second takes places that a first run has not. So the plain one is
what starts at once, in this process and, from the disk, in the next; the other is compiled beside it.
"""

from __future__ import annotations

import math
import re
import threading
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..devices import Device, RuntimeFailure, compiler, memory, spares
from ..lazy import metrics

RUNS = 32  # after which a program is thought to run on: it then compiles for about as long as the blocks have yet to save
FEW_RUNS = 3  # of one with large results at least; as many as it takes until clearing ``CLEARED`` bytes a second for them
CLEARED = 1 << 30  # has taken as long as compiling (the system clears five times as many, but compiling is done beside)
_ALIASED = re.compile(r"tf\.aliasing_output = (\d+)")
_one_at_a_time = threading.Lock()


class Recipe(NamedTuple):
    """What it takes to compile a module again: its bytecode, compressed, XLA's options, and the large results; and after
    how many runs."""

    code: bytes
    options: dict[str, int | str]
    large: list[int]
    runs: int


def recipe(code: bytes, text: str, found: Any, seconds: float, device: Device) -> Recipe | None:
    """How to compile a module again, where its executable (made in so many seconds) would gain from it."""
    if device.platform != "cpu" or not memory.keep_freed_memory():
        return None
    stats = found.memory_stats()
    options: dict[str, int | str] = {}
    if stats.temp_size_in_bytes > memory.BLOCK:
        options.update(memory.in_blocks(text))
    large, runs = [], RUNS
    if stats.output_size_in_bytes - stats.alias_size_in_bytes >= spares.LARGE:
        taken = {int(i) for i in _ALIASED.findall(text)}
        sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in found.outputs]
        large = [i for i, size in enumerate(sizes) if size >= spares.LARGE and i not in taken]
        if large:
            runs = min(RUNS, max(FEW_RUNS, int(seconds * CLEARED / sum(sizes[i] for i in large))))
    if not options and not large:
        return None
    return Recipe(zlib.compress(code, 1), {**options, **compiler.options_for(text, device)}, large, runs)


def watch(found: Any, device: Device) -> None:
    """Compile an executable that has a recipe again, once it has run often."""
    if found.recipe is not None and memory.keep_freed_memory():
        start = threading.Thread(target=_again, args=(found, device), name="lazyxla-often").start
        found.after(found.recipe.runs, start)


def _again(found: Any, device: Device) -> None:
    code, options, large, _ = found.recipe
    code = zlib.decompress(code)
    with _one_at_a_time:
        if not threading.main_thread().is_alive():
            return  # the program has ended: it need not wait for this
        try:
            better = compiler.compile_module(_with_places(code, large), device.pjrt, found.outputs, options)
        except RuntimeFailure:
            return  # an XLA without blocks: the plain executable runs on
    if large:
        found.spares = spares.Spares(better.run, large)
        metrics.count("programs_over_results")
    else:
        found.run_as(better)
        metrics.count("programs_in_blocks")


def _with_places(code: bytes, results: Sequence[int]) -> bytes:
    """A module that takes further arguments, over which it writes these of its results."""
    if not results:
        return code
    ir = compiler.ir
    with compiler.mlir_context() as context, ir.Location.unknown():
        module = ir.Module.parse(code)
        main = next(f for f in module.body if getattr(f, "name", None) is not None and f.name.value == "main")
        kind = main.type
        places = [kind.results[i] for i in results]
        given = list(main.arg_attrs) if "arg_attrs" in main.attributes else [ir.DictAttr.get({})] * len(kind.inputs)
        for place in places:
            main.entry_block.add_argument(place, ir.Location.unknown())
        main.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get([*kind.inputs, *places], kind.results))
        main.arg_attrs = ir.ArrayAttr.get([
            *given, *(ir.DictAttr.get({"tf.aliasing_output": ir.Attribute.parse(f"{i} : i32", context)}) for i in results)
        ])  # fmt: skip
        module.operation.verify()
        return compiler.bytecode(module)
