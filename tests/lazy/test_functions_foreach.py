"""Functions of lists of tensors: each tensor's result is NumPy's."""

import numpy as np
import pytest
import scipy.special

import lazyxla as lx
from tests import tolerances

A = [np.array([0.2, 0.7, 0.4]), np.array([[0.3, 0.6], [0.8, 0.1]]), np.array(0.5)]
B = [np.array([0.9, 0.1, 0.5]), np.array([[0.2, 0.7], [0.3, 0.6]]), np.array(0.25)]
C = [np.array([0.5, 0.5, 0.1]), np.array([[0.9, 0.4], [0.7, 0.2]]), np.array(2.0)]
UNARY = {
    name: getattr(np, {"acos": "arccos", "asin": "arcsin", "atan": "arctan", "neg": "negative"}.get(name, name))
    for name in (
        "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "exp", "expm1", "floor", "log", "log10", "log1p", "log2",
        "neg", "reciprocal", "round", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
    )
} | {
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "lgamma": scipy.special.gammaln, "sigmoid": scipy.special.expit,
    "rsqrt": lambda x: 1 / np.sqrt(x), "frac": lambda x: x - np.trunc(x),
}  # fmt: skip
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "maximum": np.maximum,
    "minimum": np.minimum, "clamp_min": np.maximum, "clamp_max": np.minimum,
}  # fmt: skip


def tensors(arrays):
    return [lx.tensor(a) for a in arrays]


def check(name, wanted, *rest, **options):
    """Both forms: the one that gives a tuple, and the one that changes the tensors of the list."""
    given = tensors(A)
    got = getattr(lx, f"_foreach_{name}")(given, *rest, **options)
    assert isinstance(got, tuple)
    tolerances.compare({name: (got, tuple(wanted)), "given": (tuple(given), tuple(A))}, 10)
    views = [t.view(t.shape) for t in given]
    assert getattr(lx, f"_foreach_{name}_")(views, *rest, **options) is views
    tolerances.compare({name + "_": (tuple(given), tuple(wanted))}, 10)


@pytest.mark.parametrize("name", UNARY)
def test_of_one_list(name):
    check(name, [UNARY[name](a) for a in A])


@pytest.mark.parametrize("name", BINARY)
def test_of_two_operands(name):
    f = BINARY[name]
    check(name, [f(a, b) for a, b in zip(A, B)], tensors(B))
    check(name, [f(a, 0.5) for a in A], 0.5)
    check(name, [f(a, s) for a, s in zip(A, (0.5, 1, 2))], [0.5, 1, 2])
    check(name, [f(a, 0.5) for a in A], lx.tensor(0.5, dtype=lx.float64))


def test_multiples_that_are_added():
    check("add", [a + 3 * b for a, b in zip(A, B)], tensors(B), alpha=3)
    check("sub", [a - 3 * b for a, b in zip(A, B)], tensors(B), alpha=3)
    lists = tensors(B), tensors(C)
    for values in (1, 0.5, [0.5, 1.0, 2.0]):
        each = values if isinstance(values, list) else [values] * 3
        check("addcmul", [a + v * b * c for a, b, c, v in zip(A, B, C, each)], *lists, values)
        check("addcdiv", [a + v * b / c for a, b, c, v in zip(A, B, C, each)], *lists, values)
    wanted = [a + v * b * c for a, b, c, v in zip(A, B, C, (1, 2, 3))]
    check("addcmul", wanted, *lists, lx.tensor([1.0, 2.0, 3.0]).double())
    for weight in (0.3, [0.1, 0.2, 0.3]):
        each = weight if isinstance(weight, list) else [weight] * 3
        check("lerp", [a + w * (b - a) for a, b, w in zip(A, B, each)], lists[0], weight)
    check("lerp", [a + c * (b - a) for a, b, c in zip(A, B, C)], *lists)


def test_norms_copies_and_powers_of_a_number():
    given = tensors(A)
    results = {
        "norm": (lx._foreach_norm(given), tuple(np.sqrt((a * a).sum()) for a in A)),
        "norm 1": (lx._foreach_norm(given, 1), tuple(np.abs(a).sum() for a in A)),
        "max": (lx._foreach_max(given), tuple(a.max() for a in A)),
        "pow": (lx._foreach_pow(2.0, given), tuple(2.0**a for a in A)),
        "clone": (lx._foreach_clone(given), tuple(A)),
        "copy_": (tuple(lx._foreach_copy_(given, tensors(B))), tuple(B)),
        "zero_": (tuple(lx._foreach_zero_(tensors(A))), tuple(0 * a for a in A)),
    }
    tolerances.compare(results, 10)


def test_gradients_go_through():
    x = lx.tensor(A[0], requires_grad=True)
    sum(lx._foreach_mul([x, x * 2], [3.0, x])).sum().backward()  # 3x + 2x²
    tolerances.compare({"grad": (x.grad, 3 + 4 * A[0])}, 10)


def test_lists_that_do_not_fit():
    a = tensors(A)
    with pytest.raises(RuntimeError, match="Tensor list must have at least one tensor"):
        lx._foreach_sqrt([])
    with pytest.raises(RuntimeError, match="Tensor lists must have the same number of tensors, got 3 and 1"):
        lx._foreach_add_(a, a[:1])
    with pytest.raises(RuntimeError, match="must have same number of elements as scalar list"):
        lx._foreach_mul(a, [1.0])
    with pytest.raises(RuntimeError, match="expected to be 0 dim but it has 1 dimensions and 3 elements"):
        lx._foreach_mul(a, a[0])
    with pytest.raises(TypeError, match="must be tuple of Tensors, not Tensor"):
        lx._foreach_abs(a[0])
    with pytest.raises(TypeError, match=r"_foreach_add\(\): takes a second operand"):
        lx._foreach_add(a)
