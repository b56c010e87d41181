"""``torch._C``, for what programs take from there: switching ``__torch_function__`` off."""

from __future__ import annotations

from typing import Any

from .lazy.subclassing import no_say as _disabled_torch_function_impl
from .lazy.subclassing import unasked


class DisableTorchFunctionSubclass:
    """``with DisableTorchFunctionSubclass():`` subclasses of ``Tensor`` are plain tensors inside."""

    _modes = False

    def __enter__(self) -> None:
        self._inside = unasked(self._modes)
        self._inside.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inside.__exit__(*error)


class DisableTorchFunction(DisableTorchFunctionSubclass):
    """``DisableTorchFunctionSubclass`` that leaves out the modes, too."""

    _modes = True


__all__ = ["DisableTorchFunction", "DisableTorchFunctionSubclass", "_disabled_torch_function_impl"]
