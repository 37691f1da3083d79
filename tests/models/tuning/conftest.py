"""Tiny encoders as fixtures."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SPEC = importlib.util.spec_from_file_location("tiny_encoders", Path(__file__).with_name("tiny.py"))
TINY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TINY)


@pytest.fixture
def tiny() -> ModuleType:
    """The module tiny.py."""
    return TINY


@pytest.fixture(params=TINY.FAMILIES)
def family(request) -> str:
    """Each of the families in turn; wav2vec2 in both of its layouts."""
    return request.param


@pytest.fixture
def encoder(family):
    """A tiny encoder of each family, with blocks 0, 1, 2."""
    return TINY.encoder(family)
