"""What every rule must have, and what none may have."""

import re
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


def test_there_is_no_default_profile() -> None:
    """profiles/default would override --profile profiles/slurm, key by key and in silence."""
    assert not (ROOT / "profiles" / "default").exists()


def test_no_path_of_a_machine_and_no_host_is_locked() -> None:
    for name in ("requirements.lock", "requirements-oracles.lock"):
        assert "://" not in (ROOT / name).read_text()
