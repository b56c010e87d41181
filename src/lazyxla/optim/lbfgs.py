"""L-BFGS, which follows the curvature that it has seen, with a line search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lazy as lx
from ..autograd import enable_grad, no_grad
from ..autograd.control import while_loop
from ..lazy import ops
from ..lazy.replay.state import entry_point
from .optimizer import Optimizer, Params
from .scalars import checked_rate


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu and Nocedal 1989) for one group of parameters; ``line_search_fn`` 'strong_wolfe' or None.

    ``step(closure)`` calls the closure up to ``max_eval`` times. Where it goes next depends on losses and slopes, so,
    unlike the other optimizers, it reads values, a few numbers an evaluation.
    """

    def __init__(
        self, params: Params, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        checked_rate(lr)
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        })  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to ``max_iter`` moves; returns the loss before the first."""
        if closure is None:
            raise TypeError("LBFGS.step() needs a closure that computes the loss and its gradients")
        with no_grad():
            return self._moves(_Problem(self.param_groups[0]["params"], closure))

    def _moves(self, problem: _Problem) -> Any:
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = problem.loss()
        loss, evaluations = float(first), 1
        state["func_evals"] += 1
        g = problem.gradient()
        size = g.abs()
        largest, total = lx.stack([size.max(), size.sum()]).tolist()
        if largest <= group["tolerance_grad"]:
            return first
        for n in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            before = state["prev_loss"] = loss
            state["prev_flat_grad"] = g
            t = float(group["lr"])
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / total)
            slope = float(lx.dot(g, d))
            state["d"], state["t"] = d, t
            if slope > -group["tolerance_change"]:
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = Point(0.0, loss, g, slope)
                found, used = strong_wolfe(problem.along(d), start, t, d, group["max_eval"] - evaluations)
                t, loss, g = found.t, found.f, found.g
                state["t"] = t
                problem.move(d, t)
            else:
                problem.move(d, t)
                if n != group["max_iter"]:
                    loss, g, used = float(problem.loss()), problem.gradient(), 1
            evaluations += used
            state["func_evals"] += used
            if n == group["max_iter"] or evaluations >= group["max_eval"]:
                break
            largest, moved = lx.stack([g.abs().max(), d.abs().max()]).tolist()
            if largest <= group["tolerance_grad"] or moved * abs(t) <= group["tolerance_change"]:
                break
            if abs(loss - before) < group["tolerance_change"]:
                break
        return first

    def _direction(self, state: dict[str, Any], g: Any, most: int) -> Any:
        """Minus the gradient times the inverse of the curvature that the last moves have shown."""
        if state["n_iter"] == 1:
            state.update(old_dirs=None, old_stps=None, ro=[], H_diag=1.0)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * lx.scalar(state["t"], g.dtype, g.device)
        product, length = lx.stack([lx.dot(y, s), lx.dot(y, y)]).tolist()
        if product > 1e-10:
            _remember(state, y, s, 1.0 / product, most)
            state["H_diag"] = product / length
        if not state["ro"]:
            return -g * lx.scalar(state["H_diag"], g.dtype, g.device)
        return _two_loops(g, state)

    def state_dict(self) -> dict[str, Any]:
        found = super().state_dict()
        for entries in found["state"].values():
            if "ro" in entries:
                places = _places(entries)
                for name in ("old_dirs", "old_stps"):
                    entries[name] = [entries[name][i] for i in places]
            entries.pop("newest", None)
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for entries in self.state.values():
            if "ro" not in entries:
                continue
            ys, ss, ro = entries["old_dirs"] or [], entries["old_stps"] or [], entries["ro"]
            entries.update(old_dirs=None, old_stps=None, ro=[])
            for y, s, r in zip(ys, ss, ro):
                _remember(entries, y, s, float(r), self.param_groups[0]["history_size"])
        lx.sync()


# --- the history ------------------------------------------------------------------------------------------------

# A ring of rows [m, n] for each of y and s, so that a history of any length is one program: a new row takes the place of
# the oldest, and the two loops below go on for as many trips as there are rows. ``ro`` lists 1 / (y . s), oldest first.

LARGE = 1 << 27  # bytes of history up to which all of it is there from the start


def _places(state: dict[str, Any]) -> list[int]:
    """Where in the ring the rows lie, the oldest first."""
    rows, count = state["old_dirs"], len(state["ro"])
    return [(state["newest"] - count + 1 + i) % rows.shape[0] for i in range(count)]


def _remember(state: dict[str, Any], y: Any, s: Any, share: float, most: int) -> None:
    """Add a move to the history, in place of the oldest where there are ``most``."""
    rows, count = state["old_dirs"], len(state["ro"])
    if rows is None or count == rows.shape[0] < most:
        size = y.numel() * y.dtype.itemsize
        more = min(most - count, max(count, 16)) if 2 * most * size > LARGE else most - count
        order = _places(state)
        for name in ("old_dirs", "old_stps"):
            empty = np.zeros((more, y.numel()), y.dtype.numpy)  # computed already: no other program than later
            new = lx.tensor(empty, dtype=y.dtype, device=y.device)
            state[name] = new if rows is None else lx.cat([state[name][order], new])
        state["newest"] = count - 1
        lx.sync()
    state["newest"] = (state["newest"] + 1) % state["old_dirs"].shape[0]
    at = lx.scalar(state["newest"], lx.int32, y.device)
    for name, new in (("old_dirs", y), ("old_stps", s)):
        state[name] = _with_row(state[name], new, at)
    state["ro"] = [*state["ro"], share][-most:]


@entry_point
def _row(rows: Any, i: Any) -> Any:
    """rows[i], for an int32 that the device knows."""
    rest = tuple(rows.shape[1:])
    return ops.dynamic_slice(rows, i, *[i - i for _ in rest], sizes=(1, *rest)).reshape(rest)


@entry_point
def _with_row(rows: Any, new: Any, i: Any) -> Any:
    """rows with rows[i] replaced."""
    rest = tuple(rows.shape[1:])
    return ops.dynamic_update_slice(rows, new.reshape(1, *rest), i, *[i - i for _ in rest])


def _two_loops(g: Any, state: dict[str, Any]) -> Any:
    """Minus the inverse curvature times g (Nocedal and Wright 2006, 7.4), from the newest row to the oldest and back."""
    ys, ss = state["old_dirs"], state["old_stps"]
    m, count = ys.shape[0], len(state["ro"])
    shares = np.zeros(m, g.dtype.numpy)
    shares[_places(state)] = state["ro"]
    ro = lx.tensor(shares, dtype=g.dtype, device=g.device)
    newest, trips = (lx.scalar(k, lx.int32, g.device) for k in (state["newest"], count))
    zero = lx.zeros((), dtype=lx.int32, device=g.device)

    def place(k: Any) -> Any:
        return lx.where(k > newest, newest - k + m, newest - k)

    def back(k: Any, q: Any, weights: Any) -> Any:
        i = place(k)
        weight = lx.dot(_row(ss, i), q) * _row(ro, i)
        return k + 1, q - _row(ys, i) * weight, _with_row(weights, weight, k)

    def forth(k: Any, q: Any) -> Any:
        i = place(k)
        return k - 1, q + _row(ss, i) * (_row(weights, k) - lx.dot(_row(ys, i), q) * _row(ro, i))

    _, q, weights = while_loop(lambda k, q, weights: k < trips, back, (zero, -g, lx.zeros_like(ro)))
    q = q * lx.scalar(state["H_diag"], g.dtype, g.device)
    return while_loop(lambda k, q: k >= 0, forth, (trips - 1, q))[1]


# --- what is minimised ------------------------------------------------------------------------------------------


class _Problem:
    """What is minimised: the parameters as one vector, the closure's loss, and the gradient."""

    def __init__(self, params: list[Any], closure: Callable[[], Any]) -> None:
        self.params, self.closure = params, closure

    def loss(self) -> Any:
        """What the closure gives. It is apart from what comes before and after, so that all evaluations are one program."""
        lx.sync("LBFGS")
        with enable_grad():
            loss = self.closure()
        lx.sync("LBFGS")
        return loss

    def gradient(self) -> Any:
        return lx.cat([_flat(lx.zeros_like(p) if p.grad is None else p.grad) for p in self.params])

    def move(self, d: Any, t: float) -> None:
        """Each parameter moved by its part of t * d."""
        at, step = 0, lx.scalar(t, d.dtype, d.device)
        for p in self.params:
            real = lx.view_as_real(p) if p.is_complex() else p
            n = real.numel()
            real.add_(d[at : at + n].reshape(real.shape) * step)
            at += n

    def along(self, d: Any) -> Callable[[float], Point]:
        """The loss, gradient and slope at t * d from here."""

        def at(t: float) -> Point:
            saved = [p.detach().clone() for p in self.params]
            self.move(d, t)
            loss, g = self.loss(), self.gradient()
            slope = lx.dot(g, d)
            for p, value in zip(self.params, saved):
                p.copy_(value)
            f, gtd = float(loss), float(slope)
            return Point(t, f, g, gtd)

        return at


