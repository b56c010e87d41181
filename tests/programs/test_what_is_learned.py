"""The programs run to the end: what each has learned then. Slow; the short runs beside PyTorch are in test_programs."""

import argparse
import asyncio
import collections
import datetime
import decimal
import email
import functools
import inspect
import itertools
import json
import logging
import os
import pathlib
import pickle
import random
import re
import socket
import statistics
import subprocess
import threading
import unittest

import numpy as np
import pytest

import lazyxla as lx

from . import kit

pytestmark = pytest.mark.slow
DOCUMENTED = [
    argparse, asyncio, collections, datetime, decimal, email, functools, itertools, json, logging, os, pathlib, pickle,
    random, re, socket, statistics, subprocess, threading, unittest,
]  # fmt: skip


@pytest.fixture(autouse=True)
def fresh(clean):
    lx.lowering.clear_cache()
    lx.manual_seed(1)
    return clean


def digits():
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return (found.images[order] / 16).astype(np.float32)[:, None], found.target[order].astype(np.int64)


def compiles():
    return lx.metrics.report(as_dict=True)["compiles"]


def test_digits_are_told_apart():
    images, labels = digits()
    program = kit.load("digit_classifier")
    _, tests = program.main("xla", (images[:1437], labels[:1437]), (images[1437:], labels[1437:]), epochs=10)
    assert tests[-1][1] >= 0.98
    assert compiles() <= 4  # a training step and an evaluation, each also of the last batch's size


def test_sine_waves_are_foretold():
    waves = np.sin((np.arange(1000) + np.random.default_rng(0).integers(-80, 80, (13, 1))) / 20.0)
    losses, tests, _ = kit.load("sine_waves").main("xla", waves, steps=8)
    assert losses[-1] < 1e-3
    assert tests[-1] < 2e-3
    assert compiles() <= 16


def test_the_autoencoder_finds_digits_likely(tmp_path):
    images = (digits()[0] > 0.5).astype(np.float32)
    sizes = dict(epochs=100, hidden=400, latent=20)
    _, epochs = kit.load("vae").main("xla", images, path=tmp_path / "grid.pgm", **sizes)
    assert epochs[-1] < epochs[0] / 2
    assert (tmp_path / "grid.pgm").read_bytes().startswith(b"P5 64 64 255\n")
    assert compiles() <= 3


def words():
    """The documentation of the standard library as numbers of words, and how many words there are."""
    docs = [inspect.getdoc(v) for m in DOCUMENTED for _, v in sorted(vars(m).items()) if callable(v)]
    text = " <end> ".join(dict.fromkeys(filter(None, docs))).lower()
    tokens = re.findall(r"<end>|[a-z']+|\d|[^\sa-z\d]", text)
    known = {w for w, _ in collections.Counter(tokens).most_common(1000)}
    tokens = [t if t in known else "<unk>" for t in tokens]
    number = {w: i for i, w in enumerate(sorted(set(tokens)))}
    return np.array([number[t] for t in tokens]), len(number)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(("kind", "lr"), [("lstm", 20.0), ("transformer", 5.0)])
def test_words_are_foretold(kind, lr):
    text, n = words()
    training, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    unigram = (np.bincount(training, minlength=n) + 1) / (len(training) + n)
    perplexity = np.exp(-np.log(unigram[held_out]).mean())
    sizes = dict(ninp=128, nhid=128, nhead=2, epochs=6, lr=lr)
    _, losses, _ = kit.load("word_model").main("xla", training, held_out, n, kind=kind, **sizes)
    assert np.exp(losses[-1]) < 0.6 * perplexity
    assert compiles() <= 4


def test_the_pole_is_held():
    _, lengths, mean = kit.load("reinforce").main("xla", episodes=1500)
    assert mean > 195
    assert len(set(lengths)) > 50
    assert compiles() <= 14  # and not one for each length


def test_sums_are_found():
    rng = np.random.default_rng(0)
    every = rng.permutation(10_000)
    pairs = [[divmod(int(k), 100) for k in rng.choice(every[500:], 256)] for _ in range(1200)]
    held_out = [divmod(int(k), 100) for k in every[:500]]
    _, share, _ = kit.load("adding_gpt").main("xla", pairs, held_out, lr=3e-3, n_layer=2, n_head=4, n_embd=64)
    assert share >= 0.99
    assert compiles() <= 2
