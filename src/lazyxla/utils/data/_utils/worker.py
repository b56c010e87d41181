"""A worker process's side: it is told indices, and sends batches."""

from __future__ import annotations

import random
import signal
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from typing import Any

import numpy as np

from .... import devices
from .... import lazy as lx
from ....lazy.on_host import alone, on_host
from . import fetch, messages


@dataclass
class WorkerInfo:
    """What ``get_worker_info`` tells a worker: its number, how many there are, its seed, its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a ``DataLoader``, which one it is; None elsewhere."""
    return _info


class ExceptionWrapper:
    """An exception with its traceback as text, to be raised in another process."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind: Any = type(error)
        self.where = where
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        """Raise an exception of the same class, whose message has the original traceback; RuntimeError where the class
        takes no message."""
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        if issubclass(self.kind, KeyError):
            message = _Verbatim(message)
        try:
            error = self.kind(message)
        except Exception:
            error = RuntimeError(message)
        raise error


class _Verbatim(str):
    """A KeyError's message, printed as it is."""

    __slots__ = ()
    __repr__ = str.__str__


@dataclass
class Work:
    """What a worker is to do."""

    dataset: Any
    collate_fn: Any
    init_fn: Any
    batched: bool
    drop_last: bool
    iterable: bool


def seed(base: int, number: int) -> None:
    """Start the random streams of a worker: Python's, NumPy's and lazyxla's."""
    random.seed(base + number)
    lx.manual_seed(base + number)
    np.random.seed(np.random.SeedSequence([base, number]).generate_state(4))


def main(number: int, count: int, conn: Any, work: Work | bytes, base: int, others: list[Any]) -> None:
    """The life of worker ``number`` of ``count``: until its parent closes the connection, or ends."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent too, which ends its workers
    for c in others:
        c.close()  # inherited ends of pipes, which must end with the parent
    if not devices.forks.forked:
        devices.cpu_only()
    alone()
    failure = None
    try:
        seed(base, number)
        work = messages.unpacked(work) if isinstance(work, bytes) else work
        _info = WorkerInfo(number, count, base + number, work.dataset)
        if work.init_fn is not None:
            with on_host():
                work.init_fn(number)
    except Exception as e:
        failure = _wrapped(e, number)
    try:
        conn.send(("ready",))
        _serve(number, conn, work, failure)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def _serve(number: int, conn: Any, work: Any, failure: ExceptionWrapper | None) -> None:
    parent: Any = parent_process()
    segments: dict[int, Any] = {}
    examples: Any = None
    epoch = -1
    while True:
        if conn not in connection.wait([conn, parent.sentinel]):
            return  # the parent has ended
        asked = conn.recv()
        if asked is None:
            return
        now, task, indices, slot, name = asked
        if now != epoch:
            epoch, examples = now, None
        segment = _segment(segments, slot, name)
        kind, found = _done(work, indices, examples, failure, number)
        if kind == "iterator":
            examples = found
            kind, found = _done(work, indices, examples, failure, number)
        try:
            messages.send(conn, (kind, epoch, task), found, segment)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as e:  # what cannot be packed, before anything was sent
            messages.send(conn, ("error", epoch, task), _wrapped(e, number), None)


def _done(work: Any, indices: Any, examples: Any, failure: ExceptionWrapper | None, number: int) -> tuple[str, Any]:
    """A task's kind of answer ('batch', 'end', 'error'; 'iterator' for one that the next tasks share), and the answer."""
    if failure is not None:
        return "error", failure
    try:
        if not work.iterable:
            return "batch", fetch.from_map(work.dataset, indices, work.batched, work.collate_fn)
        if examples is None:
            with on_host():
                return "iterator", iter(work.dataset)
        try:
            return "batch", fetch.from_iterator(examples, indices, work.drop_last, work.collate_fn)
        except StopIteration:
            return "end", None
    except Exception as e:
        return "error", _wrapped(e, number)


def _wrapped(error: BaseException, number: int) -> ExceptionWrapper:
    wrapped = ExceptionWrapper(error, f"in DataLoader worker process {number}")
    try:
        messages.unpacked(messages.packed(wrapped))
    except Exception:
        wrapped.kind = RuntimeError  # a class that cannot be named to the parent
    return wrapped


def _segment(segments: dict[int, Any], slot: int, name: str | None) -> Any:
    if name is None:
        return None
    known = segments.get(slot)
    if known is None or known.name != name:
        if known is not None:
            known.close()
        known = segments[slot] = messages.attach(name)
    return known
