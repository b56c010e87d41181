"""The precision of float32 products: PyTorch's words say XLA's, in every program that comes after."""

import pytest

import lazyxla as lx
from lazyxla.lowering import debug


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    lx.set_float32_matmul_precision("highest")


def product(dtype=lx.float32):
    return lx.ones(2, 3, dtype=dtype) @ lx.ones(3, 4, dtype=dtype)


@pytest.mark.parametrize(("level", "word"), [("highest", "HIGHEST"), ("high", "HIGH"), ("medium", "DEFAULT")])
def test_the_program_says_it(level, word):
    lx.set_float32_matmul_precision(level)
    assert lx.get_float32_matmul_precision() == level
    assert f"precision = [{word}, {word}]" in debug.stablehlo(product())
    for dtype in (lx.float64, lx.bfloat16):
        assert "precision = [HIGH" not in debug.stablehlo(product(dtype))


def test_allow_tf32_is_another_name_of_it():
    lx.backends.cuda.matmul.allow_tf32 = True
    assert lx.get_float32_matmul_precision() == "high" and lx.backends.cuda.matmul.allow_tf32
    lx.backends.cuda.matmul.allow_tf32 = False
    assert lx.get_float32_matmul_precision() == "highest" and not lx.backends.cuda.matmul.allow_tf32


def compiles():
    return lx.metrics.report(as_dict=True)["compiles"]


def test_a_change_compiles_anew_and_back_does_not():
    f = lx.compile(lambda x: (x @ x).sum())
    x = lx.tensor([[1.0] * 5] * 5)

    def count():
        before = compiles()
        assert (x @ x.T).sum().item() == 125.0 and f(x).item() == 125.0 and f(x).item() == 125.0
        return compiles() - before

    lx.lowering.clear_cache()
    assert count() >= 1
    assert count() == 0
    lx.set_float32_matmul_precision("medium")
    assert count() >= 1
    lx.set_float32_matmul_precision("highest")
    assert count() == 0


def test_what_is_pending_keeps_what_it_was_recorded_with():
    y = product()
    lx.set_float32_matmul_precision("medium")
    assert y._node.buffer is not None
