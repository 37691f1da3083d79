"""One commit that holds exactly the planned files, also after a connection that broke."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from audiorig.errors import ConfigError, DataError
from audiorig.publish.destination import Destination
from audiorig.publish.plan import UploadPlan, plan_upload
from audiorig.publish.push import push

# huggingface_hub sends large files in a way that its own HTTP library no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO, TOKEN = "team/home", "hf_CANARYcanary0123456789abcdefABCDEF"
FOUR = ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
CREATE, INFO, COMMIT = "POST /api/repos/create", f"GET /api/models/{REPO}", f"POST /api/models/{REPO}/commit"


@pytest.fixture
def plan(run_folder: Path) -> UploadPlan:
    (run_folder / "hub").mkdir()
    (run_folder / "hub" / "README.md").write_text("---\nlicense: other\n---\n# A model\n")
    return plan_upload(run_folder / "model", run_folder / "hub" / "README.md")


def to(private: bool = True) -> Destination:
    return Destination(REPO, private, SecretStr(TOKEN), "HF_TOKEN, in .env")


def held(hub: Any) -> dict[str, bytes]:
    return {path: content for path, content in (hub.files or {}).items() if path != ".gitattributes"}


def planned(plan: UploadPlan) -> dict[str, bytes]:
    return {file.path: file.source.read_bytes() for file in plan.files}


def test_the_upload_holds_exactly_the_listed_files(hub: Any, plan: UploadPlan) -> None:
    done = push(plan, to(), "first", hub.endpoint)
    assert held(hub) == planned(plan)
    assert sorted(planned(plan)) == FOUR
    assert hub.commits == 1
    assert done == {
        "repo_id": REPO,
        "private": True,
        "commit": hub.sha,
        "files": [
            {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in planned(plan).items()
        ],
        "sent": FOUR,
    }
    assert hub.tokens == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("private", "visibility"), [(True, "private"), (False, "public")])
def test_a_new_repository_is_as_private_as_asked(hub: Any, plan: UploadPlan, private: bool, visibility: str) -> None:
    assert push(plan, to(private), "first", hub.endpoint)["private"] is private
    assert hub.created["visibility"] == visibility


def test_nothing_private_goes_to_a_public_repository(hub: Any, plan: UploadPlan) -> None:
    hub.files, hub.private = {}, False
    with pytest.raises(DataError, match="everybody can see it"):
        push(plan, to(), "first", hub.endpoint)
    assert hub.files == {}
    assert hub.large == {}
    push(plan, to(private=False), "first", hub.endpoint)
    assert sorted(held(hub)) == FOUR


def test_what_is_there_is_not_sent_again(hub: Any, plan: UploadPlan, run_folder: Path) -> None:
    first = push(plan, to(), "first", hub.endpoint)
    hub.requests.clear()
    again = push(plan, to(), "again", hub.endpoint)
    assert again == {**first, "sent": []}
    assert hub.commits == 1
    assert not [path for path in hub.asked("POST") if path != "/api/repos/create"]
    (run_folder / "model" / "config.json").write_text('{"model_type": "wav2vec2", "layerdrop": 0}')
    changed = plan_upload(run_folder / "model", run_folder / "hub" / "README.md")
    assert push(changed, to(), "third", hub.endpoint)["sent"] == ["config.json"]
    assert held(hub) == planned(changed)
    assert hub.asked("PUT") == []


@pytest.mark.parametrize("at", [CREATE, INFO, "POST /api/validate-yaml", "POST /team/home.git", "PUT /storage", COMMIT])
def test_a_cut_connection_leaves_nothing_half_done(hub: Any, plan: UploadPlan, at: str) -> None:
    hub.cut = {at}
    with pytest.raises(DataError, match=r"the connection to the Hub broke .*: run it again") as caught:
        push(plan, to(), "first", hub.endpoint)
    assert caught.value.__suppress_context__
    assert hub.endpoint not in str(caught.value)
    assert held(hub) == {}
    hub.cut = set()
    hub.requests.clear()
    assert push(plan, to(), "again", hub.endpoint)["sent"] == FOUR
    assert held(hub) == planned(plan)
    assert hub.commits == 1
    assert len(hub.asked("PUT")) == (0 if at == COMMIT else 1)  # what was stored before is not sent again


def test_a_lost_answer_commits_once(hub: Any, plan: UploadPlan) -> None:
    hub.mute = {COMMIT}
    with pytest.raises(DataError, match="the connection to the Hub broke"):
        push(plan, to(), "first", hub.endpoint)
    hub.mute = set()
    assert push(plan, to(), "again", hub.endpoint)["sent"] == []
    assert held(hub) == planned(plan)
    assert hub.commits == 1


def test_a_hub_in_trouble_is_asked_again(hub: Any, plan: UploadPlan) -> None:
    hub.statuses = {"PUT /storage": 503}
    with pytest.raises(DataError, match=r"status 503|connection to the Hub broke"):
        push(plan, to(), "first", hub.endpoint)
    assert len(hub.asked("PUT")) > 1
    hub.statuses = {}
    assert push(plan, to(), "again", hub.endpoint)["commit"] == hub.sha
    assert held(hub) == planned(plan)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, ConfigError, r"does not accept the token \(HF_TOKEN, in \.env\): it is wrong or has run out; make a new"),
        (403, ConfigError, "may not write there: give it the permission"),
        (404, ConfigError, "correct HF_REPO_ID"),
        (409, DataError, "somebody else changed it"),
        (429, DataError, "status 429: later, run it again"),
        (500, DataError, "status 500: later, run it again"),
    ],
)
def test_refusals_are_one_sentence(
    hub: Any,
    plan: UploadPlan,
    caplog: pytest.LogCaptureFixture,
    status: int,
    kind: type[Exception],
    message: str,
) -> None:
    at = COMMIT if status == 409 else "POST /api/repos"
    hub.statuses = {at: status, **({"GET /api/models": status} if status in (401, 403) else {})}
    with pytest.raises(kind, match=message) as caught:
        push(plan, to(), "first", hub.endpoint)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value) + caplog.text  # the server repeats all headers in its answer
    assert held(hub) == {}


@pytest.mark.parametrize("at", ["POST /api/repos", "GET /api", "POST /api/validate", "POST /team", COMMIT])
def test_garbage_is_one_sentence(hub: Any, plan: UploadPlan, caplog: pytest.LogCaptureFixture, at: str) -> None:
    caplog.set_level(logging.INFO)
    hub.garbage = {at}
    with pytest.raises(DataError, match=r"answer makes no sense \(JSONDecodeError"):
        push(plan, to(), "first", hub.endpoint)
    assert TOKEN not in caplog.text


def test_a_file_that_the_hub_leaves_out_is_found(hub: Any, plan: UploadPlan) -> None:
    hub.left_out = "config.json"
    with pytest.raises(DataError, match=r"config\.json is not at commit 0+1 as it was sent"):
        push(plan, to(), "first", hub.endpoint)


def test_other_weights_beside_ours_are_refused(hub: Any, plan: UploadPlan) -> None:
    hub.files = {"model.safetensors.index.json": b"{}", "notes.md": b"kept"}
    with pytest.raises(DataError, match=r"holds model\.safetensors\.index\.json, which this model has not"):
        push(plan, to(), "first", hub.endpoint)
    del hub.files["model.safetensors.index.json"]
    push(plan, to(), "first", hub.endpoint)
    assert held(hub) == {**planned(plan), "notes.md": b"kept"}


def test_a_commit_in_between_is_not_overwritten(hub: Any, plan: UploadPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    info = hub.info

    def stale() -> dict[str, object]:
        return {**info(), "sha": "f" * 40}

    monkeypatch.setattr(hub, "info", stale)
    with pytest.raises(DataError, match="somebody else changed it at the same time"):
        push(plan, to(), "first", hub.endpoint)
    assert held(hub) == {}


def test_a_file_that_changed_since_is_refused(hub: Any, plan: UploadPlan, run_folder: Path) -> None:
    (run_folder / "model" / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"config\.json: changed since it was planned"):
        push(plan, to(), "first", hub.endpoint)
    assert hub.requests == []


def test_without_a_network_it_says_so(hub: Any, plan: UploadPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="connection to the Hub broke"):
        push(plan, to(), "first", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        push(plan, to(), "first", hub.endpoint)
