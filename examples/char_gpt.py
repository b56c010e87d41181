"""Train a small GPT-2 on the characters of Python's own documentation strings, and let it write.

Run it as: python examples/char_gpt.py --device xla
"""

import inspect
import math

import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F
import lazyxla.optim as optim

FLAGS = flags.FLAGS


def text():
    """Documentation strings of the standard library: some text that is on any machine with Python."""
    import argparse
    import collections
    import email.message
    import logging
    import pathlib
    import random
    import statistics
    import unittest.mock

    modules = (argparse, collections, email.message, logging, pathlib, random, statistics, unittest.mock)
    found = [inspect.getdoc(thing) or "" for m in modules for thing in (m, *vars(m).values()) if callable(thing) or thing is m]
    return "\n\n".join(dict.fromkeys(d for d in found if len(d) > 80 and d.isascii()))


class Conv1D(nn.Module):
    """A linear layer whose weight lies [in, out], as in GPT-2's checkpoints."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x):
        return x @ self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)
        self.register_buffer("bias", torch.tril(torch.ones(context, context)).bool(), persistent=False)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.c_attn(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(~self.bias[:length, :length], float("-inf"))
        found = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)
        return self.c_proj(found)


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = Conv1D(width, 4 * width)
        self.c_proj = Conv1D(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, context, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """GPT-2, layer by layer and name by name: letters[B, T] in, scores[B, T, letters] of the next; T at most ``context``.

    ``GPT(50257, 1024, 768, 12, 12)`` takes the weights of the smallest GPT-2 that was published.
    """

    def __init__(self, letters, context, width, layers, heads=4):
        super().__init__()
        self.context = context
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(letters, width),
                "wpe": nn.Embedding(context, width),
                "h": nn.ModuleList([Block(width, context, heads) for _ in range(layers)]),
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, letters, bias=False)
        nn.init.normal_(self.transformer.wte.weight, std=0.02)
        nn.init.normal_(self.transformer.wpe.weight, std=0.02)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, ids):
        found = self.transformer
        x = found.wte(ids) + found.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in found.h:
            x = block(x)
        return self.lm_head(found.ln_f(x))

    @torch.no_grad()
    def write(self, ids, count):
        """``count`` more characters for ids[1, T], drawn one by one; what is looked at is always ``context`` long."""
        filled = ids.shape[1]
        ids = F.pad(ids, (0, self.context - filled))
        written = []
        for _ in range(count):
            scores = self(ids)[0, filled - 1]
            drawn = torch.multinomial(F.softmax(scores, dim=-1), 1)
            written.append(drawn)
            if filled < self.context:
                ids[0, filled] = drawn[0]
                filled += 1
            else:
                ids = torch.cat([ids[:, 1:], drawn[None]], dim=1)
        return [d.item() for d in written]


def train(device, steps, batch_size, context, width, layers, lr, seed, progress=True):
    """Train on the text. Returns the model, the letters, and the loss of each step, in nats a character."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    whole = text()
    letters = sorted(set(whole))
    places = {c: i for i, c in enumerate(letters)}
    data = torch.tensor(np.array([places[c] for c in whole], np.int64)).to(device)
    model = GPT(len(letters), context, width, layers).to(device)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=lr / 10)
    losses = []
    bar = tqdm(range(steps), unit="step", disable=not progress)
    for _ in bar:
        starts = torch.tensor(rng.integers(0, len(data) - context - 1, batch_size)).to(device)
        pieces = data[starts[:, None] + torch.arange(context + 1, device=device)]
        logits = model(pieces[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, len(letters)), pieces[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    return model, letters, losses


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    model, letters, losses = train(
        FLAGS.device, FLAGS.steps, FLAGS.batch_size, FLAGS.context, FLAGS.width, FLAGS.layers, FLAGS.lr, FLAGS.seed
    )
    print(f"loss {losses[0]:.3f} at first, {np.mean(losses[-10:]):.3f} at last")
    model.eval()
    begun = torch.tensor([[letters.index(c) for c in "Return "]]).to(FLAGS.device)
    print("Return " + "".join(letters[i] for i in model.write(begun, FLAGS.written)))


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best of them that is there.")
    flags.DEFINE_integer("steps", 300, "Training steps.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 16, "Pieces of text in a step.", lower_bound=1)
    flags.DEFINE_integer("context", 64, "Characters that the model looks back on.", lower_bound=2)
    flags.DEFINE_integer("width", 128, "Width of the model.", lower_bound=4)
    flags.DEFINE_integer("layers", 3, "Its blocks.", lower_bound=1)
    flags.DEFINE_float("lr", 1e-3, "AdamW's learning rate, which falls to a tenth as a cosine.", lower_bound=0.0)
    flags.DEFINE_integer("written", 200, "Characters to write at the end.", lower_bound=0)
    flags.DEFINE_integer("seed", 0, "Seeds the weights, the batches and the writing.")
    app.run(main)
