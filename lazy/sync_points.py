"""When pending work is run: at reads, at step boundaries, by hand, and where a long pending graph repeats itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..devices import forks
from . import levels, metrics, ops
from . import record as rec
from .graph import Aval, HostValue, Node, Op, Signature, argument, is_part
from .graph import _serial as serial_numbers
from .record import GradNode, mode, sockets, user_line
from .replay import starts
from .replay.follower import Follower
from .replay.inlay import Inlay
from .replay.recorder import Recorder
from .replay.state import S, opaque

BASE_LIMIT = 600  # pending ops at which a repeating program is cut
HARD_LIMIT = 30_000  # and at which any program is
LOOP_LIMIT = 200_000  # and at which even a program is that becomes a loop
REPEATS = 12  # how often a piece must have come back to count as a loop
PIECE = 100  # about so many ops of a repeating program are compiled together
REPEATS_GROWING = 3  # the same of a long piece with other sizes each time, outside of training
LONG = 64  # ops of such a piece, at least
NO_STEP = 8 * BASE_LIMIT  # pending ops from which on one on a tape counts too, if all read the same weights
REPEATS_IN_TRAINING = 64  # equal layers repeat too, and a training step is better left whole
WITHIN = 24  # ops on a tape that are worth keeping in one program with what follows
rec.LIMIT[0] = BASE_LIMIT
lock = forks.renewed(threading.RLock())  # one thread at a time collects and runs; recording goes on in the others

# Ops whose result is cheaper to make again than to keep for the backward pass.
_FREE: frozenset[Op] = frozenset({ops.broadcast_in_dim, ops.reshape, ops.iota, ops.constant, ops.convert})


def sync(cause: str = "sync()") -> None:
    """Dispatch every live pending tensor, without waiting for any."""
    if rec.live or rec.log or S.player is not starts.starter:  # otherwise nothing is there that could be pending
        _run_all(cause)
    _new_step()


def step_boundary() -> None:
    """The end of a training step, said by optimizers: dispatch what is pending and wait for nothing."""
    _run_all("optimizer.step()")
    _new_step()


def sync_for(t: Any, cause: str) -> None:
    """Dispatch what is pending, the value of ``t`` among it."""
    levels.check_read(t, cause)
    _run_all(f"{cause} at {user_line()}", t)
    node = t._node
    if node is not None and node.buffer is None and not isinstance(node, HostValue):
        with lock:
            sockets.execute([node], cause)  # what ran left it as a row of an array, or made nothing of a size that is open
    _new_step()


def read(t: Any, cause: str) -> Node:
    """The value of ``t``, dispatched with what is pending. A loss read before its backward does not end what is followed."""
    player = S.player
    found = None
    if isinstance(player, Follower) and not levels.active:
        with lock:
            found = player.reads(t)
    if found is None:
        sync_for(t, cause)
        return t._node or t._refresh()  # type: ignore[no-any-return]
    metrics.synced(f"{cause} at {user_line()}")
    _new_step()
    return found


def settle(t: Any, cause: str) -> bool:
    """Compute ``t`` alone, if it is made of constants alone while work is pending on other devices, or of any values while a
    gradient's tape is: a mask on its way to the model that is being recorded must not cut that in two. False if it is not
    so, and nothing done."""
    if isinstance(S.player, (Follower, Inlay)) or S.capture is not None or t._node is None:
        return False
    device = t.device
    owners = (owner for owner in (ref() for ref in rec.live[-HARD_LIMIT:]) if owner is not None)
    elsewhere = [x for x in owners if (n := x._node) is not None and n.buffer is None and n.sig.aval.device is not device]
    if not elsewhere:
        return False
    within = len(rec.log) >= WITHIN and any(x._edge is not None for x in elsewhere)
    stack, seen = [t._node], {t._node}
    while stack:
        n = stack.pop()
        if n.buffer is not None and within:
            continue
        if n.buffer is not None or n.sig.op is argument or len(seen) > BASE_LIMIT:
            return False
        fresh = [x for x in n.inputs if x not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    levels.check_read(t, cause)
    opaque("a move of what is made within a step")
    with lock:
        _run([t._node], f"{cause} at {user_line()}")
    return True


def dispatch(tensors: Iterable[Any], cause: str) -> None:
    """Dispatch these tensors, and copies of values that are there (what has been loaded), alone. What else is pending runs
    later in the program that a run that loads nothing has for it: in another, its floats might have other last bits."""
    if isinstance(S.player, (Follower, Inlay)) or S.capture is not None or levels.active:
        sync(cause)
        return
    opaque(cause)
    with lock:
        nodes = [t._node or t._refresh() for t in tensors]
        live = [owner._node for owner in (ref() for ref in rec.live) if owner is not None]
        nodes += [n for n in live if n is not None and n.sig.op is ops.copy and n.inputs[0].buffer is not None]
        _run(list(dict.fromkeys(nodes)), cause)


def _run_all(cause: str, *more: Any) -> list[Node]:
    """Dispatch all that is pending, the values of the tensors ``more`` too; this ends a segment (see ``replay``)."""
    with lock:
        player = S.player
        if isinstance(player, Inlay) or (S.capture is not None and player is S.capture):
            if more:
                player.read(cause)
            return []
        ours = player is None or getattr(player, "owner", None) in (None, threading.get_ident())
        if not ours:
            player = None  # another thread's segment goes on
        if isinstance(player, Follower):
            done = player.finish()
            if done is not None:
                metrics.synced(cause)
                starts.ended(player.script)
                starts.begins()
                if all(t._node is not None and t._node.buffer is not None for t in more):
                    return done
                player = None  # what was recorded before the segment is pending still
            else:
                player.give_up()
                player = S.player
        recorder = player if isinstance(player, Recorder) else None
        if recorder is not None and len(rec.log) != recorder.logged:
            recorder.opaque("ops recorded outside of any call")
        reads = more[0] if recorder is not None and more and recorder.may_read(more[0]) else None
        roots = live_roots()
        if recorder is not None and any(n.sig.aval.device.is_meta for n in roots):
            recorder.opaque("tensors without values")
        pending = len(rec.live)
        roots.extend(t._node or t._refresh() for t in more)
        script = recorder.ends(roots) if recorder is not None and reads is None else None
        ran = _run(roots, cause)
        del rec.live[:pending]  # what other threads have recorded meanwhile stays
        if recorder is not None and reads is not None and recorder.has_read(reads, ran):
            return roots
        if recorder is not None and (ran or recorder.calls):
            starts.written(recorder, script, ran)
        if ours:
            starts.begins()
        return roots


def run_compiled(run: Callable[[], Any]) -> Any:
    """Between two segments: run a compiled function's program by ``run``; gives what that gives."""
    out = run()
    metrics.synced("a compiled function")
    _new_step()
    starts.begins()
    return out


