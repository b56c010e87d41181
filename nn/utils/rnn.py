"""Sequences of several lengths: padded, packed step by step for recurrent layers, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import lazy as lx
from ...autograd import enable_grad
from ...lazy import Tensor
from ...lazy.replay.state import entry_point
from ..functional._common import error, reshaped
from ..functional.recurrent import Packing


class PackedSequence_(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """Rows of all sequences, step by step, the longest sequence first in each step.

    ``batch_sizes``: how many sequences run in each step, an int64 tensor on the CPU. ``sorted_indices``: where each
    stood before sorting by length.
    """

    # Made by the functions below or by a layer, the steps stay side by side, [T, N, *], until somebody asks for the rows:
    # how many rows there are would be another program for nearly every batch.
    _known: Packing | None = None
    _grid: Tensor | None = None
    _rows: Tensor | None = None

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise error(
                ValueError,
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in nn.utils.rnn.",
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        out = super().__new__(cls, None, batch_sizes, sorted_indices, unsorted_indices)  # type: ignore[arg-type]
        out._rows = data
        return out

    @classmethod
    def of(cls, grid: Tensor, packing: Packing, *rest: Tensor | None) -> PackedSequence:
        """From steps side by side [T, N, *]; ``rest``: the batch sizes and the two indices."""
        out = cls(None, *rest)
        out._known, out._grid = packing, grid
        return out

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        if self._rows is None:
            with enable_grad():  # whoever asks first, the rows are the same for all
                self._rows = self.packing().rows(self.grid())
            self._grid = None  # the rows may be written to from now on
        return self._rows

    def __getitem__(self, i: Any) -> Any:
        return tuple(self)[i]

    def __iter__(self) -> Iterator[Any]:
        yield self.data
        yield from super().__getitem__(slice(1, None))

    def __repr__(self) -> str:
        return f"PackedSequence({', '.join(f'{name}={value!r}' for name, value in zip(self._fields, self))})"

    def packing(self) -> Packing:
        """The batch sizes as host numbers; read from the tensor where this was not made by the functions below."""
        if self._known is None:
            self._known = Packing([int(n) for n in self.batch_sizes.tolist()])
        return self._known

    def grid(self) -> Tensor:
        """The steps side by side, [T, N, *]; where no sequence runs, anything."""
        return self.packing().grid(self.data) if self._grid is None else self._grid

    def with_grid(self, grid: Tensor) -> PackedSequence:
        """Other values of the same sequences."""
        return self.of(grid, self.packing(), self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As ``Tensor.to`` for the rows; the indices follow to the device, the batch sizes stay on the CPU."""
        held = self._held()
        moved = held.to(*args, **kwargs)
        if moved is held:
            return self
        indices = [None if i is None else i.to(moved.device) for i in (self.sorted_indices, self.unsorted_indices)]
        if held is self._grid:
            return self.of(moved, self.packing(), self.batch_sizes, *indices)
        out = type(self)(moved, self.batch_sizes, *indices)
        out._known = self._known
        return out

    def _held(self) -> Tensor:
        return self.data if self._grid is None else self._grid

    def pin_memory(self) -> PackedSequence:
        return self

    def is_pinned(self) -> bool:
        return False

    @property
    def is_cuda(self) -> bool:
        return self._held().is_cuda

    def cpu(self) -> PackedSequence:
        return self.to(device="cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        return self.to(device="cuda" if device is None else device)

    def double(self) -> PackedSequence:
        return self.to(dtype=lx.float64)

    def float(self) -> PackedSequence:
        return self.to(dtype=lx.float32)

    def half(self) -> PackedSequence:
        return self.to(dtype=lx.float16)

    def long(self) -> PackedSequence:
        return self.to(dtype=lx.int64)

    def int(self) -> PackedSequence:
        return self.to(dtype=lx.int32)

    def short(self) -> PackedSequence:
        return self.to(dtype=lx.int16)

    def char(self) -> PackedSequence:
        return self.to(dtype=lx.int8)

    def byte(self) -> PackedSequence:
        return self.to(dtype=lx.uint8)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one."""
    if permutation is None:
        return None
    places = lx.arange(permutation.numel(), device=permutation.device)
    return lx.zeros_like(permutation).scatter(0, permutation, places)


@entry_point
def _steps(x: Tensor, order: Tensor | None, steps: int, batch_first: bool) -> Tensor:
    """The first steps of x [T, N, *] (or [N, T, *]) with its sequences in another order: [steps, N, *], a copy."""
    x = x.transpose(0, 1) if batch_first else x
    if order is not None:
        x = lx.index_select(x, 1, order)
    return x[:steps].clone()


@entry_point
def _filled(
    x: Tensor, running: Tensor | None, order: Tensor | None, value: float, total: int | None, batch_first: bool
) -> Tensor:
    """x [T, N, *] with a value where no sequence runs, as [total, N, *] (or [N, total, *]) in another order."""
    if running is not None:
        x = lx.where(reshaped(running, (*running.shape, *(1,) * (x.ndim - 2))), x, value)
    if total is not None and total > x.shape[0]:
        x = lx.cat([x, lx.full((total - x.shape[0], *x.shape[1:]), value, dtype=x.dtype, device=x.device)])
    if order is not None:
        x = lx.index_select(x, 1, order)
    return x.transpose(0, 1).clone() if batch_first else x.clone()


def _host_lengths(lengths: Any) -> list[Any]:
    if isinstance(lengths, Tensor):
        return [int(n) for n in lengths.tolist()]
    return [int(n) for n in lengths]


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack x [T, N, *] (or [N, T, *]) of which sequence n has ``lengths[n]`` steps.

    The lengths decide the program, so a tensor of them is read. RuntimeError for lengths that are not sorted (if
    ``enforce_sorted``), not positive, or not one a sequence.
    """
    known = _host_lengths(lengths)
    padded, batch = input.shape[:2][:: -1 if batch_first else 1]
    if len(known) != batch:
        raise error(
            RuntimeError,
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(known)} (batch_size={batch})",
        )
    if not known or min(known) <= 0:
        raise error(RuntimeError, "Length of all samples has to be greater than 0, but found an element in 'lengths' "
                    "that is <= 0")  # fmt: skip
    order, first = None, known
    if not enforce_sorted:
        places = np.argsort(-np.asarray(known), kind="stable")
        order = lx.tensor(places, device=input.device)
        known = [known[i] for i in places]
    elif known != sorted(known, reverse=True):
        raise error(
            RuntimeError,
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability.",
        )
    if known[0] > padded:
        raise error(
            RuntimeError,
            f"Expected `lengths` to be at most the padded length, but got {known[0]} for an input of {padded} steps",
        )
    sizes = [sum(n > t for n in known) for t in range(known[0])]
    grid = _steps(input, order, known[0], batch_first)
    return PackedSequence.of(grid, Packing(sizes, first), lx.tensor(sizes, dtype=lx.int64, device="cpu"), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Back to x [T, N, *] (or [N, T, *]), filled up with ``padding_value``, and the lengths (int64, on the CPU)."""
    packing = sequence.packing()
    steps = packing.steps
    if total_length is not None and total_length < steps:
        raise error(
            ValueError,
            f"Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {steps}",
        )
    grid, order = sequence.grid(), sequence.unsorted_indices
    x = _filled(grid, packing.running(grid.device), order, padding_value, total_length, batch_first)
    if packing.lengths is None:
        lengths = packing.mask.sum(0)
        packing.lengths = lengths if order is None else lengths[order.numpy()]
    return x, lx.tensor(packing.lengths, dtype=lx.int64, device="cpu")


def pad_sequence(
    sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Sequences [L, *] of several lengths as one tensor [T, N, *] (or [N, T, *]), filled up on one side."""
    if not isinstance(sequences, Iterable):
        raise error(
            RuntimeError, f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise error(
            RuntimeError, f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    items = list(sequences)
    if not items:
        raise error(RuntimeError, "received an empty list of sequences")
    longest = max(s.shape[0] for s in items)
    padded = []
    for s in items:
        if s.shape[0] < longest:
            filling = lx.full((longest - s.shape[0], *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
            s = lx.cat([s, filling] if padding_side == "right" else [filling, s])
        padded.append(s)
    return lx.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded tensor, each with its own length; a tensor of lengths is read."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[i, :n] for i, n in enumerate(_host_lengths(lengths))]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences [L, *], the longest first unless ``enforce_sorted`` is false."""
    return pack_padded_sequence(
        pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their first order."""
    packing, order = packed_sequences.packing(), packed_sequences.unsorted_indices
    x, lengths = packed_sequences.grid(), packing.mask.sum(0).tolist()
    places = range(packing.batch) if order is None else order.tolist()
    return [x[: lengths[i], i] for i in places]


__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip
