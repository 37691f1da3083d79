"""What was logged: tables with known numbers, curves where something was logged and nowhere else."""

import base64
from collections.abc import Callable

import pytest

from audiorig.config import WaveMAERun
from audiorig.report.figures import Picture
from audiorig.report.inputs import RunInputs
from audiorig.report.training import loss_curves, loss_parts, loss_table, probe_in_training, watch_curves

MakeInputs = Callable[..., RunInputs]
WEIGHTS = {"main_recon": 1.0, "main_percep": 0.05, "aux_crepe": 0.05, "aux_w2v": 0.05}


def test_parts_of_the_loss_have_weight_and_last_values() -> None:
    run = WaveMAERun.model_validate({"experiment": "wavemae", "model": {"weights": {"main_percep": 0.5}}})
    history = [
        {"step": 1, "total": 3.0, "main_recon": 1.0, "main_percep": 4.0, "level": 1.0, "grad_norm": 9.0},
        {"step": 2, "total": 1.0, "main_recon": 0.5, "main_percep": 1.0, "level": None},
        {"step": 2, "eval_main_percep": 2.0, "eval_latent_rank": 9.0, "eval_linear_probe_accuracy": 0.5},
    ]
    rows = {row[0]: row[1:] for row in loss_table(history, run.model).rows}
    assert list(rows) == ["total", "main_recon", "level", "main_percep"]
    assert rows["main_percep"] == ("0.5", "2.5000", "2.0000", "1.0000")
    assert rows["total"] == ("–", "2.0000", "–", "–")
    assert rows["level"] == ("0.2 in main_recon", "1.0000", "–", "–")


@pytest.mark.parametrize(("parts", "shown"), [(("main_recon",), False), (("main_recon", "aux_w2v"), True)])
def test_the_total_is_shown_only_where_several_parts_make_it_up(parts: tuple[str, ...], shown: bool) -> None:
    history = [{"step": 1, "total": 1.0, **dict.fromkeys(parts, 1.0)}]
    assert ("total" in loss_parts(history)) == shown


def _num_axes(picture: Picture | None) -> int:
    assert picture is not None
    drawn = base64.b64decode(picture.uri.split(",")[1]).decode()
    return sum(f'<g id="axes_{number}">' in drawn for number in range(1, 20))


@pytest.mark.parametrize(
    ("parts", "num_axes"), [(("main_recon",), 2), (("total", "main_recon", "main_percep", "aux_crepe"), 5)]
)
def test_every_part_has_a_panel_and_so_has_the_rate(parts: tuple[str, ...], num_axes: int) -> None:
    history = [{"step": step, "learning_rate": 1e-3, **dict.fromkeys(parts, 1.0)} for step in (1, 2)]
    picture = loss_curves(history, WEIGHTS)
    assert _num_axes(picture) == num_axes
    assert picture is not None
    assert picture.alt == f"Loss by step on training batches and on dev: {', '.join(parts)}."


def test_long_logs_are_averaged_and_say_so() -> None:
    history = [{"step": step, "main_recon": 1.0} for step in range(1, 1001)]
    picture = loss_curves(history, WEIGHTS)
    assert picture is not None
    assert picture.caption == "Every part as it is, before its weight. The training line is averaged over 3 steps."


def test_only_what_was_watched_is_drawn(make_inputs: MakeInputs) -> None:
    history = make_inputs().history
    assert _num_axes(watch_curves(history)) == 3
    without_probe = [{k: v for k, v in entry.items() if "probe" not in k} for entry in history]
    picture = watch_curves(without_probe)
    assert _num_axes(picture) == 2
    assert picture is not None
    assert picture.caption == ""
    assert watch_curves([{"step": 1, "main_recon": 1.0}]) is None
    assert loss_curves([{"step": 1, "eval_latent_rank": 1.0, "grad_norm": 1.0}], WEIGHTS) is None


def test_the_probe_in_training_says_what_it_gained(make_inputs: MakeInputs) -> None:
    history = make_inputs().history
    assert probe_in_training(history) == "from .41 to .56: +15.0 points [+5.0, +26.0]"
    doubtful = [{**history[-1], "eval_linear_probe_gain_low": -0.01}]
    assert probe_in_training([*history, *doubtful]).endswith("[−1.0, +26.0], not certain")
    others = [entry | {"eval_linear_probe_clips": "d" * 16} for entry in history[:3]]
    assert probe_in_training([*others, *history]) == probe_in_training(history), "gains are to the same clips"
    assert probe_in_training(history[:3]) == "", "one look has gained nothing"
