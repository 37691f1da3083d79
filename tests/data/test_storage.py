"""Corpora in object storage, against a server of this machine that counts what it is asked."""

import errno
import io
import json
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from audiorig.config import AugmentConfig, ClipConfig, FolderCorpus, SplitConfig, ValidationConfig
from audiorig.config_stages import corpus_root, corpus_url
from audiorig.data import object_store
from audiorig.data.clips import ClipCollate, ClipDataset
from audiorig.data.listing import list_stored, read_listing, write_listing
from audiorig.data.manifest import assemble_manifest, build_manifest, list_corpus, read_table, scan_corpus
from audiorig.data.object_store import StorageError, StoredObject
from audiorig.data.split import split_manifest, write_split
from audiorig.data.storage import INCOMING, AudioRoot, audio_root, is_copy, remove_leftovers
from audiorig.data.validate import validate_corpus
from audiorig.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "recordings"
URL = f"s3://{BUCKET}/clips"


def wav(seed: int, num_samples: int = 1600) -> bytes:
    """A WAV of noise, as its bytes."""
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(seed).standard_normal(num_samples), 16000, format="WAV")
    return file.getvalue()


@dataclass
class Store:
    """A server that speaks S3, and what it was asked."""

    server: Any = None
    requests: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def start(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        dispatch = DomainDispatcherApplication(create_backend_app)

        def counted(environment, respond):
            self.requests.append(f"{environment['REQUEST_METHOD']} {environment['PATH_INFO']}")
            return dispatch(environment, respond)

        self.server = make_server("127.0.0.1", 0, counted, threaded=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def put(self, name: str, content: bytes) -> None:
        self.backend.put_object(BUCKET, name, content)

    @property
    def backend(self):
        from moto.s3.models import s3_backends

        return s3_backends["123456789012"]["aws"]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.server = None


@pytest.fixture(scope="module")
def stores() -> Iterator[Store]:
    """One server for all tests that do not stop it: making a client costs as much as hundreds of requests."""
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'audiorig[cloud]'")
    pytest.importorskip("moto", reason="moto is not installed: make oracles")
    from moto.s3.models import s3_backends

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    made = Store()
    yield made
    if made.server is not None:
        made.stop()
    object_store._filesystems.begin_anew()
    s3_backends.reset()


@pytest.fixture
def store(stores: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with five clips and a table; nothing of the user's own settings is read."""
    from moto.s3.models import s3_backends

    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    s3_backends.reset()
    if stores.server is None:
        stores.start()
        object_store._filesystems.begin_anew()
    keys = {"AWS_ACCESS_KEY_ID": "canary-id", "AWS_SECRET_ACCESS_KEY": "canary-key", "AWS_DEFAULT_REGION": "us-east-1"}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in {**keys, **nowhere, "AWS_ENDPOINT_URL": stores.endpoint}.items():
        monkeypatch.setenv(name, value)
    stores.backend.create_bucket(BUCKET, "us-east-1")
    for index in range(5):
        stores.put(f"clips/voice-{index % 2}/{index}.wav", wav(index))
    stores.put("clips/about.csv", b"path,participant_id\n" + b"".join(
        f"voice-{index % 2}/{index}.wav,voice-{index % 2}\n".encode() for index in range(5)
    ))  # fmt: skip
    stores.requests.clear()
    return stores


@pytest.fixture
def root(tmp_path: Path) -> AudioRoot:
    return AudioRoot(tmp_path / "cache" / "objects", URL)


CORPUS = FolderCorpus(kind="folder", root=URL, metadata="about.csv")


def test_a_manifest_of_a_store_is_that_of_the_folder(store: Store, root: AudioRoot, tmp_path: Path) -> None:
    """Cold, then warm: what is unchanged is neither fetched nor opened again."""
    local = tmp_path / "local"
    for index in range(5):
        path = local / f"voice-{index % 2}" / f"{index}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(index))
    (local / "about.csv").write_bytes((root.refreshed("about.csv")).read_bytes())
    store.requests.clear()

    manifest = build_manifest(CORPUS, root, memory=tmp_path / "memory.arrow")
    assert sum(request.startswith("GET") and request.endswith(".wav") for request in store.requests) == 5
    expected = build_manifest(CORPUS, local)
    same = [name for name in expected if name != "mtime_ns"]
    pd.testing.assert_frame_equal(manifest[same], expected[same])
    assert manifest["object_etag"].str.fullmatch("[0-9a-f]{32}").all()
    assert list(manifest)[:14] == [*expected.columns[:13], "object_etag"]

    store.requests.clear()
    again = build_manifest(CORPUS, root, memory=tmp_path / "memory.arrow")
    pd.testing.assert_frame_equal(manifest, again)
    assert all("list-type" not in request and not request.endswith(".wav") for request in store.requests)
    assert len(store.requests) == 2  # the listing, and whether the table has changed


def test_the_same_store_gives_the_same_manifest_in_another_cache(store: Store, tmp_path: Path) -> None:
    tables = [build_manifest(CORPUS, AudioRoot(tmp_path / name, URL)) for name in ("one", "other")]
    pd.testing.assert_frame_equal(*tables)  # the time of change is the object's


def test_shards_are_the_whole(store: Store, root: AudioRoot, tmp_path: Path) -> None:
    write_listing(list_corpus(CORPUS, root), tmp_path / "files.parquet")
    listing = read_listing(tmp_path / "files.parquet")
    assert listing == list_corpus(CORPUS, root)
    scans = [scan_corpus(CORPUS, root, listing.shard(index, 2), 1) for index in range(2)]
    pd.testing.assert_frame_equal(assemble_manifest(CORPUS, root, scans), build_manifest(CORPUS, root))


def test_copies_need_no_store(store: Store, root: AudioRoot) -> None:
    manifest = build_manifest(CORPUS, root)
    store.requests.clear()
    for _, row in manifest.iterrows():
        path = root.local(row["wav_path"], row["file_size_bytes"], row["object_etag"])
        assert path == root.source_of_row(row).path == root.folder / row["wav_path"]
        assert path.read_bytes() == wav(int(path.stem))
    root.fetch_rows(manifest)
    store.stop()
    root.fetch_rows(manifest)
    problems, _, summary = validate_corpus(manifest, root.folder, ValidationConfig(min_duration_sec=0.05))
    assert problems.empty
    assert summary["num_files"] == 5
    assert store.requests == []


def test_an_object_that_changed_is_fetched_anew(store: Store, root: AudioRoot) -> None:
    """Even one of the same size, written within the same second."""
    before = build_manifest(CORPUS, root).set_index("wav_path")
    store.put("clips/voice-0/2.wav", wav(99))
    store.requests.clear()
    after = build_manifest(CORPUS, root).set_index("wav_path")
    changed = before.index[before["object_etag"] != after["object_etag"]]
    assert list(changed) == ["voice-0/2.wav"]
    assert (root.folder / "voice-0/2.wav").read_bytes() == wav(99)
    assert sum(request.startswith("GET") and request.endswith(".wav") for request in store.requests) == 1
    with pytest.raises(StorageError, match=r"voice-0/2\.wav: is another object than was listed.*build the manifest"):
        root.local("voice-0/2.wav", etag=before.loc["voice-0/2.wav", "object_etag"])
    assert (root.folder / "voice-0/2.wav").read_bytes() == wav(99)


def test_a_damaged_copy_is_fetched_anew(store: Store, root: AudioRoot) -> None:
    row = build_manifest(CORPUS, root).iloc[0]
    path = root.source_of_row(row).path
    path.write_bytes(path.read_bytes()[:100])
    assert root.source_of_row(row).path.read_bytes() == wav(0)


def test_members_of_archives_are_read_from_the_fetched_archive(store: Store, root: AudioRoot, tmp_path: Path) -> None:
    import tarfile

    from audiorig.data.audio import read_window

    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index in (7, 8):
            (tmp_path / f"{index}.wav").write_bytes(wav(index))
            archive.add(tmp_path / f"{index}.wav", f"{index}.wav")
    store.put("tars/a.tar", (tmp_path / "a.tar").read_bytes())
    corpus = FolderCorpus(kind="folder", root=f"s3://{BUCKET}/tars", extensions=(".wav", ".tar"))
    packed = AudioRoot(root.folder, corpus.root)
    manifest = build_manifest(corpus, packed)
    assert list(manifest["wav_path"]) == ["a.tar/7.wav", "a.tar/8.wav"]
    assert manifest["object_etag"].nunique() == 1
    (packed.folder / "a.tar").unlink()
    samples = read_window(packed.source_of_row(manifest.iloc[1]), 0, -1, 16000)
    assert samples == pytest.approx(soundfile.read(tmp_path / "8.wav", dtype="float32")[0])


# ----------------------------------------------------------------------- faults


def test_a_server_that_is_gone_is_named_with_the_object(store: Store, root: AudioRoot) -> None:
    store.stop()
    with pytest.raises(StorageError, match=r"s3://recordings/clips/voice-0/0\.wav: cannot be fetched: .*run it again"):
        root.local("voice-0/0.wav")
    with pytest.raises(StorageError, match=r"s3://recordings/clips: cannot be listed"):
        list_stored(URL, (".wav",))
    assert not list(root.folder.rglob("*.wav"))
    assert not list((root.folder / INCOMING).glob("*.aside"))


def test_an_object_that_is_not_there_and_a_bucket_that_is_not(store: Store, root: AudioRoot) -> None:
    with pytest.raises(StorageError, match=r"none\.wav: cannot be fetched: there is no such object"):
        root.local("none.wav")
    with pytest.raises(StorageError, match="s3://nowhere/x: cannot be listed: there is no such object"):
        list_stored("s3://nowhere/x", (".wav",))


def test_a_full_disk_is_told_from_a_trouble_of_the_store(
    store: Store, root: AudioRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match=r"0\.wav: cannot be kept in .*: No space left.*cache_root to another"):
            root.local("voice-0/0.wav")
    with monkeypatch.context() as patch:
        patch.setattr(object_store._filesystem(URL), "get_file", full)
        with pytest.raises(StorageError, match=r"0\.wav: cannot be kept in .*: No space left.*make room"):
            root.local("voice-0/0.wav")
    assert not list((root.folder / INCOMING).glob("*.aside"))
    assert root.local("voice-0/0.wav").read_bytes() == wav(0)


def test_no_credentials_in_messages_and_their_lack_is_told(
    store: Store, root: AudioRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.stop()
    with pytest.raises(StorageError) as caught:
        root.local("voice-0/0.wav")
    assert "canary" not in str(caught.value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    object_store._filesystems.begin_anew()
    try:
        with pytest.raises(StorageError, match=r"cannot be fetched: Unable to locate credentials; check .*AWS_PROFILE"):
            root.local("voice-0/0.wav")
    finally:
        object_store._filesystems.begin_anew()


def test_names_that_no_disk_can_hold_are_rows_with_a_problem(store: Store, root: AudioRoot) -> None:
    for name in ("a//b.wav", "../out.wav", f"{'x' * 300}.wav", "both.wav", "both.wav/c.wav", ".hidden.wav", "text.txt"):
        store.put(f"odd/{name}", wav(0))
    listing = list_stored(f"s3://{BUCKET}/odd", (".WAV",))
    assert listing.problems == {
        "../out.wav": "bad_name",
        "a//b.wav": "bad_name",
        f"{'x' * 300}.wav": "bad_name",
        "both.wav": "not_regular",
    }
    assert set(listing.paths) - set(listing.problems) == {"both.wav/c.wav"}
    odd = AudioRoot(root.folder, f"s3://{BUCKET}/odd")
    corpus = FolderCorpus(kind="folder", root=str(odd))
    manifest = build_manifest(corpus, odd).set_index("wav_path")
    assert manifest["problem"].dropna().to_dict() == listing.problems
    assert sorted(path.name for path in root.folder.parent.rglob("*.wav") if path.is_file()) == ["c.wav"]
    with pytest.raises(StorageError, match="leads out of the corpus"):
        odd.local("../out.wav")


# ---------------------------------------------------------- ahead, threads, processes


def test_fetching_ahead_is_bounded_and_can_be_stopped(store: Store, root: AudioRoot) -> None:
    asked: list[str] = []

    def wanted() -> Iterator[StoredObject]:
        for index in range(5):
            asked.append(f"voice-{index % 2}/{index}.wav")
            yield StoredObject(asked[-1])

    coming = root.fetch(wanted(), num_ahead=1, num_threads=1)
    assert next(coming) == root.folder / "voice-0/0.wav"
    assert len(asked) == 2
    coming.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch")]
    assert not (root.folder / "voice-0/4.wav").exists()
    assert [path.name for path in root.fetch(wanted(), num_ahead=2)] == [f"{index}.wav" for index in range(5)]
    with pytest.raises(StorageError, match=r"none\.wav"):
        list(root.fetch([StoredObject("none.wav"), StoredObject("voice-0/0.wav")]))


def test_threads_fetch_an_object_once(store: Store, root: AudioRoot) -> None:
    threads = [threading.Thread(target=root.local, args=("voice-1/3.wav",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(request.startswith("GET") for request in store.requests) == 1


def fetch_in_child(root: AudioRoot) -> None:
    for index in range(5):
        assert root.local(f"voice-{index % 2}/{index}.wav").read_bytes() == wav(index)


def test_forked_processes_fetch_at_the_same_time(store: Store, root: AudioRoot) -> None:
    """The parent has used its filesystem before: its event loop is not in the children."""
    root.local("voice-0/0.wav")
    store.requests.clear()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=fetch_in_child, args=(root,)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0, 0, 0]
    held = [path for path in root.folder.rglob("*") if path.is_file() and not path.name.startswith("lock-")]
    assert sorted(path.name for path in held) == [f"{index}.wav" for index in range(5)]
    assert sum(request.startswith("GET") for request in store.requests) == 4  # each of the others once


def test_a_root_is_pickled_without_its_connections(store: Store, root: AudioRoot) -> None:
    root.local("voice-0/0.wav")
    sent = pickle.dumps(root)
    assert len(sent) < 500
    assert pickle.loads(sent) == root


def test_a_disk_that_keeps_whole_seconds_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    os.utime(path, ns=(0, 1_700_000_000 * 10**9))
    assert is_copy(path, StoredObject("a.wav", 5, "etag", 1_700_000_000))
    assert not is_copy(path, StoredObject("a.wav", 5, "etag", 1_700_000_100))
    assert not is_copy(path, StoredObject("a.wav", 6, "etag", 1_700_000_000))


# ------------------------------------------------------------------------ training


def clips_of(root: AudioRoot, split: Path) -> ClipDataset:
    settings = ClipConfig(corpus="clips", split="mine", max_sec=0.08, augment=AugmentConfig(share=0.5))
    return ClipDataset(split / "train.arrow", root, settings, (), 16000, 0, side="train")


def batches(clips: ClipDataset, num_workers: int) -> list[dict[str, torch.Tensor]]:
    keys = [[(epoch, item) for item in items] for epoch in range(2) for items in ((0, 2), (1, 0))]
    loader = DataLoader(clips, batch_sampler=keys, collate_fn=ClipCollate(), num_workers=num_workers)
    return list(loader)


def test_training_is_the_same_cold_warm_and_without_the_store(store: Store, root: AudioRoot, tmp_path: Path) -> None:
    manifest = build_manifest(CORPUS, root)
    settings = SplitConfig(shares=(0.6, 0.2, 0.2), group="clip", min_groups=1)
    nothing = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
    write_split(split_manifest(manifest, nothing, settings, "mine"), settings, tmp_path / "split")
    found = {}
    for num_workers in (0, 2):
        cold = AudioRoot(tmp_path / f"cache-{num_workers}", URL)
        store.requests.clear()
        found["cold", num_workers] = batches(clips_of(cold, tmp_path / "split"), num_workers)
        assert sum(request.startswith("GET") for request in store.requests) == 3
        store.requests.clear()
        found["warm", num_workers] = batches(clips_of(cold, tmp_path / "split"), num_workers)
        assert store.requests == []
    store.stop()
    for num_workers in (0, 2):
        cold = AudioRoot(tmp_path / f"cache-{num_workers}", URL)
        found["gone", num_workers] = batches(clips_of(cold, tmp_path / "split"), num_workers)
    for one in found.values():
        assert len(one) == 4
        for batch, expected in zip(one, found["cold", 0], strict=True):
            assert all(torch.equal(batch[name], expected[name]) for name in expected if name != "values")


def test_a_store_that_is_gone_stops_a_training_that_needs_it(store: Store, root: AudioRoot, tmp_path: Path) -> None:
    """It says nothing of the clips, so no other clip may stand in."""
    manifest = build_manifest(CORPUS, root)
    settings = SplitConfig(shares=(0.6, 0.2, 0.2), group="clip", min_groups=1)
    nothing = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})
    write_split(split_manifest(manifest, nothing, settings, "mine"), settings, tmp_path / "split")
    clips = clips_of(root, tmp_path / "split")
    root.local(clips.name(1)).unlink()
    store.stop()
    assert clips[0, 0][0].read_row == 0
    with pytest.raises(StorageError, match=r"\.wav: cannot be fetched"):
        clips[0, 1]


# ---------------------------------------------------------------- settings, scripts


def test_roots_in_object_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def corpus(root: str) -> FolderCorpus:
        return FolderCorpus(kind="folder", root=root, cache_root=str(tmp_path))

    monkeypatch.setenv("BUCKET", "gs://cries")
    for given, url in {
        "s3://bucket": "s3://bucket",
        "s3://bucket//a/b/": "s3://bucket/a/b",
        "$BUCKET/2024": "gs://cries/2024",
    }.items():
        assert audio_root("mine", corpus(given)) == AudioRoot(tmp_path / "mine" / "objects", url)
    assert corpus_url("mine", corpus(str(tmp_path))) is None
    assert audio_root("mine", corpus(str(tmp_path))) == AudioRoot(tmp_path)
    for given in (
        "https://host/audio",
        "s3://id:canary@bucket/a",
        "s3://bucket/../other",
        "s3://b?versionId=1",
        "s3://",
    ):
        with pytest.raises(ConfigError, match="no address that audio is read from") as caught:
            corpus_root("mine", corpus(given))
        assert "canary" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"cache_root is .*, which lies below results"):
        corpus_root("mine", FolderCorpus(kind="folder", root="s3://bucket", cache_root="results/cache"))


def test_the_rules_scripts_on_a_store(store: Store, tmp_path: Path) -> None:
    """As the rules call them: manifest, then validate with the store gone."""
    settings = tmp_path / "results" / "corpora" / "stored" / "corpus.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"kind: folder\nroot: {URL}\nmetadata: about.csv\ncache_root: {tmp_path}/cache\n")

    def run(script: str, *options: str) -> None:
        command = [sys.executable, ROOT / f"workflow/scripts/{script}.py", "--corpus", settings, *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "canary" not in done.stdout + done.stderr

    folder = settings.parent
    run("manifest", "--output", str(folder / "manifest.parquet"))
    manifest = read_table(folder / "manifest.parquet")
    assert list(manifest["participant_id"]) == ["voice-0"] * 3 + ["voice-1"] * 2
    store.stop()
    written = [f"--{name}={folder / name}.parquet" for name in ("invalid", "stats", "summary")]
    bounds = ValidationConfig(min_duration_sec=0.05).model_dump_json()
    run("validate", "--manifest", str(folder / "manifest.parquet"), "--bounds", bounds, *written)
    assert read_table(folder / "invalid.parquet").empty
    for path in folder.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes()


def test_google_storage_goes_through_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsspec's filesystem in memory in the place of Google's."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: pip install 'audiorig[cloud]'")
    from fsspec.implementations.memory import MemoryFileSystem

    filesystem = MemoryFileSystem(skip_instance_cache=True)
    monkeypatch.setattr(filesystem, "store", {})
    monkeypatch.setattr(filesystem, "pseudo_dirs", [""])

    class Google:
        """Names without a leading slash, and generations, as gcsfs has them."""

        def find(self, path: str, detail: bool) -> dict[str, dict]:
            return {name.lstrip("/"): self.info(name) for name in filesystem.find(path, detail=False)}

        def info(self, path: str) -> dict:
            content = filesystem.cat_file(path)
            return filesystem.info(path) | {"generation": str(len(content)), "etag": "of the metadata too"}

        def get_file(self, path: str, local: str, concurrency: int) -> None:
            filesystem.get_file(path, local)

    monkeypatch.setattr(object_store, "make_filesystem", lambda scheme: {"gs": Google()}[scheme])
    object_store._filesystems.begin_anew()
    for index in range(3):
        filesystem.pipe_file(f"/cries/2024/{index}.wav", wav(index, 1600 + index))
    corpus = FolderCorpus(kind="folder", root="gs://cries/2024", cache_root=str(tmp_path))
    root = audio_root("cries", corpus)
    manifest = build_manifest(corpus, root)
    object_store._filesystems.begin_anew()
    assert list(manifest["object_etag"]) == [str(len(wav(index, 1600 + index))) for index in range(3)]
    assert list(manifest["wav_path"]) == ["0.wav", "1.wav", "2.wav"]
    assert (root.folder / "2.wav").read_bytes() == wav(2, 1602)


class GoogleHandler(BaseHTTPRequestHandler):
    """As much of Google's JSON interface as listing and fetching need; a generation is the length of the content."""

    objects: dict[str, bytes]

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def described(self, name: str) -> dict[str, str]:
        size = str(len(self.objects[name]))
        times = dict.fromkeys(("updated", "timeCreated"), "2024-05-01T10:00:00.123Z")
        return {"name": name, "bucket": "cries", "size": size, "generation": size, "etag": "CM", **times}

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        before, _, name = address.path.partition("/b/cries/o")
        name = unquote(name.removeprefix("/"))
        if not name:
            prefix = parse_qs(address.query).get("prefix", [""])[0]
            items = [self.described(each) for each in sorted(self.objects) if each.startswith(prefix)]
            self.answer(json.dumps({"items": items}).encode())
        elif name not in self.objects:
            self.answer(b'{"error": {"code": 404, "message": "No such object"}}', 404)
        elif before.startswith("/download"):
            self.answer(self.objects[name])
        else:
            self.answer(json.dumps(self.described(name)).encode())


def test_googles_own_client_against_a_server_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: pip install 'audiorig[cloud]'")
    GoogleHandler.objects = {f"2024/day {index}/{index}.wav": wav(index, 1600 + index) for index in range(3)}
    GoogleHandler.objects["2025/3.wav"] = wav(3)
    server = ThreadingHTTPServer(("127.0.0.1", 0), GoogleHandler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    object_store._filesystems.begin_anew()
    try:
        corpus = FolderCorpus(kind="folder", root="gs://cries/2024", cache_root=str(tmp_path))
        root = audio_root("cries", corpus)
        manifest = build_manifest(corpus, root)
        assert list(manifest["wav_path"]) == [f"day {index}/{index}.wav" for index in range(3)]
        assert list(manifest["object_etag"]) == [str(len(wav(index, 1600 + index))) for index in range(3)]
        assert (root.folder / "day 2/2.wav").read_bytes() == wav(2, 1602)
        with pytest.raises(
            StorageError, match=r"gs://cries/2024/none\.wav: cannot be fetched: there is no such object"
        ):
            root.local("none.wav")
    finally:
        server.shutdown()
        server.server_close()
        object_store._filesystems.begin_anew()
    root.fetch_rows(manifest)


def test_leftovers_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    root = AudioRoot(tmp_path, URL)
    for name in ("old.aside", "new.aside", "lock-7"):
        path = tmp_path / INCOMING / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if name != "new.aside":
            os.utime(path, (0, 0))
    remove_leftovers(root)
    assert sorted(path.name for path in (tmp_path / INCOMING).iterdir()) == ["lock-7", "new.aside"]
