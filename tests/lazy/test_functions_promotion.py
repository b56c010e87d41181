"""What type two operands have together: every pair of types and of categories, against PyTorch's own table."""

import itertools
import operator

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy.interpret import interpret_all

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


def test_scalar_tensors_among_themselves():
    """0-d tensors promote with each other as tensors with dims do, and with numbers as those do."""
    for i, a in enumerate(TYPES):
        one = lx.ones((), dtype=a)
        assert "".join(LETTER[(one * lx.ones((), dtype=t)).dtype] for t in TYPES) == BOTH[i]
        assert "".join(LETTER[(one + n).dtype] for n in NUMBERS) == WITH_NUMBER[i]
        column = "".join(row[i] for row in WITH_SCALAR_TENSOR)
        assert "".join(LETTER[(lx.ones(2, dtype=t) * one).dtype] for t in TYPES) == column


# By name: the operation, on tensors and on arrays; the kinds of common types that have it; and the kind of its results.
OPERATORS = {
    "+": (operator.add, np.add, "bifc", ""), "*": (operator.mul, np.multiply, "bifc", ""),
    "-": (operator.sub, np.subtract, "ifc", ""),
    "/": (operator.truediv, np.divide, "bifc", "float"), "**": (operator.pow, np.power, "ifc", ""),
    "//": (operator.floordiv, np.floor_divide, "if", ""), "%": (operator.mod, np.remainder, "if", ""),
    "&": (operator.and_, np.bitwise_and, "bi", ""), "^": (operator.xor, np.bitwise_xor, "bi", ""),
    "==": (operator.eq, np.equal, "bifc", "bool"), "<": (operator.lt, np.less, "bif", "bool"),
    "maximum": (lx.maximum, np.maximum, "bif", ""), "atan2": (lx.atan2, np.arctan2, "bif", "float"),
    "fmod": (lx.fmod, np.fmod, "if", ""), "logical_or": (lx.logical_or, np.logical_or, "bifc", "bool"),
}  # fmt: skip
SOME = {lx.bool: [1, 1, 1]}  # small whole numbers, which every type holds
KIND = dict(zip(TYPES, "biiiiiffffcc"))
WIDE = {"b": np.bool_, "i": np.int64, "f": np.float64, "c": np.complex128}


@pytest.mark.parametrize("name", OPERATORS)
def test_values_of_mixed_operands(name):
    """Every pair of types, each with dims or without, and Python's numbers on either side: the values are NumPy's, in the
    common type."""
    for s in TYPES:
        cases = [c for t in TYPES if name != "-" or lx.bool not in (s, t) for c in mixed(s, t, *OPERATORS[name])]
        for (found, dtype, expected), values in zip(cases, interpret_all([c[0] for c in cases]), strict=True):
            assert (found.dtype, tuple(found.shape)) == (dtype, expected.shape)
            accuracy = 2e-2 if dtype.is_inexact and dtype.itemsize == 2 else 1e-6
            rounded = expected.astype(dtype.numpy).astype(expected.dtype)  # integers wrap round
            np.testing.assert_allclose(values.astype(expected.dtype), rounded, rtol=accuracy)
        cases = found = None
        lx.sync()  # of nothing: what was recorded is forgotten


def mixed(s, t, mine, theirs, kinds, result):
    """Results, their types, and their values by NumPy, for operands of two types."""
    a, b = np.array(SOME.get(s, [1, 3, 2])), np.array(SOME.get(t, [2, 1, 3]))
    x, y = lx.tensor(a, dtype=s), lx.tensor(b, dtype=t)
    n = {"b": True, "i": 2, "f": 2.0, "c": 2 + 0j}[KIND[t]]
    pairs = [(x, y, a, b), (x, y[1], a, b[1]), (x[1], y, a[1], b), (x[1], y[1], a[1], b[1])]
    if type(mine) is type(operator.add):
        pairs += [(x, n, a, n), (n, x, n, a), (x[2], n, a[2], n)]
    for left, right, of_left, of_right in pairs:
        common = lx.result_type(left, right)
        if KIND[common] in kinds:
            wide = WIDE[KIND[common]]
            expected = theirs(np.asarray(of_left).astype(wide), np.asarray(of_right).astype(wide))
            dtype = {"bool": lx.bool, "float": common if common.is_inexact else lx.float32, "": common}[result]
            yield mine(left, right), dtype, expected
