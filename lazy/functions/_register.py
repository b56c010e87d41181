"""Making functions public, methods of ``Tensor``, and in-place methods out of functions."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..demands import demands, holding
from ..overrides import foreign, kind_of, overridden
from ..record import mode, user_line
from ..replay.arguments import numeric
from ..replay.follower import readers
from ..replay.state import S, entry_point
from ..subclassing import UNASKED, asking, asks, said
from ..tensors import Tensor
from ..views import assign, overlap_in_part, replace, write_begins

F = TypeVar("F", bound=Callable[..., Any])
#: PyTorch's function namespace: what ``lazyxla.NAME`` offers.
public: dict[str, Any] = {}
_offered: dict[Any, Any] = {}
# Names of arguments that PyTorch takes too: NumPy's, and those of another overload or of the method.
_OTHER_NAMES = {
    "axis": "dim",
    "axes": "dims",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
    "axis0": "dim0",
    "axis1": "dim1",
    "split_size": "split_size_or_sections",
    "split_sizes": "split_size_or_sections",
    "indices": "indices_or_sections",
    "sections": "indices_or_sections",
    "input2": "L",
    "element": "elements",
    "test_element": "test_elements",
    "physical_layout": "stride",
    "train": "training",
}


# What makes tensors of values that the host has, or only tells facts: no part of a recorded program.
_HOST = {
    "tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "from_file", "frombuffer", "scalar", "manual_seed", "seed",
    "initial_seed", "get_rng_state", "set_rng_state", "is_tensor", "is_floating_point", "is_complex", "numel",
    "is_nonzero", "is_same_size", "new_tensor", "pin_memory", "is_pinned", "is_inference",
}  # fmt: skip
# What gives other kinds of tensors: a script says the calls of which it is made.
_HOST |= {
    "sparse_coo_tensor", "sparse_csr_tensor", "sparse_csc_tensor", "sparse_compressed_tensor", "to_sparse",
    "to_sparse_coo", "to_sparse_csr", "to_sparse_csc", "sparse_mask",
}  # fmt: skip


# What looks at the type of a tensor alone, and so would take any object that has one.
_BY_TYPE = {
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like", "isreal",
    "bernoulli",
}  # fmt: skip


def _asking(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f``, with other kinds of tensors asked before."""

    @functools.wraps(f)
    def asking(*args: Any, **kwargs: Any) -> Any:
        others = foreign(args, kwargs)
        return overridden(f, others, args, kwargs) if others else f(*args, **kwargs)

    return asking


# Whose ``out`` must be of the result's type, where other functions convert what they put there.
_EXACT_OUT = set(
    """abs addbmm addmm addmv amax amin argmax argmin baddbmm bmm bucketize ceil complex cross diag diff dot float_power
    floor frac gather heaviside histc index_add index_reduce index_select inner inv isin isneginf isposinf linear
    logcumsumexp masked_select matmul mm msort multinomial mv nan_to_num neg nonzero polar quantile nanquantile renorm
    round scatter scatter_add scatter_reduce searchsorted sgn sign signbit slice_scatter take take_along_dim tensordot
    tril triu trunc vdot where""".split()
)
# Whose result PyTorch computes apart from ``out``, which may then overlap what it is computed of.
_APART = set(
    """amax amin argmax argmin bmm cholesky cholesky_inverse cholesky_solve diag dot histc inner inverse log_softmax
    logsumexp lu_solve matmul mean mm mv mvlgamma nanmean nanquantile nansum norm ormqr quantile slice_scatter softmax std
    sum tensordot tril triu var vdot""".split()
)
_ROOMS_APART = ("linalg.factors", "linalg.norms", "linalg.spectra", "linalg.systems", "fft.transforms")
_ANY_OUT = {"geqrf", "lu", "lstsq", "eig"}  # of those with several results

# With which a plain call may fail that goes on otherwise.
_FAILURES = (TypeError, AttributeError, RuntimeError)


