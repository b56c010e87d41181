"""Every differentiable primitive against finite differences, and that a wrong rule is found."""

import functools

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.autograd import GradcheckError, gradcheck, gradgradcheck
from lazyxla.autograd import table as rules
from lazyxla.lazy import ops
from tests.lazy.cases import CASES
from tests.lazy.test_ops import PRIMITIVES, results

VJPS = rules.VJPS


def differentiable(kind):
    return [
        op for op in PRIMITIVES
        if VJPS[op] != () and any(r.smooth for r in CASES[op].rows) and kind in (CASES[op].kinds or "f")
    ]  # fmt: skip


def smooth_calls(op, dtype):
    """(function of the floating operands, those operands) for the smooth rows of an op."""
    for row in CASES[op].rows:
        if not row.smooth or (dtype is np.complex128 and row.attributes.get("combine") in ("min", "max")):
            continue
        arrays = [a.astype(dtype) if a.dtype == np.float32 else a for a in row.operands(dtype)]
        tensors = [lx.tensor(a) for a in arrays]
        has_rule = [True] * len(tensors) if callable(VJPS[op]) else [rule is not None for rule in VJPS[op]]
        moving = [t.requires_grad_() for t, has in zip(tensors, has_rule) if has and t.dtype.is_inexact]
        if not moving or 0 in [t.numel() for t in moving]:
            continue
        rest = [None if t.requires_grad else t for t in tensors]

        def call(*args, row=row, rest=rest):
            given = iter(args)
            return results(op(*[next(given) if t is None else t for t in rest], **row.attributes))[0]

        yield row.name or "ordinary", call, moving


def check(op, dtype):
    checked = 0
    for name, call, moving in smooth_calls(op, dtype):
        if not call(*moving).requires_grad:
            continue
        try:
            assert gradcheck(call, moving, fast_mode=True)
            assert gradgradcheck(call, moving, fast_mode=True)
        except GradcheckError as e:
            raise AssertionError(f"{op.name}, {name}: {e}") from None
        checked += 1
    return checked


@pytest.mark.parametrize("op", differentiable("f"), ids=lambda op: op.name)
def test_in_double_precision(op):
    assert check(op, np.float64) or op in (ops.real, ops.imag, ops.conj, ops.floor, ops.bitcast_convert)


@pytest.mark.parametrize("op", differentiable("c"), ids=lambda op: op.name)
def test_in_complex_numbers(op):
    assert check(op, np.complex128) or op in (ops.bitcast_convert,)


@pytest.mark.slow
@pytest.mark.parametrize("op", differentiable("f"), ids=lambda op: op.name)
def test_element_by_element(op):
    for _, call, moving in smooth_calls(op, np.float64):
        if call(*moving).requires_grad:
            assert gradcheck(call, moving) and gradgradcheck(call, moving)


# --- at kinks, by hand ------------------------------------------------------------------------------------------


def gradient(f, *values):
    tensors = [lx.tensor(v, dtype=lx.float64, requires_grad=True) for v in values]
    f(*tensors).sum().backward()
    return [t.grad.tolist() for t in tensors]


