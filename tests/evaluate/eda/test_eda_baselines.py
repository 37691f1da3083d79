"""Curves of the time since onset, other listeners' means, and that nothing of the test side is learnt."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audiorig.evaluate.eda.baselines import OnsetCurves, StepMeans, extended, mean_of_others
from audiorig.evaluate.eda.fitted import fit_baselines
from audiorig.evaluate.eda.stages import predict_baselines
from audiorig.evaluate.eda.table import BASELINES, HeardSongs, held


def load(name: str, path: Path) -> ModuleType:
    """What several tests share; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planted = load("baselines_planted", Path(__file__).with_name("planted_listeners.py"))
follows, run_of, song_of, write_corpus = planted.follows, planted.run_of, planted.song_of, planted.write_corpus
NAN = float("nan")


def test_template_is_the_mean_of_training_traces_at_each_step() -> None:
    songs = [song_of([[1, 2, 3], [3, NAN, 5]]), song_of([[5, 6], [5, 6], [5, NAN]])]
    curves = OnsetCurves.fit(songs)
    assert curves.of_template(2)[0] == pytest.approx((1 + 3 + 5 + 5 + 5) / 5)
    # Steps with fewer than five traces hold the last value of more.
    assert curves.of_template(6) == pytest.approx(np.full(6, curves.template[0]))
    few = OnsetCurves.fit(songs[:1])
    assert few.of_template(5) == pytest.approx([2, 3, 4, 4, 4])  # the gap lies on the line between two and four


def test_a_step_of_fewer_traces_than_asked_holds_the_last_of_enough() -> None:
    means = StepMeans()
    for length in (2, 4, 4, 4, 4, 5):
        means.add(np.arange(length) * 1.0, np.ones(length))
    assert means.curve(5) == pytest.approx([0, 1, 2, 3, 3])
    assert means.curve() == pytest.approx([0, 1, 2, 3, 4])


def test_line_is_that_of_least_squares_through_all_steps() -> None:
    generator = np.random.default_rng(0)
    traces = [generator.standard_normal((3, 20)), generator.standard_normal((2, 31)) + 1]
    traces[0][1, 5:9] = NAN
    curves = OnsetCurves.fit([song_of(table) for table in traces])
    steps = np.concatenate([np.tile(np.arange(table.shape[1]), len(table)) for table in traces])
    values = np.concatenate([table.ravel() for table in traces])
    slope, intercept = np.polyfit(steps[np.isfinite(values)], values[np.isfinite(values)], 1)
    assert curves.line == pytest.approx((intercept, slope))
    assert curves.of_line(40) == pytest.approx(intercept + slope * np.arange(40))


def test_a_subject_is_the_mean_of_its_own_traces_and_a_stranger_the_template() -> None:
    songs = [song_of([[0, 1], [2, 3]], subjects=["a", "b"]), song_of([[4, 5, 6], [6, 7, 8]], subjects=["a", "c"])]
    curves = OnsetCurves.fit(songs)
    assert curves.of_subject("a", 4) == pytest.approx([2, 3, 6, 6])
    assert curves.of_subject("d", 3) == pytest.approx(curves.of_template(3))


def test_mean_of_others_equals_a_loop_and_leaves_out_other_takes_of_the_subject() -> None:
    generator = np.random.default_rng(1)
    traces = generator.standard_normal((5, 12))
    subjects = ["a", "b", "a", "c", "d"]
    song = song_of(traces, subjects=subjects)
    found, alone = mean_of_others(song, np.zeros(12))
    for place, subject in enumerate(subjects):
        others = [traces[other] for other in range(5) if subjects[other] != subject]
        assert found[place] == pytest.approx(np.mean(others, axis=0))
    assert alone == 0


def test_who_heard_a_song_alone_is_told_the_template() -> None:
    song = song_of([[1, 2, 3], [4, 5, 6]], subjects=["a", "a"])
    found, alone = mean_of_others(song, np.array([7.0, 8, 9]))
    assert found == pytest.approx(np.array([[7.0, 8, 9], [7, 8, 9]]))
    assert alone == 2


def test_where_no_other_goes_on_their_last_value_holds() -> None:
    found, _ = mean_of_others(song_of([[1, 2, 3, 4], [5, 6, NAN, NAN]]), np.zeros(4))
    assert found == pytest.approx(np.array([[5.0, 6, 6, 6], [1, 2, 3, 4]]))


