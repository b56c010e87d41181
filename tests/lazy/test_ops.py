"""Every primitive is whole (meaning, lowering, derivative, cases), and compiles to what its meaning says."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd.table import VJPS
from lazyxla.lazy import ops
from lazyxla.lazy.graph import LEAVES, Op
from lazyxla.lazy.interpret import interpret
from lazyxla.lowering import debug
from tests.lazy.cases import CASES, KINDS
from tests.tolerances import assert_close

PRIMITIVES = [op for op in Op.table.values() if op not in LEAVES]
by_name = pytest.mark.parametrize("op", PRIMITIVES, ids=lambda op: op.name)


def incomplete(op, cases, vjps):
    """What a primitive lacks."""
    lacks = []
    if not op.doc.endswith(".") or not callable(op.meaning) or not callable(op.rule):
        lacks.append("its meaning")
    if op not in vjps:
        lacks.append("its derivative, or the word that it has none")
    if op not in cases:
        lacks.append("its cases")
    return lacks


@by_name
def test_it_is_whole(op):
    assert incomplete(op, CASES, VJPS) == []


def test_what_is_missing_is_found():
    op = ops.tanh
    assert incomplete(op, {}, VJPS) == ["its cases"]
    assert incomplete(op, CASES, {}) == ["its derivative, or the word that it has none"]


def test_there_is_nothing_beyond_the_primitives():
    assert set(CASES) <= set(PRIMITIVES) and set(VJPS) <= set(PRIMITIVES)


def dtypes_of(op):
    return [d for k in CASES[op].kinds for d in KINDS[k]] or [None]


def calls(op, dtypes):
    for dtype in dtypes:
        for row in CASES[op].rows:
            kind = "" if dtype is None else np.dtype(dtype).kind
            if kind in ("b", "i", "u") and ("NaN" in row.name or "-inf" in row.name):
                continue
            if kind == "c" and (row.name == "hard" or row.attributes.get("combine") in ("min", "max")):
                continue  # NumPy and XLA differ in the imaginary parts of infinities; complex numbers have no order
            yield row, dtype, row.operands(dtype)


def results(value):
    """The results of a primitive, several where it has several."""
    aval = value._node.sig.aval
    if hasattr(aval, "elements"):
        return [ops.result(value, index=i) for i in range(len(aval.elements))]
    return [value]


@by_name
def test_compiled_it_does_what_its_meaning_says(op):
    pending = []
    for row, _, operands in calls(op, dtypes_of(op)):
        values = results(op(*[lx.tensor(a) for a in operands], **row.attributes))
        with np.errstate(all="ignore"):
            expected = op.meaning(*operands, **row.attributes)
        expected = expected if len(values) > 1 or isinstance(expected, tuple) else [expected]
        pending.append((row, operands, values, expected))
    lx.sync()  # one program for all of an op's cases
    for row, operands, values, expected in pending:
        for value, wanted in zip(values, expected, strict=True):
            assert value.dtype.numpy == np.asarray(wanted).dtype, row.name
            try:
                assert_close(value.numpy(), wanted, factor=CASES[op].factor)
            except AssertionError as e:
                raise AssertionError(f"{op.name}, {row.name or 'ordinary'}, operands {operands}: {e}") from None


@by_name
def test_it_lowers_by_its_own_rule_or_name(op):
    for row, _, operands in calls(op, dtypes_of(op)[:1]):
        text = debug.stablehlo(*results(op(*[lx.tensor(a) for a in operands], **row.attributes)))
        if "stablehlo." in text or "chlo." in text:  # a copy is no operation
            assert "test_ops.py" in text  # with the user's file


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: ops.add(lx.ones(2), lx.ones(3)), r"operands of one type.*\[add\(float32\[2\], float32\[3\]\) at test_ops.py:"),
        (lambda: ops.add(lx.ones(2), lx.ones(2, dtype=lx.float64)), r"float32\[2\] and float64\[2\]"),
        (lambda: ops.sine(lx.arange(3)), r"not implemented for 'int64'.*sine"),
        (lambda: ops.reshape(lx.ones(4), shape=(3,)), r"shape '\[3\]' is invalid for input of size 4.*reshape"),
        (
            lambda: ops.dot_general(lx.ones(2, 3), lx.ones(2, 3), contract=((1,), (0,)), batch=((), ())),
            "contracting sizes 3 and 2",
        ),
        (lambda: ops.select(lx.ones(2), lx.ones(2), lx.ones(2)), "a bool condition is expected"),
        (lambda: ops.transpose(lx.ones(2, 3), permutation=(0, 0)), "not a permutation"),
        (lambda: ops.concatenate(lx.ones(2, 3), lx.ones(3, 2), axis=0), "Sizes of tensors must match except in dimension 0"),
        (lambda: ops.broadcast_in_dim(lx.ones(2), shape=(3,), dims=(0,)), "does not broadcast"),
        (
            lambda: ops.gather(lx.ones(3), lx.ones(1, 1), offset_dims=(), collapsed=(0,), index_map=(0,), sizes=(1,)),
            "indices must be integers",
        ),
    ],
)
def test_wrong_types_are_refused_at_the_users_line(call, words):
    with pytest.raises((RuntimeError, IndexError), match=words):
        call()


def test_a_wrong_attribute_is_refused():
    with pytest.raises((TypeError, KeyError)):
        ops.reshape(lx.ones(4), size=(4,))


def test_composed_programs_agree_with_the_interpreter():
    x = lx.tensor(np.random.default_rng(0).standard_normal((4, 6)))

    def written():
        y = x * 1
        y[1:3] += 10
        y.view(2, 12)[0, ::2] = -1.0
        y[y > 5] = 0.0
        y[:, [0, 2]] *= 3
        return y

    rows = x[[0, 2, 2]].cumsum(0)
    pending = [written(), x.softmax(1), x.log_softmax(0), (x @ x.T).tanh().sum(0), rows, x.sort(1)[0], x.var(0)]
    pending = [y for y in pending if y._node.buffer is None]
    assert len(pending) >= 6
    for y, expected in [(y, interpret(y)) for y in pending]:
        assert_close(y.numpy(), expected, factor=50)


def test_random_numbers_agree_with_the_interpreter():
    lx.manual_seed(5)
    draws = [lx.rand(3, 4), lx.randn(7), lx.randint(0, 10, (20,)), lx.randperm(9), lx.rand(5, dtype=lx.float64)]
    for y, expected in [(y, interpret(y)) for y in draws]:
        assert_close(y.numpy(), expected, factor=50)


def test_threefry_matches_its_published_vectors():
    from lazyxla.lazy.ops.random import threefry

    def block(*words):
        with np.errstate(over="ignore"):
            return [int(w[0]) for w in threefry(*(np.array([v], np.uint32) for v in words))]

    assert block(0, 0, 0, 0) == [0x6B200159, 0x99BA4EFE]
    assert block(*[0xFFFFFFFF] * 4) == [0x1CB996FC, 0xBB002BE7]
    assert block(0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3) == [0xC4923A9C, 0x483DF7A0]
