"""Random programs of views, writes, arithmetic, reductions and indexing do what NumPy, which has real memory, does.

A program is a list of pairs: an operation, and the seed of what it chooses (which values, dims, indices). So one program can
be run again: lazily, eagerly, and beside NumPy each time. Numbers stay small and whole: every type holds them exactly, and
results are compared for equality, with their dtypes, shapes and strides.

What runs where, in the normal run: 300 programs are recorded and evaluated by the interpreter of the recorded graph, which
costs no compiling and tests all that recording does, views and writes above all. 300 others, of at most 8 operations on
tensors of few types and shapes, so that they share executables, run eagerly as well, an operation at a time. 25 more, of at
most 12 operations, are compiled, each as one graph, too. The slow run does 10,000 of the first kind and 800 of the last.
Types of mixed operands are taken from the tensors: tests of promotion are elsewhere.
"""

import random

import ml_dtypes
import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lazy.graph import HostValue
from lazyxla.lazy.interpret import interpret_all
from tests import plans

DTYPES = [
    *(np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64),
    *(ml_dtypes.bfloat16, np.complex64, np.complex128),
]
TYPE = {np.dtype(d): lx.tensor(np.zeros((), d)).dtype for d in DTYPES}
SHAPES = [(), (1,), (3,), (2, 3), (3, 1), (0, 2), (2, 1, 3), (3, 3), (2, 2, 1, 3), (1, 0, 2, 1)]
MOST = 200  # elements of a value
BOUND = 4  # of a number's size


def kind(a):
    """b, u, i, f or c; NumPy counts bfloat16 among none of them."""
    return "f" if a.dtype == ml_dtypes.bfloat16 else a.dtype.kind


def small(a):
    """``a`` clipped, in its own type."""
    if kind(a) == "c":
        return (np.clip(a.real, -BOUND, BOUND) + 1j * np.clip(a.imag, -BOUND, BOUND)).astype(a.dtype)
    if kind(a) == "f":
        return np.clip(a.astype(np.float64), -BOUND, BOUND).astype(a.dtype)
    return a if kind(a) == "b" else np.clip(a, 0 if kind(a) == "u" else -BOUND, BOUND).astype(a.dtype)


def small_tensor(t):
    if t.dtype.is_complex:
        return lx.complex(t.real.clamp(-BOUND, BOUND), t.imag.clamp(-BOUND, BOUND))
    return t if t.dtype is lx.bool else t.clamp(0 if t.dtype is lx.uint8 else -BOUND, BOUND)


def wide(a):
    """``a`` where sums are exact."""
    return a.astype({"c": np.complex128, "f": np.float64}.get(kind(a), np.int64))


