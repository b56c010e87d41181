"""Optax's optimizers on tensors are Optax's on JAX's arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lazyxla as lx

optax = pytest.importorskip("optax")

RNG = np.random.default_rng(0)
W, B = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=4).astype(np.float32)
X, Y = RNG.normal(size=(8, 3)).astype(np.float32), RNG.normal(size=(8, 4)).astype(np.float32)
KINDS = {
    "sgd": lambda: optax.sgd(0.1), "momentum": lambda: optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adamw on a schedule": lambda: optax.adamw(optax.cosine_decay_schedule(0.1, 10), weight_decay=0.1),
    "lion": lambda: optax.lion(0.01), "clipped": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)),
    "adafactor": lambda: optax.adafactor(0.1), "half moments": lambda: optax.adam(0.1, mu_dtype=jnp.bfloat16),
}  # fmt: skip


def by_jax(kind, steps, names=None):
    def tree(w, b):
        return (w, b) if names is None else dict(zip(names, (w, b)))

    def loss(p):
        w, b = (p[n] for n in names) if names else p
        return jnp.mean((jnp.tanh(X @ w + b) - Y) ** 2)

    transformation, params, losses = kind(), tree(jnp.array(W), jnp.array(B)), []
    state = transformation.init(params)
    for _ in range(steps):
        found, gradients = jax.value_and_grad(loss)(params)
        updates, state = transformation.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(found))
    return losses


class Ours:
    def __init__(self, kind, names=None):
        self.w, self.b = lx.nn.Parameter(lx.tensor(W)), lx.nn.Parameter(lx.tensor(B))
        params = [self.w, self.b] if names is None else list(zip(names, (self.w, self.b)))
        self.optimizer = lx.optim.Optax(params, kind())
        self.x, self.y = lx.tensor(X), lx.tensor(Y)

    def step(self):
        self.optimizer.zero_grad()
        loss = (lx.tanh(self.x @ self.w + self.b) - self.y).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss


@pytest.mark.parametrize("name", KINDS)
def test_losses_are_those_of_optax_and_nothing_compiles_again(name):
    ours, found = Ours(KINDS[name]), []
    for i in range(10):
        found.append(ours.step().item())
        if i == 2:
            lx.metrics.reset()
    assert lx.metrics.report(as_dict=True)["compiles"] == 0
    np.testing.assert_allclose(found, by_jax(KINDS[name], 10), rtol=2e-3 if name == "half moments" else 1e-5)


def test_compiled_it_is_the_same():
    ours = Ours(KINDS["adamw on a schedule"])
    step = lx.compile(ours.step)
    np.testing.assert_allclose([step().item() for _ in range(6)], by_jax(KINDS["adamw on a schedule"], 6), rtol=1e-5)


@pytest.mark.parametrize("before", [False, True])
def test_it_goes_on_from_a_saved_state(tmp_path, before):
    kind = KINDS["half moments"]
    ours = Ours(kind)
    for _ in range(3):
        ours.step()
    lx.save([ours.w, ours.b, ours.optimizer.state_dict()], tmp_path / "state")
    expected = [ours.step().item() for _ in range(3)]
    other = Ours(kind)
    if before:
        other.step()
    w, b, state = lx.load(tmp_path / "state")
    with lx.no_grad():
        other.w.copy_(w), other.b.copy_(b)
    other.optimizer.load_state_dict(state)
    assert [other.step().item() for _ in range(3)] == expected


def test_names_choose_transformations():
    def kind():
        parts = {"moves": optax.sgd(0.5), "stays": optax.set_to_zero()}
        return optax.multi_transform(parts, lambda p: {k: "stays" if k == "bias" else "moves" for k in p})

    names = ["weight", "bias"]
    ours = Ours(kind, names)
    found = [ours.step().item() for _ in range(4)]
    np.testing.assert_allclose(found, by_jax(kind, 4, names), rtol=1e-5)
    assert ours.b.tolist() == lx.tensor(B).tolist() and ours.w.tolist() != lx.tensor(W).tolist()


def test_parameters_without_gradients_and_what_is_no_transformation():
    ours = Ours(KINDS["sgd"])
    ours.w.sum().backward()
    ours.optimizer.step()
    np.testing.assert_allclose(ours.w.detach().numpy(), W - np.float32(0.1), rtol=1e-6)
    assert ours.b.tolist() == lx.tensor(B).tolist()
    assert ours.optimizer.step(lambda: 5.0) == 5.0
    with pytest.raises(TypeError, match="init and update is expected, but got float"):
        lx.optim.Optax([ours.w], 0.1)
