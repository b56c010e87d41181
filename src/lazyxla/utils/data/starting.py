"""How worker processes are started: apart from XLA's threads, and so that they know the program's classes.

'forkserver' (a process that has imported lazyxla, but in which XLA never starts, forks the workers) where the data set can be
sent and the program's file can be imported again. Where not, as in notebooks and in scripts without ``if __name__ ==
'__main__'``, 'fork': such a worker has the program's objects, and keeps to NumPy.
"""

from __future__ import annotations

import ast
import multiprocessing
import sys
import threading
from multiprocessing import context
from typing import Any

_MAIN = b"__main__"


def checked(given: Any) -> Any:
    """A start method's name or context, as ``multiprocessing_context=`` takes it; None for none."""
    if given is None or isinstance(given, context.BaseContext):
        return given
    if not isinstance(given, str):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the start method, but "
            f"got multiprocessing_context={given!r}"
        )
    names = multiprocessing.get_all_start_methods()
    if given not in names:
        raise ValueError(
            f"multiprocessing_context option should specify a valid start method in {names!r}, but got {given!r}"
        )
    return multiprocessing.get_context(given)


def chosen(given: Any, payload: bytes | Exception) -> Any:
    """The context to start workers with; ``payload``: what they are sent, or why it cannot be.

    Raises RuntimeError where a new process would come to the same line again, or the payload's own exception.
    """
    method = None if given is None else given.get_start_method()
    if method == "fork":
        return given
    again = _comes_here_again()
    notebook = _interactive() and not isinstance(payload, Exception) and _MAIN in payload
    if method is None and (again or notebook or isinstance(payload, Exception)):
        if "fork" in multiprocessing.get_all_start_methods():
            return multiprocessing.get_context("fork")
        method = "spawn"
    if again:
        raise RuntimeError(
            f"a DataLoader's worker processes, started by '{method}', import the program's file, and would come to {again} "
            "again: put what runs under\n    if __name__ == '__main__':\nor leave multiprocessing_context out, or use "
            "num_workers=0"
        )
    if isinstance(payload, Exception):
        payload.add_note(
            f"A DataLoader's worker processes, started by '{method}', are sent the dataset, collate_fn and worker_init_fn: "
            "functions and classes must be importable by name (no lambda, nothing defined inside a function), or use "
            "num_workers=0."
        )
        raise payload
    if given is not None:
        return given
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    found: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        found.set_forkserver_preload([__name__])  # which imports lazyxla, once for all workers
    return found


def _interactive() -> bool:
    return getattr(sys.modules["__main__"], "__file__", None) is None


def _comes_here_again() -> str | None:
    """The line of the program's file, outside of ``if __name__ == '__main__'``, that has led here; None if there is none."""
    main: Any = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None:
        return None
    frame: Any = sys._current_frames().get(threading.main_thread().ident or 0)
    line = None
    while frame is not None:
        if frame.f_globals is main.__dict__ and frame.f_code.co_name == "<module>":
            line = frame.f_lineno
        frame = frame.f_back
    if line is None:
        return None
    try:
        with open(path, encoding="utf-8") as f:
            body = ast.parse(f.read()).body
    except (OSError, SyntaxError, ValueError):
        return None
    for statement in body:
        if statement.lineno <= line <= (statement.end_lineno or 0):
            guarded = isinstance(statement, ast.If) and any(
                isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(statement.test)
            )
            return None if guarded else f"{path}:{line}"
    return None
