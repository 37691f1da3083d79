"""Seals: any damage is seen, the newest whole checkpoint is found, rotation keeps the newest."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.train import checkpoints


def make_checkpoint(root: Path, step: int) -> Path:
    aside = root / ".aside" / "checkpoint"
    aside.mkdir(parents=True)
    generator = np.random.default_rng(step)
    for name, size in {"model.safetensors": 3000, "optimizer.pt": 1000, "trainer_state.json": 100}.items():
        (aside / name).write_bytes(generator.bytes(size))
    checkpoints.seal(aside, root / f"step-{step}", step, {"seed": 0})
    (root / ".aside").rmdir()
    return root / f"step-{step}"


def test_a_sealed_checkpoint_is_whole(tmp_path: Path) -> None:
    assert checkpoints.broken_because(make_checkpoint(tmp_path, 10)) is None


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json", "seal.json"])
@pytest.mark.parametrize("damage", ["delete", "empty", "half", "flip"])
def test_damage_is_seen(tmp_path: Path, name: str, damage: str) -> None:
    folder = make_checkpoint(tmp_path, 10)
    path = folder / name
    content = path.read_bytes()
    match damage:
        case "delete":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "half":
            path.write_bytes(content[: len(content) // 2])
        case "flip":
            place = content.index(b'"sha256"') + 60 if name == "seal.json" else 17
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    reason = checkpoints.broken_because(folder)
    assert reason is not None
    assert name == "seal.json" or name in reason


def test_files_of_another_step_are_seen(tmp_path: Path) -> None:
    first, second = make_checkpoint(tmp_path, 1), make_checkpoint(tmp_path, 2)
    (second / "optimizer.pt").write_bytes((first / "optimizer.pt").read_bytes())
    assert checkpoints.broken_because(second) == "optimizer.pt is not what was written"


def test_the_newest_whole_one_is_found_and_others_are_named(tmp_path: Path, caplog) -> None:
    for step in (5, 40, 100):
        make_checkpoint(tmp_path, step)
    (tmp_path / "step-100" / "optimizer.pt").unlink()
    (tmp_path / "step-200").mkdir()
    assert checkpoints.newest_whole(tmp_path, {"seed": 0}) == tmp_path / "step-40"
    assert "step-100: passed over: optimizer.pt is gone" in caplog.text
    assert "step-200: passed over: there is no seal.json" in caplog.text


def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: Path, caplog) -> None:
    """Folders get copied and restored: the seal says whose a checkpoint is."""
    make_checkpoint(tmp_path, 5)
    assert checkpoints.newest_whole(tmp_path, {"seed": 1}) is None
    assert "step-5: passed over: it belongs to other settings: seed: 0 -> 1" in caplog.text


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        make_checkpoint(tmp_path, step)
    checkpoints.rotate(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-100"]


def test_rotation_spares_what_it_is_told_to(tmp_path: Path) -> None:
    for step in (1, 2, 9, 10, 100):
        make_checkpoint(tmp_path, step)
    checkpoints.rotate(tmp_path, keep=1, spared={tmp_path / "step-2", tmp_path / "step-9", tmp_path / "step-7"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-100", "step-2", "step-9"]


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    checkpoints.prepare_folder(root, {"seed": 0})
    (root / ".aside" / "checkpoint-3").mkdir(parents=True)
    (root / ".gone-step-1").mkdir()
    (root / ".best.json.123.aside").write_text("{")
    checkpoints.prepare_folder(root, {"seed": 0})
    assert [path.name for path in root.iterdir()] == ["fingerprint.json"]


def test_differences_name_each_setting() -> None:
    before = {"train": {"lr": 1, "steps": 5}, "seed": 0}
    assert checkpoints.differences(before, {"train": {"lr": 2, "steps": 5}}) == ["seed: 0 -> None", "train.lr: 1 -> 2"]
    assert checkpoints.differences(before, before) == []
