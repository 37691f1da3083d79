"""What a page is told about its run."""

from collections.abc import Callable

import pytest

from audiorig.config import Run
from audiorig.report.inputs import RunInputs


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
