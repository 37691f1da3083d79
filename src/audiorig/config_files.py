"""From YAML files and command-line overrides to checked settings.

A run is a file of ``config/runs`` or a top-level key of the config file; it states only what
differs from the run that it ``extends``; ``null`` takes a setting away again. Whatever is wrong
ends in a ``ConfigError`` of one plain sentence: where, what was found, what to write instead.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from audiorig.config import NAME, Corpus, CorpusSection, DemoCorpus, EmiliaCorpus, FolderCorpus, Run
from audiorig.errors import ConfigError

RESERVED = ("build", "corpora")
KINDS = {"demo": DemoCorpus, "emilia": EmiliaCorpus, "folder": FolderCorpus}


class Settings:
    """All runs and corpora that are known, resolved and checked when they are asked for.

    Args:
        config: the merged config file (``config/config.yaml``, ``--configfile``, ``--config``).
        folder: the ``config`` folder with ``runs/`` and ``corpora/``.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self._run_files = {path.stem: path for path in sorted((folder / "runs").glob("*.yaml"))}
        self._corpus_files = {path.stem: path for path in sorted((folder / "corpora").glob("*.yaml"))}
        given = {key: value for key, value in config.items() if key not in RESERVED}
        self._given_runs = {key: _mapping(value, f"config: run {key!r}") for key, value in given.items()}
        corpora = _mapping(config.get("corpora"), "config: corpora")
        self._given_corpora = {key: _mapping(value, f"config: corpus {key!r}") for key, value in corpora.items()}
        for name, value in self._given_runs.items():
            if not re.fullmatch(NAME, name):
                raise ConfigError(f"config: {name!r} cannot be a run: use lower-case letters, digits, '.', '_' and '-'")
            if name not in self._run_files and "extends" not in value:
                known = [*self._run_files, *RESERVED]
                raise ConfigError(
                    f"config: {name!r} is no run of config/runs{near(name, known)}; a new run needs `extends:`"
                )
        build = config.get("build") or []
        if not isinstance(build, list):
            raise ConfigError(f"config: build is {build!r}: expected a list of runs, [{build}]")
        self.build = [str(name) for name in build]
        for name in self.build:
            self.run(name)

    @property
    def run_names(self) -> list[str]:
        return sorted({*self._run_files, *self._given_runs})

    @property
    def corpus_names(self) -> list[str]:
        return sorted({*self._corpus_files, *self._given_corpora})

    def run(self, name: str) -> Run:
        """The settings of one run."""
        raw = self._raw_run(name, seen=())
        run = _check(Run, raw, f"run {name!r}")
        corpus = self.corpus(run.data.corpus)
        if run.data.split not in corpus.splits:
            raise ConfigError(
                f"run {name!r}: data.split is {run.data.split!r}, but corpus {run.data.corpus!r} "
                f"has {', '.join(sorted(corpus.splits)) or 'no splits'}"
            )
        return run

    def corpus(self, name: str) -> CorpusSection:
        """The settings of one corpus; its root is not looked at."""
        if name not in self.corpus_names:
            raise ConfigError(f"no corpus {name!r}{near(name, self.corpus_names)}")
        raw = _merge(self._from_file(self._corpus_files, name), self._given_corpora.get(name, {}))
        return _check(TypeAdapter(Corpus), raw, f"corpus {name!r}")

    def _raw_run(self, name: str, seen: tuple[str, ...]) -> dict[str, Any]:
        if name in seen:
            raise ConfigError(f"run {name!r} extends itself: {' -> '.join((*seen, name))}")
        if name not in self.run_names:
            raise ConfigError(f"no run {name!r}{near(name, self.run_names)}")
        raw = _merge(self._from_file(self._run_files, name), self._given_runs.get(name, {}))
        parent = raw.pop("extends", None)
        if not isinstance(parent, str | None):
            raise ConfigError(f"run {name!r}: extends is {parent!r}: expected the name of a run")
        return _merge(self._raw_run(parent, (*seen, name)), raw) if parent else raw

    @staticmethod
    def _from_file(files: Mapping[str, Path], name: str) -> dict[str, Any]:
        return read_yaml(files[name]) if name in files else {}