def test_held_and_extended() -> None:
    assert held(np.array([9.0, 1, 9, 3, 9]), np.array([0, 1, 0, 1, 0], bool)) == pytest.approx([1, 1, 2, 3, 3])
    assert held(np.ones(3), np.zeros(3, bool)) == pytest.approx([0, 0, 0])
    assert extended(np.zeros(0), 2) == pytest.approx([0, 0])


@pytest.mark.parametrize("normalize", ["trace_z", "onset_delta", "subject_z_train", "none"])
def test_no_number_is_learnt_from_the_test_side(tmp_path: Path, normalize: str) -> None:
    """Its traces are 1e9, and every fitted number and prediction but the song mean stays, byte for byte."""
    run = run_of(eda={"rate_hz": 4, "normalize": normalize})
    songs = [follows(song) for song in range(12)]
    clean = write_corpus(tmp_path / "clean", songs)
    poisoned = write_corpus(
        tmp_path / "poisoned", songs, lambda song, trace: np.full_like(trace, 1e9) if song.side == "test" else trace
    )
    fitted = [{name: each.to_dict() for name, each in fit_baselines(run, files).items()} for files in (clean, poisoned)]
    assert repr(fitted[0]) == repr(fitted[1])
    (first, notes), (second, others) = (predict_baselines(run, files) for files in (clean, poisoned))
    assert notes == others
    for system in BASELINES:
        pair = [table.loc[table["system"] == system, "predicted"].tolist() for table in (first, second)]
        is_same = all(one.tobytes() == other.tobytes() for one, other in zip(*pair, strict=True))
        assert is_same == (system != "song-mean"), system


def test_a_poisoned_training_side_would_be_seen(tmp_path: Path) -> None:
    songs = [follows(song) for song in range(12)]
    spoilt = write_corpus(tmp_path, songs, lambda song, trace: np.where(song.side == "train", trace[::-1], trace))
    clean = write_corpus(tmp_path / "clean", songs)
    one, other = (fit_baselines(run_of(), files)["planted"].to_dict() for files in (clean, spoilt))
    assert one["curves"] != other["curves"]
    assert one["ridges"] != other["ridges"]


def test_every_test_trace_is_predicted_by_every_baseline_over_its_own_steps(tmp_path: Path) -> None:
    songs = [follows(song) for song in range(12)]
    short = songs[4].traces.copy()
    short[1, 40:] = NAN  # who left early
    songs[4] = type(songs[4])(songs[4].name, "test", songs[4].mfcc, short)
    table, notes = predict_baselines(run_of(), write_corpus(tmp_path, songs))
    assert set(table["system"]) == set(BASELINES)
    lengths = table.groupby("trace_id")["predicted"].agg(lambda lines: sorted({len(line) for line in lines}))
    assert lengths["planted/004/001/0"] == [40]
    assert lengths["planted/004/000/0"] == [60]
    assert notes["planted"]["num_songs"] == 6
    assert notes["planted"]["num_unseen"] == notes["planted"]["num_alone"] == 0
    assert table["predicted"].iloc[0].dtype == np.float32


def test_each_dataset_has_baselines_of_its_own_and_a_new_one_those_of_all(tmp_path: Path) -> None:
    songs = [follows(song) for song in range(12)]
    upside_down = [
        type(song)(f"other/{place}", song.side, song.mfcc, 10 - song.traces, "other")
        for place, song in enumerate(songs)
    ]
    new = [type(song)(f"new/{place}", "test", song.mfcc, song.traces, "new") for place, song in enumerate(songs[:2])]
    files = write_corpus(tmp_path, [*songs, *upside_down, *new])
    fitted = fit_baselines(run_of(), files)
    assert fitted["planted"].fitted_to == ("planted",)
    assert fitted["planted"].curves.template == pytest.approx(-fitted["other"].curves.template, abs=1e-5)
    assert fitted["new"].fitted_to == ("other", "planted")
    alone = write_corpus(tmp_path / "alone", songs)
    assert fit_baselines(run_of(), alone)["planted"].to_dict() == fitted["planted"].to_dict()
    assert len(HeardSongs(alone.songs(run_of(), "test", alone.scale(run_of())))) == 4
