"""Jacobians, Hessians and products with them, Variable and once_differentiable."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla import autograd
from lazyxla.autograd import functional
from tests import tolerances

A = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
X, V, W = np.array([0.3, -1.0, 2.0]), np.array([1.0, 2.0, 0.5]), np.array([-1.0, 4.0])
a, x, v, w = (lx.tensor(t) for t in (A, X, V, W))


def wavy(t):
    """Two numbers of three: sin(A t)."""
    return lx.sin(a @ t)


def cubic(t):
    """One number of three, with the Hessian diag(6 t) + 1 beside the diagonal."""
    return (t**3).sum() + t[0] * t[1] + t[1] * t[2] + t[0] * t[2]


JACOBIAN = np.cos(A @ X)[:, None] * A
HESSIAN = np.diag(6 * X) + 1 - np.eye(3)
GRADIENT = 3 * X**2 + X.sum() - X


def test_functional():
    tolerances.compare(
        {
            "jacobian": (functional.jacobian(wavy, x), JACOBIAN), "hessian": (functional.hessian(cubic, x), HESSIAN),
            "vjp": (functional.vjp(wavy, x, w), (np.sin(A @ X), W @ JACOBIAN)),
            "jvp": (functional.jvp(wavy, x, v), (np.sin(A @ X), JACOBIAN @ V)),
            "vhp": (functional.vhp(cubic, x, v), (cubic(x).item(), V @ HESSIAN)),
            "hvp": (functional.hvp(cubic, x, v), (cubic(x).item(), HESSIAN @ V)),
            "number": (functional.vjp(cubic, x)[1], GRADIENT),
        },
        10,
    )  # fmt: skip


def test_several_inputs_and_outputs():
    y = lx.tensor([2.0, 3.0], dtype=lx.float64)

    def f(s, t):
        return s[:2] * t, t.sum()

    (ds, dt), (es, et) = functional.jacobian(f, (x, y))
    tolerances.compare({
        "ds": (ds, np.array([[2.0, 0, 0], [0, 3.0, 0]])), "dt": (dt, np.diag(X[:2])), "es": (es, np.zeros(3)),
        "et": (et, np.ones(2)),
    })  # fmt: skip
    (hss, hst), (hts, htt) = functional.hessian(lambda s, t: (s[:2] ** 2 * t).sum(), (x, y))
    tolerances.compare({
        "hss": (hss, np.diag([4.0, 6.0, 0.0])), "hst": (hst, np.array([[2 * X[0], 0], [0, 2 * X[1]], [0, 0]])),
        "hts": (hts, np.array([[2 * X[0], 0, 0], [0, 2 * X[1], 0]])), "htt": (htt, np.zeros((2, 2))),
    })  # fmt: skip
    assert not hss.requires_grad


def test_what_is_found_can_be_differentiated():
    t = lx.tensor(X, requires_grad=True)
    (g,) = autograd.grad(functional.jacobian(lambda u: u**3, t, create_graph=True).sum(), t)
    tolerances.compare({"g": (g, 6 * X)}, 10)
    (g,) = autograd.grad(functional.jvp(cubic, t, v, create_graph=True)[1], t)
    tolerances.compare({"g": (g, HESSIAN @ V)}, 10)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: functional.vjp(wavy, 3.0), TypeError, "inputs of vjp must be a Tensor .* element 0 is float"),
        (lambda: functional.vjp(lambda t: 3.0, x), TypeError, "outputs of the function given to vjp .* is float"),
        (lambda: functional.vjp(wavy, x), RuntimeError, "can only be None if the output"),
        (lambda: functional.jvp(wavy, x), RuntimeError, "can only be None if the input"),
        (lambda: functional.vjp(wavy, x, v), RuntimeError, "v has invalid size"),
        (lambda: functional.vjp(wavy, x, (w, w)), RuntimeError, "v has 2 tensors, expected 1"),
        (lambda: functional.hessian(wavy, x), RuntimeError, "should contain a single element"),
        (lambda: functional.jacobian(lambda t: a, x, strict=True), RuntimeError, "independent of input 0"),
        (lambda: autograd.Variable([1.0]), TypeError, "Variable data has to be a tensor, but got list"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_variable():
    t = autograd.Variable(x, requires_grad=True)
    assert t.requires_grad and t.is_leaf and isinstance(t, autograd.Variable) and not isinstance(3, autograd.Variable)
    assert not x.requires_grad


def test_once_differentiable():
    class Square(autograd.Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t)
            return t * t

        @staticmethod
        @autograd.function.once_differentiable
        def backward(ctx, g):
            (t,) = ctx.saved_tensors
            return 2 * g * t

    t = lx.tensor(X, requires_grad=True)
    (g,) = autograd.grad(Square.apply(t).sum(), t)
    tolerances.compare({"g": (g, 2 * X)})
    y = Square.apply(t * 1)
    (g,) = autograd.grad((y * y).sum(), t, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        autograd.grad(g.sum(), t)


def test_grad_through_a_function_of_the_users():
    class Both(autograd.Function):
        @staticmethod
        def forward(ctx, s, t):
            return s + t, s - t

        @staticmethod
        def backward(ctx, g, h):
            return g + h, g - h

    s, t = (lx.tensor(X, requires_grad=True) for _ in (0, 1))
    p, q = Both.apply(s, t)
    found = autograd.grad(p.sum() + 3 * q.sum(), (s, t))
    assert [g.tolist() for g in found] == [[4.0] * 3, [-2.0] * 3]
