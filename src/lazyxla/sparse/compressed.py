"""Sparse matrices by rows (CSR) or by columns (CSC): where each row begins among the elements, and their columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lazy as lx
from ..lazy import Tensor, layouts
from ..lazy.functions._register import function
from ..lazy.record import user_line
from . import _places
from .coo import CooTensor, as_indices, as_values, finished
from .tensor import SparseTensor

_SIDES = {
    "sparse_csr": ("crow", "col", "row", "column", "rows"),
    "sparse_csc": ("ccol", "row", "column", "row", "columns"),
}


class CompressedTensor(SparseTensor):
    """The base of both; ``_starts`` [rows + 1] and ``_plain`` [elements] are what they are made of."""

    axis: int  # the compressed dim

    def __init__(
        self, starts: Tensor, plain: Tensor, vals: Tensor, shape: Any, own: bool = False, coords: Any = None
    ) -> None:
        self._starts, self._plain = starts, plain
        if coords is None:
            compressed = _expanded(starts, plain.shape[0])
            coords = lx.stack([compressed, plain] if self.axis == 0 else [plain, compressed])
        super().__init__(coords, vals, shape, own)

    def _with(self, vals: Tensor, own: bool = False) -> CompressedTensor:
        return type(self)(self._starts, self._plain, vals, self._shape, own, self._coords)

    def _parts(self) -> tuple[Any, tuple[Tensor, ...]]:
        return (tuple(self._shape), self._own), (self._starts, self._plain, self._vals, self._coords)

    @classmethod
    def _of_parts(cls, static: Any, parts: Any) -> CompressedTensor:
        (starts, plain, vals, coords), (shape, own) = parts, static
        return cls(starts, plain, vals, shape, own, coords)

    def _moved(self, vals: Tensor) -> CompressedTensor:
        place = vals.device
        return type(self)(
            self._starts.to(place), self._plain.to(place), vals, self._shape, False, self._coords.to(place)
        )

    def _coo(self) -> CooTensor:
        return CooTensor(self._coords, self._vals, self._shape, self.axis == 0)

    def _back(self, coo: CooTensor) -> Any:
        return coo._to_layout(str.__str__(self.layout))

    def _to_layout(self, name: str) -> Any:
        return self if name == str.__str__(self.layout) else self._coo().coalesce()._to_layout(name)

    def values(self) -> Tensor:
        """The values, [elements, *dense dims]."""
        return self._vals

    def _turned(self) -> Any:
        """The transpose, which is the other layout of the same arrays."""
        kind = CscTensor if self.axis == 0 else CsrTensor
        shape = (self._shape[1], self._shape[0], *self._shape[2:])
        return kind(self._starts, self._plain, self._vals, shape, False, self._coords.flip(0))


class CsrTensor(CompressedTensor):
    """``crow_indices`` [rows + 1], ``col_indices`` [elements], ``values`` [elements, *dense dims]."""

    layout, axis = layouts.sparse_csr, 0
    is_sparse_csr = True

    def crow_indices(self) -> Tensor:
        """Where each row begins among the elements, and where the last ends."""
        return self._starts

    def col_indices(self) -> Tensor:
        """The elements' columns."""
        return self._plain


class CscTensor(CompressedTensor):
    """``ccol_indices`` [columns + 1], ``row_indices`` [elements], ``values`` [elements, *dense dims]."""

    layout, axis = layouts.sparse_csc, 1

    def ccol_indices(self) -> Tensor:
        """Where each column begins among the elements, and where the last ends."""
        return self._starts

    def row_indices(self) -> Tensor:
        """The elements' rows."""
        return self._plain


_KINDS: dict[str, Any] = {"sparse_csr": CsrTensor, "sparse_csc": CscTensor}


def _expanded(starts: Tensor, n: int) -> Tensor:
    """The compressed index of each element."""
    if _places.are_there(starts):
        counts = np.diff(starts._array("a check of indices"))
        if (counts >= 0).all() and counts.sum() == n:
            return _places.index(np.repeat(np.arange(len(counts)), counts), starts.device)
    at = lx.arange(n, device=starts.device)
    return lx.searchsorted(starts[1:].contiguous(), at, right=True)


def compress(coo: CooTensor, name: str) -> Any:
    """A matrix in coordinates, by rows or columns. Reads the indices."""
    kind = _KINDS[name]
    if coo.sparse_dim() != 2:
        raise RuntimeError(
            f"coo_to_{name}: conversion from Sparse to {name} for input tensors with sparse_dim()!=2 is not supported"
            f"  ({user_line()})"
        )
    coo = coo.coalesce()
    coords, vals = _places.read(coo._coords, f"to_{name}()"), coo._vals
    if kind.axis == 1:
        order = np.lexsort((coords[0], coords[1]))
        coords, vals = coords[:, order], vals.index_select(0, _places.index(order, vals.device))
    starts = _places.index(_places.bounds(coords[kind.axis], coo.shape[kind.axis]), vals.device)
    places = _places.index(coords, vals.device)
    return kind(starts, places[1 - kind.axis], vals, coo.shape, False, places)


