"""What a tensor says of itself, conversions, new ones, constants, and draws in place, as PyTorch documents them."""

import math

import numpy as np
import pytest
from scipy import stats

import lazyxla as lx
from tests.tolerances import compare

A = np.arange(12, dtype=np.float32).reshape(3, 4)
HALF = np.array([-1.5, 0.0, 2.75])
# name: NumPy's type, letter of PyTorch's tensor type
DTYPES = {
    "bool": "bool", "uint8": "uint8", "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "int": "int32",
    "long": "int64", "float16": "float16", "float32": "float32", "float64": "float64", "float": "float32",
    "double": "float64", "complex64": "complex64",
}  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_numpys(name):
    dtype, wanted = getattr(lx, name), np.dtype(DTYPES[name])
    assert isinstance(dtype, lx.dtype) and dtype.itemsize == wanted.itemsize
    assert dtype.is_floating_point is (wanted.kind == "f") and dtype.is_complex is (wanted.kind == "c")
    x = lx.ones(2, dtype=dtype)
    assert x.dtype is dtype and x.numpy().dtype == wanted and x.element_size() == wanted.itemsize
    assert lx.is_floating_point(x) is x.is_floating_point() is (wanted.kind == "f")
    assert lx.is_complex(x) is x.is_complex() is (wanted.kind == "c") and x.is_signed() is (wanted.kind not in "bu")


def test_conversions_cut_off_as_numpy_does():
    x = lx.tensor(HALF)
    pairs = {
        "bool": (x.bool(), HALF.astype(bool)), "int": (x.int(), HALF.astype(np.int32)),
        "long": (x.long(), HALF.astype(np.int64)), "half": (x.half(), HALF.astype(np.float16)),
        "float": (x.float(), HALF.astype(np.float32)), "double": (x.double(), HALF),
        "byte": (x.abs().byte(), np.abs(HALF).astype(np.uint8)), "to": (x.to(lx.float16), HALF.astype(np.float16)),
        "type_as": (x.type_as(lx.tensor([1])), HALF.astype(np.int64)),
        "type": (x.type("torch.IntTensor"), HALF.astype(np.int32)),
    }  # fmt: skip
    compare(pairs)
    for got, want in pairs.values():
        assert got.numpy().dtype == want.dtype
    assert x.to(lx.float64) is x and x.to(lx.float64, copy=True) is not x and x.type() == "torch.DoubleTensor"
    back = lx.tensor(HALF, requires_grad=True)
    (back.float() * 2).double().sum().backward()
    assert back.grad.tolist() == [2, 2, 2] and back.grad.dtype is lx.float64


def test_bfloat16_rounds_to_even():
    assert lx.tensor([1 + 2**-8, 1 + 3 * 2**-8]).to(lx.bfloat16).tolist() == [1.0, 1 + 2**-6]
    assert lx.finfo(lx.bfloat16).eps == 2**-7 and lx.finfo(lx.float32).max == np.finfo(np.float32).max


def test_types_by_their_old_names():
    for kind, dtype in (
        (lx.BoolTensor, lx.bool), (lx.ByteTensor, lx.uint8), (lx.DoubleTensor, lx.float64),
        (lx.FloatTensor, lx.float32), (lx.LongTensor, lx.int64),
    ):  # fmt: skip
        x = kind([1, 0])
        assert isinstance(x, kind) and isinstance(x, lx.Tensor) and x.dtype is dtype and x.tolist() == [1, 0]
        assert kind(2, 3).shape == (2, 3) and not isinstance(lx.ones(1, dtype=lx.int16), kind)
    assert lx.is_tensor(lx.ones(1)) and not lx.is_tensor(np.ones(1)) and lx.Tensor([1, 2]).dtype is lx.float32


def test_sizes_and_strides():
    x = lx.tensor(A)
    assert x.shape == x.size() == lx.Size([3, 4]) and x.size(-1) == 4 and x.dim() == x.ndim == 2
    assert isinstance(x.shape, tuple) and x.shape.numel() == x.numel() == x.nelement() == 12 and x.shape[:1] == (3,)
    assert x.stride() == (4, 1) and x.t().stride() == (1, 4) and x.t().stride(0) == 1 and x[:, 1:].stride() == (4, 1)
    assert x.is_contiguous() and not x.t().is_contiguous() and x.t().contiguous().stride() == (3, 1)
    assert x.contiguous() is x and not x.t().is_contiguous(memory_format=lx.channels_last)
    np.testing.assert_array_equal(x.t().contiguous().numpy(), A.T)
    images = lx.zeros(2, 3, 4, 5)
    assert images.is_contiguous(memory_format=lx.contiguous_format) and images.get_device() == -1
    alike = lx.zeros_like(images, memory_format=lx.preserve_format)
    assert images.to(memory_format=lx.channels_last).shape == images.shape and alike.stride() == images.stride()
    assert lx.broadcast_shapes((3, 1), (4,), (2, 1, 1)) == np.broadcast_shapes((3, 1), (4,), (2, 1, 1))
    with pytest.raises(RuntimeError, match="must match the size of tensor b"):
        lx.broadcast_shapes((3,), (4,))


def test_forms_taken_from_others():
    x, like = lx.tensor(A), lx.zeros(2, 6)
    one, other = lx.broadcast_tensors(x[:, :1], x[0])
    compare({
        "view_as": (x.view_as(like), A.reshape(2, 6)), "reshape_as": (x.t().reshape_as(like), A.T.reshape(2, 6)),
        "expand_as": (x[0].expand_as(lx.zeros(2, 4)), np.broadcast_to(A[0], (2, 4))), "T": (x.T, A.T),
        "broadcast_tensors": ((one, other), np.broadcast_arrays(A[:, :1], A[0])),
    })  # fmt: skip
    with pytest.warns(UserWarning, match="resize"):
        assert x.resize(2, 6).tolist() == A.reshape(2, 6).tolist()


