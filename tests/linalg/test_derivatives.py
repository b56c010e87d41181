"""Derivatives of linalg: finite differences of first and second order, and the corners where rules go wrong."""

import math

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import gradcheck, gradgradcheck
from tests.tolerances import assert_close

LA = lx.linalg


def numbers(*shape, seed=0, complex=False):
    rng = np.random.default_rng(seed + sum(shape))
    x = rng.standard_normal(shape)
    return lx.tensor(x + 1j * rng.standard_normal(shape) if complex else x, requires_grad=True)


def positive(x):
    return x @ x.mT.conj() + 4 * lx.eye(x.shape[-1], dtype=x.dtype)


def hermitian(x):
    """Functions that read one triangle have a Hermitian gradient: right in all directions that keep it Hermitian."""
    return x + x.mT.conj()


def values_and_projections(x):
    w, v = LA.eigh(hermitian(x))
    return w, (v * (w**3).unsqueeze(-2)) @ v.mT.conj()


def of_svd(full):
    def f(x):
        U, S, Vh = LA.svd(x, full_matrices=full)
        k = S.shape[-1]
        U, Vh = U[..., :k], Vh[..., :k, :]
        return S, (U * S.unsqueeze(-2) ** 2) @ U.mT.conj(), U @ Vh

    return f


def of_eig(x):
    w, v = LA.eig(x)
    return (v * (w**3).unsqueeze(-2)) @ LA.inv(v), (v.abs() ** 4).sum()


def reflections(x):
    return LA.householder_product(x, x.diagonal(0, -2, -1) * 0.3)


SQUARE, TALL, WIDE = (2, 3, 3), (4, 3), (3, 4)
#: name -> function, shapes of its operands
FUNCTIONS = {
    "det": (LA.det, SQUARE), "slogdet": (lambda x: tuple(LA.slogdet(x)), SQUARE), "inv": (LA.inv, SQUARE),
    "logdet": (lambda x: lx.logdet(positive(x)), SQUARE),
    "solve": (LA.solve, SQUARE, (3, 2)), "solve_right": (lambda a, b: LA.solve(a, b, left=False), (3, 3), (2, 3)),
    "solve_triangular": (lambda a, b: LA.solve_triangular(a, b, upper=True), SQUARE, (3, 2)),
    "unitriangular": (lambda a, b: LA.solve_triangular(a, b, upper=False, left=False, unitriangular=True), (3, 3), (2, 3)),
    "cholesky": (lambda x: LA.cholesky(positive(x)), SQUARE),
    "cholesky_upper": (lambda x: LA.cholesky(hermitian(x) + 9 * lx.eye(3), upper=True), (3, 3)),
    "cholesky_solve": (lambda b, x: lx.cholesky_solve(b, LA.cholesky(positive(x))), (3, 2), SQUARE),
    "lu": (lambda x: LA.lu(x)[1:], SQUARE), "lu_tall": (lambda x: LA.lu(x)[1:], TALL),
    "lu_wide": (lambda x: LA.lu(x)[1:], WIDE),
    "lu_solve": (lambda a, b: LA.lu_solve(*LA.lu_factor(a), b), SQUARE, (3, 2)),
    "qr": (lambda x: tuple(LA.qr(x)), TALL), "qr_wide": (lambda x: tuple(LA.qr(x)), WIDE),
    "householder_product": (reflections, TALL),
    "eigh": (values_and_projections, SQUARE), "eigvalsh": (lambda x: LA.eigvalsh(hermitian(x), "U"), SQUARE),
    "eig": (of_eig, SQUARE), "eigvals": (lambda x: (LA.eigvals(x) ** 3).sum(-1), SQUARE),
    "svd": (of_svd(False), TALL), "svd_wide": (of_svd(False), WIDE), "full_svd": (of_svd(True), TALL),
    "full_svd_wide": (of_svd(True), WIDE), "svdvals": (LA.svdvals, SQUARE),
    "pinv": (LA.pinv, TALL), "pinv_wide": (LA.pinv, WIDE),
    "pinv_hermitian": (lambda x: LA.pinv(hermitian(x), hermitian=True), (3, 3)),
    "pinv_low_rank": (lambda x, y: LA.pinv(x @ y, rtol=1e-8), (4, 2), (2, 3)),
    "lstsq": (lambda a, b: LA.lstsq(a, b, driver="gels")[:2], TALL, (4, 2)),
    "lstsq_wide": (lambda a, b: LA.lstsq(a, b).solution, WIDE, (3, 2)),
    "lstsq_low_rank": (lambda x, y, b: LA.lstsq(x @ y, b, rcond=1e-8).solution, (4, 2), (2, 3), (4, 2)),
    "matrix_exp": (LA.matrix_exp, SQUARE), "matrix_power": (lambda x: LA.matrix_power(x, -3), SQUARE),
    "cond": (LA.cond, SQUARE), "nuclear": (lambda x: LA.matrix_norm(x, "nuc"), TALL),
    "frobenius": (LA.matrix_norm, TALL), "vector_norm": (lambda x: LA.vector_norm(x, 3.5, dim=0), TALL),
    "multi_dot": (lambda *x: LA.multi_dot(x), (3,), WIDE, (4, 2)), "tensorinv": (lambda x: LA.tensorinv(x, 1), (4, 2, 2)),
    "vander": (LA.vander, (2, 3)), "cross": (LA.cross, (2, 3), (2, 3)),
}  # fmt: skip
SECOND = ("inv", "solve", "cholesky", "lu", "qr", "eigh", "eig", "svd", "full_svd_wide", "pinv")
#: whose derivatives are JAX's or ours; the others are made of primitives
COMPLEX = (
    "det", "slogdet", "inv", "solve_right", "solve_triangular", "cholesky", "lu_tall", "lu_solve", "qr", "qr_wide",
    "householder_product", "eigh", "eig", "eigvals", "svd", "svd_wide", "full_svd", "full_svd_wide", "pinv", "pinv_hermitian",
    "matrix_exp", "nuclear",
)  # fmt: skip


