"""Control flow that stays on the device: ``while_loop``, ``cond``, ``scan``, ``map``, ``associative_scan``.

Each records the functions that it is given once, on stand-ins, whatever the number of trips; they become the bodies of one
operation. What they read from outside becomes operands, and gradients flow to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..lazy import Tensor, dtypes
from ..lazy.functions.conversion import convert
from ..lazy.functions.joining import cat
from ..lazy.functions.shape import movedim
from ..lazy.graph import Aval
from ..lazy.ops.bridge import flatten, unflatten
from ..lazy.ops.control import Loop
from ..lazy.record import mode, user_line
from ..lazy.replay.inlay import Inlay
from ..lazy.replay.state import entry_point
from .pulls import pull_of, recorded
from .rules import control as rules

_loop = entry_point(rules.loop)
_choice = entry_point(rules.choice)


def _tensors(name: str, what: str, tree: Any) -> tuple[list[Tensor], Any]:
    leaves, structure = flatten(tree)
    for x in leaves:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: {what} must be tensors (in tuples, lists and dicts), got {type(x).__name__}  ({user_line()})"
            )
    return leaves, structure


def _one_device(name: str, tensors: Sequence[Tensor]) -> Any:
    devices = {t.device for t in tensors}
    if len(devices) > 1:
        names = " and ".join(sorted(map(str, devices)))
        raise RuntimeError(f"{name}: expected all tensors on one device, got {names}  ({user_line()})")
    return next(iter(devices))


def _given_back(name: str, what: str, tree: Any, expected: Sequence[Aval], structure: Any, inlay: Inlay) -> list[Tensor]:
    """What a body gives to be carried on, which must be of the types that it was given."""
    leaves, found = _tensors(name, f"what {what} gives back", tree)
    if found != structure:
        raise RuntimeError(
            f"{name}: {what} must give back the structure that it is given, {structure}, got {found}  ({user_line()})"
        )
    out = [inlay.replaced(t) for t in leaves]
    for k, (t, aval) in enumerate(zip(out, expected)):
        if t._aval() is not aval:
            raise RuntimeError(
                f"{name}: {what} must give back tensors of the types that it is given, but number {k} is {aval!r} and comes "
                f"back as {t._aval()!r}: shapes and dtypes stay the same from trip to trip  ({user_line()})"
            )
    return out


def scan(
    combine_fn: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, *, dim: int = 0, reverse: bool = False,
    length: int | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """``combine_fn(carry, x) -> (carry, y)`` for each slice ``x`` of ``xs`` along ``dim``: (last carry, all ``y`` stacked).

    ``init`` and ``xs`` are trees of tensors; ``y`` too, or None. The stacks [trips, ...] are in the order of ``xs``, with
    ``reverse`` too, which goes from the last slice to the first. ``length`` is needed where ``xs`` has no tensor.

    >>> lazyxla.scan(lambda c, x: (c + x, c * x), lazyxla.tensor(0.0), lazyxla.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))
    """
    state, structure = _tensors("scan", "init", init)
    slices, slices_structure = _tensors("scan", "xs", xs)
    for x in slices:
        if not -x.ndim <= dim < x.ndim:
            raise IndexError(f"scan: dim {dim} is out of range for a tensor in xs of shape {list(x.shape)}  ({user_line()})")
    sizes = {x.shape[dim] for x in slices} | ({length} if length is not None else set())
    if len(sizes) != 1:
        raise ValueError(
            f"scan: the tensors in xs must have one size along dim {dim}, and length be that, got "
            f"{sorted(sizes) if sizes else 'neither tensors nor a length'}  ({user_line()})"
        )
    if dim:
        slices = [movedim(x, dim, 0) for x in slices]
    trips = sizes.pop()
    if not state and not slices:
        raise ValueError(f"scan: at least one tensor is expected in init or xs  ({user_line()})")
    device = _one_device("scan", [*state, *slices])
    inlay = Inlay("scan")
    carried = [t._aval() for t in state]
    rows = [a.with_shape(a.shape[1:]) for a in (x._aval() for x in slices)]
    with inlay.recording():
        inputs = inlay.gives([Aval((), dtypes.int32, device), *carried, *rows])
        inlay.trip = inputs[0]
        c = unflatten(structure, inputs[1 : 1 + len(carried)])
        found = combine_fn(c, unflatten(slices_structure, inputs[1 + len(carried) :]))
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"scan: combine_fn must give back (carry, y), got {type(found).__name__}  ({user_line()})")
        out = _given_back("scan", "combine_fn", found[0], carried, structure, inlay)
        ys, ys_structure = _tensors("scan", "the outputs of combine_fn", found[1])
        out += [inlay.replaced(y) for y in ys]
        (body,), derivatives, outer = _recorded(inlay, [(inputs, out)])
    what = Loop(body, None, len(carried), len(rows), trips, reverse)
    if not out:
        return init, found[1]
    results = _loop(what, derivatives[0], *state, *slices, *outer)
    return unflatten(structure, results[: len(state)]), unflatten(ys_structure, results[len(state) :])


def _recorded(inlay: Inlay, bodies: list[tuple[Sequence[Tensor], list[Tensor]]]) -> tuple[list[Any], list[Any], list[Any]]:
    """The bodies as regions, their derivatives (None where gradients are not recorded), and the operands that they share."""
    gradients = [None if not mode.grad else ys for _, ys in bodies]
    regions, outer, standing = inlay.regions(bodies)
    derivatives: list[Any] = []
    for (inputs, ys), wanted in zip(bodies, gradients):
        if wanted is None:
            derivatives.append(None)
            continue
        every = [*inputs, *standing]
        nodes = [t._node for t in inputs] + [s._node if s is not None else t._node for s, t in zip(standing, outer)]
        found, cotangents = recorded(every, ys)
        derivatives.append(pull_of(nodes, [t._node or t._refresh() for t in ys], found, cotangents))
    return regions, derivatives, outer


def map(f: Callable[..., Any], xs: Any) -> Any:
    """``f`` of each slice of ``xs`` along dim 0, one after the other: what it gives, stacked.

    >>> lazyxla.map(lambda x: x.sum() * x, lazyxla.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 3.,  6.],
            [21., 28.]])
    """
    return scan(lambda _, x: ((), f(x)), (), xs)[1]


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any, *, max_trips: int | None = None
) -> Any:
    """``carried = body_fn(*carried)`` as long as ``cond_fn(*carried)``, a bool tensor of one element, holds.

    ``carried_inputs`` is a tuple (or list) of trees of tensors, whose shapes and dtypes stay the same. Forward derivatives
    (``lx.func.jvp``) are there in any case; gradients only with ``max_trips``, where the loop ends at the latest.

    >>> lazyxla.while_loop(lambda i, x: x < 100, lambda i, x: (i + 1, x * 2), (lazyxla.tensor(0), lazyxla.tensor(3.0)))
    (tensor(6), tensor(192.))
    """
    if not isinstance(carried_inputs, (tuple, list)):
        kind = type(carried_inputs).__name__
        raise TypeError(f"while_loop: carried_inputs must be a tuple or list, got {kind}  ({user_line()})")
    carried_inputs = tuple(carried_inputs)
    state, structure = _tensors("while_loop", "carried_inputs", carried_inputs)
    if not state:
        raise ValueError(f"while_loop: at least one tensor is expected among carried_inputs  ({user_line()})")
    if max_trips is not None and max_trips < 0:
        raise ValueError(f"while_loop: max_trips must not be negative, got {max_trips}  ({user_line()})")
    number = Aval((), dtypes.int32, _one_device("while_loop", state))
    carried = [t._aval() for t in state]
    inlay = Inlay("while_loop")
    with inlay.recording():
        given = inlay.gives([number, *carried])
        inlay.trip = given[0]
        test = _truth("while_loop", "cond_fn", inlay.replaced(cond_fn(*unflatten(structure, given[1:]))))
        inputs = inlay.gives([number, *carried])
        inlay.trip = inputs[0]
        found = body_fn(*unflatten(structure, inputs[1:]))
        found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        out = _given_back("while_loop", "body_fn", found, carried, structure, inlay)
        (test_region, body), derivatives, outer = _recorded(inlay, [(given, [test]), (inputs, out)])
    results = _loop(Loop(body, test_region, len(carried), 0, max_trips), derivatives[1], *state, *outer)
    return unflatten(structure, results[: len(state)])


def _truth(name: str, what: str, x: Any) -> Tensor:
    """A 0-d bool."""
    if not isinstance(x, Tensor) or x.dtype is not dtypes.bool_ or x.numel() != 1:
        got = f"{x.dtype.name}{list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise RuntimeError(f"{name}: {what} must be a bool tensor of one element, got {got}  ({user_line()})")
    return x if x.ndim == 0 else x.reshape(())


def cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Sequence[Any] = ()
) -> Any:
    """``true_fn(*operands)`` if ``pred``, a bool tensor of one element, holds, else ``false_fn(*operands)``. Only one of the
    two is computed. Both must give back trees of one structure with tensors of the same types. Gradients are those of the
    branch that is taken.

    >>> lazyxla.cond(lazyxla.tensor(True), lambda x: x + 1, lambda x: x - 1, (lazyxla.tensor([1.0, 2.0]),))
    tensor([2., 3.])
    """
    if not isinstance(operands, (tuple, list)):
        raise TypeError(f"cond: operands must be a tuple or list, got {type(operands).__name__}  ({user_line()})")
    if isinstance(pred, bool):
        return true_fn(*operands) if pred else false_fn(*operands)
    given, structure = _tensors("cond", "operands", tuple(operands))
    truth = _truth("cond", "pred", pred)
    _one_device("cond", [truth, *given])
    inlay = Inlay("cond")
    types = [t._aval() for t in given]
    bodies: list[Any] = []
    trees = []
    with inlay.recording():
        for name, f in (("false_fn", false_fn), ("true_fn", true_fn)):
            inputs = inlay.gives(types)
            leaves, tree = _tensors("cond", f"what {name} gives back", f(*unflatten(structure, inputs)))
            bodies.append((inputs, [inlay.replaced(t) for t in leaves]))
            trees.append(tree)
        avals = [[t._aval() for t in ys] for _, ys in bodies]
        if trees[0] != trees[1] or avals[0] != avals[1]:
            raise RuntimeError(
                f"cond: true_fn and false_fn must give back the same structure and types, got {avals[1]} in {trees[1]} and "
                f"{avals[0]} in {trees[0]}  ({user_line()})"
            )
        regions, derivatives, outer = _recorded(inlay, bodies)
    if not avals[0]:
        return unflatten(trees[0], [])
    pulls = None if None in derivatives else tuple(derivatives)
    results = _choice(tuple(regions), pulls, convert(truth, dtypes.int32), *given, *outer)
    return unflatten(trees[0], results)


def associative_scan(
    combine_fn: Callable[[Any, Any], Any], xs: Any, dim: int = 0, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """All prefixes of ``xs`` along ``dim`` combined by an associative function, in a number of steps that is logarithmic in
    the size: ``y[0] = x[0]``, ``y[k] = combine_fn(y[k - 1], x[k])``. ``combine_fn`` must act on each slice by itself, as
    functions of single elements do; ``combine_mode`` is taken for compatibility.

    >>> lazyxla.associative_scan(lambda a, b: a * b, lazyxla.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([ 1.,  2.,  6., 24.])
    """
    leaves, structure = _tensors("associative_scan", "xs", xs)
    if len({x.shape[dim] for x in leaves}) != 1:
        raise ValueError(
            f"associative_scan: the tensors in xs must have one size along dim {dim}, got "
            f"{sorted({x.shape[dim] for x in leaves})}  ({user_line()})"
        )
    leaves = [movedim(x, dim, 0) for x in leaves]
    if reverse:
        leaves = [x.flip(0) for x in leaves]

    def combined(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        both = combine_fn(unflatten(structure, a), unflatten(structure, b))
        found, _ = _tensors("associative_scan", "what combine_fn gives back", both)
        if [t._aval() for t in found] != [t._aval() for t in a]:
            raise RuntimeError(
                f"associative_scan: combine_fn must give back what it is given, {[t._aval() for t in a]}, got "
                f"{[t._aval() for t in found]}  ({user_line()})"
            )
        return found

    n, k = leaves[0].shape[0], 1
    while k < n:
        more = combined([x[: n - k] for x in leaves], [x[k:] for x in leaves])
        leaves = [cat([x[:k], y]) for x, y in zip(leaves, more)]
        k *= 2
    if reverse:
        leaves = [x.flip(0) for x in leaves]
    return unflatten(structure, [movedim(x, 0, dim) for x in leaves])


__all__ = ["associative_scan", "cond", "map", "scan", "while_loop"]
