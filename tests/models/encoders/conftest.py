"""What tests of encoders share is imported as ``tiny_encoders`` (tiny.py), and of wav2vec2 as ``wav2vec2_tiny``."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def shared(name: str, path: Path) -> ModuleType:
    """A module of helpers beside the tests, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


HERE = Path(__file__).parent
shared("tiny_encoders", HERE / "tiny.py")
WAV2VEC2 = shared("wav2vec2_tiny", HERE.parent / "wav2vec2/tiny.py")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wav2vec2 of random weights in the published format."""
    return WAV2VEC2.seeded_folder(tmp_path_factory.mktemp("pretrained") / "tiny")
