"""What was heard: part of the checkpoint, exact over stops, sealed with the rest."""

import importlib.util
from pathlib import Path

import pytest

from audiorig.errors import Unfinished
from audiorig.files import read_json

SPEC = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
TOY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TOY)
toy_fit, ToyLedger = TOY.toy_fit, TOY.ToyLedger


@pytest.mark.parametrize("settings", [{}, {"accumulation": 3, "batch_size": 2}, {"num_workers": 1}])
@pytest.mark.parametrize("cut", [1, 4, 7])
def test_a_cut_run_hears_the_same_crops_at_the_same_temperatures(tmp_path: Path, cut: int, settings: dict) -> None:
    """Every logged number and every weight too, to the byte; dropout is on."""
    if settings.get("num_workers") and cut != 4:
        pytest.skip("workers are slow to start; once is enough")
    whole, unbroken = toy_fit(tmp_path / "whole", dropout=0.2, **settings)
    with pytest.raises(Unfinished, match=f"step {cut} of 8"):
        toy_fit(tmp_path / "cut", dropout=0.2, stop_after_steps=cut, **settings)
    history, resumed = toy_fit(tmp_path / "cut", dropout=0.2, **settings)
    assert history == whole
    assert resumed.ledger.crops == unbroken.ledger.crops
    files = [tmp_path / name / "checkpoints" / "step-8" for name in ("whole", "cut")]
    for name in ("model.safetensors", ToyLedger.FILE):
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()
    assert read_json(files[0] / "seal.json")["sha256"][ToyLedger.FILE]


def test_epochs_differ_in_their_crops(tmp_path: Path) -> None:
    """Ten items, 32 heard: each item of an epoch once, and never the same crop of it again."""
    _, experiment = toy_fit(tmp_path)
    crops = experiment.ledger.crops
    epochs = [crops[first : first + 10] for first in (0, 10, 20)]
    for epoch in epochs:
        assert sorted(item for item, _ in epoch) == list(range(10))
    assert len({tuple(crop) for epoch in epochs for crop in epoch}) == 30


def test_a_damaged_ledger_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One digit changed in the newest: it goes on from the one before, and hears the same in the end."""
    whole, unbroken = toy_fit(tmp_path / "whole")
    with pytest.raises(Unfinished):
        toy_fit(tmp_path / "cut", stop_after_steps=6)
    ledger = tmp_path / "cut" / "checkpoints" / "step-6" / ToyLedger.FILE
    text = ledger.read_text()
    ledger.write_text(text.replace("1", "2", 1))
    history, resumed = toy_fit(tmp_path / "cut")
    assert f"step-6: passed over: {ToyLedger.FILE} is not what was written" in caplog.text
    assert history == whole
    assert resumed.ledger.crops == unbroken.ledger.crops


def test_a_finished_run_has_its_ledger(tmp_path: Path) -> None:
    _, experiment = toy_fit(tmp_path)
    _, again = toy_fit(tmp_path)
    assert again.ledger.crops == experiment.ledger.crops
    assert len(again.ledger.crops) == 32
