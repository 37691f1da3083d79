"""What every rule must have, and what none may have."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The order that snakefmt keeps.
FIELDS = ["input", "output", "log", "benchmark", "conda", "threads", "resources", "params", "message", "shell"]


def rules() -> dict[str, str]:
    """Name and text of every rule but `all`."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for name, text in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", path.read_text(), re.MULTILINE):
            found[name] = text
    return found


RULES = rules()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_complete_and_in_order(name: str) -> None:
    fields = re.findall(r"^    (\w+):", RULES[name], re.MULTILINE)
    assert fields == [field for field in FIELDS if field in fields]
    assert {"output", "log", "threads", "resources", "conda", "message", "shell"} <= set(fields)
    assert "mem_mb" in RULES[name]
    assert "runtime" in RULES[name]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_calls_a_script(name: str) -> None:
    script = re.search(r"workflow/scripts/(\w+)\.py", RULES[name])
    assert script, name
    assert (ROOT / "workflow" / "scripts" / f"{script[1]}.py").is_file()
    assert script[1] == name.removesuffix("_corpus")
    assert "| log {log}" in RULES[name]


def test_no_retries_and_no_run_in_rules() -> None:
    """Retries of a rule multiply on SLURM; `run:` starts a whole Snakemake for each job."""
    for name, text in RULES.items():
        assert not re.search(r"^    (retries|run|script):", text, re.MULTILINE), name


def test_a_failing_script_fails_its_job(checkout) -> None:
    """`script | log FILE` must not end well when the script does not."""
    script = checkout.folder / "workflow" / "scripts" / "resolve.py"
    original = script.read_text()
    try:
        script.write_text("raise SystemExit(3)")
        done = checkout.snakemake("results/smoke/config/data.yaml")
    finally:
        script.write_text(original)
    assert done.returncode != 0
    assert "non-zero exit status 3" in done.stdout


def test_environments_exist_and_follow_the_lock() -> None:
    lock = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    used = {name for text in RULES.values() for name in re.findall(r'"\.\./envs/(\w+)\.yaml"', text)}
    assert used == {path.stem for path in (ROOT / "envs").glob("*.yaml")}
    for name in used:
        *_, pip = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
        for pin in pip["pip"]:
            package, version = pin.split("==")
            assert lock[package] == version, f"envs/{name}.yaml: {pin}"


# Parts of packages that need another package, which theirs does not bring along.
BEHIND = {"torch.utils.tensorboard": "tensorboard", "transformers.Trainer": "accelerate"}
# Their networks' weights are read from the wheel, which is not imported.
WITH_PITCH = ("measure_pitch", "train", "reconstruct")


def imported_at_once(node: ast.AST) -> Iterator[str]:
    """Dotted names that importing a module imports; what a function imports when called is not among them."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import():
                yield from (alias.name for alias in child.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield from (f"{module}.{alias.name}" for alias in child.names)
            case ast.FunctionDef() | ast.If(test=ast.Name("TYPE_CHECKING")):
                pass
            case _:
                yield from imported_at_once(child)


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    return tuple(imported_at_once(ast.parse(path.read_text(encoding="utf-8"))))


def packages_needed(script: Path) -> set[str]:
    """Packages that a script needs, through all modules of the project that it imports."""
    seen, left, names = set(), [script], set()
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports_of(path):
            top, *rest = name.split(".")
            if top != "audiorig":
                names |= {top, *(package for part, package in BEHIND.items() if name.startswith(part))}
                continue
            folders = [ROOT.joinpath("src", top, *rest[:depth]) for depth in range(len(rest) + 1)]
            candidates = [each for at in folders for each in (at.with_suffix(".py"), at / "__init__.py")]
            left += [each for each in candidates if each.is_file()]
    return names - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", RULES)
def test_an_environment_holds_what_the_script_imports(name: str) -> None:
    script = re.search(r"workflow/scripts/\w+\.py", RULES[name])
    environment = re.search(r'"\.\./(envs/\w+\.yaml)"', RULES[name])
    assert script, name
    assert environment, name
    held = set(re.findall(r"- ([\w.-]+)==", (ROOT / environment[1]).read_text()))
    owners = packages_distributions()
    needed = {re.sub(r"[-_.]+", "-", owners[each][0]).lower() for each in packages_needed(ROOT / script[0])}
    needed |= {"torchcrepe"} if name in WITH_PITCH else set()
    assert needed <= held, f"{environment[1]} lacks {', '.join(sorted(needed - held))}"


def test_what_a_function_or_a_type_needs_is_told_from_what_a_module_needs() -> None:
    text = """
import numpy as np
if TYPE_CHECKING:
    import pandas
try:
    import yaml.nodes
except ImportError:
    pass
def late():
    import torch
class Kept:
    from scipy import signal
"""
    assert list(imported_at_once(ast.parse(text))) == ["numpy", "yaml.nodes", "scipy.signal"]


def test_there_is_no_default_profile() -> None:
    """profiles/default would override --profile profiles/slurm, key by key and in silence."""
    assert not (ROOT / "profiles" / "default").exists()


def test_no_path_of_a_machine_and_no_host_is_locked() -> None:
    for name in ("requirements.lock", "requirements-oracles.lock"):
        assert "://" not in (ROOT / name).read_text()
