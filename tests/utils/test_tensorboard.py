"""Event files: read back, byte by byte, by a reader that knows the format and not the writer."""

import struct
import zlib

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.utils.tensorboard import SummaryWriter


def messages(data):
    """The fields of a protocol buffers message: number -> list of values."""
    found, at = {}, 0

    def varint():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            value, at = data[at : at + size], at + size
            value = struct.unpack({1: "<d", 5: "<f"}[kind], value)[0] if kind != 2 else value
        found.setdefault(key >> 3, []).append(value)
    return found


def crc32c(data):
    """Bit by bit, as RFC 3720 defines it, and masked as TFRecord does it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def events(folder):
    (path,) = [p for p in folder.iterdir() if p.is_file()]
    data, out = path.read_bytes(), []
    while data:
        (n,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == crc32c(data[:8])
        assert struct.unpack("<I", data[12 + n : 16 + n])[0] == crc32c(data[12 : 12 + n])
        out.append(messages(data[12 : 12 + n]))
        data = data[16 + n :]
    assert out[0][3] == [b"brain.Event:2"] and out[0][1][0] > 1.6e9
    return out[1:]


def values(folder):
    """(tag, step, the fields of the value) of each event."""
    found = []
    for e in events(folder):
        value = messages(messages(e[5][0])[1][0])
        found.append((value[1][0].decode(), e.get(2, [None])[0], value))
    return found


def test_the_checksum():
    assert crc32c(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) % 2**32


def test_scalars(tmp_path):
    with SummaryWriter(tmp_path) as w:
        w.add_scalar("loss", lx.tensor(0.25, requires_grad=True) * 2, 300)
        w.add_scalar("loss", 1, global_step=lx.tensor(7), walltime=5.0)
        w.add_scalars("all/of", {"a": 1.5, "b": np.float64(2)}, 3)
        w.add_scalar("no step", 4.0)
        with pytest.raises(ValueError, match="a single number is expected, not 2"):
            w.add_scalar("loss", lx.ones(2), 0)
    found = values(tmp_path)
    assert [(tag, step, v[2]) for tag, step, v in found] == [
        ("loss", 300, [0.5]),
        ("loss", 7, [1.0]),
        ("no step", None, [4.0]),
    ]
    assert events(tmp_path)[1][1] == [5.0]
    for name, value in (("a", 1.5), ("b", 2.0)):
        ((tag, step, v),) = values(tmp_path / f"all_of_{name}")
        assert (tag, step, v[2]) == ("all/of", 3, [value])


def test_histograms(tmp_path):
    x = lx.tensor([-2.0, 0.5, 0.5, 3.0])
    with SummaryWriter(tmp_path) as w:
        w.add_histogram("x", x, 1)
        w.add_histogram("bins", x, 2, bins=5)
        with pytest.raises(ValueError, match="no element"):
            w.add_histogram("x", lx.ones(0), 1)
    for _, _, value in values(tmp_path):
        h = messages(value[5][0])
        assert [h[k][0] for k in range(1, 6)] == [-2.0, 3.0, 4.0, 2.0, 13.5]
        limits, counts = np.frombuffer(h[6][0]), np.frombuffer(h[7][0])
        assert len(limits) == len(counts) and counts.sum() == 4 and (np.diff(limits) > 0).all()
        assert (
            counts[0] == 0 and counts[1] == 1 and counts[np.searchsorted(limits, 0.5, "right")] == 2 and counts[-1] == 1
        )


def test_images_and_text(tmp_path):
    image = lx.linspace(0, 1, 24).reshape(3, 2, 4)
    batch = lx.arange(10 * 2 * 2, dtype=lx.uint8).reshape(10, 1, 2, 2)
    with SummaryWriter(tmp_path) as w:
        w.add_image("one", image, 1)
        w.add_images("many", batch, 2)
        w.add_text("about", "**bold**", 3)
        with pytest.raises(ValueError, match="input_format: CHW"):
            w.add_image("one", lx.ones(2, 2))
    one, many, text = values(tmp_path)

    def decoded(value):
        fields = messages(value[4][0])
        data = fields[4][0]
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        at = data.index(b"IDAT")
        (n,) = struct.unpack(">I", data[at - 4 : at])
        height, width, channels = (fields[k][0] for k in (1, 2, 3))
        assert struct.unpack(">2I", data[16:24]) == (width, height)
        rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + n]), np.uint8).reshape(height, -1)
        assert not rows[:, 0].any()
        return rows[:, 1:].reshape(height, width, channels)

    assert decoded(one[2]).tolist() == (image * 255).byte().permute(1, 2, 0).tolist()
    grid = decoded(many[2])  # ten images of 2 by 2: eight, and two below
    assert grid.shape == (4, 16, 1) and grid[:2, 14:, 0].tolist() == batch[7, 0].tolist()
    assert grid[2:, 2:4, 0].tolist() == batch[9, 0].tolist() and not grid[2:, 4:].any()
    assert text[0] == "about/text_summary" and messages(text[2][8][0])[8] == [b"**bold**"]
    assert messages(messages(text[2][9][0])[1][0])[1] == [b"text"]


def test_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    w = SummaryWriter(comment="-try")
    w.add_scalar("x", 1.0, 0)
    w.flush()
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-try") and w.get_logdir() == str(folder.relative_to(tmp_path))
    assert len(values(folder)) == 1
    w.close()
