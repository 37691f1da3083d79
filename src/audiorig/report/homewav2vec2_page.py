"""What only the page of continued pre-training shows: what was heard, and how the contrastive task went."""

from typing import Any

from audiorig.config import HomeWav2Vec2Run
from audiorig.report.adaptation import base_facts, pretext_table
from audiorig.report.crops import crop_curves, crop_facts, participants_table, train_hours
from audiorig.report.inputs import RunInputs
from audiorig.report.origins import run_facts
from audiorig.report.pretraining import bounds, measures_table, pretraining_curves


def content(inputs: RunInputs, run: HomeWav2Vec2Run) -> dict[str, Any]:
    """By the names that ``homewav2vec2.html`` uses."""
    return {
        "facts": run_facts(inputs, facts(inputs, run)),
        "crops": crop_facts(inputs, run),
        "crop_curves": crop_curves(inputs.history, train_hours(inputs)),
        "participants": participants_table(inputs, run),
        "losses": pretraining_curves(inputs.history, bounds(inputs, run)),
        "measures": measures_table(inputs.history, run),
        "pretext": pretext_table(inputs),
        "is_from_scratch": bool(inputs.base.get("seeded")),
    }


def facts(inputs: RunInputs, run: HomeWav2Vec2Run) -> dict[str, str]:
    """What was trained further, on how much."""
    sides = inputs.split.get("sides", {})
    hours = sum(float(side.get("hours", 0)) for side in sides.values())
    return {
        **base_facts(inputs, run),
        "hours of the corpus": f"{hours:.2f}, of which {train_hours(inputs):.2f} for training",
        "crop length": f"{run.data.crop_sec:g} s",
    }
