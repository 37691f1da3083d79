"""YAML read, laid over each other and checked; whatever is wrong ends in one plain sentence."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from audiorig.config import (
    Audio2EdaRun,
    CriesCorpus,
    DemoCorpus,
    DemoCriesCorpus,
    DemoEdaCorpus,
    DemoRatingsCorpus,
    EmiliaCorpus,
    FolderCorpus,
    HomeCorpus,
    HomeDemoCorpus,
    HomeWav2Vec2Run,
    InfantCryRun,
    ListenersCorpus,
    SpeechTuneRun,
    WaveMAERun,
)
from audiorig.config.eda_model import PARTS
from audiorig.errors import ConfigError

KINDS: dict[str, type[BaseModel]] = {
    "cries": CriesCorpus,
    "demo": DemoCorpus,
    "demo-cries": DemoCriesCorpus,
    "demo-eda": DemoEdaCorpus,
    "demo-ratings": DemoRatingsCorpus,
    "emilia": EmiliaCorpus,
    "folder": FolderCorpus,
    "home": HomeCorpus,
    "home-demo": HomeDemoCorpus,
    "listeners": ListenersCorpus,
}
EXPERIMENTS: dict[str, type[BaseModel]] = {
    "wavemae": WaveMAERun,
    "homewav2vec2": HomeWav2Vec2Run,
    "speechtune": SpeechTuneRun,
    "infantcry": InfantCryRun,
    "audio2eda": Audio2EdaRun,
}
# Sections of a run that have kinds: whichever is chosen has settings of its own.
ALTERNATIVES = PARTS
TAGS = {"kind": KINDS, "experiment": EXPERIMENTS}


def near(name: str, known: Iterable[str]) -> str:
    """A clause that offers what was probably meant."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(matches)}?" if matches else f"; there are: {', '.join(known)}"


def one_of(names: Iterable[str]) -> str:
    """A regular expression of some names; of none, one that nothing matches."""
    return "|".join(map(re.escape, names)) or "(?!)"


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; an empty file is an empty mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found a {type(content).__name__}")
    return content


def canonical_json(settings: Any) -> str:
    """One text for equal settings."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping that somebody wrote, or a sentence."""
    if not isinstance(value or {}, Mapping):
        raise ConfigError(f"{where} is {value!r}: expected a mapping of settings")
    return dict(value or {})


def mappings(value: Any, where: str, each: str) -> dict[str, dict[str, Any]]:
    """A mapping of names to mappings, or a sentence that names the one at fault."""
    return {str(name): mapping(content, f"{where}: {each} {name!r}") for name, content in mapping(value, where).items()}


def check(
    kind: type[BaseModel] | TypeAdapter[Any], raw: Mapping[str, Any], where: str, keep_nulls: bool = False
) -> Any:
    """Check raw settings; the first error becomes one sentence.

    Args:
        keep_nulls: for settings that are laid over others later, when their nulls are to count.
    """
    raw = raw if keep_nulls else _without_nulls(raw)
    try:
        return kind.validate_python(raw) if isinstance(kind, TypeAdapter) else kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"].startswith("union_tag"):
            tag, given = first["ctx"]["discriminator"].strip("'"), first["input"]
            inside = [str(part) for part in first["loc"][1:]]  # of a section that has kinds of its own
            known: Iterable[str] = ALTERNATIVES.get(inside[-1], {}) if inside else TAGS[tag]
            found = f"is {given[tag]!r}" if isinstance(given, Mapping) and tag in given else "is missing"
            raise ConfigError(f"{where}: {'.'.join([*inside, tag])} {found}: expected {' or '.join(known)}") from None
        is_tagged = isinstance(kind, TypeAdapter)  # pydantic puts the kind first
        whole = [str(part) for part in first["loc"][is_tagged:]]
        path = [
            part for place, part in enumerate(whole) if not place or part not in ALTERNATIVES.get(whole[place - 1], ())
        ]
        if first["type"] == "extra_forbidden":
            section = _section_at(kind, whole[:-1], raw)
            known = section.model_fields if section else ()
            raise ConfigError(f"{where}: there is no setting {'.'.join(path)!r}{near(path[-1], known)}") from None
        message = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
        raise ConfigError(": ".join([where, *([".".join(path)] if path else []), f"{message}{found}"])) from None


def _without_nulls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A null takes away what was inherited: what is left has its default, or is gone."""
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def _section_at(kind: Any, path: list[str], raw: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model whose keys were expected at a path of the settings."""
    tag = next((name for name in TAGS if name in raw), "")
    section: Any = kind if isinstance(kind, type) else TAGS[tag].get(raw[tag])
    for place, part in enumerate(path):
        if place and part in ALTERNATIVES.get(path[place - 1], {}):
            section = ALTERNATIVES[path[place - 1]][part]
        elif isinstance(section, type) and issubclass(section, BaseModel):
            field = section.model_fields.get(part)
            section = field.annotation if field else None
        else:  # dict[Name, Section]: the part is a name, the section is the value's type
            section = section.__args__[1]
    return section if isinstance(section, type) else None
