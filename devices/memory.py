"""The process's memory on the CPU: how many mappings it has, and temporary memory in blocks that the C library keeps.

An executable's temporary memory comes from malloc anew at each run. Where glibc has given it back to the system, each page
is mapped and cleared again when it is first written: one part in seven of a training step of a small transformer.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
import re

from .switches import is_on

BLOCK = 8 << 20  # bytes of a block: several fit into one of the 64 MiB heaps that glibc gives to threads
KEPT = 32 << 20  # bytes: the largest block that glibc may keep, rather than map by itself
RETAINED = 512 << 20  # bytes that may stay free at the end of a heap before they are given back
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of <malloc.h>
_BITS = {
    "f64": 64, "i64": 64, "ui64": 64, "f32": 32, "i32": 32, "ui32": 32, "f16": 16, "bf16": 16, "i8": 8, "ui8": 8, "i4": 8,
    "ui4": 8, "i1": 8,
}  # fmt: skip


@functools.cache
def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks below 32 MiB, up to 512 MiB of them; whether it does. Once; the user's settings go first."""
    if not is_on("LAZYXLA_KEEP_MEMORY"):
        return False
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_THRESHOLD, KEPT) and mallopt(_TRIM_THRESHOLD, RETAINED))


def mappings() -> int:
    """How many memory mappings this process has; 0 where the system doesn't tell. Every executable's code takes some ten."""
    try:
        with open("/proc/self/maps", "rb") as f:
            return f.read().count(b"\n")
    except OSError:
        return 0


@functools.cache
def most_mappings() -> int:
    """How many the system allows a process."""
    try:
        with open("/proc/sys/vm/max_map_count") as f:
            return int(f.read())
    except (OSError, ValueError):
        return 1 << 62


def in_blocks(text: str) -> dict[str, int]:
    """XLA's option for a module of that text that puts its temporary memory into several blocks; none where it can't be said.

    No block is smaller than the largest value in the module: XLA would warn of that.
    """
    size = max(BLOCK, largest(text) + 4096)
    return {} if size >= 1 << 31 else {"xla_multiheap_size_constraint_per_heap": size}  # the option is a 32-bit number


def largest(text: str) -> int:
    """The bytes of the largest value in a module's text."""
    sizes = [0]
    for shape, element in set(re.findall(r"tensor<((?:\d+x)+)(\w+)", text)):
        count = math.prod(int(n) for n in shape[:-1].split("x"))
        sizes.append(count * _BITS.get(element, 128) // 8)
    return max(sizes)
