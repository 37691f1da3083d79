"""Filters and rates of traces, against closed forms."""

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import butter, sosfiltfilt

from audiorig.config import EdaConfig
from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.data.eda.raw import RawTraces, write_raw
from audiorig.data.eda.signals import change_rate, lowpass, trace_signals, write_signals
from audiorig.data.eda.trace_store import TraceStore

EDA = EdaConfig()
RATES = [(50.0, 4.0), (50.0, 275.625), (4.0, 4.0), (4.0, 20.0), (256.41, 4.0), (49.37, 275.625), (1000.0, 4.0)]


def gain(frequency_hz: float, cutoff_hz: float, rate_hz: float, order: int) -> float:
    """Of a digital Butterworth low-pass that runs forwards and backwards: the bilinear transform, squared."""
    warped = math.tan(math.pi * frequency_hz / rate_hz) / math.tan(math.pi * cutoff_hz / rate_hz)
    return 1 / (1 + warped ** (2 * order))


@pytest.mark.parametrize(("source_hz", "rate_hz"), RATES)
@pytest.mark.parametrize("seconds", [2.0, 20.0])
def test_a_constant_stays_constant_at_every_step(source_hz: float, rate_hz: float, seconds: float) -> None:
    samples = np.full(round(seconds * source_hz), 5.0, np.float32)
    found = trace_signals(samples, source_hz, rate_hz, EDA)
    assert len(found.clean) == math.floor(len(samples) / source_hz * rate_hz + 1e-6)
    assert np.abs(found.clean - 5).max() < 1e-6
    assert np.abs(found.tonic - 5).max() < 1e-6
    assert np.abs(found.phasic).max() < 1e-6


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("frequency_hz", [0.3, 1.0, 2.0])
def test_the_low_pass_has_its_gain_and_no_delay(order: int, frequency_hz: float) -> None:
    time = np.arange(6000) / 50
    wave = np.sin(2 * np.pi * frequency_hz * time)
    filtered = lowpass(wave, 50.0, 1.0, order)
    middle = slice(1500, 4500)
    expected = gain(frequency_hz, 1.0, 50.0, order) * wave
    assert np.abs(filtered - expected)[middle].max() < 1e-6


@pytest.mark.parametrize("length", [1, 2, 5, 16, 400])
def test_the_low_pass_is_scipys_wherever_that_works(length: int) -> None:
    noise = np.random.default_rng(0).standard_normal(length)
    for order, cutoff_hz in [(2, 0.05), (4, 1.0)]:
        filtered = lowpass(noise, 4.0, cutoff_hz, order)
        assert filtered.shape == noise.shape
        assert np.isfinite(filtered).all()
        if length == 400:
            assert np.array_equal(filtered, sosfiltfilt(butter(order, cutoff_hz, fs=4.0, output="sos"), noise))


def test_a_rate_that_is_nearly_a_fraction() -> None:
    """2,500 samples are 200 steps and four millionths of one."""
    changed = change_rate(np.full(2500, 5.0), 49.999999, 4.0)
    assert len(changed) == 200
    assert np.abs(changed - 5).max() < 1e-6


@pytest.mark.parametrize(("source_hz", "rate_hz"), RATES)
def test_a_slow_wave_is_the_same_at_another_rate(source_hz: float, rate_hz: float) -> None:
    def wave(time: np.ndarray) -> np.ndarray:
        return np.asarray(5 - 0.02 * time + 0.5 * np.cos(2 * np.pi * 0.25 * time))

    changed = change_rate(wave(np.arange(round(40 * source_hz)) / source_hz), source_hz, rate_hz)
    assert len(changed) == pytest.approx(round(40 * source_hz) / source_hz * rate_hz, abs=1)
    inner = slice(round(2 * rate_hz), round(38 * rate_hz))
    assert np.abs(changed - wave(np.arange(len(changed)) / rate_hz))[inner].max() < 5e-3


@pytest.mark.parametrize(("source_hz", "rate_hz"), [(50.0, 4.0), (256.41, 4.0)])
def test_what_the_new_rate_cannot_hold_does_not_come_back_as_something_slow(source_hz: float, rate_hz: float) -> None:
    time = np.arange(round(40 * source_hz)) / source_hz
    changed = change_rate(np.sin(2 * np.pi * 3.6 * time), source_hz, rate_hz)  # would be seen at 0.4 Hz
    assert np.abs(changed[8:-8]).max() < 0.02


