"""Functions element by element against NumPy and SciPy, a table of them to one executable; hard inputs in each."""

import math

import numpy as np
import pytest
import scipy.special

import lazyxla as lx
from tests import tolerances
from tests.tolerances import assert_close

HARD = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 1e-3, math.inf, -math.inf, math.nan, 7.25], np.float64)
TAME = np.array([0.1, -0.2, 0.9, -0.7, 0.5, 0.33], np.float64)
ABOVE = np.array([1.0, 1.5, 2.0, 7.5, 30.0], np.float64)

ANYWHERE = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "tanh": np.tanh,
    "sinh": np.sinh,
    "cosh": np.cosh, "atan": np.arctan, "asinh": np.arcsinh, "sigmoid": scipy.special.expit,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc, "neg": np.negative, "abs": np.abs, "square": np.square,
    "sign": lambda x: np.nan_to_num(np.sign(x)),
    "reciprocal": lambda x: 1 / x, "floor": np.floor, "ceil": np.ceil, "round": np.round, "trunc": np.trunc,
    "frac": lambda x: x - np.trunc(x), "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
    "isposinf": np.isposinf, "isneginf": np.isneginf, "signbit": np.signbit, "log2": np.log2, "log10": np.log10,
    "exp2": np.exp2, "rad2deg": np.rad2deg, "deg2rad": np.deg2rad, "relu": lambda x: np.where(x <= 0, 0, x),
    "isreal": np.isreal, "nan_to_num": np.nan_to_num,
    "angle": lambda x: np.where(np.isnan(x), x, np.where(x < 0, np.pi, 0)),
}  # fmt: skip
TAMELY = {
    "asin": np.arcsin, "acos": np.arccos, "atanh": np.arctanh, "erfinv": scipy.special.erfinv, "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan, "sinc": np.sinc,
}  # fmt: skip
UPWARDS = {
    "acosh": np.arccosh, "lgamma": scipy.special.gammaln, "digamma": scipy.special.digamma,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "logit": lambda x: np.where(x == 1, np.inf, np.nan),
}  # fmt: skip


def compare(results, expected, factor=1.0):
    """All results of a table, computed together, against theirs."""
    with np.errstate(all="ignore"):
        pairs = {name: (got, np.asarray(expected[name])) for name, got in results.items()}
    tolerances.compare(pairs, factor, kinds=True)


@pytest.mark.parametrize(
    ("table", "inputs"), [(ANYWHERE, HARD), (TAMELY, TAME), (UPWARDS, ABOVE)], ids=["any", "tame", "up"]
)
def test_of_one_operand(table, inputs):
    x = lx.tensor(inputs)
    with np.errstate(all="ignore"):
        expected = {n: f(inputs) for n, f in table.items()}
    compare({n: getattr(lx, n)(x) for n in table}, expected, 100)
    changed = {n: x.clone() for n in table if hasattr(x, n + "_")}
    for n, y in changed.items():
        assert getattr(y, n + "_")() is y
    compare(changed, expected, 100)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_polygamma_left_of_zero(n):
    inputs = np.array([-0.3, -1.5, -2.25, -10.3, -40.125, 0.4, 3.0])
    expected = []
    for x in inputs:  # psi_n(x) = psi_n(x + 1) - (-1)^n n! / x^(n + 1), up to where SciPy's series holds
        steps = max(0, math.ceil(-x)) + 1
        rest = sum((-1) ** n * math.factorial(n) / (x + k) ** (n + 1) for k in range(steps))
        expected.append(scipy.special.polygamma(n, x + steps) - rest)
    x = lx.tensor(inputs, requires_grad=True)
    compare({"polygamma": lx.polygamma(n, x)}, {"polygamma": expected}, 1000)
    assert lx.autograd.gradcheck(lambda t: lx.polygamma(n, t), x) and lx.autograd.gradgradcheck(lx.digamma, x)
    poles = lx.polygamma(n, lx.tensor([0.0, -0.0, -1.0])).tolist()
    assert poles == [math.inf if n % 2 else -math.inf] * 3


