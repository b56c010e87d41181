"""Sums of small products merged into one: the same values, in fewer products, and only where the operands are smaller."""

import numpy as np
import pytest

import lazyxla as lx
from lazyxla.lowering import sums
from lazyxla.lowering.debug import plan_for
from lazyxla.lowering.passes import lowered

rng = np.random.default_rng(0)


def rows(k, n):
    return lx.tensor(rng.standard_normal((k, n)).astype(np.float32))


def products(*results):
    return str(lowered(plan_for(*results))).count("dot_general")


def outer(a, b):
    return a.numpy().T @ b.numpy()


def test_products_of_few_rows_become_one():
    pairs = [(rows(k, 40), rows(k, 30)) for k in (1, 2, 3)]
    expected = sum(outer(a, b) for a, b in pairs)
    made = sum((a.T @ b for a, b in pairs), lx.zeros(40, 30))
    assert products(made) == 1
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_other_terms_and_transposes_stay():
    (a, b), (c, d), e = (rows(1, 40), rows(1, 30)), (rows(2, 40), rows(2, 30)), rows(30, 40)
    expected = outer(a, b).T + e.numpy() + outer(c, d).T
    made = (a.T @ b).T + (e + (c.T @ d).T)
    assert products(made) == 1
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_large_operands_are_left_alone():
    (a, b), (c, d) = (rows(50, 4), rows(50, 3)), (rows(60, 4), rows(60, 3))
    made = a.T @ b + c.T @ d
    assert products(made) == 2
    np.testing.assert_allclose(made.numpy(), outer(a, b) + outer(c, d), rtol=1e-4, atol=1e-4)


def test_a_product_that_is_read_elsewhere_stays():
    (a, b), (c, d) = (rows(1, 40), rows(1, 30)), (rows(2, 40), rows(2, 30))
    first = a.T @ b
    made = first + c.T @ d
    assert products(made, first * 2) == 2
    np.testing.assert_allclose(made.numpy(), outer(a, b) + outer(c, d), rtol=1e-5, atol=1e-5)


def test_what_reads_a_merged_sum_through_other_sums_reads_the_merged_one():
    (a, b), (c, d), e = (rows(1, 40), rows(1, 30)), (rows(2, 40), rows(2, 30)), rows(40, 30)
    both = a.T @ b + c.T @ d
    made = ((both.tanh() + e) + 1) + both
    assert products(made, both) == 1
    expected = outer(a, b) + outer(c, d)
    np.testing.assert_allclose(made.numpy(), np.tanh(expected) + e.numpy() + 1 + expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_random_sums_keep_their_value(seed, monkeypatch):
    rng = np.random.default_rng(seed)

    def program():
        leaves = [lx.tensor(x) for x in data]
        found = []
        for kind, i, j in terms:
            a, b = leaves[i], leaves[j]
            if kind == 0:
                found.append(a.T @ b)
            elif kind == 1:
                found.append((b.T @ a).T)
            elif kind == 2:
                found.append((a.T @ b).reshape(6, 2, 3).reshape(6, 6))
            else:
                found.append((a * 2).T @ b)
        total = found[0]
        for k, term in enumerate(found[1:]):
            total = total + term if k % 2 else (term + total) + found[k // 2]
        return total * 0.1

    data = [rng.standard_normal((2, 6)).astype(np.float32) for _ in range(5)]
    terms = [tuple(int(x) for x in (rng.integers(4), rng.integers(5), rng.integers(5))) for _ in range(5)]
    merged = program().numpy()
    lx.lowering.clear_cache()
    monkeypatch.setenv("LAZYXLA_CACHE_DIR", "off")
    monkeypatch.setattr(sums, "merged", lambda plan: plan)
    np.testing.assert_allclose(merged, program().numpy(), rtol=1e-5, atol=1e-5)


def test_a_sum_of_products_over_seven_dims():
    a = rng.standard_normal((2, 2, 2, 2, 12, 11, 10)).astype(np.float32)
    b = rng.standard_normal((2, 1, 1, 2, 12, 11, 10)).astype(np.float32)
    expected = (a.astype(np.float64) * b).sum(3)
    np.testing.assert_allclose((lx.tensor(a) * lx.tensor(b)).sum(3).numpy(), expected, rtol=1e-5, atol=1e-5)
