"""Scores of traces: means over songs of means over traces, intervals over songs, paired differences, nulls."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from audiorig.config import TraceScoreConfig
from audiorig.errors import DataError
from audiorig.evaluate.eda.against import run_differences
from audiorig.evaluate.eda.nulls import exchange, permuted_null
from audiorig.evaluate.eda.scores import DatasetScores, measure, measures
from audiorig.evaluate.eda.seeds import case_rows, join_seeds
from audiorig.evaluate.eda.stages import predict_baselines, score_predictions
from audiorig.evaluate.eda.table import BASELINES, NETWORK, Predictions
from audiorig.files import read_json, write_json


def load(name: str, path: Path) -> ModuleType:
    """What several tests share; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


planted = load("scores_planted", Path(__file__).with_name("planted_listeners.py"))
SETTINGS = TraceScoreConfig(bootstrap=200, permutations=50)
NAN = float("nan")


def songs_of(num_songs: int = 6, seed: int = 0):
    """Songs with one to four listeners, of different lengths."""
    generator = np.random.default_rng(seed)
    return [
        planted.song_of(generator.normal(size=(1 + place % 4, 30 + 4 * place)).cumsum(1), f"s{place}")
        for place in range(num_songs)
    ]


def scored(songs, systems) -> dict[tuple[str, str], dict]:
    items = measure(songs, systems, SETTINGS, 4)
    scores = DatasetScores("planted", items, SETTINGS, {"normalize": "trace_z"})
    scores.add_systems({})
    return {(row["system"], row["metric"]): row for row in scores.rows}


def half(song) -> np.ndarray:
    return song.traces[0] / 2


def test_a_score_is_the_mean_over_songs_of_the_mean_over_traces() -> None:
    songs = songs_of()
    rows = scored(songs, {NETWORK: half, "template": lambda song: np.zeros(song.num_steps)})
    expected = np.mean([np.mean([np.mean((half(song) - line) ** 2) for line in song.traces]) for song in songs])
    r = np.mean([np.mean([np.corrcoef(half(song), line)[0, 1] for line in song.traces]) for song in songs])
    row = rows[NETWORK, "mse"]
    assert row["value"] == pytest.approx(expected, abs=1e-6)
    assert rows[NETWORK, "pearson"]["value"] == pytest.approx(r, abs=1e-6)
    assert (row["n"], row["num_groups"], row["interval_over"]) == (13, 6, "groups")
    assert row["normalize"] == "trace_z"
    assert row["low"] <= row["value"] <= row["high"]
    zero = np.mean([np.mean(song.traces**2, axis=1).mean() for song in songs])
    assert rows[NETWORK, "skill"]["value"] == pytest.approx(1 - expected / zero, abs=1e-6)
    assert ("template", "skill") not in rows


def test_a_perfect_prediction_is_perfect_in_every_measure() -> None:
    rows = scored(songs_of(), {NETWORK: lambda song: song.traces, "template": half})
    assert rows[NETWORK, "scr_precision"]["value"] == rows[NETWORK, "scr_recall"]["value"] == 1
    for metric, best in {"mse": 0, "mae": 0, "pearson": 1, "ccc": 1, "dtw": 0, "frechet": 0, "sd_ratio": 1}.items():
        assert rows[NETWORK, metric]["value"] == pytest.approx(best, abs=1e-6), metric
    assert rows[NETWORK, "skill"]["value"] == 1


def test_what_was_not_heard_is_not_scored() -> None:
    song = planted.song_of([[1, 2, NAN, NAN, 5, 3, NAN, NAN], [1, 2, 3, 4, 5, 6, 7, 9]])
    found = measure([song], {"a": lambda song: np.array([1.0, 2, 9, -9, 5, 3, 50, 50])}, SETTINGS, 4)
    row = found.iloc[0]
    assert (row["mse"], row["dtw"], row["frechet"]) == (0, 0, 0)
    assert row["pearson"] == pytest.approx(1)
    assert found["mse"].iloc[1] > 1


def test_a_constant_prediction_has_an_r_of_0() -> None:
    songs = songs_of()
    rows = scored(songs, {"zero": lambda song: np.zeros(song.num_steps), "template": half})
    assert ("zero", "mse") in rows
    assert rows["zero", "pearson"]["value"] == 0


def test_a_flat_true_trace_has_no_r_and_is_left_out_of_its_mean_alone() -> None:
    songs = [*songs_of(), planted.song_of(np.ones((2, 40)), "flat")]
    rows = scored(songs, {NETWORK: lambda song: np.arange(song.num_steps) * 1.0, "template": half})
    assert rows[NETWORK, "pearson"]["num_groups"] == 6
    assert rows[NETWORK, "mse"]["num_groups"] == 7


