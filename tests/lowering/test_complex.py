"""Complex functions at zeros with a sign, infinities and NaN: C's annex G, as NumPy has it."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lowering import by_numpy

PARTS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, np.inf, -np.inf, np.nan]
NAMES = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "log", "log1p", "log2", "log10", "sin",
    "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip


@pytest.fixture(autouse=True)
def by_xla(clean, monkeypatch):
    monkeypatch.setattr(by_numpy, "enabled", [False])


def grid(dtype):
    x, y = (v.ravel() for v in np.meshgrid(PARTS, PARTS))
    z = np.empty(x.shape, dtype)
    z.real, z.imag = x, y
    return z


def alike(part, wanted, beside, rtol):
    """Equal but for rounding, with the signs of zeros and infinities, which beside a NaN the standard leaves open."""
    near = np.isclose(part, wanted, rtol=rtol, atol=0, equal_nan=True)
    known = (wanted == 0) | np.isinf(wanted)
    signs = np.where(known & ~np.isnan(beside), np.signbit(part) == np.signbit(wanted), True)
    return (near | (known & np.isnan(beside) & (np.abs(part) == np.abs(wanted)))) & signs


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", NAMES)
def test_zeros_with_a_sign_infinities_and_nan(name, dtype):
    z = grid(dtype)
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(z)
    found = getattr(lx, name)(lx.tensor(z)).numpy()
    rtol = 1e-5 if dtype is np.complex64 else 1e-12
    right = alike(found.real, wanted.real, wanted.imag, rtol) & alike(found.imag, wanted.imag, wanted.real, rtol)
    wrong = [f"{name}({z[i]}) = {found[i]}, not {wanted[i]}" for i in np.flatnonzero(~right)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["sqrt", "log", "asin", "acosh", "atanh", "atan", "acos"])
def test_the_conjugate_goes_to_the_conjugate_across_the_cut(name):
    z = lx.tensor(np.array([complex(-2, 0.0), complex(2, 0.0), complex(0.0, 2), complex(0.0, -2), complex(0.5, 0.0)]))
    f = getattr(lx, name)
    conjugate = lx.tensor(np.conj(z.numpy()))
    np.testing.assert_array_equal(f(conjugate).numpy(), np.conj(f(z).numpy()))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_beside_the_poles_of_the_inverse_tangents(dtype):
    small = 1e-30 if dtype is np.complex64 else 1e-200  # whose square is 0
    z = np.array([complex(a, b) for a in (1, -1) for b in (small, -small, 1e-7, 0.25)], dtype)
    rtol = 1e-5 if dtype is np.complex64 else 1e-12
    np.testing.assert_allclose(lx.atanh(lx.tensor(z)).numpy(), np.arctanh(z), rtol=rtol)
    np.testing.assert_allclose(lx.atan(lx.tensor(1j * z)).numpy(), 1j * np.arctanh(z), rtol=rtol)


@pytest.mark.parametrize("dtype", [lx.float32, lx.float64, lx.bfloat16])
def test_the_sign_of_minus_zero_is_zero(dtype):
    assert not np.signbit(lx.sign(lx.tensor([-0.0, 0.0], dtype=dtype)).double().numpy()).any()
