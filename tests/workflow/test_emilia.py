"""Real scale without the corpus: the plan of the run, and a scan that many jobs share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.config import FolderCorpus
from audiorig.data.manifest import build_manifest, write_table


def test_the_real_scale_run_has_a_plan_on_an_empty_tree(checkout, tmp_path: Path) -> None:
    done = checkout.snakemake("--dry-run", "results/wavemae-emilia/final.ckpt", EMILIA_ROOT=str(tmp_path))
    assert done.returncode == 0, done.stdout
    lines = [line.split() for line in done.stdout.split("Job stats:")[1].splitlines() if len(line.split()) == 2]
    jobs = {name: int(count) for name, count in lines if count.isdecimal()}
    assert jobs == {
        "resolve": 3,
        "resolve_corpus": 1,
        "list_files": 1,
        "scan_shard": 64,
        "manifest": 1,
        "validate": 1,
        "split": 1,
        "spectrum_statistics": 1,
        "plan_probe": 1,
        "measure_pitch": 256,
        "fetch_pretrained": 1,
        "fit_teacher": 1,
        "teacher_features": 256,
        "train": 1,
        "total": 589,
    }


def test_without_its_root_it_says_what_to_set(checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMILIA_ROOT", raising=False)
    done = checkout.snakemake("--dry-run", "results/wavemae-emilia/final.ckpt")
    assert "the variable EMILIA_ROOT is not set; export EMILIA_ROOT=/where/your/audio/lies" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_scan_that_jobs_share_writes_the_manifest_of_one(checkout, tmp_path: Path) -> None:
    root = tmp_path / "audio"
    for index in range(24):
        path = root / f"p{index % 4}" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(100 + index, np.int16), 16000)
    (root / "loop.wav").symlink_to("loop.wav")
    shared = {"kind": "folder", "root": str(root), "manifest": {"num_shards": 3}}
    config = checkout.configure("shared.yaml", {"build": [], "corpora": {"shared": shared}})
    folder = checkout.folder / "results/corpora/shared"
    arguments = ("--configfile", config, "--", "results/corpora/shared/manifest.parquet")
    assert checkout.planned(*arguments) == {"resolve_corpus": 1, "list_files": 1, "scan_shard": 3, "manifest": 1}
    done = checkout.snakemake(*arguments)
    assert done.returncode == 0, done.stdout
    write_table(build_manifest(FolderCorpus(**shared), root), tmp_path / "one.parquet")
    assert (folder / "manifest.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    # No outputs: Snakemake would have deleted them before the next scan.
    assert {path.name for path in (folder / "scan_cache").iterdir()} == {f"shard-{shard}.arrow" for shard in range(3)}
