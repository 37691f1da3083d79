"""Every optimizer with every schedule and every warm-up: the exact rate of each step, against formulas written here."""

import importlib.util
import math
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit = TOY.toy_fit

PEAK, STEPS = 0.01, 10
WARM_UPS = {
    "none": ({"warmup_share": 0.0}, 0),
    "steps": ({"warmup_steps": 4, "warmup_share": 0.9}, 4),  # steps beat the share
    "share": ({"warmup_share": 0.21}, 3),  # 2.1 steps, rounded up
    "no steps": ({"warmup_steps": 0, "warmup_share": 0.9}, 0),
}
SETTINGS = {
    "cosine": {"min_lr_share": 0.25},
    "linear": {},
    "constant": {},
    "reduce_on_plateau": {
        **{"plateau": {"factor": 0.5, "patience": 1}, "selection": {"metric": "planted"}, "eval_steps": 1},
    },
}


def share(schedule: str, step: int, warmup: int) -> float:
    """Of the peak, in the step that ``step`` steps come before; dev is asked after each, and never gains."""
    if step < warmup:
        return step / warmup
    match schedule:
        case "cosine":
            # The order of the operations is that of transformers, whose last bit this must hit.
            course = 0.5 * (1.0 + math.cos(math.pi * 2.0 * 0.5 * (step - warmup) / (STEPS - warmup)))
            return course * 0.75 + 0.25
        case "linear":
            return (STEPS - step) / (STEPS - warmup)
        case "constant":
            return 1.0
        case _:
            # The first evaluation that counts sets the best, and each second one after it is one too many.
            first = max(warmup, 1)
            return 0.5 ** (max(0, step - first) // 2)


@pytest.mark.parametrize("warm_up", WARM_UPS)
@pytest.mark.parametrize("schedule", SETTINGS)
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_the_rate_of_every_step(tmp_path: Path, optimizer: str, schedule: str, warm_up: str) -> None:
    settings, warmup = WARM_UPS[warm_up]
    chosen = {"eval_steps": 100, "save_steps": 100, "batch_size": 2, **SETTINGS[schedule], **settings}
    history, _ = toy_fit(
        tmp_path, planted=[1.0], num_dev=2, max_steps=STEPS, optimizer=optimizer, schedule=schedule, **chosen
    )
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    assert rates == [PEAK * share(schedule, step, warmup) for step in range(STEPS)]
    assert len(set(rates)) > 1 or (schedule, warmup) == ("constant", 0)