def test_digamma_and_its_derivatives_are_right_to_float32s_last_bits():
    x = np.concatenate([np.geomspace(1e-6, 1e6, 60), [1.46, 1.4616, 1.5, 2.0, 6.0, 14.0, np.inf, np.nan]]).astype(
        np.float32
    )
    orders = [1, 2, 3, 4]
    found = lx.stack([lx.polygamma(n, lx.tensor(x)) for n in orders]).numpy()
    np.testing.assert_allclose(found, [scipy.special.polygamma(n, x.astype(np.float64)) for n in orders], 2e-7)
    x = np.concatenate([x, [-0.5, -1.25, -29.763, -1e4 - 1 / 64, -7.0, -1e30, -np.inf]]).astype(np.float32)
    np.testing.assert_allclose(lx.digamma(lx.tensor(x)).numpy(), scipy.special.digamma(x.astype(np.float64)), 2e-7)


def test_digamma_at_its_poles():
    x = lx.tensor([0.0, -0.0, -3.0], requires_grad=True)
    y = lx.digamma(x)
    assert y[:2].tolist() == [-math.inf, math.inf] and math.isnan(y[2].item())
    assert lx.autograd.grad(y[:2].sum(), x)[0][:2].tolist() == [math.inf, math.inf]
    assert lx.tensor([0.0]).digamma_().item() == -math.inf


def test_integers_become_floats_where_they_must():
    x = lx.tensor([0, 1, 4])
    compare(
        {"sqrt": x.sqrt(), "exp": lx.exp(x), "floor": x.floor(), "abs": lx.abs(-x), "sigmoid": x.bool().sigmoid(),
            "sgn": x.sgn()},
        {
            "sqrt": np.sqrt([0, 1, 4.0]), "exp": np.exp([0, 1, 4.0]), "floor": [0, 1, 4], "abs": [0, 1, 4],
            "sigmoid": scipy.special.expit([0, 1.0, 1]), "sgn": [0, 1, 1],
        },
        10,
    )  # fmt: skip
    assert x.sqrt().dtype is lx.float32 and x.floor().dtype is lx.int64


A = np.array([[7.5, -7.5, 0.0, -0.0], [1.0, math.nan, -math.inf, 3.0]])
B = np.array([2.0, -2.0, 0.5, math.nan])


