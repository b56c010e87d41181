"""Data sets, samplers, collating, and a DataLoader that makes its batches itself."""

from collections import namedtuple

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import nn
from lazyxla.utils import data
from lazyxla.utils.data import DataLoader, TensorDataset, default_collate


def test_a_batch_of_a_tensor_dataset_is_its_rows_and_runs_nothing(clean):
    x, y = np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10)
    got = list(DataLoader(TensorDataset(lx.tensor(x), lx.tensor(y)), 4, shuffle=True))
    assert [len(b[1]) for b in got] == [4, 4, 2] and sorted(int(i) for b in got for i in b[1].numpy()) == list(range(10))
    for a, b in got:
        np.testing.assert_array_equal(a.numpy(), x[b.numpy()])
    facts = clean.report(as_dict=True)
    assert facts["executions"] == 0 and facts["ops_recorded"] == 0


@pytest.mark.parametrize("device", ["cpu", "xla"])
def test_an_epoch_of_training_compiles_each_size_once_and_is_followed(device, clean):
    x, y = lx.arange(90.0).reshape(30, 3).to(device), (lx.arange(30) % 2).to(device)
    model = nn.Linear(3, 2).to(device)
    optimizer = lx.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(x, y), 8, shuffle=True)
    lx.sync()
    clean.reset()
    for _ in range(6):
        for a, b in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(a), b).backward()
            optimizer.step()
    facts = clean.report(as_dict=True)
    assert facts["compiles"] <= 4 and facts["executions"] == 24 and facts["replays"] >= 14
    assert facts["replays_given_up"] <= (0 if device == "cpu" else 2)


class Augmented(data.Dataset):
    def __init__(self, n):
        self.x = lx.arange(3.0 * n).reshape(n, 3)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        row = self.x[i] * 2
        if row[0] > 12:
            row = row.flip(0)
        row[1] = -1.0
        return row, i


def test_operations_of_a_data_set_run_on_the_host_at_once(clean):
    loader = DataLoader(Augmented(6), 3)
    loader.dataset.x.tolist()
    clean.reset()
    (a, i), (b, _) = loader
    facts = clean.report(as_dict=True)
    assert facts["executions"] == facts["ops_recorded"] == facts["compiles"] == 0
    assert a.tolist() == [[0, -1, 4], [6, -1, 10], [12, -1, 16]] and i.tolist() == [0, 1, 2]
    assert b.tolist() == [[22, -1, 18], [28, -1, 24], [34, -1, 30]]


def test_a_batch_may_be_made_while_a_step_is_pending(clean):
    total = lx.zeros(3)
    for a, _ in DataLoader(Augmented(6), 2):
        total = total + a.sum(0)
    assert total.tolist() == [0 + 6 + 12 + 22 + 28 + 34, -6, 4 + 10 + 16 + 18 + 24 + 30]


def test_inside_a_compiled_function_it_is_an_error():
    loader = DataLoader(TensorDataset(lx.ones(4, 2)), 2)

    @lx.compile
    def f(x):
        return x + next(iter(loader))[0]

    with pytest.raises(RuntimeError, match="a batch of a DataLoader inside .*f, which is compiled"):
        f(lx.ones(2, 2))


Pair = namedtuple("Pair", "a b")
COLLATED = [
    ([1, 2], lx.int64, [1, 2]),
    ([1.5, 2.5], lx.float64, [1.5, 2.5]),
    ([True, False], lx.bool, [True, False]),
    ([np.float32(1), np.float32(2)], lx.float32, [1, 2]),
    ([np.ones(2, np.int16)] * 2, lx.int16, [[1, 1], [1, 1]]),
    ([lx.ones(2), lx.zeros(2)], lx.float32, [[1, 1], [0, 0]]),
]


@pytest.mark.parametrize(("batch", "dtype", "values"), COLLATED)
def test_collated_leaves(batch, dtype, values):
    found = default_collate(batch)
    assert found.dtype is dtype and found.tolist() == values


