"""Functions of one example as functions of a batch, as ``torch.func.vmap``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..lazy import Tensor, default_generator, views
from ..lazy import public as lx
from ..lazy.record import user_line
from ..lazy.replay.state import S, opaque
from ..lazy.replay.trees import flatten, rebuild

if TYPE_CHECKING:
    from ..autograd.batching import Batch

Dims = Any  # an int, None, or containers of these


def vmap(
    func: Callable[..., Any], in_dims: Dims = 0, out_dims: Dims = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """The function that does for each of a batch what ``func`` does for one example, as one computation.

    ``in_dims`` says along which dim of each positional argument the examples lie (None: the same for all), ``out_dims``
    along which dim of each result they go. Keyword arguments are the same for all. Random draws inside are an error, or the
    'same' or 'different' for the examples, as ``randomness`` says. ``chunk_size``: how many examples at once.

    Raises ValueError for dims that do not fit the arguments, RuntimeError where a value is read inside.

    >>> lazyxla.vmap(lazyxla.dot)(lazyxla.ones(2, 3), lazyxla.ones(2, 3))
    tensor([3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"vmap: randomness must be 'error', 'different' or 'same', got {randomness!r}  ({user_line()})")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0, got {chunk_size}  ({user_line()})")
    name = getattr(func, "__name__", type(func).__name__)

    def mapped(*args: Any, **kwargs: Any) -> Any:
        opaque("vmap")
        captured = S.capture is not None
        was = S.inside if captured else S.enter()  # what is called for one example is no call of the program's
        try:
            return _Call(func, name, in_dims, out_dims, randomness, args, kwargs).in_chunks(chunk_size)
        finally:
            if not captured:
                S.leave(was)

    mapped.__name__ = name
    mapped.__doc__ = getattr(func, "__doc__", None)
    return mapped


class _Call:
    """One call of a mapped function: its arguments' leaves, and where the examples lie in each."""

    def __init__(
        self, func: Callable[..., Any], name: str, in_dims: Dims, out_dims: Dims, randomness: str, args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:  # fmt: skip
        self.func, self.name, self.out_dims, self.randomness, self.kwargs = func, name, out_dims, randomness, kwargs
        _check_out_dims(name, out_dims)
        self.leaves: list[Any] = []
        self.structure = flatten(args, self.leaves)
        self.dims = _in_dims(name, in_dims, args, self.structure, self.leaves)
        sizes = {t.shape[d] for t, d in zip(self.leaves, self.dims) if d is not None}
        if len(sizes) != 1:
            what = f"got sizes {sorted(sizes)}" if sizes else "but all in_dims are None"
            raise ValueError(
                f"vmap({name}): expected all tensors to have the same size in the mapped dimension, {what}  ({user_line()})"
            )
        (self.size,) = sizes

    def in_chunks(self, chunk_size: int | None) -> Any:
        if chunk_size is None or chunk_size >= self.size:
            return self.once(self.leaves, self.size)
        begun = default_generator._seed, default_generator._count
        parts: list[list[Any]] = []
        structure: Any = None
        for first in range(0, self.size, chunk_size):
            n = min(chunk_size, self.size - first)
            if self.randomness == "same":
                default_generator._seed, default_generator._count = begun
            leaves = [t if d is None else t.narrow(d, first, n) for t, d in zip(self.leaves, self.dims)]
            part: list[Any] = []
            structure = flatten(self.once(leaves, n), part)
            parts.append(part)
        dims = _out_dims(self.name, self.out_dims, structure, len(parts[0]))
        joined = [p[0] if d is None else lx["cat"](list(p), d) for p, d in zip(zip(*parts), dims)]
        return rebuild(structure, iter(joined).__next__)

    def once(self, leaves: Sequence[Any], size: int) -> Any:
        """All examples at once."""
        from ..autograd.batching import Batch  # here, since its rules for every primitive are for those who use vmap

        level = Batch(max(size, 1), self.randomness, self.name)
        fronts = [None if d is None else t if d == 0 else t.movedim(d, 0) for t, d in zip(leaves, self.dims)]
        ones = [t if f is None else level.placeholder(_padded(f)) for t, f in zip(leaves, fronts)]
        begun = [None if f is None else one._node for one, f in zip(ones, fronts)]
        found: list[Any] = []
        with level.recording():
            structure = flatten(self.func(*rebuild(self.structure, iter(ones).__next__), **self.kwargs), found)
            dims = _out_dims(self.name, self.out_dims, structure, len(found))
            written = [k for k, n in enumerate(begun) if n is not None and (ones[k]._node or ones[k]._refresh()) is not n]
            for t, d in zip(found, dims):
                _check_result(self.name, level, t, d)
        outputs = [t for t, d in zip(found, dims) if d is not None]
        batches = level.finish([*outputs, *[ones[k] for k in written]])
        for k, new in zip(written, batches[len(outputs) :]):
            views.assign(fronts[k], _cut(new, size), "an in-place op inside vmap")
        results = iter([_cut(b, size) for b in batches[: len(outputs)]])
        placed = [t if d is None else _placed(self.name, next(results), d) for t, d in zip(found, dims)]
        return rebuild(structure, iter(placed).__next__)


def _padded(t: Tensor) -> Tensor:
    """A batch of no examples as a batch of one."""
    return t if t.shape[0] else lx["cat"]([t, t.new_zeros((1, *t.shape[1:]))])  # type: ignore[no-any-return]


def _cut(t: Tensor, size: int) -> Tensor:
    return t if size else t[:0]


def _placed(name: str, t: Tensor, dim: int) -> Tensor:
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(
            f"vmap({name}): Dimension out of range (expected to be in range of [{-t.ndim}, {t.ndim - 1}], but got {dim}): "
            f"out_dims of a result of {t.ndim} dims  ({user_line()})"
        )
    return t if dim in (0, -t.ndim) else t.movedim(0, dim)


def _check_result(name: str, level: Batch, t: Any, dim: int | None) -> None:
    if dim is None:
        if isinstance(t, Tensor) and level.varies(t._node or t._refresh()):
            raise ValueError(f"vmap({name}): a result with out_dims=None differs from example to example  ({user_line()})")
    elif not isinstance(t, Tensor):
        raise ValueError(f"vmap({name}): the function must only return Tensors, got {type(t).__name__}  ({user_line()})")
    elif t._node is None:
        t._refresh()


def _is_dim(x: Any) -> bool:
    return x is None or (isinstance(x, int) and not isinstance(x, bool))


def _check_out_dims(name: str, out_dims: Dims) -> None:
    found: list[Any] = []
    flatten(out_dims, found)
    if not all(map(_is_dim, found)):
        raise ValueError(
            f"vmap({name}): out_dims must be an int or a collection of ints, got {out_dims!r}  ({user_line()})"
        )


def _in_dims(name: str, in_dims: Dims, args: tuple[Any, ...], structure: Any, leaves: list[Any]) -> list[int | None]:
    """Of each leaf, where the examples lie."""
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}): expected in_dims to be an int or a (potentially nested) tuple, got {type(in_dims).__name__}"
            f"  ({user_line()})"
        )
    if not leaves:
        raise ValueError(f"vmap({name}): got no inputs: there is nothing to map over  ({user_line()})")
    dims = _matched(in_dims, structure)
    if dims is None:
        raise ValueError(
            f"vmap({name}): in_dims {in_dims!r} does not have the structure of the {len(args)} inputs  ({user_line()})"
        )
    return [_in_dim(name, t, d) for t, d in zip(leaves, dims)]


