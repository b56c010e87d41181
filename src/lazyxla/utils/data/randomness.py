"""Random choices of examples: by NumPy, on keys drawn from lazyxla's generators, so that a seed says them all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...lazy import default_generator


def stream(generator: Any = None) -> np.random.Generator:
    """A stream of random numbers on the next key of a generator (the default one unless given)."""
    words = (default_generator if generator is None else generator).next_words()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words.tolist())))


def permutation(n: int, generator: Any = None) -> list[int]:
    return stream(generator).permutation(n).tolist()


def base_seed(generator: Any = None) -> int:
    """The seed that the workers' own seeds count from."""
    return int(stream(generator).integers(0, 1 << 62))