def test_collated_containers():
    got = default_collate([{"p": Pair(1, "x"), "l": [1.0, (2, b"y")]}] * 2)
    assert type(got["p"]) is Pair and got["p"].a.tolist() == [1, 1] and got["p"].b == ("x", "x")
    assert got["l"][0].tolist() == [1, 1] and got["l"][1][0].tolist() == [2, 2] and got["l"][1][1] == (b"y", b"y")
    assert default_collate([{1: 2}])[1].tolist() == [2]


@pytest.mark.parametrize(
    ("batch", "kind", "words"),
    [
        ([[1], [1, 2]], RuntimeError, r"each element in list of batch should be of equal size, not of sizes \[1, 2\]"),
        ([lx.ones(2), lx.ones(3)], RuntimeError, r"got \[2\] at entry 0 and \[3\] at entry 1"),
        ([np.ones(2), np.ones(3)], RuntimeError, r"got \[2\] at entry 0 and \[3\] at entry 1"),
        ([None], TypeError, "batch must contain tensors, numpy arrays, numbers, dicts or lists; found .*NoneType"),
        ([np.array(["a"])], TypeError, "found arrays of"),
    ],
)
def test_what_cannot_be_collated(batch, kind, words):
    with pytest.raises(kind, match=words):
        default_collate(batch)


def test_data_sets_together():
    a, b = list(range(3)), list(range(10, 15))
    both = data.ConcatDataset([a, b])
    assert len(both) == 8 and [both[i] for i in (0, 3, -1, -8)] == [0, 10, 14, 0]
    with pytest.raises(ValueError, match="should not exceed dataset length"):
        both[-9]
    stack = data.StackDataset(x=a, y=data.Subset(b, [4, 3, 2]))
    assert stack[1] == {"x": 1, "y": 13} and stack.__getitems__([0, 2]) == [{"x": 0, "y": 14}, {"x": 2, "y": 12}]
    rows = data.Subset(TensorDataset(lx.arange(6)), [5, 3, 1])
    assert [x.tolist() for (x,) in DataLoader(rows, 2)] == [[5, 3], [1]]


def test_random_split(seed):
    parts = data.random_split(range(10), [0.55, 0.45], lx.Generator().manual_seed(1))
    again = data.random_split(range(10), [6, 4], lx.Generator().manual_seed(1))
    assert [len(p) for p in parts] == [6, 4] and parts[0].indices == again[0].indices
    assert sorted(parts[0].indices + parts[1].indices) == list(range(10)) and parts[0].indices != list(range(6))
    with pytest.raises(ValueError, match=r"Sum of input lengths does not equal .*\[5, 4\] for 10"):
        data.random_split(range(10), [5, 4])


def test_samplers(seed):
    assert list(data.SequentialSampler(range(4))) == [0, 1, 2, 3] and len(data.SequentialSampler(range(4))) == 4
    assert sorted(data.RandomSampler(range(7))) == list(range(7))
    assert len(list(data.RandomSampler(range(7), num_samples=9))) == 9
    draws = list(data.RandomSampler(range(3), replacement=True, num_samples=300))
    assert len(draws) == 300 and set(draws) == {0, 1, 2}
    weighted = list(data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000))
    assert 0 not in weighted and abs(weighted.count(2) / 4000 - 0.75) < 0.04
    assert sorted(data.WeightedRandomSampler([1, 0, 1], 2, replacement=False)) == [0, 2]
    assert list(data.BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]] and len(data.BatchSampler(range(5), 2, False)) == 3
    assert sorted(data.SubsetRandomSampler([5, 9])) == [5, 9]


class Backwards(data.Sampler):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n - 1, -1, -1))

    def __len__(self):
        return self.n


def test_a_sampler_of_ones_own():
    loader = DataLoader(TensorDataset(lx.arange(5)), 2, sampler=Backwards(5))
    assert [b.tolist() for (b,) in loader] == [[4, 3], [2, 1], [0]] and len(loader) == 3
    assert isinstance(loader.sampler, data.Sampler) and data.get_worker_info() is None


