"""Each planted defect raises its flag, once, and nothing else does."""

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from audiorig.config import DatasetConfig, DemoEdaCorpus, EdaConfig, ListenersCorpus, TraceChecksConfig
from audiorig.data.corpora.demo_eda import plan_sessions, render_session
from audiorig.data.eda.assumptions import Assumptions, AssumptionWarning
from audiorig.data.eda.index import list_traces
from audiorig.data.eda.quality import (
    FLAGS,
    check_traces,
    end_jump_sd,
    flat_share,
    require_traces,
    summarize_quality,
    write_excluded,
)
from audiorig.data.eda.raw import RawTraces, write_raw
from audiorig.data.eda.signals import write_signals
from audiorig.data.eda.trace_store import TraceStore
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

CHECKS = TraceChecksConfig()
Samples = NDArray[np.float64]


def living(seconds: float = 40.0, rate_hz: float = 50.0, seed: int = 0, digits: int = 4) -> Samples:
    """A level, slow waves, two responses and noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    waves = 0.1 * np.sin(time / 3 + seed) - 0.004 * time
    for onset in (0.2 * seconds, 0.6 * seconds):
        after = np.maximum(time - onset, 0)
        waves += 0.5 * (np.exp(-after / 3) - np.exp(-after / 0.7))
    return np.round(4 + waves + 0.002 * generator.standard_normal(len(time)), digits)


def row_of(**changes: Any) -> dict[str, Any]:
    row = {
        "trace_id": "x/1/a/0",
        "dataset": "x",
        "song_id": "x/1",
        "participant_id": "x/a",
        "take": 0,
        "wav_path": "1.mp3",
        "eda_path": "EDA/1_EDA.csv",
        "column": "a",
        "source_rate_hz": 50.0,
        "start_sec": 0.0,
        "play_duration_sec": math.nan,
        "audio_sec": 39.86,
        "note": "",
    }
    return row | changes


def check(
    folder: Path, *traces: tuple[dict[str, Any], Samples], invalid: tuple[str, ...] = (), checks: Any = CHECKS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Index and quality of some traces; ids and participants are made different unless a row says one."""
    rows = []
    for place, (changes, samples) in enumerate(traces):
        named = {"trace_id": f"x/1/{place}/0", "participant_id": f"x/{place}"} | changes
        rows.append(row_of(**named) | {"num_samples": len(samples)})
    index = pd.DataFrame(rows)
    write_raw(folder / "raw.arrow", index["trace_id"], [samples for _, samples in traces])
    return index, check_traces(index, RawTraces(folder / "raw.arrow"), set(invalid), checks)


def raised(quality: pd.DataFrame) -> list[list[str]]:
    return [[flag for flag in FLAGS if row[flag]] for _, row in quality.iterrows()]


