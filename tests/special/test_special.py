"""lx.special against SciPy in single and double precision, derivatives by finite differences, and the edges."""

import math

import ml_dtypes
import numpy as np
import pytest
import scipy.special as sp

import lazyxla as lx
from lazyxla.autograd import gradcheck, gradgradcheck

S = lx.special
NAN, INF = math.nan, math.inf
LINE = np.concatenate([np.linspace(-30, 30, 241) + 0.0123, [0.0, -0.0, 1e-3, INF, -INF, NAN]])
RIGHT = np.concatenate([np.linspace(0.01, 50, 200), [0, -1.0, 1e-8, INF, NAN]])
UNIT = np.array([1e-30, 1e-5, 0.1, 0.3, 0.5, 0.8, 0.999, 0.0, 1.0, -1.0, 2.0, NAN])

#: name -> SciPy's function, where to compare, and the largest error allowed: relative to max(1, |value|)
ONE = {
    "airy_ai": (lambda x: np.where(np.isinf(x), NAN, sp.airy(x)[0]), LINE, 2e-14), "bessel_j0": (sp.j0, LINE, 1e-15),
    "bessel_j1": (sp.j1, LINE, 1e-15), "bessel_y0": (sp.y0, RIGHT, 4e-15), "bessel_y1": (sp.y1, RIGHT, 2e-15),
    "entr": (sp.entr, LINE, 1e-15), "erf": (sp.erf, LINE, 1e-15), "erfc": (sp.erfc, LINE, 1e-15),
    "erfcx": (sp.erfcx, np.clip(LINE, -8, None), 1e-13), "erfinv": (sp.erfinv, UNIT * 1.6 - 0.8, 2e-13),
    "exp2": (np.exp2, LINE, 1e-15), "expit": (sp.expit, LINE, 1e-15), "expm1": (np.expm1, LINE, 1e-15),
    "gammaln": (sp.gammaln, RIGHT[:-2], 1e-14), "digamma": (sp.digamma, RIGHT[:200], 1e-13),
    "psi": (sp.psi, RIGHT[:200], 1e-13),
    "i0": (sp.i0, LINE, 3e-15), "i0e": (sp.i0e, LINE, 1e-15), "i1": (sp.i1, LINE, 4e-15), "i1e": (sp.i1e, LINE, 1e-15),
    "modified_bessel_i0": (sp.i0, LINE, 3e-15), "modified_bessel_i1": (sp.i1, LINE, 4e-15),
    "modified_bessel_k0": (sp.k0, RIGHT, 3e-15), "modified_bessel_k1": (sp.k1, RIGHT, 3e-15),
    "scaled_modified_bessel_k0": (sp.k0e, RIGHT, 3e-15), "scaled_modified_bessel_k1": (sp.k1e, RIGHT, 3e-15),
    "log1p": (np.log1p, RIGHT, 1e-15), "log_ndtr": (sp.log_ndtr, LINE, 1e-14), "logit": (sp.logit, UNIT, 1e-14),
    "ndtr": (sp.ndtr, LINE, 1e-15), "ndtri": (sp.ndtri, UNIT, 1e-15), "sinc": (np.sinc, LINE, 1e-15),
    "spherical_bessel_j0": (lambda x: sp.spherical_jn(0, x), LINE, 1e-15),
}  # fmt: skip
A, X = (m.reshape(-1) for m in np.meshgrid([0.1, 0.5, 1, 3, 10, 50], [0.0, 0.1, 1, 5, 20, 100]))
TWO = {
    "gammainc": (sp.gammainc, 1e-14), "gammaincc": (sp.gammaincc, 1e-14), "xlogy": (sp.xlogy, 1e-15),
    "xlog1py": (sp.xlog1py, 1e-15), "zeta": (lambda a, x: sp.zeta(a + 1.125, x + 0.5), 1e-14),
}  # fmt: skip
FACTOR = 4e8  # how much coarser single precision is, with as much room


