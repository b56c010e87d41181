"""Memory goes out and comes in as DLPack's capsules."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.utils.dlpack import from_dlpack, to_dlpack


@pytest.mark.parametrize("dtype", [lx.float32, lx.int64, lx.uint8, lx.complex64])
def test_there_and_back(dtype):
    x = lx.arange(6).reshape(2, 3).to(dtype) + 1
    back = from_dlpack(to_dlpack(x))
    assert back.dtype is dtype and back.tolist() == x.tolist()
    assert lx.to_dlpack is to_dlpack


def test_memory_is_shared():
    a = np.arange(4.0)
    x = from_dlpack(a.__dlpack__())
    assert x.data_ptr() == a.ctypes.data
    assert from_dlpack(a).tolist() == [0, 1, 2, 3]


def test_a_capsule_is_for_one():
    capsule = to_dlpack(lx.ones(2))
    from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="can be consumed only once"):
        from_dlpack(capsule)
    with pytest.raises(BufferError, match="require gradient"):
        to_dlpack(lx.ones(2, requires_grad=True))
