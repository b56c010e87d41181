"""State comes back as it was, from one file or many, on any device; what cannot be saved is named."""

import collections.abc
import io
import os
import typing
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import safetensors.numpy

import lazyxla as lx
from lazyxla.serialization import DamagedFileError

KINDS = [d for d in lx.lazy.dtypes.ALL if not d.is_complex]


def state():
    base = lx.arange(12.0).reshape(3, 4)
    w = lx.nn.Parameter(lx.ones(2, 2))
    plain = [1, 2.5, float("nan"), float("-inf"), -0.0, None, True, "x\ud800", b"ab", 1 + 2j, 2**70, slice(1, None), range(3)]
    return {
        "base": base, "row": base[1], "turned": base.t(), "w": w, "same w": w, "w's values": w.detach(), "plain": plain,
        "tuple": (1, (2,)), "set": {1, 2}, "frozen": frozenset([3]), "size": lx.Size([2, 3]), "dtype": lx.bfloat16,
        "device": lx.device("cpu"), "numpy": np.arange(6).reshape(2, 3).T, "scalar": np.float32(1.5),
        "texts": np.array(["a", "bc"]), "big-endian": np.arange(3, dtype=">i4"), "ordered": OrderedDict(a=1),
        "counter": Counter({1: 2}), "default": defaultdict(list, {1: [2]}), 3: {"k.k": lx.tensor(3)}, (1, "a"): 0,
        "grad": lx.ones(2, requires_grad=True), "empty": lx.zeros(0, 3), "0-d": lx.tensor(1.5),
        "buffer": lx.nn.Buffer(lx.ones(1)), "xla": lx.tensor([1.0], device="xla"),
        "expanded": lx.ones(1).expand(5), "npdtype": np.dtype("f4"),
        "bytearray": bytearray(b"x"), "complex": [lx.tensor([1 + 2j], dtype=d) for d in (lx.complex64, lx.complex128)],
        "kinds": [lx.tensor(np.array([0, 1, 3]).astype(d.numpy)) for d in KINDS],
    }  # fmt: skip


def check_equal(got, want, where=""):
    assert type(got) is type(want), where
    if isinstance(want, lx.Tensor):
        assert got.dtype is want.dtype and got.shape == want.shape and got.device is want.device, where
        assert got.requires_grad is want.requires_grad, where
        assert got.detach().cpu().numpy().tobytes() == want.detach().cpu().numpy().tobytes(), where
    elif isinstance(want, np.ndarray):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    elif isinstance(want, dict):
        assert [*map(repr, got)] == [*map(repr, want)], where
        for k in want:
            check_equal(got[k], want[k], f"{where}[{k!r}]")
    elif isinstance(want, (list, tuple)):
        assert len(got) == len(want), where
        for i, v in enumerate(want):
            check_equal(got[i], v, f"{where}[{i}]")
    else:
        assert repr(got) == repr(want), where


@pytest.mark.parametrize("how", ["file", "mmap", "buffer", "shards"])
def test_everything_comes_back(how, tmp_path):
    saved, path = state(), tmp_path / "state.pt"
    if how == "buffer":
        f = io.BytesIO()
        lx.save(saved, f)
        got = lx.load(io.BytesIO(f.getvalue()))
    else:
        lx.save(saved, path, max_shard_size=100 if how == "shards" else None)
        got = lx.load(path, mmap=how == "mmap")
        assert (len(os.listdir(tmp_path)) > 3) is (how == "shards")
    check_equal(got, saved)
    assert got["w"] is got["same w"] and isinstance(got["w"], lx.nn.Parameter)
    assert got["default"].default_factory is list
    got["base"][1, 0] = 100
    assert got["row"][0].item() == 100 == got["turned"][0, 1].item()
    with lx.no_grad():
        got["w"].mul_(3)
    assert got["w's values"].tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_what_only_shares_a_storage_is_saved_by_itself(tmp_path):
    big = lx.zeros(1000)
    lx.save({"a": big[:3], "b": big[5:9]}, tmp_path / "x.pt")
    found = safetensors.numpy.load_file(tmp_path / "x.pt")
    assert {k: v.shape for k, v in found.items()} == {"a": (3,), "b": (4,)}


def test_tied_weights_are_kept_once_and_stay_tied(tmp_path):
    model = lx.nn.Sequential(lx.nn.Linear(30, 30, bias=False), lx.nn.Linear(30, 30, bias=False))
    model[1].weight = model[0].weight
    lx.save(model.state_dict(), tmp_path / "x.pt")
    assert os.path.getsize(tmp_path / "x.pt") < 2 * 3600
    got = lx.load(tmp_path / "x.pt")
    got["0.weight"].zero_()
    assert not got["1.weight"].any()


def test_parts_and_places(tmp_path):
    path = tmp_path / "x.pt"
    saved = {"model": {"fc.weight": lx.ones(2), "fc.bias": lx.zeros(1), "fcx": lx.ones(1)}, "epoch": 3}
    for options in ({}, {"max_shard_size": 8}):
        lx.save(saved, path, **options)
        assert list(lx.load(path, only="model.fc")["model"]) == ["fc.weight", "fc.bias"]
        assert lx.load(path, only=["epoch"]) == {"epoch": 3}
        assert list(lx.load(path, only=lambda p: p.endswith("x"))["model"]) == ["fcx"]
        with pytest.raises(KeyError, match="only='nothing' is no part of this checkpoint, which has: model, epoch"):
            lx.load(path, only="nothing")
        for place in ("xla", lx.device("xla"), {"cpu": "xla"}, lambda t, name: t.to("xla"), lambda t, name: "xla"):
            assert lx.load(path, map_location=place)["model"]["fcx"].device.type == "xla"
        assert lx.load(path, map_location=lambda t, name: None)["model"]["fcx"].device.type == "cpu"


