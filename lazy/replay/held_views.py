"""Views that the program holds when a followed segment ends: tied to what they are views of, as their calls tie them."""

from __future__ import annotations

from typing import Any

from .. import record as rec
from ..graph import Node
from ..inference import note
from .again import handed_over
from .script import Leaf, Result, Slot
from .state import S


class HeldViews:
    """Those of one segment, which a follower has followed. ``made``: the tensors held, by the value they have;
    ``computed``: the values."""

    def __init__(self, follower: Any, made: dict[Slot, Any], computed: dict[int, Node]) -> None:
        self.follower, self.made, self.computed = follower, made, computed

    def tie(self, slot: Result, t: Any) -> None:
        """Let a tensor that is still held share its memory with those that it is a view of, as the call makes it."""
        if t._meta is not None and t._meta.domain is not None:
            return
        found = self._view(slot)
        if found is not None and found._meta is not None and found._meta.domain is not None:
            handed_over(found, t, keep_value=True)

    def _view(self, slot: Result) -> Any:
        """What the call of a view makes of what it is a view of; None where that is held by nobody any more."""
        call = self.follower.calls[slot.call]
        bases = [x for x in call.args if isinstance(x, Slot)]
        base = self._base(bases[0]) if len(bases) == 1 else None
        if base is None:
            return None
        was = S.enter()
        try:
            with rec.scratch():
                args = [base if isinstance(x, Slot) else self.follower.with_number(x, slot.call) for x in call.args]
                found = call.f(*args, **call.kwargs)
        finally:
            S.leave(was)
        found = found[call.results.index(slot)] if isinstance(found, (tuple, list)) else found
        if found._meta is not None:
            found._meta.untracked = not call.grad and base._edge is not None
        return found

    def _base(self, slot: Slot) -> Any:
        if slot not in self.made:
            if type(slot) is Leaf:
                return self.follower.bound[slot.index]
            if slot.index in self.computed:  # it is held by its view alone
                self.made[slot] = base = rec.wrap(self.computed[slot.index])
                if getattr(slot, "inference", False):
                    note(base)
            else:
                self.made[slot] = self._view(slot) if slot.layout is not None else None  # type: ignore[arg-type]
        return self.made[slot]