def run_recorded(roots: list[Node]) -> list[Any]:
    """The end of the recording of a compiled function: compute what it gives and changes; gives the programs that ran."""
    live_roots()  # counts and forgets what is computed; what others have recorded meanwhile stays pending
    ran = _run(roots, "a compiled function")
    _new_step()
    starts.begins()
    return [r for r in ran if r.bundled is None]


def _new_step() -> None:
    _backward_end[0] = None
    rec.LIMIT[0] = BASE_LIMIT


def backward_begins() -> None:
    """A second backward before a step: what the first recorded is dispatched, so that the graph stays one step long."""
    end = _backward_end[0]
    if end is None or not rec.log or S.capture is not None or isinstance(S.player, Inlay):
        return
    opaque("a second backward() before a step")
    _hidden("a second backward() before a step")
    with lock:
        _run(up_to(end, live_roots()), "a second backward() before a step")


def backward_ends() -> None:
    """Remember where this backward's recording ends."""
    _backward_end[0] = next(serial_numbers)


_backward_end: list[int | None] = [None]
sockets.backward_done = backward_ends
sockets.backward_undone = lambda: _backward_end.__setitem__(0, None)
sockets.backward_again = lambda: _backward_end[0] is not None


def _run(roots: list[Node], cause: str, how: str | None = None) -> list[Any]:
    """Run a program for each device; gives what ran. ``how`` the pieces of a long one are alike: it "repeats" them, or "grows"
    with each."""
    by_device: dict[Any, list[Node]] = {}
    for node in roots:
        if node.buffer is None and not isinstance(node, HostValue):
            by_device.setdefault(node.sig.aval.device, []).append(node)
    if not by_device:
        return []
    metrics.synced(cause)
    ran = [sockets.execute(group, how or cause) for group in by_device.values()]
    return [r for r in ran if r is not None]


