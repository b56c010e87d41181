"""Derivatives of gather and scatter: each is the other's."""

from __future__ import annotations

from typing import Any

from ...lazy import ops
from ...lazy.functions.conversion import convert, full_like_type
from ..table import vjp


def _gather(g: Any, y: Any, x: Any, indices: Any, offset_dims: Any, collapsed: Any, index_map: Any, sizes: Any) -> Any:
    return ops.scatter(
        full_like_type(x, 0), _inside(x, indices, index_map, sizes), g,
        window_dims=offset_dims, inserted=collapsed, index_map=index_map, combine="add",
    )  # fmt: skip


def _inside(x: Any, indices: Any, index_map: Any, sizes: Any) -> Any:
    """The places that gather really read: it moves those outside to the edge, and scatter would drop them."""
    import numpy as np

    from ...lazy.functions.conversion import broadcast_to, constant

    top = np.array([x.shape[d] - sizes[d] for d in index_map])
    limit = broadcast_to(constant(top, indices.dtype, indices.device), tuple(indices.shape))
    return ops.maximum(ops.minimum(indices, limit), full_like_type(indices, 0))


def _windows(g: Any, x: Any, indices: Any, updates: Any, window_dims: Any, inserted: Any, index_map: Any) -> Any:
    """From a gradient of the whole, the windows that updates were written to; 0 for those that were dropped."""
    sizes = []
    kept = iter(window_dims)
    for d in range(x.ndim):
        sizes.append(1 if d in inserted else updates.shape[next(kept)])
    found = ops.gather(g, indices, offset_dims=window_dims, collapsed=inserted, index_map=index_map, sizes=tuple(sizes))
    real = _inside(x, indices, index_map, sizes)
    same = ops.reduce_and(ops.compare(real, indices, direction="EQ"), axes=(indices.ndim - 1,))
    batch = tuple(d for d in range(updates.ndim) if d not in window_dims)
    return ops.select(
        ops.broadcast_in_dim(same, shape=tuple(updates.shape), dims=batch), found, full_like_type(found, 0)
    )


def _scatter_operand(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, window_dims: Any, inserted: Any, index_map: Any, combine: str
) -> Any:
    where = {"window_dims": window_dims, "inserted": inserted, "index_map": index_map}
    if combine == "add":
        return g
    if combine == "set":
        return ops.scatter(g, indices, full_like_type(updates, 0), combine="set", **where)
    if combine == "mul":
        return g * ops.scatter(full_like_type(x, 1), indices, updates, combine="mul", **where).conj()
    return g / _ties(y, x, indices, updates, where) * convert(_won(x, y), g.dtype)


def _scatter_updates(
    g: Any, y: Any, x: Any, indices: Any, updates: Any, window_dims: Any, inserted: Any, index_map: Any, combine: str
) -> Any:
    where = {"window_dims": window_dims, "inserted": inserted, "index_map": index_map}
    if combine in ("add", "set"):
        return _windows(g, x, indices, updates, **where)
    if combine == "mul":
        # beside a factor of 0 the product of the others is not y / factor: it is made without the zeros
        none = ops.compare(updates, full_like_type(updates, 0), direction="EQ")
        zeros = ops.scatter(full_like_type(x, 0), indices, convert(none, x.dtype), combine="add", **where)
        safe = ops.select(none, full_like_type(updates, 1), updates)
        product = ops.scatter(x, indices, safe, combine="mul", **where)
        alone = ops.compare(zeros, full_like_type(zeros, 1), direction="EQ")
        rest = ops.select(alone, product, full_like_type(product, 0))
        factor = ops.select(
            none, _windows(rest, x, indices, updates, **where), _windows(y, x, indices, updates, **where) / safe
        )
        return _windows(g, x, indices, updates, **where) * factor.conj()
    won = _won(updates, _windows(y, x, indices, updates, **where))
    return _windows(g / _ties(y, x, indices, updates, where), x, indices, updates, **where) * convert(won, g.dtype)


def _won(x: Any, y: Any) -> Any:
    """Whether elements are the extreme: equal to it, or NaN, as it then is."""
    return ops.bit_or(ops.compare(x, y, direction="EQ"), ops.compare(x, x, direction="NE"))


def _ties(y: Any, x: Any, indices: Any, updates: Any, where: Any) -> Any:
    """At each place, how many of the operand and the updates are the extreme."""
    won = _won(updates, _windows(y, x, indices, updates, **where))
    own = convert(_won(x, y), y.dtype)
    count = ops.scatter(own, indices, convert(won, y.dtype), combine="add", **where)
    return ops.maximum(count, full_like_type(count, 1))


vjp(ops.gather, _gather, None)
vjp(ops.scatter, _scatter_operand, None, _scatter_updates)
