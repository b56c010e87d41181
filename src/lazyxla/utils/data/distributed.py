"""``DistributedSampler``: each of several processes takes its own part of the examples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np

from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every ``num_replicas``-th index, from the ``rank``-th on, of an order that all processes agree on.

    ``num_replicas`` and ``rank`` come from the environment (WORLD_SIZE and RANK) unless given; without these there is one
    process. ``set_epoch`` gives another order, which depends on ``seed`` and the epoch alone. All parts are of one size: some
    examples come twice, or with ``drop_last`` not at all. Raises ValueError for a rank that is none of the replicas.
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0,
        drop_last: bool = False,
    ) -> None:  # fmt: skip
        replicas = int(os.environ.get("WORLD_SIZE", "1")) if num_replicas is None else num_replicas
        rank = int(os.environ.get("RANK", "0")) if rank is None else rank
        if not 0 <= rank < replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {replicas - 1}]")
        self.dataset, self.num_replicas, self.rank, self.epoch = dataset, replicas, rank, 0
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        n = len(dataset)
        self.num_samples = n // replicas if drop_last else -(-n // replicas)
        self.total_size = self.num_samples * replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        order: Any = np.arange(n)
        if self.shuffle:
            order = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, self.epoch]))).permutation(n)
        order = order[: self.total_size] if self.drop_last else np.resize(order, self.total_size)
        return iter(order[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; without it the order is the same in each."""
        self.epoch = epoch


__all__ = ["DistributedSampler"]
