"""PyTorch's checkpoints (made by scripts/torch_checkpoints.py) are read as data; what wants code is refused, unrun."""

import io
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import serialization
from lazyxla.serialization import DamagedFileError, UnsafeFileError

FOLDER = Path(__file__).parent / "reference"


@pytest.mark.parametrize("name", ["zip.pt", "zip4.pt", "old.pt"])
@pytest.mark.parametrize("mmap", [False, True])
def test_values_types_and_ties(name, mmap):
    got = lx.load(FOLDER / name, mmap=mmap)
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    tensors = {
        "x": x, "rows": x[1:], "turned": x.T, "part": np.array([2, 3]), "p": np.float32([1, 2]),
        "bool": np.array([True, False]), "complex": np.complex64([1 + 2j]), "half": np.float16([0.5]),
        "empty": np.zeros((0, 2), np.float32),
        "grad": np.ones(1, np.float32),
    }  # fmt: skip
    for k, want in tensors.items():
        assert got[k].detach().numpy().dtype == want.dtype and got[k].requires_grad is (k in ("p", "grad"))
        np.testing.assert_array_equal(got[k].detach().numpy(), want)
    assert got["bfloat16"].dtype is lx.bfloat16 and got["bfloat16"].tolist() == [1.5, -2]
    assert type(got["p"]) is lx.nn.Parameter and got["p"] is got["same p"]
    others = {
        "ordered": OrderedDict(a=lx.tensor(3)), "size": lx.Size([2, 3]), "dtype": lx.float16, "device": lx.device("cpu"),
        "scalar": np.float64(1.5), "set": {1, 2}, "bytes": b"ab", "z": 1 + 2j, "default": defaultdict(list, {1: [2]}),
        "counter": Counter([1, 1, 2]), "large": 2**80, "numbers": [1.5, -5, 300, 70000, None, True, "text", (1, (2,))],
    }  # fmt: skip
    for k, want in others.items():
        assert type(got[k]) is type(want) and got[k] == want, k
    np.testing.assert_array_equal(got["array"], np.arange(6.0).reshape(2, 3).T)
    got["x"][1, 0] = 100
    assert got["rows"][0, 0].item() == 100 == got["turned"][0, 1].item()


def test_buffers_places_and_parts():
    data = (FOLDER / "zip.pt").read_bytes()
    assert lx.load(io.BytesIO(data), map_location="xla")["rows"].device.type == "xla"
    assert list(lx.load(FOLDER / "zip.pt", only=["rows", "numbers"])) == ["rows", "numbers"]


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_training_goes_on_from_pytorchs_state(name):
    kept = lx.load(FOLDER / f"{name}.pt")
    model = lx.nn.Linear(2, 1)
    model.load_state_dict(kept["model"])
    make = {"adam": lx.optim.Adam, "sgd": lx.optim.SGD}[name]
    optimizer = make(model.parameters(), lr=1.0)
    scheduler = lx.optim.lr_scheduler.StepLR(optimizer, 7)
    ours = optimizer.state_dict()["param_groups"][0]
    assert set(kept["optimizer"]["param_groups"][0]) - set(ours) <= {"foreach", "fused", "capturable", "differentiable",
                                                                    "decoupled_weight_decay"}  # fmt: skip
    optimizer.load_state_dict(kept["optimizer"])
    scheduler.load_state_dict(kept["scheduler"])
    x, y = lx.tensor([[1.0, 2.0], [3.0, -1.0]]), lx.tensor([[1.0], [2.0]])
    losses = []
    for _ in kept["later losses"]:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, kept["later losses"], rtol=1e-5)
    again = lx.load(_saved(optimizer.state_dict()))  # and PyTorch's layout comes out again
    assert set(again["state"][0]) == set(kept["optimizer"]["state"][0])


def _saved(obj):
    f = io.BytesIO()
    lx.save(obj, f)
    f.seek(0)
    return f


# --- malicious files --------------------------------------------------------------------------------------------

ran = []


def touch(*args):
    ran.append(args)


class Calls:
    """Pickled, it calls a function when it is unpickled."""

    def __init__(self, f, *args):
        self.call = f, args

    def __reduce__(self):
        return self.call


class Plain:
    def __init__(self):
        self.x = 1


