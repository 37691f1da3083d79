"""Runs of real scale that no test can make are planned as a whole: every rule finds its files and settings."""

from pathlib import Path

import pytest

TUNED = (
    *("speechtune", "speechtune-chain", "speechtune-wavlm", "speechtune-hubert", "speechtune-whisper"),
    *("infantcry", "infantcry-chain", "infantcry-donateacry", "infantcry-donateacry-base"),
)


@pytest.mark.slow
def test_every_tuned_run_can_be_planned(checkout, tmp_path: Path) -> None:
    """With seeds, ladders, chains and published encoders; neither audio nor network is asked for."""
    (tmp_path / "donateacry").mkdir()
    (tmp_path / "clips.csv").write_text("path,participant_id\n")
    roots = {"AUDIORIG_DATA": str(tmp_path), "RATED_CLIPS": str(tmp_path)}
    pages = [f"results/{name}/report.html" for name in TUNED]
    done = checkout.snakemake("--dry-run", "--quiet", "rules", "--", *pages, **roots)
    assert done.returncode == 0, done.stdout[-3000:]
    one = checkout.snakemake("--dry-run", "--", "results/infantcry-donateacry-base/report.html", **roots)
    trainings = next(line for line in one.stdout.splitlines() if line.startswith("train "))
    assert trainings.split() == ["train", "20"], "five seeds of the run and of its three rungs"


@pytest.mark.slow
def test_every_run_of_audio2eda_can_be_planned(checkout, tmp_path: Path) -> None:
    for name in ("PMEmo2019", "HKU956"):
        (tmp_path / name).mkdir()
    names = (
        "audio2eda",
        "audio2eda-pmemo",
        "audio2eda-hku956",
        *(f"audio2eda-example{number}" for number in (1, 2, 3)),
    )
    pages = [f"results/{name}/report.html" for name in names]
    done = checkout.snakemake("--dry-run", "--quiet", "rules", "--", *pages, AUDIORIG_DATA=str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:]
