"""The reference interpreter: a pending tensor's graph evaluated with the ops' NumPy meanings."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import devices
from .graph import HostValue, Node
from .tensors import Tensor


def interpret(tensor: Tensor) -> np.ndarray:
    """The value of ``tensor`` by NumPy alone; runs nothing on a device and leaves the tensor pending."""
    values: dict[Node, Any] = {}
    stack = [tensor._node or tensor._refresh()]
    while stack:
        node = stack[-1]
        if node in values:
            stack.pop()
        elif isinstance(node, HostValue):
            values[node] = node.value
        elif node.buffer is not None:
            values[node] = devices.to_numpy(node.buffer)
        else:
            missing = [x for x in node.inputs if x not in values]
            stack.extend(missing)
            if not missing:
                with np.errstate(all="ignore"):
                    values[node] = node.sig.op.meaning(*(values[x] for x in node.inputs), **node.sig.keyword)
    return np.asarray(values[tensor._node])
