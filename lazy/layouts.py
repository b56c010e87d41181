"""Layouts: how a tensor says which elements it has."""

from __future__ import annotations


class layout(str):
    """A layout's name, equal to that string, and printed as PyTorch prints it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"lazyxla.{str.__str__(self)}"

    def __str__(self) -> str:
        return repr(self)


strided, jagged = layout("strided"), layout("jagged")
sparse_coo, sparse_csr, sparse_csc = layout("sparse_coo"), layout("sparse_csr"), layout("sparse_csc")
sparse_bsr, sparse_bsc = layout("sparse_bsr"), layout("sparse_bsc")  # named, so that it can be asked for them
