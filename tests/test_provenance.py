"""What made a result is recorded, without telling who and where; errors end in one sentence."""

import getpass
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import audiorig
from audiorig import provenance
from audiorig.errors import DataError, ReportedError, Unfinished
from audiorig.provenance import EXIT_UNFINISHED, environment, package_digest, stage

PACKAGE = Path(audiorig.__file__).parent


def load_copy(folder: Path) -> ModuleType:
    """A fresh ``provenance`` module that takes ``folder`` for its package."""
    spec = importlib.util.spec_from_file_location("copied_provenance", folder / "provenance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    folder = tmp_path / "audiorig"
    (folder / "data").mkdir(parents=True)
    for name in ("provenance.py", "errors.py", "data/audio.py"):
        shutil.copy(PACKAGE / name, folder / name)
    return folder


def test_digest_changes_with_any_edit_and_with_nothing_else(copied_package: Path, tmp_path: Path) -> None:
    before = load_copy(copied_package).package_digest()
    shutil.copytree(copied_package, tmp_path / "elsewhere")
    assert load_copy(tmp_path / "elsewhere").package_digest() == before
    source = copied_package / "data" / "audio.py"
    text = source.read_text()
    source.write_text(text.replace("Reading stretches", "Reading parts"))  # a docstring
    assert load_copy(copied_package).package_digest() != before
    source.write_text(text)
    assert load_copy(copied_package).package_digest() == before
    source.rename(source.with_name("sound.py"))
    assert load_copy(copied_package).package_digest() != before


def test_digest_covers_whatever_the_package_ships(copied_package: Path) -> None:
    """pyproject.toml ships report/templates/*: a changed template changes the page."""
    before = load_copy(copied_package).package_digest()
    (copied_package / "report" / "templates").mkdir(parents=True)
    (copied_package / "report" / "templates" / "page.html").write_text("<html>")
    assert load_copy(copied_package).package_digest() != before


def test_digest_is_that_of_the_code_that_ran_not_of_an_edit_made_meanwhile(
    copied_package: Path, tmp_path: Path
) -> None:
    """A training takes hours; people edit while it runs."""
    copied = load_copy(copied_package)
    expected = load_copy(copied_package).package_digest()
    with copied.stage("train", beside=tmp_path / "final.ckpt"), (copied_package / "errors.py").open("a") as file:
        file.write("# edited while the stage ran\n")
    record = json.loads((tmp_path / "final.ckpt.provenance.json").read_text())
    assert record["package_digest"] == expected


def test_record_lies_beside_the_result_and_holds_what_made_it(tmp_path: Path) -> None:
    with stage("split", beside=tmp_path / "summary.json") as notes:
        notes["num_files"] = 36
    record = json.loads((tmp_path / "summary.json.provenance.json").read_text())
    assert record["stage"] == "split"
    assert record["num_files"] == 36
    assert record["package_digest"] == package_digest()
    assert len(record["package_digest"]) == 64
    assert record["versions"]["torch"].split("+")[0] == "2.11.0"
    assert record["wall_sec"] >= 0
    assert record["started"].endswith("+00:00")
    assert record["machine"]["cores"] >= 1


def test_record_names_neither_host_nor_user_nor_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("USER", "LOGNAME", "LNAME", "USERNAME", "HOSTNAME", "HOST"):
        monkeypatch.setenv(variable, f"private-{variable.lower()}")
    monkeypatch.setenv("HOME", str(tmp_path / "private-home"))
    monkeypatch.setattr("socket.gethostname", lambda: "private-host")
    monkeypatch.setattr("platform.node", lambda: "private-host")
    assert "private" in getpass.getuser()  # the snare works
    environment.cache_clear()
    with stage("split", beside=tmp_path / "summary.json"):
        pass
    environment.cache_clear()
    text = (tmp_path / "summary.json.provenance.json").read_text()
    assert "private" not in text
    assert str(PACKAGE.parent) not in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("error", "code"),
    [(ReportedError("a.wav: no audio"), 1), (DataError("a.wav: no audio"), 1), (Unfinished("stopped at step 7"), 75)],
)
def test_an_error_for_people_ends_in_its_exit_code_and_no_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: ReportedError, code: int
) -> None:
    assert EXIT_UNFINISHED == 75
    with pytest.raises(SystemExit) as caught, stage("split", beside=tmp_path / "summary.json"):
        raise error
    assert caught.value.code == code
    assert [record.getMessage() for record in caplog.records] == [f"split: {error}"]
    assert list(tmp_path.iterdir()) == []


def test_a_script_prints_one_line_and_no_traceback() -> None:
    code = (
        "from audiorig.provenance import stage\nfrom audiorig.errors import DataError\n"
        "with stage('split'):\n    raise DataError('a.wav: no audio')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("ERROR split: a.wav: no audio\n")


def test_a_bug_keeps_its_traceback_and_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), stage("split", beside=tmp_path / "summary.json"):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_git_still_gives_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", absent)
    for cached in (environment, provenance.code_state):
        cached.cache_clear()
    found = environment()
    for cached in (environment, provenance.code_state):
        cached.cache_clear()
    assert found["git_commit"] is None
    assert found["package_digest"] == package_digest()