def test_few_songs_are_drawn_by_trace_and_the_row_says_so() -> None:
    rows = scored(songs_of(4), {NETWORK: half, "template": lambda song: np.zeros(song.num_steps)})
    assert rows[NETWORK, "mse"]["interval_over"] == "clips"
    by_song = [np.mean((half(song) - song.traces) ** 2, axis=1).mean() for song in songs_of(4)]
    assert rows[NETWORK, "mse"]["value"] == pytest.approx(np.mean(by_song), abs=1e-6)


def test_differences_are_paired() -> None:
    """Songs differ far more than the systems do: only the paired interval can tell."""
    generator = np.random.default_rng(0)
    songs = [planted.song_of(generator.normal(size=(3, 40)) * 4 ** (place % 3), f"s{place}") for place in range(12)]
    systems = {NETWORK: lambda song: np.zeros(song.num_steps), "template": lambda song: np.full(song.num_steps, 0.6)}
    rows = scored(songs, systems)
    difference = rows[f"{NETWORK} minus template", "mse"]
    assert difference["value"] == pytest.approx(
        rows[NETWORK, "mse"]["value"] - rows["template", "mse"]["value"], abs=2e-6
    )
    width = difference["high"] - difference["low"]
    assert width < 0.3 * (rows[NETWORK, "mse"]["high"] - rows[NETWORK, "mse"]["low"])


def test_intervals_cover_songs_not_traces() -> None:
    """Listeners of a song who all say the same are one observation."""
    generator = np.random.default_rng(1)
    curves = generator.normal(size=(8, 50)) * np.linspace(0.5, 2, 8)[:, None]
    one, many = ([planted.song_of(np.tile(curve, (num, 1)), f"s{place}") for place, curve in enumerate(curves)]
                 for num in (1, 20))  # fmt: skip
    rows = [scored(songs, {NETWORK: lambda song: np.zeros(song.num_steps), "template": half}) for songs in (one, many)]
    assert rows[0][NETWORK, "mse"]["low"] == pytest.approx(rows[1][NETWORK, "mse"]["low"], abs=1e-6)


@pytest.mark.parametrize(("rate_hz", "every"), [(100, 10), (25, 3), (15, 2)])
def test_fast_traces_are_warped_at_ten_steps_a_second_or_less(rate_hz: float, every: int) -> None:
    """Of a curve that hardly changes from step to step the distances are the same."""
    seconds = np.arange(0, 20, 1 / rate_hz)
    curve = np.sin(seconds)[None]
    true, is_heard = np.cos(seconds)[None], np.ones((1, len(seconds)), bool)
    fast = measures(curve, true, is_heard, SETTINGS, rate_hz)
    tables = (curve[:, ::every], true[:, ::every], is_heard[:, ::every])
    slow = measures(*tables, SETTINGS, rate_hz / every)
    assert (fast["dtw"], fast["frechet"]) == (slow["dtw"], slow["frechet"])
    assert fast["mse"] != slow["mse"]


def test_the_ceiling_is_what_knowing_the_common_part_exactly_would_reach() -> None:
    """Half of the variance is common: a perfect prediction has r of the root of a half with each listener."""
    generator = np.random.default_rng(3)
    songs, common = [], {}
    for place in range(12):
        common[f"s{place}"] = generator.normal(size=400)
        own = generator.normal(size=(5, 400))
        songs.append(planted.song_of(common[f"s{place}"] + own, f"s{place}"))
    items = measure(songs, {NETWORK: lambda song: common[song.song_id]}, SETTINGS, 4)
    scores = DatasetScores("planted", items, SETTINGS, {})
    scores.add_systems({})
    scores.add_ceiling(songs)
    rows = {(row["system"], row["metric"]): row for row in scores.rows}
    assert rows["ceiling", "pearson"]["value"] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert rows[NETWORK, "pearson"]["value"] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert rows["ceiling", "pearson_lower"]["value"] < rows["ceiling", "pearson_upper"]["value"]


def test_there_is_no_ceiling_where_nobody_else_heard_the_songs() -> None:
    songs = [
        planted.song_of(np.random.default_rng(place).normal(size=(2, 30)), f"s{place}", ["a", "a"])
        for place in range(6)
    ]
    scores = DatasetScores("planted", measure(songs, {NETWORK: half}, SETTINGS, 4), SETTINGS, {})
    scores.add_ceiling(songs)
    assert scores.rows == []