def test_parts_add_up_and_are_those_of_the_high_pass_method() -> None:
    generator = np.random.default_rng(1)
    samples = (5 + np.cumsum(generator.standard_normal(3000)) * 0.01).astype(np.float32)
    found = trace_signals(samples, 50.0, 4.0, EDA)
    assert np.abs(found.tonic + found.phasic - found.clean).max() < 1e-6
    tonic = sosfiltfilt(butter(2, 0.05, fs=4.0, output="sos"), found.clean.astype(float))
    assert np.abs(found.tonic - tonic).max() < 1e-5
    # A high-pass of the same order is not exactly what the low-pass leaves, and is close to it (in the middle).
    high = sosfiltfilt(butter(2, 0.05, "highpass", fs=4.0, output="sos"), found.clean.astype(float))
    assert np.abs(found.phasic - high)[60:-60].max() < 0.5 * np.abs(high).max()


def test_slow_is_tonic_and_fast_is_phasic() -> None:
    time = np.arange(50 * 600) / 50
    slow, fast = 0.5 * np.cos(2 * np.pi * 0.01 * time), 0.2 * np.cos(2 * np.pi * 0.3 * time)
    found = trace_signals(5 + slow + fast, 50.0, 4.0, EDA)
    inner, at = slice(400, 2000), np.arange(2400) / 4
    assert np.abs(found.tonic - 5 - gain(0.01, 0.05, 4, 2) * 0.5 * np.cos(2 * np.pi * 0.01 * at))[inner].max() < 2e-3
    tone = gain(0.3, 1.0, 50, 4) * 0.2 * np.cos(2 * np.pi * 0.3 * at)
    assert np.abs(found.phasic - tone)[inner].max() < 4e-3


def test_a_long_gap_is_lost_and_poisons_nothing() -> None:
    time = np.arange(2000) / 50
    samples = (5 + np.sin(time)).astype(np.float32)
    holed = samples.copy()
    holed[1000:1200] = np.nan  # 20 to 24 s
    holed[400:440] = np.nan  # 0.8 s
    whole, found = trace_signals(samples, 50.0, 4.0, EDA), trace_signals(holed, 50.0, 4.0, EDA)
    assert np.flatnonzero(np.isnan(found.clean)).tolist() == list(range(80, 96))
    for name in ("tonic", "phasic"):
        assert np.array_equal(np.isnan(getattr(found, name)), np.isnan(found.clean))
    far = np.r_[0:28, 40:76, 100:160]
    assert np.abs(found.clean - whole.clean)[far].max() < 0.02
    one = trace_signals(holed, 50.0, 4.0, EdaConfig(max_gap_sec=5.0))
    assert np.isfinite(one.clean).all()


def test_the_onset_of_the_song_is_step_0() -> None:
    ramp = np.arange(2000, dtype=np.float32) / 50  # its own time
    settings = EdaConfig(lowpass_hz=0)
    early = trace_signals(ramp, 50.0, 4.0, settings, start_sec=-2.0)
    assert np.allclose(early.clean, 2 + np.arange(152) / 4, atol=1e-4)
    late = trace_signals(ramp, 50.0, 4.0, settings, start_sec=1.0)
    assert np.isnan(late.clean[:4]).all()
    assert np.allclose(late.clean[4:], np.arange(160) / 4, atol=1e-3)
    assert len(trace_signals(ramp, 50.0, 4.0, settings, start_sec=-50.0).clean) == 0
    assert len(trace_signals(ramp, 50.0, 4.0, settings, steps=7).clean) == 7
    longer = trace_signals(ramp, 50.0, 4.0, settings, steps=170).clean
    assert np.isnan(longer[160:]).all()
    assert np.isfinite(longer[:160]).all()


@pytest.mark.parametrize("start_sec", [-1.13, -0.02, 0.02, 0.13, 0.98])
def test_a_start_between_two_steps_is_kept_to_the_nearest_sample(start_sec: float) -> None:
    ramp = start_sec + np.arange(2000) / 50  # its value is the time since the onset
    found = trace_signals(ramp, 50.0, 4.0, EdaConfig(lowpass_hz=0), start_sec=start_sec).clean
    first = max(0, math.ceil(start_sec * 4))
    assert np.isnan(found[:first]).all()
    assert np.abs(found[first:] - np.arange(first, len(found)) / 4).max() <= 0.0101
    assert len(found) == pytest.approx((start_sec + 40) * 4, abs=1)