def test_what_may_say_the_place():
    """The type of ``map_location``: nothing, a device, its name, names by names, or a function of the tensor and its place."""
    said = typing.get_args(lx.serialization.MAP_LOCATION)
    assert {type(None), lx.device, str} < set(said)
    assert {typing.get_origin(a) for a in said} - {None} == {collections.abc.Callable, collections.abc.Mapping}


def test_a_device_that_is_not_there_is_named(tmp_path):
    from lazyxla.serialization.stored import Builder, Data, Stored

    stored = Stored(Data("w", lambda: np.ones(1, np.float32), "tpu:7"))
    with pytest.raises(RuntimeError, match="'w' was saved on device 'tpu:7', which is not to be had here: pass map_loc"):
        Builder().make(stored)


class Net(lx.nn.Module):
    pass


class Dict(dict):
    pass


@pytest.mark.parametrize(
    "bad, message",
    [
        (lambda: {"model": Net()}, r"state\['model'\] is a Net, not a state: save its state_dict\(\)"),
        (lambda: [{"f": len}], r"state\[0\]\['f'\] is len, code, which is never saved"),
        (lambda: {"g": lx.Generator()}, r"state\['g'\] is a Generator: save its get_state\(\)"),
        (lambda: (Dict(),), r"state\[0\] is a Dict, a class of its own: save dict\(\) of it"),
        (lambda: np.array([{}]), "state is an array of Python objects"),
        (lambda: {lx.ones(1): 1}, "a key of state is a Tensor: use a name"),
        (lambda: lx.nn.LazyLinear(2).state_dict(), "has no shape yet: call the module once"),
    ],
)
def test_what_cannot_be_saved_is_named(bad, message, tmp_path):
    path = tmp_path / "x.pt"
    lx.save({"epoch": 1}, path)
    with pytest.raises(TypeError, match=message):
        lx.save(bad(), path)
    assert lx.load(path) == {"epoch": 1} and os.listdir(tmp_path) == ["x.pt"]


def test_other_errors(tmp_path):
    loop = []
    loop.append(loop)
    deep = []
    for _ in range(5000):
        deep = [deep]
    for bad, message in ((loop, "contains itself"), (deep, "nested too deeply")):
        with pytest.raises(ValueError, match=message):
            lx.save(bad, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="max_shard_size='many' is no size"):
        lx.save({}, tmp_path / "x.pt", max_shard_size="many")
    with pytest.raises(ValueError, match="max_shard_size needs a path"):
        lx.save({}, io.BytesIO(), max_shard_size=100)
    with pytest.raises(TypeError, match="nothing is pickled"):
        lx.save({}, tmp_path / "x.pt", pickle_module=os)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        t = lx.ones(4)
        lx.save([t, t.view(lx.int32)], tmp_path / "x.pt")
    with pytest.raises(FileNotFoundError):
        lx.load(tmp_path / "x.pt")
    with pytest.raises(IsADirectoryError):
        lx.load(tmp_path)
    with pytest.raises(EOFError, match="is empty"):
        lx.load(io.BytesIO())
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        lx.load(io.StringIO("text"))
    with pytest.raises(DamagedFileError, match="no checkpoint"):
        lx.load(io.BytesIO(b"something else altogether"))


def test_plain_safetensors(tmp_path):
    path = tmp_path / "x.safetensors"
    base = lx.arange(6.0).reshape(2, 3)
    lx.save({"a": base, "column": base[:, 1], "n": np.arange(3)}, path)
    theirs = safetensors.numpy.load_file(path)
    assert {k: v.tolist() for k, v in theirs.items()} == {"a": base.tolist(), "column": [1.0, 4.0], "n": [0, 1, 2]}
    assert lx.load(path)["column"].tolist() == [1.0, 4.0]
    safetensors.numpy.save_file({"z": np.ones(3, np.float16), "c": np.ones(2, np.complex64)}, path)
    ours = lx.load(path)
    assert ours["z"].dtype is lx.float16 and ours["c"].tolist() == [1, 1]
    with pytest.raises(TypeError, match=r"state\['n'\] is a int: give the file another ending"):
        lx.save({"n": 1}, path)


def test_a_loop_that_saves_computes_what_one_does_that_does_not(tmp_path):
    def run(save):
        lx.manual_seed(0)
        model = lx.nn.Linear(3, 1)
        optimizer = lx.optim.Adam(model.parameters(), 0.1)
        x, losses = lx.ones(2, 3), []
        for i in range(8):
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            if save and i % 3:
                lx.save({"m": model.state_dict(), "o": optimizer.state_dict()}, tmp_path / "x.pt")
            optimizer.step()
            if save:
                lx.save({"m": model.state_dict(), "loss": loss}, tmp_path / "y.pt")
                kept = lx.load(tmp_path / "y.pt")
                assert lx.equal(kept["m"]["weight"], model.weight) and kept["loss"].item() == loss.item()
            losses.append(loss.item())
        return losses

    assert run(True) == run(False)