def holed(samples: Samples) -> Samples:
    samples[300 : 300 + len(samples) // 10] = np.nan
    return samples


def jumping(samples: Samples, where: slice = slice(-20, None)) -> Samples:
    samples[where] += 2 * samples.std()
    return samples


def levels(samples: Samples, number: int = 20) -> Samples:
    step = np.ptp(samples) / (number - 1)
    return np.asarray(np.round(samples / step) * step)


DEFECTS: list[tuple[str, dict[str, Any], Callable[[], Samples]]] = [
    ("unreadable", {"note": "no number in it"}, lambda: np.zeros(0)),
    ("empty", {"source_rate_hz": math.nan}, lambda: np.zeros(0)),
    ("empty", {}, lambda: np.full(2000, np.nan)),
    ("non_finite", {}, lambda: holed(living())),
    ("dead", {}, lambda: np.full(2000, 3.2)),
    ("dead", {}, lambda: np.repeat([3.2, 3.25, 3.22, 3.31, 3.24, 3.2, 3.3, 3.23], 250)),  # 8 levels
    ("dead", {}, lambda: np.concatenate([living()[:800], np.full(1200, living()[800])])),  # fell off
    ("quantised", {}, lambda: levels(living(), 20)),
    ("end_jump", {}, lambda: jumping(living())),
    ("end_jump", {}, lambda: jumping(living(), slice(0, 30))),
    ("out_of_range", {}, lambda: living() * 1000),  # in nanosiemens
    ("out_of_range", {}, lambda: living() - 5),
    ("rate_mismatch", {"source_rate_hz": 25.0}, living),
    ("rate_mismatch", {"play_duration_sec": 80.0, "audio_sec": 200.0}, living),
    ("rate_mismatch", {"play_duration_sec": 10.0, "audio_sec": 200.0}, living),
    ("length_gap", {"audio_sec": 43.0}, living),
    ("length_gap", {"audio_sec": 20.0, "play_duration_sec": 40.0}, living),  # the audio is of another song
    ("length_gap", {"play_duration_sec": 30.0, "audio_sec": 90.0}, living),
    ("missing_audio", {"wav_path": "", "audio_sec": math.nan}, living),
    ("invalid_audio", {"wav_path": "bad.mp3"}, living),
    ("too_short", {"audio_sec": 41.0, "start_sec": 34.0}, lambda: living(7.5)),  # began late
    ("too_short", {"audio_sec": 7.0}, lambda: living(7.1)),
    ("too_short", {"audio_sec": 90.0, "play_duration_sec": 5.0}, lambda: living(5.0)),
]


@pytest.mark.parametrize(("flag", "changes", "make"), DEFECTS)
def test_a_defect_raises_its_flag_and_no_other(
    tmp_path: Path, flag: str, changes: dict[str, Any], make: Callable[[], Samples]
) -> None:
    good = [({}, living(seed=seed)) for seed in (5, 6)]
    _, quality = check(tmp_path, good[0], (changes, make()), good[1], invalid=("bad.mp3",))
    assert raised(quality) == [[], [flag], []]
    assert quality["is_kept"].tolist() == [True, flag not in CHECKS.exclude, True]


def test_duplicates_are_the_later_ones(tmp_path: Path) -> None:
    key = {"participant_id": "x/a"}
    _, quality = check(
        tmp_path,
        ({"trace_id": "x/1/a/0", **key}, living(seed=1)),
        ({"trace_id": "x/1/a/0~2", **key}, living(seed=2)),  # the same key
        ({"song_id": "x/2"}, living(seed=1)),  # the same samples
        ({"take": 1, **key}, living(seed=3)),  # a replay
        ({}, np.full(2000, 3.0)),
        ({}, np.full(2000, 3.0)),  # two dead traces may well be the same
    )
    assert raised(quality) == [[], ["duplicate"], ["duplicate"], [], ["dead"], ["dead"]]


@pytest.mark.parametrize("rate_hz", [4.0, 8.0, 50.0, 256.0])
@pytest.mark.parametrize("seconds", [10.0, 20.0, 40.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_living_trace_is_not_flagged(tmp_path: Path, rate_hz: float, seconds: float, seed: int) -> None:
    """In steps of 0.001 microsiemens, as a wristband writes them: of 10 s at 4 Hz there are but 40 samples."""
    samples = living(seconds, rate_hz, seed, digits=3)
    about = {"source_rate_hz": rate_hz, "audio_sec": seconds}
    _, quality = check(tmp_path, (about, samples))
    assert raised(quality) == [[]]


def test_a_fine_converter_repeats_values_of_a_living_skin(tmp_path: Path) -> None:
    """At 250 Hz most steps are without change; nothing stays for seconds."""
    samples = np.round(4 + 0.3 * np.sin(np.arange(10000) / 250 / 2), 3)
    assert np.mean(np.diff(samples) == 0) > 0.4
    _, quality = check(tmp_path, ({"source_rate_hz": 250.0, "audio_sec": 40.0}, samples))
    assert raised(quality) == [[]]
    assert quality.loc[0, "flat_share"] == 0


def test_the_numbers_are_those_of_the_trace(tmp_path: Path) -> None:
    samples = np.concatenate([np.linspace(1, 2, 900), np.full(300, 2.0), np.linspace(2, 3, 801)[1:]])
    samples[100:150] = np.nan
    _, quality = check(tmp_path, ({"audio_sec": 38.5}, samples), ({}, np.zeros(0)))
    found = quality.iloc[0]
    assert found["num_levels"] == 850 + 800
    assert found["flat_share"] == pytest.approx(300 / 1949)
    assert found["missing_share"] == pytest.approx(50 / 2000)
    assert found["seconds"] == 40
    assert found["gap_sec"] == pytest.approx(1.5)
    assert found["median"] == pytest.approx(2.0, abs=0.02)
    empty = quality.iloc[1]
    assert (empty["num_levels"], empty["missing_share"]) == (0, 1.0)
    assert np.isnan(empty[["median", "seconds", "gap_sec"]].astype(float)).all()


NASTY: list[Samples] = [
    np.array([1.0]),
    np.array([np.inf, 1.0, -np.inf, 2.0]),
    np.array([np.inf, np.inf]),
    np.tile([3e38, -3e38, 3e38, 3e38], 500),
    np.tile([1e-42, 0.0, -0.0], 500),
    np.tile([1.0, np.nan], 800),
    np.r_[np.full(1990, 2.0), np.nan, 5.0],
]


@pytest.mark.parametrize("samples", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("rate_hz", [1e-3, 4.0, 50.0, 1e5, math.nan, math.inf, 0.0])
def test_whatever_is_in_a_file_is_flagged_not_raised(tmp_path: Path, samples: Samples, rate_hz: float) -> None:
    about = {"source_rate_hz": rate_hz, "play_duration_sec": 0.0}
    index, quality = check(tmp_path, (about, samples), ({}, living()))
    assert raised(quality)[0]
    assert not quality["is_kept"][0]
    json.dumps(summarize_quality(index, quality, CHECKS.exclude), allow_nan=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        write_signals(index, RawTraces(tmp_path / "raw.arrow"), EdaConfig(), 4.0, tmp_path / "traces.arrow")
    assert len(TraceStore(tmp_path / "traces.arrow")) == 2


def test_flat_share_and_end_jump_by_hand() -> None:
    assert flat_share(np.array([1.0]), 4.0) == 1
    assert flat_share(np.array([1.0, 1, 1, 1, 2, 3, 4, 5, 6]), 1.0) == 0  # 3 s
    assert flat_share(np.array([1.0, 1, 1, 1, 1, 3, 4, 5, 6]), 1.0) == 0.5
    assert end_jump_sd(np.full(9, 2.0), 1.0) == 0
    steps = np.r_[np.tile([1.0, -1.0], 50), 8.0]
    noise_sd = 1.4826
    assert end_jump_sd(np.cumsum(steps), 1.0) == pytest.approx(8 / noise_sd)
    assert end_jump_sd(np.cumsum(np.roll(steps, 50)), 1.0) == pytest.approx(1 / noise_sd)  # not at an end


def test_bounds_and_exclusions_are_those_of_the_settings(tmp_path: Path) -> None:
    checks = TraceChecksConfig(min_levels=5, exclude=("end_jump",))
    _, quality = check(tmp_path, ({}, levels(living(), 20)), ({}, jumping(living())), checks=checks)
    assert raised(quality) == [[], ["end_jump"]]
    assert quality["is_kept"].tolist() == [True, False]
    _, quality = check(tmp_path, ({}, jumping(living())), checks=TraceChecksConfig(exclude=()))
    assert quality["is_kept"].tolist() == [True]


def test_what_is_told_adds_up(tmp_path: Path) -> None:
    index, quality = check(
        tmp_path,
        ({}, living(seed=1)),
        ({"dataset": "y", "song_id": "y/1"}, np.full(2000, 200.0)),
        ({"dataset": "y", "song_id": "y/1"}, living(seed=2)),
    )
    summary = summarize_quality(index, quality, CHECKS.exclude)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["num_traces"], summary["num_kept"], summary["num_songs"], summary["num_subjects"]) == (3, 2, 2, 2)
    assert summary["exclude"] == list(CHECKS.exclude)
    assert summary["flags"] == dict.fromkeys(FLAGS, 0) | {"dead": 1, "out_of_range": 1}
    assert summary["hours_kept"] == pytest.approx(80 / 3600, abs=1e-4)
    assert summary["datasets"]["y"]["num_kept"] == 1
    assert summary["datasets"]["x"]["flags"]["dead"] == 0
    write_excluded(quality, tmp_path / "excluded.csv")
    assert (tmp_path / "excluded.csv").read_text() == "trace_id,flags\nx/1/1/0,dead;out_of_range\n"


def test_it_fails_only_if_nothing_is_left(tmp_path: Path) -> None:
    _, quality = check(tmp_path, ({}, np.full(2000, 2.0)), ({}, np.zeros(0)), ({}, np.full(2000, 2.0)))
    with pytest.raises(
        DataError, match=r"corpus 'mine': of 3 traces none is left.*1 empty, 2 dead.*corpora.mine.checks"
    ):
        require_traces(quality, "mine")
    _, quality = check(tmp_path, ({}, np.full(2000, 2.0)), ({}, living()))
    require_traces(quality, "mine")


def test_the_generated_corpus_has_what_was_planted(tmp_path: Path) -> None:
    settings = DemoEdaCorpus(kind="demo-eda", num_songs=12, num_subjects=12, listeners_per_song=6)
    traces, planted = [], []
    for session in plan_sessions(settings):
        song = f"demo/{session.song.music_id}"
        for subject, (_, samples) in render_session(settings, session).items():
            about = {"song_id": song, "trace_id": f"{song}/{subject}/0", "audio_sec": session.song.duration_sec}
            traces.append((about, np.round(samples, 4)))
            defect = session.defects.get(subject)
            planted.append([str(defect)] if defect and defect != "short_gap" else [])
    _, quality = check(tmp_path, *traces)
    assert raised(quality) == planted
    assert sum(map(len, planted)) == 4


def test_published_layouts(tmp_path: Path) -> None:
    """Every trap of the two fixtures is one flag of one trace; what must not be flagged is not."""
    import published_layouts as published

    published.write_pmemo(tmp_path / "pmemo")
    published.write_hku956(tmp_path / "hku")
    corpus = ListenersCorpus(
        kind="listeners",
        root=str(tmp_path),
        datasets={
            "p": DatasetConfig(layout="pmemo2019", folder="pmemo"),
            "h": DatasetConfig(layout="hku956", folder="hku"),
        },
    )
    songs = [("p", "pmemo/chorus", published.PMEMO_FILES, published.PMEMO_SONGS)]
    files = {song: f"{song}.wav" for song in published.HKU_SONGS}
    songs.append(("h", "hku/audio", files, published.HKU_SONGS))
    manifest = pd.DataFrame(
        [
            {"song_id": f"{dataset}/{song}", "dataset": dataset, "wav_path": f"{folder}/{files[song]}"}
            | {"duration_sec": seconds[song]}
            for dataset, folder, files, seconds in songs
            for song in seconds
            if song not in (published.WITHOUT_AUDIO, published.DEAD_LINK)
        ]
    )
    with pytest.warns(UserWarning):
        found = list(list_traces(corpus, AudioRoot(tmp_path), manifest, Assumptions()))
    found.sort(key=lambda pair: str(pair[0]["trace_id"]))
    index = pd.DataFrame([row for row, _ in found])
    write_raw(tmp_path / "raw.arrow", index["trace_id"], [trace.samples for _, trace in found])
    quality = check_traces(index, RawTraces(tmp_path / "raw.arrow"), set(), CHECKS)
    flagged = {trace_id: flags for trace_id, flags in zip(quality["trace_id"], raised(quality), strict=True) if flags}
    expected = {
        f"p/{song}/{subject}/0": [flag]
        for (song, subject), flag in {
            published.WITH_GAP: "non_finite",
            published.QUANTISED: "quantised",
            published.DEAD: "dead",
            published.END_JUMP: "end_jump",
        }.items()
    }
    expected |= {f"p/{published.WITHOUT_AUDIO}/{subject}/0": ["missing_audio"] for subject in published.PMEMO_SUBJECTS}
    for participant, number, song in published.HKU_RECORDS:
        trace_id = f"h/{song}/{participant}/{number}"
        if (participant, number, song) == published.EMPTY:
            expected[trace_id] = ["empty"]
        elif song == published.DEAD_LINK:
            expected[trace_id] = ["missing_audio"]
    assert flagged == expected