def test_of_a_template_only_corpus_the_template_is_at_the_ceiling_and_p_says_nothing() -> None:
    """All songs share a drift and nothing else: listeners agree as far as the drift goes."""
    generator = np.random.default_rng(4)
    drift = 3 * np.exp(-np.arange(120) / 30)
    songs = [planted.song_of(drift + generator.normal(size=(5, 120)), f"s{place}") for place in range(12)]
    scores = DatasetScores("planted", measure(songs, {"template": lambda song: drift}, SETTINGS, 4), SETTINGS, {})
    scores.add_systems({})
    scores.add_ceiling(songs)
    rows = {(row["system"], row["metric"]): row["value"] for row in scores.rows}
    assert rows["template", "pearson"] == pytest.approx(rows["ceiling", "pearson"], abs=0.03)
    null = permuted_null(exchange(songs, {song.song_id: drift for song in songs}), 50, 0)
    assert null.p_value == 1


def corpus(folder: Path, songs: int = 36):
    files = planted.write_corpus(folder, [planted.follows(song) for song in range(songs)])
    run = planted.run_of()
    table, _ = predict_baselines(run, files)
    return run, files, Predictions(table, "baselines"), files.scale(run)


def guesses(run, files, scale, skill: float = 1.0) -> dict[str, np.ndarray]:
    """Predictions that know the song's mean trace so well."""
    songs = files.songs(run, "test", scale)
    found = {}
    for item, song in enumerate(songs.songs):
        generator = np.random.default_rng(item)
        mean = songs[0, item].traces.mean(0).astype(np.float64)
        found[song.song_id] = skill * mean + (1 - skill) * generator.normal(size=len(mean))
    return found


def test_the_whole_table(tmp_path: Path) -> None:
    run, files, baselines, scale = corpus(tmp_path)
    found = score_predictions(run, files, guesses(run, files, scale), baselines, scale)
    write_json(tmp_path / "scores.json", found.rows)  # no NaN anywhere
    write_json(tmp_path / "nulls.json", found.nulls)
    r = {row["system"]: row["value"] for row in read_json(tmp_path / "scores.json") if row["metric"] == "pearson"}
    assert {NETWORK, *BASELINES, "permuted-songs", "shifted"} <= set(r)
    assert r["zero"] == 0
    assert r["permuted-songs"] < r["template"] < r["ridge"] < r[NETWORK]
    assert r["loudness-ridge"] < r["ridge"] - 0.1
    assert r["song-mean"] <= r["ceiling"] <= 1
    assert r["ridge"] > 0.95
    rows = {(row["system"], row["metric"]): row for row in found.rows}
    assert rows[NETWORK, "p_permuted_songs"]["value"] == pytest.approx(1 / 51, abs=1e-6)
    assert rows[NETWORK, "p_shifted"]["value"] == pytest.approx(1 / 51, abs=1e-6)
    assert rows["ridge", "p_permuted_songs"]["value"] == pytest.approx(1 / 51, abs=1e-6)
    for control in BASELINES:
        assert (f"{NETWORK} minus {control}", "pearson") in rows
        assert (f"{NETWORK} minus {control}", "mse") in rows
    assert {row["normalize"] for row in found.rows} == {"trace_z"}
    assert all(row["task"] == "planted" and row["num_groups"] == 12 for row in found.rows)
    assert rows["song-mean", "pearson"]["needs_listeners"]
    nulls = found.nulls["planted"]
    assert len(nulls["permuted-songs"]) == len(nulls["shifted"]) == 50
    assert set(found.predictions["system"]) == {"true", NETWORK, *BASELINES}
    assert list(found.predictions) == ["trace_id", "song_id", "participant_id", "dataset", "system", "values"]
    assert len(found.items) == 36 * 10


def test_datasets_are_scored_apart(tmp_path: Path) -> None:
    songs = [planted.follows(song) for song in range(36)]
    others = [
        planted.Song(f"other/{place}", song.side, song.mfcc, song.traces[:2], "other")
        for place, song in enumerate(songs)
    ]
    run = planted.run_of()
    alone, both = (
        planted.write_corpus(tmp_path / name, each) for name, each in {"a": songs, "b": [*songs, *others]}.items()
    )
    rows = []
    for files in (alone, both):
        scale = files.scale(run)
        baselines = Predictions(predict_baselines(run, files)[0], "baselines")
        rows.append(score_predictions(run, files, guesses(run, files, scale), baselines, scale).rows)
    assert {row["task"] for row in rows[1]} == {"other", "planted"}
    kept = [row for row in rows[1] if row["task"] == "planted" and row["system"] in BASELINES]
    assert kept == [row for row in rows[0] if row["system"] in BASELINES]


