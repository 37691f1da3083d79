"""Pitch tracks of sounds of known pitch, and where their frames lie."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from audiorig.config import PitchConfig
from audiorig.errors import ConfigError
from audiorig.models.pitch.track import (
    PitchTracker,
    cents_between,
    cut_frames,
    frame_centres,
    median_of_three,
    resample,
)

RATE, HOP = 24000, 256
EXTRACTORS = ["crepe-tiny", "yin"]


def tracker(extractor: str = "yin", rate: int = RATE, hop: int = HOP, **settings: Any) -> PitchTracker:
    return PitchTracker(PitchConfig(extractor=extractor, **settings), rate, hop)


def sung(hz: np.ndarray | float, num_samples: int, harmonics: int = 1, level: float = 0.2) -> np.ndarray:
    """A sound whose pitch is given sample by sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, num_samples)) / RATE
    return sum(level / k * np.sin(k * phase) for k in range(1, harmonics + 1)).astype(np.float32)


@pytest.mark.parametrize(("extractor", "tolerance_cents"), [("crepe-tiny", 1), ("yin", 1)])
def test_pure_tones(extractor: str, tolerance_cents: float) -> None:
    """Within a cent; the network alone is off by up to 10, tone by tone another amount."""
    measure = tracker(extractor)
    for hz in (60, 80, 110, 150, 200, 300, 400, 500):
        track = measure.track(sung(hz, RATE // 2))
        inner = slice(4, -4)
        assert abs(np.median(cents_between(track.hz[inner], np.float32(hz)))) < tolerance_cents
        assert track.is_voiced[inner].all()


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_silence_is_unvoiced_and_shapes_are_those_of_the_spectrogram(extractor: str) -> None:
    measure = tracker(extractor)
    for num_samples in (0, 1, 255, 256, 5000):
        track = measure.track(np.zeros(num_samples, dtype=np.float32))
        for values, kind in ((track.hz, np.float32), (track.periodicity, np.float32), (track.is_voiced, np.bool_)):
            assert values.shape == (1 + num_samples // HOP,)
            assert values.dtype == kind
        assert not track.is_voiced.any()
        assert ((track.hz >= 50) & (track.hz <= 550)).all()  # an estimate in every frame


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_what_is_too_soft_is_unvoiced(extractor: str) -> None:
    measure = tracker(extractor)
    soft, loud = (sung(150, 12000, level=np.sqrt(2) * 10 ** (dbfs / 20)) for dbfs in (-61, -59))
    assert not measure.track(soft).is_voiced.any()
    assert not measure.track(soft + 0.1).is_voiced[4:-4].any()  # an offset is no level
    assert measure.track(loud).is_voiced[4:-4].all()


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_two_runs_are_identical_and_leave_global_randomness_alone(extractor: str) -> None:
    sound = sung(170, 12000, 5) + 0.02 * np.random.default_rng(0).standard_normal(12000).astype(np.float32)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first, second = tracker(extractor).track(sound), tracker(extractor).track(sound)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    for name in ("hz", "periodicity", "is_voiced"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_a_frame_is_the_same_in_any_batch_and_place(extractor: str) -> None:
    """Bit for bit: the same sound 5 and 37 frames later, and at the end of a shorter clip."""
    measure = tracker(extractor, rate=16000, hop=160)
    sound = (0.1 * np.random.default_rng(3).standard_normal(9600) + sung(150, 9600, 4)).astype(np.float32)
    expected = measure.track(sound)
    for later in (5, 37):
        moved = measure.track(np.concatenate([np.zeros(160 * later, dtype=np.float32), sound]))
        assert np.array_equal(moved.hz[later:], expected.hz)
        assert np.array_equal(moved.periodicity[later:], expected.periodicity)
    cut = measure.track(sound[: 160 * 33])
    assert np.array_equal(cut.hz[:29], expected.hz[:29])


# -------------------------------------------------------------------------------- alignment


def test_centres_are_the_nearest_samples() -> None:
    centres = frame_centres(RATE * 60, HOP, RATE)
    exact = np.arange(len(centres)) * 512 / 3
    assert len(centres) == 1 + RATE * 60 // HOP
    assert np.abs(centres - exact).max() < 0.34  # 21 us
    assert centres[:4].tolist() == [0, 171, 341, 512]


def test_an_impulse_lies_in_the_middle_of_its_frame() -> None:
    for frame in (0, 1, 2, 40, 41, 42, 93):
        waveform = np.zeros(RATE, dtype=np.float32)
        waveform[frame * HOP] = 1
        cut = cut_frames(resample(waveform, RATE), frame_centres(RATE, HOP, RATE), 1024)
        assert cut[frame].argmax() == 512


def test_frames_beyond_the_ends_hold_zeros() -> None:
    sound = np.arange(1, 11, dtype=np.float32)
    cut = cut_frames(sound, np.array([0, 3, 9, 30]), 8)
    assert cut.tolist() == [
        [0, 0, 0, 0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [6, 7, 8, 9, 10, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_voicing_starts_and_ends_with_the_tone(extractor: str) -> None:
    start, stop = 40, 80
    sound = sung(200, 120 * HOP)
    sound[: start * HOP], sound[stop * HOP :] = 0, 0
    sound += 1e-4 * np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    voiced = np.flatnonzero(tracker(extractor).track(sound).is_voiced)
    assert abs(voiced[0] - start) <= 1
    assert abs(voiced[-1] - stop) <= 1
    assert len(voiced) == voiced[-1] - voiced[0] + 1


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_a_step_of_pitch_lies_at_its_frame(extractor: str) -> None:
    step, low, high = 50, 150, 220
    hz = np.where(np.arange(100 * HOP) < step * HOP, low, high)
    track = tracker(extractor).track(sung(hz, len(hz), 6))
    is_low, is_high = (np.abs(cents_between(track.hz, np.float32(each))) < 50 for each in (low, high))
    assert is_low[: step - 1].all()
    assert is_high[step + 2 : 96].all()


@pytest.mark.parametrize(("extractor", "tolerance_frames"), [("crepe-tiny", 0.4), ("yin", 0.05)])
def test_glides_up_and_down_tell_the_time(extractor: str, tolerance_frames: float) -> None:
    """A frame that lay late would read high going up and low going down."""
    slope = 1200 * np.log2(3)  # cents per second
    errors = []
    for start, factor in ((100, 3), (300, 1 / 3)):
        hz = start * factor ** (np.arange(RATE) / RATE)
        track = tracker(extractor).track(sung(hz, RATE, 8))
        cents = cents_between(track.hz, hz[np.minimum(np.arange(len(track.hz)) * HOP, RATE - 1)])[5:-5]
        assert np.abs(cents).max() < 25
        errors.append(cents.mean())
    late_frames = (errors[0] - errors[1]) / 2 / (slope * HOP / RATE)
    assert abs(late_frames) < tolerance_frames


# ------------------------------------------------------------------------------- small parts


def test_median_of_three_repeats_the_ends() -> None:
    values = np.array([5, 1, 2, 9, 3, 3, 0], dtype=np.float32)
    assert median_of_three(values).tolist() == [5, 2, 2, 3, 3, 3, 0]
    assert median_of_three(values[:1]).tolist() == [5]
    assert median_of_three(values[:2]).tolist() == [5, 1]


def test_one_odd_frame_does_not_change_the_voicing() -> None:
    assert not (median_of_three(np.array([0, 0, 1, 0, 0], dtype=np.float32)) > 0.5).any()


@pytest.mark.parametrize(("low", "high"), [(20, 500), (50, 3000)])
def test_a_range_that_cannot_be_measured_is_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match=f"min_hz {low}.*max_hz {high}.*expected"):
        tracker(min_hz=low, max_hz=high)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "tolerance_cents"), [("float32", 0.1), ("bfloat16", 5)])
def test_a_gpu_hears_the_same(precision: Any, tolerance_cents: float) -> None:
    sound = sung(np.linspace(80, 400, 2 * RATE), 2 * RATE, 6)
    here = tracker("crepe-tiny").track(sound)
    there = PitchTracker(PitchConfig(), RATE, HOP, "cuda", precision).track(sound)
    both = here.is_voiced & there.is_voiced
    assert (here.is_voiced == there.is_voiced).mean() > 0.98
    assert np.abs(cents_between(here.hz[both], there.hz[both])).max() < tolerance_cents
