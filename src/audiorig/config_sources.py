"""What the files of ``config/`` and the config file say, laid over each other but not yet checked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audiorig.config import NAME
from audiorig.config.sweeps import ABLATION
from audiorig.config_checks import mapping, mappings, merge, near, read_yaml
from audiorig.errors import ConfigError

RESERVED = ("build", "corpora", "ablations", "pretrained")


class Sources:
    """The YAML of every run, corpus, ablation and pre-trained model, by name.

    Args:
        config: the merged config file (``config/config.yaml``, ``--configfile``, ``--config``).
        folder: the ``config`` folder.

    Raises:
        ConfigError: if something is no mapping, or a run's name cannot be one.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self._run_files = _files(folder / "runs")
        self._corpus_files = _files(folder / "corpora")
        self._ablation_files = _files(folder / "ablations")
        self._pretrained_file = folder / "pretrained.yaml"
        self._given_runs = mappings(
            {key: value for key, value in config.items() if key not in RESERVED}, "config", "run"
        )
        self._given_corpora = mappings(config.get("corpora"), "config: corpora", "corpus")
        self._given_ablations = mappings(config.get("ablations"), "config: ablations", "ablation")
        self._given_pretrained = mappings(config.get("pretrained"), "config: pretrained", "model")
        self._read: dict[Path, dict[str, Any]] = {}
        self._check_names()

    @property
    def run_names(self) -> list[str]:
        """Runs by their own names, without seeds and cases."""
        return sorted({*self._run_files, *self._given_runs})

    @property
    def corpus_names(self) -> list[str]:
        return sorted({*self._corpus_files, *self._given_corpora})

    @property
    def ablation_names(self) -> list[str]:
        return sorted({*self._ablation_files, *self._given_ablations})

    @property
    def pretrained_names(self) -> list[str]:
        return sorted({*self._from_file(self._pretrained_file), *self._given_pretrained})

    def run(self, name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        """A run over all that it extends; ``seen`` is what is being extended."""
        if name in seen:
            raise ConfigError(f"run {name!r} extends itself: {' -> '.join((*seen, name))}")
        if name not in self.run_names:
            raise ConfigError(f"no run {name!r}{near(name, self.run_names)}")
        raw = merge(self._from_file(self._run_files.get(name)), self._given_runs.get(name, {}))
        parent = raw.pop("extends", None)
        if not isinstance(parent, str | None):
            raise ConfigError(f"run {name!r}: extends is {parent!r}: expected the name of a run")
        return merge(self.run(parent, (*seen, name)), raw) if parent else raw

    def corpus(self, name: str) -> dict[str, Any]:
        if name not in self.corpus_names:
            raise ConfigError(f"no corpus {name!r}{near(name, self.corpus_names)}")
        return merge(self._from_file(self._corpus_files.get(name)), self._given_corpora.get(name, {}))

    def pretrained(self, name: str) -> dict[str, Any]:
        if name not in self.pretrained_names:
            raise ConfigError(f"no pre-trained model {name!r}{near(name, self.pretrained_names)}")
        raw = mapping(self._from_file(self._pretrained_file).get(name), f"pre-trained model {name!r}")
        return merge(raw, self._given_pretrained.get(name, {}))

    def ablation(self, name: str) -> dict[str, Any]:
        """An ablation; a null takes a setting or a case away, but what is in a case keeps its nulls."""
        if name not in self.ablation_names:
            raise ConfigError(f"no ablation {name!r}{near(name, self.ablation_names)}")
        raw = merge(self._from_file(self._ablation_files.get(name)), self._given_ablations.get(name, {}))
        raw = {key: value for key, value in raw.items() if value is not None}
        if isinstance(cases := raw.get("cases"), Mapping):
            raw["cases"] = {case: settings for case, settings in cases.items() if settings is not None}
        return raw

    def _check_names(self) -> None:
        mappings(self._from_file(self._pretrained_file), str(self._pretrained_file), "model")
        for name, value in self._given_runs.items():
            if not re.fullmatch(NAME, name):
                raise ConfigError(f"config: {name!r} cannot be a run: use lower-case letters, digits, '.', '_' and '-'")
            if name not in self._run_files and "extends" not in value:
                known = [*self._run_files, *RESERVED]
                raise ConfigError(
                    f"config: {name!r} is no run of config/runs{near(name, known)}; a new run needs `extends:`"
                )
        for name in self.run_names:
            if name.startswith(ABLATION):
                raise ConfigError(f"run {name!r}: names that begin with {ABLATION!r} are those of config/ablations")

    def _from_file(self, path: Path | None) -> dict[str, Any]:
        """What a file says; it is read once, and nothing is what an absent one says."""
        if path is None or not path.exists():
            return {}
        if path not in self._read:
            self._read[path] = read_yaml(path)
        return dict(self._read[path])


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
