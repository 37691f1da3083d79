"""What is decided before the first request."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiorig.errors import ConfigError, DataError
from audiorig.publish.prepare import prepare
from audiorig.publish.secrets import Environment, read_environment


def said(tmp_path: Path, **variables: str) -> Environment:
    return read_environment(tmp_path / "no.env", variables)


def hub_settings(run_folder: Path, **settings: Any) -> None:
    content = {"experiment": "homewav2vec2", "hub": settings}
    (run_folder / "config" / "publish.yaml").write_text(yaml.safe_dump(content))


def test_private_unless_somebody_says_otherwise(run_folder: Path, tmp_path: Path) -> None:
    hub_settings(run_folder)
    assert prepare(run_folder, said(tmp_path)).private is True
    assert prepare(run_folder, said(tmp_path, HF_PRIVATE="false")).private is False
    hub_settings(run_folder, private=False)
    assert prepare(run_folder, said(tmp_path)).private is False
    assert prepare(run_folder, said(tmp_path, HF_PRIVATE="true")).private is True


def test_the_environment_names_the_repository_first(run_folder: Path, tmp_path: Path) -> None:
    assert prepare(run_folder, said(tmp_path)).repo_id is None
    hub_settings(run_folder, repo_id="of/settings")
    assert prepare(run_folder, said(tmp_path)).repo_id == "of/settings"
    found = prepare(run_folder, said(tmp_path, HF_REPO_ID="of/environment"))
    assert found.repo_id == "of/environment"
    assert 'from_pretrained("of/environment")' in (run_folder / "hub" / "README.md").read_text()
    assert "To of/environment (private" in found.described()


def test_a_public_repository_is_said_loudly(run_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert "PUBLIC: everybody sees it" in prepare(run_folder, said(tmp_path, HF_PRIVATE="false")).described()
    assert "the corpus is private, and everybody will see" in caplog.text
    caplog.clear()
    prepare(run_folder, said(tmp_path))
    assert caplog.text == ""


def test_the_plan_is_what_the_folder_holds(run_folder: Path, tmp_path: Path) -> None:
    prepare(run_folder, said(tmp_path))
    plan = json.loads((run_folder / "hub" / "plan.json").read_text())
    assert [each["path"] for each in plan["files"]] == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    assert plan["private"] is True
    assert str(tmp_path) not in json.dumps(plan)


def test_what_says_the_same_keeps_its_date(run_folder: Path, tmp_path: Path) -> None:
    prepare(run_folder, said(tmp_path))
    written = [run_folder / "hub" / name for name in ("README.md", "plan.json")]
    dates = [path.stat().st_mtime_ns for path in written]
    prepare(run_folder, said(tmp_path))
    assert [path.stat().st_mtime_ns for path in written] == dates


def test_a_plan_that_no_longer_holds_is_refused(run_folder: Path, tmp_path: Path) -> None:
    prepare(run_folder, said(tmp_path, HF_REPO_ID="team/home"))
    plan = run_folder / "hub" / "plan.json"
    prepare(run_folder, said(tmp_path, HF_REPO_ID="team/home"), plan)
    for variables in ({"HF_REPO_ID": "team/other"}, {"HF_REPO_ID": "team/home", "HF_PRIVATE": "false"}):
        with pytest.raises(DataError, match="not what would go now: plan again"):
            prepare(run_folder, said(tmp_path, **variables), plan)


def test_without_repository_or_token_there_is_no_destination(run_folder: Path, tmp_path: Path) -> None:
    nowhere, somewhere = said(tmp_path), said(tmp_path, HF_REPO_ID="team/home")
    with pytest.raises(ConfigError, match=r"set HF_REPO_ID=owner/name in .*no\.env, or hub\.repo_id"):
        prepare(run_folder, nowhere).destination(nowhere)
    with pytest.raises(ConfigError, match=r"there is no token: put HF_TOKEN into .*no\.env"):
        prepare(run_folder, somewhere).destination(somewhere)
