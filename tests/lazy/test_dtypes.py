"""Rare element types: eight-bit floats, four-bit and wide unsigned integers; limits,
conversions and text. Values that PyTorch gives."""

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


@pytest.mark.parametrize("name", ["int4", "uint4"])
def test_four_bit_integers_move_as_they_are_and_compute_modulo_16(name):
    dtype = getattr(lx, name)
    low, high = (-8, 7) if name == "int4" else (0, 15)
    info = lx.iinfo(dtype)
    assert (info.bits, info.min, info.max, info.dtype) == (4, low, high, name) and dtype.is_signed == (low < 0)
    given = np.array([low, 3, high, 1, 2, low + 5])
    x = lx.tensor(given.tolist(), dtype=dtype)
    assert x.dtype is dtype and x.tolist() == given.tolist() and x.numpy().dtype == getattr(ml_dtypes, name)
    assert lx.from_numpy(x.numpy()).dtype is dtype and x[2].item() == high

    def wrapped(v):
        return np.asarray((np.asarray(v, np.int64) - low) % 16 + low)

    g, square = given, given.reshape(2, 3)
    small = np.array([5, 1, 4, 2, 3, 2])
    y = lx.tensor(small, dtype=dtype)
    written = x.clone()
    written[1:4] = y[:3]
    same = {
        "reshape": (x.reshape(2, 3), square), "transpose": (x.reshape(2, 3).T, square.T), "slice": (x[1:5:2], g[1:5:2]),
        "cat": (lx.cat([x, x]), np.tile(g, 2)), "where": (lx.where(y > 2, x, y), np.where(small > 2, g, small)),
        "index": (x[lx.tensor([3, 0])], g[[3, 0]]), "flip": (x.flip(0), g[::-1]),
        "written": (written, [low, 5, 1, 4, 2, low + 5]), "arange": (lx.arange(3, dtype=dtype), range(3)),
        "scatter": (x.scatter(0, lx.tensor([0]), x[2:3]), [high, *g[1:]]), "pad": (lx.nn.functional.pad(x, (1, 1)), [0, *g, 0]),
        "add": (x + y, g + small), "sub": (x - y, g - small), "mul": (x * y, g * small), "neg": (-x, -g),
        "number": (x + 100, g + 100), "div": (x // y, g // small), "rem": (x % y, g % small), "invert": (~x, ~g),
        "or": (x | y, g | small), "shift": (x << 1, g << 1), "max": (x.amax(), high), "clamp": (x.clamp(1, 2), g.clip(1, 2)),
        "sort": (x.sort().values, np.sort(g)), "topk": (x.topk(2).values, np.sort(g)[:-3:-1]),
        "matmul": (x.reshape(2, 3) @ y.reshape(3, 2), square @ small.reshape(3, 2)),
        "full": (lx.full((2,), high, dtype=dtype), [high] * 2),
        "index_add": (x.index_add(0, lx.tensor([0, 0]), y[:2]), [low + 6, *g[1:]]),
        "from int64": (lx.tensor([300, -9, 20]).to(dtype), [300, -9, 20]), "from int8": (y.to(lx.int8).to(dtype), small),
        "from float": (lx.tensor([300.5, -9.7, 20, math.nan]).to(dtype), [300, -9, 20, 0]),
        "from bool": (lx.tensor([True, False]).to(dtype), [1, 0]),
    }  # fmt: skip
    others = {
        "sum": (x.sum(), g.sum()), "equal": (x == x.flip(0), g == g[::-1]), "less": (x < y, g < small),
        "bool": (x.bool(), g != 0), "float": (x.float(), g), "bfloat16": (x.to(lx.bfloat16).float(), g),
        "argmax": (x.argmax(), g.argmax()), "half": (x / 2, g / 2), "any": (x.any(), True),
        "mean": (x.double().mean(), g.mean()),
    }  # fmt: skip
    lx.sync()
    for what, (found, wanted) in same.items():
        assert found.dtype is dtype and np.array_equal(found.long().numpy(), wrapped(wanted)), what
    for what, (found, wanted) in others.items():
        assert found.dtype is not dtype and np.array_equal(found.numpy(), np.asarray(wanted)), what
    text = "tensor([-8,  3], dtype=lazyxla.int4)" if name == "int4" else "tensor([0, 3], dtype=lazyxla.uint4)"
    assert lx.equal(x, x.clone()) and repr(x[:2]) == text


def test_what_four_bit_integers_become_beside_others_and_what_they_refuse():
    wanted = {"int4 uint4": "int8", "int4 int8": "int8", "int4 uint8": "int16", "uint4 int8": "int8", "uint4 uint8": "uint8",
        "int4 int64": "int64", "uint4 bool": "uint4", "int4 float16": "float16", "uint4 complex64": "complex64"}  # fmt: skip
    for pair, found in wanted.items():
        a, b = (getattr(lx, n) for n in pair.split())
        assert lx.promote_types(a, b) is lx.promote_types(b, a) is getattr(lx, found)
        assert (lx.ones(1, dtype=a) + lx.ones(1, dtype=b)).dtype is getattr(lx, found)
    with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64 types is not supported"):
        lx.promote_types(lx.int4, lx.uint16)
    with pytest.raises(RuntimeError, match=r"types of different size \(int4, int8\)"):
        lx.ones(2, dtype=lx.int4).view(lx.int8)
    assert lx.tensor([-1], dtype=lx.int4).view(lx.uint4).tolist() == [15]
    for value, dtype in ((8, lx.int4), (-9, lx.int4), (16, lx.uint4)):
        for given in (value, [value]):
            with pytest.raises(RuntimeError, match="without overflow"):
                lx.tensor(given, dtype=dtype)


@pytest.mark.parametrize("name", ["promote_types", "can_cast"])
def test_what_is_no_element_type_is_named(name):
    first, second = {"promote_types": ("type1", "type2"), "can_cast": ("from_", "to")}[name]
    f = getattr(lx, name)
    with pytest.raises(TypeError, match=rf"{name}\(\): argument '{first}' \(position 1\) must be torch.dtype, not int"):
        f(1, 2)
    with pytest.raises(TypeError, match=rf"argument '{second}' \(position 2\) must be torch.dtype, not str"):
        f(lx.int8, "int8")
