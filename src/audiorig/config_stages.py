"""Settings as rules wrote them down for one stage, read back by the stage's script; and where audio lies."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from audiorig.config import (
    Corpus,
    CorpusSection,
    CriesCorpus,
    DemoCorpus,
    DemoCriesCorpus,
    DemoEdaCorpus,
    DemoRatingsCorpus,
    EmiliaCorpus,
    FolderCorpus,
    HomeCorpus,
    HomeDemoCorpus,
    ListenersCorpus,
    Run,
)
from audiorig.config_checks import check, merge, read_yaml
from audiorig.errors import ConfigError

# A bucket, and a folder in it; nothing that could be a password.
STORED = re.compile(r"(?P<scheme>s3|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]+)(?:/(?P<folder>[^?#@]*))?")


def corpus_root(name: str, corpus: CorpusSection) -> Path:
    """The folder that holds a corpus' audio; of a corpus in object storage, the folder of the fetched copies.

    Raises:
        ConfigError: if a corpus' root does not exist or names a variable that is not set, or its
            pattern for participants can find none.
    """
    if isinstance(corpus, HomeCorpus | CriesCorpus) and corpus.participant_pattern is not None:
        participant_regex(corpus.participant_pattern, f"corpora.{name}.participant_pattern")
    if corpus_url(name, corpus) is not None:
        return _below_cache_root(name, corpus, "objects")
    match corpus:
        case DemoCorpus() | HomeDemoCorpus() | DemoRatingsCorpus() | DemoCriesCorpus() | DemoEdaCorpus():
            return Path("data") / name
        case FolderCorpus() | EmiliaCorpus() | HomeCorpus() | CriesCorpus() | ListenersCorpus():
            root = _expanded(name, "root", corpus.root, "/where/your/audio/lies")
            if not Path(root).is_dir():
                raise ConfigError(
                    f"corpus {name!r}: its root {root!r} is no folder; set corpora.{name}.root in your config file"
                )
            return Path(root)
    raise TypeError(f"corpus {name!r}: unknown kind {type(corpus).__name__}")


def corpus_url(name: str, corpus: CorpusSection) -> str | None:
    """Where the objects of a corpus lie, ``s3://bucket/folder`` or ``gs://bucket/folder``; None for a local one.

    Raises:
        ConfigError: if it is another kind of address, or of a kind of corpus whose tables must lie on a disk.
    """
    given = getattr(corpus, "root", "")
    if "://" not in given and not given.startswith("$"):
        return None
    root = _expanded(name, "root", given, "/where/your/audio/lies")
    if "://" not in root:
        return None
    match = STORED.fullmatch(root)
    if match is None or ".." in root.split("/"):
        shown = re.sub(r"//.*@", "//...@", root)
        raise ConfigError(
            f"corpus {name!r}: its root {shown!r} is no address that audio is read from: expected s3://bucket/folder "
            f"or gs://bucket/folder, without credentials (those come from the environment); set corpora.{name}.root"
        )
    if not isinstance(corpus, FolderCorpus | CriesCorpus | ListenersCorpus):
        raise ConfigError(
            f"corpus {name!r}: its root is {root!r}, and corpora of its kind are read from a folder only; copy it to "
            "one, or list it as kind: folder"
        )
    folder = "/".join(part for part in (match["folder"] or "").split("/") if part)
    return f"{match['scheme']}://{match['bucket']}" + (f"/{folder}" if folder else "")


def cache_folder(name: str, corpus: CorpusSection, rate_hz: int) -> Path:
    """The folder for copies of a corpus' recordings at one rate.

    Raises:
        ConfigError: if it lies below ``results``, which holds no audio, or below the corpus' root,
            where the copies would be listed as recordings.
    """
    return _below_cache_root(name, corpus, str(rate_hz), ("the corpus' root", corpus_root(name, corpus)))


def _below_cache_root(name: str, corpus: CorpusSection, what: str, *forbidden: tuple[str, Path]) -> Path:
    folder = Path(_expanded(name, "cache_root", corpus.cache_root, "/where/there/is/room")) / name / what
    for where, other in (("results", Path("results")), *forbidden):
        if folder.resolve().is_relative_to(other.resolve()):
            raise ConfigError(
                f"corpus {name!r}: cache_root is {corpus.cache_root!r}, which lies below {where} ({other}); "
                f"set corpora.{name}.cache_root to a folder elsewhere"
            )
    return folder


def participant_regex(pattern: str, where: str) -> re.Pattern[str]:
    """The expression that finds participants in paths.

    Raises:
        ConfigError: if it is none, or has no group for the participant.
    """
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{where} is {pattern!r}: no regular expression: {error}") from None
    if "participant" not in regex.groupindex:
        raise ConfigError(
            f"{where} is {pattern!r}: expected a group (?P<participant>...) around what names the participant, "
            r"e.g. '^(?P<participant>[^/]+)/' for the first folder"
        )
    return regex


def _expanded(name: str, setting: str, value: str, example: str) -> str:
    """A folder of the settings, without variables and ``~``."""
    folder = os.path.expanduser(os.path.expandvars(value))
    if unset := re.search(r"\$\{?(\w+)", folder):
        raise ConfigError(
            f"corpus {name!r}: {setting} is {value!r}, but the variable {unset[1]} is not set; "
            f"export {unset[1]}={example} or set corpora.{name}.{setting}"
        )
    return folder


def run_name(folder: Path) -> str:
    """The name of the run whose results lie in a folder: what follows the last ``results``."""
    parts = folder.parts
    last = max((index for index, part in enumerate(parts) if part == "results"), default=len(parts) - 2)
    return "/".join(parts[last + 1 :]) or folder.name


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
        raw = merge(raw, nested)
    run: Run = check(TypeAdapter(Run), raw, str(path))
    return run


def load_corpus(path: Path) -> tuple[CorpusSection, Path]:
    """A corpus' settings, as a rule wrote them to ``results/corpora/{corpus}/corpus.yaml``, and its root."""
    corpus = check(TypeAdapter(Corpus), read_yaml(path), str(path))
    return corpus, corpus_root(path.parent.name, corpus)
