"""``__torch_function__``: objects that are no tensors, and say what functions of tensors do with them."""

from typing import ClassVar

import numpy as np
import pytest

import lazyxla as lx


class Diagonal:
    """n equal numbers on a diagonal, as a product knows them."""

    calls: ClassVar[list] = []

    def __init__(self, n, value):
        self.n, self.value = n, value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append((func, types))
        if func is lx.mm or func is lx.matmul:
            a, b = args
            return b * a.value if isinstance(a, Diagonal) else a * b.value
        if func is lx.add or func is lx.Tensor.add_:
            a, b = (x.dense() if isinstance(x, Diagonal) else x for x in args)
            return func(a, b, **(kwargs or {}))
        if func is lx.cat:
            return lx.cat([x.dense() if isinstance(x, Diagonal) else x for x in args[0]], *args[1:])
        return NotImplemented

    def dense(self):
        return lx.eye(self.n) * self.value


class Special(Diagonal):
    pass


def test_functions_ask_the_type():
    d, x = Diagonal(3, 2.0), lx.arange(6.0).reshape(3, 2)
    assert lx.mm(d, x).tolist() == (2 * x).tolist() and (x.t() @ d).tolist() == (2 * x.t()).tolist()
    assert lx.add(d, lx.ones(3, 3), alpha=3).tolist() == (2 * np.eye(3) + 3).tolist()
    assert (lx.ones(3, 3) + d).tolist() == lx.ones(3, 3).add(d).tolist() == (2 * np.eye(3) + 1).tolist()
    assert lx.cat([d, d]).shape == (6, 3) and lx.cat([lx.ones(1, 3), d], 0).shape == (4, 3)
    y = lx.ones(3, 3)
    assert y.add_(d) is y and y.tolist() == (2 * np.eye(3) + 1).tolist()


def test_subclasses_are_asked_first_and_each_type_once():
    Diagonal.calls.clear()
    lx.add(Diagonal(2, 1.0), Special(2, 1.0))
    assert Diagonal.calls[0] == (lx.add, (Special, Diagonal))


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (
            lambda d: lx.exp(d),
            "Multiple dispatch failed for 'torch.exp'; all __torch_function__ handlers returned NotImplemented",
        ),
        (lambda d: lx.ones(3, 3).mul_(d), "Multiple dispatch failed for 'torch.mul_'"),
        (lambda d: lx.ones(3, 3) * d, "unsupported operand type"),
        (lambda d: lx.ones(3, 3) @ object(), "unsupported operand type"),
        (lambda d: lx.mm(lx.ones(3, 3), 3), r"argument 'mat2' \(position 2\) must be Tensor, not int"),
    ],
)
def test_what_nobody_answers_is_a_type_error(f, words):
    with pytest.raises(TypeError, match=words):
        f(Diagonal(3, 1.0))


def test_steps_with_such_objects_are_followed(metrics):
    d = Diagonal(3, 2.0)
    w = lx.ones(3, 2).requires_grad_()
    optimizer = lx.optim.SGD([w], lr=0.1)
    for _ in range(8):
        optimizer.zero_grad()
        loss = lx.mm(d, w).pow(2).sum()
        loss.backward()
        optimizer.step()
    assert metrics.report(as_dict=True)["replays"] >= 3
    assert np.allclose(w.detach().numpy(), 0.2**8, rtol=1e-4)
    d.value = 1.0  # another program, and the other result
    assert lx.mm(d, w).sum().item() == pytest.approx(6 * 0.2**8, rel=1e-4)


def test_pytorchs_own_tensors_are_arrays():
    """Their ``__torch_function__`` would call the function again, without end."""

    class TensorBase:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0], dtype)

    TensorBase.__module__ = "torch._C"

    class Other(TensorBase):
        pass

    assert lx.tensor(Other()).tolist() == lx.as_tensor(Other()).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="must be Tensor, not Other"):
        lx.mm(lx.ones(2, 2), Other())
    Other.__name__, Other.__module__ = "Tensor", "torch"
    with pytest.raises(TypeError, match=r"must be Tensor, not torch\.Tensor"):
        lx.mm(lx.ones(2, 2), Other())
    with pytest.raises(TypeError, match=r"a tensor or a number is expected, not torch\.Tensor"):
        lx.ones(2) + Other()


def test_functions_of_the_users_own_ask_too():
    def twice(a, scale=1):
        """A user's function that lets other types have their say."""
        if lx.overrides.has_torch_function((a,)):
            return lx.overrides.handle_torch_function(twice, (a,), a, scale=scale)
        return a * 2 * scale

    class Answers(Diagonal):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "asked", func is twice, types, args[1:], kwargs

    mine = Answers(2, 3.0)
    assert twice(mine, scale=4) == ("asked", True, (Answers,), (), {"scale": 4})
    assert twice(lx.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for '.*twice'"):
        twice(Diagonal(2, 3.0))
    o = lx.overrides
    assert [o.is_tensor_like(v) for v in (lx.ones(1), mine, 1.0, [mine])] == [True, True, False, False]
    assert o.has_torch_function_unary(mine) and not o.has_torch_function_variadic(lx.ones(1), 2)
    assert o.has_torch_function_variadic(lx.ones(1), mine)
