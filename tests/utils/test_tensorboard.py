"""Events are written from tensors as from arrays."""

import struct

import numpy as np
import pytest

import lazyxla as lx

pytest.importorskip("tensorboardX")
from tensorboardX.proto.event_pb2 import Event

from lazyxla.utils.tensorboard import SummaryWriter


def values(folder):
    """What the event file in a folder says: tag -> (step, value)."""
    (path,) = [p for p in folder.iterdir() if p.is_file()]
    data, found = path.read_bytes(), {}
    while data:
        (n,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + n])
        found.update({v.tag: (event.step, v) for v in event.summary.value})
        data = data[16 + n :]
    return found


def test_tensors_are_written(tmp_path):
    w = lx.tensor([1.0, 2.0, 4.0], requires_grad=True)
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("loss", (w * w).sum(), 3)
        writer.add_scalar("rate", 0.5, 4)
        writer.add_histogram("weights", w, 5)
        writer.add_image("grey", lx.full((1, 4, 6), 0.5), 6)
    found = values(tmp_path)
    assert found["loss"][0] == 3 and found["loss"][1].simple_value == 21.0
    assert found["rate"][0] == 4 and found["rate"][1].simple_value == 0.5
    histogram = found["weights"][1].histo
    np.testing.assert_array_equal([histogram.min, histogram.max, histogram.num, histogram.sum], [1, 4, 3, 7])
    image = found["grey"][1].image
    assert (image.height, image.width) == (4, 6) and image.encoded_image_string[:4] == b"\x89PNG"
