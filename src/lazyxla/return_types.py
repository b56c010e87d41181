"""The classes of named results, by the name of the function that gives them, as ``torch.return_types``."""

from __future__ import annotations

from .lazy.functions.returned import RETURN_TYPES

globals().update(RETURN_TYPES)
__all__ = list(RETURN_TYPES)
