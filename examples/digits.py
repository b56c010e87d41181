"""Train a small convolutional network on handwritten digits, on the XLA device.

Run it as: python examples/digits.py --device xla
"""

import json
import os
import sys
import time

import numpy as np
from absl import app, flags, logging
from sklearn.datasets import load_digits
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F
import lazyxla.optim as optim

FLAGS = flags.FLAGS
flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
flags.DEFINE_integer("epochs", 25, "How often to go through the training images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 64, "Images in a mini-batch.", lower_bound=1)
flags.DEFINE_float("lr", 5e-3, "AdamW's highest learning rate: it warms up to it, then goes down to 0.", lower_bound=0.0)
flags.DEFINE_integer("seed", 0, "Seeds the weights, the shuffling and the dropout.")
flags.DEFINE_bool("eager", False, "Run op by op instead of whole steps: the same numbers, slower, for debugging.")
flags.DEFINE_string("picture", "digits.png", "Where to write the picture of the loss and of some misread digits.")
flags.DEFINE_string("losses", None, "Where to write the loss of each step, as JSON, if anywhere.")


class Net(nn.Module):
    """Two convolutions and two linear layers; 8x8 images in, ten scores out."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.25)
        self.linear1 = nn.Linear(32 * 2 * 2, 64)
        self.linear2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.norm1(self.conv1(x))))
        x = self.pool(F.relu(self.norm2(self.conv2(x))))
        x = self.dropout(x.flatten(1))
        return self.linear2(F.relu(self.linear1(x)))


def load_data():
    """(training images, labels, held-out images, labels): a fixed fifth of scikit-learn's 1,797 digits is held out."""
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    order = np.random.default_rng(1797).permutation(len(labels))
    held_out, training = order[: len(order) // 5], order[len(order) // 5 :]
    return images[training], labels[training], images[held_out], labels[held_out]


def batches(images, labels, size, device, rng=None):
    """Mini-batches on the device, shuffled if a generator is given; the last may be smaller."""
    order = np.arange(len(labels)) if rng is None else rng.permutation(len(labels))
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield torch.tensor(images[chosen]).to(device), torch.tensor(labels[chosen]).to(device)


def evaluate(model, images, labels, size, device):
    """The probability of each digit for each image."""
    model.eval()
    with torch.no_grad():
        found = [torch.softmax(model(x), 1).cpu().numpy() for x, _ in batches(images, labels, size, device)]
    model.train()
    return np.concatenate(found)


def train(device, epochs, batch_size, lr, seed, progress=True):
    """Train the net. Returns it, the loss of each step, and the probabilities for the held-out images."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    images, labels, test_images, test_labels = load_data()
    model = Net().to(device)
    optimizer = optim.AdamW(model.parameters(), lr=lr)
    steps = epochs * -(-len(labels) // batch_size)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    bar = tqdm(total=epochs * len(labels), unit="image", disable=not progress)
    for epoch in range(epochs):
        bar.set_description(f"epoch {epoch + 1}/{epochs}")
        for x, y in batches(images, labels, batch_size, device, rng):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
            bar.update(len(y))
            bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
    bar.close()
    return model, losses, evaluate(model, test_images, test_labels, batch_size, device)


def draw(path, losses, images, labels, probabilities):
    """The loss curve, and twelve held-out digits: the misread ones, then those that were nearly misread."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    read = probabilities.argmax(1)
    right = read == labels
    trust = probabilities[np.arange(len(labels)), labels]  # in the right answer
    figure = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, grid = figure.subfigures(1, 2, width_ratios=[1.25, 1])

    axes = left.subplots()
    axes.plot(losses, color="tab:blue", alpha=0.3, linewidth=1, label="each step")
    width = max(1, min(25, len(losses) // 4))
    mean = np.convolve(losses, np.ones(width) / width, mode="valid")
    axes.plot(np.arange(len(mean)) + (width - 1) / 2, mean, color="tab:blue", label=f"mean of {width} steps")
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="Training loss")
    axes.grid(alpha=0.3)
    axes.legend()

    grid.suptitle(f"{right.sum()} of {len(labels)} held-out digits read right ({right.mean():.1%})", fontsize="large")
    grid.supxlabel("in red the misread, in grey those least sure", fontsize="small")
    for i, cell in zip(np.lexsort((trust, right)), grid.subplots(3, 4).flat):
        cell.imshow(images[i, 0], cmap="gray_r")
        cell.set(xticks=[], yticks=[])
        title = f"{labels[i]}, {trust[i]:.0%} sure" if right[i] else f"{labels[i]} read as {read[i]}"
        color = "dimgrey" if right[i] else "tab:red"
        cell.set_title(title, fontsize=9, color=color)
        cell.spines[:].set_color(color)
    write(path, lambda name: figure.savefig(name, dpi=120, format="png"))
    plt.close(figure)


def write(path, save):
    """Write a file whole or not at all: ``save(name)`` writes it under another name."""
    name = f"{path}.{os.getpid()}.partial"
    try:
        save(name)
        os.replace(name, path)
    except BaseException:
        if os.path.exists(name):
            os.unlink(name)
        raise


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    for path in filter(None, (FLAGS.picture, FLAGS.losses)):  # said now, and not after the training
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            sys.exit(f"no folder to write {path} in")
    logging.set_verbosity(logging.WARNING)  # absl shows jax's notes on its backends otherwise
    start = time.perf_counter()
    with torch.eager(FLAGS.eager):
        _, losses, probabilities = train(FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed)
    _, _, images, labels = load_data()
    accuracy = np.mean(probabilities.argmax(1) == labels)
    print(f"held-out accuracy {accuracy:.2%} after {time.perf_counter() - start:.1f} s")
    print(torch.metrics.report())
    draw(FLAGS.picture, losses, images, labels, probabilities)
    print(f"wrote {FLAGS.picture}")
    if FLAGS.losses:

        def save(name):
            with open(name, "w") as f:
                json.dump(losses, f)

        write(FLAGS.losses, save)
        print(f"wrote {FLAGS.losses}")


if __name__ == "__main__":
    app.run(main)