def _made(
    name: str, starts: Any, plain: Any, values: Any, size: Any, dtype: Any, device: Any, requires_grad: bool, check: Any
) -> Any:
    kind = _KINDS[name]
    compressed_name, plain_name, *_, many = _SIDES[name]
    vals = as_values(values, dtype, device)
    first = as_indices(starts, vals.device)
    second = as_indices(plain, vals.device)
    for t, what in ((first, compressed_name), (second, plain_name)):
        if t.ndim != 1:
            raise RuntimeError(
                f"{what}_indices must have dimensionality 1 (batches of sparse matrices are not there), but got "
                f"{t.ndim}  ({user_line()})"
            )
    if second.shape[0] != vals.shape[0]:
        raise RuntimeError(
            f"number of elements in {plain_name}_indices and values must match, but got {second.shape[0]} and "
            f"{vals.shape[0]}  ({user_line()})"
        )
    if size is None:
        most = int(_places.read(second, f"{name}_tensor() without a size").max(initial=-1)) + 1
        pair = [first.shape[0] - 1, most]
        size = (*(pair if kind.axis == 0 else pair[::-1]), *vals.shape[1:])
    size = tuple(int(n) for n in size)
    if len(size) != 1 + vals.ndim or min(size) < 0 or size[2:] != tuple(vals.shape[1:]):
        raise RuntimeError(
            f"size {list(size)} does not fit values {list(vals.shape)}: two dims and then those of a value are expected"
            f"  ({user_line()})"
        )
    rows, columns = size[kind.axis], size[1 - kind.axis]
    if first.shape[0] != rows + 1:
        raise RuntimeError(
            f"{compressed_name}_indices.shape[-1] must be equal to the number of {many} + 1 (={rows + 1}), but got "
            f"{first.shape[0]}  ({user_line()})"
        )
    if check is not False and _places.are_there(first) and _places.are_there(second):
        _check(first, second, columns, compressed_name, plain_name)
    return finished(kind(first, second, vals, size), requires_grad)


def _check(first: Tensor, second: Tensor, columns: int, compressed: str, plain: str) -> None:
    starts, places = first._array("a check of indices"), second._array("a check of indices")
    steps = np.diff(starts)
    within = np.ones(max(len(places) - 1, 0), bool)
    begins = starts[1:-1]
    within[begins[(begins > 0) & (begins < len(places))] - 1] = False
    c, p = f"{compressed}_indices", f"{plain}_indices"
    for ok, words in (
        (starts[0] == 0, f"`{c}[..., 0] == 0`"),
        (starts[-1] == len(places), f"`{c}[..., -1] == nnz`"),
        ((steps >= 0).all() and (steps <= columns).all(), f"`0 <= {c}[..., 1:] - {c}[..., :-1] <= {columns}`"),
        (not len(places) or (places.min() >= 0 and places.max() < columns), f"`0 <= {p} < {columns}`"),
        ((np.diff(places)[within] > 0).all(), f"`{p} of each slice are sorted and distinct`"),
    ):
        if not ok:
            raise RuntimeError(f"{words} is not satisfied.  ({user_line()})")


@function
def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
) -> CsrTensor:  # fmt: skip
    """A matrix by rows: ``values`` and their columns, and where each row begins among them. RuntimeError for bad ones."""
    found = "sparse_csr", crow_indices, col_indices, values, size, dtype, device, requires_grad, check_invariants
    return _made(*found)  # type: ignore[no-any-return]


@function
def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
) -> CscTensor:  # fmt: skip
    """A matrix by columns: ``values`` and their rows, and where each column begins among them."""
    found = "sparse_csc", ccol_indices, row_indices, values, size, dtype, device, requires_grad, check_invariants
    return _made(*found)  # type: ignore[no-any-return]


@function
def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
) -> Any:  # fmt: skip
    """``sparse_csr_tensor`` or ``sparse_csc_tensor``, by the layout."""
    if layout is None:
        raise RuntimeError(
            f"sparse_compressed_tensor(): expected a sparse compressed layout, but got none  ({user_line()})"
        )
    name = str.__str__(layout)
    if name not in _KINDS:
        raise NotImplementedError(
            f"sparse_compressed_tensor(): lazyxla has the layouts sparse_csr and sparse_csc, not {layout!r}  ({user_line()})"
        )
    return _made(name, compressed_indices, plain_indices, values, size, dtype, device, requires_grad, check_invariants)
