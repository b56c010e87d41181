"""How the Python of an optimizer's step went, for compiled functions: its numbers depend on few of the parameters."""

from __future__ import annotations

from typing import Any

from ..lazy import Tensor
from .scalars import Count, Scalars


class Visit:
    """One parameter's update: whether it made numbers that no parameter before it had made, and its calls on tensors."""

    __slots__ = ("begin", "end", "group", "leads", "p", "state")

    def __init__(self, p: Any, state: dict[str, Any], group: dict[str, Any], leads: bool, begin: int, end: int) -> None:
        self.p, self.state, self.group, self.leads, self.begin, self.end = p, state, group, leads, begin, end


class Course:
    """A step of which only the parameters that make numbers run their update; of the others the steps are counted.

    It holds while nothing but learning rates (numbers) and step counts differs from the step that it was made of.
    """

    def __init__(self, optimizer: Any, visits: list[Visit], calls: list[Any]) -> None:
        self.optimizer, self.state = optimizer, optimizer.state
        self.groups = [(g, g["params"], len(g["params"]), _options(g)) for g in optimizer.param_groups]
        led: dict[Any, dict[str, Any]] = {}  # the state of whom each kind of parameter follows
        leaders = [v for v in visits if led.setdefault(_kind(v), v.state) is v.state or v.leads]
        self.leaders = [(v.p, v.state, v.group) for v in leaders]
        self.calls = [c for v in leaders for c in calls[v.begin : v.end]]
        alone = {id(v.state) for v in leaders}
        self.counted = [(v.state, led[_kind(v)]) for v in visits if id(v.state) not in alone and "step" in v.state]
        self.counts = any("step" in v.state for v in visits)
        self.rates: list[Any] = []  # at the last run

    def holds(self) -> bool:
        found = self.optimizer.param_groups
        return self.optimizer.state is self.state and len(found) == len(self.groups) and all(
            now is group and group["params"] is params and len(params) == count
            and not isinstance(group["lr"], Tensor) and _options(group) == options
            for now, (group, params, count, options) in zip(found, self.groups)
        ) and all(state["step"] == leader["step"] for state, leader in self.counted)  # fmt: skip

    def repeats(self) -> bool:
        """Whether the numbers of this step, which count no steps, are those of the last run: the rates are the same."""
        return not self.counts and self.rates == [group["lr"] for group, *_ in self.groups]

    def run(self) -> None:
        """Count the steps, and make the numbers of this one, in the order of the whole step."""
        self.rates = [group["lr"] for group, *_ in self.groups]
        shared: dict[int, Scalars] = {}
        for p, state, group in self.leaders:
            scalars = shared.get(id(group))
            if scalars is None:
                scalars = shared[id(group)] = Scalars(group["lr"])
            self.optimizer._update_one(p, state, group, scalars)
        for state, _ in self.counted:
            state["step"] = Count(state["step"] + 1)


def course(optimizer: Any, visits: list[Visit], calls: list[Any]) -> Course | None:
    """None where a step keeps numbers of its own, or options and rates that are tensors."""
    known = all(isinstance(v, Tensor) or k == "step" for visit in visits for k, v in visit.state.items())
    plain = not any(isinstance(v, Tensor) for g in optimizer.param_groups for k, v in g.items())
    return Course(optimizer, visits, calls) if known and plain else None


def _kind(v: Visit) -> Any:
    return id(v.group), v.p.dtype, v.p.device, v.state.get("step")


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in _FREE}


_FREE = ("lr", "params", "initial_lr", "param_names")
