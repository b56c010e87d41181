"""How close is equal: the one table of tolerances, by dtype, for `numpy.testing.assert_allclose`."""

from typing import Any

import numpy as np

# About ten roundings of a result near one; sums and products over long axes say so and pass `factor`.
_BY_DTYPE = {
    "bfloat16": (1e-2, 1e-2),
    "float16": (2e-3, 1e-3),
    "float32": (2e-6, 1e-6),
    "float64": (1e-12, 1e-13),
    "complex64": (4e-6, 2e-6),
    "complex128": (2e-12, 2e-13),
}


def tolerance(dtype: Any, factor: float = 1.0) -> dict[str, float]:
    """``{'rtol': ..., 'atol': ...}`` for results of ``dtype`` (any spelling of it); zero for integers and bools."""
    name = str(dtype).rpartition(".")[2] if "." in str(dtype) else np.dtype(dtype).name
    relative, absolute = _BY_DTYPE.get(name, (0.0, 0.0))
    return {"rtol": relative * factor, "atol": absolute * factor}


def assert_close(got: Any, expected: Any, dtype: Any = None, factor: float = 1.0) -> None:
    """Equal shape, and equal values to the tolerance of ``dtype`` (``got``'s own where None); NaN equals NaN."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"shape {got.shape}, expected {expected.shape}"
    limits = tolerance(got.dtype if dtype is None else dtype, factor)
    if got.dtype.kind not in "biufc":  # bfloat16 and its kin, which assert_allclose cannot subtract
        got, expected = got.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(got, expected, equal_nan=True, **limits)


def compare(pairs: dict[str, Any], factor: float = 1.0, kinds: bool = False) -> None:
    """Results of many functions, computed together, against theirs: {name: (got, expected)}; ``kinds``: of dtype too."""
    import lazyxla as lx

    flat = {}
    for name, (got, want) in pairs.items():
        several = isinstance(got, (tuple, list))
        assert not several or len(got) == len(want), f"{name}: {len(got)} results, expected {len(want)}"
        for i, (g, w) in enumerate(zip(got, want, strict=True) if several else [(got, want)]):
            flat[f"{name} {i}"] = g, np.asarray(w)
    lx.sync()
    for name, (got, want) in flat.items():
        try:
            assert not kinds or got.detach().numpy().dtype.kind == want.dtype.kind
            assert_close(got.detach().numpy(), want, factor=factor)
        except AssertionError as e:
            raise AssertionError(f"{name}: {e}") from None
