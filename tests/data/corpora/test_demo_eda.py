"""The generated listeners: PMEmo2019's layout, what is planted, the same bytes again, what can be predicted."""

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile

from audiorig.config import DemoEdaCorpus
from audiorig.data.corpora import audio_extensions, demo_eda, eda_synthesis
from audiorig.data.corpora.demo_eda import Defect, plan_sessions, render_session
from audiorig.data.corpora.eda_synthesis import RATE_HZ

SMALL = {"num_songs": 12, "num_subjects": 6, "listeners_per_song": 2, "duration_sec": 12.0}


def settings(**more: Any) -> DemoEdaCorpus:
    return DemoEdaCorpus(kind="demo-eda", **more)


# ------------------------------------------------------------------------ the plan


def test_songs_have_ids_that_sort_otherwise_as_text() -> None:
    sessions = plan_sessions(settings())
    ids = [session.song.music_id for session in sessions]
    assert len(set(ids)) == len(ids) == 80
    assert (ids[0], ids[-1]) == ("9", "1000")
    assert ids == sorted(ids, key=int) != sorted(ids)
    seconds = np.array([session.song.duration_sec for session in sessions])
    assert seconds.min() >= 32
    assert seconds.max() <= 48
    assert seconds.std() > 2
    assert {session.song.channels for session in sessions} == {1, 2}


@pytest.mark.parametrize("more", [{}, SMALL, {"num_songs": 13, "num_subjects": 7, "listeners_per_song": 5}])
def test_everybody_hears_about_as_many_songs(more: dict[str, Any]) -> None:
    made = settings(**more)
    heard: Counter[str] = Counter()
    for session in plan_sessions(made):
        subjects = [listener.subject for listener in session.listeners]
        assert len(set(subjects)) == made.listeners_per_song
        assert subjects == sorted(subjects)
        heard.update(subjects)
    assert len(heard) == made.num_subjects
    assert max(heard.values()) - min(heard.values()) <= 1
    assert all(len(subject) == 6 and subject.isdigit() for subject in heard)


def test_more_songs_than_a_thousand_have_ids_too() -> None:
    assert len(set(demo_eda._music_ids(settings(num_songs=1500)))) == 1500


def test_each_defect_is_in_one_trace_and_none_where_there_are_to_be_none() -> None:
    planted = [defect for session in plan_sessions(settings()) for defect in session.defects.values()]
    assert sorted(planted) == sorted(get_args(Defect))
    assert not any(session.defects for session in plan_sessions(settings(defects=False)))


# ------------------------------------------------------------------------ defects


def spoilt(defect: Defect) -> tuple[np.ndarray, np.ndarray]:
    samples = 5 + np.sin(np.arange(2000) / 100) + 0.001 * np.random.default_rng(0).standard_normal(2000)
    return samples, demo_eda.spoil(samples, defect, np.random.default_rng(1))


def test_defects_are_what_they_are_called() -> None:
    samples, found = spoilt("quantised")
    assert len(np.unique(found)) == 8
    assert np.abs(found - samples).max() < 0.2
    _, found = spoilt("dead")
    assert (np.diff(found) == 0).mean() > 0.99
    samples, found = spoilt("end_jump")
    (changed,) = np.nonzero(found != samples)
    assert len(changed) == 25
    assert np.allclose((found - samples)[-25:], 6 * samples.std())
    for defect, share in (("non_finite", 0.12), ("short_gap", 0.015)):
        samples, found = spoilt(defect)
        assert np.isnan(found).mean() == pytest.approx(share, abs=0.001)
        (missing,) = np.nonzero(np.isnan(found))
        assert (np.diff(missing) == 1).all()
        assert np.array_equal(found[~np.isnan(found)], samples[~np.isnan(found)])
    assert np.array_equal(demo_eda.spoil(samples, None, np.random.default_rng(1)), samples)


# ------------------------------------------------------------------------ what is written


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("listeners")
    for stale in ("chorus/5.wav", "EDA/5_EDA.csv"):
        (root / stale).parent.mkdir(exist_ok=True)
        (root / stale).touch()
    demo_eda.synthesize(settings(**SMALL), root, num_workers=1)
    return root


def test_the_layout_is_the_published_one(corpus: Path) -> None:
    described = pd.read_csv(corpus / "metadata.csv", dtype=str)
    assert tuple(described) == demo_eda.COLUMNS
    assert {path.name for path in (corpus / "chorus").iterdir()} == set(described["fileName"])
    assert {path.name for path in (corpus / "EDA").iterdir()} == {f"{each}_EDA.csv" for each in described["musicId"]}
    assert audio_extensions(settings()) == (".wav",)
    for session in plan_sessions(settings(**SMALL)):
        song = session.song
        audio = soundfile.info(corpus / f"chorus/{song.music_id}.wav")
        assert (audio.samplerate, audio.channels, audio.subtype) == (44100, song.channels, "PCM_16")
        traces = pd.read_csv(corpus / f"EDA/{song.music_id}_EDA.csv")
        assert list(traces) == ["time(s)", *(listener.subject for listener in session.listeners)]
        assert np.allclose(traces["time(s)"], np.arange(len(traces)) * 0.02)
        assert len(traces) / RATE_HZ - audio.duration == pytest.approx(0.14, abs=0.011)


