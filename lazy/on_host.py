"""``on_host``: where data is loaded, operations on CPU tensors are computed at once, by NumPy, apart from the program.

An example is a few small operations, with other sizes and places than the one before: nothing to compile a program for. So
they are neither part of the step that is being recorded or followed, nor do they need XLA, whose threads a forked process
has not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import devices
from . import ops
from . import record as rec
from .graph import Aval, Node, computed_as
from .interpret import evaluated
from .record import mode, sockets
from .replay import starts
from .replay.state import S

# What is never left pending: part of an operand, made without being recorded.
_PARTS = {ops.constant, ops.iota, ops.broadcast_in_dim, ops.reshape, ops.convert}
# What XLA does much faster than the NumPy meaning; a forked process has only that.
_HEAVY = {ops.convolution, ops.dot_general, ops.reduce_window_sum, ops.jax_function}


class on_host:
    """Inside, this thread's operations on CPU tensors are computed at once by NumPy, those on others at once by XLA; the
    program outside does not take them for a part of its step."""

    def __enter__(self) -> None:
        if S.capture is not None:
            S.capture.opaque("a batch of a DataLoader")  # raises
        self._eager, mode.eager, self._was = mode.eager, rec.HOST, S.enter()

    def __exit__(self, *_: Any) -> None:
        S.leave(self._was)
        mode.eager = self._eager


def alone() -> None:
    """Make of this process one that only loads data: nothing is followed, and nothing is pending from its parent."""
    starts.enabled[0] = False
    S.set_player(None)
    S.inside, S.active = False, None
    rec.log.clear()
    rec.live.clear()


def _compute(nodes: list[Node]) -> None:
    """Give the results of one op, just recorded, their values."""
    for node in reversed(nodes):
        if rec.log and rec.log[-1] is node.sig:
            rec.log.pop()
            rec.live.pop()
    first = nodes[0]
    op = first.sig.op if first.sig.op is not ops.result else first.inputs[0].sig.op
    heavy = op in _HEAVY and not (devices.forks.forked and op is not ops.jax_function)
    if heavy or first.sig.aval.device.type != "cpu":
        sockets.execute(nodes, "eager")
        return
    values = evaluated(nodes, lambda n: None if n in nodes or _is_part(n) else _read(n))
    for node in nodes:
        computed_as(node, devices.HostArray(np.asarray(values[node], node.sig.aval.dtype.numpy)))


def _is_part(node: Node) -> bool:
    """Whether a node is to be computed here, and not a tensor of the program's."""
    return node.buffer is None and (node.sig.op in _PARTS or type(node.sig.aval) is not Aval)


def _read(node: Node) -> np.ndarray:
    """The value of a tensor of the program's, which may be pending still."""
    if node.buffer is None:
        sockets.execute([node], "a dataset's tensor")
    devices.wait(node.buffer)
    return devices.to_numpy(node.buffer)  # type: ignore[no-any-return]


rec.by_numpy = _compute