def check_targets(settings: Settings, arguments: Iterable[str]) -> None:
    """Check what a command line asks for, before anything is planned.

    Raises:
        ConfigError: if a ``results/...`` target names a run, corpus or split that does not exist, or
            the audio that it needs is not there.
    """
    parts = [argument.removeprefix("./").split("/") for argument in _targets(arguments)]
    parts = [each for each in parts if len(each) > 2]  # results/report.html is of all runs
    runs = [each[1] for each in parts if each[1] != "corpora"]
    for name in runs:
        if name not in settings.run_names:
            raise ConfigError(f"results/{name}/: no run {name!r}{near(name, settings.run_names)}")
    corpora = [each[2] for each in parts if len(each) > 3 and each[1] == "corpora"]
    for each in parts:
        if len(each) > 5 and each[1] == "corpora" and each[3] == "splits":
            splits = settings.corpus(each[2]).splits
            if each[4] not in splits:
                raise ConfigError(f"corpus {each[2]!r} has no split {each[4]!r}{near(each[4], splits)}")
    corpora += [settings.run(name).data.corpus for name in (runs if parts else settings.build)]
    for name in dict.fromkeys(corpora):
        corpus_root(name, settings.corpus(name))


def _targets(arguments: Iterable[str]) -> Iterator[str]:
    is_value = False
    for argument in arguments:
        if argument.startswith("-"):
            is_value = argument.startswith("--config")  # what follows are files or settings, up to the next option
        elif not is_value and re.match(r"(\./)?results/", argument):
            yield argument


def corpus_root(name: str, corpus: CorpusSection) -> Path:
    """The folder that holds a corpus' audio.

    Raises:
        ConfigError: if a corpus' root does not exist or names a variable that is not set.
    """
    match corpus:
        case DemoCorpus():
            return Path("data") / name
        case FolderCorpus() | EmiliaCorpus():
            root = os.path.expanduser(os.path.expandvars(corpus.root))
            if unset := re.search(r"\$\{?(\w+)", root):
                raise ConfigError(
                    f"corpus {name!r}: root is {corpus.root!r}, but the variable {unset[1]} is not set; "
                    f"export {unset[1]}=/where/your/audio/lies or set corpora.{name}.root"
                )
            if not Path(root).is_dir():
                raise ConfigError(
                    f"corpus {name!r}: its root {root!r} is no folder; set corpora.{name}.root in your config file"
                )
            return Path(root)
    raise TypeError(f"corpus {name!r}: unknown kind {type(corpus).__name__}")


def load_run(path: Path, overrides: Iterable[str] = ()) -> Run:
    """One stage's settings of a run, as a rule wrote them; what the stage does not read has defaults.

    Args:
        overrides: ``section.key=value`` each, the value as YAML.
    """
    raw = read_yaml(path)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: expected section.key=value")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--set {override}: {value!r} is no valid YAML") from None
        for part in reversed(key.split(".")):
            nested = {part: nested}
        raw = _merge(raw, nested)
    return _check(Run, raw, str(path))


def load_corpus(path: Path) -> tuple[CorpusSection, Path]:
    """A corpus' settings, as a rule wrote them to ``results/corpora/{corpus}/corpus.yaml``, and its root."""
    corpus = _check(TypeAdapter(Corpus), read_yaml(path), str(path))
    return corpus, corpus_root(path.parent.name, corpus)


def near(name: str, known: Iterable[str]) -> str:
    """A clause that offers what was probably meant."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(matches)}?" if matches else f"; there are: {', '.join(known)}"


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


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _without_nulls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A null takes away what was inherited: what is left has its default, or is gone."""
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping that somebody wrote, or a sentence."""
    if not isinstance(value or {}, Mapping):
        raise ConfigError(f"{where} is {value!r}: expected a mapping of settings")
    return dict(value or {})


def _check(kind: type[BaseModel] | TypeAdapter[Any], raw: Mapping[str, Any], where: str) -> Any:
    """Check raw settings; the first error becomes one sentence."""
    raw = _without_nulls(raw)
    try:
        return kind.validate_python(raw) if isinstance(kind, TypeAdapter) else kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "union_tag_not_found":
            raise ConfigError(f"{where}: kind is missing: expected {' or '.join(KINDS)}") from None
        is_tagged = isinstance(kind, TypeAdapter) and len(first["loc"]) > 1  # pydantic puts the kind first
        path = [str(part) for part in first["loc"][is_tagged:]]
        if first["type"] == "extra_forbidden":
            section = _section_at(kind, path[:-1], raw)
            known = section.model_fields if section else ()
            raise ConfigError(f"{where}: there is no setting {'.'.join(path)!r}{near(path[-1], known)}") from None
        message = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
        raise ConfigError(f"{where}: {'.'.join(path) or 'settings'}: {message}{found}") from None


def _section_at(kind: Any, path: list[str], raw: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model whose keys were expected at a path of the settings."""
    section: Any = kind if isinstance(kind, type) else KINDS.get(raw["kind"])
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            field = section.model_fields.get(part)
            section = field.annotation if field else None
        else:  # dict[Name, Section]: the part is a name, the section is the value's type
            section = section.__args__[1]
    return section if isinstance(section, type) else None