def _in_dim(name: str, t: Any, d: Any) -> int | None:
    if not _is_dim(d):
        raise ValueError(f"vmap({name}): got in_dim={d!r}, expected an int or None  ({user_line()})")
    if d is None:
        return None
    if not isinstance(t, Tensor):
        raise ValueError(
            f"vmap({name}): got in_dim={d} for an input of type {type(t).__name__}, which cannot be mapped over: use None "
            f"there  ({user_line()})"
        )
    if not -t.ndim <= d < t.ndim:
        raise ValueError(
            f"vmap({name}): got in_dim={d} for an input of {t.ndim} dims, expected one in [{-t.ndim}, {t.ndim})  "
            f"({user_line()})"
        )
    return int(d % t.ndim)


def _out_dims(name: str, out_dims: Dims, structure: Any, count: int) -> list[Any]:
    """Of each leaf of the result, where the examples go."""
    if structure is None and isinstance(out_dims, tuple) and len(out_dims) == 1:
        out_dims = out_dims[0]
    dims = _matched(out_dims, structure)
    if dims is None:
        raise ValueError(
            f"vmap({name}): out_dims {out_dims!r} does not have the structure of the function's {count} results"
            f"  ({user_line()})"
        )
    return dims


def _matched(dims: Dims, structure: Any) -> list[Any] | None:
    """A dim for each leaf: one of ``dims`` stands for all that is below its place. None where containers differ."""
    if not isinstance(dims, (tuple, list, dict)):
        return [dims] * _count(structure)
    if structure is None:
        return None
    if isinstance(dims, dict):
        if len(structure) != 3 or set(dims) != set(structure[1]):
            return None
        below = [_matched(dims[k], s) for k, s in zip(structure[1], structure[2])]
    else:
        # results that are a list may be described by a tuple, as those of a tuple
        if len(structure) != 2 or len(dims) != len(structure[1]):
            return None
        below = [_matched(d, s) for d, s in zip(dims, structure[1])]
    found: list[Any] = []
    for part in below:
        if part is None:
            return None
        found += part
    return found


def _count(structure: Any) -> int:
    return 1 if structure is None else sum(map(_count, structure[-1]))


__all__ = ["vmap"]
