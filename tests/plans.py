"""Random programs as Hypothesis draws them: lists of an operation's name, and the seed of what the operation chooses."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def of(names: Sequence[str], examples: int, least: int, longest: int) -> Callable[[Any], Any]:
    """A test on that many programs of ``least`` to ``longest`` operations, the same in every run."""
    step = st.tuples(st.sampled_from(names), st.integers(0, 1 << 16))
    plans = st.integers(least, longest).flatmap(lambda n: st.lists(step, min_size=n, max_size=n))
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    setting = settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=checks)
    return lambda f: setting(given(plans)(f))
