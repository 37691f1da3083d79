"""Sounds inside the page: the very samples, at the run's rate."""

import base64
import io

import numpy as np
import pytest
import soundfile

from audiorig.report import audio
from audiorig.report.audio import players, sound_uri

TONE = (12000 * np.sin(2 * np.pi * 220 * np.arange(2400) / 24000)).astype(np.int16)


def _decoded(uri: str) -> tuple[np.ndarray, int, str]:
    kind, content = uri.removeprefix("data:").split(";base64,")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), dtype="int16")
    return samples, rate, kind


def test_a_sound_comes_back_sample_by_sample() -> None:
    samples, rate, kind = _decoded(sound_uri(TONE, 24000))
    assert np.array_equal(samples, TONE)
    assert (rate, kind) == (24000, "audio/flac")
    assert len(base64.b64decode(sound_uri(TONE, 24000).split(",")[1])) < TONE.nbytes


def test_a_library_without_flac_writes_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = audio._encoded

    def without_flac(samples: np.ndarray, rate_hz: int, kind: str) -> bytes:
        if kind == "FLAC":
            raise ValueError("no such format")
        return encoded(samples, rate_hz, kind)

    monkeypatch.setattr(audio, "_encoded", without_flac)
    samples, rate, kind = _decoded(sound_uri(TONE, 24000))
    assert np.array_equal(samples, TONE)
    assert (rate, kind) == (24000, "audio/wav")


def test_the_original_stands_first_and_the_true_phase_under_its_own_name() -> None:
    made = players("a/b.wav", {"oracle_phase": TONE, "reconstruction": TONE, "original": TONE}, 24000)
    assert [player.title for player in made] == ["original", "reconstruction (Griffin-Lim)", "oracle_phase"]
    assert [player.label for player in made][2] == "oracle_phase of a/b.wav"
    assert players("a/b.wav", {}, 24000) == []
    assert players("a/b.wav", {"original": TONE[:0]}, 24000) == []
