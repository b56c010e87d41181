"""Gradients of random programs of views, in-place writes and arithmetic, against finite differences.

A program is a list of pairs: an operation, and the seed of what it chooses; so it can be run again, from points nearby. All
is evaluated by the interpreter of the recorded graph, which costs no compiling; some programs run eagerly as well.
"""

import random

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy.interpret import interpret_all
from tests import plans

SHAPES = [(), (3,), (2, 3)]
MOST = 60  # elements of a value
STEP = 1e-5


def view_of_all(t, rng):
    return rng.choice([lambda: t[...], lambda: t.view(t.shape), lambda: t.view_as(t), lambda: t.reshape(-1)])()


def piece(t, rng):
    if t.ndim == 0:
        return t.unsqueeze(0)
    d = rng.randrange(t.ndim)
    k = rng.randrange(t.shape[d])
    return rng.choice([
        lambda: t.select(d, k), lambda: t.narrow(d, k, t.shape[d] - k), lambda: t.transpose(0, d), lambda: t[None],
        lambda: t.flip(d), lambda: t.unbind(d)[k], lambda: t[(slice(None),) * d + (slice(k, None, 2),)],
        lambda: t.diagonal() if t.ndim > 1 else t.unfold(0, 1, 2),
    ])()  # fmt: skip


def parts(t, rng):
    """What complex tensors have: their parts and pairs."""
    if t.is_complex():
        found = rng.choice([t.conj, t.conj_physical, lambda: t.real, lambda: t.imag, lambda: lx.view_as_real(t.resolve_conj())])
        return found()
    return lx.complex(t, t * 0.5)


def smooth(t, rng):
    return rng.choice([t.sin, t.tanh, t.square, t.clone, lambda: t * 0.7, lambda: 1 - t, lambda: (t * 0.3).exp(), t.cos])()


def total(t, rng):
    return rng.choice([t.sum, t.mean, lambda: t.cumsum(0) if t.ndim else t * 2, lambda: t.sum(-1)])()


def pair(t, rng, u):
    found = rng.choice([lambda: t * u, lambda: t + u, lambda: t - u, lambda: t / (2 + u * u.conj())])
    return found() if fits(u, t) or fits(t, u) else t * 2


def fits(u, t):
    try:
        return np.broadcast_shapes(tuple(u.shape), tuple(t.shape)) == tuple(t.shape)
    except ValueError:
        return False


def write(t, rng):
    """In place, of the tensor itself."""
    k = rng.choice([0.0, 0.5, 2.0])
    rng.choice([
        lambda: t.fill_(k), t.zero_, lambda: t.mul_(k), lambda: t.add_(k), t.sin_, t.tanh_, t.square_, t.neg_, t.exp_,
        lambda: t.mul_(t), lambda: t.__setitem__(..., k), lambda: t.mul_(1j if t.is_complex() else -1),
    ])()  # fmt: skip


def write_piece(t, rng):
    write(piece(t, rng), rng) if t.ndim else write(t, rng)


def write_other(t, rng, u):
    u = u.real if u.is_complex() and not t.is_complex() else u
    if fits(u, t):
        rng.choice([
            lambda: t.copy_(u), lambda: t.mul_(u), lambda: t.add_(u), lambda: t.__setitem__(..., u), lambda: t.sub_(u),
            lambda: t.fill_(u) if u.ndim == 0 else t.add_(u, alpha=2),
        ])()  # fmt: skip


MAKING = {"all": view_of_all, "piece": piece, "parts": parts, "smooth": smooth, "total": total, "pair": pair}
WRITING = {"write": write, "write_piece": write_piece, "write_other": write_other}


def run(plan, leaves):
    """The number that the program makes of its leaves. What PyTorch forbids, such as writing to a leaf, is left out: where
    an operation raises in one run, it does in each."""
    values = list(leaves)
    for name, seed in plan:
        rng = random.Random(seed)
        t, u = rng.choice(values), rng.choice(values)
        f = MAKING.get(name) or WRITING[name]
        try:
            made = f(t, rng, u) if name in ("pair", "write_other") else f(t, rng)
        except RuntimeError as e:
            assert any(known in str(e) for known in ("leaf Variable", "single memory location")), e
            continue
        if name in MAKING and made.numel() <= MOST and made.is_floating_point() | made.is_complex():
            values.append(made)
    loss = lx.zeros((), dtype=lx.float64)
    for v in values:
        v = lx.view_as_real(v.resolve_conj()) if v.is_complex() else v
        loss = loss + (v * 0.3).sin().sum()
    return loss


def start(plan):
    rng = np.random.default_rng(len(plan))
    return [rng.uniform(0.5, 1.5, shape) for shape in SHAPES]


def gradients(plan, points):
    """None where the program writes over what its derivative needs, and says so."""
    leaves = [lx.tensor(p, requires_grad=True) for p in points]
    try:
        return lx.autograd.grad(run(plan, leaves), leaves)
    except RuntimeError as e:
        assert "modified by an inplace operation" in str(e), e
        return None


def of(examples, longest):
    return plans.of([*MAKING, *WRITING], examples, 2, longest)


def check(plan):
    """The derivative along a random direction."""
    points = start(plan)
    found = gradients(plan, points)
    if found is None:
        return
    rng = np.random.default_rng(7)
    along = [rng.standard_normal(p.shape) for p in points]
    sides = [
        run(plan, [lx.tensor(p + by * d, requires_grad=True) for p, d in zip(points, along)]) for by in (STEP, -STEP)
    ]
    above, below, *exact = interpret_all([*sides, *found])
    expected = float(above - below) / (2 * STEP)
    if np.isfinite(expected) and abs(expected) < 1e6:
        slope = sum(float((g * d).sum()) for g, d in zip(exact, along))
        assert slope == pytest.approx(expected, rel=1e-4, abs=1e-5), plan


@of(300, longest=12)
def test_gradients_are_finite_differences(plan):
    with np.errstate(all="ignore"):
        check(plan)


@of(12, longest=6)
def test_eager_gradients_are_the_lazy_ones(plan):
    points = start(plan)
    lazy = gradients(plan, points)
    with lx.eager():
        eager = gradients(plan, points)
    assert (lazy is None) == (eager is None)
    for a, b in zip(interpret_all(lazy or ()), eager or ()):
        np.testing.assert_allclose(b.numpy(), a, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@of(5_000, longest=30)
def test_many_gradients_are_finite_differences(plan):
    with np.errstate(all="ignore"):
        check(plan)