def test_ties():
    assert gradient(lx.maximum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == [[0.5, 0.0, 1.0], [0.5, 1.0, 0.0]]
    assert gradient(lx.minimum, [1.0, 2.0], [1.0, 3.0]) == [[0.5, 1.0], [0.5, 0.0]]
    assert gradient(lambda x: x.amax(0), [3.0, 1.0, 3.0]) == [[0.5, 0.0, 0.5]]
    assert gradient(lambda x: x.max(0)[0], [3.0, 1.0, 3.0]) == [[1.0, 0.0, 0.0]]
    assert gradient(lambda x: x.sort(0)[0] * lx.tensor([1.0, 2.0, 3.0], dtype=lx.float64), [2.0, 1.0, 2.0]) == [
        [2.0, 1.0, 3.0]
    ]


def test_at_zero():
    assert gradient(lx.abs, [0.0, -2.0]) == [[0.0, -1.0]]
    assert gradient(lambda x: x.relu(), [0.0, -1.0, 2.0]) == [[0.0, 0.0, 1.0]]
    assert gradient(lambda x: x**0, [0.0, 2.0]) == [[0.0, 0.0]]
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [[0.0, 0.0]]
    base, exponent = gradient(lambda a, b: a**b, [0.0, 2.0], [2.0, 3.0])
    assert base == [0.0, 12.0] and exponent[0] == 0.0
    np.testing.assert_allclose(exponent[1], 8 * np.log(2))


def test_where_there_is_nan():
    nan = np.nan
    assert gradient(lx.maximum, [nan, nan, 2.0], [nan, 1.0, nan]) == [[1.0] * 3, [1.0] * 3]
    assert gradient(lx.fmax, [nan, nan, 2.0], [nan, 1.0, nan]) == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    assert gradient(lambda x: x.max(), [1.0, nan, 5.0, nan]) == [[0.0, 0.5, 0.0, 0.5]]
    assert gradient(lambda x: x.clamp(0.0, 2.0), [nan, 1.0, 3.0, 2.0]) == [[0.0, 1.0, 0.0, 1.0]]
    assert gradient(lambda x: x.clamp(min=lx.zeros(2)), [nan, 1.0]) == [[0.0, 1.0]]
    assert gradient(lambda x: x.clamp(max=lx.zeros(2, 1)), [nan, -1.0]) == [[0.0, 2.0]]
    of_nan, inside, outside = gradient(lambda x: lx.logit(x, 0.1), [nan, 0.5, 0.95])[0]
    assert np.isnan(of_nan) and (inside, outside) == (4.0, 0.0)
    assert gradient(lx.abs, [nan, -1.0]) == [[0.0, -1.0]]
    for reduce in ("max", "min"):
        shares = functools.partial(lx.segment_reduce, reduce=reduce, lengths=lx.tensor([3, 2]))
        assert gradient(shares, [1.0, nan, nan, 2.0, 2.0]) == [[0.0, 0.5, 0.5, 0.5, 0.5]]


def test_what_loses_has_no_infinite_gradient():
    x = lx.tensor([1.0], requires_grad=True)
    lx.maximum(x, lx.tensor([2.0])).backward(lx.tensor([np.inf]))
    assert x.grad.tolist() == [0.0]


def test_products_with_zeros():
    assert gradient(lambda x: x.prod(), [0.0, 2.0, 3.0]) == [[6.0, 0.0, 0.0]]
    assert gradient(lambda x: x.prod(), [0.0, 2.0, 0.0]) == [[0.0, 0.0, 0.0]]
    rows = lx.tensor([[2.0, 3.0, 4.0], [0.0, 2.0, 5.0]], dtype=lx.float64, requires_grad=True)
    (g,) = lx.autograd.grad(rows.prod(1).sum(), rows)
    assert g.tolist() == [[12.0, 8.0, 6.0], [10.0, 0.0, 0.0]]
    whole = lx.autograd.functional.hessian(lambda x: x.prod(), lx.tensor([0.0, 2.0, 0.0]))
    assert whole.tolist() == [[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.0]]


# --- tests of the tests -----------------------------------------------------------------------------------------

WRONG = {
    "scaled": (ops.tanh, (lambda g, y, x: g * (1 - y * y) * 1.01,)),
    "a sign": (ops.cosine, (lambda g, y, x: g * ops.sine(x).conj(),)),
    "the wrong operand": (ops.multiply, (lambda g, y, a, b: g * a.conj(), lambda g, y, a, b: g * a.conj())),
    "right first, wrong second order": (ops.exponential, (lambda g, y, x: g * y.conj().detach(),)),
    "a missing sum": (
        ops.reduce_prod,
        (lambda g, y, x, axes: ops.reverse(VJPS_RIGHT[ops.reduce_prod][0](g, y, x, axes), axes=(0,)),),
    ),
}
VJPS_RIGHT = dict(VJPS)


def plant(monkeypatch, op, wrong):
    monkeypatch.setitem(VJPS, op, wrong)
    for sig in op.signatures.values():  # what was found out about the right rule
        monkeypatch.setattr(sig, "residuals", {})
        monkeypatch.setattr(sig, "templates", {})


@pytest.mark.parametrize("fault", WRONG, ids=str)
def test_a_wrong_rule_is_found(fault, monkeypatch):
    op, wrong = WRONG[fault]
    plant(monkeypatch, op, wrong)
    with pytest.raises((AssertionError, RuntimeError)):
        check(op, np.float64)


def test_a_missing_conjugate_is_found(monkeypatch):
    plant(monkeypatch, ops.multiply, (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a))
    assert check(ops.multiply, np.float64)
    with pytest.raises(AssertionError):
        check(ops.multiply, np.complex128)


def test_a_gradient_of_the_wrong_type_is_refused(monkeypatch):
    plant(monkeypatch, ops.reduce_sum, (lambda g, y, x, axes: g,))
    with pytest.raises(RuntimeError, match="the derivative of reduce_sum"):
        lx.ones(3, dtype=lx.float64, requires_grad=True).sum().backward()


def test_a_missing_rule_raises_when_it_is_recorded(monkeypatch):
    monkeypatch.delitem(VJPS, ops.atan)
    for sig in ops.atan.signatures.values():
        monkeypatch.setattr(sig, "residuals", {})
    with pytest.raises(NotImplementedError, match=r"derivative of atan is not implemented.*test_rules.py"):
        lx.ones(3, dtype=lx.float64, requires_grad=True).atan()
