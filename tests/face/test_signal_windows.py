"""Window functions against SciPy's."""

import pytest
import scipy.signal.windows as scipys

import lazyxla as lx
from lazyxla.signal import windows
from tests import tolerances

ROWS = {
    "hann": ({}, {}), "hamming": ({}, {}), "blackman": ({}, {}), "nuttall": ({}, {}), "bartlett": ({}, {}),
    "cosine": ({}, {}), "kaiser": ({"beta": 6.0}, {"beta": 6.0}), "gaussian": ({"std": 1.5}, {"std": 1.5}),
    "exponential": ({"tau": 2.0}, {"tau": 2.0}), "general_hamming": ({"alpha": 0.6}, {"alpha": 0.6}),
    "general_cosine": ({"a": [0.5, 0.3, 0.2]}, {"a": [0.5, 0.3, 0.2]}),
}  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 7, 10])
@pytest.mark.parametrize("sym", [True, False])
def test_windows(n, sym):
    pairs = {}
    for name, (ours, theirs) in ROWS.items():
        got = getattr(windows, name)(n, sym=sym, dtype=lx.float64, **ours)
        pairs[name] = got, getattr(scipys, name)(n, sym=sym, **theirs)
    tolerances.compare(pairs, 100)


def test_the_type_and_the_centre():
    w = windows.exponential(5, center=0, tau=1.0, sym=False, requires_grad=True)
    assert w.dtype is lx.float32 and w.requires_grad
    tolerances.compare({"decay": (w, scipys.exponential(5, 0, 1.0, False).astype("float32"))}, 10)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: windows.hann(-1), ValueError, "requires non-negative window length, got M=-1"),
        (lambda: windows.hann(3, dtype=lx.int32), ValueError, "expects float32 or float64 dtypes, got: int32"),
        (lambda: windows.hann(3, dtype=lx.bfloat16), ValueError, "expects float32 or float64 dtypes, got: bfloat16"),
        (lambda: windows.kaiser(3, beta=-1.0), ValueError, "beta must be non-negative, got: -1.0"),
        (lambda: windows.gaussian(3, std=0.0), ValueError, "Standard deviation must be positive"),
        (lambda: windows.exponential(3, tau=0.0), ValueError, "Tau must be positive"),
        (lambda: windows.exponential(3, center=1.0), ValueError, "Center must be None for symmetric windows"),
        (lambda: windows.general_cosine(3, a=[]), ValueError, "Coefficients cannot be empty"),
    ],
)
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
