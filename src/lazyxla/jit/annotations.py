"""Names of types under the name that programs import them by."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035  (these are the names that programs want)

from ..futures import Future
from ..lazy import Tensor

BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = List  # noqa: UP006  (a number, or a list of them)

__all__ = ["Any", "BroadcastingList1", "BroadcastingList2", "BroadcastingList3", "Dict", "Future", "List", "Optional",
    "Tensor", "Tuple", "Union"]  # fmt: skip
