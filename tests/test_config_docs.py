"""The page and the schemas follow the models."""

import json
from pathlib import Path

from audiorig.config_checks import EXPERIMENTS
from audiorig.config_docs import readme, schemas

CONFIG = Path(__file__).resolve().parents[1] / "config"


def test_the_page_is_fresh() -> None:
    assert (CONFIG / "README.md").read_text(encoding="utf-8") == readme(), "run `make docs`"


def test_the_schemas_are_fresh() -> None:
    for name, text in schemas().items():
        assert (CONFIG / "schema" / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_setting_has_a_meaning() -> None:
    for line in readme().splitlines():
        if line.startswith("| `"):
            assert line.rstrip(" |").count("|") >= 4, f"no meaning: {line}"


def test_schemas_know_extends_and_refuse_typos() -> None:
    run = json.loads(schemas()["run.json"])
    kinds = [run["$defs"][each["$ref"].rpartition("/")[2]] for each in run["anyOf"]]
    assert len(kinds) == len(EXPERIMENTS)
    for kind in kinds:
        assert "extends" in kind["properties"]
        assert kind["additionalProperties"] is False
        assert "required" not in kind
