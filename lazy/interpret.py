"""The reference interpreter: a pending tensor's graph evaluated with the ops' NumPy meanings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import devices
from .graph import HostValue, Node
from .tensors import Tensor


def interpret(tensor: Tensor) -> np.ndarray:
    """The value of ``tensor`` by NumPy alone; runs nothing on a device and leaves the tensor pending."""
    return interpret_all([tensor])[0]


def interpret_all(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """The values of ``tensors``, as ``interpret`` finds each; what they share is evaluated once."""
    roots: list[Node] = [t._node or t._refresh() for t in tensors]
    values = evaluated(roots, lambda n: None if n.buffer is None else devices.to_numpy(n.buffer))
    return [np.asarray(values[node]) for node in roots]


def evaluated(roots: Sequence[Node], known: Callable[[Node], Any]) -> dict[Node, Any]:
    """By the NumPy meanings of their ops, the values of nodes and of what they are computed from, beginning with those that
    are numbers or that ``known`` gives (for others: None)."""
    values: dict[Node, Any] = {}
    stack = list(roots)
    while stack:
        node = stack[-1]
        if node in values:
            stack.pop()
        elif isinstance(node, HostValue):
            values[node] = node.value
        elif (value := known(node)) is not None:
            values[node] = value
        else:
            missing = [x for x in node.inputs if x not in values]
            stack.extend(missing)
            if not missing:
                with np.errstate(all="ignore"):
                    values[node] = node.sig.op.meaning(*(values[x] for x in node.inputs), **node.sig.keyword)
    return values