class Twins:
    """A program on NumPy arrays and on tensors side by side. Each value is a pair; views share memory on both sides."""

    dtypes, shapes = DTYPES, SHAPES

    def __init__(self, plan):
        self.pairs, self.said, self.rng = [], [], random.Random(len(plan))
        self.fresh()
        self.fresh()
        for name, seed in plan:
            self.rng = random.Random(seed)
            with np.errstate(all="ignore"):
                getattr(self, name)(*self.rng.choice(self.pairs))

    def fresh(self, *_):
        shape, dtype = self.rng.choice(self.shapes), np.dtype(self.rng.choice(self.dtypes))
        values = np.random.default_rng(self.rng.randrange(1 << 16)).integers(0, 4, (2, *shape))
        if dtype.kind not in "bu":
            values -= 1
        a = (values[0] + 1j * values[1] if dtype.kind == "c" else values[0]).astype(dtype)
        self.add(a, lx.tensor(a.copy()), f"fresh {dtype}{shape}")

    def add(self, a, t, said):
        """One more pair: of views, or of new values."""
        a = np.asarray(a)
        self.said.append(said)
        assert (tuple(t.shape), t.dtype) == (a.shape, TYPE[a.dtype]), f"{said}: {t.dtype} {tuple(t.shape)}"
        strides = [(s // a.itemsize, n) for s, n in zip(a.strides, t.stride()) if a.size > 1]
        assert all(x == y or n == 1 for (x, y), n in zip(strides, a.shape)), f"{self.said}: {t.stride()} for {a.strides}"
        self.pairs.append((a, t))

    def value(self, a, t, said):
        """The result of arithmetic, in the tensor's type, made small again on both sides."""
        a = np.asarray(a)
        if a.size <= MOST:
            self.add(np.array(small(a.astype(t.dtype.numpy)), order="C"), small_tensor(t), said)

    def dim(self, a):
        return self.rng.randrange(a.ndim)

    def at(self, d, *index):
        return (slice(None),) * d + index

    # --- views ---

    def slice(self, a, t):
        if a.ndim:
            d = self.dim(a)
            lo, hi = sorted(self.rng.choices(range(a.shape[d] + 1), k=2))
            index = self.at(d, slice(lo, hi, self.rng.randint(1, 3)))
            self.add(a[index], t[index], f"slice {index}")

    def select(self, a, t):
        if a.ndim and a.shape[d := self.dim(a)]:
            k = self.rng.randrange(-a.shape[d], a.shape[d])
            self.add(a[self.at(d, k, ...)], t.select(d, k), f"select {d} {k}")

    def permute(self, a, t):
        order = self.rng.sample(range(a.ndim), a.ndim)
        self.add(a.transpose(order), t.permute(*order), f"permute {order}")

    def unsqueeze(self, a, t):
        if a.ndim < 4:
            d = self.rng.randint(0, a.ndim)
            self.add(np.expand_dims(a, d), t.unsqueeze(d), f"unsqueeze {d}")

    def squeeze(self, a, t):
        self.add(a.squeeze(), t.squeeze(), "squeeze")

    def reshape(self, a, t):
        """A view where the strides allow one, else a copy: by the same rule on both sides."""
        n, last = a.size, a.shape[-1] if a.ndim else 1
        shape = self.rng.choice([(n,), (1, n), (n, 1), (n // last, last) if n else (0, 5), a.shape[::-1]])
        b, u = a.reshape(shape), t.reshape(shape)
        if n and not np.shares_memory(a, b):
            b = np.array(b, order="C")
        self.add(b, u, f"reshape {shape}")

    def expand(self, a, t):
        if a.ndim < 4 and a.size * 2 <= MOST:
            self.add(np.broadcast_to(a, (2, *a.shape)), t.expand(2, *a.shape), "expand")

    def diagonal(self, a, t):
        if a.ndim >= 2:
            k, (i, j) = self.rng.randint(-1, 1), self.rng.sample(range(a.ndim), 2)
            if -a.shape[i] < k < a.shape[j]:
                d = np.diagonal(a, k, i, j)
                d.flags.writeable = a.flags.writeable
                self.add(d, t.diagonal(k, i, j), f"diagonal {k} {i} {j}")

    def real(self, a, t):
        if kind(a) == "c":
            self.add(a.real, t.real, "real")

    def detach(self, a, t):
        self.add(a[...], t.detach(), "detach")

    # --- new values ---

    def partner(self, a, t):
        """A pair that broadcasts with this one; and both in the type of the result."""
        fits = []
        for b, u in self.pairs:
            try:
                if np.prod(np.broadcast_shapes(a.shape, b.shape)) <= MOST:
                    fits.append((b, u))
            except ValueError:
                pass
        b, u = self.rng.choice(fits)
        dtype = lx.result_type(t, u).numpy
        return a.astype(dtype), b.astype(dtype), u

    def arithmetic(self, a, t):
        a, b, u = self.partner(a, t)
        name = self.rng.choice({"b": ["bitwise_or"], "c": ["add", "multiply"]}.get(kind(a), ["add", "subtract", "maximum"]))
        if name == "subtract" and lx.bool in (t.dtype, u.dtype):
            name = "add"
        self.value(getattr(np, name)(a, b), getattr(lx, name)(t, u), name)

    def scalar(self, a, t):
        k = self.rng.choice([0, 1, 2, 3])
        if kind(a) != "b":
            self.value(k - a * np.array(2, a.dtype), k - t * 2, f"{k} - 2x")

    def compare(self, a, t):
        a, b, u = self.partner(a, t)
        mine, theirs = self.rng.choice(
            [("eq", "equal"), ("ne", "not_equal"), ("lt", "less"), ("ge", "greater_equal")][: 2 if kind(a) == "c" else 4]
        )
        self.value(getattr(np, theirs)(a, b), getattr(lx, mine)(t, u), mine)

    def where(self, a, t):
        a, b, u = self.partner(a, t)
        self.value(np.where(a == b, a, b), lx.where(t == u, t, u), "where")

    def cat(self, a, t):
        if a.ndim:
            d = self.dim(a)
            index = self.at(d, slice(self.rng.randint(0, a.shape[d]), None))
            self.value(np.concatenate([a, a[index], a], d), lx.cat([t, t[index], t], d), f"cat {d} {index}")

    def stack(self, a, t):
        if a.ndim < 4:
            d = self.rng.randint(0, a.ndim)
            self.value(np.stack([a, a], d), lx.stack([t, t], d), f"stack {d}")

    def sum(self, a, t):
        if a.ndim:
            d, keep = self.dim(a), self.rng.random() < 0.5
            self.value(wide(a).sum(d, keepdims=keep), t.sum(d, keepdim=keep), f"sum {d} {keep}")

    def sum_all(self, a, t):
        self.value(wide(a).sum(), t.sum(), "sum")

    def amax(self, a, t):
        if a.ndim and kind(a) != "c" and a.shape[d := self.dim(a)]:
            self.value(wide(a).max(d), t.amax(d), f"amax {d}")

    def any(self, a, t):
        if a.ndim and a.dtype != np.uint8:
            d = self.dim(a)
            self.value(wide(a).any(d), t.any(d), f"any {d}")

    def cumsum(self, a, t):
        if a.ndim:
            d = self.dim(a)
            self.value(wide(a).cumsum(d), t.cumsum(d), f"cumsum {d}")

    def sort(self, a, t):
        if a.ndim and kind(a) != "c":
            d = self.dim(a)
            self.value(np.sort(wide(a), d), t.sort(d).values, f"sort {d}")

    def flip(self, a, t):
        if a.ndim:
            d = self.dim(a)
            self.value(np.flip(a, d), t.flip(d), f"flip {d}")

    def roll(self, a, t):
        if a.ndim:
            d, k = self.dim(a), self.rng.randint(-2, 4)
            self.value(np.roll(a, k, d), t.roll(k, d), f"roll {k} {d}")

    def take(self, a, t):
        if a.ndim and a.shape[d := self.dim(a)]:
            index = self.rng.choices(range(-a.shape[d], a.shape[d]), k=self.rng.randint(1, 3))
            self.value(a[self.at(d, index)], t[self.at(d, index)], f"take {d} {index}")

    def gather(self, a, t):
        if a.ndim and a.size:
            d = self.dim(a)
            index = np.random.default_rng(self.rng.randrange(99)).integers(0, a.shape[d], a.shape)
            self.value(np.take_along_axis(a, index, d), t.gather(d, lx.tensor(index)), f"gather {d} {index.tolist()}")

    def cast(self, a, t):
        dtype = np.dtype(self.rng.choice(self.dtypes))
        if dtype == a.dtype:  # PyTorch gives the tensor itself
            self.add(a[...], t.to(TYPE[dtype]), "to its own type")
        elif kind(a) != "c" and not (dtype == np.uint8 and kind(a) == "f"):  # negative floats to uint8 mean nothing
            self.value(wide(a).astype(dtype), t.to(TYPE[dtype]), f"to {dtype}")

    def clone(self, a, t):
        self.value(a, t.clone(), "clone")

    def matmul(self, a, t):
        if 2 <= a.ndim and kind(a) in "ifc" and a.dtype != np.int8:
            self.value(wide(a) @ wide(a).swapaxes(-1, -2), t @ t.mT, "matmul")

    # --- writes ---

    def wrote(self, a, t, said):
        """What was written may be large: made small again, in place on both sides."""
        a[...] = small(a)
        if kind(a) == "c":
            t.copy_(small_tensor(t))
        elif kind(a) != "b":
            t.clamp_(0 if kind(a) == "u" else -BOUND, BOUND)
        self.said.append(said)

    def fill(self, a, t):
        if a.flags.writeable:
            k = self.rng.randint(0, 3)
            a[...] = k
            t.fill_(k)
            self.said.append(f"fill_ {k}")

    def write_slice(self, a, t):
        if a.flags.writeable and a.ndim:
            d = self.dim(a)
            index = self.at(d, slice(self.rng.randint(0, a.shape[d]), None, self.rng.randint(1, 2)))
            a[index] = 1
            t[index] = 1
            self.said.append(f"write {index}")

    def write_mask(self, a, t):
        if a.flags.writeable and kind(a) != "c":
            a[a > 0] = 0
            t[t > 0] = 0
            self.said.append("write where positive")

    def write_other(self, a, t):
        """``copy_`` and ``+=`` of what fits in, which may be an alias."""
        if a.flags.writeable:
            fits = [p for p in self.pairs if kind(p[0]) == kind(a) and self.fits(p[0], a)]
            b, u = self.rng.choice(fits)
            if self.rng.random() < 0.5:
                a[...] = b.astype(a.dtype)
                t.copy_(u)
                self.said.append("copy_")
            else:
                both = np.result_type(a, b) if kind(a) != "f" else a.dtype
                a[...] = (a.astype(both) + b.astype(both)).astype(a.dtype)
                t += u
                self.wrote(a, t, "add_")

    def fits(self, b, a):
        try:
            return np.broadcast_shapes(a.shape, b.shape) == a.shape
        except ValueError:
            return False

    def turn(self, a, t):
        if a.flags.writeable and kind(a) in "ifc":
            by = 1j if kind(a) == "c" else -1
            a[...] = (a * np.array(by, a.dtype)).astype(a.dtype)
            t.mul_(by)
            self.said.append(f"mul_ {by}")

    def write_index(self, a, t):
        if a.flags.writeable and a.ndim and a.shape[d := self.dim(a)]:
            index = self.at(d, self.rng.choices(range(a.shape[d]), k=2))
            a[index] = 1
            t[index] = 1
            self.said.append(f"write {index}")

    def index_add(self, a, t):
        if a.flags.writeable and a.ndim and kind(a) != "b" and a.shape[d := self.dim(a)]:
            index = self.rng.choices(range(a.shape[d]), k=2)
            np.add.at(whole := wide(a), self.at(d, index), 1)
            a[...] = whole.astype(a.dtype)
            shape = (*a.shape[:d], 2, *a.shape[d + 1 :])
            t.index_add_(d, lx.tensor(index), lx.ones(shape, dtype=t.dtype))
            self.wrote(a, t, f"index_add_ {d} {index}")


class FewTwins(Twins):
    """Of few types and shapes."""

    dtypes, shapes = [np.int64, np.float32, np.complex64], [(), (3,), (2, 3)]


HELPERS = ("dtypes", "shapes", "add", "value", "dim", "at", "partner", "wrote", "fits")
NAMES = [name for name in vars(Twins) if name not in HELPERS and name[0] != "_"]


def check(twins, values):
    for (a, _), found in zip(twins.pairs, values, strict=True):
        assert found.dtype == a.dtype, f"{twins.said}: {found.dtype} for {a.dtype}"
        same = np.array_equal(wide(found), wide(a))
        assert same, f"{twins.said}: {found!r} for {a!r}"


def interpreted(twins):
    return interpret_all([t for _, t in twins.pairs])


def computed(twins):
    """The values, after what is pending was compiled as one graph and run."""
    nodes = [t._node or t._refresh() for _, t in twins.pairs]
    lx.sync()
    assert all(isinstance(node, HostValue) or node.buffer is not None for node in nodes)
    return interpreted(twins)


def of(examples, longest=30):
    """That many programs, the same in every run."""
    return plans.of(NAMES, examples, 1, longest)


def recorded_alone(plan):
    twins = Twins(plan)
    check(twins, interpreted(twins))


def on_the_device(plan):
    twins = Twins(plan)
    check(twins, interpreted(twins))
    check(twins, computed(twins))
    with lx.eager():
        twins = Twins(plan)
        check(twins, computed(twins))


@of(300)
def test_random_programs_mean_what_numpy_does(plan):
    recorded_alone(plan)


@of(300, longest=8)
def test_eagerly_they_do_it_too(plan):
    twins = FewTwins(plan)
    check(twins, interpreted(twins))
    with lx.eager():
        twins = FewTwins(plan)
        check(twins, computed(twins))


@of(25, longest=12)
def test_compiled_and_eagerly_all_types_do_it_too(plan):
    on_the_device(plan)


@pytest.mark.slow
@of(10_000)
def test_very_many_random_programs(plan):
    recorded_alone(plan)


@pytest.mark.slow
@of(800)
def test_many_compiled_and_eagerly(plan):
    on_the_device(plan)
