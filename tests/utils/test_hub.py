"""Files by URL, their checksums, and handles of hooks."""

import hashlib
from pathlib import Path

import pytest

import lazyxla as lx
from lazyxla import hub
from lazyxla.utils import hooks, model_zoo

CONTENT = b"weights" * 1000
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "there" / f"net-{DIGITS}.pth"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_download_is_whole_or_not_there(source, tmp_path):
    target = tmp_path / "here.bin"
    with pytest.raises(RuntimeError, match=r'invalid hash value of file:.* \(expected "000000", got "'):
        hub.download_url_to_file(source.as_uri(), target, "000000", progress=False)
    with pytest.raises(OSError):
        hub.download_url_to_file((tmp_path / "absent").as_uri(), target, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["there"]  # neither the file nor a piece of it
    hub.download_url_to_file(source.as_uri(), target, DIGITS, progress=False)
    assert target.read_bytes() == CONTENT


def test_a_state_dict_is_downloaded_once(source, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(lx, "load", lambda f, **options: read.append((f, options)) or Path(f).read_bytes(), raising=False)
    monkeypatch.setattr(hub, "_chosen", [])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    assert hub.get_dir() == str(tmp_path / "home" / "hub")
    hub.set_dir(tmp_path / "kept")
    assert hub.get_dir() == str(tmp_path / "kept")
    url = source.as_uri()
    assert model_zoo.load_url is hub.load_state_dict_from_url
    assert model_zoo.load_url(url, progress=False, check_hash=True, map_location="cpu") == CONTENT
    kept = tmp_path / "kept" / "checkpoints" / source.name
    assert read == [(str(kept), {"map_location": "cpu", "weights_only": True})]
    source.write_bytes(b"another")
    assert hub.load_state_dict_from_url(url, check_hash=True) == CONTENT  # not fetched again
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(url, str(tmp_path / "other"), progress=False, check_hash=True)
    assert hub.load_state_dict_from_url(url, str(tmp_path / "other"), progress=False, file_name="x.pth") == b"another"


def test_handles_take_their_hooks_out_again():
    table, notes = {}, {}
    with hooks.RemovableHandle(table, extra_dict=notes) as handle:
        table[handle.id] = notes[handle.id] = print
        other = hooks.RemovableHandle(table, extra_dict=[notes])
        table[other.id] = len
        assert other.id != handle.id
    assert list(table) == [other.id] and notes == {}
    other.remove()
    other.remove()
    assert table == {}
    x = lx.ones(2, requires_grad=True)
    seen = []
    handle = x.register_hook(seen.append)
    assert isinstance(handle, hooks.RemovableHandle)
    assert isinstance(lx.nn.Linear(1, 1).register_forward_hook(print), hooks.RemovableHandle)
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert [g.tolist() for g in seen] == [[2.0, 2.0]]


def test_the_checksum_in_a_name():
    assert hub.HASH_REGEX.search("resnet18-f37072fd.pth").group(1) == "f37072fd"
    assert hub.HASH_REGEX.search("resnet18-old.pth") is None
