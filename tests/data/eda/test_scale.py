"""Scales of traces and coefficients: known numbers, and that the training side alone decides them."""

import importlib.util
import json
import pickle
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audiorig.config import EdaConfig
from audiorig.data.eda.assumptions import AssumptionWarning
from audiorig.data.eda.scale import MIN_MFCC_SD, MIN_TRACE_SD, MfccScale, Moments, TraceScale
from audiorig.data.feature_store import FeatureStore, compute_shard
from audiorig.errors import DataError


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("scale_planted", Path(__file__).with_name("planted_songs.py"))
MODES = ("trace_z", "onset_delta", "subject_z_train", "none")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory):
    return tiny.plant(tmp_path_factory.mktemp("scale"))


def settings_of(mode: str) -> EdaConfig:
    return EdaConfig.model_validate({"normalize": mode})


def heard_of(planted, **where: object) -> list[np.ndarray]:
    """Values of the training side's traces, in the order of the rows."""
    rows = planted.side("train")
    for name, value in where.items():
        rows = rows[rows[name] == value]
    traces = [tiny.trace_of(row.song, row.listener).astype(np.float64) for row in rows.itertuples()]
    return [trace[np.isfinite(trace)] for trace in traces]


def test_moments_are_those_of_everything_at_once() -> None:
    values = 1e4 + np.random.default_rng(0).standard_normal((1000, 3))  # far from 0, where squares would cancel
    moments = Moments()
    for piece in np.array_split(values, [1, 7, 7, 500]):
        moments.add(piece)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.sd, values.std(axis=0), rtol=1e-9)


def test_trace_z_has_mean_0_and_deviation_1_and_keeps_gaps(planted) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of("trace_z"))
    trace = tiny.trace_of(0, 1)
    scaled = scale.apply(trace, "nobody")
    assert np.array_equal(np.isnan(scaled), np.isnan(trace)) and np.isnan(trace).any()
    assert np.nanmean(scaled) == pytest.approx(0, abs=1e-6) and np.nanstd(scaled) == pytest.approx(1, abs=1e-5)


def test_a_flat_trace_stays_flat() -> None:
    scale = TraceScale("trace_z", 4.0)
    assert np.array_equal(scale.apply(np.full(20, 5.0, np.float32), ""), np.zeros(20, np.float32))
    ripple = np.float32(MIN_TRACE_SD / 10) * np.resize(np.float32([1, -1]), 20)
    assert np.abs(scale.apply(ripple, "")).max() == pytest.approx(0.1, rel=1e-5)  # over the least deviation


def test_onset_delta_is_0_at_the_onset_and_counts_in_pooled_deviations(planted) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of("onset_delta"))
    apart = np.concatenate([trace - trace.mean() for trace in heard_of(planted)])
    assert scale.everybody == (0.0, pytest.approx(apart.std(), rel=1e-9))
    trace = np.float32([np.nan, 1, 3, 1, 3, 1, 3, 1, 3, 102])  # 2 s at 4 Hz are the first 8 steps with a value
    expected = (trace - 2) / scale.everybody[1]
    np.testing.assert_allclose(scale.apply(trace, "nobody"), expected, rtol=1e-6)


def test_subjects_are_scaled_by_their_own_training_traces(planted) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of("subject_z_train"))
    for listener in range(4):
        own = np.concatenate(heard_of(planted, listener=listener))
        assert scale.subjects[f"planted/{listener:06d}"] == pytest.approx((own.mean(), own.std()), rel=1e-9)
    everybody = np.concatenate(heard_of(planted))
    assert scale.everybody == pytest.approx((everybody.mean(), everybody.std()), rel=1e-9)
    trace = tiny.trace_of(0, 2)
    mean, sd = scale.subjects["planted/000002"]
    np.testing.assert_allclose(scale.apply(trace, "planted/000002"), (trace.astype(np.float64) - mean) / sd, rtol=1e-5)


