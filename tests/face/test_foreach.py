"""``_foreach_*``: functions over lists of tensors, against NumPy tensor by tensor."""

import math

import numpy as np
import pytest

import lazyxla as lx

A = [np.array([[0.3, 0.7, 0.2], [0.9, 0.4, 0.6]], np.float32), np.array([0.5, 0.8, 0.1, 0.35], np.float32)]
B = [a * 2 + 0.1 for a in A]
UNARY = {
    "abs": np.abs, "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh,
    "erf": np.vectorize(math.erf), "erfc": np.vectorize(math.erfc), "exp": np.exp, "expm1": np.expm1, "floor": np.floor,
    "frac": lambda x: x - np.trunc(x), "lgamma": np.vectorize(math.lgamma), "log": np.log, "log10": np.log10,
    "log1p": np.log1p, "log2": np.log2, "neg": np.negative, "reciprocal": np.reciprocal, "round": np.round,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "sign": np.sign, "sin": np.sin,
    "sinh": np.sinh, "sqrt": np.sqrt, "tan": np.tan, "tanh": np.tanh, "trunc": np.trunc,
}  # fmt: skip
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "maximum": np.maximum, "minimum": np.minimum,
    "clamp_min": np.maximum, "clamp_max": np.minimum, "pow": np.power,
}  # fmt: skip


def tensors(arrays):
    return [lx.tensor(a.copy()) for a in arrays]


def check(found, expected):
    assert len(found) == len(expected)
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f.numpy(), e, rtol=2e-5, atol=1e-6)


def both_forms(name, args, expected, **options):
    """The function, and the one that writes in place and gives the same list."""
    check(getattr(lx, f"_foreach_{name}")(tensors(A), *args, **options), expected)
    mine = tensors(A)
    getattr(lx, f"_foreach_{name}_")(mine, *args, **options)
    check(mine, expected)


@pytest.mark.parametrize("name", UNARY)
def test_of_one_list(name):
    both_forms(name, (), [UNARY[name](a) for a in A])


@pytest.mark.parametrize("name", BINARY)
def test_of_two_lists_or_numbers(name):
    f = BINARY[name]
    both_forms(name, (tensors(B),), [f(a, b) for a, b in zip(A, B)])
    both_forms(name, (0.5,), [f(a, np.float32(0.5)) for a in A])
    both_forms(name, ([0.5, 2.0],), [f(a, np.float32(s)) for a, s in zip(A, (0.5, 2.0))])


def test_forms_of_some():
    both_forms("add", (tensors(B),), [a + 3 * b for a, b in zip(A, B)], alpha=3)
    both_forms("mul", (lx.tensor(2.0),), [a * 2 for a in A])
    check(lx._foreach_pow(2.0, tensors(A)), [2**a for a in A])
    for name, f in (("addcmul", np.multiply), ("addcdiv", np.divide)):
        each = [0.5, 2.0]
        for values, given in (((1, 1), ()), ((0.5, 0.5), (0.5,)), (each, (each,)), (each, (lx.tensor(each),))):
            both_forms(name, (tensors(B), tensors(A), *given), [a + v * f(b, a) for a, b, v in zip(A, B, values)])
    both_forms("lerp", (tensors(B), 0.3), [a + 0.3 * (b - a) for a, b in zip(A, B)])
    both_forms("lerp", (tensors(B), tensors(A)), [a + a * (b - a) for a, b in zip(A, B)])
    both_forms("lerp", (tensors(B), [0.1, 0.9]), [a + w * (b - a) for a, b, w in zip(A, B, (0.1, 0.9))])


def test_copies_norms_and_zeros():
    check(lx._foreach_norm(tensors(A)), [np.sqrt((a * a).sum()) for a in A])
    check(lx._foreach_norm(tensors(A), 1), [a.sum() for a in A])
    check(lx._foreach_max(tensors(A)), [a.max() for a in A])
    mine, copies = tensors(A), lx._foreach_clone(tensors(A))
    lx._foreach_copy_(mine, tensors(B))
    check(mine, B)
    lx._foreach_zero_(mine)
    check(mine, [np.zeros_like(a) for a in A])
    check(copies, A)


def test_lists_that_do_not_fit():
    with pytest.raises(RuntimeError, match="must have the same number of tensors, got 2 and 1"):
        lx._foreach_add(tensors(A), tensors(B[:1]))
    with pytest.raises(RuntimeError, match="same number of elements as scalar list"):
        lx._foreach_mul(tensors(A), [1.0])
    with pytest.raises(RuntimeError, match="at least one tensor"):
        lx._foreach_neg_([])


def test_a_gradient_goes_through():
    x = lx.tensor(A[0], requires_grad=True)
    sum(t.sum() for t in lx._foreach_mul([x, x], [2.0, 3.0])).backward()
    assert np.allclose(x.grad.numpy(), 5)