def test_of_two_operands():
    x, y = lx.tensor(A), lx.tensor(B)
    table = {
        "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin, "atan2": np.arctan2,
        "fmod": np.fmod,
        "remainder": np.remainder, "floor_divide": np.floor_divide, "hypot": np.hypot, "copysign": np.copysign,
        "heaviside": lambda x, v: np.where(x == 0, v, x > 0), "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2,
        "true_divide": np.divide,
        "xlogy": scipy.special.xlogy,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        expected = {n: f(A, B) for n, f in table.items()}
    compare({n: getattr(lx, n)(x, y) for n in table}, expected, 100)


def test_division_rounds_as_told():
    a, b = np.array([7, -7, 7, -7, 6]), np.array([2, 2, -2, -2, 3])
    x, y = lx.tensor(a), lx.tensor(b)
    compare(
        {
            "floor": lx.div(x, y, rounding_mode="floor"), "trunc": lx.div(x, y, rounding_mode="trunc"), "//": x // y,
            "%": x % y, "fmod": lx.fmod(x, y), "floats": lx.tensor([1.0, -1.0], dtype=lx.float64) // 0.1,
            "gcd": lx.gcd(x, y),
            "lcm": lx.lcm(x, y),
        },
        {
            "floor": a // b, "trunc": np.trunc(a / b).astype(int), "//": a // b, "%": a % b, "fmod": np.fmod(a, b),
            "floats": np.array([9.0, -10.0]), "gcd": np.gcd(a, b), "lcm": np.lcm(a, b),
        },
    )  # fmt: skip


@np.errstate(all="ignore")
def test_choosing_and_limiting():
    x = lx.tensor(A)
    low, high = np.array([0.0, -8.0, 1.0, math.nan]), np.array([1.0, 0.0, 2.0, 3.0])
    compare(
        {
            "clamp": x.clamp(-1, 2), "tensors": lx.clamp(x, lx.tensor(low), lx.tensor(high)), "min": x.clamp_min(0.5),
            "where": lx.where(x > 0, x, -1.0), "fill": x.masked_fill(x.isnan(), 5), "lerp": lx.lerp(x, x + 1, 0.25),
            "addcmul": lx.addcmul(x, x, x, value=0.5), "addcdiv": lx.addcdiv(x, x, x + 1, value=2),
            "isin": lx.isin(x, lx.tensor([7.5, 3.0], dtype=lx.float64)), "ints": lx.tensor([1, 5]).clamp(max=3),
            "nan_to_num": x.nan_to_num(1.0, 2.0, 3.0), "round": lx.tensor([1.2345, -6.789]).round(decimals=2),
            "tens": lx.tensor([123.0, 168.0]).round(decimals=-1), "0**0": x.detach()[0] ** 0,
        },
        {
            "clamp": np.clip(A, -1, 2), "tensors": np.minimum(np.maximum(A, low), high), "min": np.maximum(A, 0.5),
            "where": np.where(A > 0, A, -1.0), "fill": np.where(np.isnan(A), 5, A), "lerp": A + 0.25 * (A + 1 - A),
            "addcmul": A + 0.5 * A * A, "addcdiv": A + 2 * A / (A + 1), "isin": np.isin(A, [7.5, 3.0]), "ints": [1, 3],
            "nan_to_num": np.nan_to_num(A, nan=1.0, posinf=2.0, neginf=3.0), "round": np.float32([1.23, -6.79]),
            "tens": np.float32([120, 170]), "0**0": np.ones(4),
        },
        10,
    )  # fmt: skip


def test_powers():
    base, ints = np.array([-2.0, 0.0, 0.5, 3.0]), np.array([-3, 0, 2])
    x, n = lx.tensor(base), lx.tensor(ints)
    got = {e: x**e for e in (0, 1, 2, 3, -1, 0.5, 2.5, -2)} | {
        "int": n**3,
        "r": 2.0**x,
        "float": n**0.5,
        "p": lx.float_power(n, 2),
    }
    with np.errstate(all="ignore"):
        want = {e: base ** np.float64(e) for e in (0, 1, 2, 3, -1, 0.5, 2.5, -2)}
        want |= {
            "int": ints**3,
            "r": 2.0**base,
            "float": np.float32(ints) ** np.float32(0.5),
            "p": ints.astype(float) ** 2,
        }
    compare(got, want, 100)


def test_complex_numbers():
    z = np.array([1 + 2j, -3 - 0.5j, 0j, 2 - 1j])
    t = lx.tensor(z)
    compare(
        {
            "conj": t.conj(), "abs": t.abs(), "angle": t.angle(), "real": t.real, "imag": t.imag, "sgn": lx.sgn(t),
            "pairs": lx.view_as_real(t), "back": lx.view_as_complex(lx.view_as_real(t)),
            "polar": lx.polar(t.abs(), t.angle()),
            "made": lx.complex(t.imag, t.real), "isreal": t.isreal(), "isfinite": t.isfinite(), "exp": t.exp(),
            "logaddexp": lx.logaddexp(t, t * 0.5),
        },
        {
            "conj": z.conj(), "abs": np.abs(z), "angle": np.angle(z), "real": z.real, "imag": z.imag,
            "sgn": z / np.where(z == 0, 1, np.abs(z)), "pairs": np.stack([z.real, z.imag], -1), "back": z, "polar": z,
            "made": z.imag + 1j * z.real, "isreal": z.imag == 0, "isfinite": np.isfinite(z), "exp": np.exp(z),
            "logaddexp": np.log(np.exp(z) + np.exp(z / 2)),
        },
        10,
    )  # fmt: skip
    t.imag.mul_(2)
    assert_close(t.numpy(), z.real + 2j * z.imag)


def test_gradients():
    x = lx.tensor([[0.3, -1.2, 0.9], [1.7, 0.55, -0.4]], dtype=lx.float64, requires_grad=True)
    y = lx.tensor([[1.1, 0.45, -0.8]], dtype=lx.float64, requires_grad=True)
    assert lx.autograd.gradcheck(
        lambda x, y: (
            lx.sinc(x), lx.hypot(x, y), lx.copysign(x, y), lx.logaddexp(x, y), lx.logaddexp2(x, y),
            x.clamp(-1, y.abs() + 0.2),
            lx.lerp(x, x * y, 0.3), lx.fmod(x, y), lx.remainder(x, y), lx.xlogy(x, y * y), lx.float_power(x.abs(), y),
            lx.maximum(x, y), lx.where(x > 0, x * x, y), 2.0**x, 1 / y, lx.rad2deg(x), x.nan_to_num(),
        ),
        (x, y),
    )  # fmt: skip


def test_what_is_flat_has_zero_gradient():
    for f in (
        lx.round,
        lx.floor,
        lx.trunc,
        lambda t: lx.div(t, 2, rounding_mode="floor"),
        lambda t: lx.round(t, decimals=1),
    ):
        x = lx.tensor([0.4, 1.6], requires_grad=True)
        f(x).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.0])
