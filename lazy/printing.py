"""Tensors as text, laid out as PyTorch lays them out, from a NumPy array."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from . import dtypes
from .subclassing import no_say


@dataclass
class Options:
    """What ``set_printoptions`` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": Options(), "short": Options(precision=2, edgeitems=2), "full": Options(threshold=math.inf),
}  # fmt: skip
_options = Options()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Set digits after the point, the size from which tensors are summarised, and so on (see PyTorch's)."""
    global _options
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"unknown profile {profile!r}; expected one of {', '.join(_PROFILES)}")
        _options = replace(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force."""
    return asdict(_options)


# --- summaries --------------------------------------------------------------------------------------------------


def needs_summary(shape: tuple[int, ...]) -> bool:
    """Whether a tensor of the shape is shown by its edges only."""
    return math.prod(shape) > _options.threshold


def edge_slices(shape: tuple[int, ...]) -> list[Any]:
    """What ``tensor[tuple(...)]`` may be narrowed to for printing: no more than the edges of the last dims."""
    edge = _options.edgeitems
    places: list[Any] = [slice(None)] * len(shape)
    for d, n in enumerate(shape):
        if n > 2 * edge + 1:
            places[d] = [*range(edge), 0, *range(n - edge, n)]  # the middle one stands for what is left out
            break
    return places


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows (they alone decide the width of a column)."""
    edge = _options.edgeitems
    for d, n in enumerate(array.shape):
        if n > 2 * edge:
            array = np.concatenate([np.take(array, range(edge), d), np.take(array, range(n - edge, n), d)], d)
    return array


# --- numbers ----------------------------------------------------------------------------------------------------


class _Formatter:
    """Formats the numbers of one tensor alike: as integers, with a point, or with an exponent."""

    def __init__(self, values: np.ndarray) -> None:
        self.floating = values.dtype.kind not in "biu"
        self.integral, self.scientific, self.width = True, False, 1
        if not self.floating:
            self.width = max((len(str(v)) for v in values.reshape(-1).tolist()), default=1)
            return
        flat = values.reshape(-1).astype(np.float64)
        finite = np.abs(flat[np.isfinite(flat) & (flat != 0)])
        if finite.size:
            self.integral = bool(np.all(finite == np.ceil(finite)))
            low, high = float(finite.min()), float(finite.max())
            self.scientific = high / low > 1000.0 or high > 1.0e8 or (low < 1.0e-4 and not self.integral)
            if _options.sci_mode is not None:
                self.scientific = _options.sci_mode
            shown = flat[np.isfinite(flat) & (flat != 0)]
            self.width = max(len(self._text(v)) for v in shown.tolist())

    def _text(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        if self.integral:
            text = f"{value:.0f}"
            return text + "." if math.isfinite(value) else text
        return f"{value:.{_options.precision}f}"

    def __call__(self, value: Any) -> str:
        if not self.floating:
            return str(value).rjust(self.width)
        if self.scientific:
            return f"{value:{self.width}.{_options.precision}e}"
        return self._text(value).rjust(self.width)


class _ComplexFormatter:
    """A real and an imaginary formatter side by side."""

    def __init__(self, values: np.ndarray) -> None:
        self.real, self.imag = _Formatter(values.real), _Formatter(values.imag)
        self.floating = True
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip()
        sign = "" if imag.startswith("-") else "+"
        return f"{self.real(value.real)}{sign}{imag}j"


def _formatter(shown: np.ndarray) -> Any:
    return _ComplexFormatter(shown) if shown.dtype.kind == "c" else _Formatter(shown)


# --- layout -----------------------------------------------------------------------------------------------------


def _vector(array: np.ndarray, indent: int, summarize: bool, form: Any) -> str:
    width = form.width + 2
    if isinstance(form, _ComplexFormatter):
        width = form.real.width + form.imag.width + 3
    per_line = max(1, math.floor((_options.linewidth - indent) / width))
    edge = _options.edgeitems
    if summarize and not edge:
        cells = ["..."]
    elif summarize and len(array) > 2 * edge:
        cells = [form(v) for v in array[:edge].tolist()] + [" ..."] + [form(v) for v in array[-edge:].tolist()]
    else:
        cells = [form(v) for v in array.tolist()]
    lines = [cells[i : i + per_line] for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(", ".join(line) for line in lines) + "]"


def _block(array: np.ndarray, indent: int, summarize: bool, form: Any) -> str:
    if array.ndim == 0:
        return form(array.tolist())
    if array.ndim == 1:
        return _vector(array, indent, summarize, form)
    edge = _options.edgeitems
    if summarize and len(array) > 2 * edge:
        parts = [_block(a, indent + 1, summarize, form) for a in array[:edge]]
        parts += ["..."] + [_block(a, indent + 1, summarize, form) for a in array[len(array) - edge :]]
    else:
        parts = [_block(a, indent + 1, summarize, form) for a in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def prefix_of(kind: type, plain: type) -> str:
    """How the text of a tensor begins; a subclass that computes with its own kind has its name there."""
    return "tensor(" if kind is plain or kind.__torch_function__ is no_say else f"{kind.__name__}("  # type: ignore[attr-defined]


def format_tensor(
    array: np.ndarray | None, *, dtype_name: str, show_dtype: bool, device: str | None, requires_grad: bool,
    grad_fn: str | None, prefix: str = "tensor(", full_shape: tuple[int, ...] | None = None,
) -> str:  # fmt: skip
    """The text of a tensor: its numbers in PyTorch's layout, then device, size, dtype and gradient where they are shown.

    ``array`` may be the tensor narrowed by ``edge_slices``; ``full_shape`` then is the tensor's own. None stands for
    the values of a meta tensor.
    """
    shape = full_shape if full_shape is not None or array is None else array.shape
    assert shape is not None
    suffixes = [f"device='{device}'"] if device is not None else []
    if array is None:
        body = "..."
        suffixes.append(f"size={tuple(shape)}")
    elif math.prod(shape) == 0:
        if len(shape) != 1:
            suffixes.append(f"size={tuple(shape)}")
        body = "[]"
    else:
        body = numbers(array, len(prefix), shape)
        if _options.edgeitems == 0:
            suffixes.append(f"size={tuple(shape)}")
    if show_dtype:
        suffixes.append(f"dtype=lazyxla.{dtype_name}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return with_suffixes(prefix + body, suffixes)


def numbers(array: np.ndarray, indent: int, full_shape: tuple[int, ...] | None = None) -> str:
    """The numbers of a tensor in PyTorch's layout, for a place so many columns from the left."""
    shape = array.shape if full_shape is None else full_shape
    if math.prod(shape) == 0:
        return "[]"
    if array.dtype.kind not in "biufc":  # bfloat16 and its kin, and integers of four bits
        array = array.astype((dtypes.of_numpy(array.dtype).wide or dtypes.float32).numpy)
    summarize = needs_summary(tuple(shape))
    return _block(array, indent, summarize, _formatter(_edges(array) if summarize else array))


def with_suffixes(text: str, suffixes: list[str], new_line: bool = False) -> str:
    """Suffixes go on the last line while they fit in the line width, and on a new one after that (or at once)."""
    last = len(text) - text.rfind("\n") + 1
    parts = [text]
    for i, suffix in enumerate(suffixes):
        if last + len(suffix) + 2 > _options.linewidth or (new_line and not i):
            parts.append(",\n" + " " * len("tensor(") + suffix)
            last = len("tensor(") + len(suffix)
        else:
            parts.append(", " + suffix)
            last += len(suffix) + 2
    return "".join(parts) + ")"
