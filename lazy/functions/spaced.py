"""Numbers evenly spaced: ``linspace``, ``logspace``."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ... import devices
from .. import dtypes, ops
from ..dtypes import DType
from ..graph import Aval
from ..record import user_line
from ..tensors import Tensor
from ._register import function
from .conversion import constant, convert, lift, python_kind
from .creation import SMALL, _finished, line

_WIDER = {
    np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble, np.dtype(np.complex64): np.complex128,
}  # fmt: skip


def evenly(start: Any, end: Any, steps: int, d: DType) -> np.ndarray:
    """As PyTorch counts, to the bit: from the nearer end, a step of the numbers' own type (float64 for whole numbers)
    multiplied and added with one rounding. A point that lies on a pixel, not beside it, decides where a gradient points."""
    work = d.numpy if d.is_inexact else np.dtype(np.float64)
    a, b = np.asarray(start).astype(d.numpy).astype(work), np.asarray(end).astype(d.numpy).astype(work)
    wide = _WIDER.get(work, work)
    step = ((b - a) / np.asarray(max(steps - 1, 1), work)).astype(wide)
    at = np.arange(steps)
    first, last = a + step * at.astype(wide), b - step * (steps - 1 - at).astype(wide)
    return np.where(at < max(steps // 2, 1), first, last).astype(work).astype(d.numpy)


def spaced(start: Any, end: Any, steps: int, base: float | None, dtype: Any, device: Any) -> Tensor:
    """``steps`` evenly spaced numbers (or the base to their powers): on the host, unless an end is itself computed."""
    if operator.index(steps) < 0:
        raise RuntimeError(f"number of steps must be non-negative  ({user_line()})")
    given = [x for x in (start, end) if isinstance(x, Tensor)]
    if any(x.ndim for x in given):
        raise RuntimeError(f"linspace and logspace only support 0-dimensional start and end tensors  ({user_line()})")
    kinds = [x.dtype if isinstance(x, Tensor) else dtypes.of_python(python_kind(x)) for x in (start, end)]
    d = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if dtype is None and any(k.is_complex for k in kinds):
        d = d.to_complex()
    if d.category == dtypes.INT and not given:
        start, end = int(start), int(end)  # as PyTorch does
    if not given and steps <= SMALL:
        with np.errstate(all="ignore"):
            values = evenly(start, end, steps, d) if base is None else np.logspace(start, end, steps, base=base)
            return constant(values.astype(d.numpy), d, devices.canonical(device))
    place = given[0].device if given and device is None else devices.canonical(device)
    work = dtypes.complex128 if d.is_complex else dtypes.float64 if not (given and d.is_inexact) else d
    a, b = (lift(x, work, place) for x in (start, end))
    at = convert(line(Aval((steps,), dtypes.int64, place)), work)
    back = constant(steps - 1, work, place) - at
    width = (b - a) / constant(max(steps - 1, 1), work, place)
    # counted from the nearer end, so that both ends are exact
    values = ops.select(line(Aval((steps,), dtypes.int64, place)) < max(steps // 2, 1), a + at * width, b - back * width)
    values = values if base is None else base**values
    return convert(values, d)


@function
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:
    """``steps`` numbers from start to end, both included."""
    return _finished(spaced(start, end, steps, None, dtype, device), requires_grad)


@function
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, layout: Any = None,
) -> Tensor:  # fmt: skip
    """base to the powers of ``linspace``."""
    return _finished(spaced(start, end, steps, base, dtype, device), requires_grad)