def test_good_traces_are_fine_grained_and_within_what_skin_does(corpus: Path) -> None:
    for session in plan_sessions(settings(**SMALL)):
        traces = pd.read_csv(corpus / f"EDA/{session.song.music_id}_EDA.csv")
        for listener in session.listeners:
            values = traces[listener.subject]
            if session.defects.get(listener.subject) in (None, "end_jump"):
                assert values.nunique() > 300
                assert values.between(1, 25).all()
                assert (values.diff() == 0).mean() < 0.2


def test_the_truth_says_what_the_files_hold(corpus: Path) -> None:
    truth = pd.read_csv(corpus / "truth.csv", dtype={"musicId": str, "subject": str})
    assert tuple(truth) == demo_eda.TRUTH_COLUMNS
    assert set(truth.loc[truth["what"].str.startswith("defect_"), "what"]) == {
        f"defect_{defect}" for defect in get_args(Defect)
    }
    for session in plan_sessions(settings(**SMALL)):
        mine = truth[truth["musicId"] == session.song.music_id]
        heard = mine[mine["what"].str.startswith("accent_")]
        assert heard["time_sec"].tolist() == [accent.time_sec for accent in session.song.accents]
        assert heard["value"].tolist() == [accent.loudness for accent in session.song.accents]
        late = mine[mine["what"] == "latency_sec"]
        assert late["subject"].tolist() == [listener.subject for listener in session.listeners]
        assert (late["value"] - 1.8).abs().max() < 0.8
        for row in mine[mine["what"] == "defect_non_finite"].itertuples():
            trace = pd.read_csv(corpus / f"EDA/{row.musicId}_EDA.csv")
            assert trace["time(s)"][trace[row.subject].isna()].min() == row.time_sec


def test_a_failed_song_is_named_and_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text("of a run before")

    def fail(*_: object) -> None:
        raise ValueError("no strings")

    monkeypatch.setattr(demo_eda, "render_song", fail)
    with pytest.raises(RuntimeError, match=r"song 9: no strings"):
        demo_eda.synthesize(settings(**SMALL), tmp_path, num_workers=1)
    assert not (tmp_path / "metadata.csv").exists()
    assert not (tmp_path / "truth.csv").exists()


@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one(corpus: Path, tmp_path: Path) -> None:
    demo_eda.synthesize(settings(**SMALL), tmp_path, num_workers=2)
    digests = [
        [(path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
         for path in sorted(root.rglob("*")) if path.is_file()]
        for root in (corpus, tmp_path)
    ]  # fmt: skip
    assert digests[0] == digests[1]
    assert len(digests[0]) == 26


# ------------------------------------------------------------------------ what can be predicted


def z(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def r(one: np.ndarray, two: np.ndarray) -> float:
    length = min(len(one), len(two))
    return float(np.corrcoef(one[:length], two[:length])[0, 1])


def heard_by(made: DemoEdaCorpus) -> tuple[list[list[np.ndarray]], list[np.ndarray]]:
    """By song: traces at 5 Hz below 1 Hz, and the response to its accents that nobody's own is in."""
    sos = scipy.signal.butter(4, 1.0, fs=RATE_HZ, output="sos")
    traces, truth = [], []
    for session in plan_sessions(made):
        rendered = [trace.samples for trace, _ in render_session(made, session).values()]
        traces.append([z(scipy.signal.sosfiltfilt(sos, samples)[::10]) for samples in rendered])
        accents = session.song.accents
        onsets = np.array([accent.time_sec + made.latency_sec for accent in accents])
        music = eda_synthesis.responses(onsets, eda_synthesis.strengths(accents), len(rendered[0]), 3.0)
        music *= np.sqrt(made.response_share) / eda_synthesis.UNIT
        truth.append((music + eda_synthesis.DRIFT * eda_synthesis.drift(len(music)))[::10])
    return traces, truth


def test_time_since_onset_is_worth_something_other_songs_less_and_the_accents_more() -> None:
    traces, truth = heard_by(settings())
    train, test = range(0, 80, 2), range(1, 80, 2)
    length = max(len(song[0]) for song in traces)
    padded = [np.pad(t, (0, length - len(t)), constant_values=np.nan) for song in train for t in traces[song]]
    template = np.nanmean(padded, axis=0)
    by_time = np.mean([r(trace, template) for song in test for trace in traces[song]])
    by_others = np.mean([
        r(traces[song][who], np.mean([t for each, t in enumerate(traces[song]) if each != who], axis=0))
        for song in test for who in range(6)
    ])  # fmt: skip
    best = np.mean([r(trace, truth[song]) for song in test for trace in traces[song]])
    null = np.mean(
        [r(trace, truth[other]) for song in test for trace in traces[song] for other in test if other != song]
    )
    assert 0.2 < null < 0.45
    assert null + 0.08 < by_time < 0.6
    assert by_time + 0.2 < by_others < 0.82
    assert by_others < best < 0.87


def test_without_a_share_of_the_music_listeners_agree_on_the_drift_alone() -> None:
    traces, _ = heard_by(settings(response_share=0.0, num_songs=40))
    same = np.mean([r(a, b) for song in traces for a, b in pairwise(song)])
    other = np.mean([r(a[0], b[1]) for a, b in pairwise(traces)])
    assert same == pytest.approx(other, abs=0.12)
