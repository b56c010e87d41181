"""Functions of lists of tensors against NumPy, tensor by tensor."""

import math

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy.functions.lists import _NAMES

RNG = np.random.default_rng(0)
A = [RNG.uniform(0.1, 0.9, shape) for shape in ((2,), (3, 2), ())]
B = [RNG.uniform(1.1, 2.0, a.shape) for a in A]
C = [RNG.uniform(0.1, 0.5, a.shape) for a in A]
SPECIAL = {
    "neg": np.negative, "frac": lambda x: x - np.trunc(x), "rsqrt": lambda x: x**-0.5, "clone": np.copy,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "lgamma": np.vectorize(math.lgamma), "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc), "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan,
}  # fmt: skip
PAIRS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power, "clamp_min": np.maximum,
    "clamp_max": np.minimum, "maximum": np.maximum, "minimum": np.minimum,
}  # fmt: skip


def tensors(arrays):
    return [lx.tensor(a) for a in arrays]


def check(found, expected):
    assert len(found) == len(expected)
    for f, e in zip(found, expected):
        assert f.dtype == lx.float64 and tuple(f.shape) == np.shape(e)
        np.testing.assert_allclose(f.numpy(), e, rtol=1e-7)


@pytest.mark.parametrize("name", [n for n, operands in _NAMES.items() if operands == 0])
def test_functions_of_one_list(name):
    f = SPECIAL.get(name) or getattr(np, name)
    expected = [f(a) for a in A]
    found = getattr(lx, f"_foreach_{name}")(tensors(A))
    assert type(found) is tuple
    check(found, expected)
    if name != "clone":
        changed = tensors(A)
        assert getattr(lx, f"_foreach_{name}_")(changed) is None
        check(changed, expected)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("other", ["tensors", "number", "numbers", "0-d tensor"])
def test_functions_of_a_list_and_what_goes_with_it(name, other):
    given = {"tensors": B, "number": 1.5, "numbers": [1.5, 2.0, 3.0], "0-d tensor": np.array(1.5)}[other]
    values = given if isinstance(given, list) else [given] * len(A)
    expected = [PAIRS[name](a, v) for a, v in zip(A, values)]
    ours = {"tensors": tensors(B), "0-d tensor": lx.tensor(np.array(1.5))}.get(other, given)
    check(getattr(lx, f"_foreach_{name}")(tensors(A), ours), expected)
    changed = tensors(A)
    getattr(lx, f"_foreach_{name}_")(changed, ours)
    check(changed, expected)


def test_what_is_added_can_be_scaled():
    check(lx._foreach_add(tensors(A), tensors(B), alpha=3), [a + 3 * b for a, b in zip(A, B)])
    check(lx._foreach_sub(tensors(A), tensors(B), alpha=3), [a - 3 * b for a, b in zip(A, B)])


@pytest.mark.parametrize("value", [2.0, [2.0, 3.0, 4.0], "tensor"])
def test_products_and_quotients_are_added(value):
    numbers = value if isinstance(value, list) else [2.0, 3.0, 4.0] if value == "tensor" else [value] * 3
    ours = lx.tensor(numbers) if value == "tensor" else value
    check(
        lx._foreach_addcmul(tensors(A), tensors(B), tensors(C), ours),
        [a + v * b * c for a, b, c, v in zip(A, B, C, numbers)],
    )
    changed = tensors(A)
    lx._foreach_addcdiv_(changed, tensors(B), tensors(C), value=ours)
    check(changed, [a + v * b / c for a, b, c, v in zip(A, B, C, numbers)])


@pytest.mark.parametrize("weight", [0.25, [0.25, 0.5, 0.75], C])
def test_lerp(weight):
    weights = weight if isinstance(weight, list) else [weight] * 3
    ours = tensors(weight) if weight is C else weight
    check(lx._foreach_lerp(tensors(A), tensors(B), ours), [a + w * (b - a) for a, b, w in zip(A, B, weights)])


def test_the_others():
    check(lx._foreach_pow(2.0, tensors(A)), [2.0**a for a in A])
    check(lx._foreach_norm(tensors(A), 1), [np.abs(a).sum() for a in A])
    check(lx._foreach_norm(tensors(A)), [np.sqrt((a * a).sum()) for a in A])
    check(lx._foreach_max(tensors(A)), [a.max() for a in A])
    check(lx._foreach_mm([lx.tensor(A[1])], [lx.tensor(A[1].T)]), [A[1] @ A[1].T])
    changed = tensors(A)
    lx._foreach_copy_(changed, tensors(B))
    check(changed, B)
    lx._foreach_zero_(changed)
    check(changed, [a * 0 for a in A])


def test_gradients_pass():
    a = [t.requires_grad_() for t in tensors(A)]
    sum(t.sum() for t in lx._foreach_mul(a, a)).backward()
    check([t.grad for t in a], [2 * x for x in A])


def test_an_optimizer_written_with_lists_is_followed_and_never_compiled_again():
    def run(in_lists):
        lx.manual_seed(0)
        model = lx.nn.Sequential(lx.nn.Linear(3, 4), lx.nn.Tanh(), lx.nn.Linear(4, 1))
        params = list(model.parameters())
        state = [lx.zeros_like(p) for p in params]
        x = lx.randn(8, 3)
        losses = []
        for i in range(8):
            loss = model(x).square().mean()
            grads = lx.autograd.grad(loss, params)
            with lx.no_grad():
                rate = 0.1 / (1 + i)
                if in_lists:
                    lx._foreach_lerp_(state, grads, 0.1)
                    lx._foreach_add_(params, state, alpha=-rate)
                else:
                    for p, s, g in zip(params, state, grads):
                        s.lerp_(g, 0.1)
                        p.add_(s, alpha=-rate)
            losses.append(loss.item())
            if i == 3:
                lx.metrics.reset()
        assert lx.metrics.report(as_dict=True)["compiles"] == 0
        return losses

    np.testing.assert_allclose(run(True), run(False), rtol=1e-6)


def test_what_does_not_fit_is_refused():
    a = tensors(A)
    with pytest.raises(RuntimeError, match=r"at least one tensor.*test_lists.py"):
        lx._foreach_add([], 1)
    with pytest.raises(RuntimeError, match="same number of tensors, got 3 and 1"):
        lx._foreach_add(a, a[:1])
    with pytest.raises(RuntimeError, match="same number of elements as scalar list"):
        lx._foreach_mul(a, [1.0])
    with pytest.raises(RuntimeError, match="0 dim but it has 1 dimensions and 2 elements"):
        lx._foreach_mul(a, a[0])
    with pytest.raises(TypeError, match="must be tuple of Tensors, not Tensor"):
        lx._foreach_abs(a[0])
    with pytest.raises(TypeError, match="expected Tensor as element 1 in argument 0, but got int"):
        lx._foreach_abs([a[0], 1])
    with pytest.raises(TypeError, match="2 operand"):
        lx._foreach_addcmul(a, a)
