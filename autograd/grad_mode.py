"""Whether operations are recorded for autograd: ``no_grad``, ``enable_grad``, ``inference_mode``, ``set_grad_enabled``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..lazy.record import mode


class _GradMode:
    """A context manager, and a decorator of functions and generators, with one grad mode inside."""

    enabled = True
    inference: bool | None = None

    def __init__(self, *decorated: Callable[..., Any]) -> None:
        self._saved: list[tuple[bool, bool]] = []

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        if len(args) == 1 and callable(args[0]) and not isinstance(args[0], bool):
            _GradMode.__init__(self)
            return self(args[0])  # used as @no_grad, without brackets
        return self

    def __enter__(self) -> None:
        self._saved.append((mode.grad, mode.inference))
        mode.grad = self.enabled
        if self.inference is not None:
            mode.inference = self.inference

    def __exit__(self, *_: Any) -> None:
        mode.grad, mode.inference = self._saved.pop()

    def __call__(self, f: Callable[..., Any]) -> Any:
        if inspect.isgeneratorfunction(f):

            @functools.wraps(f)
            def steps(*args: Any, **kwargs: Any) -> Any:
                generator = f(*args, **kwargs)
                answer: Any = None
                while True:
                    with self:
                        try:
                            value = generator.send(answer)
                        except StopIteration as end:
                            return end.value
                    answer = yield value

            return steps

        @functools.wraps(f)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return f(*args, **kwargs)

        return inside


class no_grad(_GradMode):
    """Inside, nothing is recorded for autograd."""

    enabled = False


class enable_grad(_GradMode):
    """Inside, operations are recorded for autograd again."""


class set_grad_enabled(_GradMode):
    """Sets the mode at once; as a context manager, sets it back at the end."""

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self._before = (mode.grad, mode.inference)
        self.enabled = mode.grad = bool(enabled)

    def __enter__(self) -> None:
        self._saved.append(self._before)
        mode.grad = self.enabled

    def __call__(self, f: Callable[..., Any]) -> Any:
        mode.grad = self._before[0]
        return super().__call__(f)


class inference_mode(_GradMode):
    """``no_grad`` for code that will never meet autograd."""

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        if isinstance(enabled, bool):
            self.enabled, self.inference = not enabled, enabled


def is_grad_enabled() -> bool:
    return mode.grad


def is_inference_mode_enabled() -> bool:
    return mode.inference
