"""Random functions of tensors, compiled and not: the same results, changed arguments and aliases, at every call."""

import numpy as np
import pytest

import lazyxla as lx

pytestmark = pytest.mark.usefixtures("clean")
KINDS = ("add", "write", "row", "fill", "view", "flat", "turn", "kept", "random", "reduce", "fresh", "rebind", "detach")


class Drawn:
    """A function drawn at random: of two arguments [3, 4], and of a tensor and a list from around it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.steps = [(str(rng.choice(KINDS)), *map(int, rng.integers(0, 1000, 3))) for _ in range(int(rng.integers(2, 8)))]
        self.returns = [int(k) for k in rng.integers(0, 1000, int(rng.integers(1, 4)))]

    def build(self, compiled: bool):
        around = lx.tensor(np.arange(12, dtype=np.float32).reshape(3, 4))
        held = [lx.ones(3, 4)]

        def f(a, b):
            values = [a, b, around, held[0]]
            for kind, i, j, k in self.steps:
                x, y = values[i % len(values)], values[j % len(values)]
                like = y if y.shape == x.shape else x
                if kind == "add":
                    values.append(x + like * 0.5)
                elif kind == "write":
                    x.mul_(0.5).add_(like.clone())
                elif kind == "row" and x.ndim:
                    x[k % x.shape[0]] = k % 7
                elif kind == "fill":
                    x.clamp_(max=float(k % 5))
                elif kind == "view" and x.ndim:
                    values.append(x[k % x.shape[0] :])
                elif kind == "flat":
                    values.append(x.reshape(-1))
                elif kind == "turn" and x.ndim == 2:
                    values.append(x.t())
                elif kind == "kept":
                    around.add_(0.25)
                elif kind == "random":
                    values.append(lx.rand(x.shape) + x)
                elif kind == "reduce":
                    values.append(x.sum())
                elif kind == "fresh":
                    values.append(lx.arange(4.0) + x.sum())
                elif kind == "rebind" and x.shape == (3, 4):
                    held[0].copy_(x)
                elif kind == "detach":
                    values.append(x.detach())
            return [values[k % len(values)] for k in self.returns]

        return (lx.compile(f) if compiled else f), around, held

    def run(self, compiled: bool):
        f, around, held = self.build(compiled)
        rng = np.random.default_rng(1)
        lx.manual_seed(5)
        seen = []
        for call in range(4):
            a = lx.tensor(rng.normal(size=(3, 4)).astype(np.float32))
            b = lx.linspace(call, call + 1, 12).reshape(3, 4) if call % 2 else lx.full((3, 4), float(call))
            base = lx.zeros(2, 3, 4)
            base[1] = a
            out = f(base[1], b)
            everything = [a, b, base, around, held[0], *out]
            seen.append([t.numpy().copy() for t in everything])
            for t in out:  # whoever shares memory sees it
                with lx.no_grad():
                    t.add_(1)
                seen.append([t.numpy().copy() for t in everything])
        return seen


@pytest.mark.parametrize("seed", [*range(12), *[pytest.param(s, marks=pytest.mark.slow) for s in range(12, 400)]])
def test_random_functions(seed):
    drawn = Drawn(seed)
    for got, expected in zip(drawn.run(True), drawn.run(False), strict=True):
        for g, e in zip(got, expected, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-5, atol=1e-5, err_msg=f"{drawn.steps} returns {drawn.returns}")
