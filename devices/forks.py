"""After a fork: the child has none of XLA's threads, so a computation there would wait for ever. It is refused in words."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from . import _jaxlib

forked = False  # whether this process was forked from one in which XLA ran


def refuse(*_: Any, **__: Any) -> NoReturn:
    """Raise RuntimeError."""
    raise RuntimeError(
        f"nothing can be computed in this process ({os.getpid()}): it was forked after XLA had started, and XLA's threads "
        "exist only in its parent, so a computation would wait for ever. Start it with multiprocessing's 'forkserver' or "
        "'spawn' method (a DataLoader does so where it can), or use only NumPy in it."
    )


def check(buffer: Any) -> None:
    """Refuse to wait for a value that this process will never get."""
    if not buffer.is_ready():
        refuse()


def _in_child() -> None:
    global forked
    if not _jaxlib.started():
        return
    forked = True
    _jaxlib.Executable.run = refuse  # type: ignore[method-assign]
    for name in ("host_share", "host_copy", "array_from_device_copy", "from_dlpack"):
        setattr(_jaxlib, name, refuse)


def renewed(lock: Any) -> Any:
    """The lock, which is free in a forked child, whoever held it in the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)
    return lock


@contextmanager
def safely() -> Iterator[None]:
    """Around the fork of a child that will keep to NumPy: without the warnings meant for others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # JAX's
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's
        yield


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
