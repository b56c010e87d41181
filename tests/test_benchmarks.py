"""The small array workloads: every contestant that is installed arrives at the same numbers. What measures runs."""

import numpy as np
import pytest

from benchmarks import record
from benchmarks.workloads import ALL, SMALL
from benchmarks.workloads.base import COMPILED, JIT, LAZYXLA, NUMPY
from lazyxla.lazy.replay import starts

pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize("name", SMALL)
def test_contestants_agree(name):
    workload = SMALL[name]
    assert workload.contestants.keys() == ALL[name].contestants.keys()
    found = {}
    for who in (NUMPY, JIT, LAZYXLA, COMPILED):
        step = workload.contestants[who]("cpu")
        first, again = step(0).item(), step(1).item()
        np.testing.assert_array_equal(first, again)
        found[who] = first
    assert np.ptp(found[NUMPY]) > 0
    for who, values in found.items():
        np.testing.assert_allclose(values, found[NUMPY], workload.tolerance, workload.absolute, err_msg=who)


def test_what_recording_costs_is_measured(monkeypatch):
    monkeypatch.setattr(record, "LOOPS", 20)
    monkeypatch.setattr(starts, "enabled", [False])
    for requires_grad in (False, True):
        assert all(t > 0 for t in record.per_op(record.recording(requires_grad), 2))
    assert all(t > 0 for t in record.recognising(2))
