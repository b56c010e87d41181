"""The rows of tensors as examples: a batch of them is one step, on the host or on the device where the tensors are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .... import devices
from ....lazy import Tensor, from_numpy, mode


class Rows(Sequence[tuple[Tensor, ...]]):
    """The examples of a batch, each a tuple of rows; taken one by one only where somebody asks for them."""

    def __init__(self, tensors: tuple[Tensor, ...], indices: list[int]) -> None:
        self.tensors = tensors
        n = len(tensors[0])
        places = np.asarray(indices, np.int64)
        places = np.where(places < 0, places + n, places)
        if places.size and not 0 <= places.min() <= places.max() < n:
            wrong = next(i for i in indices if not -n <= i < n)
            raise IndexError(f"index {wrong} is out of bounds for dimension 0 with size {n}")
        self.places = places
        self._taken: list[Any] | None = None

    def batch(self) -> list[Tensor]:
        """A tensor of the rows for each tensor."""
        return [_taken(t, self.places) for t in self.tensors]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if self._taken is None:
            self._taken = self.batch()
        rows = range(len(self.places))[index]
        if isinstance(index, slice):
            return [self[i] for i in rows]
        return tuple([t[rows] for t in self._taken])

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return (self[i] for i in range(len(self)))


def _taken(t: Tensor, places: np.ndarray) -> Tensor:
    if on_host(t):
        array = t._array("a batch of a TensorDataset")
        out = devices.aligned((len(places), *array.shape[1:]), array.dtype)
        np.take(array, places, 0, out, mode="clip")  # within bounds, as was checked; "raise" would copy once more
        return from_numpy(out)  # type: ignore[misc]
    index = from_numpy(places)  # type: ignore[misc]
    return t[index if t.device.type == "cpu" else index.to(t.device)]


def on_host(t: Tensor) -> bool:
    """Whether a tensor's values may be used where they are: on the CPU, and no gradient flows."""
    return t.device.type == "cpu" and not (t.requires_grad and mode.grad)