def flat(f):
    def g(*args):
        out = f(*args)
        return tuple(out) if isinstance(out, (tuple, list)) else (out,)

    return g


def operands(name, complex):
    return [numbers(*s, seed=7 * k, complex=complex) for k, s in enumerate(FUNCTIONS[name][1:])]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_real(name):
    assert gradcheck(flat(FUNCTIONS[name][0]), operands(name, False), fast_mode=True)


@pytest.mark.parametrize("name", SECOND)
def test_second_order(name):
    assert gradgradcheck(flat(FUNCTIONS[name][0]), operands(name, False), fast_mode=True, rtol=3e-3)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name):
    assert gradcheck(flat(FUNCTIONS[name][0]), operands(name, True), fast_mode=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", SECOND)
def test_second_order_of_complex_numbers(name):
    assert gradgradcheck(flat(FUNCTIONS[name][0]), operands(name, True), fast_mode=True, rtol=3e-3)


def test_a_wrong_gradient_is_found():
    """Rules of our own in JAX are seen by the check: here with the wrong sign, and without a conjugate."""
    import jax

    @jax.custom_jvp
    def inverse(x):
        return jax.numpy.linalg.inv(x)

    @inverse.defjvp
    def rule(primals, tangents):
        y = inverse(primals[0])
        return y, y @ tangents[0] @ y

    with pytest.raises(lx.autograd.GradcheckError):
        gradcheck(lx.from_jax_function(inverse), [numbers(3, 3)], fast_mode=True)


@pytest.mark.parametrize("complex", [False, True])
def test_hermitian_gradients(complex):
    """Of the triangle that is read, a whole Hermitian gradient, as PyTorch's."""
    for f in (LA.eigvalsh, lambda x: LA.cholesky(x + 9 * lx.eye(3))):
        x = numbers(3, 3, complex=complex)
        (f(x).abs() ** 3).sum().backward()
        g = x.grad.numpy()
        assert_close(g, g.T.conj(), factor=10)
        assert np.abs(g[0, 1:]).min() > 0


def test_equal_eigenvalues_and_singular_values():
    """The values alone have a finite gradient there."""
    parts = (lambda x: LA.svd(x).S, lambda x: LA.eigh(x).eigenvalues, lambda x: LA.matrix_norm(x, "nuc"))
    for f in (LA.eigvalsh, LA.svdvals, *parts):
        x = lx.eye(3, dtype=lx.float64).requires_grad_()
        f(x).sum().backward()
        assert_close(x.grad.numpy(), np.eye(3), factor=10)


def test_a_determinant_of_zero():
    x = lx.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=lx.float64, requires_grad=True)
    LA.det(x).backward()
    assert_close(x.grad.numpy(), np.array([[4.0, -2.0], [-2.0, 1.0]]), factor=10)


def test_norms_at_zero():
    for p in (0.5, 1, 2, 3, math.inf):
        x = lx.zeros(3, dtype=lx.float64, requires_grad=True)
        LA.vector_norm(x, p).backward()
        assert x.grad.tolist() == [0.0, 0.0, 0.0], p
    x = lx.tensor([0.0, 4.0], requires_grad=True)
    LA.vector_norm(x, 0.5).backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_distances():
    for p in (1.0, 2.0, 3.0, math.inf):
        assert gradcheck(lambda a, b, p=p: lx.cdist(a, b, p), [numbers(3, 2), numbers(4, 2, seed=1)], fast_mode=True)
    same = numbers(3, 2)
    lx.cdist(same, same).sum().backward()
    assert np.isfinite(same.grad.numpy()).all()


def test_against_torch_for_complex_losses():
    """The convention: the gradient is that with respect to the conjugate."""
    torch = pytest.importorskip("torch")
    a = numbers(3, 3, complex=True)
    t = torch.tensor(a.detach().numpy(), requires_grad=True)
    for f in (lambda m, x: m.linalg.inv(x), lambda m, x: m.linalg.det(x), lambda m, x: m.linalg.eigvals(x).sum() ** 2):
        a.grad = t.grad = None
        (f(lx, a) * (2 - 3j)).sum().real.backward()
        (f(torch, t) * (2 - 3j)).sum().real.backward()
        assert_close(a.grad.numpy(), t.grad.resolve_conj().numpy(), factor=1000)
