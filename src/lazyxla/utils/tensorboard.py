"""``SummaryWriter``: event files that TensorBoard shows, as ``torch.utils.tensorboard``, written without that package.

An event file is a row of records (TensorFlow's TFRecord: length, checksum, bytes, checksum) of ``Event`` messages in
protocol buffers' encoding; the field numbers are those of tensorboard/compat/proto/{event,summary,tensor}.proto.
"""

from __future__ import annotations

import os
import socket
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..lazy import Tensor
from ..lazy.record import user_line

# --- protocol buffers and records ---------------------------------------------------------------------------------


def _varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def _field(number: int, value: Any) -> bytes:
    """A field: an int as a varint, a float as a double, bytes and text with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _float32(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + np.float32(value).tobytes()


def _table() -> Iterator[int]:
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        yield n


_CRC = tuple(_table())


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TFRecord masks it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


# --- what is shown --------------------------------------------------------------------------------------------------


def _array(x: Any) -> np.ndarray:
    """The values of a tensor (without its history), an array or a number."""
    return np.asarray(x.detach().cpu().numpy() if isinstance(x, Tensor) else x)


def _number(x: Any, name: str) -> float:
    found = _array(x)
    if found.size != 1:
        raise ValueError(f"{name}: a single number is expected, not {found.size}  ({user_line()})")
    return float(found.reshape(()))


def _edges() -> np.ndarray:
    up = 1e-12 * 1.1 ** np.arange(int(np.log(1e32) / np.log(1.1)) + 1)
    return np.concatenate([-up[::-1], [0.0], up])


def _histogram(values: np.ndarray, bins: Any, most: int | None) -> bytes:
    values = values.astype(np.float64).reshape(-1)
    if not values.size:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(values, bins=_edges() if isinstance(bins, str) and bins == "tensorflow" else bins)
    if most is not None and len(counts) > most:
        step = -(-len(counts) // most)
        counts = np.add.reduceat(counts, np.arange(0, len(counts), step))
        limits = np.append(limits[:-1:step], limits[-1])
    filled = np.nonzero(counts)[0]
    if not len(filled):
        raise ValueError("The histogram is empty, please file a bug report.")
    first, last = filled[0], filled[-1] + 1
    # an empty bucket goes before the first, so that its left edge is known
    counts = np.concatenate([[0.0], counts[first:last]])
    limits = limits[first : last + 1]
    numbers = (values.min(), values.max(), float(values.size), values.sum(), values @ values)
    head = b"".join(_field(i + 1, float(v)) for i, v in enumerate(numbers))
    return head + _field(6, limits.astype("<f8").tobytes()) + _field(7, counts.astype("<f8").tobytes())


def _png(image: np.ndarray) -> bytes:
    """A PNG of uint8 values [height, width, channels], with 1, 3 or 4 channels."""
    height, width, channels = image.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), image.reshape(height, -1)], 1
    )  # each begins with its filter
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


def _grid(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """Images [n, height, width, channels] as one, in rows of ``columns``."""
    n, height, width, channels = images.shape
    columns = min(n, columns)
    rows = -(-n // columns)
    filled = np.zeros((rows * columns, height, width, channels), images.dtype)
    filled[:n] = images
    filled = filled.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return filled.reshape(rows * height, columns * width, channels)


def _image(values: np.ndarray, formats: str) -> bytes:
    formats = formats.upper()
    if (
        len(set(formats)) != len(formats)
        or len(formats) != values.ndim
        or not {"H", "W"} <= set(formats) <= set("NCHW")
    ):
        raise ValueError(
            f"size of input tensor and input format are different. tensor shape: {values.shape}, input_format: {formats}"
            f"  ({user_line()})"
        )
    if values.dtype != np.uint8:
        values = np.clip(values.astype(np.float32) * 255, 0, 255).astype(np.uint8)
    for missing in set("NC") - set(formats):
        values, formats = values[..., None], formats + missing
    values = _grid(values.transpose([formats.index(c) for c in "NHWC"]))
    if values.shape[2] == 2 or values.shape[2] > 4:
        raise ValueError(f"an image has 1, 3 or 4 channels, not {values.shape[2]}  ({user_line()})")
    height, width, channels = values.shape
    return _field(1, height) + _field(2, width) + _field(3, channels) + _field(4, _png(values))


# --- the writer -----------------------------------------------------------------------------------------------------


class SummaryWriter:
    """Writes what ``tensorboard --logdir`` shows to a new file in ``log_dir`` (if None, ``runs/`` and one that says when and
    where). Values may be tensors, which are read, arrays or numbers; ``global_step`` is where on the axis they are put.

    Graphs, embeddings, meshes, sound and hyperparameter tables are not there.
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None, max_queue: int = 10,
        flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        if not log_dir:
            log_dir = os.path.join("runs", time.strftime("%b%d_%H-%M-%S_") + socket.gethostname() + comment)
        self.log_dir, self.purge_step, self.flush_secs, self.max_queue = str(log_dir), purge_step, flush_secs, max_queue
        self.suffix = filename_suffix
        self._files: dict[str, Any] = {}
        self._waiting, self._flushed = 0, time.time()
        self._file(self.log_dir)

    def get_logdir(self) -> str:
        return self.log_dir

    def _file(self, directory: str) -> Any:
        found = self._files.get(directory)
        if found is None:
            os.makedirs(directory, exist_ok=True)
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{len(self._files)}"
            found = self._files[directory] = open(os.path.join(directory, name + self.suffix), "xb")
            found.write(_record(_field(1, time.time()) + _field(3, "brain.Event:2")))
            if self.purge_step is not None:
                restart = _field(1, time.time()) + _field(2, self.purge_step) + _field(7, _field(1, 1))
                found.write(_record(restart))
            found.flush()
        return found

    def _write(self, value: bytes, step: Any, walltime: float | None, directory: str | None = None) -> None:
        event = _field(1, float(time.time() if walltime is None else walltime))
        if step is not None:
            event += _field(2, int(_number(step, "global_step")))
        self._file(directory or self.log_dir).write(_record(event + _field(5, _field(1, value))))
        self._waiting += 1
        if self._waiting > self.max_queue or time.time() - self._flushed > self.flush_secs:
            self.flush()

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, walltime: float | None = None, new_style: bool = False,
        double_precision: bool = False,
    ) -> None:  # fmt: skip
        """A point of the curve ``tag``."""
        self._write(_field(1, tag) + _float32(2, _number(scalar_value, "add_scalar()")), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Points of several curves in one diagram: each is a run of its own, in a folder beside this one's file."""
        for tag, value in tag_scalar_dict.items():
            directory = os.path.join(self.log_dir, f"{main_tag.replace('/', '_')}_{tag}")
            point = _field(1, main_tag) + _float32(2, _number(value, "add_scalars()"))
            self._write(point, global_step, walltime, directory)

    def add_histogram(
        self, tag: str, values: Any, global_step: Any = None, bins: Any = "tensorflow", walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """How values are distributed. ``bins`` are 'tensorflow' (powers of 1.1) or what ``numpy.histogram`` takes."""
        self._write(_field(1, tag) + _field(5, _histogram(_array(values), bins, max_bins)), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """An image: uint8 values, or numbers from 0 to 1."""
        self._write(_field(1, tag) + _field(4, _image(_array(img_tensor), dataformats)), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Images, as one."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """A Matplotlib figure (or a list of them), which is closed."""
        images = []
        for f in figure if isinstance(figure, list) else [figure]:
            f.canvas.draw()
            images.append(np.asarray(f.canvas.buffer_rgba())[..., :3])
            if close:
                import matplotlib.pyplot as plt

                plt.close(f)
        self.add_image(tag, np.stack(images), global_step, walltime, "NHWC")

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None) -> None:
        """Text, in Markdown."""
        plugin = _field(1, _field(1, "text"))
        strings = (
            _field(1, 7) + _field(2, _field(2, _field(1, 1))) + _field(8, text_string)
        )  # one string: DT_STRING, [1]
        self._write(_field(1, f"{tag}/text_summary") + _field(8, strings) + _field(9, plugin), global_step, walltime)

    def flush(self) -> None:
        """Have all of it on disk."""
        for f in self._files.values():
            f.flush()
        self._waiting, self._flushed = 0, time.time()

    def close(self) -> None:
        """Close the files; what is added later goes to new ones."""
        for f in self._files.values():
            f.close()
        self._files.clear()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


__all__ = ["SummaryWriter"]