def offered(f: Callable[..., Any]) -> Any:
    """``f`` as users call it: with ``out=``, other names of its arguments, and TypeErrors that say which argument.

    All of that is looked at only when the plain call fails, so that it costs the others nothing. A script says the call
    as one (see ``replay``).
    """
    found = _offered.get(f)
    if found is None:
        original = f
        if f.__name__ in _BY_TYPE:
            f = _asking(f)

        def plain(*args: Any, **kwargs: Any) -> Any:
            try:
                return f(*args, **kwargs)
            except _FAILURES as error:
                return _second_try(f, args, kwargs, error)

        plain.__name__ = f.__name__
        found = _unwatched(plain) if f.__name__ in _HOST else _watched(f, plain)
        if original in demands:
            fine, error, when = demands[original]
            found = holding(found, offered(fine), error, when)
        found = _offered[original] = functools.wraps(f)(found)
    return found


def _watched(f: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    _in_scripts[f] = plain

    def found(*args: Any, **kwargs: Any) -> Any:
        if asks and (answer := said(found, args, kwargs)) is not UNASKED:
            return answer
        player = S.active
        if player is not None:
            return player.call(plain, args, kwargs)
        try:
            return f(*args, **kwargs)
        except _FAILURES as error:
            return _second_try(f, args, kwargs, error)

    asking.add(found.__code__)
    return found


def _unwatched(plain: Callable[..., Any]) -> Callable[..., Any]:
    def found(*args: Any, **kwargs: Any) -> Any:
        if asks and (answer := said(found, args, kwargs)) is not UNASKED:
            return answer
        return plain(*args, **kwargs)

    asking.add(found.__code__)
    return found


_in_scripts: dict[Any, Any] = {}  # a function -> what stands for it in scripts


def numbers_are_values(*functions: Callable[..., Any]) -> None:
    """Say of functions that a number among their arguments is only a value to them: another needs no other program."""
    numeric.update(_in_scripts.get(f, f) for f in functions)


def reads_at_the_end(*functions: Callable[..., Any]) -> None:
    """Say of functions that they may read a value, as a move to another device does."""
    readers.update(_in_scripts.get(f, f) for f in functions)


def _second_try(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Any:
    others = foreign(args, kwargs)
    if others:
        return overridden(f, others, args, kwargs)
    if isinstance(error, (TypeError, AttributeError)) and (given := _with_whole_numbers(f, args, kwargs)) is not None:
        return offered(f)(*given[0], **given[1])
    if isinstance(error, RuntimeError):
        raise error
    names = inspect.signature(f).parameters
    several = next((n for n, p in names.items() if p.kind is p.VAR_POSITIONAL), None)
    taken = {n for n, p in names.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    unknown = [k for k in kwargs if k not in taken]
    if not unknown or any(p.kind is p.VAR_KEYWORD for p in names.values()):
        _blame_argument(f, args, kwargs, error)
    kwargs = dict(kwargs)
    out = kwargs.pop("out", None)
    for k in unknown:
        if k == several:
            args = (*args, kwargs.pop(k))
        elif _OTHER_NAMES.get(k) in taken and _OTHER_NAMES[k] not in kwargs:
            kwargs[_OTHER_NAMES[k]] = kwargs.pop(k)
        elif k != "out":
            raise TypeError(f"{f.__name__}() got an unexpected keyword argument '{k}'  ({user_line()})") from None
    if out is not None and f.__name__ not in _APART and not f.__module__.endswith(_ROOMS_APART):
        _no_overlap(f.__name__, out, (args, *kwargs.values()))
    result = offered(f)(*args, **kwargs)
    return result if out is None else store(out, result, f.__name__)


def _no_overlap(name: str, out: Any, given: Any) -> None:
    """RuntimeError where the memory of a result is in part that of an operand."""
    for o in out if isinstance(out, (tuple, list)) else (out,):
        for x in given:
            if isinstance(x, (tuple, list)):
                _no_overlap(name, out, x)
            elif isinstance(x, Tensor) and isinstance(o, Tensor) and x is not o and overlap_in_part(x, o):
                raise RuntimeError(
                    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                    f"memory location. Please clone() the tensor before performing the operation.  [{name} at {user_line()}]"
                )


def _with_whole_numbers(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The arguments with the values of integer tensors of one element in place of these, but where tensors are expected,
    as in ``eye(lengths.max())``; None where there is no such argument."""
    try:
        bound = inspect.signature(f).bind(*args, **kwargs)
    except TypeError:
        return None
    changed = False
    for name, p in inspect.signature(f).parameters.items():
        if name in bound.arguments and "Tensor" not in str(p.annotation):
            given = bound.arguments[name]
            found = bound.arguments[name] = _whole(given)
            changed = changed or found is not given
    return (bound.args, bound.kwargs) if changed else None


def _whole(x: Any) -> Any:
    if isinstance(x, Tensor):
        return int(x) if x.numel() == 1 and not (x.dtype.is_floating_point or x.dtype.is_complex) else x
    if type(x) in (tuple, list):
        items = [_whole(y) for y in x]
        return x if all(a is b for a, b in zip(items, x)) else type(x)(items)
    return x


def _blame_argument(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> NoReturn:
    """Raise a TypeError for the first argument that ought to be a tensor and is none, else the error itself."""
    try:
        given = inspect.signature(f).bind(*args, **kwargs).arguments
    except TypeError as e:
        raise TypeError(f"{f.__name__}(): {e}  ({user_line()})") from None
    for i, (name, value) in enumerate(given.items(), 1):
        wanted = inspect.signature(f).parameters[name].annotation
        if wanted == "Tensor" and not isinstance(value, Tensor):
            raise TypeError(
                f"{f.__name__}(): argument '{name}' (position {i}) must be Tensor, not {kind_of(value)}"
                f"  ({user_line()})"
            ) from None
        if wanted == "int" and not hasattr(value, "__index__"):
            raise TypeError(
                f"{f.__name__}(): argument '{name}' (position {i}) must be int, not {type(value).__name__}"
                f"  ({user_line()})"
            ) from None
    raise error


def store(out: Any, result: Any, name: str, exact: bool = False) -> Any:
    """Put a result where ``out=`` says."""
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(result)} Tensors  ({user_line()})")
        stored = [store(o, r, name, name not in _ANY_OUT) for o, r in zip(out, result)]
        return type(result)(*stored) if hasattr(result, "_fields") else tuple(stored)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}  ({user_line()})")
    if mode.grad and (out.requires_grad or result.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments "
            f"requires grad.  ({user_line()})"
        )
    if (exact or name in _EXACT_OUT) and out.dtype is not result.dtype:
        raise RuntimeError(
            f"{name}(): Expected out tensor to have dtype {result.dtype.name}, but got {out.dtype.name} instead"
            f"  ({user_line()})"
        )
    if out.shape == result.shape:
        return assign(out, result, name)
    if out.numel():
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
            "match the "
            f"required output shape {list(result.shape)}.", UserWarning, stacklevel=4,
        )  # fmt: skip
    return replaced(out, result, name)


def replaced(out: Tensor, result: Tensor, name: str) -> Tensor:
    """``out`` with the value and shape of a result, in memory of its own."""
    replace(out, assign(out.new_empty(tuple(result.shape)), result, name))
    return out


def method(f: F) -> F:
    """``f`` as a method only."""
    f.__qualname__ = f.__name__
    setattr(Tensor, f.__name__, offered(f))
    return f


def function(f: F) -> F:
    """``f`` as ``lazyxla.f`` only."""
    f.__qualname__ = f.__name__
    public[f.__name__] = offered(f)
    return f


def both(f: F) -> F:
    """``f`` as ``lazyxla.f`` and as a method."""
    return method(function(f))


def inplace(f: Callable[..., Any], name: str | None = None) -> None:
    """``f_`` as a method: ``f`` whose result the tensor takes, with its aliases."""
    name = name or f.__name__ + "_"

    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        begun = write_begins()
        try:
            value = f(self, *args, **kwargs)
        except _FAILURES as error:
            if foreign((self, *args), kwargs):
                return _overridden(self, args, kwargs)
            value = _second_try(f, (self, *args), kwargs, error)
        if not isinstance(self, Tensor) or not isinstance(value, Tensor):
            return _overridden(self, args, kwargs)
        return assign(self, value, name, begun)

    def _overridden(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return overridden(changed, foreign((self, *args), kwargs), (self, *args), kwargs)

    write.__name__ = name
    changed = entry_point(write)
    if _in_scripts.get(f) in numeric:
        numeric.add(write)
    changed.__name__ = changed.__qualname__ = name
    changed.__doc__ = f"``{f.__name__}`` in place."
    setattr(Tensor, name, changed)
    public.setdefault(name, changed)


def alias(name: str, f: Callable[..., Any], methods: bool = True) -> None:
    """Another name of ``f``."""
    public[name] = offered(f)
    if methods:
        setattr(Tensor, name, offered(f))
