"""Which script a segment follows, and whether one is written: by the first call that it makes."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident, main_thread
from typing import Any

from ...devices.switches import is_on
from .. import record as rec
from ..overrides import foreign, overridden
from ..record import mode
from .follower import Follower
from .recorder import Recorder
from .script import Script
from .state import Player, S

SCRIPTS = 8  # kept for each first call, those used last
PATIENCE = 3  # segments in a row that could not be followed, after which only some are written down
FAILURES = 8  # to follow, in a row, after which the scripts are forgotten
PADDED = 4  # segments not written after one that ran in a program for any length
enabled = [is_on("LAZYXLA_REPLAY")]


_main = main_thread().ident


class Start:
    """What is known of the segments that begin with a call of one function."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.misses = 0
        self.failures = 0  # to follow to the end, in a row
        self.rest = 0  # segments to let pass without writing

    def recorder(self) -> Recorder | None:
        if self.rest > 0:
            self.rest -= 1
            return None
        return Recorder(self)

    def missed(self) -> None:
        """A segment could not be written down."""
        self.misses += 1
        if self.misses >= PATIENCE:
            self.rest = 1 << min(self.misses - PATIENCE + 2, 10)

    def learnt(self, script: Script) -> None:
        self.scripts = [script, *(s for s in self.scripts if not s.alike(script))][:SCRIPTS]

    def followed(self) -> None:
        """A segment was followed to its end."""
        self.misses = self.failures = 0

    def gave_up(self) -> None:
        """A segment began as a script does and went on otherwise: its calls were made twice."""
        self.failures += 1
        if self.failures >= FAILURES:
            self.scripts, self.failures = [], 0
            self.misses = max(self.misses, PATIENCE - 1)
            self.missed()


_starts: dict[Any, Start] = {}
FIRST_CALLS = 256  # functions that segments begin with, of which scripts are kept


def forget() -> None:
    """Forget all scripts."""
    _starts.clear()
    starter.last = None


class Starter(Player):
    """The player before the first call of a segment."""

    last: Script | None = None  # followed or written before

    def call(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_ident() != _main:
            return f(*args, **kwargs)  # other threads record as ever
        if rec.log or rec.packers or mode.eager or not enabled[0]:
            S.active = None
            return f(*args, **kwargs)
        others = foreign(args, kwargs)
        if others:
            return overridden(f, others, args, kwargs)
        start = _starts.get(f)
        if start is None:
            if len(_starts) >= FIRST_CALLS:
                forget()
            start = _starts[f] = Start()
        usual = None if self.last is None else self.last.after
        for script in sorted(start.scripts, key=lambda s: s is not usual):
            follower = Follower(start, script)
            if follower.begins(f, args, kwargs):
                S.set_player(follower)
                return follower.call(f, args, kwargs)
        player = start.recorder()
        S.set_player(player)
        return f(*args, **kwargs) if player is None else player.call(f, args, kwargs)

    def opaque(self, reason: str) -> None:
        pass

    def finish(self) -> None:
        return None

    # of a backward that goes on after a hook in it has ended the segment, as an optimizer's step does

    def accumulates(self, leaf: Any, known: Any) -> None:
        pass

    def accumulated(self, leaf: Any, grad: Any, known: Any) -> None:
        pass


starter = Starter()


def begins() -> None:
    """A segment begins."""
    S.set_player(starter if enabled[0] and not mode.eager else None)


def ended(script: Script) -> None:
    """A segment has ended that is this script."""
    if starter.last is not None:
        starter.last.after = script
    starter.last = script


def written(recorder: Recorder, script: Script | None, ran: list[Any]) -> None:
    """A segment has ended that was being written down; ``ran``: the programs that computed it."""
    if script is not None and recorder.link(script, ran):
        recorder.start.learnt(script)
        ended(recorder.start.scripts[0])
        return
    if ran:
        recorder.start.missed()
    else:  # by a program for any length, which cannot be followed; a length that comes often gets one of its own
        recorder.start.rest = PADDED
    starter.last = None


begins()
