"""Host memory: what a step of a program used stays with the process for the next step.

XLA's CPU backend asks for the scratch memory of a program anew at every run and gives it back after it. From some tens of
megabytes on, glibc maps such a piece and unmaps it again, so that every run meets fresh pages, each of them a fault for
the kernel to serve: a fifth of the time of a step of a small residual net. Told to, glibc keeps the memory instead. That
is for the user to choose (the variable LAZYXLA_KEEP_MEMORY=1): the process may grow to a few times its large buffers.
"""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's numbers for its parameters (mallopt(3)), and what they are set to.
_MMAP_MAX, _TRIM_THRESHOLD, _ARENA_MAX = -4, -1, -8
_SETTINGS = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
_kept: list[bool] = []


def keep() -> bool:
    """Have the C library keep freed memory for what asks next, if the user wants it; whether it does.

    Done once a process, before XLA's threads begin. It is a setting of the process: what other libraries free is kept too.
    C libraries other than glibc are left as they are.
    """
    if not _kept:
        _kept.append(_wanted() and _set())
    return _kept[0]


def _wanted() -> bool:
    return os.environ.get("LAZYXLA_KEEP_MEMORY", "0").lower() not in ("0", "false", "no", "off")


def _set() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    return all([mallopt(name, value) == 1 for name, value in _SETTINGS])
