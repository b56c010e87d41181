"""What all of this folder is written in: the public functions, so that its calls are recorded and followed as a user's are."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from ..autograd import enable_grad, no_grad
from ..lazy import Size, Tensor, dtypes, public
from ..lazy.dtypes import finfo
from ..lazy.record import user_line
from ..linalg import cholesky, cholesky_ex, eigvalsh, slogdet, solve_triangular
from ..nn import functional as F

lx: Any = SimpleNamespace(**public)
inf, nan, pi = math.inf, math.nan, math.pi
Number = (int, float, bool)
Value = Tensor | float  # a parameter as it may be given


def error(kind: type[Exception], message: str) -> Exception:
    """An error with the user's line at its end."""
    return kind(f"{message}  ({user_line()})")


__all__ = [
    "F", "Number", "Size", "Tensor", "Value", "cholesky", "cholesky_ex", "dtypes", "eigvalsh", "enable_grad", "error", "finfo",
    "inf", "lx", "nan", "no_grad", "pi", "slogdet", "solve_triangular", "user_line",
]  # fmt: skip
