"""``SummaryWriter``: events for TensorBoard, written by the package tensorboardX, from tensors as from arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..lazy import Tensor

try:
    import tensorboardX
except ImportError as e:
    raise ImportError("lazyxla.utils.tensorboard writes with the package tensorboardX: pip install tensorboardX") from e


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]
    """``tensorboardX.SummaryWriter``, whose methods take tensors (with or without a history) wherever they take arrays."""


def _plain(x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.detach().cpu().numpy()
    if type(x) in (list, tuple):
        return type(x)(map(_plain, x))
    return {k: _plain(v) for k, v in x.items()} if type(x) is dict else x


def _of_arrays(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def add(self: SummaryWriter, *args: Any, **kwargs: Any) -> Any:
        return method(self, *map(_plain, args), **_plain(kwargs))

    return add


for _name, _method in vars(tensorboardX.SummaryWriter).items():
    if _name.startswith("add_"):
        setattr(SummaryWriter, _name, _of_arrays(_method))

__all__ = ["SummaryWriter"]
