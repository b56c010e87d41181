"""Train a small convolutional network on handwritten digits, on the XLA device.

    python examples/digits.py --device xla
"""

import json
import os
import tempfile
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
flags.DEFINE_float("lr", 3e-3, "The first learning rate of AdamW; a cosine takes it down to 0.", lower_bound=0.0)
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
    """The predicted digit of each image."""
    model.eval()
    with torch.no_grad():
        found = [model(x).argmax(1).cpu().numpy() for x, _ in batches(images, labels, size, device)]
    model.train()
    return np.concatenate(found)


def train(device, epochs, batch_size, lr, seed, progress=True):
    """Train the net. Returns it, the loss of each step, and the predictions for the held-out images."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    images, labels, test_images, test_labels = load_data()
    model = Net().to(device)
    optimizer = optim.AdamW(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    losses = []
    bar = tqdm(total=epochs * len(labels), unit="image", disable=not progress)
    for epoch in range(epochs):
        bar.set_description(f"epoch {epoch + 1}/{epochs}")
        for x, y in batches(images, labels, batch_size, device, rng):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            bar.update(len(y))
            bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        scheduler.step()
    bar.close()
    return model, losses, evaluate(model, test_images, test_labels, batch_size, device)


def draw(path, losses, images, labels, predicted):
    """The loss curve, and up to twelve held-out digits that were misread."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    wrong = np.flatnonzero(predicted != labels)
    figure = plt.figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1])
    axes = left.subplots()
    axes.plot(losses, color="tab:blue", alpha=0.3, linewidth=1, label="each step")
    width = max(1, min(25, len(losses) // 4))
    smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
    axes.plot(np.arange(len(smooth)) + width - 1, smooth, color="tab:blue", label=f"mean of {width} steps")
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="Training loss")
    axes.legend()
    right.suptitle(f"Misread: {len(wrong)} of {len(labels)} held-out digits ({1 - len(wrong) / len(labels):.1%} right)")
    for i, cell in enumerate(right.subplots(3, 4).flat):
        cell.axis("off")
        if i < len(wrong):
            cell.imshow(images[wrong[i], 0], cmap="gray_r")
            cell.set_title(f"{labels[wrong[i]]} read as {predicted[wrong[i]]}", fontsize=9)
    write(path, lambda name: figure.savefig(name, dpi=120, format="png"))
    plt.close(figure)


def write(path, save):
    """Write a file whole or not at all."""
    directory = os.path.dirname(os.path.abspath(path))
    handle, name = tempfile.mkstemp(dir=directory, prefix=".digits-")
    os.close(handle)
    try:
        save(name)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)  # absl shows jax's notes on its backends otherwise
    start = time.perf_counter()
    with torch.eager(FLAGS.eager):
        _, losses, predicted = train(FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed)
    _, _, images, labels = load_data()
    print(f"held-out accuracy {np.mean(predicted == labels):.2%} after {time.perf_counter() - start:.1f} s")
    print(torch.metrics.report())
    draw(FLAGS.picture, losses, images, labels, predicted)
    print(f"wrote {FLAGS.picture}")
    if FLAGS.losses:

        def save(name):
            with open(name, "w") as f:
                json.dump(losses, f)

        write(FLAGS.losses, save)
        print(f"wrote {FLAGS.losses}")


if __name__ == "__main__":
    app.run(main)
