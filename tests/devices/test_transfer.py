"""Memory in and out: what it costs, who shares it with whom, and that no bit of it changes on the way."""

import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import lazyxla as lx

ELEMENTS = 100_000_000  # 400 MB of float32


@pytest.fixture(scope="module")
def large():
    return np.zeros(ELEMENTS, np.float32)


def fastest(action, times=5):
    """The least of a few measured times, in seconds: what the machine's other work adds is not ours."""
    action()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def test_numpy_in_constant_time_both_ways(large):
    assert fastest(lambda: lx.from_numpy(large)) < 1e-3
    t = lx.from_numpy(large)
    assert fastest(t.numpy) < 1e-3
    assert fastest(lambda: np.asarray(t)) < 1e-3
    computed = t + 1
    lx.synchronize()
    assert computed.numpy()[-1] == 1
    assert fastest(computed.numpy) < 1e-3
    assert fastest(lambda: np.asarray(computed)) < 1e-3
    assert np.shares_memory(computed.numpy(), computed.numpy())
    assert computed.numpy().ctypes.data == computed.data_ptr()


def test_jax_and_dlpack_in_constant_time_both_ways(large):
    computed = lx.from_numpy(large) * 2
    lx.synchronize()
    assert fastest(computed.to_jax) < 1e-3
    j = computed.to_jax()
    assert fastest(lambda: lx.from_jax(j)) < 1e-3
    assert fastest(lambda: lx.from_jax(j).to_jax()) < 1e-3
    assert fastest(lambda: np.from_dlpack(computed)) < 1e-3
    assert fastest(lambda: lx.from_dlpack(computed)) < 1e-3
    assert fastest(lambda: lx.from_dlpack(large)) < 1e-3
    assert fastest(lambda: lx.from_dlpack(j)) < 1e-3
    pointer = computed.data_ptr()
    assert j.unsafe_buffer_pointer() == pointer
    assert np.from_dlpack(computed).ctypes.data == pointer
    assert lx.from_dlpack(j).data_ptr() == pointer


def aligned(n, dtype, offset):
    raw = np.zeros(n * np.dtype(dtype).itemsize + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    return raw[start : start + n * np.dtype(dtype).itemsize].view(dtype)


def test_an_aligned_array_is_shared_and_another_copied_once():
    a = aligned(1000, np.float32, 0)
    t = lx.from_numpy(a)
    assert (t + 1).sum().item() == 1000
    assert t.to_jax().unsafe_buffer_pointer() == a.ctypes.data
    b = aligned(1000, np.float32, 16)
    u = lx.from_numpy(b)
    assert (u + 1).sum().item() == 1000
    first = u.to_jax().unsafe_buffer_pointer()
    assert first != b.ctypes.data
    (u * 3).sum().item()
    assert u.to_jax().unsafe_buffer_pointer() == first


def test_tensor_always_copies():
    for a in (aligned(64, np.float64, 0), aligned(64, np.float64, 16)):
        t = lx.tensor(a)
        a[:] = 7
        assert t.sum().item() == 0
        assert not np.shares_memory(t.numpy(), a)


def test_from_numpy_before_use_sees_writes_and_its_own_stay_inside():
    a = np.zeros(4)
    t = lx.from_numpy(a)
    a[0] = 5  # before anything has used the tensor
    assert t.tolist() == [5, 0, 0, 0] and t.numpy() is a
    t[1] = 1
    assert t.tolist() == [5, 1, 0, 0] and a.tolist() == [5, 0, 0, 0]
    assert not t.numpy().flags.writeable


def test_a_view_handed_out_outlives_its_tensor_and_later_writes():
    t = lx.arange(5) * 2
    view = t.numpy()
    t += 100
    lx.sync()
    assert view.tolist() == [0, 2, 4, 6, 8] and t.tolist() == [100, 102, 104, 106, 108]
    del t
    lx.zeros(1000).sum().item()
    assert view.tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(2, 3, 4)[:, ::2], np.arange(6)[::-1], np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4").astype("<i4"), np.zeros((0, 3)), np.array(3.5), np.array(True), np.array(1 + 2j),
        np.arange(3, dtype=np.uint8), np.array([1, -1], np.int8), np.array([2**62], np.int64), np.array([0.1], np.float16),
        np.array([0.1, -0.0, np.nan, np.inf], ml_dtypes.bfloat16), np.array([2**63], np.uint64),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)  # fmt: skip
def test_every_array_comes_back_as_it_was(array):
    for make in (lx.tensor, lx.from_numpy, lx.as_tensor):
        t = make(array)
        assert tuple(t.shape) == array.shape and t.dtype.numpy == array.dtype
        back = t.clone().numpy()
        assert back.dtype == array.dtype and back.tobytes() == np.ascontiguousarray(array).tobytes()
        assert t.numpy().tobytes() == np.ascontiguousarray(array).tobytes()


def test_big_endian_and_object_arrays_are_refused():
    for array in (np.array(["a"]), np.array([object()]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match="can't convert np.ndarray of type"):
            lx.from_numpy(array)
    with pytest.raises(TypeError, match="expected np.ndarray"):
        lx.from_numpy([1, 2])


def test_doubles_survive_and_jax_is_left_as_it_was():
    program = """
import jax, numpy as np
before = jax.config.jax_enable_x64
import lazyxla as lx
x = lx.tensor(np.array([0.1, 1 / 3]))
n = lx.tensor([2**40, -(2**50)])
assert x.dtype is lx.float64 and n.dtype is lx.int64
y = (x * 3).to('xla')
assert y.cpu().numpy().dtype == np.float64 and y.cpu().numpy()[1] == (np.array([1 / 3]) * 3)[0]
assert (n + 1).tolist() == [2**40 + 1, -(2**50) + 1]
assert x.to_jax().dtype == np.float64 and n.to_jax().dtype == np.int64
assert lx.from_jax(x.to_jax()).dtype is lx.float64
assert jax.config.jax_enable_x64 == before == False
import jax.numpy as jnp
assert jnp.arange(3.0).dtype == np.float32 and jnp.asarray(np.arange(3)).dtype == np.int32
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_jax_arrays_go_round():
    j = jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3)
    t = lx.from_jax(j)
    assert t.dtype is lx.bfloat16 and tuple(t.shape) == (2, 3)
    assert (t * 2).to_jax().tolist() == (j * 2).tolist()
    assert isinstance(t.to_jax(), jax.Array)
    w = lx.ones(2, requires_grad=True)
    assert not lx.from_jax(w.to_jax()).requires_grad


def test_dlpack_with_what_is_not_ours():
    with pytest.raises(TypeError, match=r"from_dlpack\(\): an object with __dlpack__ is expected, not list"):
        lx.from_dlpack([1, 2])
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(lx.ones(2, requires_grad=True))
    t = lx.from_dlpack(np.arange(3))
    assert (t + 1).tolist() == [1, 2, 3]
    assert jnp.from_dlpack(lx.ones(3) * 2).tolist() == [2, 2, 2]


def test_a_function_of_numpy_takes_tensors():
    t = lx.arange(4.0)
    assert np.sum(t) == 6 and np.asarray(t, dtype=np.int32).dtype == np.int32
    copied = np.array(t)
    copied[0] = 9
    assert t.tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(lx.ones(2, requires_grad=True))


@pytest.mark.gpu
def test_on_a_gpu():
    if not lx.devices("cuda"):
        pytest.skip("there is no GPU")
    x = lx.arange(5.0, device="cuda", dtype=lx.float64)
    y = (x @ x).cpu()
    assert y.item() == 30 and lx.from_jax(x.to_jax()).device is x.device
