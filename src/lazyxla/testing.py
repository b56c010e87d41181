"""Comparing tensors in tests, and making them, as ``torch.testing``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import lazy as lx
from .lazy import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# rtol and atol by dtype, PyTorch's own; whole numbers and bools must be equal.
_TOLERANCES = {
    lx.float16: (1e-3, 1e-5), lx.bfloat16: (1.6e-2, 1e-5), lx.float32: (1.3e-6, 1e-5), lx.float64: (1e-7, 1e-7),
    lx.complex64: (1.3e-6, 1e-5), lx.complex128: (1e-7, 1e-7),
}  # fmt: skip


def _tensor(x: Any, where: str) -> Tensor:
    if isinstance(x, Tensor):
        return x.detach()
    if isinstance(x, (bool, int, float, complex, np.ndarray, np.generic)):
        return lx.tensor(x, dtype=lx.float64 if isinstance(x, float) else lx.complex128 if isinstance(x, complex) else None)
    raise TypeError(f"No comparison pair was able to handle inputs of type {type(x).__name__}{where}")


def _fail(text: str, msg: Any) -> None:
    if callable(msg):
        text = msg(text)
    elif msg is not None:
        text = str(msg)
    raise AssertionError(text)


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = False, check_device: bool = True, check_dtype: bool = True, check_layout: bool = True,
    check_stride: bool = False, msg: str | Callable[[str], str] | None = None,
) -> None:  # fmt: skip
    """AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere, and shapes, dtypes and devices match.

    Numbers, arrays, and sequences and mappings of them are compared piece by piece. Without ``rtol`` and ``atol``
    (both or neither) PyTorch's tolerances by dtype hold. Waits for the values.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"rtol and atol must both be specified or both be unspecified, but got rtol={rtol} and atol={atol} instead."
        )
    if not allow_subclasses and type(actual) is not type(expected):
        raise TypeError(f"the types {type(actual).__name__} and {type(expected).__name__} are not the same")

    def compare(a: Any, b: Any, where: str) -> None:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if set(a) != set(b):
                _fail(f"The keys of the mappings do not match: {sorted(map(str, a))} and {sorted(map(str, b))}{where}", msg)
            for k in a:
                compare(a[k], b[k], f"{where} at key {k!r}")
        elif _is_sequence(a) and _is_sequence(b):
            if len(a) != len(b):
                _fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}{where}", msg)
            for i, (x, y) in enumerate(zip(a, b)):
                compare(x, y, f"{where} at index {i}")
        elif a is None or b is None:
            if a is not b:
                _fail(f"None mismatch: {a} is not {b}{where}", msg)
        else:
            plain = not isinstance(a, Tensor) and not isinstance(b, Tensor)
            kinds = check_dtype and not plain
            found = _differences(_tensor(a, where), _tensor(b, where), rtol, atol, equal_nan, check_device, kinds)
            if found:
                _fail(found + where, msg)

    compare(actual, expected, "")


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _differences(
    a: Tensor, b: Tensor, rtol: float | None, atol: float | None, equal_nan: bool, check_device: bool, check_dtype: bool
) -> str:
    """What is not equal, in words; empty where all is."""
    if a.shape != b.shape:
        return f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}."
    if check_device and a.device is not b.device:
        return f"The values for attribute 'device' do not match: {a.device} != {b.device}."
    if check_dtype and a.dtype is not b.dtype:
        return f"The values for attribute 'dtype' do not match: {a.dtype} != {b.dtype}."
    if rtol is None or atol is None:
        both = [_TOLERANCES.get(d, (0.0, 0.0)) for d in (a.dtype, b.dtype)]
        rtol, atol = (max(t[i] for t in both) for i in (0, 1))
    x, y = (np.asarray(t.cpu()._array("assert_close()")) for t in (a, b))
    if x.dtype.kind not in "biufc" or y.dtype.kind not in "biufc":  # bfloat16 and its kin
        x, y = x.astype(np.float64), y.astype(np.float64)
    exact = x.dtype.kind in "biu" and y.dtype.kind in "biu" and not rtol and not atol
    close = x == y if exact else np.isclose(x, y, rtol, atol, equal_nan)
    if close.all():
        return ""
    wrong = int(close.size - close.sum())
    with np.errstate(all="ignore"):
        gap = np.where(close, 0, np.abs(np.subtract(x, y, dtype=np.result_type(x, y, np.float64))))
        share = gap / np.abs(y)
    if not close.ndim:
        return (
            f"Scalars are not close!\n\nExpected {y.item()} but got {x.item()}.\n"
            f"Absolute difference: {gap.item()} (up to {atol} allowed)\n"
            f"Relative difference: {share.item()} (up to {rtol} allowed)"
        )
    at = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(gap) if not np.isnan(gap).all() else 0), gap.shape))
    return (
        f"Tensor-likes are not {'equal' if exact else 'close'}!\n\n"
        f"Mismatched elements: {wrong} / {close.size} ({100 * wrong / close.size:.1f}%)\n"
        f"Greatest absolute difference: {gap[at]} at index {at} (up to {atol} allowed)\n"
        f"Greatest relative difference: {np.nanmax(share) if not np.isnan(share).all() else share.flat[0]} "
        f"(up to {rtol} allowed)"
    )


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True,
    msg: str = "",
) -> None:  # fmt: skip
    """``assert_close`` as it once was: dtypes and devices may differ, and NaN equals NaN."""
    warnings.warn("assert_allclose() is deprecated: use assert_close()", FutureWarning, stacklevel=2)
    if not isinstance(actual, Tensor):
        actual = lx.tensor(actual)
    if not isinstance(expected, Tensor):
        expected = lx.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        rtol, atol = _TOLERANCES.get(actual.dtype, (0.0, 0.0))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=False, check_dtype=False,
        msg=msg or None,
    )  # fmt: skip


def make_tensor(
    *shape: Any, dtype: Any, device: Any = None, low: float | None = None, high: float | None = None,
    requires_grad: bool = False, noncontiguous: bool = False, exclude_zero: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Random numbers in [low, high): by default [-9, 9) (whole numbers: [-9, 10), unsigned from 0)."""
    size = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if dtype is lx.bool:
        out = lx.randint(0, 2, size, device=device).bool()
    elif not dtype.is_inexact:
        lo = (-9 if dtype.is_signed else 0) if low is None else int(low)
        out = lx.randint(lo, 10 if high is None else int(high), size, dtype=dtype, device=device)
    else:
        least, most = -9.0 if low is None else low, 9.0 if high is None else high
        real = lx.rand(*size, dtype=dtype.to_real(), device=device) * (most - least) + least
        out = real
        if dtype.is_complex:
            out = lx.complex(real, lx.rand(*size, dtype=dtype.to_real(), device=device) * (most - least) + least)
    if exclude_zero:
        out = lx.where(out == 0, lx.finfo(dtype).tiny if dtype.is_inexact else 1, out)
    return out.requires_grad_() if requires_grad else out
