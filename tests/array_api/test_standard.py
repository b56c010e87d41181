"""``lazyxla.array_api`` against NumPy: the standard's types, shapes, values and signatures."""

import inspect
import itertools
import math

import numpy as np
import pytest

import lazyxla as lx
import lazyxla.array_api as xp

INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64", "complex64", "complex128")
A = np.array([[3.0, -1.0, 2.5], [0.5, -2.0, 1.0]], np.float32)
I = np.array([[3, 1, 2], [5, 2, 1]], np.int32)
SQUARE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])


def arrays(value):
    if isinstance(value, np.ndarray):
        return xp.asarray(value)
    return [arrays(v) for v in value] if isinstance(value, list) else value


def check(found, expected):
    if isinstance(expected, tuple):
        for f, e in zip(found, expected, strict=True):
            check(f, e)
        return
    assert type(found) is xp.Array
    expected = np.asarray(expected)
    assert found.dtype.name == expected.dtype.name and tuple(found.shape) == expected.shape
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)


# name -> what the standard's function is given, and NumPy's answer
CASES = {
    "sum of small integers": (lambda x: x.sum(arrays(I.astype("uint8")), axis=1), lambda: I.astype("uint8").sum(1, dtype="uint64")),
    "sum over no axes": (lambda x: x.sum(arrays(A), axis=()), lambda: A),
    "prod": (lambda x: x.prod(arrays(I), axis=(0, 1), keepdims=True), lambda: np.prod(I, (0, 1), keepdims=True, dtype="int64")),
    "mean": (lambda x: x.mean(arrays(A), axis=-1), lambda: A.mean(-1)),
    "var": (lambda x: x.var(arrays(A), correction=1.0, keepdims=True), lambda: A.var(ddof=1, keepdims=True)),
    "max": (lambda x: x.max(arrays(A), axis=(0, 1)), lambda: A.max()),
    "any": (lambda x: x.any(arrays(I.astype("uint8")), axis=0), lambda: I.any(0)),
    "count_nonzero": (lambda x: x.count_nonzero(arrays(A), keepdims=True), lambda: np.full((1, 1), 6)),
    "cumulative_sum": (lambda x: x.cumulative_sum(arrays(A), axis=0, include_initial=True), lambda: np.concatenate([A[:1] * 0, A.cumsum(0)])),
    "cumulative_prod": (lambda x: x.cumulative_prod(arrays(I), axis=1), lambda: I.cumprod(1, dtype="int64")),
    "diff by place": (lambda x: x.diff(arrays(A), 1, 0), lambda: np.diff(A, 1, 0)),
    "argmax": (lambda x: x.argmax(arrays(A), axis=1, keepdims=True), lambda: A.argmax(1, keepdims=True)),
    "argsort": (lambda x: x.argsort(arrays(np.array([1, 2, 1, 2])), descending=True), lambda: np.array([1, 3, 0, 2])),
    "searchsorted": (lambda x: x.searchsorted(arrays(np.array([1, 3, 5])), 3, side="right"), lambda: np.int64(2)),
    "unique_all": (lambda x: tuple(x.unique_all(arrays(I))), lambda: tuple(np.unique(I, True, True, True))),
    "isin": (lambda x: x.isin(arrays(I), arrays(np.array([1, 5])), invert=True), lambda: ~np.isin(I, [1, 5])),
    "where with a number": (lambda x: x.where(arrays(A > 0), arrays(A), 1), lambda: np.where(A > 0, A, np.float32(1))),
    "nonzero": (lambda x: x.nonzero(arrays(I > 1)), lambda: np.nonzero(I > 1)),
    "expand_dims": (lambda x: x.expand_dims(arrays(A), axis=(0, -1)), lambda: A[None, :, :, None]),
    "permute_dims": (lambda x: x.permute_dims(arrays(A), (-1, 0)), lambda: A.T),
    "concat flat": (lambda x: x.concat([arrays(I), arrays(I.astype("int64"))], axis=None), lambda: np.concatenate([I.ravel(), I.ravel()], dtype="int64")),
    "repeat": (lambda x: x.repeat(arrays(A), arrays(np.array([1, 0, 2])), axis=1), lambda: np.repeat(A, [1, 0, 2], 1)),
    "repeat of nothing": (lambda x: x.repeat(arrays(A[:0]), arrays(np.zeros(0, np.int8)), axis=0), lambda: A[:0]),
    "take_along_axis": (lambda x: x.take_along_axis(arrays(A), arrays(np.array([[0], [-1]]))), lambda: np.take_along_axis(A, np.array([[0], [-1]]), 1)),
    "roll": (lambda x: x.roll(arrays(A), 1, axis=(0, 1)), lambda: np.roll(A, (1, 1), (0, 1))),
    "tile": (lambda x: x.tile(arrays(A), (2, 1, 2)), lambda: np.tile(A, (2, 1, 2))),
    "arange down": (lambda x: x.arange(5, 0, -2), lambda: np.array([5, 3, 1])),
    "arange of nothing": (lambda x: x.arange(5, 0), lambda: np.zeros(0, "int64")),
    "linspace": (lambda x: x.linspace(0, 1, 4, endpoint=False), lambda: np.linspace(0, 1, 4, endpoint=False, dtype="float32")),
    "eye": (lambda x: x.eye(2, 3, k=1, dtype=x.int16), lambda: np.eye(2, 3, 1, "int16")),
    "full of a list's shape": (lambda x: x.full([2, 1], arrays(np.array(2.5))), lambda: np.full([2, 1], 2.5)),
    "clip": (lambda x: x.clip(arrays(I.astype("uint8")), -5, 300), lambda: I.astype("uint8")),
    "matmul of two types": (lambda x: x.matmul(arrays(I), arrays(I.T.astype("int64"))), lambda: I @ I.T.astype("int64")),
    "vecdot": (lambda x: x.vecdot(arrays(A * 1j), arrays(A)), lambda: (np.conj(A * 1j) * A).sum(-1)),
    "solve a vector": (lambda x: x.linalg.solve(arrays(SQUARE), arrays(SQUARE[0])), lambda: np.linalg.solve(SQUARE, SQUARE[0])),
    "solve a batch": (lambda x: x.linalg.solve(arrays(SQUARE), arrays(SQUARE[None, :2].mT.copy())), lambda: np.linalg.solve(SQUARE, SQUARE[None, :2].mT)),
    "trace": (lambda x: x.linalg.trace(arrays(I), offset=1), lambda: np.trace(I, 1, dtype="int64")),
    "vector_norm": (lambda x: x.linalg.vector_norm(arrays(A), axis=(0, 1), keepdims=True, ord=3), lambda: np.linalg.vector_norm(A, axis=(0, 1), keepdims=True, ord=3)),
    "eigvalsh": (lambda x: x.linalg.eigvalsh(arrays(SQUARE)), lambda: np.linalg.eigvalsh(SQUARE)),
    "fftn": (lambda x: x.fft.fftn(arrays(A), axes=(0,), norm="ortho"), lambda: np.fft.fftn(A, axes=(0,), norm="ortho")),
    "rfftfreq": (lambda x: x.fft.rfftfreq(5, d=0.5), lambda: np.fft.rfftfreq(5, 0.5).astype("float32")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    ours, theirs = CASES[name]
    check(ours(xp), theirs())


@pytest.mark.parametrize("kinds", [INTS, FLOATS], ids=["integers", "floats"])
def test_types_promote_whatever_the_number_of_axes(kinds):
    for a, b in itertools.product(kinds, kinds):
        x, y = xp.asarray(np.array(1, a)), xp.asarray(np.ones(2, b))
        expected = np.result_type(np.dtype(a), np.dtype(b))
        if expected.kind == "f" and kinds is INTS:
            with pytest.raises(TypeError, match="have no common integer type"):
                x + y
            continue
        assert (x + y).dtype.name == xp.result_type(x, y).name == expected.name
        assert (x * y).dtype is (y - x).dtype is xp.maximum(x, y).dtype if kinds is INTS else True
    assert (xp.asarray([1], dtype=xp.int8) + 1).dtype is xp.int8 and (1j * xp.ones(1)).dtype is xp.complex64
    assert (lx.ones(2) + lx.tensor(1.0, dtype=lx.float64)).dtype is lx.float32  # tensors promote as PyTorch's


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "pow", "atan2", "hypot", "copysign", "nextafter", "logaddexp"])
def test_special_values_of_two(name):
    """NumPy's and C's, signs of zeros too; but floor division by or of an infinite number is the quotient rounded down."""
    a, b = (np.array(v) for v in zip(*itertools.product(SPECIAL, SPECIAL), strict=True))
    with np.errstate(all="ignore"):
        expected = getattr(np, {"pow": "power", "atan2": "arctan2"}.get(name, name))(a, b)
        if name == "floor_divide":
            expected = np.where(np.isinf(a) != np.isinf(b), a / b, expected)
    found = np.asarray(getattr(xp, name)(xp.asarray(a), xp.asarray(b)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.array_equal(np.signbit(found) & (found == 0), np.signbit(expected) & (expected == 0))


def test_a_power_of_minus_a_half_at_its_edges():
    """PyTorch's is ``rsqrt``, of another sign at -0.0 and NaN at -inf."""
    edges = [0.0, -0.0, math.inf, -math.inf, 4.0]
    assert (xp.asarray(edges) ** -0.5).tolist() == [math.inf, math.inf, 0.0, 0.0, 0.5]


def test_tangents_at_infinity_keep_the_sign_of_the_imaginary_part():
    z = np.array([complex(a, b) for a in (math.inf, -math.inf) for b in (2.0, -2.0, 0.5, -0.5)])
    found = np.asarray(xp.tanh(xp.asarray(z)))
    assert np.array_equal(found, np.sign(z.real)) and np.array_equal(np.signbit(found.imag), np.signbit(z.imag))
    turned = np.array([complex(v.imag, v.real) for v in z])
    found = np.asarray(xp.tan(xp.asarray(turned)))
    assert np.array_equal(found.imag, np.sign(z.real)) and np.array_equal(np.signbit(found.real), np.signbit(z.imag))
    small = np.array([0.5 + 2j, -1 - 0.25j])
    np.testing.assert_allclose(np.asarray(xp.tanh(xp.asarray(small))), np.tanh(small))
    np.testing.assert_allclose(np.asarray(xp.tan(xp.asarray(small))), np.tan(small))


def test_cross_broadcasts_over_the_other_axes():
    a, b = np.arange(12.0).reshape(3, 4, 1), np.arange(3.0).reshape(3, 1, 1) + 1
    found = xp.linalg.cross(xp.asarray(a), xp.asarray(b), axis=-3)
    np.testing.assert_allclose(np.asarray(found), np.cross(a, np.broadcast_to(b, a.shape), axis=0))
    found = xp.linalg.cross(xp.ones((2, 3)), xp.asarray([1.0, 2.0, 3.0]))
    assert found.tolist() == [[1.0, -2.0, 1.0]] * 2
    with pytest.raises(IndexError, match=r"cross\(\): axis -2 is out of bounds for an array of 1 axes"):
        xp.linalg.cross(xp.ones((2, 3)), xp.ones(3), axis=-2)


def test_masks_with_an_empty_axis_fit_any():
    x, b = xp.ones((2, 3)), np.ones((2, 3))
    for shape in [(0,), (2, 0), (0, 3)]:
        mask = np.zeros(shape, bool)
        assert tuple(x[xp.asarray(mask)].shape) == b[mask].shape
        x[xp.asarray(mask)] = 5.0
    assert x.tolist() == b.tolist()
    with pytest.raises(IndexError, match="does not match the shape"):
        x[xp.asarray(np.zeros((1, 0), bool))]


@pytest.mark.parametrize("version", [(0, 5), (0, 0), (1, 0), (2, 0), None])
def test_dlpack_for_consumers_of_any_version(version):
    for x in (xp.asarray(A), xp.asarray(A) * 2 + 1):
        assert "dltensor" in repr(x.__dlpack__(max_version=version))


def test_indexing():
    b = np.arange(60).reshape(4, 5, 3)
    x = xp.asarray(b)
    rows, on = np.array([1, 0, 3]), np.array(True)
    for key in [
        (slice(None, None, -2), 1), (Ellipsis, slice(2, None, -1)), (slice(9, 1, -3), None), (rows, slice(None, None, -1)),
        (rows.astype("uint8"), Ellipsis), (Ellipsis, rows[:2]), (b % 2 == 0,), (on,), (slice(3, 3, -1),), (rows, Ellipsis, rows - 1),
    ]:  # fmt: skip
        found = x[tuple(xp.asarray(k) if isinstance(k, np.ndarray) else k for k in key)]
        assert type(found) is xp.Array and np.array_equal(np.asarray(found), b[key]), key
    x[::-2, 1] = xp.asarray([[0, 1, 2], [3, 4, 5]])
    b[::-2, 1] = [[0, 1, 2], [3, 4, 5]]
    assert np.array_equal(np.asarray(x), b)


def test_operators_keep_or_refuse_in_place():
    x = xp.asarray([1, 2], dtype=xp.int32)
    y = x
    y += xp.asarray(1, dtype=xp.int8)
    assert y is x and x.dtype is xp.int32 and x.tolist() == [2, 3]
    with pytest.raises(TypeError, match=r"__iadd__: a result of int64 \(2,\) does not fit into int32 \(2,\)  \(test_standard.py"):
        x += xp.asarray([1, 2])
    with pytest.raises(OverflowError, match="300 is out of bounds for uint8"):
        xp.asarray([1], dtype=xp.uint8) + 300
    small = xp.asarray([1, 7], dtype=xp.uint8)
    assert (small < 300).tolist() == [True, True] and xp.less(300, small).tolist() == [False, False]
    for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):  # the number may come first
        found = getattr(xp, name)(7, small)
        assert type(found) is xp.Array and found.tolist() == getattr(np, name)(7, [1, 7]).tolist()
    for value, dtype in ((300, xp.int8), ([1, -1], xp.uint8), ([1, 1 << 64], xp.int64), (1 << 64, None)):
        with pytest.raises(OverflowError, match=r"asarray\(\): .*(out of bounds|too large).*test_standard.py"):
            xp.asarray(value, dtype=dtype)
    for shape in ((2,), (), (3, 1)):
        with pytest.raises(ValueError, match=r"test_standard.py"):
            xp.broadcast_to(xp.ones(3), shape)
    with pytest.raises(TypeError, match="would drop the imaginary part"):
        xp.astype(xp.asarray([1j]), xp.float32)


def test_a_plain_tensor_stays_one_and_gradients_flow():
    t = lx.tensor([1.0, 2.0], requires_grad=True)
    y = xp.sum(xp.multiply(t, t))
    assert type(y) is lx.Tensor and t.__array_namespace__(api_version="2024.12") is xp
    y.backward()
    assert t.grad.tolist() == [2.0, 4.0]
    a = xp.ones(2)
    assert type(t.detach() + a) is type(xp.add(t.detach(), a)) is xp.Array
    assert (a.size, a.size(), a.size(0)) == (2, lx.Size([2]), 2) and a.to_device("cpu") is a
    with pytest.raises(ValueError, match=r"version '2019.1' of the array API"):
        t.__array_namespace__(api_version="2019.1")


def test_information():
    info = xp.__array_namespace_info__()
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {"bool", "uint8", "uint16", "uint32", "uint64"}
    assert info.default_dtypes()["real floating"] is lx.get_default_dtype() and info.default_device() in info.devices()
    assert xp.finfo(xp.complex64).dtype is xp.float32 and xp.iinfo(xp.asarray([1])).bits == 64
    assert xp.can_cast(xp.int8, xp.int16) and not xp.can_cast(xp.int8, xp.float32) and xp.isdtype(xp.int8, "integral")
    assert np.array_equal(np.from_dlpack(xp.asarray(A)), A) and xp.__array_api_version__ == "2025.12"


KEYWORDS_TOO = ("broadcast_shapes", "empty", "full", "isdtype", "ones", "zeros")  # by place or by name, in the standard


def test_the_first_arguments_are_by_place_and_options_by_name():
    for module in (xp, xp.linalg, xp.fft):
        for name in module.__all__:
            f = getattr(module, name)
            if not inspect.isfunction(f) or name.startswith("_") or name in KEYWORDS_TOO:
                continue
            kinds = [p.kind for p in inspect.signature(f).parameters.values()]
            if f.__module__.startswith("lazyxla.array_api") and name != "result_type":
                assert kinds[0] in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL), name
