"""A token in .env is found in nothing that any command writes, whatever goes wrong."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_CANARYcanary0123456789abcdefABCDEF"
KEY = "CANARY0123456789abcdef0123456789abcdef01"
CANARIES = (TOKEN, KEY, "signedCANARYaddress", "CANARYofTheChunkStorage")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(run_folder: Path, hub: Any) -> Run:
    """Run a script where the run's results lie, and look into all that it leaves, and at its title."""
    place = run_folder.parents[1]
    (place / ".env").write_text(f"HF_TOKEN={TOKEN}\nHF_REPO_ID=team/home\nWANDB_API_KEY={KEY}\nHF_HOME={place}/hf\n")
    (place / ".env").chmod(0o600)

    def run(script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"PYTHONPATH": str(ROOT / "src"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1"}
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "workflow" / "scripts" / f"{script}.py"), *arguments],
                cwd=place,
                env={**kept, **own, **variables},
                stdout=output,
                stderr=errors,
            )
            titles = []
            while process.poll() is None:
                titles.append(title_of(process.pid))
                time.sleep(0.02)
            said = []
            for stream in (output, errors):
                stream.seek(0)
                said.append(stream.read())
        written = [path for path in place.rglob("*") if path.is_file() and path.name != ".env"]
        for canary in CANARIES:
            assert canary not in said[0] + said[1]
            assert not any(canary in title for title in titles)
            assert not [path for path in written if canary.encode() in path.read_bytes()]
        assert any(script in title for title in titles) or not Path("/proc").is_dir()
        return subprocess.CompletedProcess(process.args, process.returncode, *said)

    return run


def title_of(process_id: int) -> str:
    """What others see in a list of processes; "" once it is over, and where there is no /proc."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


FOLDER = ("--run-folder", "results/homewav2vec2")


def test_a_dry_run_needs_no_token_and_no_network(command: Run, hub: Any, run_folder: Path) -> None:
    done = command("push_hf", *FOLDER, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert hub.requests == []
    for name in ("README.md", "config.json", "model.safetensors", "preprocessor_config.json"):
        assert name in done.stdout
    assert "To team/home (private: only its owner sees it):" in done.stdout
    assert done.stdout.endswith("Nothing was sent.\n")
    assert (run_folder / "hub" / "plan.json").is_file()
    assert not (run_folder / "hub" / "pushed.json").exists()
    again = command("push_hf", *FOLDER, "--dry-run", "--env-file", "no-such-file")
    assert "To a repository that HF_REPO_ID will name (private" in again.stdout
    assert again.returncode == 0, again.stderr


def test_a_push(command: Run, hub: Any, run_folder: Path) -> None:
    done = command("push_hf", *FOLDER)
    assert done.returncode == 0, done.stderr
    assert hub.tokens == {f"Bearer {TOKEN}"}  # it was used all the same
    assert hub.commits == 1
    assert f"team/home is at commit {hub.sha}; sent now: README.md, config.json" in done.stdout
    assert (run_folder / "hub" / "pushed.json.provenance.json").is_file()
    assert hub.files is not None
    assert hub.files["README.md"] == (run_folder / "hub" / "README.md").read_bytes()
    again = command("push_hf", *FOLDER, "-v")
    assert again.returncode == 0, again.stderr
    assert "sent now: nothing." in again.stdout
    assert hub.commits == 1


def test_a_push_that_tells_all(command: Run, hub: Any) -> None:
    done = command("push_hf", *FOLDER, "-v", HF_DEBUG="1", HF_HUB_VERBOSITY="debug")
    assert done.returncode == 0, done.stderr
    assert "/api/models/team/home/commit/main" in done.stderr  # it does tell
    assert hub.commits == 1


def test_a_push_by_chunks(command: Run, hub: Any, run_folder: Path) -> None:
    """The newer protocol of large files, in another program's hands: it keeps logs of its own below HF_HOME."""
    done = command("push_hf", *FOLDER, "-v", HF_HUB_DISABLE_XET="0")
    assert done.returncode == 0, done.stderr
    assert any(path.startswith("/v1/xorbs/") for path in hub.asked("POST"))
    assert hub.asked("PUT") == []
    assert hub.files["model.safetensors"] == (run_folder / "model" / "model.safetensors").read_bytes()
    assert list((run_folder.parents[1] / "hf").rglob("*.log"))
    assert TOKEN in "".join(hub.tokens)
    assert not [path for _, path in hub.requests if "harness" in path]


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_a_refused_token(command: Run, hub: Any, options: tuple[str, ...]) -> None:
    hub.statuses = {"": 401}
    done = command("push_hf", *FOLDER, *options)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "the Hub does not accept the token (HF_TOKEN, in .env): it is wrong or has run out" in last
    assert options or "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [(), ("-v",)])
def test_an_answer_without_sense(command: Run, hub: Any, options: tuple[str, ...]) -> None:
    hub.garbage = {""}
    done = command("push_hf", *FOLDER, *options)
    assert done.returncode == 1
    assert "answer makes no sense" in done.stderr


CRASH = """
import huggingface_hub
def create_repo(self, *_, **__):
    raise AssertionError(f"Bearer {self.token}")
huggingface_hub.HfApi.create_repo = create_repo
"""


def test_a_crash_inside(command: Run, run_folder: Path) -> None:
    """A mistake of ours or of a library: a traceback, whose message would hold the token."""
    (run_folder / "sitecustomize.py").write_text(CRASH)
    done = command("push_hf", *FOLDER, PYTHONPATH=f"{run_folder}{os.pathsep}{ROOT / 'src'}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "AssertionError: Bearer <hidden>" in done.stderr


def test_no_token_is_one_sentence(command: Run, hub: Any) -> None:
    done = command("push_hf", *FOLDER, "--env-file", "other.env", HF_REPO_ID="team/home")
    assert done.returncode == 1
    assert "there is no token: put HF_TOKEN into other.env" in done.stderr
    assert hub.requests == []


def test_a_plan_that_somebody_looked_at_is_kept_to(command: Run, hub: Any, run_folder: Path) -> None:
    assert command("plan_push", *FOLDER).returncode == 0
    plan = ("--plan", "results/homewav2vec2/hub/plan.json")
    (run_folder / "model" / "config.json").write_text('{"model_type": "wav2vec2"}')
    done = command("push_hf", *FOLDER, *plan)
    assert done.returncode == 1
    assert "is not what would go now: plan again" in done.stderr
    assert hub.requests == []
    command("plan_push", *FOLDER)
    assert command("push_hf", *FOLDER, *plan).returncode == 0
    assert hub.commits == 1


def test_fetching(command: Run, hub: Any) -> None:
    settings = '{"hub_id": "team/home", "revision": "%s"}' % ("0" * 40)
    for variables in ({}, {"HF_TOKEN": TOKEN}):
        done = command("fetch_pretrained", "--folder", "pretrained/x", "--settings", settings, **variables)
        assert done.returncode == 1
    assert hub.tokens == {f"Bearer {TOKEN}"}


@pytest.mark.slow  # it imports torch first
def test_training_that_fails(command: Run) -> None:
    done = command(
        *("train", "--config", "results/homewav2vec2/config/train.yaml", "--corpus", "no-such-corpus.yaml"),
        *("--split", "no-such-split", "--folder", "results/homewav2vec2"),
        HF_TOKEN=TOKEN,
        WANDB_API_KEY=KEY,
    )
    assert done.returncode != 0
    assert "no-such-corpus.yaml" in done.stderr
