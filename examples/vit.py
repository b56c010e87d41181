"""Train a vision transformer on colour images of handwritten digits.

Run it as: python examples/vit.py --device xla
"""

import time

import numpy as np
from absl import app, flags, logging
from resnet18 import accuracy, fit, load_data

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.optim as optim

FLAGS = flags.FLAGS


class EncoderBlock(nn.Module):
    def __init__(self, heads, width, hidden, dropout):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x):
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    def __init__(self, length, layers, heads, width, hidden, dropout):
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, length, width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for i in range(layers):
            self.layers.add_module(f"encoder_layer_{i}", EncoderBlock(heads, width, hidden, dropout))
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x):
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class ViT(nn.Module):
    """Images[B, 3, size, size] in, scores[B, classes] out; parameters have the names and shapes of torchvision's.

    ``ViT(224, 16, 12, 12, 768, 3072, 1000)`` takes the weights of its ``vit_b_16``.
    """

    def __init__(self, size, patch, layers, heads, width, hidden, classes, dropout=0.0):
        super().__init__()
        if size % patch:
            raise ValueError(f"patches of {patch} pixels do not fill an image of {size}")
        self.conv_proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = Encoder((size // patch) ** 2 + 1, layers, heads, width, hidden, dropout)
        self.heads = nn.Sequential()
        self.heads.add_module("head", nn.Linear(width, classes))
        nn.init.trunc_normal_(self.conv_proj.weight, std=(3 * patch**2) ** -0.5)
        nn.init.zeros_(self.conv_proj.bias)
        nn.init.zeros_(self.heads.head.bias)

    def forward(self, x):
        patches = self.conv_proj(x).flatten(2).transpose(1, 2)
        token = self.class_token.expand(x.shape[0], -1, -1)
        x = self.encoder(torch.cat([token, patches], dim=1))
        return self.heads(x[:, 0])


def train(device, epochs, batch_size, lr, seed, patch=8, layers=4, width=96, data=None, progress=True):
    """Train on (images, labels, held-out images, labels). Returns the model, the loss of each step and the accuracy."""
    torch.manual_seed(seed)
    images, labels, test_images, test_labels = data or load_data()
    model = ViT(images.shape[-1], patch, layers, 4, width, 2 * width, 10, dropout=0.1).to(device)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    steps = epochs * (len(labels) // batch_size)
    warm = max(1, steps // 10)
    scheduler = optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=warm),
            optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps - warm)),
        ],
        milestones=[warm],
    )
    losses = fit(model, optimizer, scheduler, images, labels, device, epochs, batch_size, seed, progress, clip=1.0)
    return model, losses, accuracy(model, test_images, test_labels, batch_size, device)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    start = time.perf_counter()
    _, losses, right = train(
        FLAGS.device, FLAGS.epochs, FLAGS.batch_size, FLAGS.lr, FLAGS.seed, FLAGS.patch, FLAGS.layers, FLAGS.width
    )
    print(f"loss {losses[0]:.3f} at first, {np.mean(losses[-10:]):.3f} at last")
    print(f"held-out accuracy {right:.2%} after {time.perf_counter() - start:.1f} s")
    print(torch.metrics.report())


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
    flags.DEFINE_integer("epochs", 30, "How often to go through the training images.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 64, "Images in a mini-batch.", lower_bound=1)
    flags.DEFINE_float("lr", 2e-3, "AdamW's highest learning rate: it warms up to it, then falls to 0.", lower_bound=0.0)
    flags.DEFINE_integer("patch", 8, "Pixels along a side of a patch.", lower_bound=1)
    flags.DEFINE_integer("layers", 4, "Blocks of the encoder.", lower_bound=1)
    flags.DEFINE_integer("width", 96, "Width of the model: a multiple of four, its heads.", lower_bound=4)
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the shuffling, the augmentation and the dropout.")
    app.run(main)