def live_roots() -> list[Node]:
    """The pending values of what still lives, and those that a backward pass to come will read."""
    found: list[Node] = []
    alive = []
    tracked, logged = rec.live[:], len(rec.log)
    for ref in tracked:
        owner = ref()
        if owner is None:
            continue
        node = owner._node
        edge = owner._edge
        if node is not None and node.buffer is None:
            alive.append(ref)
            if not is_part(node):
                found.append(node)
        if type(edge) is GradNode and not edge.settled:
            _residuals(edge, found)
    metrics.count("ops_recorded", logged)
    del rec.log[:logged]
    rec.live[: len(tracked)] = alive
    return [n for n in found if levels.runs(n)] if levels.active else found


def _residuals(edge: GradNode, found: list[Node]) -> None:
    """What the tape behind ``edge`` has saved and is not computed yet."""
    stack = [edge]
    while stack:
        entry = stack.pop()
        if entry.settled:
            continue
        entry.settled = True
        for node in entry.saved:
            if node is not None and node.buffer is None:
                found.extend(worth_keeping(node))
        if entry.out is not None and entry.out.buffer is None:
            found.append(entry.out)
        stack.extend(e for e in entry.edges if type(e) is GradNode and not e.settled)


def worth_keeping(node: Node) -> Iterator[Node]:
    """The node itself, or for one that is cheap to make again, what it is made from."""
    stack = [node]
    while stack:
        n = stack.pop()
        if n.buffer is not None or isinstance(n, HostValue) or is_part(n):
            continue
        if n.sig.op in _FREE and all(i.sig.aval.size <= n.sig.aval.size or i.buffer is not None for i in n.inputs):
            stack.extend(n.inputs)
        elif type(n.sig.aval) is Aval:
            yield n
        else:
            stack.extend(n.inputs)


def up_to(end: int, roots: list[Node]) -> list[Node]:
    """The roots recorded up to ``end``, and the pending nodes up to there that the later roots are computed from."""
    found = [n for n in roots if n.serial <= end]
    stack = [n for n in roots if n.serial > end]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if node.serial in seen or node.buffer is not None:
            continue
        seen.add(node.serial)
        if node.serial <= end:
            found.extend(worth_keeping(node))
        else:
            stack.extend(node.inputs)
    return found


def _hidden(cause: str) -> None:
    if mode.no_sync is not None:
        raise RuntimeError(
            f"{cause} is a sync, inside no_sync()  ({user_line()}; no_sync entered at {rec.where_text(*mode.no_sync)})"
        )


def period(stream: Sequence[Any], repeats: int, least: int = 1, accept: Callable[[int], bool] = bool) -> int:
    """The length of the piece that the end of ``stream`` repeats at least so often, ``least`` or longer and ``accept``ed; 0 if
    there is none."""
    tail = stream[::-1]
    n = len(tail)
    limit = n // repeats
    # Knuth-Morris-Pratt on the reversed stream: border[i] is the longest border of tail[:i+1].
    border = [0] * n
    k = 0
    best = 0
    tried: set[int] = set()
    for i in range(1, n):
        while k and tail[i] is not tail[k]:
            k = border[k - 1]
        if tail[i] is tail[k]:
            k += 1
        border[i] = k
        p = i + 1 - k
        if least <= p <= limit and (i + 1) >= repeats * p and p not in tried:
            tried.add(p)
            if (best == 0 or p < best) and accept(p):
                best = p
    return best


def growing(stream: Sequence[Signature]) -> int:
    """The length of the piece whose operations the end of ``stream`` repeats, but with other sizes each time, as where text
    is generated from all that has been generated; 0 if there is none."""
    def differs(p: int) -> bool:
        return all(
            any(stream[-1 - i] is not stream[-1 - i - p] for i in range(k * p, (k + 1) * p)) for k in range(REPEATS_GROWING - 1)
        )

    return period([sig.op for sig in stream], REPEATS_GROWING, LONG, differs)


def _going_backward() -> bool:
    """Whether what was recorded last is part of a backward, or comes after one."""
    return mode.site is not None or _backward_end[0] is not None


def _training() -> bool:
    """Whether what was recorded last is part of a training step: on the tape, in a backward, or after one."""
    if _going_backward():
        return True
    return any(t is not None and t._edge is not None for t in (ref() for ref in rec.live[-32:]))