def test_an_unknown_subject_is_like_everybody_and_that_is_said_once(planted) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of("subject_z_train"))
    trace = tiny.trace_of(0, 2)
    with pytest.warns(AssumptionWarning, match="no training trace"):
        found = scale.apply(trace, "planted/new")
    mean, sd = scale.everybody
    np.testing.assert_allclose(found, (trace.astype(np.float64) - mean) / sd, rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale.apply(trace, "planted/new")
        scale.apply(trace, "planted/newer")


def test_none_is_microsiemens(planted) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of("none"))
    trace = tiny.trace_of(0, 2)
    assert np.array_equal(scale.apply(trace, "planted/new"), trace)


@pytest.mark.parametrize("mode", MODES)
def test_plain_data_gives_the_scale_back(planted, mode: str) -> None:
    scale = TraceScale.fit(planted.side("train"), planted.store, settings_of(mode))
    assert TraceScale.from_dict(json.loads(json.dumps(scale.to_dict()))) == scale
    assert pickle.loads(pickle.dumps(scale)) == scale


@pytest.mark.parametrize("mode", MODES)
def test_dev_and_test_do_not_move_a_scale(planted, mode: str, tmp_path: Path) -> None:
    """Every value of theirs is 1e9; and on the training side that would be seen."""
    fitted = TraceScale.fit(planted.side("train"), planted.store, settings_of(mode))
    for poisoned, is_equal in ((("dev", "test"), True), (("train",), mode in ("trace_z", "none"))):
        path = tmp_path / f"{poisoned[0]}.arrow"
        tiny.write_signals(planted.rows, path, poisoned)
        again = TraceScale.fit(planted.side("train"), tiny.TraceStore(path), settings_of(mode))
        assert (json.dumps(again.to_dict()) == json.dumps(fitted.to_dict())) == is_equal


@pytest.mark.parametrize("mode", ["onset_delta", "subject_z_train"])
def test_nothing_to_scale_by_is_told(planted, mode: str, tmp_path: Path) -> None:
    rows = planted.side("train")
    lost = tiny.Signals.all_lost(8)
    tiny.write_traces(tmp_path / "lost.arrow", [(trace_id, lost) for trace_id in rows["trace_id"]], 4)
    store = tiny.TraceStore(tmp_path / "lost.arrow")
    with pytest.raises(DataError, match="none of the training side's traces has a value"):
        TraceScale.fit(rows, store, settings_of(mode))
    with pytest.raises(DataError, match="none of the training side's traces"):
        TraceScale.fit(rows.iloc[:0], store, settings_of(mode))


def test_each_song_counts_once_in_the_scale_of_coefficients(planted) -> None:
    rows = planted.side("train")
    frames = np.concatenate([tiny.frames_of(song) for song in rows["song"].unique()]).astype(np.float64)
    scale = MfccScale.fit(rows, planted.features)
    np.testing.assert_allclose(scale.mean, frames.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(scale.sd, frames.std(axis=0), rtol=1e-9)
    fewer = MfccScale.fit(rows.drop_duplicates("song_id"), planted.features)  # one listener of each
    assert json.dumps(fewer.to_dict()) == json.dumps(scale.to_dict())


def store_of(frames: np.ndarray, folder: Path, planted) -> FeatureStore:
    compute_shard(planted.side("train").iloc[:1], lambda row: {"mfcc": frames}, folder / "one.arrow", folder / "parts")
    return FeatureStore([folder / "one.arrow"])


def test_a_silent_coefficient_is_not_blown_up(planted, tmp_path: Path) -> None:
    store = store_of(np.full((50, 3), 2, np.float32), tmp_path, planted)
    scale = MfccScale.fit(planted.side("train").iloc[:1], store)
    assert scale.mean.tolist() == [2, 2, 2] and scale.sd.tolist() == [MIN_MFCC_SD] * 3


def test_a_song_with_broken_coefficients_is_named(planted, tmp_path: Path) -> None:
    store = store_of(np.float32([[1, 2, 3], [1, np.nan, 3]]), tmp_path, planted)
    with pytest.raises(DataError, match=r"audio/000\.wav: some of its coefficients are NaN"):
        MfccScale.fit(planted.side("train").iloc[:1], store)