def _flat(g: Any) -> Any:
    return (lx.view_as_real(g) if g.is_complex() else g).detach().reshape(-1)


# --- line search ------------------------------------------------------------------------------------------------


class Point(NamedTuple):
    """A place on the line: how far, the loss, the gradient, and the slope along the line."""

    t: float
    f: float
    g: Any
    slope: float


def interpolated(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """The minimum of the cubic with the values and slopes of two points, kept within bounds (or between them)."""
    low, high = bounds if bounds is not None else (min(a.t, b.t), max(a.t, b.t))
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square < 0:
        return (low + high) / 2
    d2 = square**0.5
    if a.t > b.t:
        a, b = b, a
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, d: Any, most: int, c1: float = 1e-4, c2: float = 0.9,
    least: float = 1e-9,
) -> tuple[Point, int]:  # fmt: skip
    """A point where the loss has fallen enough and the slope is flat enough (Nocedal and Wright 2006, 3.5 and 3.6), and
    how often the loss was evaluated; the best point seen where ``most`` evaluations do not find one."""

    def too_high(p: Point) -> bool:
        return p.f > start.f + c1 * p.t * start.slope

    def flat(p: Point) -> bool:
        return abs(p.slope) <= -c2 * start.slope

    evaluations, tries = 1, 0
    before, new = start, at(t)
    bracket: list[Point] = []
    while tries < most:
        if too_high(new) or (tries > 1 and new.f >= before.f):
            bracket = [before, new]
            break
        if flat(new):
            return new, evaluations
        if new.slope >= 0:
            bracket = [before, new]
            break
        t = interpolated(before, new, (new.t + 0.01 * (new.t - before.t), new.t * 10))
        before, new = new, at(t)
        evaluations, tries = evaluations + 1, tries + 1
    if not bracket:
        bracket = [start, new]
    longest = float(d.abs().max())
    low, high = sorted(bracket, key=lambda p: p.f)
    stuck = False
    while tries < most:
        if abs(high.t - low.t) * longest < least:
            break
        t = interpolated(bracket[0], bracket[1])
        left, right = min(low.t, high.t), max(low.t, high.t)
        edge = 0.1 * (right - left)
        if min(right - t, t - left) < edge:  # too close to an end: allowed once
            if stuck or t >= right or t <= left:
                t = right - edge if abs(t - right) < abs(t - left) else left + edge
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = at(t)
        evaluations, tries = evaluations + 1, tries + 1
        if too_high(new) or new.f >= low.f:
            bracket[0 if bracket[0] is high else 1] = new
            low, high = (bracket[0], bracket[1]) if bracket[0].f <= bracket[1].f else (bracket[1], bracket[0])
            continue
        if flat(new):
            return new, evaluations
        where = 0 if bracket[0] is low else 1
        if new.slope * (high.t - low.t) >= 0:
            high = low
            bracket[1 - where] = low
        low = bracket[where] = new
    return low, evaluations
