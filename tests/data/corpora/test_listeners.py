"""Songs of datasets with listeners: each audio file is a song of one dataset, or says that it is none."""

import importlib.util
import logging
from pathlib import Path
from types import ModuleType

import pytest

from audiorig.config import DemoEdaCorpus, ListenersCorpus
from audiorig.config_stages import corpus_root, corpus_url
from audiorig.data.corpora import audio_extensions
from audiorig.data.manifest import build_manifest
from audiorig.errors import ConfigError, DataError

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


published = load("listeners_published", Path(__file__).parents[1] / "eda" / "published.py")
BOTH = {
    "pmemo2019": {"layout": "pmemo2019", "folder": "PMEmo2019"},
    "hku956": {"layout": "hku956", "folder": "HKU956"},
}


def corpus_of(root: Path | str, datasets: dict[str, dict[str, str]] | None = None) -> ListenersCorpus:
    return ListenersCorpus.model_validate({"kind": "listeners", "root": str(root), "datasets": datasets or BOTH})


def songs_of(corpus: ListenersCorpus | DemoEdaCorpus, root: Path) -> dict[str, tuple[str, str]]:
    manifest = build_manifest(corpus, root)
    assert (manifest["participant_id"] == "unknown").all()
    assert list(manifest)[-2:] == ["dataset", "song_id"]
    assert manifest["wav_path"].is_monotonic_increasing
    return {row.wav_path: (row.dataset, row.song_id) for row in manifest.itertuples()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Both datasets below one root; quickly made: WAVs of a tenth of a second."""
    published.write_pmemo(tmp_path / "PMEmo2019", with_audio=False)
    published.write_hku956(tmp_path / "HKU956", with_audio=False)
    for song, name in published.PMEMO_FILES.items():
        if song != published.WITHOUT_AUDIO:
            published.write_song(tmp_path / "PMEmo2019/chorus" / name.replace(".mp3", ".wav"), 0.1)
    for song in ("1240700", "55", "000123"):
        published.write_song(tmp_path / f"HKU956/audio/{song}.wav", 0.1)
    return tmp_path


def test_songs_of_two_datasets(tree: Path) -> None:
    songs = songs_of(corpus_of(tree), tree)
    assert songs == {
        "HKU956/audio/000123.wav": ("hku956", "hku956/000123"),
        "HKU956/audio/1240700.wav": ("hku956", "hku956/1240700"),
        "HKU956/audio/55.wav": ("hku956", "hku956/55"),
        "PMEmo2019/chorus/1000.wav": ("pmemo2019", "pmemo2019/1000"),
        "PMEmo2019/chorus/12.wav": ("pmemo2019", "pmemo2019/12"),
        "PMEmo2019/chorus/401.wav": ("pmemo2019", "pmemo2019/401"),
        "PMEmo2019/chorus/72.wav": ("pmemo2019", "pmemo2019/71"),
        "PMEmo2019/chorus/9.wav": ("pmemo2019", "pmemo2019/9"),
    }


def test_files_that_are_no_song_keep_their_rows_and_are_told(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    published.write_song(tree / "other/a.wav", 0.1)
    published.write_song(tree / "PMEmo2019/b.wav", 0.1)
    published.write_song(tree / "PMEmo2019/chorus/71.wav", 0.1)  # 71 is 72.mp3
    with caplog.at_level(logging.WARNING):
        songs = songs_of(corpus_of(tree), tree)
    assert "other/a.wav" not in songs, "what lies outside of the folders of audio is not listed"
    assert "PMEmo2019/b.wav" not in songs
    assert songs["PMEmo2019/chorus/71.wav"] == ("pmemo2019", "")
    assert "1 of 9 audio files are no song of a dataset, e.g. PMEmo2019/chorus/71.wav" in caplog.text
    assert "below HKU956/audio or PMEmo2019/chorus" in caplog.text


def test_audio_that_lies_elsewhere(tree: Path) -> None:
    published.write_song(tree / "jamendo/mp3/9001.WAV", 0.1)
    datasets = {"hku": BOTH["hku956"] | {"audio": "jamendo/"}, "mine": BOTH["pmemo2019"]}
    songs = songs_of(corpus_of(tree, datasets), tree)
    assert songs["jamendo/mp3/9001.WAV"] == ("hku", "hku/9001")
    assert "HKU956/audio/55.wav" not in songs
    assert songs["PMEmo2019/chorus/72.wav"] == ("mine", "mine/71")


def test_a_file_in_two_folders_of_audio_is_of_the_inner_one(tree: Path) -> None:
    (tree / "PMEmo2019/chorus/slow").mkdir()
    published.write_song(tree / "PMEmo2019/chorus/slow/55.wav", 0.1)
    datasets = BOTH | {"hku956": BOTH["hku956"] | {"audio": "PMEmo2019/chorus/slow"}}
    assert songs_of(corpus_of(tree, datasets), tree)["PMEmo2019/chorus/slow/55.wav"] == ("hku956", "hku956/55")


def test_two_datasets_need_two_folders_of_audio(tree: Path) -> None:
    with pytest.raises(ValueError, match="the audio of two of pmemo2019, hku956 lies in one folder"):
        corpus_of(tree, {name: dataset | {"audio": "songs"} for name, dataset in BOTH.items()})


def test_datasets_without_any_audio_are_told_where_to_put_it(tmp_path: Path) -> None:
    published.write_pmemo(tmp_path / "PMEmo2019", with_audio=False)
    published.write_hku956(tmp_path / "HKU956", with_audio=False)
    with pytest.raises(DataError, match=r"no audio below HKU956/audio or PMEmo2019/chorus; .*HKU956 itself has links"):
        build_manifest(corpus_of(tmp_path), tmp_path)


def test_generated_songs_are_one_dataset(tree: Path) -> None:
    corpus = DemoEdaCorpus(kind="demo-eda")
    root = tree / "PMEmo2019"
    assert songs_of(corpus, root)["chorus/72.wav"] == ("demo", "demo/71")
    assert audio_extensions(corpus) == (".wav",)
    assert corpus_root("demo-eda", corpus) == Path("data/demo-eda")


def test_a_folder_that_is_not_there(tree: Path) -> None:
    datasets = {"pmemo2019": {"layout": "pmemo2019", "folder": "pmemo"}}
    with pytest.raises(DataError, match=r"pmemo: there is no such folder, which should hold dataset 'pmemo2019'"):
        build_manifest(corpus_of(tree, datasets), tree)


def test_where_the_root_may_be(tmp_path: Path) -> None:
    assert corpus_root("mine", corpus_of(tmp_path)) == tmp_path
    assert corpus_url("mine", corpus_of("s3://bucket/some/data/")) == "s3://bucket/some/data"
    assert corpus_url("mine", corpus_of("gs://bucket")) == "gs://bucket"
    with pytest.raises(ConfigError, match=r"corpus 'mine': its root .* is no folder; set corpora\.mine\.root"):
        corpus_root("mine", corpus_of(tmp_path / "none"))
    with pytest.raises(ConfigError, match="no address that audio is read from"):
        corpus_url("mine", corpus_of("https://bucket/data"))
