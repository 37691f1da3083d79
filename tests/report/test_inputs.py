"""What a page is told about its run."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from audiorig.config import WaveMAERun
from audiorig.errors import DataError
from audiorig.files import write_json, write_text
from audiorig.report.inputs import RunInputs, read_files, read_inputs, read_provenance


@pytest.mark.parametrize(
    ("record", "weight", "target"),
    [({"w2v_target": "w2v-bert"}, 0.05, "w2v-bert"), ({}, 0.05, "bestrq"), ({}, 0.0, "none"), (None, 0.05, "bestrq")],
)
def test_the_record_of_the_training_says_what_the_w2v_decoder_learnt(
    make_inputs: Callable[..., RunInputs], record: dict[str, str] | None, weight: float, target: str
) -> None:
    run = WaveMAERun.model_validate({"experiment": "wavemae", "model": {"weights": {"aux_w2v": weight}}})
    provenance = {} if record is None else {"train": record}
    assert make_inputs(run=run, provenance=provenance).w2v_target == target


def test_shares_of_one_stage_are_all_kept(tmp_path: Path) -> None:
    """Two shards of measured pitch are two rows of the table of times."""
    paths = []
    for number in range(2):
        paths.append(tmp_path / f"{number}.json")
        write_json(paths[-1], {"stage": "measure_pitch", "started": f"2026-01-01T00:00:0{number}"})
    assert list(read_provenance(paths)) == ["measure_pitch", "measure_pitch, share 2"]


def test_files_have_the_side_that_the_split_gives_them(tmp_path: Path) -> None:
    paths = ["a.wav", "b.wav", "c.wav"]
    files = pd.DataFrame({"wav_path": paths, "participant_id": "p", "recording_id": "r", "duration_sec": 1.0})
    files.assign(codec="flac").to_parquet(tmp_path / "manifest.parquet")
    for side, rows in (("train", files[:1]), ("dev", files[1:2]), ("test", files[:0])):
        rows.to_parquet(tmp_path / f"{side}.parquet")
    found = read_files(tmp_path / "manifest.parquet", tmp_path / "split_summary.json")
    assert list(found) == ["wav_path", "participant_id", "recording_id", "duration_sec", "side"]
    assert found["side"].tolist() == ["train", "dev", ""]


def test_a_private_corpus_asks_for_the_names_that_must_not_appear(tmp_path: Path) -> None:
    write_text(tmp_path / "corpus.yaml", "kind: home-demo\n")
    write_text(tmp_path / "train.yaml", "experiment: homewav2vec2\n")
    anything = tmp_path / "anything"
    with pytest.raises(DataError, match=r"private.*--manifest"):
        read_inputs(
            configs=[tmp_path / "train.yaml"],
            history=anything,
            metrics=anything,
            corpus=tmp_path / "corpus.yaml",
            validation=anything,
            invalid=anything,
            split=anything,
            provenance=[],
            page=tmp_path / "report.html",
        )


def test_a_tuned_run_asks_for_its_answers(tmp_path: Path) -> None:
    write_text(tmp_path / "corpus.yaml", "kind: demo-cries\n")
    write_text(
        tmp_path / "train.yaml",
        "experiment: infantcry\ndata: {corpus: c, split: s}\nencoder: {family: wavlm, folder: x}\n"
        "targets: {loud: {kind: binary}}\n",
    )
    anything = tmp_path / "anything"
    with pytest.raises(DataError, match="give --predictions"):
        read_inputs(
            configs=[tmp_path / "train.yaml"],
            history=anything,
            metrics=anything,
            corpus=tmp_path / "corpus.yaml",
            validation=anything,
            invalid=anything,
            split=anything,
            provenance=[],
            page=tmp_path / "report.html",
        )
