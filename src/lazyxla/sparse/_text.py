"""Sparse tensors as text, laid out as PyTorch lays them out."""

from __future__ import annotations

from typing import Any

from .. import devices
from ..lazy import Tensor, dtypes, printing

_PARTS = {
    "sparse_coo": ("_coords", None), "sparse_csr": ("_starts", "_plain"), "sparse_csc": ("_starts", "_plain"),
}  # fmt: skip
_NAMES = {
    "sparse_coo": ("indices", ""), "sparse_csr": ("crow_indices", "col_indices"),
    "sparse_csc": ("ccol_indices", "row_indices"),
}  # fmt: skip
_INDENT = len("tensor(")


def _part(name: str, t: Tensor) -> str:
    prefix = f"{name}=tensor("
    body = printing.numbers(t._array("print"), _INDENT + len(prefix))
    return f"{prefix}{body}{f', size={tuple(t.shape)}' if not t.numel() else ''})"


def text(x: Any) -> str:
    """What ``print`` shows of a sparse tensor."""
    kind = str.__str__(x.layout)
    parts = [_part(n, getattr(x, a)) for n, a in zip(_NAMES[kind], _PARTS[kind]) if a is not None]
    parts.append(_part("values", x._vals))
    suffixes = [] if x.device is devices.canonical("cpu") else [f"device='{x.device}'"]
    suffixes += [f"size={tuple(x.shape)}", f"nnz={x._nnz()}"]
    if not dtypes.goes_unsaid(x.dtype):
        suffixes.append(f"dtype=lazyxla.{x.dtype.name}")
    suffixes.append(f"layout={x.layout!r}")
    if x.requires_grad:
        suffixes.append("requires_grad=True" if x.is_leaf else f"grad_fn=<{x.grad_fn.name()}>")
    body = "tensor(" + (",\n" + " " * _INDENT).join(parts)
    return printing.with_suffixes(body, suffixes, new_line=kind == "sparse_coo")
