"""A tiny published folder; what its tests share is imported as ``wav2vec2_tiny`` (tiny.py)."""

import importlib.util
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("wav2vec2_tiny", Path(__file__).with_name("tiny.py"))
TINY = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = TINY
SPEC.loader.exec_module(TINY)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the published format."""
    return TINY.seeded_folder(tmp_path_factory.mktemp("pretrained") / "tiny")