def _overflow() -> None:
    """Called by the recorder when LIMIT ops are pending."""
    stream = rec.log
    training = _training()
    p, how = period(stream, REPEATS_IN_TRAINING if training else REPEATS), "repeats"
    if p and len(stream) < LOOP_LIMIT and _rolls(tuple(stream[-p:])):
        rec.LIMIT[0] = min(4 * len(stream), LOOP_LIMIT)
        return
    if not p and (not training or (len(stream) >= NO_STEP and not _going_backward() and _same_weights())):
        p = growing(stream)
        how = "grows" if p else how
    if not p and len(stream) < HARD_LIMIT:
        rec.LIMIT[0] = min(2 * len(stream), HARD_LIMIT)
        return
    _hidden("cutting a long pending graph")
    opaque("a long pending graph was cut")
    rec.LIMIT[0] = max(BASE_LIMIT // p, 1) * p - 1 if p else BASE_LIMIT
    cause = f"a long pending graph, cut where it repeats, at {user_line()}"
    with lock:
        roots = live_roots()
        ends = _piece_ends(roots)
        for end in ends:
            _run(up_to(end, roots), cause, how)
        if not ends:
            _run(roots, cause, how)


_known_to_roll: dict[tuple[Signature, ...], bool] = {}


def _rolls(piece: tuple[Signature, ...]) -> bool:
    """Whether what is pending, which ends in repeats of ``piece``, becomes a loop: then it need not be cut."""
    found = _known_to_roll.get(piece)
    if found is None:
        nodes = _pending()
        if len(_known_to_roll) > 256:
            _known_to_roll.clear()
        found = _known_to_roll[piece] = sockets.rolls(nodes)
    return found


def _pending() -> list[Node]:
    """The values of what lives that are not computed."""
    owners = [ref() for ref in rec.live]
    return [t._node for t in owners if t is not None and t._node is not None and t._node.buffer is None]


def _same_weights() -> bool:
    """Whether the last two pieces of what grows read mostly the same computed values, as equal layers do not."""
    order = _in_order(_pending())
    p = growing([n.sig for n in order])
    ends = (order[len(order) - k * p : len(order) - (k - 1) * p] for k in (1, 2))
    last, before = ({x for n in piece for x in n.inputs if x.buffer is not None} for piece in ends)
    return len(last & before) * 2 > len(last)


def _in_order(roots: list[Node]) -> list[Node]:
    """What is to be computed for these, as it was recorded."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        n = stack.pop()
        if n.buffer is None and n not in seen:
            seen.add(n)
            stack.extend(n.inputs)
    return sorted(seen, key=lambda n: n.serial)


def _piece_ends(roots: list[Node]) -> list[int]:
    """Serials at which to cut the pending ops into what comes before the loop, and equal pieces of the loop.

    One small executable then serves all pieces. What remains stays pending: it begins the next piece.
    """
    order = _in_order(roots)
    stream: list[Any] = [n.sig for n in order]
    p = period(stream, REPEATS)
    if not p:
        p = growing(stream)
        stream = [n.sig.op for n in order]
    if not p:
        return []
    start = len(order)
    while start > p and stream[start - 1] is stream[start - 1 - p]:
        start -= 1
    piece = p * max(PIECE // p, 1)
    return [order[i - 1].serial for i in range(start - p, len(order) + 1, piece) if i > 0]


rec.overflow = _overflow


@contextmanager
def no_sync() -> Iterator[None]:
    """Inside, anything that would run pending work unasked (a read, a print, a test of a value) is an error that
    names the user's line. ``sync()`` and ``optimizer.step()`` stay allowed."""
    saved, mode.no_sync = mode.no_sync, rec.user_site(3)
    try:
        yield
    finally:
        mode.no_sync = saved


@contextmanager
def eager(enabled: bool = True) -> Iterator[None]:
    """Inside, each op runs by itself as soon as it is recorded: for looking, not for speed."""
    sync("eager()")
    saved, mode.eager = mode.eager, enabled
    starts.begins()
    try:
        yield
    finally:
        mode.eager = saved
        starts.begins()


def synchronize() -> None:
    """Dispatch what is pending and wait until it is done."""
    from ..devices import wait

    for node in _run_all("synchronize()"):
        if node.buffer is not None:
            wait(node.buffer)