def test_new_ones_have_the_type_and_place_of_the_old():
    x = lx.ones(2, dtype=lx.float64)
    compare({
        "new_ones": (x.new_ones(2, 3), np.ones((2, 3))), "new_zeros": (x.new_zeros((2, 3)), np.zeros((2, 3))),
        "new": (x.new([3, 4]), np.array([3.0, 4])), "new_full": (x.new_full((2,), 7), np.full(2, 7.0)),
        "new_tensor": (x.new_tensor([1, 2]), np.array([1.0, 2])),
        "ones_like": (lx.ones_like(x), np.ones(2)), "zeros_like": (lx.zeros_like(x), np.zeros(2)),
        "fill": (lx.fill(x, 3), np.full(2, 3.0)),
    }, kinds=True)  # fmt: skip
    for made in (x.new_empty(2, 3), lx.empty_like(x.new_ones(2, 3)), lx.empty(2, 3, dtype=lx.float64)):
        assert made.shape == (2, 3) and made.dtype is lx.float64 and made.device is x.device
    assert x.new_tensor([1, 2], dtype=lx.int32).dtype is lx.int32 and x.new_ones(1, dtype=lx.bool).dtype is lx.bool


def test_arrays_become_tensors_and_share_where_they_can():
    given = A.copy()
    shared, seen = lx.from_numpy(given), lx.as_tensor(given)
    given[0, 0] = 50
    assert shared[0, 0].item() == 50 == seen[0, 0].item() and lx.as_tensor(shared) is shared
    assert lx.as_tensor([1, 2]).dtype is lx.int64 and lx.as_tensor(shared, dtype=lx.int64).tolist() == given.tolist()
    assert lx.tensor(given).tolist() == given.tolist() and lx.tensor(3.5).item() == 3.5
    assert lx.tensor([[1, 2]]).tolist() == [[1, 2]] and lx.tensor([1, 2.5]).dtype is lx.float32


def test_comparisons_of_whole_tensors():
    x = lx.tensor(HALF)
    assert x.allclose(x + 1e-9) and not lx.allclose(x, x + 1e-3) and lx.allclose(x, x + 1e-3, atol=1e-2)
    nan = lx.tensor([math.nan])
    assert not nan.allclose(nan) and nan.allclose(nan, equal_nan=True)
    assert not lx.equal(nan, nan) and lx.equal(x, x.clone())


def test_constants_and_defaults():
    assert lx.inf == math.inf and lx.pi == math.pi and lx.get_default_dtype() is lx.float32
    assert repr(lx.jagged) == "lazyxla.jagged" and lx.jagged != lx.strided and isinstance(lx.jagged, lx.layout)
    lx.manual_seed(17)
    assert lx.initial_seed() == 17
    formats = [lx.contiguous_format, lx.channels_last, lx.preserve_format]
    assert len(set(formats)) == 3 and all(isinstance(f, lx.memory_format) for f in formats)
    assert repr(formats) == "[lazyxla.contiguous_format, lazyxla.channels_last, lazyxla.preserve_format]"


def test_history_and_data():
    x = lx.ones(2, requires_grad=True)
    y = x * 2
    assert y.detach_() is y and not y.requires_grad and y.is_leaf and not x.detach().requires_grad
    x.data.mul_(3)
    assert x.tolist() == [3, 3] and not x.data.requires_grad and x.requires_grad
    assert y.requires_grad_() is y and y.requires_grad


def test_memory_of_the_host():
    x = lx.tensor(A)
    assert x.cpu() is x and x.device == lx.device("cpu") and x.pin_memory().tolist() == A.tolist()
    assert isinstance(x.numpy(), np.ndarray) and np.shares_memory(x.numpy(), x.numpy())
    if lx.cuda.is_available():
        assert x.cuda().device.type == "cuda" and x.cuda().cpu().tolist() == A.tolist()
    else:
        with pytest.raises(RuntimeError, match="cuda"):
            x.cuda()


def fits(x, distribution):
    """Kolmogorov and Smirnov cannot tell the values from the distribution."""
    return stats.kstest(x.numpy().astype(np.float64).ravel(), distribution.cdf).pvalue > 1e-3


def test_draws_in_place_and_alike():
    n = 20_000
    x, like = lx.empty(n), lx.empty(n, dtype=lx.float64)
    assert x.normal_(1, 2) is x and fits(x, stats.norm(1, 2)) and fits(lx.normal(-1.0, 0.5, (n,)), stats.norm(-1, 0.5))
    assert fits(lx.randn_like(like), stats.norm) and lx.randn_like(like).dtype is lx.float64
    assert fits(lx.rand_like(like), stats.uniform) and fits(x.uniform_(2, 3), stats.uniform(2, 1))
    means = lx.tensor([0.0, 50.0]).repeat(n // 2)
    drawn = lx.normal(means, lx.tensor(2.0))
    assert fits(drawn - means, stats.norm(0, 2)) and abs(x.bernoulli_(0.3).mean().item() - 0.3) < 0.015
    assert set(np.unique(x.numpy())) == {0.0, 1.0}
    whole = x.random_(3, 8).numpy()
    assert stats.chisquare(np.bincount(whole.astype(int) - 3, minlength=5)).pvalue > 1e-3
    assert 0 <= lx.empty(n, dtype=lx.int8).random_().numpy().min() and fits(x.exponential_(2.5), stats.expon(scale=0.4))
