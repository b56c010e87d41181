"""Programs run as outside of the tests."""

import pytest


@pytest.fixture(autouse=True)
def as_outside(by_numpy):
    """With small programs computed by NumPy."""
