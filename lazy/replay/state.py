"""Who is told of the calls that a program makes, and what a call does besides returning something."""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import get_ident
from typing import Any

from ..subclassing import UNASKED, asking, asks, said


class Player:
    """Who is told of the calls that a program makes."""

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call of ``f``, or answer in its place."""
        raise NotImplementedError

    def pair(self, f: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
        """The same for an operator of two operands."""
        return self.call(f, (a, b), {})


class State:
    """``player`` is the recorder or follower of the present segment (what lies between two syncs), ``active`` the same
    while the program is outside of any call, None inside one and where nobody listens."""

    __slots__ = ("active", "capture", "draws", "forced", "inside", "numbers", "player", "thread", "writes")

    def __init__(self) -> None:
        self.active: Any = None
        self.player: Any = None
        self.inside = False
        self.capture: Any = None  # the player, while a compiled function is recorded
        self.numbers: list[Any] | None = None  # the nodes of the numbers that an optimizer's step hands over
        self.forced: list[Any] = []  # keys of random numbers to be handed out again
        self.thread = 0  # which made the present call
        self.writes: list[Any] | None = None  # (tensor, the node it had) of each in-place write of the present call
        self.draws: list[Any] | None = None  # (generator, key node) of each draw of random numbers

    def set_player(self, player: Any) -> None:
        self.player = player
        self.active = None if self.inside else player

    def enter(self) -> bool:
        """A call begins; returns what ``leave`` wants."""
        was, self.inside, self.active, self.thread = self.inside, True, None, get_ident()
        return was

    def leave(self, was: bool) -> None:
        self.inside = was
        self.active = None if was else self.player


S = State()


def entry_point(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` as a call that is recorded and followed as one. It must be decided by its arguments, and change nothing but
    tensors among them."""

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        if asks and (answer := said(call, args, kwargs)) is not UNASKED:
            return answer
        player = S.active
        if player is None:
            return f(*args, **kwargs)
        return player.call(f, args, kwargs)

    asking.add(call.__code__)  # type: ignore[attr-defined]
    return call


def opaque(reason: str) -> None:
    """Said before something happens that no script can say: it ends recording, and following, in good order."""
    if S.player is not None:
        S.player.opaque(reason)


def note_write(t: Any, node: Any) -> None:
    """Said by in-place writes: ``node`` is the value written over."""
    if S.writes is not None and S.thread == get_ident():
        S.writes.append((t, node))
    elif t._slot is not None:
        opaque("an in-place write outside of any call")
