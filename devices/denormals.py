"""The smallest floats, which XLA's kernels on a CPU take for 0: here NumPy, where it computes in their place, does as they."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

_MXCSR, _FLUSH = 7, 0x8040  # the word of glibc's ``fenv_t`` on x86-64; in it, that operands and results count as 0
_known = sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
_libm = ctypes.PyDLL(None) if _known else None  # one that keeps the lock: each call is shorter than to give it away


class flushed:
    """A context in which this thread's smallest floats count as 0; nothing where this machine's way to say so is unknown."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        if _libm is not None:
            self.before = (ctypes.c_uint32 * 8)()
            _libm.fegetenv(self.before)
            mxcsr = self.before[_MXCSR]
            self.before[_MXCSR] = mxcsr | _FLUSH
            _libm.fesetenv(self.before)
            self.before[_MXCSR] = mxcsr

    def __exit__(self, *_: Any) -> None:
        if _libm is not None:
            _libm.fesetenv(self.before)


__all__ = ["flushed"]