@pytest.mark.parametrize("length", [1, 2, 3, 10, 60])
@pytest.mark.parametrize("source_hz", [1.0, 4.0, 50.0])
def test_short_traces_pass(length: int, source_hz: float) -> None:
    found = trace_signals(np.linspace(3, 4, length), source_hz, 4.0, EDA)
    assert np.isfinite(found.clean).all()
    assert np.isfinite(found.phasic).all()
    assert len(found.clean) == math.floor(length / source_hz * 4)


def index_of(**changes: object) -> pd.DataFrame:
    row = {
        "trace_id": "x/1/a/0",
        "eda_path": "EDA/1_EDA.csv",
        "source_rate_hz": 50.0,
        "start_sec": 0.0,
        "play_duration_sec": math.nan,
        "audio_sec": 19.9,
        "note": "",
    }
    return pd.DataFrame([row | changes])


def test_a_corpus_is_cropped_to_its_songs(tmp_path: Path) -> None:
    index = pd.concat(
        [
            index_of(audio_sec=70.1),
            index_of(trace_id="x/1/b/0", audio_sec=math.nan),
            index_of(trace_id="x/1/c/0", note="no text"),
            index_of(trace_id="x/1/d/0", play_duration_sec=30.0),
        ]
    )
    samples = np.sin(np.arange(71 * 50) / 40).astype(np.float32)
    write_raw(tmp_path / "raw.arrow", index["trace_id"], [samples, samples[:3030], samples[:0], samples])
    raw = RawTraces(tmp_path / "raw.arrow")
    assumptions = write_signals(index, raw, EDA, 4.0, tmp_path / "traces.arrow")
    assert assumptions.as_list() == []
    store = TraceStore(tmp_path / "traces.arrow")
    lengths = [len(store.signal(trace_id, "clean")) for trace_id in index["trace_id"]]
    assert lengths == [280, 242, 0, 79]


def test_a_wrong_clock_costs_no_memory(tmp_path: Path) -> None:
    """Microseconds taken for seconds: 2,000 samples would be 460 days. So would times since 1970 be 50 years."""
    index = pd.concat(
        [
            index_of(source_rate_hz=50e-6, audio_sec=70.1),
            index_of(trace_id="x/1/b/0", start_sec=1.6e9, audio_sec=70.1),
            index_of(trace_id="x/1/c/0", start_sec=-1.6e9, audio_sec=70.1),
        ]
    )
    samples = np.sin(np.arange(71 * 50) / 40).astype(np.float32)
    write_raw(tmp_path / "raw.arrow", index["trace_id"], [samples] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        write_signals(index, RawTraces(tmp_path / "raw.arrow"), EDA, 4.0, tmp_path / "traces.arrow")
    store = TraceStore(tmp_path / "traces.arrow")
    assert np.isfinite(store.signal("x/1/a/0", "clean")).all()
    assert np.isnan(store.signal("x/1/b/0", "clean")).all()
    assert len(store.signal("x/1/b/0", "clean")) == 280
    assert len(store.signal("x/1/c/0", "clean")) == 0


def test_what_is_assumed_is_said_once_for_each_file(tmp_path: Path) -> None:
    index = pd.concat(
        [
            index_of(),
            index_of(trace_id="x/1/b/0"),
            index_of(trace_id="x/2/b/0", eda_path="EDA/2_EDA.csv", source_rate_hz=2.0, audio_sec=500.0),
        ]
    )
    samples = np.sin(np.arange(1000) / 40).astype(np.float32)
    write_raw(tmp_path / "raw.arrow", index["trace_id"], [samples] * 3)
    with pytest.warns(AssumptionWarning) as warned:
        assumptions = write_signals(index, RawTraces(tmp_path / "raw.arrow"), EDA, 4.0, tmp_path / "traces.arrow")
    assert len(warned) == 2
    found = {each["code"]: (each["count"], each["files"]) for each in assumptions.as_list()}
    assert found == {"no-lowpass": (1, ["EDA/2_EDA.csv"]), "short-for-highpass": (1, ["EDA/1_EDA.csv"])}
    texts = " ".join(str(each["text"]) for each in assumptions.as_list())
    assert "traces of 2 Hz" in texts
    assert "below 60 s" in texts
