"""Running an outlined program: its pieces in turn, each value handed on and let go of after its last reader."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import devices
from .outline import Step


class Memory(NamedTuple):
    """Bytes on the device: what goes in, what comes out, how much of that lies in memory that arguments give away, what
    is needed besides meanwhile, and the most that is there at once."""

    argument_bytes: int
    output_bytes: int
    alias_bytes: int
    temporary_bytes: int
    peak_bytes: int


def memory_of(found: Any) -> Memory:
    """Of one executable as XLA states it, or of a program of pieces."""
    if isinstance(found, Pieces):
        return found.memory()
    s = found.memory_stats()
    argument, output, alias = s.argument_size_in_bytes, s.output_size_in_bytes, s.alias_size_in_bytes
    return Memory(argument, output, alias, s.temp_size_in_bytes, argument + output - alias + s.temp_size_in_bytes)


class Pieces:
    """The executables of an outlined program; ``run`` is as that of one executable.

    ``arguments`` are the bytes of each argument, ``values`` the constants that are handed over.
    """

    def __init__(
        self, executables: Sequence[Any], steps: Sequence[Step], values: Sequence[np.ndarray], arguments: Sequence[int],
        roots: Sequence[int], device: devices.Device,
    ) -> None:  # fmt: skip
        self.executables, self.steps, self.roots = list(executables), list(steps), list(roots)
        self.values, self.arguments = list(values), list(arguments)
        self._constants = [devices.put_small(np.array(v), device) for v in values]
        slots = 1 + max((i for s in steps for i in (*s.inputs, *s.outputs)), default=-1)
        self._empty = [None] * max(0, slots - len(self.arguments) - len(self.values))

    def run(self, arguments: list[Any]) -> list[Any]:
        """The results, as buffers that may not be filled yet; each piece is started without waiting for the last."""
        values: list[Any] = [*arguments, *self._constants, *self._empty]
        executables = self.executables
        for program, inputs, outputs, dead, freed in self.steps:
            results = executables[program].run([values[i] for i in inputs])
            for i, value in zip(outputs, results):
                if i >= 0:
                    values[i] = value
            for i in freed:
                values[i].delete()
            for i in dead:
                values[i] = None
        return [values[i] for i in self.roots]

    def memory(self) -> Memory:
        """As if each piece began when the one before it had ended; constants are not counted."""
        each = [memory_of(e) for e in self.executables]
        held = dict(enumerate(self.arguments))
        now = argument = sum(self.arguments)
        peak = now
        given = 0
        for step in self.steps:
            found = each[step.program]
            sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in self.executables[step.program].outputs]
            peak = max(peak, now + found.output_bytes - found.alias_bytes + found.temporary_bytes)
            for i, size in zip(step.outputs, sizes):
                if i >= 0:
                    held[i] = size
                    now += size
            for i in step.dead:
                size = held.pop(i, 0)
                now -= size
                if i < len(self.arguments):
                    given += size
        output = sum(held.get(i, 0) for i in set(self.roots))
        kept = argument - given + output
        return Memory(argument, output, given, max(0, peak - kept), peak)

    def hlo_text(self) -> str:
        return "\n\n".join(e.hlo_text() for e in self.executables)

    def cost_analysis(self) -> dict[str, float]:
        each = [e.cost_analysis() for e in self.executables]
        total: dict[str, float] = {}
        for step in self.steps:
            for name, value in each[step.program].items():
                total[name] = total.get(name, 0.0) + value
        return total


__all__ = ["Memory", "Pieces", "memory_of"]
