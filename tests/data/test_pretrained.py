"""Fetching published models from a small Hub on this machine, and checking what came."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from audiorig.config import PretrainedConfig
from audiorig.data.pretrained import fetch, remove_weights, verify
from audiorig.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
COMMIT, OTHER_COMMIT = "0123456789abcdef" * 2 + "01234567", "f" * 40
WEIGHTS = bytes(range(256)) * 2000  # 512 kB
TOKEN = "hf_thisMustNeverBeSeen"


class FakeHub(ThreadingHTTPServer):
    """Answers as the Hub does, for one model; a test can spoil what it sends.

    Attributes:
        files: content by path, as the model's page states it.
        sent: what is sent in place of the stated content.
        cut_after: bytes after which the connection drops, once for each entry.
        requests: method and path of each request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {
            "model.safetensors": WEIGHTS,
            "config.json": b'{"model_type": "wav2vec2-bert"}\n',
            "vocab.txt": b"a\nb\n",
            "pytorch_model.bin": b"a pickle",
            "conformer.pt": b"a pickle",
            "modeling.py": b"print('code')",
            "README.md": b"words",
        }
        self.commit = COMMIT
        self.status = 200
        self.sent: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.requests: list[tuple[str, str]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def listing(self) -> dict[str, Any]:
        siblings = []
        for path, content in self.files.items():
            git_id = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_id}
            if path.endswith((".safetensors", ".bin", ".pt")):
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return {"id": "team/model", "sha": self.commit, "siblings": siblings, "cardData": {"license": "mit"}}


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        hub, path = self.server, self.path.split("?")[0]
        hub.requests.append((self.command, path))
        if hub.status != 200:
            headers = {"X-Error-Code": {403: "GatedRepo", 404: "RevisionNotFound", 401: "RepoNotFound"}[hub.status]}
            return self.send(hub.status, b"", headers, with_body)
        if path == f"/api/models/team/model/revision/{COMMIT}":
            return self.send(200, json.dumps(hub.listing()).encode(), {"Content-Type": "application/json"}, with_body)
        name = path.removeprefix(f"/team/model/resolve/{COMMIT}/")
        if name not in hub.files:
            return self.send(404, b"", {}, with_body)
        stated, content = hub.files[name], hub.sent.get(name, hub.files[name])
        headers = {
            "X-Repo-Commit": hub.commit,
            "ETag": f'"{hashlib.sha256(stated).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if begin and with_body:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            return self.send(206, content[begin:], headers, with_body, name)
        return self.send(200, content, headers, with_body, name)

    def send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool, name: str = "") -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body and name.endswith(".safetensors") and self.server.cut_after:
            self.wfile.write(body[: self.server.cut_after.pop(0)])
            self.wfile.flush()
            self.close_connection = True
        elif with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    server = FakeHub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def pinned(**sha256: str) -> PretrainedConfig:
    return PretrainedConfig(
        hub_id="team/model", revision=COMMIT, sha256={key.replace("__", "."): value for key, value in sha256.items()}
    )


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_model_comes_whole_and_without_pickles_or_code(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["1_Pooling/config.json"] = b"{}"
    folder = tmp_path / "pretrained" / "model"
    manifest = fetch(pinned(model__safetensors=hashlib.sha256(WEIGHTS).hexdigest()), folder, hub.endpoint)
    assert names(folder) == ["1_Pooling/config.json", "config.json", "manifest.json", "model.safetensors", "vocab.txt"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert manifest["revision"] == COMMIT and manifest["license"] == "mit"
    assert manifest["files"][2] == {
        "path": "model.safetensors",
        "size": len(WEIGHTS),
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
    }
    assert verify(folder, pinned()) == manifest == json.loads((folder / "manifest.json").read_text())
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_is_there_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first = fetch(pinned(), folder, hub.endpoint)
    (folder / "manifest.json").unlink()  # as Snakemake does before it runs a rule again
    (folder / "vocab.txt").write_bytes(b"a\nX\n")
    hub.requests.clear()
    assert fetch(pinned(), folder, hub.endpoint) == first
    assert {path.rsplit("/", 1)[1] for _, path in hub.requests} == {COMMIT, "vocab.txt"}
    assert verify(folder) == first


def test_removed_weights_leave_a_manifest_that_says_how_to_fetch_them(hub: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first = fetch(pinned(), folder, hub.endpoint)
    assert remove_weights(folder) == ["model.safetensors"]
    assert names(folder) == ["config.json", "manifest.json", "vocab.txt"]
    with pytest.raises(DataError, match=r"model\.safetensors: found no file.*--forcerun fetch_pretrained"):
        verify(folder)
    assert fetch(pinned(), folder, hub.endpoint) == first


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_flipped_byte_is_found_and_nothing_is_left(hub: FakeHub, tmp_path: Path, name: str) -> None:
    spoilt = bytearray(hub.files[name])
    spoilt[10] ^= 1
    hub.sent[name] = bytes(spoilt)
    with pytest.raises(DataError, match=rf"{name}: its (SHA-256|Git id) is \w+, the Hub states"):
        fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not (tmp_path / "model").exists()
    hub.sent.clear()
    fetch(pinned(), tmp_path / "model", hub.endpoint)
    verify(tmp_path / "model")


def test_a_truncated_file_is_found(hub: FakeHub, tmp_path: Path) -> None:
    hub.sent["model.safetensors"] = WEIGHTS[:-7]
    with pytest.raises(DataError, match=f"found {len(WEIGHTS) - 7} bytes, expected {len(WEIGHTS)} bytes"):
        fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not (tmp_path / "model").exists()


def test_weights_other_than_pinned_are_refused_whatever_the_hub_states(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"config/pretrained\.yaml pins 000"):
        fetch(pinned(model__safetensors="0" * 64), tmp_path / "model", hub.endpoint)
    with pytest.raises(DataError, match=r"there is no other\.json"):
        fetch(pinned(other__json="0" * 64), tmp_path / "model", hub.endpoint)
    assert not (tmp_path / "model").exists()


def test_a_dropped_connection_is_taken_up(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut_after = [100_000]
    fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == WEIGHTS
    assert len([each for each in hub.requests if each[0] == "GET" and each[1].endswith(".safetensors")]) == 2


def test_an_interrupted_fetch_leaves_no_folder_and_goes_on_later(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    download = HfApi.hf_hub_download

    def stopped(api: HfApi, model: str, path: str, **other: Any) -> str:
        if path == "vocab.txt":
            raise KeyboardInterrupt
        return download(api, model, path, **other)

    with monkeypatch.context() as patch:
        patch.setattr(HfApi, "hf_hub_download", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not (tmp_path / "model").exists()
    with pytest.raises(DataError, match="no complete model"):
        verify(tmp_path / "model")
    hub.requests.clear()
    fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not any(path.endswith(".safetensors") for _, path in hub.requests)
    verify(tmp_path / "model")


@pytest.mark.parametrize("revision", ["main", "", "refs/pr/3", COMMIT[:7], COMMIT.upper()])
def test_a_branch_is_refused(revision: str) -> None:
    with pytest.raises(ValidationError, match="revision"):
        PretrainedConfig(hub_id="team/model", revision=revision)


def test_another_commit_than_asked_for_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.commit = OTHER_COMMIT
    with pytest.raises(DataError, match=f"answers with commit {OTHER_COMMIT}"):
        fetch(pinned(), tmp_path / "model", hub.endpoint)


def test_a_commit_with_pickles_only_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(DataError, match=r"pickles are not taken as they are.* or set convert: true"):
        fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not any(path.endswith(".bin") for _, path in hub.requests)


@pytest.fixture(scope="module")
def old_wav2vec2() -> tuple[bytes, dict[str, Any], bytes]:
    """A tiny wav2vec2 as it was published: pickled, not zipped, by names that torch no longer uses."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    config = Wav2Vec2Config(
        **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
        **{"conv_dim": (8, 8), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_feat_extract_layers": 2},
        **{
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
            "codevector_dim": 8,
            "proj_codevector_dim": 8,
        },
        **{"num_codevectors_per_group": 4},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Wav2Vec2ForPreTraining(config)
    weights = {name: tensor + torch.rand_like(tensor) for name, tensor in model.state_dict().items()}
    olden = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {}
    for name, tensor in weights.items():
        now = next((each for each in olden if each in name), None)
        old[name.replace(now, olden[now]) if now else name] = tensor
    assert set(old) != set(weights)
    buffer = io.BytesIO()
    torch.save(old, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue(), weights, config.to_json_string().encode()


@pytest.fixture
def pickled_hub(hub: FakeHub, old_wav2vec2: tuple[bytes, dict[str, Any], bytes]) -> FakeHub:
    del hub.files["model.safetensors"]
    hub.files |= {"pytorch_model.bin": old_wav2vec2[0], "config.json": old_wav2vec2[2]}
    return hub


def test_pickled_weights_are_converted_and_load_as_before(
    pickled_hub: FakeHub, tmp_path: Path, old_wav2vec2: tuple[bytes, dict[str, Any], bytes]
) -> None:
    import torch
    from transformers import Wav2Vec2ForPreTraining

    pickled, weights, _ = old_wav2vec2
    digest = hashlib.sha256(pickled).hexdigest()
    settings = pinned(pytorch_model__bin=digest).model_copy(update={"convert": True})
    folder = tmp_path / "pretrained" / "model"
    manifest = fetch(settings, folder, pickled_hub.endpoint)
    assert names(folder) == ["config.json", "manifest.json", "model.safetensors", "vocab.txt"]
    assert manifest["converted_from"] == {"path": "pytorch_model.bin", "size": len(pickled), "sha256": digest}
    assert verify(folder, settings) == manifest
    model, report = Wav2Vec2ForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(report[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    found = model.state_dict()
    assert set(found) == set(weights)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert fetch(settings, folder, pickled_hub.endpoint) == manifest
    (folder / "model.safetensors").write_bytes(b"spoilt")
    with pytest.raises(DataError, match="found 6 bytes"):
        verify(folder, settings)


def test_a_pickle_of_other_content_than_pinned_is_not_even_read(pickled_hub: FakeHub, tmp_path: Path) -> None:
    settings = pinned(pytorch_model__bin="0" * 64).model_copy(update={"convert": True})
    with pytest.raises(DataError, match=r"config/pretrained\.yaml pins 000"):
        fetch(settings, tmp_path / "model", pickled_hub.endpoint)
    assert not (tmp_path / "model").exists()


def test_a_pickle_with_code_is_refused_and_gone(pickled_hub: FakeHub, tmp_path: Path) -> None:
    code = b"cos\nmkdir\n(V" + str(tmp_path / "it-ran").encode() + b"\ntR."
    pickled_hub.files["pytorch_model.bin"] = code
    with pytest.raises(DataError, match=r"team/model at 0123.*: pytorch_model\.bin: .* asks for code to be run"):
        fetch(pinned().model_copy(update={"convert": True}), tmp_path / "model", pickled_hub.endpoint)
    assert not (tmp_path / "it-ran").exists()
    assert not list(tmp_path.rglob("*.bin"))
    pickle.loads(code)  # it would have run
    assert (tmp_path / "it-ran").exists()


def test_convert_is_for_pickles_only(hub: FakeHub, tmp_path: Path) -> None:
    settings = pinned().model_copy(update={"convert": True})
    with pytest.raises(DataError, match="take convert out"):
        fetch(settings, tmp_path / "model", hub.endpoint)
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    with pytest.raises(DataError, match=r"no pytorch_model\.bin to convert"):
        fetch(settings, tmp_path / "model", hub.endpoint)


def test_a_path_that_leaves_the_folder_is_not_taken(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["../outside.json"] = b"{}"
    fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert not (tmp_path / "outside.json").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "no such model"), (403, "accept its terms"), (404, "no such commit")],
)
def test_refusals_say_what_to_do(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, message: str
) -> None:
    hub.status = status
    with pytest.raises(DataError, match=message) as caught:
        fetch(pinned(), tmp_path / "model", hub.endpoint)
    assert TOKEN not in str(caught.value) + caplog.text


def test_without_a_network_the_right_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"a login node\) run `snakemake .*model/manifest\.json`"):
        fetch(pinned(), tmp_path / "model", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="cannot be fetched from here"):
        fetch(pinned(), tmp_path / "model", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(WEIGHTS[:-1] + b"x"), "SHA-256 is"),
        (lambda folder: (folder / "model.safetensors").write_bytes(WEIGHTS[:-1]), "expected 512000 bytes"),
        (lambda folder: (folder / "config.json").unlink(), "found no file"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "no complete model"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"x"), "is not of the model"),
    ],
)
def test_verify_finds_what_changed_later(hub: FakeHub, tmp_path: Path, spoil: Any, message: str) -> None:
    folder = tmp_path / "model"
    fetch(pinned(), folder, hub.endpoint)
    (folder / "manifest.json.provenance.json").write_text("{}")
    verify(folder)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        verify(folder)


def test_verify_knows_another_commit(hub: FakeHub, tmp_path: Path) -> None:
    fetch(pinned(), tmp_path / "model", hub.endpoint)
    with pytest.raises(DataError, match=f"found team/model at {COMMIT}, expected team/model at {OTHER_COMMIT}"):
        verify(tmp_path / "model", PretrainedConfig(hub_id="team/model", revision=OTHER_COMMIT))


def test_the_script_fetches_and_tells_no_token(hub: FakeHub, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "workflow/scripts/fetch_pretrained.py"), "--folder", "pretrained/model"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN}
    done = subprocess.run(
        [*command, "--settings", pinned().model_dump_json()],
        cwd=tmp_path,
        env={**environment, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    verify(tmp_path / "pretrained/model", pinned())
    record = (tmp_path / "pretrained/model/manifest.json.provenance.json").read_text()
    assert json.loads(record)["model"]["revision"] == COMMIT
    assert TOKEN not in record + done.stdout + done.stderr
    assert hub.endpoint not in done.stdout + done.stderr  # the Hub redirects to signed addresses
    everything = b"".join(path.read_bytes() for path in (tmp_path / "pretrained").rglob("*") if path.is_file())
    assert TOKEN.encode() not in everything
