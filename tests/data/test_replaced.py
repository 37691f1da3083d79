"""The ledger of replaced clips: counts rows, names them once, is kept in checkpoints, stops the run."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from audiorig.data.replaced import ReplacedClips
from audiorig.errors import DataError


class Clips:
    """A side of 20 rows, of which some cannot be read."""

    def __init__(self, split: Path, bound: float) -> None:
        self.split, self.data = split, SimpleNamespace(max_unreadable_share=bound)

    def __len__(self) -> int:
        return 20

    def name(self, row: int) -> str:
        return f"homes/anna/{row:02d}.wav"

    def copy(self, row: int) -> int:
        return 0

    def why_unreadable(self, row: int) -> str:
        return f"{self.name(row)}: Format not recognised"


def ledger(tmp_path: Path, bound: float = 1.0, **settings: bool) -> ReplacedClips:
    return ReplacedClips(Clips(tmp_path / "split" / "train.arrow", bound), **settings)


def seen(*pairs: tuple[int, int]) -> torch.Tensor:
    return torch.tensor([[0, row, row, read_row] for row, read_row in pairs])


def test_rows_are_counted_once_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted = ledger(tmp_path)
    assert counted.numbers() == {"replaced_clips": 0.0}
    with caplog.at_level(logging.WARNING):
        counted.note(seen((1, 1), (3, 5), (4, 5), (5, 5)))
        counted.note(seen((3, 5), (18, 1)))
    assert counted.rows == [0, 3, 4, 18, 19]  # those that were passed over on the way, round the end too
    assert counted.numbers() == {"replaced_clips": 5.0}
    assert sorted(record.message.split(":")[0] for record in caplog.records) == [
        f"homes/anna/{row:02d}.wav" for row in counted.rows
    ]
    assert all("Format not recognised; the next clip" in record.message for record in caplog.records)


def test_too_many_stop_the_run_with_their_names(tmp_path: Path) -> None:
    counted = ledger(tmp_path, bound=0.1)
    counted.note(seen((1, 2), (7, 8)))
    counted.note(seen((1, 2)))
    with pytest.raises(
        DataError, match=r"3 of its 20 clips .*max_unreadable_share \(0\.1\).*01\.wav, .*07\.wav, .*11"
    ) as e:
        counted.note(seen((11, 12)))
    assert "validation" in str(e.value)
    none_allowed = ledger(tmp_path, bound=0.0)
    none_allowed.note(seen((1, 1)))
    with pytest.raises(DataError, match="1 of its 20"):
        none_allowed.note(seen((1, 2)))


def test_a_private_corpus_is_named_by_pseudonyms(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    rows = pd.DataFrame({"wav_path": [f"homes/anna/{row:02d}.wav" for row in range(20)]})
    rows = rows.assign(participant_id="anna", recording_id=rows["wav_path"].str.removesuffix(".wav"))
    for side in ("train", "dev", "test"):
        rows.to_parquet(folder / f"{side}.parquet")
    counted = ledger(tmp_path, bound=0.05, private=True)
    with caplog.at_level(logging.WARNING):
        counted.note(seen((1, 2)))
        with pytest.raises(DataError) as caught:
            counted.note(seen((3, 4)))
    said = f"{caught.value} {caplog.text}"
    assert "anna" not in said
    assert said.count("of participant-01") == 4


def test_a_resumed_run_goes_on_counting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    counted, resumed = ledger(tmp_path), ledger(tmp_path, is_spoken=False)
    counted.note(seen((3, 5)))
    counted.save(tmp_path)
    caplog.clear()
    resumed.load(tmp_path)
    resumed.note(seen((3, 5), (9, 10)))
    assert resumed.rows == [3, 4, 9]
    assert not caplog.records


@pytest.mark.parametrize("content", [None, "", "{}", '{"rows": [1], "num_rows": 7}', '{"rows": [30], "num_rows": 20}'])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "replaced.json").write_text(content)
    with pytest.raises(DataError, match=r"replaced\.json"):
        ledger(tmp_path).load(tmp_path)


def test_a_training_side_that_went_bad(tmp_path: Path) -> None:
    """From damaged files to the count, through batches."""
    import numpy as np
    import soundfile

    from audiorig.config import ClipConfig
    from audiorig.data.clips import ClipCollate, ClipDataset

    names = [f"{row}.wav" for row in range(10)]
    for row, name in enumerate(names):
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(row).standard_normal(800), 8000)
    rows = pd.DataFrame({"wav_path": names, "duration_sec": 0.1, "sample_rate": 8000})
    rows.to_feather(tmp_path / "train.arrow", compression="uncompressed")
    for bad in (4, 5, 9):
        (tmp_path / names[bad]).write_bytes(b"no audio")
    settings = ClipConfig(corpus="clips", split="mine", max_unreadable_share=0.3)
    clips = ClipDataset(tmp_path / "train.arrow", tmp_path, settings, (), 8000, 0, side="train")
    counted = ReplacedClips(clips)
    for first in (0, 5):
        counted.note(ClipCollate()([clips[0, item] for item in range(first, first + 5)])["seen"])
    assert counted.rows == [4, 5, 9]
    assert counted.numbers() == {"replaced_clips": 3.0}
    strict = ReplacedClips(
        ClipDataset(
            *(tmp_path / "train.arrow", tmp_path, settings.model_copy(update={"max_unreadable_share": 0.2})),
            *((), 8000, 0),
            side="train",
        )
    )
    with pytest.raises(DataError, match=r"3 of its 10 clips .*: 4\.wav, 5\.wav, 9\.wav"):
        strict.note(ClipCollate()([clips[0, item] for item in (0, 4, 9)])["seen"])
