"""One clock for audio and traces: where a click lands, and what happens where rates do not divide."""

import warnings

import numpy as np
import pytest

from audiorig.config import MfccConfig
from audiorig.data.eda.alignment import HELD_SEC, align_frames, common_sec, num_steps, step_of
from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.data.eda.mfcc import mfcc
from audiorig.errors import DataError


@pytest.mark.parametrize(
    ("time_sec", "rate_hz", "step"),
    [(0.0, 4, 0), (0.24, 4, 0), (0.25, 4, 1), (10.1, 4, 40), (0.29, 100, 29), (0.28999, 100, 28), (1.0, 275.625, 275)],
)
def test_an_event_belongs_to_the_step_that_covers_it(time_sec: float, rate_hz: float, step: int) -> None:
    assert step_of(time_sec, rate_hz) == step


@pytest.mark.parametrize(
    ("duration_sec", "rate_hz", "steps"), [(0.0, 4, 0), (-1.0, 4, 0), (0.26, 4, 1), (40.0, 4, 160), (0.29, 100, 29)]
)
def test_a_step_counts_when_it_is_over(duration_sec: float, rate_hz: float, steps: int) -> None:
    assert num_steps(duration_sec, rate_hz) == steps


def test_what_trace_and_song_have_in_common() -> None:
    assert common_sec(200, 50) == 4
    assert common_sec(200, 50, audio_sec=3.5) == 3.5
    assert common_sec(200, 50, start_sec=-1.0, audio_sec=3.5) == 3
    assert common_sec(200, 50, audio_sec=9.0, play_duration_sec=2.0) == 2
    assert common_sec(200, 50, start_sec=-5.0) == 0


# rate of the steps, window, hop
GRIDS = [(4.0, 2048, 441), (20.0, 1024, 441), (50.0, 512, 441), (275.625, 400, 160)]


@pytest.mark.parametrize(("rate_hz", "window", "hop"), GRIDS)
def test_a_click_is_loudest_in_its_step(rate_hz: float, window: int, hop: int) -> None:
    """Anywhere in a step, but for the last half hop, from where the next step's first frame is the nearest."""
    settings = MfccConfig(sample_rate_hz=44100, window=window, hop=hop, num_mels=8, num_mfcc=2)
    frames_per_step = round(settings.frame_rate_hz / rate_hz)
    step_sec, half_hop_sec = 1 / rate_hz, hop / 44100 / 2
    for step, place in [(0, 0.4), (1, 0.02), (3, 0.5), (11, 0.98), (17, 0.1), (30, 0.7)]:
        time_sec = step * step_sec + place * (step_sec - half_hop_sec)
        waveform = np.zeros(round((32 * step_sec + 0.1) * 44100), np.float32)
        waveform[round(time_sec * 44100)] = 1.0
        frames = align_frames(mfcc(waveform, settings), settings.frame_rate_hz, rate_hz, frames_per_step, 32)
        loudness = frames[:, 0].reshape(32, frames_per_step).max(axis=1)
        assert loudness.argmax() == step == step_of(time_sec, rate_hz), (time_sec, rate_hz)


def test_in_the_last_half_hop_the_next_frame_is_nearer() -> None:
    settings = MfccConfig(sample_rate_hz=44100, window=400, hop=160, num_mels=8, num_mfcc=2)
    waveform = np.zeros(16000, np.float32)
    waveform[20 * 160 + 120] = 1.0
    assert mfcc(waveform, settings)[:, 0].argmax() == 21


def test_frames_of_whole_ratios_are_taken_as_they_are() -> None:
    frames = np.random.default_rng(0).standard_normal((101, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(align_frames(frames, 100.0, 4.0, 25, 4), frames[:100])
        assert align_frames(frames, 100.0, 4.0, 25, 0).shape == (0, 3)


def test_other_ratios_are_interpolated_at_the_centres() -> None:
    native_hz, rate_hz, per_step = 86.1328125, 4.0, 22  # 88 places a second
    times = np.arange(900) / native_hz
    frames = np.stack([times, np.full(900, 5.0)], axis=1).astype(np.float32)  # a ramp says where it was read
    with pytest.warns(AssumptionWarning, match=r"86\.1328 frames.*no whole multiple of 4 steps"):
        aligned = align_frames(frames, native_hz, rate_hz, per_step, 40)
    assert aligned.shape == (880, 2)
    assert aligned.dtype == np.float32
    assert np.allclose(aligned[:, 0], np.arange(880) / 88, atol=1e-5)
    assert np.all(aligned[:, 1] == 5.0)


@pytest.mark.parametrize("rate_hz", [4.0, 3.0])
@pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
def test_the_last_frame_is_held_for_a_moment_only(rate_hz: float) -> None:
    per_step = round(100 / rate_hz)
    frames = np.arange(381, dtype=np.float32)[:, None]  # up to 3.80 s
    aligned = align_frames(frames, 100.0, rate_hz, per_step, int(4 * rate_hz))
    assert aligned[-1, 0] == 380
    assert len(aligned) == int(4 * rate_hz) * per_step
    for too_few in (frames[: round(100 * (4 - HELD_SEC)) - 10], frames[:0]):
        with pytest.raises(DataError, match=f"found {len(too_few)} frames"):
            align_frames(too_few, 100.0, rate_hz, per_step, int(4 * rate_hz))
