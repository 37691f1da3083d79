"""What tests of published datasets share is imported as ``published_layouts`` (published.py)."""

import importlib.util
import sys
from pathlib import Path

SPEC = importlib.util.spec_from_file_location("published_layouts", Path(__file__).with_name("published.py"))
assert SPEC is not None and SPEC.loader is not None
module = importlib.util.module_from_spec(SPEC)
sys.modules["published_layouts"] = module
SPEC.loader.exec_module(module)
