"""What all tests share: quick compiles, no disk cache, fresh metrics, seeds."""

import importlib.metadata
import os
import zlib

# Set before lazyxla is imported, in every worker. Compiling is what tests cost, and what they hold is said before LLVM makes
# machine code of it: a quarter of the time without its optimisations. `XLA_FLAGS= pytest` compiles as users' programs are.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    # a flag of this version only; an unknown one ends the process
    + " --xla_cpu_use_fusion_emitters=false" * importlib.metadata.version("jaxlib").startswith("0.10."),
)
# Counts of compiles must not depend on what ran here before.
os.environ["LAZYXLA_CACHE_DIR"] = "off"
os.environ.pop("LAZYXLA_EAGER", None)
# What XLA is told of an op is tested, however small the test; `LAZYXLA_NUMPY=1 pytest` leaves small ones to NumPy.
os.environ.setdefault("LAZYXLA_NUMPY", "0")

import numpy as np
import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Each test draws the same numbers whatever ran before it in its worker, so that none fails by an unlucky draw."""
    import lazyxla as lx

    lx.manual_seed(zlib.crc32(item.nodeid.encode()))


@pytest.fixture
def metrics():
    """``lazyxla.metrics``, counting from zero, with nothing pending from before."""
    import lazyxla as lx

    lx.sync()
    lx.metrics.reset()
    return lx.metrics


@pytest.fixture
def clean(metrics):
    """``metrics``, and nothing left pending for the tests that follow."""
    import lazyxla as lx

    yield metrics
    lx.sync()


@pytest.fixture
def by_numpy(monkeypatch):
    """With small programs computed by NumPy, as outside of the tests."""
    import lazyxla as lx

    monkeypatch.setattr(lx.lowering.by_numpy, "enabled", [True])
    lx.lowering.clear_cache()
    yield lx.lowering.by_numpy
    lx.sync()
    lx.lowering.clear_cache()


@pytest.fixture
def seed():
    """Seeds lazyxla's random numbers; gives a NumPy generator with a seed of its own."""
    import lazyxla as lx

    lx.manual_seed(20260101)
    return np.random.default_rng(20260101)
