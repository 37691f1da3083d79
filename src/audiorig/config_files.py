"""From YAML files and command-line overrides to checked settings.

A run is a file of ``config/runs`` or a top-level key of the config file; it states only what
differs from the run that it ``extends``; ``null`` takes a setting away again. Every run ``R`` is
there with any seed as ``R/seed-{k}``, and every case of an ablation of ``config/ablations`` as
``ablation-{name}/{case}/seed-{k}``. Whatever is wrong ends in a ``ConfigError`` of one plain
sentence: where, what was found, what to write instead.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audiorig.config import (
    AblationConfig,
    Corpus,
    CorpusSection,
    HomeCorpus,
    HomeDemoCorpus,
    HomeWav2Vec2Run,
    PretrainedConfig,
    Run,
    SeededConfig,
    WaveMAERun,
)
from audiorig.config.sweeps import ABLATION, SEED, Sweep
from audiorig.config_checks import check, merge, near, one_of
from audiorig.config_sources import Sources
from audiorig.errors import ConfigError


class Settings:
    """All runs and corpora that are known, resolved and checked when they are asked for.

    Args:
        config: the merged config file (``config/config.yaml``, ``--configfile``, ``--config``).
        folder: the ``config`` folder with ``runs/``, ``corpora/``, ``ablations/`` and, if need be,
            ``pretrained.yaml``.

    Attributes:
        run_names: runs by their own names, without seeds and cases; likewise ``corpus_names``,
            ``ablation_names``, ``pretrained_names``.
        build: what is made if nothing is asked for: runs and ablations.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self._sources = Sources(config, folder)
        self.run_names = self._sources.run_names
        self.corpus_names = self._sources.corpus_names
        self.ablation_names = self._sources.ablation_names
        self.pretrained_names = self._sources.pretrained_names
        self._runs: dict[str, Run] = {}
        build = config.get("build") or []
        if not isinstance(build, list):
            raise ConfigError(f"config: build is {build!r}: expected a list of runs, [{build}]")
        self.build = [str(name) for name in build]
        for name in self.build:
            self.members(name)

    @property
    def sweep_names(self) -> list[str]:
        """What a page joins: runs with several seeds, and ablations."""
        return [name for name in self.run_names if self._seeds(name)] + [
            ABLATION + name for name in self.ablation_names
        ]

    @property
    def run_pattern(self) -> str:
        """A regular expression of every name that a run can have."""
        cases = [
            f"{re.escape(ABLATION + name)}/(?:{one_of(self._case_names(name))})/{SEED}" for name in self.ablation_names
        ]
        return "|".join([f"(?:{one_of(self.run_names)})(?:/{SEED})?", *cases])

    @property
    def compared(self) -> list[str]:
        """Runs of ``build`` for the page that compares them: those with several seeds once per seed."""
        names = [name for name in self.build if not name.startswith(ABLATION)]
        return [member for name in names for member in self.members(name)]

    def run(self, name: str) -> Run:
        """The settings of one run, by any name that ``run_pattern`` takes."""
        if name not in self._runs:
            raw, where = self._raw(name)
            run: Run = check(TypeAdapter(Run), raw, where)
            self._check_references(run, name, where)
            self._runs[name] = run
        return self._runs[name]

    def corpus(self, name: str) -> CorpusSection:
        """The settings of one corpus; its root is not looked at."""
        return check(TypeAdapter(Corpus), self._sources.corpus(name), f"corpus {name!r}")

    def pretrained(self, name: str) -> PretrainedConfig | SeededConfig:
        """A model of ``config/pretrained.yaml``: published, or made here of random numbers."""
        raw = self._sources.pretrained(name)
        found: PretrainedConfig | SeededConfig = check(
            SeededConfig if "seeded" in raw else PretrainedConfig, raw, f"pre-trained model {name!r}"
        )
        return found

    @property
    def seeded_names(self) -> list[str]:
        """Models of ``config/pretrained.yaml`` that are made here."""
        return [name for name in self.pretrained_names if "seeded" in self._sources.pretrained(name)]

    @property
    def published_names(self) -> list[str]:
        """Models of ``config/pretrained.yaml`` that are fetched."""
        return [name for name in self.pretrained_names if name not in self.seeded_names]

    def ablation(self, name: str) -> AblationConfig:
        """One ablation; the settings of its cases are checked when their runs are asked for."""
        ablation: AblationConfig = check(
            AblationConfig, self._sources.ablation(name), f"ablation {name!r}", keep_nulls=True
        )
        if ablation.base not in self.run_names:
            raise ConfigError(
                f"ablation {name!r}: base is {ablation.base!r}: no such run{near(ablation.base, self.run_names)}"
            )
        return ablation

    def sweep(self, name: str) -> Sweep:
        """What the page ``results/{name}/report.html`` joins; every run of it is checked."""
        if name.startswith(ABLATION):
            each = self.ablation(name.removeprefix(ABLATION))
            cases = {case: settings.title or case for case, settings in each.cases.items()}
            folders = {case: f"{name}/{case}" for case in cases}
            changes = {case: settings.settings for case, settings in each.cases.items()}
            sweep = Sweep(
                name,
                each.title or name,
                each.achieves,
                each.reference,
                each.seeds,
                cases,
                folders,
                changes,
                each.common,
            )
        else:
            run = self.run(name)
            title = run.report.title or name
            sweep = Sweep(name, title, run.achieves, name, run.seeds, {name: title}, {name: name}, {}, {})
        for member in sweep.runs:
            self.run(member)
        return sweep

    def members(self, name: str) -> list[str]:
        """The runs behind a page: the run itself, its seeds, or the cases of an ablation.

        Raises:
            ConfigError: if one of them cannot be.
        """
        if name.startswith(ABLATION) and "/" not in name:
            return self.sweep(name).runs
        return self.sweep(name).runs if self.run(name).seeds else [name]

    def standing_for(self, name: str, *stages: str) -> str:
        """A run whose stages have the same settings: what is made of them alone is made once.

        The seeds of a run share with the run; cases of an ablation with its base or with the first
        of them. Any other run stands for itself.
        """
        stem = name.rpartition("/seed-")[0]
        candidates = [stem] if stem else []
        if name.startswith(ABLATION):
            ablation = name.split("/")[0]
            sweep = self.sweep(ablation)
            candidates = [
                self.ablation(ablation.removeprefix(ABLATION)).base,
                sweep.run(sweep.reference, sweep.seeds[0]),
            ]
            candidates += [sweep.run(case, sweep.seeds[0]) for case in sweep.cases]
        mine = self.run(name)
        same = (each for each in candidates if all(self.run(each).stage(s) == mine.stage(s) for s in stages))
        return next(same, name)

    def compared_with(self, name: str) -> str | None:
        """The run that ``report.compare_with`` means: with the same seed, where both have several.

        What extends that very run inherits the setting, and is not compared with itself.
        """
        other = self.run(name).report.compare_with
        if other == name.partition("/")[0]:
            return None
        seed = name.rpartition("/seed-")[2]
        has_it = other is not None and "/" in name and int(seed) in self._seeds(other)
        return f"{other}/seed-{seed}" if has_it else other

    def _check_references(self, run: Run, name: str, where: str) -> None:
        corpus = self.corpus(run.data.corpus)
        if run.data.split not in corpus.splits:
            raise ConfigError(
                f"{where}: data.split is {run.data.split!r}, but corpus {run.data.corpus!r} "
                f"has {', '.join(sorted(corpus.splits)) or 'no splits'}"
            )
        has_segments = isinstance(corpus, HomeDemoCorpus) or (isinstance(corpus, HomeCorpus) and corpus.annotations)
        asking = [task for task, settings in run.probe.tasks.items() if settings.items == "segments"]
        if asking and not has_segments:
            raise ConfigError(
                f"{where}: probe.tasks.{asking[0]} asks for labelled stretches, but corpus {run.data.corpus!r} has "
                f"none; set corpora.{run.data.corpus}.annotations, or take the task away ({asking[0]}: null)"
            )
        if len(set(run.seeds)) < len(run.seeds) or min(run.seeds, default=0) < 0:
            raise ConfigError(f"{where}: seeds are {list(run.seeds)}: expected different numbers from 0 on")
        if (other := run.report.compare_with) is not None and other not in self.run_names:
            raise ConfigError(f"{where}: report.compare_with is {other!r}: no such run{near(other, self.run_names)}")
        self._check_pretrained(run, where)

    def _check_pretrained(self, run: Run, where: str) -> None:
        match run:
            case WaveMAERun():
                key = "teacher.pretrained"
                names = [run.teacher.pretrained] if run.teacher.kind == "w2v-bert" else []
            case HomeWav2Vec2Run():
                key, names = "model.base", [run.model.base]
        for name in names:
            if name not in self.pretrained_names:
                raise ConfigError(
                    f"{where}: {key} is {name!r}: no entry of config/pretrained.yaml{near(name, self.pretrained_names)}"
                )

    def _raw(self, name: str) -> tuple[dict[str, Any], str]:
        """A run's settings before they are checked, and how errors call it."""
        stem, _, seed = name.rpartition("/seed-")
        if not stem:
            return self._sources.run(name), f"run {name!r}"
        if not re.fullmatch(SEED, f"seed-{seed}"):
            raise ConfigError(f"no run {name!r}: expected {stem}/seed-0, seed-1 or another number")
        if not stem.startswith(ABLATION):
            raw = {**self._sources.run(stem), "seed": int(seed), "seeds": None}
            return raw, f"run {stem!r}"
        ablation_name, _, case_name = stem.removeprefix(ABLATION).partition("/")
        ablation = self.ablation(ablation_name)
        if case_name not in ablation.cases:
            raise ConfigError(f"ablation {ablation_name!r} has no case {case_name!r}{near(case_name, ablation.cases)}")
        case = ablation.cases[case_name]
        title = f"{ablation.title or ablation_name}: {case.title or case_name}, seed {seed}"
        raw = self._sources.run(ablation.base)
        for over in ({"report": {"title": title, "compare_with": None}}, ablation.common, case.settings):
            raw = merge(raw, over)
        return {**raw, "seed": int(seed), "seeds": None}, f"ablation {ablation_name!r}, case {case_name!r}"

    def _seeds(self, name: str) -> tuple[int, ...]:
        """The seeds of a run; none where its settings are wrong, which is said when it is asked for."""
        try:
            return self.run(name).seeds
        except ConfigError:
            return ()

    def _case_names(self, name: str) -> list[str]:
        try:
            return list(self.ablation(name).cases)
        except ConfigError:
            return []
