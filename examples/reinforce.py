"""Learn to balance a pole on a cart by REINFORCE.

Run it as: python examples/reinforce.py --device xla
"""

import math

import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F
import lazyxla.optim as optim
from lazyxla.distributions import Categorical

FLAGS = flags.FLAGS


class Cart:
    """A cart on a track that is pushed left (0) or right (1) at each step, with a pole on it that falls.

    The state is place and speed of the cart, angle and spin of the pole (SI units, radians). An episode ends when the pole
    leans by more than 12 degrees, when the cart is more than 2.4 m off, or after ``most`` steps.
    """

    GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, rng, most=200):
        self.rng, self.most = rng, most

    def reset(self):
        self.state, self.steps = self.rng.uniform(-0.05, 0.05, 4), 0
        return self.state.astype(np.float32)

    def step(self, action):
        """(the new state, whether the episode has ended)"""
        _, speed, angle, spin = self.state
        force = self.FORCE if action else -self.FORCE
        whole = self.CART + self.POLE
        pushed = (force + self.POLE * self.HALF_LENGTH * spin**2 * math.sin(angle)) / whole
        inertia = self.HALF_LENGTH * (4 / 3 - self.POLE * math.cos(angle) ** 2 / whole)
        turning = (self.GRAVITY * math.sin(angle) - math.cos(angle) * pushed) / inertia
        moving = pushed - self.POLE * self.HALF_LENGTH * turning * math.cos(angle) / whole
        self.state = self.state + self.SECONDS * np.array([speed, moving, spin, turning])
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return self.state.astype(np.float32), bool(fallen) or self.steps >= self.most


class Policy(nn.Module):
    """States[B, 4] in, the probabilities[B, 2] of a push to the left and to the right out."""

    def __init__(self, hidden=64):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, x):
        return F.softmax(self.net(x), dim=-1)


def returns_of(count, gamma, most):
    """The discounted sums of what is still to come, one point a step, as deviations; zeros after the episode's end."""
    found = np.zeros(most, np.float32)
    total = 0.0
    for t in reversed(range(count)):
        total = 1.0 + gamma * total
        found[t] = total
    played = found[:count]
    found[:count] = (played - played.mean()) / (played.std() + 1e-8)
    return found


def train(device, episodes, lr, gamma, seed, most=200, progress=True):
    """Play and learn. Returns the policy and the number of steps of each episode.

    States are kept and looked at again when the episode has ended, filled up to ``most`` steps: all episodes are one program,
    however long they were.
    """
    torch.manual_seed(seed)
    cart = Cart(np.random.default_rng(seed), most)
    policy = Policy().to(device)
    optimizer = optim.Adam(policy.parameters(), lr=lr)
    lengths = []
    bar = tqdm(range(episodes), unit="episode", disable=not progress)
    for _ in bar:
        states, actions = np.zeros((most, 4), np.float32), np.zeros(most, np.int64)
        state, ended, count = cart.reset(), False, 0
        while not ended:
            with torch.no_grad():
                action = Categorical(policy(torch.tensor(state[None]).to(device))).sample().item()
            states[count], actions[count] = state, action
            state, ended = cart.step(action)
            count += 1
        log_probs = Categorical(policy(torch.tensor(states).to(device))).log_prob(torch.tensor(actions).to(device))
        loss = -(log_probs * torch.tensor(returns_of(count, gamma, most)).to(device)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lengths.append(count)
        bar.set_postfix(steps=f"{np.mean(lengths[-20:]):.0f}")
    return policy, lengths


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    _, lengths = train(FLAGS.device, FLAGS.episodes, FLAGS.lr, FLAGS.gamma, FLAGS.seed)
    print(f"{np.mean(lengths[:20]):.0f} steps an episode at first, {np.mean(lengths[-20:]):.0f} at last (200 at most)")
    print(torch.metrics.report())


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best that is there.")
    flags.DEFINE_integer("episodes", 400, "Episodes to play.", lower_bound=1)
    flags.DEFINE_float("lr", 3e-3, "Adam's learning rate.", lower_bound=0.0)
    flags.DEFINE_float("gamma", 0.99, "What a point is worth one step later.", lower_bound=0.0, upper_bound=1.0)
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the actions and the cart.")
    app.run(main)
