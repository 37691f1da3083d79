"""The index has a row for whatever was found; samples come back as they were, and memory does not grow with them."""

import json
import logging
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from published_layouts import (
    DEAD_LINK,
    HKU_SONGS,
    PMEMO_SONGS,
    REPLAY,
    SIGNALS,
    WITHOUT_AUDIO,
    pmemo_text,
    write_hku956,
    write_pmemo,
)

from audiorig.config import CorpusSection, DemoEdaCorpus, ListenersCorpus
from audiorig.data.eda import raw
from audiorig.data.eda.assumptions import Assumptions, AssumptionWarning
from audiorig.data.eda.index import COLUMNS, list_traces, write_traces
from audiorig.data.eda.raw import RawTraces, write_raw
from audiorig.data.manifest import build_manifest, write_table
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
ROOT = Path(__file__).resolve().parents[3]
DATASETS = {
    "pmemo2019": {"layout": "pmemo2019", "folder": "PMEmo2019"},
    "hku956": {"layout": "hku956", "folder": "HKU956"},
}


def corpus_of(root: Path) -> ListenersCorpus:
    return ListenersCorpus.model_validate({"kind": "listeners", "root": str(root), "datasets": DATASETS})


def manifest_of(songs: dict[str, float]) -> pd.DataFrame:
    """A manifest of audio that need not be there: seconds by path of each song, ``{dataset}/{song}``."""
    paths = [f"audio/{song}.wav" for song in songs]
    rows = {"wav_path": paths, "dataset": [song.split("/")[0] for song in songs], "song_id": list(songs)}
    return pd.DataFrame(rows | {"duration_sec": list(songs.values())}).astype({"duration_sec": "Float64"})


def all_songs() -> dict[str, float]:
    songs = {f"pmemo2019/{song}": seconds for song, seconds in PMEMO_SONGS.items() if song != WITHOUT_AUDIO}
    return songs | {f"hku956/{song}": seconds for song, seconds in HKU_SONGS.items() if song != DEAD_LINK}


def written(corpus: CorpusSection, root: Path, manifest: pd.DataFrame, folder: Path) -> pd.DataFrame:
    counts = write_traces(corpus, AudioRoot(root), manifest, folder)
    index = pd.read_parquet(folder / "index.parquet")
    assert {name: str(kind) for name, kind in index.dtypes.items()} == COLUMNS
    assert index["trace_id"].is_unique and index["trace_id"].is_monotonic_increasing
    assert counts["num_traces"] == len(index)
    samples = RawTraces(folder / "raw.arrow")
    assert sorted(samples.ids()) == list(index["trace_id"])
    assert [len(samples.samples(each)) for each in index["trace_id"]] == list(index["num_samples"])
    return index.set_index("trace_id")