def agree(got, expected, limit, name):
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite], name)
    error = np.abs(got[finite] - expected[finite]) / np.maximum(np.abs(expected[finite]), 1)
    where = finite.nonzero()[0][error.argmax()]
    assert error.max() <= limit, f"{name}: error {error.max():.2g} at {where}, expected {limit:.2g}"


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda d: d.__name__)
def test_values(dtype):
    rows = []
    for name, (reference, where, limit) in ONE.items():
        x = where.astype(dtype)
        with np.errstate(all="ignore"):
            expected = reference(x.astype(np.float64))
        with np.errstate(over="ignore"):
            expected = expected.astype(dtype)  # what overflows in single precision is infinite
        rows.append((name, getattr(S, name)(lx.tensor(x)), expected, limit))
    for name, (reference, limit) in TWO.items():
        a, x = A.astype(dtype), X.astype(dtype)
        shift = (1.125, 0.5) if name == "zeta" else (0, 0)
        got = getattr(S, name)(lx.tensor(a) + shift[0], lx.tensor(x) + shift[1])
        rows.append((name, got, reference(a.astype(np.float64), x.astype(np.float64)), limit))
    for n in (0, 1, 3):
        x = RIGHT[1:200].astype(dtype)
        rows.append((f"polygamma {n}", S.polygamma(n, lx.tensor(x)), sp.polygamma(n, x.astype(float)), 1e-13))
    for p in (1, 2, 4):
        got = S.multigammaln(lx.tensor((X + 2).astype(dtype)), p)
        rows.append((f"multigammaln {p}", got, sp.multigammaln(X + 2, p), 1e-14))
    lx.sync()
    for name, got, expected, limit in rows:
        assert got.dtype.numpy == dtype, name
        agree(got.numpy(), expected, limit if dtype is np.float64 else limit * FACTOR, name)


POLYNOMIALS = {
    "chebyshev_polynomial_t": sp.eval_chebyt, "chebyshev_polynomial_u": sp.eval_chebyu,
    "chebyshev_polynomial_v": lambda n, x: sp.eval_jacobi(n, -0.5, 0.5, x) / sp.eval_jacobi(n, -0.5, 0.5, 1.0),
    "chebyshev_polynomial_w": lambda n, x: (2 * n + 1) * sp.eval_jacobi(n, 0.5, -0.5, x) / sp.eval_jacobi(n, 0.5, -0.5, 1.0),
    "hermite_polynomial_h": sp.eval_hermite, "hermite_polynomial_he": sp.eval_hermitenorm,
    "laguerre_polynomial_l": sp.eval_laguerre, "legendre_polynomial_p": sp.eval_legendre,
    "shifted_chebyshev_polynomial_t": sp.eval_sh_chebyt, "shifted_chebyshev_polynomial_u": sp.eval_sh_chebyu,
    "shifted_chebyshev_polynomial_v": lambda n, x: POLYNOMIALS["chebyshev_polynomial_v"](n, 2 * x - 1),
    "shifted_chebyshev_polynomial_w": lambda n, x: POLYNOMIALS["chebyshev_polynomial_w"](n, 2 * x - 1),
}  # fmt: skip


def test_polynomials():
    x, degrees = np.linspace(-1.1, 1.1, 23), np.array([0, 1, 2, 7, 20, -1])
    t, rows = lx.tensor(x), []
    for name, reference in POLYNOMIALS.items():
        f = getattr(S, name)
        expected = np.stack([reference(n, x) if n >= 0 else 0 * x for n in degrees])
        rows.append((name, lx.stack([f(t, int(n)) for n in degrees]), expected))
        rows.append((f"{name}, of a tensor of degrees", f(t, lx.tensor(degrees).unsqueeze(1)), expected))
    lx.sync()
    for name, got, expected in rows:
        agree(got.numpy(), expected, 1e-12, name)
    assert S.legendre_polynomial_p(0.5, lx.tensor([0, 1, 2], dtype=lx.float64)).tolist() == [1.0, 0.5, -0.125]


