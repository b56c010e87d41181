"""Names for annotations, as ``torch.types``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any

from . import Size, Tensor
from . import device as _device
from . import dtype as _dtype  # noqa: F401  (for whom it is that imports it)
from .lazy.layouts import layout as _layout  # noqa: F401

Number = int | float | bool
Device = _device | str | int | None
FileLike = str | os.PathLike[str] | IO[bytes]
_int, _float, _bool, _complex = int, float, bool, complex
_symint = int
_size = Size | list[int] | tuple[int, ...]
_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrTensorsOrGradEdge = _TensorOrTensors
_qscheme = Any

__all__ = ["Device", "FileLike", "Number"]
