"""``DataLoader``: batches of a data set, made here or by worker processes."""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ... import devices
from . import starting
from ._utils import fetch
from ._utils.collate import default_collate, default_convert
from ._utils.worker import Work, get_worker_info
from .dataset import IterableDataset
from .randomness import base_seed
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .workers import Workers, pinned

T_co = TypeVar("T_co", covariant=True)


class _DatasetKind:
    Map, Iterable = 0, 1


class _InfiniteConstantSampler(Sampler[None]):
    """What an iterable data set is asked with: nothing, for ever."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[T_co]):
    """Batches of a data set: ``for x, y in DataLoader(dataset, batch_size=64, shuffle=True)``.

    dataset: with ``__getitem__`` and ``__len__``, or an ``IterableDataset``.
    batch_size, shuffle, drop_last: or a ``sampler`` of indices, or a ``batch_sampler`` of lists of them; ``batch_size=None``:
        examples, not batches.
    num_workers: processes that make batches; 0: this one does, when it is asked.
    collate_fn: makes a batch of a list of examples.
    pin_memory: send batches to the accelerator (``pin_memory_device``) ahead, so that ``.to(device)`` finds them there.
    timeout: seconds to wait for a worker's batch, 0 for ever.
    worker_init_fn: called with each worker's number in it.
    multiprocessing_context: a start method or context; unless given, the one that the data set allows (see docs/data.md).
    generator: says the order of ``shuffle`` and the workers' seeds.
    prefetch_factor: batches that each worker makes ahead (2).
    persistent_workers: keep the workers from epoch to epoch.
    in_order: give batches in the order of their indices, not as workers finish.

    Raises ValueError and TypeError for arguments that do not go together. An exception in a worker is raised here with its
    class and traceback; RuntimeError where a worker dies or takes too long.
    """

    __initialized = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, not {num_workers}")
        if timeout < 0:
            raise ValueError(f"timeout option should be non-negative, not {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("prefetch_factor option could only be specified with num_workers > 0")
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError(f"prefetch_factor option should be non-negative, not {prefetch_factor}")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout, self.worker_init_fn, self.in_order = timeout, worker_init_fn, in_order
        self.multiprocessing_context = multiprocessing_context
        iterable = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        if iterable:
            _refuse_choices(shuffle, sampler, batch_sampler)
        shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if iterable:
                sampler = _InfiniteConstantSampler()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)  # type: ignore[arg-type]
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.persistent_workers = persistent_workers
        self._workers_iterator: Any = None
        self._length_said: int | None = None
        self.__initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, given: Any) -> None:
        if given is not None and self.num_workers == 0:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
            )
        self._context = starting.checked(given)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        n = len(self.dataset)
        if self.batch_size is not None:
            n = n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        self._length_said = n
        return n

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _HereIterator(self)
        if not self.persistent_workers:
            return _WorkersIterator(self)
        if self._workers_iterator is None or self._workers_iterator.workers.closed:
            self._workers_iterator = _WorkersIterator(self)
        else:
            self._workers_iterator.begin(self)
        return self._workers_iterator  # type: ignore[no-any-return]

    def _place(self) -> devices.Device | None:
        """Where batches are sent ahead."""
        return devices.canonical(self.pin_memory_device or "xla") if self.pin_memory else None

    def check_worker_number_rationality(self) -> None:
        """There as in PyTorch; nothing is found fault with."""


def _refuse_choices(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    if shuffle not in (False, None):
        raise ValueError(f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}")
    for name, given in (("sampler", sampler), ("batch_sampler", batch_sampler)):
        if given is not None:
            raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={given}")


class _Iterator:
    """What both kinds of iterators have in common: indices, how many batches were given, and a length that may be wrong."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        self.given = 0
        self.iterable = loader._dataset_kind == _DatasetKind.Iterable
        self.base_seed = base_seed(loader.generator)
        self.indices = iter(loader._index_sampler)

    def __iter__(self) -> Any:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def count(self) -> None:
        self.given += 1
        loader = self.loader
        said = loader._length_said
        if said is not None and self.given > said:
            loader._length_said = None
            warnings.warn(
                f"Length of IterableDataset {type(loader.dataset).__name__} was reported to be {said} batches, but "
                f"{self.given} were fetched." + (
                    " With several workers, each iterates over a copy: share the examples out by get_worker_info()."
                    if loader.num_workers > 1 else ""
                ), UserWarning, stacklevel=3,
            )  # fmt: skip


class _HereIterator(_Iterator):
    """Batches made in this process, each when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self.place = loader._place()
        self.examples = iter(loader.dataset) if self.iterable else None

    def __next__(self) -> Any:
        loader = self.loader
        wanted = next(self.indices)
        if self.examples is None:
            batch = fetch.from_map(loader.dataset, wanted, loader._auto_collation, loader.collate_fn)
        else:
            batch = fetch.from_iterator(
                self.examples, len(wanted) if loader._auto_collation else None, loader.drop_last, loader.collate_fn
            )
        self.count()
        return batch if self.place is None else pinned(batch, self.place)


class _WorkersIterator(_Iterator):
    """Batches made by worker processes, asked for ahead."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        work = Work(
            loader.dataset, loader.collate_fn, loader.worker_init_fn, loader._auto_collation, loader.drop_last, self.iterable
        )
        self.ahead = max(loader.prefetch_factor or 0, 1)
        self.workers = Workers(
            work, loader.num_workers, self.ahead, loader._context, self.base_seed, loader._place()
        )
        self._finalizer = weakref.finalize(self, self.workers.shutdown)
        self._start()

    def begin(self, loader: DataLoader[Any]) -> None:
        """Another epoch with the same workers."""
        _Iterator.__init__(self, loader)
        self._start()

    def _start(self) -> None:
        self.workers.begins()
        self.tasks: dict[int, int] = {}  # those under way, in order, and their workers
        self.serving = list(range(self.loader.num_workers))  # workers that may have more
        self.turn, self.next_task, self.exhausted = 0, 0, False
        self._fill()

    def _fill(self) -> None:
        """Ask for as many batches ahead as there is room for, of the workers in turn."""
        load = [0] * self.loader.num_workers
        for w in self.tasks.values():
            load[w] += 1
        while not self.exhausted and self.serving:
            for k in range(len(self.serving)):
                number = self.serving[(self.turn + k) % len(self.serving)]
                if load[number] < self.ahead and self.workers.has_room(number):
                    break
            else:
                return
            try:
                wanted = next(self.indices)
            except StopIteration:
                self.exhausted = True
                return
            if self.iterable:
                wanted = len(wanted) if self.loader._auto_collation else None
            load[number] += 1
            self.turn = (self.serving.index(number) + 1) % len(self.serving)
            self.tasks[self.next_task] = number
            self.workers.ask(number, self.next_task, wanted)
            self.next_task += 1

    def __next__(self) -> Any:
        while True:
            self._fill()
            if not self.tasks:
                if self.serving and not self.exhausted:  # every slot is taken by what an epoch left early had asked for
                    self.workers.await_room()
                    continue
                if not self.loader.persistent_workers:
                    self._finalizer()
                raise StopIteration
            task = next(iter(self.tasks)) if self.loader.in_order else None
            try:
                task, kind, batch = self.workers.wait(task, self.loader.timeout)
            except RuntimeError:
                if self.workers.dead:
                    self._finalizer()
                raise
            number = self.tasks.pop(task)
            if kind == "end":
                if number in self.serving:
                    self.serving.remove(number)
                    self.turn = 0
                continue
            self._fill()
            if kind == "error":
                batch.reraise()
            self.count()
            return batch


__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]