def zipped(data, **members):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w") as z:
        z.writestr("archive/data.pkl", data)
        for name, value in members.items():
            z.writestr(f"archive/{name}", value)
    f.seek(0)
    return f


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "obj, name",
    [
        (Calls(os.system, "exit 1"), "system"), (Calls(eval, "1"), "builtins.eval|__builtin__.eval"),
        (Calls(touch, 1), "touch"), (Calls(getattr, 1, "real"), "getattr"), (Plain(), "Plain|copyreg|copy_reg"),
        (Calls(__import__, "os"), "__import__"), ({"a": [len]}, "len"), (Calls(open, "x"), "open"),
    ],
)  # fmt: skip
def test_names_that_are_no_data_are_refused_unrun(obj, name, protocol):
    with pytest.raises(UnsafeFileError, match=name):
        lx.load(zipped(pickle.dumps(obj, protocol)), weights_only=False)
    assert not ran


def test_data_names_are_only_called_as_data():
    for bad in (
        b"cbuiltins\nlist\n)R.", b"ctorch\nFloatStorage\n)R.", b"cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        b"cnumpy\ndtype\n\x8c\x01O\x85R.", b"(lp0\n.", b"cnumpy\nndarray\n)\x81.", b"(i__main__\nx\n.", b"N}b.", b"P1\n.",
        b"K\x01Q.", b"]K\x01\x85Q.",
    ):  # fmt: skip
        if bad == b"(lp0\n.":
            assert lx.load(zipped(bad)) == []
            continue
        with pytest.raises((UnsafeFileError, DamagedFileError)):
            lx.load(zipped(bad))


def test_state_dicts_keep_who_wrote_them():
    state = OrderedDict(a=1)
    state._metadata = OrderedDict({"": {"version": 2}})
    state.other = 3
    found = lx.load(zipped(pickle.dumps(state, 2)))
    assert found == state and found._metadata == {"": {"version": 2}} and not hasattr(found, "other")


def test_a_module_is_refused_and_its_names_are_listed():
    with pytest.raises(UnsafeFileError, match=r"module.pt: it names 'torch.nn.modules.linear.Linear'"):
        lx.load(FOLDER / "module.pt")
    assert serialization.get_unsafe_globals_in_checkpoint(FOLDER / "module.pt") == ["torch.nn.modules.linear.Linear"]
    assert serialization.get_unsafe_globals_in_checkpoint(FOLDER / "zip.pt") == []
    assert serialization.get_unsafe_globals_in_checkpoint(_saved({})) == []


def test_what_the_user_allows_is_made():
    data = pickle.dumps({"p": Plain()}, 2)
    with serialization.safe_globals([Plain]):
        assert lx.load(zipped(data))["p"].x == 1
        assert serialization.get_unsafe_globals_in_checkpoint(zipped(data)) == []
    with pytest.raises(UnsafeFileError, match="Plain"):
        lx.load(zipped(data))
    serialization.add_safe_globals([(Plain, f"{__name__}.Plain")])
    assert serialization.get_safe_globals() == [Plain] and type(lx.load(zipped(data))["p"]) is Plain
    serialization.clear_safe_globals()
    assert serialization.get_safe_globals() == []


def test_damaged_and_foreign_files(tmp_path):
    good = (FOLDER / "zip.pt").read_bytes()
    at = good.index(struct.pack("<f", 11.0))
    bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    with pytest.raises(DamagedFileError, match="the buffer: damaged: 'data/0' cannot be read: Bad CRC"):
        lx.load(io.BytesIO(bad))
    rng = np.random.default_rng(0)
    for name in ("zip.pt", "old.pt"):
        whole = (FOLDER / name).read_bytes()
        for _ in range(150):  # damaged anyhow, it is read or refused, and nothing else
            broken = bytearray(whole)
            for at in rng.integers(0, len(whole), 3):
                broken[at] = rng.integers(256)
            try:
                lx.load(io.BytesIO(broken[: rng.integers(len(whole) // 2, len(whole) + 1)] if rng.integers(2) else broken))
            except (RuntimeError, TypeError, EOFError):
                pass
    with pytest.raises(RuntimeError, match="big-endian"):
        lx.load(zipped(pickle.dumps({}, 2), byteorder="big"))
    with pytest.raises(RuntimeError, match="TorchScript"):
        lx.load(zipped(pickle.dumps({}, 2), **{"constants.pkl": b""}))
    with pytest.raises(UnsafeFileError, match="pickles are not read"):
        lx.load(io.BytesIO(pickle.dumps(1, 2)))
    np.savez(tmp_path / "x.npz", a=np.ones(1))
    with pytest.raises(RuntimeError, match="no data.pkl"):
        lx.load(tmp_path / "x.npz")
