"""Train a word language model, an LSTM whose state is carried from chunk to chunk, on Python's documentation strings.

Run it as: python examples/lstm_lm.py --device xla
"""

import math
import re
from collections import Counter

import numpy as np
from absl import app, flags, logging
from char_gpt import text
from tqdm import tqdm

import lazyxla as torch
import lazyxla.nn as nn
import lazyxla.nn.functional as F

FLAGS = flags.FLAGS


class WordModel(nn.Module):
    """Words[T, B] in, scores[T, B, words] of the next ones out; the embedding is the output's weight too."""

    def __init__(self, words, width, layers=2, dropout=0.2):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(words, width)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout)
        self.decoder = nn.Linear(width, words)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids, state):
        found, state = self.rnn(self.drop(self.encoder(ids)), state)
        return self.decoder(self.drop(found)), state

    def first_state(self, batch):
        weight = self.encoder.weight
        shape = (self.rnn.num_layers, batch, self.rnn.hidden_size)
        return weight.new_zeros(shape), weight.new_zeros(shape)


def corpus(columns, most=2000):
    """(words[N, columns], the vocabulary): the text read down the columns; rare words are one word."""
    found = re.findall(r"\w+|[^\w\s]", text().lower())
    vocabulary = ["<rare>", *(w for w, _ in Counter(found).most_common(most - 1))]
    places = {w: i for i, w in enumerate(vocabulary)}
    ids = np.array([places.get(w, 0) for w in found], np.int64)
    rows = len(ids) // columns
    return ids[: rows * columns].reshape(columns, rows).T.copy(), vocabulary


def train(device, epochs, columns, length, width, lr, seed, rows=None, progress=True):
    """Train by hand-written SGD. Returns the model, the perplexity of each epoch, and that of the words' frequencies."""
    torch.manual_seed(seed)
    ids, vocabulary = corpus(columns)
    ids = ids[:rows]
    shares = np.bincount(ids.ravel(), minlength=len(vocabulary)) / ids.size
    unigram = math.exp(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
    data = torch.tensor(ids).to(device)
    model = WordModel(len(vocabulary), width).to(device)
    starts = range(0, len(ids) - 1 - length, length)
    perplexities = []
    bar = tqdm(total=epochs * len(starts), unit="chunk", disable=not progress)
    for _ in range(epochs):
        total = 0.0
        state = model.first_state(columns)
        for start in starts:
            state = tuple(s.detach() for s in state)
            model.zero_grad()
            logits, state = model(data[start : start + length], state)
            loss = F.cross_entropy(logits.flatten(0, 1), data[start + 1 : start + 1 + length].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            total += loss.item()
            bar.update()
        perplexities.append(math.exp(total / len(starts)))
        bar.set_postfix(perplexity=f"{perplexities[-1]:.1f}")
        if len(perplexities) > 1 and perplexities[-1] > perplexities[-2]:
            lr /= 4.0
    bar.close()
    return model, perplexities, unigram


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    _, perplexities, unigram = train(
        FLAGS.device, FLAGS.epochs, FLAGS.columns, FLAGS.length, FLAGS.width, FLAGS.lr, FLAGS.seed
    )
    print(f"perplexity {perplexities[-1]:.1f}; of the words' frequencies alone {unigram:.1f}")
    print(torch.metrics.report())


if __name__ == "__main__":
    flags.DEFINE_string("device", "xla", "Where to train: cpu, cuda (or gpu), tpu, or xla, the best that is there.")
    flags.DEFINE_integer("epochs", 4, "How often to go through the text.", lower_bound=1)
    flags.DEFINE_integer("columns", 16, "Parts of the text that are read side by side.", lower_bound=1)
    flags.DEFINE_integer("length", 32, "Words in a chunk.", lower_bound=1)
    flags.DEFINE_integer("width", 128, "Width of the model.", lower_bound=1)
    flags.DEFINE_float("lr", 10.0, "The learning rate; a quarter of it after an epoch that was no better.", lower_bound=0.0)
    flags.DEFINE_integer("seed", 0, "Seeds the weights and the dropout.")
    app.run(main)
