"""Freed host memory that stays with the process, where the user wants it."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import lazyxla as lx
from lazyxla.devices import memory

x = lx.ones(16 << 20)
lx.sync()

def once():
    y = x * 2
    lx.sync()
    return y[0].item()

for _ in range(20):
    once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    once()
print(memory.keep(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**environment: str) -> tuple[str, int]:
    """Whether memory is kept, and the page faults of five runs."""
    found = {k: v for k, v in os.environ.items() if k != "LAZYXLA_KEEP_MEMORY"} | {"JAX_PLATFORMS": "cpu"} | environment
    made = subprocess.run([sys.executable, "-c", PROGRAM], env=found, capture_output=True, text=True, check=True)
    kept, faults = made.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux") or not os.confstr("CS_GNU_LIBC_VERSION"), reason="needs glibc")
def test_a_program_that_runs_again_meets_no_fresh_pages():
    kept, faults = run(LAZYXLA_KEEP_MEMORY="1")
    assert kept == "True"
    assert faults < 2000  # 64 MB a run would be 80,000 pages of 4 kB


def test_it_is_for_the_user_to_choose():
    assert run()[0] == "False"
