"""A Hub on this machine that takes models in, and a trained run that fits on a page."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import save_file

REPO = "team/home"
TOKEN = "hf_CANARYcanary0123456789abcdefABCDEF"
CHUNK_TOKEN = "CANARYofTheChunkStorage"
BEFORE = "before adaptation"


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def joined_chunks(body: bytes) -> bytes:
    """What a block of chunks holds: each has its stored length, its way of compression (0: none) and its length."""
    content, at = b"", 0
    while at + 8 <= len(body) and body[at] == 0:
        length, way = int.from_bytes(body[at + 1 : at + 4], "little"), body[at + 4]
        assert way == 0
        content += body[at + 8 : at + 8 + length]
        at += 8 + length
    return content


class Hub(ThreadingHTTPServer):
    """Answers as the Hub does when a model is created, asked for and committed to; a test can spoil that.

    Attributes:
        files: content by path, at the newest commit; None: there is no repository.
        commits: as many as were made.
        large: contents in large-file storage, by SHA-256.
        requests: method and path of each request, without what follows a question mark.
        cut: beginnings of ``METHOD path`` at which the connection breaks before anything is done.
        mute: the same, but everything is done and only the answer is lost.
        statuses: answers with an error, by beginning of ``METHOD path``.
        garbage: beginnings of ``METHOD path`` that are answered by what is no JSON.
        left_out: a path that a commit passes over, as for a .gitignore.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] | None = None
        self.private = True
        self.created: dict[str, Any] = {}
        self.commits = 0
        self.large: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.cut: set[str] = set()
        self.mute: set[str] = set()
        self.statuses: dict[str, int] = {}
        self.garbage: set[str] = set()
        self.left_out = ""
        self.tokens: set[str] = set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"

    def asked(self, method: str) -> list[str]:
        return [path for verb, path in self.requests if verb == method]

    def info(self) -> dict[str, Any]:
        siblings = []
        for path, content in (self.files or {}).items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_id(content)}
            if path.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return {"id": REPO, "sha": self.sha, "private": self.private, "siblings": siblings}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON of an answer, once everything is done."""
        if (method, path) == ("POST", "/api/repos/create"):
            self.created = json.loads(body)
            if self.files is not None:
                return 409, {"error": "You already created this model repo", "url": f"{self.endpoint}/{REPO}"}
            self.files, self.private = {".gitattributes": b""}, self.created.get("visibility") == "private"
            return 200, {"url": f"{self.endpoint}/{REPO}", "name": REPO}
        if (method, path) == ("POST", "/api/validate-yaml"):
            return 200, {"errors": [], "warnings": []}
        if "/v1/" in path or "/v2/" in path or "/xet-write-token/" in path:
            return self.chunk_storage(method, path, body)
        if method == "PUT":
            oid = path.removeprefix("/storage/")
            assert hashlib.sha256(body).hexdigest() == oid
            self.large[oid] = body
            return 200, {}
        if self.files is None:
            return 404, {"error": "Repository not found"}
        if method == "GET" and path in (f"/api/models/{REPO}", f"/api/models/{REPO}/revision/{self.sha}"):
            return 200, self.info()
        if (method, path) == ("POST", f"/api/models/{REPO}/preupload/main"):
            return 200, {"files": [self.mode(each["path"]) for each in json.loads(body)["files"]]}
        if (method, path) == ("POST", f"/{REPO}.git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            return 200, {"transfer": "basic", "objects": [self.storage(each) for each in objects]}
        if (method, path) == ("POST", f"/api/models/{REPO}/commit/main"):
            return self.commit([json.loads(line) for line in body.splitlines()])
        return 404, {"error": "not here"}

    def mode(self, path: str) -> dict[str, Any]:
        is_large = path.endswith(".safetensors")
        return {"path": path, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": path == self.left_out}

    def storage(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["oid"] in self.large:
            return wanted
        href = f"{self.endpoint}/storage/{wanted['oid']}?X-Signature=signedCANARYaddress"
        return {**wanted, "actions": {"upload": {"href": href}}}

    def chunk_storage(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The newer way of large files, as far as one small file that cannot be compressed needs it."""
        if "/xet-write-token/" in path:
            return 200, {"accessToken": CHUNK_TOKEN, "exp": int(time.time()) + 3600, "casUrl": self.endpoint}
        if path.startswith("/v1/xorbs/"):
            content = joined_chunks(body)
            self.large[hashlib.sha256(content).hexdigest()] = content
            return 200, {"was_inserted": True}
        return (200, {"result": 1}) if path == "/v1/shards" else (404, {})

    def commit(self, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        assert self.files is not None
        header, *operations = lines
        if header["value"].get("parentCommit", self.sha) != self.sha:
            return 412, {"error": "A commit has happened since."}
        for each in operations:
            value = each["value"]
            if each["key"] == "lfsFile":
                self.files[value["path"]] = self.large[value["oid"]]
            else:
                assert each["key"] == "file"
                self.files[value["path"]] = base64.b64decode(value["content"])
        self.commits += 1
        return 200, {"commitUrl": f"{self.endpoint}/{REPO}/commit/{self.sha}", "commitOid": self.sha}


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        hub, path = self.server, self.path.split("?")[0]
        request = f"{self.command} {path}"
        hub.requests.append((self.command, path))
        if authorization := self.headers.get("Authorization"):
            hub.tokens.add(authorization)
        length = int(self.headers.get("Content-Length", 0))
        if any(request.startswith(each) for each in hub.cut):
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        status = next((code for each, code in hub.statuses.items() if request.startswith(each)), None)
        code, content = (status, {"error": f"no: {self.headers}"}) if status else hub.answer(self.command, path, body)
        if any(request.startswith(each) for each in hub.mute):
            self.close_connection = True
            return
        sent = json.dumps(content).encode()
        if any(request.startswith(each) for each in hub.garbage):
            sent = f"<html>{self.headers}</html>".encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub without a repository; a retry does not wait, and large files go the plain way."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def row(system: str, value: tuple[float, float, float], metric: str) -> dict[str, Any]:
    numbers = dict(zip(("value", "low", "high"), value, strict=True))
    counts = {"n": 120, "num_groups": 3, "interval_over": "clips", "layer": None, "seed": None, "split": "test"}
    return {"task": "voice", "system": system, "metric": metric, **numbers, **counts}


def scores(change: tuple[float, float, float] = (0.1, 0.05, 0.15)) -> list[dict[str, Any]]:
    """One probe, before and after, beside log-mel and the majority."""
    rows = []
    for metric in ("accuracy", "macro_f1"):
        rows += [
            row("homewav2vec2", (0.7, 0.6, 0.8), metric),
            row(BEFORE, (0.6, 0.5, 0.7), metric),
            row(f"homewav2vec2 minus {BEFORE}", change, metric),
            row("log-mel", (0.55, 0.5, 0.6), metric),
            row("homewav2vec2 minus log-mel", (0.15, 0.1, 0.2), metric),
            row("majority", (0.25, 0.25, 0.25), metric),
        ]
    return rows


@pytest.fixture
def make_scores() -> Callable[..., list[dict[str, Any]]]:
    """The rows of metrics.json, for a given change."""
    return scores


HISTORY = [
    {"step": 1, "total": 6.0, "hours_heard": 0.01, "distinct_hours": 0.01, "coverage": 0.02},
    {"step": 300, "total": 4.0, "hours_heard": 2.5, "distinct_hours": 0.55, "coverage": 0.91},
    {"step": 300, "eval_total": 4.2},
]
SPLIT = {
    "group": "participant",
    "sides": {
        side: {"hours": hours, "num_files": groups, "num_groups": groups, "labels": {}, "sha256": "b" * 64}
        for side, hours, groups in (("train", 0.6, 6), ("dev", 0.3, 3), ("test", 0.3, 3))
    },
}
CORPUS = {"kind": "home-demo", "title": "Generated home recordings", "license": "made here", "private": True}
RECORD = {
    "stage": "train",
    "wall_sec": 400.0,
    "git_commit": "c" * 40,
    "package_digest": "d" * 64,
    "versions": {"torch": "2.11.0", "transformers": "5.23.0"},
    "machine": {"cores": 2, "gpus": [], "processor": "x", "slurm_job_id": None, "system": "Linux"},
}
BASE = {"seeded": True, "license": "none: random numbers", "files": []}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """``results/homewav2vec2`` as the rules leave it, with what lies beside it."""
    folder, corpus = tmp_path / "results" / "homewav2vec2", tmp_path / "results" / "corpora" / "home"
    stages = {
        "data": {"data": {"corpus": "home", "split": "by-participant"}},
        "train": {"seed": 3, "model": {"base": "tiny-wav2vec2"}},
        "publish": {"hub": {"license": "cc-by-4.0"}},
    }
    written = {
        **{folder / "config" / f"{name}.yaml": {"experiment": "homewav2vec2", **each} for name, each in stages.items()},
        corpus / "corpus.yaml": CORPUS,
        corpus / "splits" / "by-participant" / "split_summary.json": SPLIT,
        folder / "metrics.json": scores(),
        folder / "history.json": HISTORY,
        folder / "final.ckpt.provenance.json": RECORD,
        tmp_path / "pretrained" / "tiny-wav2vec2" / "manifest.json": BASE,
        folder / "model" / "config.json": {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForPreTraining"]},
        folder / "model" / "preprocessor_config.json": {"do_normalize": True, "sampling_rate": 16000},
    }
    for path, content in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content) if path.suffix == ".yaml" else json.dumps(content))
    names = {"wav_path": ["home-07/a.wav"], "participant_id": ["home-07"], "recording_id": ["a"]}
    pd.DataFrame(names).to_parquet(corpus / "manifest.parquet")
    weights = np.random.Generator(np.random.Philox(key=0)).integers(0, 256, 400_000, dtype=np.uint8)
    save_file({"encoder.weight": weights}, folder / "model" / "model.safetensors", metadata={"format": "pt"})
    (folder / "model" / "README.md").write_text("the card of the folder\n")
    return folder
