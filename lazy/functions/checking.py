"""Demands on the values of operands: looked at where these are known, and otherwise with the run that computes them."""

from __future__ import annotations

from collections.abc import Callable

from .. import checks
from ..graph import HostValue
from ..record import mode, user_line
from ..replay.state import S
from ..tensors import Tensor
from .shape import raw_reshape


def require(ok: Tensor, given: Tensor, error: Callable[[str], Exception]) -> None:
    """Raise ``error(the user's line)`` unless ``ok``, a bool made of ``given``: at once where ``given`` is known, else at the
    next read of a value after it is computed. What is captured or run one operation at a time is not looked at."""
    node = given._node
    if node is not None and (node.buffer is not None or isinstance(node, HostValue)):
        if not ok.item():
            raise error(user_line())
    elif S.capture is None and not mode.eager:
        checks.defer(raw_reshape(ok, (1,)), lambda _, line: error(line))


__all__ = ["require"]
