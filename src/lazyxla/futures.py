"""Values that come later, as ``torch.futures``: on threads of this process."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable
from typing import Any


class Future:
    """A value that somebody sets later, with ``set_result`` or ``set_exception``."""

    def __init__(self, *, devices: Any = None) -> None:
        self._inner: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether the value, or an exception, is there."""
        return self._inner.done()

    def wait(self) -> Any:
        """The value, waited for; raises the exception where one was set."""
        return self._inner.result()

    def value(self) -> Any:
        """The value; RuntimeError where it is not there yet."""
        if not self.done():
            raise RuntimeError("Future.value(): the future is not done; wait() waits for it")
        return self._inner.result()

    def set_result(self, result: Any) -> None:
        """Complete it; RuntimeError where it is complete already."""
        try:
            self._inner.set_result(result)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError("Future can only be set once.") from None

    def set_exception(self, result: BaseException) -> None:
        """Complete it with an exception, which ``wait`` raises."""
        if not isinstance(result, BaseException):
            raise TypeError(f"set_exception(): an exception is expected, not {type(result).__name__}")
        try:
            self._inner.set_exception(result)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError("Future can only be set once.") from None

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        """Call ``callback(self)`` once it is complete; at once where it is."""
        self._inner.add_done_callback(lambda _: callback(self))

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future for what ``callback(self)`` returns once this one is complete."""
        out = Future()

        def run(done: Future) -> None:
            try:
                out.set_result(callback(done))
            except Exception as e:
                out.set_exception(e)

        self.add_done_callback(run)
        return out


def wait_all(futures: Iterable[Future]) -> list[Any]:
    """The values of all, waited for; raises the first exception among them."""
    return [f.wait() for f in list(futures)]


def collect_all(futures: Iterable[Future]) -> Future:
    """A future for the list of all of them, complete once each is."""
    given, out = list(futures), Future()
    left = [len(given)]

    def one(_: Future) -> None:
        left[0] -= 1
        if left[0] == 0:
            out.set_result(given)

    for f in given:
        f.add_done_callback(one)
    if not given:
        out.set_result(given)
    return out
