"""lx.fft against NumPy, in all its forms, with derivatives; stft and istft."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import gradcheck, gradgradcheck
from tests.tolerances import assert_close, compare

REAL, COMPLEX = ("rfft", "ihfft"), ("fft", "ifft", "irfft", "hfft")
NORMS = (None, "backward", "ortho", "forward")
DTYPES = (np.float32, np.float64, np.complex64, np.complex128)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


def numbers(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed + sum(shape))
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def names(dtype):
    return COMPLEX if np.dtype(dtype).kind == "c" else COMPLEX + REAL


def wide(x):
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def narrow(y, dtype):
    single = np.dtype(dtype).itemsize <= (8 if np.dtype(dtype).kind == "c" else 4)
    return y.astype({"c": np.complex64, "f": np.float32}[y.dtype.kind]) if single else y


@by_dtype
def test_along_one_dim(dtype):
    x = numbers(3, 6, 5, dtype=dtype)
    t, pairs = lx.tensor(x), {}
    for name in names(dtype):
        f, g = getattr(lx.fft, name), getattr(np.fft, name)
        for n in (None, 1, 4, 9):
            for norm in NORMS:
                pairs[f"{name} {n} {norm}"] = f(t, n, 1, norm), narrow(g(wide(x), n, 1, norm), dtype)
        pairs[f"{name} last"] = f(t), narrow(g(wide(x)), dtype)
    compare(pairs, factor=50, kinds=True)


def hfftn(x, s, axes, norm):
    """NumPy has none."""
    swapped = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    return np.fft.irfftn(x.conj(), s, axes, swapped)


def ihfftn(x, s, axes, norm):
    swapped = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    return np.fft.rfftn(x, s, axes, swapped).conj()


@by_dtype
def test_along_several_dims(dtype):
    x = numbers(2, 3, 4, 5, dtype=dtype)
    t, pairs = lx.tensor(x), {}
    for name in names(dtype):
        f = getattr(lx.fft, name + "n")
        g = {"hfft": hfftn, "ihfft": ihfftn}.get(name) or getattr(np.fft, name + "n")
        for norm in NORMS:
            pairs[f"{name}n {norm}"] = f(t, norm=norm), narrow(g(wide(x), None, (0, 1, 2, 3), norm), dtype)
            two = getattr(lx.fft, name + "2")(t, norm=norm)
            pairs[f"{name}2 {norm}"] = two, narrow(g(wide(x), None, (-2, -1), norm), dtype)
        pairs[f"{name} s"] = f(t, (2, 7)), narrow(g(wide(x), (2, 7), (-2, -1), None), dtype)
        pairs[f"{name} dims"] = f(t, (4, 6), (3, 1)), narrow(g(wide(x), (4, 6), (3, 1), None), dtype)
        pairs[f"{name} kept"] = f(t, (-1, 6), (0, 2)), narrow(g(wide(x), (2, 6), (0, 2), None), dtype)
        pairs[f"{name} one"] = f(t, dim=1), narrow(g(wide(x), None, (1,), None), dtype)
    compare(pairs, factor=100, kinds=True)


def test_the_transforms_by_their_names():
    x = numbers(3, 4)
    t = lx.tensor(x)
    compare({
        "fft": (lx.fft.fft(t), np.fft.fft(x)), "rfft": (lx.fft.rfft(t), np.fft.rfft(x)),
        "fft2": (lx.fft.fft2(t), np.fft.fft2(x)), "irfft": (lx.fft.irfft(t, 5), np.fft.irfft(x, 5)),
    }, factor=50)  # fmt: skip


def test_integers_become_floats():
    assert lx.fft.fft(lx.arange(4)).dtype is lx.complex64
    assert_close(lx.fft.rfft(lx.arange(4)).numpy(), np.fft.rfft(np.arange(4)).astype(np.complex64))


@pytest.mark.parametrize("name", [*COMPLEX, *REAL])
def test_derivatives(name):
    for n in (4, 5):
        x = lx.tensor(numbers(2, 4, dtype=np.float64 if name in REAL else np.complex128), requires_grad=True)
        assert gradcheck(lambda x, n=n: getattr(lx.fft, name)(x, n), [x], fast_mode=True)
    f = getattr(lx.fft, name + "n")
    x = lx.tensor(numbers(2, 3, 4, dtype=np.float64 if name in REAL else np.complex128), requires_grad=True)
    assert gradcheck(lambda x: f(x, norm="ortho").abs() ** 2, [x], fast_mode=True)
    assert gradgradcheck(lambda x: f(x, norm="ortho").abs() ** 2, [x], fast_mode=True)


@pytest.mark.parametrize("n", [1, 6, 7])
def test_frequencies(n):
    x = numbers(n, 5)
    t = lx.tensor(x)
    compare({
        "fftfreq": (lx.fft.fftfreq(n, 0.5, dtype=lx.float64), np.fft.fftfreq(n, 0.5)),
        "rfftfreq": (lx.fft.rfftfreq(n, 0.5, dtype=lx.float64), np.fft.rfftfreq(n, 0.5)),
        "fftshift": (lx.fft.fftshift(t), np.fft.fftshift(x)), "ifftshift": (lx.fft.ifftshift(t), np.fft.ifftshift(x)),
        "along one": (lx.fft.fftshift(t, 1), np.fft.fftshift(x, 1)),
        "there and back": (lx.fft.ifftshift(lx.fft.fftshift(t)), x),
    })  # fmt: skip
    assert lx.fft.fftfreq(n).dtype is lx.float32


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: lx.fft.fft(lx.ones(3), 0), r"fft\(\): Invalid number of data points \(0\) specified"),
        (lambda: lx.fft.irfft(lx.ones(1)), r"irfft\(\): Invalid number of data points \(0\) specified"),
        (lambda: lx.fft.rfft(lx.ones(3, dtype=lx.complex64)), r"rfft\(\) expects a real input tensor, but got complex64"),
        (lambda: lx.fft.fft(lx.ones(3).half()), r"fft\(\): Unsupported dtype float16"),
        (lambda: lx.fft.fft(lx.ones(3), norm="sum"), r"fft\(\): Invalid normalization mode: 'sum'"),
        (lambda: lx.fft.hfft(lx.ones(3), norm="sum"), r"hfft\(\): Invalid normalization mode: 'sum'"),
        (lambda: lx.fft.fftn(lx.ones(3), (2, 2)), r"Got shape with 2 values but input tensor only has 1 dimensions"),
        (lambda: lx.fft.fftn(lx.ones(3, 3), (2,), (0, 1)), "dim and shape arguments must have the same length, got 2 and 1"),
        (lambda: lx.fft.fftn(lx.ones(3, 3), dim=(0, -2)), "FFT dims must be unique"),
        (lambda: lx.fft.rfftn(lx.ones(3, 3), dim=()), r"rfftn\(\) must transform at least one axis"),
        (lambda: lx.fft.fft(lx.ones(3), dim=1), "Dimension out of range"),
        (lambda: lx.fft.fft(lx.ones(())), "a tensor of at least one dim is expected"),
        (lambda: lx.stft(lx.ones(2, 2, 20), 4, return_complex=True), "stft: expected a 1D or 2D tensor"),
        (lambda: lx.stft(lx.ones(20), 4), "stft requires the return_complex parameter be given for real inputs"),
        (lambda: lx.stft(lx.arange(20), 4, return_complex=True), "stft: expected a tensor of floating point or complex values"),
        (lambda: lx.stft(lx.ones(20), 4, hop_length=0, return_complex=True), "stft: expected hop_length > 0"),
        (lambda: lx.stft(lx.ones(20), 4, win_length=5, return_complex=True), "expected 0 < win_length <= n_fft"),
        (lambda: lx.stft(lx.ones(20), 4, window=lx.ones(3), return_complex=True), "of size equal to win_length=4"),
        (lambda: lx.stft(lx.ones(3), 4, center=False, return_complex=True), "stft: expected 0 < n_fft <= 3"),
        (lambda: lx.istft(lx.ones(3, 4), 4), "istft requires a complex-valued input tensor"),
        (lambda: lx.istft(lx.ones(3, 4).cfloat(), 6), "expected the frequency dimension"),
    ],
)  # fmt: skip
def test_refused(call, words):
    with pytest.raises((RuntimeError, IndexError), match=rf"{words}.*test_fft.py:\d+"):
        call()


# --- short-time transforms --------------------------------------------------------------------------------------


def frames(x, n, hop, window):
    count = (x.shape[-1] - n) // hop + 1
    return np.stack([x[..., i * hop : i * hop + n] * window for i in range(count)], -1)


@pytest.mark.parametrize("hop", [2, 3])
@pytest.mark.parametrize("shape", [(30,), (2, 31)], ids=str)
def test_stft(hop, shape):
    x, window = numbers(*shape), np.hanning(8) + 0.1
    t, w = lx.tensor(x), lx.tensor(window)
    centred = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(4, 4)], "reflect")
    short = np.pad(np.ones(6), 1)
    axis = x.ndim - 1
    compare({
        "plain": (
            lx.stft(t, 8, hop, window=w, center=False, return_complex=True), np.fft.rfft(frames(x, 8, hop, window), axis=axis)
        ),
        "centred": (lx.stft(t, 8, hop, window=w, return_complex=True), np.fft.rfft(frames(centred, 8, hop, window), axis=axis)),
        "narrow window": (t.stft(8, hop, 6, return_complex=True), np.fft.rfft(frames(centred, 8, hop, short), axis=axis)),
        "normalised": (
            lx.stft(t, 8, hop, normalized=True, return_complex=True),
            np.fft.rfft(frames(centred, 8, hop, 1), axis=axis) / np.sqrt(8),
        ),
        "whole": (lx.stft(t, 8, hop, onesided=False, return_complex=True), np.fft.fft(frames(centred, 8, hop, 1), axis=axis)),
    }, factor=50)  # fmt: skip
    pairs = lx.stft(t, 8, hop, return_complex=False)
    assert pairs.shape[-1] == 2 and pairs.dtype is lx.float64


@pytest.mark.parametrize("settings", [{}, {"normalized": True}, {"onesided": False}, {"center": False}], ids=str)
@pytest.mark.parametrize("shape", [(30,), (2, 31)], ids=str)
def test_istft_is_its_inverse(settings, shape):
    x, window = numbers(*shape), lx.tensor(np.hanning(8) + 0.1)
    there = lx.stft(lx.tensor(x), 8, 2, window=window, return_complex=True, **settings)
    back = lx.istft(there, 8, 2, window=window, **settings)
    assert_close(back.numpy(), x[..., : back.shape[-1]], factor=100)
    assert back.shape[-1] >= x.shape[-1] - 1
    cut = lx.istft(there, 8, 2, window=window, length=20, **settings)
    assert_close(cut.numpy(), x[..., :20], factor=100)
    longer = lx.istft(there, 8, 2, window=window, length=50, **settings)
    assert longer.shape[-1] == 50 and not longer.numpy()[..., 40:].any()


def test_complex_signals():
    z = numbers(2, 24, dtype=np.complex128)
    there = lx.stft(lx.tensor(z), 6)
    assert there.shape[1] == 6
    assert_close(lx.istft(there, 6, onesided=False, return_complex=True).numpy(), z, factor=100)


def test_derivatives_of_short_time_transforms():
    x, w = lx.tensor(numbers(20), requires_grad=True), lx.tensor(np.hanning(6) + 0.2, requires_grad=True)

    def both(x, w):
        there = lx.stft(x, 6, 2, window=w, return_complex=True)
        return there, lx.istft(there * 2, 6, 2, window=w)

    assert gradcheck(both, [x, w], fast_mode=True)
