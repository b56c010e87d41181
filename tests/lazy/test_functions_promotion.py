"""What type two operands have together: every pair of types and of categories, against PyTorch's own table."""

import itertools

import numpy as np
import pytest

import lazyxla as lx

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64",
    "complex128"]
TYPES = [getattr(lx, n) for n in NAMES]
LETTER = dict(zip(TYPES, "?BbhilegfdFD"))
NUMBERS = (True, 1, 1.0, 1j)

# Rows: the left operand; columns: the right one, in the order of NAMES.
BOTH = """
?BbhilegfdFD  BBhhilegfdFD  bhbhilegfdFD  hhhhilegfdFD  iiiiilegfdFD  llllllegfdFD
eeeeeeeffdFD  ggggggfgfdFD  fffffffffdFD  ddddddddddDD  FFFFFFFFFDFD  DDDDDDDDDDDD
""".split()
# Rows: a tensor with dims; columns: a 0-d tensor. (There is no complex32 here: float16 with complex is complex64.)
WITH_SCALAR_TENSOR = """
?BbhilegfdFD  BBBBBBegfdFD  bbbbbbegfdFD  hhhhhhegfdFD  iiiiiiegfdFD  llllllegfdFD
eeeeeeeeeeFF  ggggggggggFF  ffffffffffFF  ddddddddddDD  FFFFFFFFFFFF  DDDDDDDDDDDD
""".split()
# Columns: a Python bool, int, float, complex.
WITH_NUMBER = "?lfF BBfF bbfF hhfF iifF llfF eeeF gggF fffF dddD FFFF DDDD".split()


@pytest.mark.parametrize("i", range(len(NAMES)), ids=NAMES)
def test_pairs(i):
    mine, rows = TYPES[i], lx.ones(2, dtype=TYPES[i])
    assert "".join(LETTER[lx.promote_types(mine, t)] for t in TYPES) == BOTH[i]
    assert "".join(LETTER[lx.result_type(rows, lx.ones(3, 1, dtype=t))] for t in TYPES) == BOTH[i]
    assert "".join(LETTER[lx.result_type(rows, lx.ones((), dtype=t))] for t in TYPES) == WITH_SCALAR_TENSOR[i]
    assert "".join(LETTER[lx.result_type(lx.ones((), dtype=t), rows)] for t in TYPES) == WITH_SCALAR_TENSOR[i]
    assert "".join(LETTER[lx.result_type(rows, n)] for n in NUMBERS) == WITH_NUMBER[i]
    assert "".join(LETTER[lx.result_type(lx.ones((), dtype=mine), n)] for n in NUMBERS) == WITH_NUMBER[i]


@pytest.mark.parametrize("i", range(len(NAMES)), ids=NAMES)
def test_operators_have_the_types_of_the_table(i):
    mine = lx.ones(2, dtype=TYPES[i])
    assert "".join(LETTER[(mine * lx.ones(2, dtype=t)).dtype] for t in TYPES) == BOTH[i]
    assert "".join(LETTER[(mine + n).dtype] for n in NUMBERS) == WITH_NUMBER[i]
    assert "".join(LETTER[(n * mine).dtype] for n in NUMBERS) == WITH_NUMBER[i]
    assert "".join(LETTER[lx.where(mine != 0, mine, n).dtype] for n in NUMBERS) == WITH_NUMBER[i]
    # division makes integers floating, comparison makes anything a bool
    inexact = [LETTER[t] if t.is_inexact else "f" for t in (lx.promote_types(TYPES[i], u) for u in TYPES)]
    assert "".join(LETTER[(mine / lx.ones(2, dtype=t)).dtype] for t in TYPES) == "".join(inexact)
    assert all((mine == lx.ones(2, dtype=t)).dtype is lx.bool for t in TYPES)
    quotient = mine.dtype if mine.dtype.is_inexact else lx.float32
    assert (mine / 2).dtype is quotient and (2 / mine).dtype is quotient and mine.exp().dtype is quotient
    lx.sync()


def test_what_cannot_meet():
    for a, b in itertools.product((lx.uint16, lx.uint32, lx.uint64), TYPES):
        if b.is_floating_point:
            assert lx.promote_types(a, b) is b
        else:
            with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64 types is not supported"):
                lx.promote_types(b, a)
    for a, b in itertools.product((lx.float8_e4m3fn, lx.float8_e5m2), TYPES):
        with pytest.raises(RuntimeError, match="Promotion for Float8 Types is not supported"):
            lx.promote_types(a, b)
    assert lx.promote_types(lx.uint16, lx.uint16) is lx.uint16


def test_integers_divide_to_floats_and_wrap_round():
    got = [
        lx.arange(3) / 2, 3 / lx.arange(1, 3), lx.arange(3) / lx.tensor(2), lx.tensor([1], dtype=lx.uint8) + -2,
        lx.tensor([100], dtype=lx.int8) + 200, 300 - lx.tensor([1], dtype=lx.uint8), 7 - lx.arange(3),
        2 ** lx.arange(3),
    ]  # fmt: skip
    lx.sync()
    want = [[0, 0.5, 1], [3, 1.5], [0, 0.5, 1], [255], [44], [43], [7, 6, 5], [1, 2, 4]]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g.numpy(), w)


def test_can_cast():
    assert lx.can_cast(lx.int64, lx.uint8) and lx.can_cast(lx.bool, lx.int8) and lx.can_cast(lx.float64, lx.float16)
    assert not lx.can_cast(lx.float32, lx.int64) and not lx.can_cast(lx.complex64, lx.float64)
    assert not lx.can_cast(lx.uint8, lx.bool)


def test_the_default_type_takes_part():
    lx.set_default_dtype(lx.float64)
    try:
        assert (lx.arange(3) + 0.5).dtype is lx.float64 and lx.tensor([1.0]).dtype is lx.float64
        assert (lx.arange(3) * 1j).dtype is lx.complex128
    finally:
        lx.set_default_dtype(lx.float32)
    with pytest.raises(TypeError, match="only floating-point types"):
        lx.set_default_dtype(lx.int32)
