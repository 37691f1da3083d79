"""Settings as rules wrote them down for one stage, read back by the stage's script; and where audio lies."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from audiorig.config import Corpus, CorpusSection, DemoCorpus, EmiliaCorpus, FolderCorpus, Run
from audiorig.config_checks import check, merge, read_yaml
from audiorig.errors import ConfigError


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
    return check(Run, raw, str(path))


def load_corpus(path: Path) -> tuple[CorpusSection, Path]:
    """A corpus' settings, as a rule wrote them to ``results/corpora/{corpus}/corpus.yaml``, and its root."""
    corpus = check(TypeAdapter(Corpus), read_yaml(path), str(path))
    return corpus, corpus_root(path.parent.name, corpus)
