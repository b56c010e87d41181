"""Data sets for the tests of worker processes, which import this file."""

import os
import signal
import time

import numpy as np

import lazyxla as lx
from lazyxla.utils.data import Dataset, IterableDataset, get_worker_info


class Examples(Dataset):
    """Example i: tensors computed from i, an array large enough for shared memory, the worker's number."""

    def __init__(self, n=48, fault=""):
        self.n, self.fault, self.values = n, fault, lx.arange(n).float() * 2

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i == 20 and self.fault == "raise":
            raise KeyError("no such\nkey")
        if i == 20 and self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if i == 20 and self.fault == "slow":
            time.sleep(20)
        if self.fault == "conv":
            return lx.nn.functional.conv1d(lx.ones(1, 1, 8), lx.ones(1, 1, 3)).sum() + i
        info = get_worker_info()
        return {
            "x": self.values[i] * 3 + lx.ones(5), "i": i, "a": np.full((60, 60), i, np.float32), "r": lx.rand(1), "s": str(i),
            "seeds": -1 if info is None else info.seed, "numpy": np.random.rand(),
        }  # fmt: skip


class Shared(IterableDataset):
    """0 to 20, shared out among the workers."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, 21, step))


def no_init(number):
    raise ValueError(f"worker {number} does not want to")