def test_distributed_sampler(monkeypatch):
    parts = [data.DistributedSampler(range(11), 3, r, seed=4) for r in range(3)]
    assert [len(p) for p in parts] == [4, 4, 4] and {i for p in parts for i in p} == set(range(11))
    first = list(parts[0])
    parts[0].set_epoch(1)
    assert list(parts[0]) != first
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert list(data.DistributedSampler(range(5), shuffle=False, drop_last=True)) == [1, 3]
    with pytest.raises(ValueError, match=r"Invalid rank 2, rank should be in the interval \[0, 1\]"):
        data.DistributedSampler(range(5), 2, 2)


class Stream(data.IterableDataset):
    def __len__(self):
        return 3

    def __iter__(self):
        return iter(range(5))


def test_iterable_data_sets():
    with pytest.warns(UserWarning, match="was reported to be 2 batches, but 3 were fetched"):
        loader = DataLoader(Stream(), 2)
        assert len(loader) == 2
        assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4]]
    chained = iter(DataLoader(data.ChainDataset([Stream(), Stream()]), None))
    assert list(chained) == [*range(5), *range(5)]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"num_workers": -1}, ValueError, "num_workers option should be non-negative"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, ValueError, "only be specified with num_workers > 0"),
        ({"prefetch_factor": -2, "num_workers": 1}, ValueError, "prefetch_factor option should be non-negative"),
        ({"persistent_workers": True}, ValueError, "needs num_workers > 0"),
        ({"shuffle": True, "sampler": [1]}, ValueError, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, ValueError, "disables auto-batching"),
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
        ({"multiprocessing_context": "fork"}, ValueError, "can only be used with multi-process loading"),
        ({"multiprocessing_context": "thread", "num_workers": 1}, ValueError, "valid start method in .* but got 'thread'"),
        ({"multiprocessing_context": 3, "num_workers": 1}, TypeError, "valid context object or a string"),
    ],
)
def test_options_that_do_not_go_together(options, kind, words):
    with pytest.raises(kind, match=words):
        DataLoader([1, 2], **options)


def test_more_errors():
    with pytest.raises(ValueError, match="expected unspecified shuffle option, but got shuffle=True"):
        DataLoader(Stream(), shuffle=True)
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader is initialized"):
        DataLoader([1]).batch_size = 3
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        TensorDataset(lx.ones(2), lx.ones(3))
    with pytest.raises(IndexError, match="index 7 is out of bounds for dimension 0 with size 3"):
        list(DataLoader(TensorDataset(lx.ones(3)), sampler=[7]))


def test_pinned_batches_are_on_their_device_already():
    (x,) = next(iter(DataLoader(TensorDataset(lx.ones(4, 2)), 2, pin_memory=True)))
    device = lx.device("xla", 0)
    ahead = x._node.buffer.placed
    assert ahead[0] is device and x.to("xla").to_jax() is ahead[1]


def test_pipes(tmp_path):
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).write_text(name)
    opened = data.datapipes.iter.FileLister(str(tmp_path), "*.txt").open_files()
    found = []
    for _, file in opened:
        with file:
            found.append(file.read())
    assert found == ["a.txt", "b.txt"]
    for path, file in data.datapipes.iter.FileOpener([str(tmp_path / "c.csv")], mode="rb"):
        with file:
            assert (path, file.read()) == (str(tmp_path / "c.csv"), b"c.csv")

    @data.functional_datapipe("doubled_for_a_test")
    class Doubled(data.IterDataPipe):
        def __init__(self, source):
            self.source = source

        def __iter__(self):
            return (2 * x for x in self.source)

    pipe = data.datapipes.iter.IterableWrapper([1, 2]).doubled_for_a_test()
    assert [b.tolist() for b in DataLoader(pipe, 2)] == [[2, 4]]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = pipe.nothing