def test_both_datasets_from_files_to_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With audio as published (MP3), through the manifest."""
    truth = write_pmemo(tmp_path / "data/PMEmo2019") | write_hku956(tmp_path / "data/HKU956")
    corpus, root = corpus_of(tmp_path / "data"), tmp_path / "data"
    with caplog.at_level(logging.INFO):
        index = written(corpus, root, build_manifest(corpus, root), tmp_path / "traces")
    assert "36 traces, 10 songs, 7 subjects, 0 unreadable, 2 songs without audio" in caplog.text
    assert set(index.index) == truth.keys()
    samples = RawTraces(tmp_path / "traces/raw.arrow")
    for name, values in truth.items():
        np.testing.assert_array_equal(samples.samples(name), values.astype(np.float32))
        song, subject, take = name.rsplit("/", 2)
        row = index.loc[name]
        assert (row["song_id"], row["participant_id"], row["take"]) == (song, f"{row['dataset']}/{subject}", int(take))
        assert (row["wav_path"] == "") == np.isnan(row["audio_sec"]) == song.endswith((WITHOUT_AUDIO, DEAD_LINK))
    of_71 = index[index["song_id"] == "pmemo2019/71"]
    assert set(of_71["wav_path"]) == {"PMEmo2019/chorus/72.mp3"}
    pmemo = index[(index["dataset"] == "pmemo2019") & (index["wav_path"] != "")]
    longer = pmemo["num_samples"] / pmemo["source_rate_hz"] - pmemo["audio_sec"]
    np.testing.assert_allclose(longer, 0.14, atol=0.02)  # as published; the MP3s' lengths are in the header
    assert index.loc[f"hku956/{REPLAY[2]}/{REPLAY[0]}/{REPLAY[1]}", "play_duration_sec"] == 30
    missing = pd.read_csv(tmp_path / "traces/missing_audio.csv", dtype=str, keep_default_na=False)
    assert list(missing) == ["dataset", "song_id", "link", "reason"]
    assert missing.to_dict("list") == {
        "dataset": ["hku956", "pmemo2019"],
        "song_id": ["hku956/9001", "pmemo2019/833"],
        "link": ["https://music.example/9001", ""],
        "reason": [
            "no audio of this song below HKU956/audio, which 3 traces are of",
            "no audio of this song below PMEmo2019/chorus, which 4 traces are of",
        ],
    }
    told = {
        each["code"]: (each["count"], each["files"])
        for each in json.loads((tmp_path / "traces/assumptions.json").read_text())
    }
    assert told["pmemo2019-prefix"] == (1, ["PMEmo2019/EDA/71_EDA.csv"])
    assert told["hku956-rate"] == (1, [f"HKU956/{SIGNALS}"])
    assert told.keys() == {
        "empty-file",
        "hku956-export-head",
        "hku956-no-header",
        "hku956-rate",
        "pmemo2019-prefix",
        "pmemo2019-unit",
    }


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "data/HKU956", with_audio=False)
    for name in ("one", "other"):
        written(corpus_of(tmp_path / "data"), tmp_path / "data", manifest_of(all_songs()), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_whatever_is_wrong_with_a_file_every_other_trace_is_there(tmp_path: Path) -> None:
    truth = write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    truth |= write_hku956(tmp_path / "data/HKU956", with_audio=False)
    (tmp_path / "data/PMEmo2019/EDA/12_EDA.csv").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    (tmp_path / f"data/HKU956/{SIGNALS}/hku1904/EDA/1_55.csv").write_text("gone\nfor\ngood\n")
    index = written(corpus_of(tmp_path / "data"), tmp_path / "data", manifest_of(all_songs()), tmp_path / "traces")
    unreadable = index[index["note"] != ""]
    assert unreadable["note"].to_dict() == {
        "hku956/55/hku1904/1": "no number in it; it begins with 'for'",
        "pmemo2019/12/unknown/0": "no text: it holds bytes of value 0",
    }
    assert (unreadable["num_samples"] == 0).all()
    lost = {name for name in truth if name.startswith("pmemo2019/12/")}
    assert set(index.index) == truth.keys() - lost | {"pmemo2019/12/unknown/0"}


def test_keys_that_are_there_twice_are_all_kept(tmp_path: Path) -> None:
    """A subject with two columns, once under another header, and a record in two folders."""
    write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "data/HKU956", with_audio=False)
    path = tmp_path / "data/PMEmo2019/EDA/9_EDA.csv"
    path.write_text("time(s),100083,x100083,100083\n0.00,1,2,3\n0.02,1,2,3\n")
    folder = tmp_path / f"data/HKU956/{SIGNALS}/hku1903/EDA"
    (folder / "again").mkdir()
    (folder / "again/1_55.csv").write_text("0.5\n0.6\n0.7\n")
    index = written(corpus_of(tmp_path / "data"), tmp_path / "data", manifest_of(all_songs()), tmp_path / "traces")
    assert [name for name in index.index if name.startswith("pmemo2019/9/")] == [
        "pmemo2019/9/100083/0",
        "pmemo2019/9/100083/0~2",
        "pmemo2019/9/100083/0~3",
    ]
    again = index[(index["song_id"] == "hku956/55") & (index["participant_id"] == "hku956/hku1903")]
    assert list(again.index) == ["hku956/55/hku1903/1", "hku956/55/hku1903/1~2"]
    assert set(again["num_samples"]) == {44, 3}
    assert set(again["take"]) == {1}
    samples = RawTraces(tmp_path / "traces/raw.arrow")
    assert [samples.samples(f"pmemo2019/9/100083/0{end}").tolist() for end in ("", "~2", "~3")] == [
        [1, 1],
        [2, 2],
        [3, 3],
    ]


def test_of_several_audio_files_the_first_that_could_be_read_counts(tmp_path: Path) -> None:
    write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "data/HKU956", with_audio=False)
    manifest = manifest_of(all_songs())
    broken = manifest.iloc[:1].assign(wav_path="audio/0-broken.mp3", duration_sec=pd.NA)
    second = manifest.iloc[:1].assign(wav_path="audio/z.mp3", duration_sec=99.0)
    other = manifest.iloc[:1].assign(wav_path="else.wav", dataset="", song_id="")
    several = pd.concat([broken, other, manifest, second], ignore_index=True)
    index = written(corpus_of(tmp_path / "data"), tmp_path / "data", several, tmp_path / "traces")
    song = manifest["song_id"].iloc[0]
    assert set(index.loc[index["song_id"] == song, "wav_path"]) == {f"audio/{song}.wav"}
    told = json.loads((tmp_path / "traces/assumptions.json").read_text())
    assert next(each for each in told if each["code"] == "audio-twice")["files"] == [
        "audio/0-broken.mp3",
        "audio/z.mp3",
    ]


def test_audio_that_cannot_be_read_is_still_the_songs(tmp_path: Path) -> None:
    """Validation says what is wrong with it."""
    write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "data/HKU956", with_audio=False)
    manifest = manifest_of(all_songs())
    manifest["duration_sec"] = pd.NA
    index = written(
        corpus_of(tmp_path / "data"),
        tmp_path / "data",
        manifest.astype({"duration_sec": "Float64"}),
        tmp_path / "traces",
    )
    row = index.loc["pmemo2019/9/100083/0"]
    assert row["wav_path"] == "audio/pmemo2019/9.wav" and np.isnan(row["audio_sec"])


def test_generated_traces_are_one_dataset_and_nothing_is_assumed(tmp_path: Path) -> None:
    (tmp_path / "data/EDA").mkdir(parents=True)
    (tmp_path / "data/metadata.csv").write_text("musicId,fileName\n31,31.wav\n")
    (tmp_path / "data/EDA/31_EDA.csv").write_text(pmemo_text({"100083": np.arange(600.0), "110414": np.ones(600)}))
    index = written(
        DemoEdaCorpus(kind="demo-eda"), tmp_path / "data", manifest_of({"demo/31": 12.0}), tmp_path / "traces"
    )
    assert list(index.index) == ["demo/31/100083/0", "demo/31/110414/0"]
    assert set(index["participant_id"]) == {"demo/100083", "demo/110414"}
    assert json.loads((tmp_path / "traces/assumptions.json").read_text()) == []
    assert (tmp_path / "traces/missing_audio.csv").read_text() == "dataset,song_id,link,reason\n"


def test_traces_are_read_one_file_after_the_other(tmp_path: Path) -> None:
    """Nothing is read ahead: a file that is written while others are read is found as it is then."""
    write_pmemo(tmp_path / "PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "HKU956", with_audio=False)
    found = list_traces(corpus_of(tmp_path), AudioRoot(tmp_path), manifest_of(all_songs()), Assumptions())
    row, trace = next(found)
    assert row["eda_path"] == "PMEmo2019/EDA/1000_EDA.csv" and len(trace.samples) == 1007
    (tmp_path / "PMEmo2019/EDA/9_EDA.csv").write_text("")
    assert [row["trace_id"] for row, trace in found if not len(trace.samples)] == [
        "pmemo2019/9/unknown/0",
        "hku956/000123/hku1905/2",
    ]


def test_the_rule_runs_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pmemo(tmp_path / "data/PMEmo2019", with_audio=False)
    write_hku956(tmp_path / "data/HKU956", with_audio=False)
    folder = tmp_path / "results/corpora/mine"
    folder.mkdir(parents=True)
    (folder / "corpus.yaml").write_text(yaml.safe_dump(corpus_of(tmp_path / "data").model_dump(mode="json")))
    write_table(manifest_of(all_songs()), folder / "manifest.parquet")
    settings = {"corpus": folder / "corpus.yaml", "manifest": folder / "manifest.parquet", "folder": folder / "traces"}
    script = ROOT / "workflow/scripts/traces.py"
    monkeypatch.setattr(
        sys, "argv", ["traces.py", *(str(part) for key in settings for part in (f"--{key}", settings[key]))]
    )
    with pytest.warns(AssumptionWarning) as caught:
        runpy.run_path(str(script), run_name="__main__")
    told = json.loads((folder / "traces/assumptions.json").read_text())
    assert len(caught) == len(told) == 7  # that WAVs stand for the table's MP3s is one
    record = json.loads((folder / "traces/index.parquet.provenance.json").read_text())
    assert record["stage"] == "traces" and record["num_traces"] == 36


# -------------------------------------------------------------------- raw samples


def test_samples_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several batches, NaN kept, of any length, also none; unpickled too."""
    monkeypatch.setattr(raw, "BATCH_SAMPLES", 100)
    generator = np.random.default_rng(0)
    arrays = {
        f"demo/{place}/x/0": generator.standard_normal(length) for place, length in enumerate((0, 7, 99, 150, 1, 0))
    }
    arrays["demo/1/x/0"][3] = np.nan
    write_raw(tmp_path / "raw.arrow", arrays, iter(arrays.values()))
    found = RawTraces(tmp_path / "raw.arrow")
    assert found.ids() == list(arrays) and len(found) == 6 and "demo/1/x/0" in found and "demo/9/x/0" not in found
    for read in (found, pickle.loads(pickle.dumps(found))):
        for name, values in arrays.items():
            samples = read.samples(name)
            assert samples.dtype == np.float32
            np.testing.assert_array_equal(samples, values.astype(np.float32))
    with pytest.raises(ValueError, match="read-only"):
        found.samples("demo/2/x/0")[0] = 1
    with pytest.raises(DataError, match=r"raw\.arrow: no trace 'demo/9/x/0'"):
        found.samples("demo/9/x/0")


