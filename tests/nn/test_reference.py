"""Layers, losses, optimizers and schedules against what PyTorch computed (scripts/reference_values.py made the values)."""

import functools

import pytest

import lazyxla as lx
from tests.reference import cases, kit

values = functools.cache(kit.load)


def test_every_group_has_its_values():
    assert tuple(kit.groups) == cases.GROUPS
    for group in cases.GROUPS:
        assert sorted(values(group)[1]) == sorted(kit.groups[group])


@pytest.mark.parametrize("group, name", [(g, n) for g in cases.GROUPS for n in kit.groups[g]])
def test_as_in_pytorch(group, name):
    kit.check(lx, group, name, *values(group))
