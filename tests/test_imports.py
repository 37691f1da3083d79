"""Imports point one way, and what every dry run imports is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import audiorig

PACKAGE = Path(audiorig.__file__).parent
# A module may import from its own layer and from those before it.
LAYERS = [
    {"errors", "files", "randomness"},
    {"config"},
    {"config_checks"},
    {"config_references", "config_sources", "config_stages", "config_docs"},
    {"config_files"},
    {"config_targets"},
    {"provenance"},
    {"data"},
    {"models"},
    {"evaluate"},
    {"train"},
    {"experiments"},
    {"report"},
    {"publish"},
    {"doctor", "predict", "__main__"},
]
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def imported_names(path: Path, package: Path) -> list[str]:
    """Dotted names below ``audiorig`` that a module imports, anywhere in its text."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parents = path.relative_to(package.parent).with_suffix("").parts[: -node.level]
                module = ".".join([*parents, module] if module else parents)
            names += [f"{module}.{alias.name}" for alias in node.names]
    return [name.partition(".")[2] for name in names if name.startswith("audiorig.")]


def upward_imports(package: Path) -> list[str]:
    """A sentence for each import that points the wrong way, or is of no known layer."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        layer = relative.with_suffix("").parts[0]
        if layer == "__init__":
            continue
        for name in imported_names(path, package):
            target = name.split(".")[0]
            if layer not in HEIGHT or target not in HEIGHT:
                found.append(f"{relative} imports {name}: put both into a layer of tests/test_imports.py")
            elif HEIGHT[target] > HEIGHT[layer]:
                found.append(f"{relative} imports {name}")
    return found


def test_imports_point_one_way() -> None:
    assert upward_imports(PACKAGE) == []


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        ("data/audio.py", "from audiorig.evaluate.probe import linear_probe", 1),
        ("data/audio.py", "def f():\n    import audiorig.models", 1),
        ("data/audio.py", "from audiorig import train", 1),
        ("data/audio.py", "from ..models import wavemae", 1),
        ("data/audio.py", "from . import split", 0),
        ("data/audio.py", "from audiorig.config import Run\nimport numpy", 0),
        ("config.py", "from audiorig.data.audio import Samples", 1),
        ("novelty.py", "from audiorig.errors import DataError", 1),
        ("report/page.py", "from audiorig.train import fit", 0),
    ],
)
def test_the_check_sees_imports_of_every_form(tmp_path: Path, module: str, text: str, expected: int) -> None:
    path = tmp_path / "audiorig" / module
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert len(upward_imports(tmp_path / "audiorig")) == expected


def test_the_package_itself_imports_nothing() -> None:
    assert imported_names(PACKAGE / "__init__.py", PACKAGE) == []


HEAVY = ("torch", "torchaudio", "transformers", "pandas", "pyarrow", "matplotlib", "sklearn", "scipy", "soundfile")


@pytest.mark.parametrize("module", ["audiorig", "audiorig.config_targets", "audiorig.provenance"])
def test_what_the_snakefile_reads_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
