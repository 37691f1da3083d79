"""Examples on disk: what was written is read back, sound and all."""

from pathlib import Path

import numpy as np
import pytest

from audiorig.evaluate.rebuild import AUDIO, RebuiltClip, load_examples, save_examples


def clip(number: int, audio: dict[str, np.ndarray]) -> RebuiltClip:
    generator = np.random.default_rng(number)
    original = generator.standard_normal((20, 4)).astype(np.float32)
    is_hidden = np.arange(20) % 5 == 2
    return RebuiltClip(
        f"clip-{number}", original, np.where(is_hidden[:, None], original / 2, original), is_hidden, audio=audio
    )


def test_examples_read_back_as_they_were(tmp_path: Path) -> None:
    sound = {name: np.arange(-50, 50, dtype=np.int16) * (1 + number) for number, name in enumerate(AUDIO)}
    clips = [clip(0, sound), clip(1, {}), clip(2, sound)]
    save_examples(clips, tmp_path / "examples.npz", 24000)
    found = load_examples(tmp_path / "examples.npz")
    assert [each.name for each in found] == ["clip-0", "clip-1", "clip-2"]
    for before, after in zip(clips, found, strict=True):
        assert after.original.dtype == np.float32
        assert after.original == pytest.approx(before.original, abs=2e-3)  # kept as float16
        assert after.predicted == pytest.approx(before.predicted, abs=2e-3)
        assert np.array_equal(after.is_hidden, before.is_hidden)
        assert set(after.audio) == set(before.audio)
        assert all(np.array_equal(after.audio[name], before.audio[name]) for name in before.audio)
    assert [path.name for path in tmp_path.iterdir()] == ["examples.npz"]
    assert int(np.load(tmp_path / "examples.npz")["sample_rate_hz"]) == 24000


def test_no_examples_are_a_file_too(tmp_path: Path) -> None:
    save_examples([], tmp_path / "examples.npz", 24000)
    assert load_examples(tmp_path / "examples.npz") == []
