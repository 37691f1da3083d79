"""Stages by name are targets of the workflow."""

from pathlib import Path

import pytest

from audiorig.__main__ import TARGETS, target_of
from audiorig.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("stage", "target"),
    [
        ("ingest", "results/corpora/home/manifest.parquet"),
        ("validate", "results/corpora/home/validation/summary.json"),
        ("transform", "results/corpora/home/splits/by-participant/split_summary.json"),
        ("train", "results/homewav2vec2/final.ckpt"),
        ("report", "results/homewav2vec2/report.html"),
        ("push_hf", "results/homewav2vec2/hub/pushed.json"),
    ],
)
def test_a_stage_ends_in_a_file(stage: str, target: str) -> None:
    assert target_of(stage, "homewav2vec2", [], PROJECT) == target


def test_a_config_file_counts(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("mine: {extends: wavemae}\n")
    assert target_of("train", "mine", [mine], PROJECT) == "results/mine/final.ckpt"


def test_an_unknown_run_is_named_with_its_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"did you mean.*homewav2vec2"):
        target_of("train", "homewav2vec", [], PROJECT)


def test_elsewhere_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no Snakefile here"):
        target_of("train", "wavemae", [], tmp_path)


def test_every_stage_of_the_help_is_one() -> None:
    import audiorig.__main__ as module

    assert module.__doc__ is not None
    assert all(f"audiorig {stage} " in module.__doc__ for stage in TARGETS)


def test_a_dry_run_of_the_push_lists_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import audiorig.__main__ as module

    commands: list[list[str]] = []
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(module.sys, "argv", ["audiorig", "push_hf", "homewav2vec2", "--dry-run"])
    monkeypatch.setattr(module.os, "execv", lambda program, command: commands.append(command))
    module.main()
    assert commands[0][-4:] == ["--forcerun", "plan_push", "--", "results/homewav2vec2/hub/plan.json"]
    assert "--dry-run" not in commands[0]
