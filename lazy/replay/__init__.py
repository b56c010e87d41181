"""Replay: a program that does again what it did in its last step is followed by cheap checks instead of recorded anew.

``state`` is what the rest of the room tells and asks, ``script`` what is kept of a step, ``recorder`` writes one while
a step is recorded as ever, ``follower`` follows one, ``starts`` decides which of the two happens.
"""
