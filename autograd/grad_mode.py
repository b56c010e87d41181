"""Whether operations are recorded for autograd: ``no_grad``, ``enable_grad``, ``inference_mode``, ``set_grad_enabled``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..lazy import inference
from ..lazy.record import mode


def _state() -> tuple[bool, bool]:
    return is_grad_enabled(), mode.inference


def _set(grad: bool, within: bool) -> None:
    if within is not mode.inference:
        (inference.begins if within else inference.ends)()
        mode.inference = within
    # in inference mode nothing is recorded, whatever the grad mode; None, so that no script of outside is followed there
    mode.asked, mode.grad = grad, None if within else grad


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
        self._saved.append(_state())
        _set(self.enabled, mode.inference if self.inference is None else self.inference)

    def __exit__(self, *_: Any) -> None:
        _set(*self._saved.pop())

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
        self._before = _state()
        self.enabled = bool(enabled)
        _set(self.enabled, mode.inference)

    def __enter__(self) -> None:
        self._saved.append(self._before)
        _set(self.enabled, mode.inference)

    def __call__(self, f: Callable[..., Any]) -> Any:
        _set(*self._before)
        return super().__call__(f)


class inference_mode(_GradMode):
    """``no_grad`` for code that will never meet autograd: outside, what was made in it is neither written to in place nor saved
    for a backward pass, which is a RuntimeError."""

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        if isinstance(enabled, bool):
            self.enabled, self.inference = not enabled, enabled


def is_grad_enabled() -> bool:
    return mode.asked if mode.inference else bool(mode.grad)


def is_inference_mode_enabled() -> bool:
    return mode.inference