def test_no_traces_and_no_file(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw.arrow", [], [])
    assert RawTraces(tmp_path / "raw.arrow").ids() == []
    with pytest.raises(DataError, match=r"none\.arrow: cannot be read as traces"):
        RawTraces(tmp_path / "none.arrow")
    (tmp_path / "text.arrow").write_text("no arrow")
    with pytest.raises(DataError, match=r"text\.arrow: cannot be read as traces"):
        RawTraces(tmp_path / "text.arrow")


def test_a_batch_is_all_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BATCH_SAMPLES", 1000)
    held = []

    def arrays():
        for _ in range(50):
            held.append(sum(map(len, writer._arrays)))
            yield np.zeros(300)

    with raw.raw_writer(tmp_path / "raw.arrow") as writer:
        for place, samples in enumerate(arrays()):
            writer.add(str(place), samples)
    assert max(held) < 1000
    assert len(RawTraces(tmp_path / "raw.arrow")) == 50


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), raw.raw_writer(tmp_path / "raw.arrow") as writer:
        writer.add("a", np.zeros(3))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------- damage


ODD = (b"", b"inf", b"nan", b"1e400", b"-1e308", b"1e-320", b"9" * 400, b"\n", b",", b";", b'"', b"\0", b"\xff",
       b"\xef\xbb\xbf", b"1_0", b"True", b"1+2j", b"\r", b"99999999999999999999", b"time(s)", b"100083")  # fmt: skip


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Some bytes replaced by what is no number, or the end cut off."""
    changed = bytearray(content)
    for _ in range(generator.integers(1, 6)):
        start = int(generator.integers(len(changed) + 1))
        if generator.random() < 0.2:
            del changed[start:]
        else:
            changed[start : start + int(generator.integers(7))] = ODD[generator.integers(len(ODD))]
    return bytes(changed)


def test_no_damage_stops_the_reading_or_loses_a_file(tmp_path: Path) -> None:
    truth = {
        f"EDA/{song}_EDA.csv": pmemo_text({"100083": np.arange(40.0), "110414": np.ones(40)}) for song in range(60)
    }
    (tmp_path / "PMEmo2019/EDA").mkdir(parents=True)
    records = tmp_path / f"HKU956/{SIGNALS}/hku1903/EDA"
    records.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for place, (name, text) in enumerate(truth.items()):
        (tmp_path / "PMEmo2019" / name).write_bytes(damaged(text.encode(), generator))
        lines = "".join(f"{value / 7:.3f}\n" for value in range(40))
        (records / f"{place}_1.csv").write_bytes(damaged(f"1539066660.0\n4.0\n{lines}".encode(), generator))
    index = written(corpus_of(tmp_path), tmp_path, manifest_of(all_songs()), tmp_path / "traces")
    assert index["eda_path"].nunique() == 120
    assert ((index["source_rate_hz"] > 0) | (index["note"] != "") | (index["num_samples"] == 0)).all()
    assert (index["num_samples"] <= 200).all()
    assert (index["note"] != "").any() and (index["note"] == "").any()