SMOOTH = lx.tensor([-7.3, -2.2, -0.3, 0.2, 0.7, 1.9, 2.5, 5.5, 9.2], dtype=lx.float64, requires_grad=True)
POSITIVE = lx.tensor([0.2, 0.7, 1.9, 2.5, 5.5, 9.2], dtype=lx.float64, requires_grad=True)
PART = lx.tensor([0.1, 0.4, 0.8], dtype=lx.float64, requires_grad=True)


@pytest.mark.parametrize("name", [n for n in ONE if n not in ("psi", "modified_bessel_i0", "modified_bessel_i1")])
def test_derivatives(name):
    where = ONE[name][1]
    x = SMOOTH if where is LINE and name != "entr" else PART if where is UNIT or name == "erfinv" else POSITIVE
    assert gradcheck(getattr(S, name), [x], fast_mode=True)
    if name in ("airy_ai", "bessel_j1", "bessel_y1", "erfcx", "i0e", "modified_bessel_k1", "log_ndtr"):  # rules of our own
        assert gradgradcheck(getattr(S, name), [x], fast_mode=True, atol=1e-4)


def test_derivatives_of_two_operands():
    other = lx.tensor([0.3, 0.8, 1.7, 3.5, 4.5, 12.0], dtype=lx.float64, requires_grad=True)
    for name in ("gammainc", "gammaincc", "xlogy", "xlog1py"):
        assert gradcheck(getattr(S, name), [POSITIVE, other], fast_mode=True), name
    assert gradcheck(lambda q: S.zeta(lx.tensor(2.5, dtype=lx.float64), q), [POSITIVE], fast_mode=True)
    assert gradgradcheck(lambda q: S.zeta(lx.tensor(2.5, dtype=lx.float64), q), [POSITIVE], fast_mode=True)
    assert gradcheck(lambda x: S.multigammaln(x + 2, 3), [POSITIVE], fast_mode=True)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_derivatives_of_polynomials(name):
    assert gradcheck(lambda x: getattr(S, name)(x, 5), [PART], fast_mode=True)


def test_where_there_is_no_derivative():
    y = S.zeta(lx.tensor([2.0], requires_grad=True), lx.tensor([1.0]))
    with pytest.raises(NotImplementedError, match=r"derivative of Zeta.*with respect to its first argument.*test_special.py"):
        y.sum().backward()
    y = S.legendre_polynomial_p(lx.tensor([0.5], requires_grad=True), lx.tensor([2]))
    with pytest.raises(NotImplementedError, match=r"derivative of Polynomials.*while_loop.*test_special.py"):
        y.sum().backward()


def test_narrow_types_go_through_float32():
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = np.array([0.5, 1.5, 3.0]).astype(dtype)
        got = S.i0(lx.tensor(x))
        assert got.dtype.numpy == dtype
        assert got.tolist() == sp.i0(x.astype(np.float64)).astype(np.float32).astype(dtype).tolist()


def test_integers_and_numbers_of_two_types():
    assert S.bessel_j0(lx.arange(3)).dtype is lx.float32
    assert S.gammainc(lx.ones(2), lx.ones(2, dtype=lx.float64)).dtype is lx.float64
    assert S.xlog1py(lx.zeros(2), lx.tensor([INF, NAN])).tolist()[0] == 0


def test_the_other_names():
    x = lx.tensor([0.5, 1.5])
    assert lx.i0(x).tolist() == x.i0().tolist() == S.i0(x).tolist()
    assert lx.igamma(x, x).tolist() == x.igamma(x).tolist() == S.gammainc(x, x).tolist()
    assert lx.igammac(x, x).tolist() == x.igammac(x).tolist() == S.gammaincc(x, x).tolist()
    assert lx.mvlgamma(x + 1, 2).tolist() == (x + 1).mvlgamma(2).tolist() == S.multigammaln(x + 1, 2).tolist()
    y = x.clone()
    assert y.i0_() is y and y.tolist() == S.i0(x).tolist()


