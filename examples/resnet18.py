"""Train ResNet-18 on colour images of handwritten digits, 32x32 as CIFAR's are.

Run it as: python examples/resnet18.py --device xla
"""

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


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions beside a way around them; the way around has a convolution of its own where the shape changes."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            around = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(around, nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """Images[B, 3, H, W] in, scores[B, classes] out; parameters have torchvision's names and, at width 64, its shapes.

    ``small`` is how the net is often written for CIFAR: a first convolution of 3x3 in steps of one, and no pooling after it.
    """

    def __init__(self, classes=1000, width=64, small=False):
        super().__init__()
        self.conv1 = conv3x3(3, width) if small else nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._layer(width, width, 1)
        self.layer2 = self._layer(width, 2 * width, 2)
        self.layer3 = self._layer(2 * width, 4 * width, 2)
        self.layer4 = self._layer(4 * width, 8 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _layer(inputs, outputs, stride):
        return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def load_data(seed=0):
    """(training images, labels, held-out images, labels): scikit-learn's digits at 32x32, each in an ink and on a paper of
    colours drawn by chance; a fifth is held out."""
    digits = load_digits()
    rng = np.random.default_rng(seed)
    ink = np.kron(digits.images / 16, np.ones((4, 4)))[:, None]
    soft = (ink + np.roll(ink, 1, 2) + np.roll(ink, 1, 3) + np.roll(ink, (1, 1), (2, 3))) / 4
    paper, colour = rng.uniform(0, 0.4, (2, len(ink), 3, 1, 1))
    images = (paper + soft * (1 - colour - paper) - 0.4).astype(np.float32)
    labels = digits.target.astype(np.int64)
    order = rng.permutation(len(labels))
    held_out, training = order[: len(order) // 5], order[len(order) // 5 :]
    return images[training], labels[training], images[held_out], labels[held_out]


def augment(x, most=3):
    """Images[B, C, H, W], each moved by up to ``most`` pixels and made a little brighter or darker, on their device."""
    batch, _, height, width = x.shape
    padded = F.pad(x, (most, most, most, most), mode="replicate")
    top, left = torch.randint(0, 2 * most + 1, (2, batch, 1), device=x.device)
    rows = (top + torch.arange(height, device=x.device))[:, :, None]
    columns = (left + torch.arange(width, device=x.device))[:, None, :]
    moved = padded[torch.arange(batch, device=x.device)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)
    return moved * (0.8 + 0.4 * torch.rand(batch, 1, 1, 1, device=x.device))


@torch.no_grad()
def accuracy(model, images, labels, batch_size, device):
    """The share of images that are read right."""
    model.eval()
    right = 0
    for start in range(0, len(labels), batch_size):
        x, y = (torch.tensor(a[start : start + batch_size]).to(device) for a in (images, labels))
        right += (model(x).argmax(1) == y).sum().item()
    model.train()
    return right / len(labels)


def fit(model, optimizer, scheduler, images, labels, device, epochs, batch_size, seed, progress, clip=None):
    """Go through the images so often, in whole mini-batches; gradients longer than ``clip`` are shortened. Returns the loss
    of each step."""
    rng = np.random.default_rng(seed)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    bar = tqdm(total=epochs * (len(labels) // batch_size), unit="step", disable=not progress)
    for epoch in range(epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            x, y = torch.tensor(images[chosen]).to(device), torch.tensor(labels[chosen]).to(device)
            optimizer.zero_grad()
            loss = criterion(model(augment(x)), y)
            loss.backward()
            losses.append(loss.detach())  # not read: the next step is recorded while this one runs
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            scheduler.step()
            bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{losses[-1].item():.3f}")
    bar.close()
    return torch.stack(losses).tolist()


def train(device, epochs, batch_size, lr, seed, width=64, small=False, data=None, progress=True):
    """Train on (images, labels, held-out images, labels). Returns the model, the loss of each step and the accuracy."""
    torch.manual_seed(seed)
    images, labels, test_images, test_labels = data or load_data()
    model = ResNet18(10, width, small).to(device)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * (len(labels) // batch_size))
    losses = fit(model, optimizer, scheduler, images, labels, device, epochs, batch_size, seed, progress)
    return model, losses, accuracy(model, test_images, test_labels, batch_size, device)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    start = time.perf_counter()
    _, losses, right = train(
        FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed, FLAGS.width, FLAGS.small
    )
    print(f"loss {losses[0]:.3f} at first, {np.mean(losses[-10:]):.3f} at last")
    print(f"held-out accuracy {right:.2%} after {time.perf_counter() - start:.1f} s")
    print(torch.metrics.report())


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
    flags.DEFINE_integer("epochs", 5, "How often to go through the training images.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 64, "Images in a mini-batch.", lower_bound=2)
    flags.DEFINE_float("lr", 0.05, "SGD's learning rate, which falls to 0 as a cosine.", lower_bound=0.0)
    flags.DEFINE_integer("width", 64, "Channels after the first convolution; 64 makes ResNet-18.", lower_bound=1)
    flags.DEFINE_bool("small", False, "A 3x3 first convolution in steps of one and no pooling, as is usual for CIFAR.")
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the shuffling and the augmentation.")
    app.run(main)
