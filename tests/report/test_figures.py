"""Curves of the training: drawn where something was logged, and nowhere else."""

import base64
from collections.abc import Callable

import pytest

from audiorig.report.figures import Picture, loss_curves, watch_curves
from audiorig.report.inputs import RunInputs

MakeInputs = Callable[..., RunInputs]
WEIGHTS = {"main_recon": 1.0, "main_percep": 0.05, "aux_crepe": 0.05, "aux_w2v": 0.05}


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
