"""Datasets in object storage: the traces are those of the folder, fetched once, and later stages need no store."""

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import soundfile
from published_layouts import PMEMO_FILES, SIGNALS, WITHOUT_AUDIO, write_hku956, write_pmemo

from audiorig.config import ListenersCorpus
from audiorig.data.eda.index import write_traces
from audiorig.data.eda.raw import RawTraces
from audiorig.data.manifest import build_manifest
from audiorig.data.object_store import StorageError
from audiorig.data.storage import AudioRoot

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


storage = load("storage_of_clips", Path(__file__).parents[1] / "test_storage.py")
stores, store = storage.stores, storage.store  # fixtures: a server of this machine, and what it was asked
URL = f"s3://{storage.BUCKET}/some data/v1.0"
WRITTEN = ("index.parquet", "raw.arrow", "missing_audio.csv", "assumptions.json")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """Both datasets in a folder; songs are short."""
    root = tmp_path / "local"
    write_pmemo(root / "PMEmo2019", with_audio=False)
    write_hku956(root / "HKU956", with_audio=False)
    wav = io.BytesIO()
    soundfile.write(wav, 0.1 * np.random.default_rng(0).standard_normal(1600), 16000, format="WAV")
    names = [f"PMEmo2019/chorus/{name}" for song, name in PMEMO_FILES.items() if song != WITHOUT_AUDIO]
    for name in [*names, "HKU956/audio/55.wav", "HKU956/audio/000123.wav"]:
        path = root / name.replace(".mp3", ".wav")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(wav.getvalue())
    return root


def corpus_of(root: Path | str) -> ListenersCorpus:
    datasets = {
        "pmemo2019": {"layout": "pmemo2019", "folder": "PMEmo2019"},
        "hku956": {"layout": "hku956", "folder": "HKU956"},
    }
    return ListenersCorpus.model_validate({"kind": "listeners", "root": str(root), "datasets": datasets})


def put(store, local: Path) -> None:
    for path in sorted(local.rglob("*")):
        if path.is_file():
            store.put(f"some data/v1.0/{path.relative_to(local).as_posix()}", path.read_bytes())
    store.requests.clear()


def fetched(store) -> list[str]:
    """Names of the objects that were fetched, without those of folders above."""
    got = [each.removeprefix("GET ") for each in store.requests if each.startswith("GET ")]
    return sorted(each.rpartition("/")[2] for each in got if each.endswith((".csv", ".wav")))


def test_cold_warm_and_without_the_store(store, local: Path, tmp_path: Path) -> None:
    put(store, local)
    corpus, root = corpus_of(URL), AudioRoot(tmp_path / "cache", URL)
    manifest = build_manifest(corpus, root)
    assert fetched(store) == sorted(["metadata.csv", *(path.name for path in local.rglob("*.wav"))])
    expected = build_manifest(corpus_of(local), local)
    same = [name for name in expected if name != "mtime_ns"]
    pd.testing.assert_frame_equal(manifest[same], expected[same])

    store.requests.clear()
    cold = write_traces(corpus, root, manifest, tmp_path / "cold")
    signals = [path.name for path in local.rglob("EDA/*.csv")]
    assert len(signals) == 6 + 13
    tables = ["2. original_song_audio.csv", "3. AV_ratings.csv"]
    assert fetched(store) == sorted([*signals, *tables])  # no TEMP, no annotations, and metadata.csv only once
    assert cold == write_traces(corpus_of(local), AudioRoot(local), expected, tmp_path / "local-traces")
    for name in WRITTEN:
        assert (tmp_path / "cold" / name).read_bytes() == (tmp_path / "local-traces" / name).read_bytes(), name
    assert {path.parent.name for path in (tmp_path / "cache/HKU956" / SIGNALS).rglob("*.csv")} == {"EDA"}

    store.requests.clear()
    write_traces(corpus, root, manifest, tmp_path / "warm")
    assert fetched(store) == []
    assert len(store.requests) == 2  # the listings of the two datasets
    for name in WRITTEN:
        assert (tmp_path / "warm" / name).read_bytes() == (tmp_path / "cold" / name).read_bytes(), name

    store.requests.clear()
    store.stop()
    samples = RawTraces(tmp_path / "cold/raw.arrow")
    index = pd.read_parquet(tmp_path / "cold/index.parquet")
    assert [len(samples.samples(each)) for each in index["trace_id"]] == list(index["num_samples"])
    root.fetch_rows(manifest)  # songs, as later stages ask for them
    with pytest.raises(StorageError, match="cannot be listed"):
        write_traces(corpus, root, manifest, tmp_path / "gone")
    assert store.requests == []
    assert not list((tmp_path / "gone").glob("*"))


def test_a_trace_that_changed_is_fetched_anew(store, local: Path, tmp_path: Path) -> None:
    put(store, local)
    corpus, root = corpus_of(URL), AudioRoot(tmp_path / "cache", URL)
    manifest = build_manifest(corpus, root)
    write_traces(corpus, root, manifest, tmp_path / "traces")
    store.put(f"some data/v1.0/HKU956/{SIGNALS}/hku1903/EDA/1_55.csv", b"0.5\n0.6\n")
    store.requests.clear()
    write_traces(corpus, root, manifest, tmp_path / "traces")
    assert fetched(store) == ["1_55.csv"]
    samples = RawTraces(tmp_path / "traces/raw.arrow").samples("hku956/55/hku1903/1")
    np.testing.assert_array_equal(samples, np.float32([0.5, 0.6]))


def test_names_that_no_disk_holds_are_traces_with_a_note(store, local: Path, tmp_path: Path) -> None:
    put(store, local)
    store.put("some data/v1.0/PMEmo2019/EDA//5_EDA.csv", b"time(s),100083\n0,1\n")
    corpus, root = corpus_of(URL), AudioRoot(tmp_path / "cache", URL)
    counts = write_traces(corpus, root, build_manifest(corpus, root), tmp_path / "traces")
    assert counts["num_unreadable"] == 1
    index = pd.read_parquet(tmp_path / "traces/index.parquet").set_index("trace_id")
    assert index.loc["pmemo2019/5/unknown/0", "note"] == "a name that no file can have"
