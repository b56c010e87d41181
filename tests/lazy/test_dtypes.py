"""Rare element types: eight-bit floats, wide unsigned integers; limits, conversions and text. Values that PyTorch gives."""

import math

import ml_dtypes
import numpy as np
import pytest

import lazyxla as lx

GIVEN = [0.1, -1.5, 448.0, 500.0, -1e6, math.nan, math.inf, 1e-3, 17.3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("float8_e4m3fn", [0.1015625, -1.5, 448, 448, -448, math.nan, 448, 0.001953125, 18]),
        ("float8_e5m2", [0.09375, -1.5, 448, 512, -math.inf, math.nan, math.inf, 0.0009765625, 16])],
)  # fmt: skip
def test_eight_bit_floats(name, expected):
    dtype = getattr(lx, name)
    x = lx.tensor(GIVEN).to(dtype)
    made = lx.tensor(GIVEN, dtype=dtype)
    assert x.dtype is made.dtype is dtype and x.element_size() == 1
    few = lx.tensor([1.0, 2.5], dtype=dtype)
    found = [t.float() for t in (x, made, few + few, few * 2.0, -few, few.sum(), few.max(), few.min(), lx.cat([few, few]))]
    found += [few.view(lx.uint8), (few < 2), few.view(1, 2) @ few.view(2, 1), lx.tensor([500, 3]).to(dtype).float()]
    lx.sync()
    large = 448 if name == "float8_e4m3fn" else 512
    wanted = [expected, expected, [2, 5], [2, 5], [-1, -2.5], 3.5, 2.5, 1, [1, 2.5, 1, 2.5],
        np.array([1, 2.5], getattr(ml_dtypes, name)).view(np.uint8), [True, False], [[7.25 if large == 512 else 7]],
        [large, 3]]  # fmt: skip
    for i, (f, w) in enumerate(zip(found, wanted, strict=True)):
        f = f.to(lx.float32)
        if i == 11:  # the product's rounding to three or two bits of fraction
            w = [[float(np.array(7.25, getattr(ml_dtypes, name)))]]
        np.testing.assert_array_equal(f.numpy(), w, err_msg=str(i))
    assert repr(few) == f"tensor([1.0000, 2.5000], dtype=lazyxla.{name})"


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_wide_unsigned_integers(bits):
    dtype, top = getattr(lx, f"uint{bits}"), 2**bits - 1
    x = lx.tensor([0, 1, top], dtype=dtype)
    assert x.tolist() == [0, 1, top] and x.max().item() == top and (x + 1).tolist() == [1, 2, 0]
    assert lx.tensor([[top]], dtype=dtype).tolist() == [[top]]
    assert (x >> 1).tolist() == [0, 0, top >> 1] and x.sort(descending=True).values.tolist() == [top, 1, 0]
    assert lx.tensor([-1, 3]).to(dtype).tolist() == [top, 3] and lx.tensor([2.7, 3]).to(dtype).tolist() == [2, 3]
    assert (lx.tensor([3], dtype=dtype) / 2).tolist() == [1.5] and str(top) in repr(x)
    with pytest.raises(RuntimeError, match=f"converted to type uint{bits} without overflow"):
        lx.tensor([top + 1], dtype=dtype)
    with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64 types is not supported"):
        x + lx.tensor([1])


def test_negative_whole_numbers_wrap_in_unsigned_types_and_real_ones_do_not_fit():
    assert lx.tensor([-3, 2], dtype=lx.uint8).tolist() == [253, 2]
    assert lx.tensor(-1, dtype=lx.uint16).item() == 65535
    assert lx.scalar_tensor(-3, dtype=lx.uint8).item() == 253 == lx.full((), -3, dtype=lx.uint8).item()
    for value, dtype in ((-256, lx.uint8), (-3.5, lx.uint8), (float("nan"), lx.int32), (128.5, lx.int8)):
        with pytest.raises(RuntimeError, match="without overflow"):
            lx.full((2,), value, dtype=dtype)
    with pytest.raises(RuntimeError, match="without overflow"):
        lx.tensor(-256, dtype=lx.uint8)


def test_limits_and_their_text():
    wanted = {
        "float8_e4m3fn": (8, 0.125, 448.0, 0.015625, 1.0), "float8_e5m2": (8, 0.25, 57344.0, 6.103515625e-05, 1.0),
        "float16": (16, 0.0009765625, 65504.0, 6.103515625e-05, 0.001),
        "bfloat16": (16, 0.0078125, 3.3895313892515355e38, 1.1754943508222875e-38, 0.01),
        "float32": (32, 2.0**-23, 3.4028234663852886e38, 1.1754943508222875e-38, 1e-6),
        "float64": (64, 2.0**-52, 1.7976931348623157e308, 2.2250738585072014e-308, 1e-15),
    }  # fmt: skip
    for name, (bits, eps, most, tiny, resolution) in wanted.items():
        f = lx.finfo(getattr(lx, name))
        assert (f.bits, f.eps, f.max, f.min, f.tiny, f.smallest_normal, f.resolution, f.dtype) == (
            bits, eps, most, -most, tiny, tiny, resolution, name,
        )  # fmt: skip
    assert repr(lx.finfo(lx.float16)) == (
        "finfo(resolution=0.001, min=-65504, max=65504, eps=0.000976562, smallest_normal=6.10352e-05, tiny=6.10352e-05, "
        "dtype=float16)"
    )
    assert repr(lx.iinfo(lx.int32)) == "iinfo(min=-2.14748e+09, max=2.14748e+09, dtype=int32)"
    assert (lx.iinfo(lx.uint64).max, lx.iinfo(lx.int64).min) == (2**64 - 1, -(2**63))
    assert lx.float32.to_complex() is lx.complex64 and lx.complex128.to_real() is lx.float64
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for int64"):
        lx.int64.to_complex()


def test_numbers_and_zero_dims_beside_rare_types():
    def refused(a, b):
        with pytest.raises(RuntimeError, match="Promotion for|Unknown Complex ScalarType"):
            lx.result_type(a, b)

    for small in (lx.float8_e4m3fn, lx.float8_e5m2):
        row, one = lx.ones(2, dtype=small), lx.ones((), dtype=small)
        refused(row, 1j)
        refused(row, lx.ones((), dtype=lx.complex64))
        refused(lx.ones(2, dtype=lx.int64), one)
        refused(lx.ones(2, dtype=lx.bool), one)
        assert lx.result_type(row, 2) is lx.result_type(row, 2.5) is lx.result_type(one, 1) is small
    for wide in (lx.uint16, lx.uint32, lx.uint64):
        row = lx.ones(2, dtype=wide)
        refused(lx.ones(2, dtype=lx.bool), lx.ones((), dtype=wide))
        assert lx.result_type(row, 1) is wide and lx.result_type(row, 1.5) is lx.float32
        assert lx.result_type(row, 1j) is lx.complex64
        assert lx.result_type(row, lx.ones((), dtype=lx.float16)) is lx.float16
