"""Random numbers: the same from a seed everywhere, of the right distribution, new at every call, in few programs."""

import numpy as np
import pytest
from scipy import stats

import lazyxla as lx
from lazyxla.lazy.replay import starts

N = 20_000


def fits(values, distribution):
    """Kolmogorov and Smirnov cannot tell the values from the distribution."""
    return stats.kstest(np.asarray(values, np.float64).ravel(), distribution.cdf).pvalue > 1e-3


def draws():
    return [
        lx.rand(5), lx.randn(3, 2), lx.randint(0, 100, (4,)), lx.randperm(6), lx.bernoulli(lx.full((5,), 0.5)),
        lx.empty(4).exponential_(), lx.normal(0.0, 2.0, (3,)), lx.rand(2, dtype=lx.float64),
        lx.multinomial(lx.ones(5), 3), lx.nn.functional.dropout(lx.ones(6), 0.5),
    ]  # fmt: skip


def test_a_seed_gives_the_same_numbers_lazy_eager_and_on_any_device():
    lx.manual_seed(11)
    first = [t.numpy().copy() for t in draws()]
    lx.manual_seed(11)
    again = draws()
    lx.sync()  # all in one program
    lx.manual_seed(11)
    with lx.eager():
        eager = draws()
    lx.manual_seed(11)
    with lx.device("xla"):
        elsewhere = draws()
    for a, *others in zip(first, again, eager, elsewhere):
        for b in others:
            np.testing.assert_array_equal(a, b.cpu().numpy())


def test_calls_differ_and_so_do_seeds():
    lx.manual_seed(0)
    a, b = lx.rand(8), lx.rand(8)
    lx.manual_seed(1)
    c = lx.rand(8)
    assert len({tuple(t.tolist()) for t in (a, b, c)}) == 3


def test_the_state_can_be_kept_and_restored():
    lx.manual_seed(5)
    lx.rand(3)
    state = lx.get_rng_state()
    a = lx.randn(4)
    lx.set_rng_state(state)
    assert a.tolist() == lx.randn(4).tolist()


def test_generators_are_independent():
    g, h = lx.Generator().manual_seed(3), lx.Generator().manual_seed(3)
    a = lx.rand(4, generator=g)
    lx.rand(4)
    assert a.tolist() == lx.rand(4, generator=h).tolist()
    assert g.initial_seed() == 3


def test_distributions():
    lx.manual_seed(2)
    lam, chance = 2.5, lx.full((N,), 0.3)
    assert fits(lx.rand(N).numpy(), stats.uniform)
    assert fits(lx.randn(N).numpy(), stats.norm)
    assert fits(lx.randn(N, dtype=lx.float64).numpy(), stats.norm)
    assert fits(lx.empty(N).uniform_(-3, 5).numpy(), stats.uniform(-3, 8))
    assert fits(lx.empty(N).exponential_(lam).numpy(), stats.expon(scale=1 / lam))
    assert fits(lx.empty(N).cauchy_(1, 2).numpy(), stats.cauchy(1, 2))
    assert fits(lx.empty(N).log_normal_(0.5, 0.7).numpy(), stats.lognorm(0.7, scale=np.exp(0.5)))
    assert abs(lx.bernoulli(chance).mean().item() - 0.3) < 0.015
    z = lx.randn(N, dtype=lx.complex64).numpy()
    assert fits(z.real * 2**0.5, stats.norm) and fits(z.imag * 2**0.5, stats.norm)
    counts = np.bincount(lx.randint(-2, 5, (N,)).numpy() + 2, minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-3
    weighted = np.bincount(lx.multinomial(lx.tensor([1.0, 0.0, 3.0]), N, replacement=True).numpy(), minlength=3)
    assert weighted[1] == 0 and abs(weighted[2] / N - 0.75) < 0.015


def test_uniform_numbers_leave_out_one():
    lx.manual_seed(0)
    x = lx.rand(300_000).numpy()
    assert x.min() >= 0 and x.max() < 1
    assert lx.rand(100_000, dtype=lx.bfloat16).float().max().item() < 1


def test_permutations_are_permutations_and_even():
    lx.manual_seed(4)
    assert sorted(lx.randperm(1000).tolist()) == list(range(1000))
    first = np.bincount([lx.randperm(4)[0].item() for _ in range(400)], minlength=4)
    assert stats.chisquare(first).pvalue > 1e-3


def test_multinomial_without_replacement():
    lx.manual_seed(6)
    rows = lx.multinomial(lx.tensor([[0.1, 0.2, 0.3, 0.4]] * 200), 4).numpy()
    assert all(sorted(r) == [0, 1, 2, 3] for r in rows.tolist())
    with pytest.raises(RuntimeError, match="cannot sample n_sample > prob_dist"):
        lx.multinomial(lx.ones(3), 4)


def test_new_numbers_do_not_recompile(metrics):
    lx.manual_seed(0)
    for _ in range(6):
        (lx.randn(4, 4) * lx.rand(4)).sum().item()
    assert metrics.report(as_dict=True)["compiles"] == 1


@pytest.mark.parametrize("call, kind, words", [
    (lambda: lx.randint(5, 5, (2,)), RuntimeError, "from|low|expects"),
    (lambda: lx.empty(2).uniform_(3, 1), RuntimeError, "from"),
    (lambda: lx.rand(-1), RuntimeError, "negative"),
    (lambda: lx.manual_seed(1 << 70), (RuntimeError, ValueError), "seed|Overflow|64"),
])  # fmt: skip
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize(
    "draw",
    [
        lambda: lx.randint(7, (4000,)),
        lambda: lx.randint(7, size=(4000,)),
        lambda: lx.randint(high=7, size=(4000,)),
        lambda: lx.randint(0, 7, size=(4000,)),
        lambda: lx.randint(low=0, high=7, size=(4000,)),
    ],
)
def test_integers_in_each_form_of_the_call(draw):
    found = draw()
    assert found.shape == (4000,) and found.dtype is lx.int64 and set(found.tolist()) == set(range(7))


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize(
    "weights, words",
    [
        ([float("nan"), 1.0], "contains either `inf`, `nan` or element < 0"),
        ([-1.0, 2.0], "contains either `inf`, `nan` or element < 0"),
        ([float("inf"), 1.0], "contains either `inf`, `nan` or element < 0"),
        ([[0.0, 0.0], [1.0, 2.0]], r"invalid multinomial distribution \(sum of probabilities <= 0\)"),
    ],
)
def test_weights_that_are_no_probabilities(weights, words, replacement):
    found = lx.multinomial(lx.tensor(weights), 1, replacement)
    with pytest.raises(RuntimeError, match=rf"{words}.*multinomial at test_random.py:\d+"):
        found.tolist()
    assert lx.multinomial(lx.tensor([0.0, 3.0]), 1, replacement).tolist() == [1]


def test_weights_are_looked_at_in_each_step_that_is_followed():
    """A script makes the draw; the demand on its weights is made anew."""
    x = lx.rand(3, 4)
    lx.sync()
    starts.forget()  # those of other tests, which begin alike and go on otherwise

    def step(sign):
        return lx.multinomial((x @ x.T).softmax(-1) * sign, 1).sum().item()

    for _ in range(6):
        step(lx.tensor(1.0) * 1)
    lx.metrics.reset()
    step(lx.tensor(1.0) * 1)
    assert lx.metrics.report(as_dict=True)["replays"] == 1
    with pytest.raises(RuntimeError, match="element < 0"):
        step(lx.tensor(-1.0) * 1)
