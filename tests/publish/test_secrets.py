"""What is read from .env, and that its values stay out of all output."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from audiorig.errors import ConfigError
from audiorig.publish.secrets import HIDDEN, hide_in_output, read_environment, scrubbed, set_up_library

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_CANARYcanary0123456789abcdefABCDEF"
KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(
        f"# a comment\nexport HF_TOKEN='{TOKEN}'\nHF_REPO_ID=team/home\nHF_PRIVATE=False\n"
        f'HF_HOME="/scratch/me/hf"\nWANDB_API_KEY={KEY}\nTOKENIZERS_PARALLELISM=false\n'
    )
    path.chmod(0o600)
    return path


def test_the_file_is_read(file: Path) -> None:
    found = read_environment(file, {})
    assert found.token and found.token.get_secret_value() == TOKEN
    assert found.wandb_api_key and found.wandb_api_key.get_secret_value() == KEY
    assert (found.repo_id, found.private, found.home) == ("team/home", False, "/scratch/me/hf")
    assert found.token_from == f"HF_TOKEN, in {file}"
    assert sorted(each.get_secret_value() for each in found.secrets) == [KEY, TOKEN]


def test_the_environment_goes_first_but_not_where_it_is_empty(file: Path) -> None:
    own = {"HF_TOKEN": "hf_ofTheEnvironment000000", "HF_REPO_ID": "me/other", "HF_PRIVATE": "", "HF_HOME": "/elsewhere"}
    found = read_environment(file, own)
    assert found.token and found.token.get_secret_value() == own["HF_TOKEN"]
    assert (found.repo_id, found.private, found.home) == ("me/other", False, "/elsewhere")
    assert found.token_from == "HF_TOKEN, as the environment has it"
    assert {own["HF_TOKEN"], TOKEN} < {each.get_secret_value() for each in found.secrets}  # both are hidden


def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    found = read_environment(tmp_path / ".env", {})
    assert (found.token, found.repo_id, found.private, found.home, found.secrets) == (None, None, None, None, ())


def test_the_example_sets_nothing_but_private() -> None:
    found = read_environment(ROOT / ".env.example", {})
    assert (found.token, found.repo_id, found.private, found.home) == (None, None, True, None)
    named = {"HF_TOKEN", "HF_REPO_ID", "HF_PRIVATE", "HF_HOME", "WANDB_API_KEY"}
    assert all(f"{name}=" in (ROOT / ".env.example").read_text() for name in named)


def test_git_never_sees_the_file() -> None:
    done = subprocess.run(["git", "check-ignore", ".env"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("this copy of the project is no git repository")
    assert done.stdout == ".env\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"HF_PRIVATE={TOKEN}", "HF_PRIVATE, in .*: expected true or false"),
        ("HF_PRIVATE=maybe", "HF_PRIVATE, in .*: expected true or false"),
        (f"HF_REPO_ID={TOKEN}", "HF_REPO_ID, in .*: expected owner/name"),
        (f"HF_REPO_ID=team/{TOKEN}", "HF_REPO_ID, in .*: expected owner/name"),
        ("HF_REPO_ID=a/b/c", "HF_REPO_ID, in .*: expected owner/name"),
    ],
)
def test_errors_never_quote_a_value(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / ".env").write_text(line)
    with pytest.raises(ConfigError, match=message) as caught:
        read_environment(tmp_path / ".env", {})
    assert TOKEN not in str(caught.value)


def test_odd_lines_are_told_by_their_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".env").write_text(f"HF_TOKEN {TOKEN}\n{TOKEN}\nTRANSFORMERS_CACHE=/x\n'{TOKEN}\nHF_REPO_ID=a/b\n")
    found = read_environment(tmp_path / ".env", {})
    assert found.token is None
    assert TOKEN not in caplog.text
    assert "line 1" in caplog.text
    assert "TRANSFORMERS_CACHE is read by nothing any more: HF_HOME" in caplog.text


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_said(
    file: Path, caplog: pytest.LogCaptureFixture, mode: int, warns: bool
) -> None:
    file.chmod(mode)
    read_environment(file, {})
    assert ("chmod 600" in caplog.text) is warns


def test_no_text_of_the_settings_shows_a_value(file: Path) -> None:
    found = read_environment(file, {})
    assert not any(secret in f"{found!r} {found} {found.token!r} {found.token}" for secret in (TOKEN, KEY))


def test_home_is_set_where_it_is_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "")  # so that it is put back
    set_up_library(read_environment(file, {}))
    assert os.environ["HF_HOME"] == "/scratch/me/hf"
    assert TOKEN not in os.environ.values()
    monkeypatch.setenv("HF_HOME", "/own")
    set_up_library(read_environment(file))
    assert os.environ["HF_HOME"] == "/own"


def test_texts_are_scrubbed() -> None:
    secrets = [SecretStr("abcdefgh"), SecretStr("abcdefghijkl")]
    assert scrubbed("x abcdefghijkl y abcdefgh z", secrets) == f"x {HIDDEN} y {HIDDEN} z"
    assert scrubbed(f"an unknown {TOKEN}.", []) == f"an unknown {HIDDEN}."
    assert scrubbed("PUT https://host/a?X-Signature=1&b=2 failed", []) == f"PUT https://host/a?{HIDDEN} failed"
    assert scrubbed("hf_hub_download and https://host/a stay", []) == "hf_hub_download and https://host/a stay"


@pytest.fixture
def hidden() -> Iterator[None]:
    undo = hide_in_output([SecretStr(KEY)])
    yield
    undo()


def test_log_records_of_every_handler_are_scrubbed(hidden: None, tmp_path: Path) -> None:
    logger = logging.Logger("a library's own")  # no child of the root logger
    handler = logging.FileHandler(tmp_path / "log.txt")
    handler.setFormatter(logging.Formatter("%(message)s %(args)s"))
    logger.addHandler(handler)
    logger.makeRecord = lambda *a, **k: logging.getLogRecordFactory()(*a[:7], k.get("func"))  # type: ignore[method-assign]
    logger.error("a %s b", KEY)
    logger.error("a %d b", KEY)  # does not fit: logging would print the arguments
    try:
        raise RuntimeError(f"c {KEY}") from ValueError(f"d {KEY}")
    except RuntimeError:
        logger.error("e", exc_info=True)
    handler.close()
    text = (tmp_path / "log.txt").read_text()
    assert KEY not in text
    assert text.count(HIDDEN) == 4
    assert "RuntimeError: c" in text


CRASH = """
import logging, sys, threading, warnings
from pydantic import SecretStr
from audiorig.publish.secrets import hide_in_output
key = open(sys.argv[1]).read()
hide_in_output([SecretStr(key)])
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("library").debug("headers: %r", {"authorization": "Bearer " + key})
warnings.warn("a warning with " + key)
def fail():
    raise KeyError(key)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
class Odd:
    def __del__(self):
        raise ValueError(key)
odd = Odd()
del odd
try:
    fail()
except KeyError as error:
    raise RuntimeError("outer " + key) from error
"""


def test_a_crash_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path / "key")],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert KEY not in done.stdout + done.stderr
    assert done.stderr.count(HIDDEN) >= 6
    assert "RuntimeError: outer" in done.stderr
    assert done.stderr.count("KeyError") >= 2