def test_reductions():
    x = lx.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert S.softmax(x, 1).sum(1).tolist() == pytest.approx([1.0, 1.0])
    assert S.logsumexp(x, 1).tolist() == pytest.approx(sp.logsumexp(x.numpy(), 1).tolist())
    assert S.log_softmax(x, 1).tolist()[0] == pytest.approx(sp.log_softmax(x.numpy(), 1)[0].tolist())
    assert S.round(lx.tensor([1.26]), decimals=1).tolist() == pytest.approx([1.3])


@pytest.mark.parametrize(
    "call, kind, words",
    [
        (lambda: S.i0(3.0), TypeError, r"i0\(\): argument 'input' .*must be Tensor, not float"),
        (lambda: S.bessel_j0(lx.ones(2).cfloat()), RuntimeError, "bessel_j0 is not implemented for 'complex64': real numbers"),
        (lambda: S.multigammaln(lx.ones(2), 0), RuntimeError, "p has to be greater than or equal to 1, got 0"),
        (lambda: S.legendre_polynomial_p(0.5, 2), TypeError, r"legendre_polynomial_p\(\): a Tensor is expected for input or n"),
    ],
)
def test_refused(call, kind, words):
    with pytest.raises(kind, match=rf"{words}.*test_special.py:\d+"):
        call()


def test_bessel_slopes_also_at_zero():
    at = np.array([0.0, -1.5, 0.3, 12.0])
    near = np.where(at == 0, 1.0, at)
    half = np.where(at == 0, 0.5, sp.i1(at) / near)
    tight = np.where(at == 0, 0.5, sp.i1e(at) / near)
    wanted = {
        "i0": sp.i1(at), "i1": sp.i0(at) - half, "i0e": sp.i1e(at) - np.sign(at) * sp.i0e(at),
        "i1e": sp.i0e(at) - np.sign(at) * sp.i1e(at) - tight,
    }  # fmt: skip
    for name, slope in wanted.items():
        x = lx.tensor(at, requires_grad=True)
        getattr(lx.special, name)(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), slope, rtol=1e-6, err_msg=name)


def test_zeta_at_its_poles_and_outside():
    got = lx.special.zeta(lx.tensor([2.0, 1.0, 0.5, 2.0, 2.0, 2.5, 3.0]), lx.tensor([1.0, 2.0, 1.0, 0.0, -3.0, -0.5, 2.0]))
    np.testing.assert_allclose(got.numpy(), [np.pi**2 / 6, np.inf, np.nan, np.inf, np.inf, np.nan, sp.zeta(3, 2)],
        rtol=1e-6)  # fmt: skip


def test_airy_where_its_forms_meet():
    """The value and the slope at the ends of the series, and where single precision underflows."""
    x = np.array([-30, -2.1, -2.09, -2.08, 0, 2.08, 2.09, 2.1, 8, 15, 26, 100, 104])
    value, slope, _, _ = sp.airy(x)
    for dtype, accuracy in ((np.float64, 1e-13), (np.float32, 3e-6)):
        t = lx.tensor(x.astype(dtype), requires_grad=True)
        y = S.airy_ai(t)
        y.sum().backward()
        np.testing.assert_allclose(y.detach().numpy(), value, rtol=accuracy * 10, atol=accuracy)
        np.testing.assert_allclose(t.grad.numpy(), slope, rtol=accuracy * 10, atol=accuracy)


def test_slopes_of_ndtri_out_in_the_tails():
    """The inverse of the normal density at the quantile: inf at 0 and 1, NaN outside."""
    p = np.array([1e-30, 1e-5, 0.3, 0.5, 0.999, 0.0, 1.0, -1.0, NAN])
    x = lx.tensor(p, requires_grad=True)
    y = S.ndtri(x)
    (slope,) = lx.autograd.grad(y.sum(), x, create_graph=True)
    q = sp.ndtri(p)
    expected = math.sqrt(2 * math.pi) * np.exp(q * q / 2)
    np.testing.assert_allclose(slope.detach().numpy(), expected, rtol=1e-12)
    (second,) = lx.autograd.grad(slope[:5].sum(), x)
    np.testing.assert_allclose(second.numpy()[:5], (q * expected**2)[:5], rtol=1e-12)