def test_baselines_of_another_split_are_refused(tmp_path: Path) -> None:
    run, files, _, scale = corpus(tmp_path, 12)
    table, _ = predict_baselines(run, files)
    with pytest.raises(DataError, match=r"predicts nothing of 'planted/004/000/0'.*another split"):
        score_predictions(run, files, guesses(run, files, scale), Predictions(table.iloc[5:], "b"), scale)
    table["predicted"] = [line[:-1] for line in table["predicted"]]
    with pytest.raises(DataError, match="59 steps"):
        score_predictions(run, files, guesses(run, files, scale), Predictions(table, "b"), scale)


def test_scores_are_the_same_again(tmp_path: Path) -> None:
    run, files, baselines, scale = corpus(tmp_path, 12)
    one, other = (score_predictions(run, files, guesses(run, files, scale), baselines, scale) for _ in range(2))
    assert one.rows == other.rows and one.nulls == other.nulls
    pd.testing.assert_frame_equal(one.items, other.items)


# ------------------------------------------------------- runs beside each other


def items_table(seed: int, better: float = 0.0, songs: int = 8, first: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    found = songs_of(first + songs)[first:]
    lines = {song.song_id: song.traces.mean(0) + (1 - better) * generator.normal(size=song.num_steps) for song in found}
    systems = {NETWORK: lambda song: lines[song.song_id], "template": lambda song: np.zeros(song.num_steps)}
    return measure(found, systems, SETTINGS, 4)


def macro(table: pd.DataFrame, metric: str, system: str = NETWORK) -> float:
    """The mean over songs of the mean over traces."""
    return table[table["system"] == system].groupby("group")[metric].mean().mean()


def test_runs_are_compared_trace_by_trace() -> None:
    run = planted.run_of()
    ours, theirs = items_table(0, 0.9), items_table(1)
    rows = {row["metric"]: row for row in run_differences(run, run, ours, theirs, "other")}
    assert rows["mse"]["high"] < 0 and rows["pearson"]["low"] > 0
    assert (rows["mse"]["num_groups"], rows["mse"]["n"], rows["mse"]["with"]) == (8, 20, "other")
    assert rows["mse"]["value"] == pytest.approx(macro(ours, "mse") - macro(theirs, "mse"), abs=1e-6)


def test_what_has_another_unit_or_other_songs_is_not_compared(caplog: pytest.LogCaptureFixture) -> None:
    run, table = planted.run_of(), items_table(0)
    in_other_units = planted.run_of(eda={"rate_hz": 4, "normalize": "none"})
    rows = run_differences(run, in_other_units, table, items_table(1), "other")
    assert [row["metric"] for row in rows] == ["pearson"]
    assert "only r is compared" in caplog.text
    assert run_differences(run, run, table, items_table(1, songs=7), "other") == []
    assert "not tested on the same traces" in caplog.text
    tonic = planted.run_of(eda={"rate_hz": 4, "target": "tonic"})
    assert run_differences(run, tonic, table, table, "other") == []
    assert "predicts the tonic trace" in caplog.text


def test_seeds_are_joined_also_where_their_test_songs_differ() -> None:
    tables = {seed: items_table(seed, first=2 * seed) for seed in range(3)}
    rows = {(row["system"], row["metric"]): row for row in join_seeds(tables, 200, 0)}
    for metric in ("pearson", "mse"):
        expected = np.mean([macro(table, metric) for table in tables.values()])
        assert rows[NETWORK, metric]["value"] == pytest.approx(expected, abs=1e-6)
    expected = np.mean([1 - macro(table, "mse") / macro(table, "mse", "template") for table in tables.values()])
    assert rows[NETWORK, "skill"]["value"] == pytest.approx(expected, abs=1e-6)
    row = rows[f"{NETWORK} minus template", "mse"]
    assert row["value"] == pytest.approx(rows[NETWORK, "mse"]["value"] - rows["template", "mse"]["value"], abs=2e-6)
    assert (row["num_groups"], row["seeds"]) == (12, [0, 1, 2])
    assert row["low"] < row["value"] < row["high"]


def test_cases_are_compared_with_the_reference() -> None:
    cases = {"a": {0: items_table(0), 1: items_table(1)}, "b": {0: items_table(2, 0.9), 1: items_table(3, 0.9)}}
    rows = {(row["case"], row["system"], row["metric"]): row for row in case_rows(cases, "a", 200, 0)}
    difference = rows["b", f"{NETWORK} minus a", "pearson"]
    assert difference["low"] > 0
    assert ("a", f"{NETWORK} minus a", "pearson") not in rows
    means = [np.mean([macro(table, "pearson") for table in cases[case].values()]) for case in "ba"]
    assert difference["value"] == pytest.approx(means[0] - means[1], abs=1e-6)
