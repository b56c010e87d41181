"""How long `import lazyxla` takes beyond `import jax`: fresh interpreters, taking turns, with compiled modules at hand
as after an installation (and not where ``PYTHONDONTWRITEBYTECODE`` would have each compile all of them anew)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from absl import app, flags

from .timing import show

_ROUNDS = flags.DEFINE_integer("rounds", 11, "Interpreters started for each.", lower_bound=2)

# Timed inside, so that starting Python counts for neither; jax first, so that what it loads is not counted twice.
_PROGRAM = """
import time
a = time.perf_counter()
import jax
b = time.perf_counter()
import lazyxla
c = time.perf_counter()
print(b - a, c - b)
"""


def main(argv: list[str]) -> None:
    del argv
    samples: dict[str, list[float]] = {"import jax": [], "import lazyxla, after jax": []}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as compiled:
        environment["PYTHONPYCACHEPREFIX"] = compiled
        for i in range(_ROUNDS.value + 1):
            command = [sys.executable, "-c", _PROGRAM]
            out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            if i:  # the first compiles the modules, and fills the file cache
                for values, t in zip(samples.values(), map(float, out.split()), strict=True):
                    values.append(t)
    show("import", samples, unit="ms")
    extra = statistics.median(samples["import lazyxla, after jax"])
    print(f"  target: at most 300 ms beyond jax -> {'met' if extra <= 0.3 else 'MISSED'}")


if __name__ == "__main__":
    app.run(main)
