"""The parent's side of worker processes: they are started, given indices, listened to, and ended."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import connection, shared_memory
from typing import Any

from ... import devices
from ...lazy import Tensor, synchronize
from . import starting
from ._utils import messages, worker

GRACE = 3.0  # seconds in which workers may end what they are at


class Segments:
    """Shared memory for one worker's batches, a slot for each that is under way; made once a batch's size is known."""

    def __init__(self, slots: int) -> None:
        self.free = list(range(slots))
        self.segments: dict[int, Any] = {}
        self.wanted = 0  # bytes of the largest batch so far

    def take(self) -> tuple[int, str | None]:
        """A slot, and the name of its memory."""
        slot = self.free.pop()
        known = self.segments.get(slot)
        if self.wanted and (known is None or known.size < self.wanted):
            if known is not None:
                _remove(self.segments.pop(slot))
            known = self._made(self.wanted + self.wanted // 4)
            if known is not None:
                self.segments[slot] = known
        return slot, None if known is None else known.name

    @staticmethod
    def _made(size: int) -> Any:
        """New memory; None where the system has not enough left, since to write to it would then end the process."""
        if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free < 2 * size:
            return None
        try:
            return shared_memory.SharedMemory(create=True, size=size)
        except OSError:
            return None

    def close(self) -> None:
        for s in self.segments.values():
            _remove(s)
        self.segments.clear()


def _remove(segment: Any) -> None:
    segment.close()
    segment.unlink()


class Workers:
    """Worker processes, and a thread that takes their batches in, ahead of the program that asks for them."""

    def __init__(
        self, work: worker.Work, count: int, depth: int, context: Any, base_seed: int, place: devices.Device | None
    ) -> None:
        self.pid, self.count, self.place = os.getpid(), count, place
        self.changed = threading.Condition()
        self.results: dict[int, tuple[str, Any]] = {}  # by number of task
        self.slots: dict[tuple[int, int], tuple[int, int]] = {}  # (epoch, task) -> worker, slot
        self.epoch, self.dead, self.closed = -1, "", False
        self.ready = [False] * count
        self.segments = [Segments(depth) for _ in range(count)]
        self.conns: list[Any] = []
        self.processes: list[Any] = []
        try:
            payload: Any = messages.packed(work)
        except messages.OnDevice:
            raise
        except Exception as e:
            payload = e
        context = starting.chosen(context, payload)
        forks = context.get_start_method() == "fork"
        if forks:
            synchronize()  # what the workers read must be there
        try:
            with devices.forks.safely():
                for number in range(count):
                    self._start(number, context, work if forks else payload, base_seed, forks)
            self.wake, self.woken = context.Pipe(duplex=False)
            listener = threading.Thread(target=self._listen, name="lazyxla-data", daemon=True)
            listener.start()
            self.listener: Any = listener
        except BaseException:
            self.listener = None
            self.shutdown()
            raise

    def _start(self, number: int, context: Any, work: Any, base_seed: int, forks: bool) -> None:
        ours, theirs = context.Pipe()
        others = [*self.conns, ours] if forks else []
        self.conns.append(ours)
        process = context.Process(
            target=worker.main, args=(number, self.count, theirs, work, base_seed, others), daemon=True,
            name=f"lazyxla-data-{number}",
        )  # fmt: skip
        process.start()
        self.processes.append(process)
        theirs.close()

    # --- asked by the program ---

    def begins(self) -> None:
        """Another epoch: what is still under way for the last one is forgotten."""
        with self.changed:
            self.epoch += 1
            self.results.clear()

    def has_room(self, number: int) -> bool:
        return bool(self.segments[number].free)

    def await_room(self) -> None:
        """Until a worker may be asked for more."""
        with self.changed:
            self.changed.wait_for(lambda: self.dead or any(s.free for s in self.segments))
            if self.dead:
                raise RuntimeError(self.dead)

    def ask(self, number: int, task: int, indices: Any) -> None:
        """Give a worker a task, if it is there still; ``wait`` tells if not."""
        with self.changed:
            slot, name = self.segments[number].take()
            self.slots[self.epoch, task] = number, slot
        try:
            self.conns[number].send((self.epoch, task, indices, slot, name))
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass

    def wait(self, task: int | None, timeout: float) -> tuple[int, str, Any]:
        """The answer to a task (None: to any); RuntimeError where a worker has died, or none answers in time."""
        with self.changed:
            there = self.changed.wait_for(
                lambda: self.dead or (bool(self.results) if task is None else task in self.results), timeout or None
            )
            if not there:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
            number = next(iter(self.results), None) if task is None else task
            if number not in self.results or number is None:
                raise RuntimeError(self.dead)
            kind, found = self.results.pop(number)
        return number, kind, found

    # --- the listening thread ---

    def _listen(self) -> None:
        sentinels = {p.sentinel: i for i, p in enumerate(self.processes)}
        numbers = {c: i for i, c in enumerate(self.conns)}
        open_: list[Any] = list(self.conns)
        while not self.closed:
            said = connection.wait([*open_, *sentinels, self.wake])
            if self.closed:
                return
            for c in [c for c in said if c in numbers]:
                try:
                    self._take(numbers[c], c)
                except (EOFError, OSError):
                    open_.remove(c)
            for s in [s for s in said if s in sentinels]:
                number = sentinels.pop(s)
                if self.conns[number] in open_ and self.conns[number].poll():
                    sentinels[s] = number  # first what it had still to say
                    continue
                self._died(number)

    def _take(self, number: int, conn: Any) -> None:
        message = conn.recv()
        if message[0] == "ready":
            self.ready[number] = True
            return
        kind, epoch, task, data, places, shared = message
        _, slot = self.slots.pop((epoch, task))
        own = self.segments[number]
        try:
            found = messages.receive(conn, data, places, own.segments[slot] if shared else None)
            if kind == "batch" and self.place is not None and epoch == self.epoch:
                found = pinned(found, self.place)
        except (EOFError, OSError):
            raise
        except Exception as e:
            kind, found = "error", worker.ExceptionWrapper(e, f"in taking what DataLoader worker process {number} sent")
        size = sum(n + -n % messages.ALIGNMENT for _, n in places)
        with self.changed:
            own.free.append(slot)
            if size > messages.PLAIN:
                own.wanted = max(own.wanted, size)
            if epoch == self.epoch:
                self.results[task] = kind, found
            self.changed.notify_all()

    def _died(self, number: int) -> None:
        process = self.processes[number]
        process.join()
        code = process.exitcode
        with self.changed:
            if not self.closed:
                self.dead = _obituary(number, process.pid, code, self.ready[number])
                self.changed.notify_all()

    # --- the end ---

    def shutdown(self) -> None:
        """End the workers and remove the shared memory. Harmless the second time, and in a forked child."""
        if self.closed or os.getpid() != self.pid:
            return
        self.closed = True
        if self.listener is not None:
            self.woken.send_bytes(b".")  # said, not only closed: forked processes may hold these ends too
            if threading.current_thread() is not self.listener:
                self.listener.join(GRACE)
        for c in self.conns:
            try:
                c.send(None)
            except OSError:
                pass
            c.close()
        deadline = time.monotonic() + GRACE
        for end in (lambda p: None, lambda p: p.terminate(), lambda p: p.kill()):
            for p in self.processes:
                if p.is_alive():
                    end(p)
            for p in self.processes:
                p.join(max(deadline - time.monotonic(), 0.05))
            deadline = time.monotonic() + 1
        if self.listener is not None:
            self.woken.close()
            self.wake.close()
        for s in self.segments:
            s.close()


def _obituary(number: int, pid: int, code: int | None, ready: bool) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        why = f"is killed by signal: {signal.strsignal(-code)} ({name})."
        if name == "SIGKILL":
            why += " The system does that where memory runs out."
        if name == "SIGBUS":
            why += " It may be that shared memory (/dev/shm) has run out."
    else:
        why = f"exited unexpectedly with exit code {code}"
        why += "." if ready else " while it started; its own message is above."
    return f"DataLoader worker {number} (pid {pid}) {why}"


def pinned(batch: Any, device: devices.Device) -> Any:
    """A batch whose values are on their way to a device already; what has a ``pin_memory`` method is what that gives."""
    if isinstance(batch, Tensor):
        buffer = batch._node.buffer if batch._node is not None else None
        if isinstance(buffer, devices.HostArray):
            buffer.on(device)
    elif isinstance(batch, Mapping):
        for x in batch.values():
            pinned(x, device)
    elif isinstance(batch, (str, bytes)):
        pass
    elif isinstance(batch, Sequence):
        for x in batch:
            pinned(x, device)
    elif hasattr(batch, "pin_memory"):
        return batch.pin_memory()
    return batch
