"""What a page is told about its run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from audiorig.config import Run
from audiorig.files import write_json
from audiorig.report.inputs import RunInputs, read_provenance


@pytest.mark.parametrize(
    ("record", "weight", "target"),
    [({"w2v_target": "w2v-bert"}, 0.05, "w2v-bert"), ({}, 0.05, "bestrq"), ({}, 0.0, "none"), (None, 0.05, "bestrq")],
)
def test_the_record_of_the_training_says_what_the_w2v_decoder_learnt(
    make_inputs: Callable[..., RunInputs], record: dict[str, str] | None, weight: float, target: str
) -> None:
    run = Run.model_validate({"experiment": "wavemae", "model": {"weights": {"aux_w2v": weight}}})
    provenance = {} if record is None else {"train": record}
    assert make_inputs(run=run, provenance=provenance).w2v_target == target


def test_shares_of_one_stage_are_all_kept(tmp_path: Path) -> None:
    """Two shards of measured pitch are two rows of the table of times."""
    paths = []
    for number in range(2):
        paths.append(tmp_path / f"{number}.json")
        write_json(paths[-1], {"stage": "measure_pitch", "started": f"2026-01-01T00:00:0{number}"})
    assert list(read_provenance(paths)) == ["measure_pitch", "measure_pitch, share 2"]
