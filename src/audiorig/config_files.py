"""From YAML files and command-line overrides to checked settings.

A run is a file of ``config/runs`` or a top-level key of the config file; it states only what
differs from the run that it ``extends``; ``null`` takes a setting away again. Every run ``R`` is
there with any seed as ``R/seed-{k}``, every case of its ladder as ``R/ladder/{case}/seed-{k}``, and
every case of an ablation of ``config/ablations`` as ``ablation-{name}/{case}/seed-{k}``. Whatever
is wrong ends in a ``ConfigError`` of one plain sentence: where, what was found, what to write
instead.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from audiorig.config import (
    AblationConfig,
    Audio2EdaRun,
    Corpus,
    CorpusSection,
    PretrainedConfig,
    Run,
    SeededConfig,
    SplitConfig,
    TuningRun,
)
from audiorig.config.sweeps import ABLATION, LADDER, OF_SEED, SEED, Sweep
from audiorig.config_checks import check, mapping, merge, near, one_of
from audiorig.config_references import check_references
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
        cases += [
            f"{re.escape(name)}/{LADDER}/(?:{one_of(rungs)})/{SEED}"
            for name in self.run_names
            if (rungs := self._rung_names(name))
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
            if isinstance(run, TuningRun | Audio2EdaRun) and run.data.split_per_seed:
                of_seed = {"split": f"{run.data.split}.seed-{run.seed}", "split_per_seed": False}
                run = run.model_copy(update={"data": run.data.model_copy(update=of_seed)})
            check_references(self, run, where)
            self._runs[name] = run
        return self._runs[name]

    def corpus(self, name: str) -> CorpusSection:
        """The settings of one corpus; its root is not looked at."""
        return check(TypeAdapter(Corpus), self._sources.corpus(name), f"corpus {name!r}")

    def split(self, corpus: str, name: str) -> SplitConfig:
        """One split of a corpus; ``{split}.seed-{k}`` is that split, drawn with seed k.

        Raises:
            ConfigError: if there is no such split.
        """
        splits = self.corpus(corpus).splits
        if (found := OF_SEED.fullmatch(name)) and found["split"] in splits:
            return splits[found["split"]].model_copy(update={"seed": int(found["seed"].removeprefix("seed-"))})
        if name not in splits:
            known = near(name, splits) if splits else "; it has no splits"
            raise ConfigError(f"corpus {corpus!r} has no split {name!r}{known}")
        return splits[name]

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

    def ladder(self, name: str) -> dict[str, dict[int, str]]:
        """The runs that a run is shown beside, by case and seed, itself first; none if it has no ladder."""
        run = self.run(name)
        if not isinstance(run, TuningRun) or not run.ladder or "/" in name:
            return {}
        itself = {seed: f"{name}/seed-{seed}" for seed in run.seeds} or {run.seed: name}
        rungs = {case: {seed: f"{name}/{LADDER}/{case}/seed-{seed}" for seed in itself} for case in run.ladder}
        for member in [each for rung in rungs.values() for each in rung.values()]:
            self.run(member)
        return {name: itself, **rungs}

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

    def _raw(self, name: str) -> tuple[dict[str, Any], str]:
        """A run's settings before they are checked, and how errors call it."""
        stem, _, seed = name.rpartition("/seed-")
        if not stem:
            return self._sources.run(name), f"run {name!r}"
        if not re.fullmatch(SEED, f"seed-{seed}"):
            raise ConfigError(f"no run {name!r}: expected {stem}/seed-0, seed-1 or another number")
        alone = {"seed": int(seed), "seeds": None, LADDER: None}
        run_name, _, rung = stem.partition(f"/{LADDER}/")
        if rung:
            raw = self._sources.run(run_name)
            cases = self._rung_names(run_name)
            if rung not in cases:
                raise ConfigError(f"run {run_name!r}: its ladder has no case {rung!r}{near(rung, cases)}")
            settings = mapping(raw[LADDER][rung].get("settings"), f"run {run_name!r}: ladder.{rung}.settings")
            return {**merge(raw, settings), **alone}, f"run {run_name!r}, ladder.{rung}"
        if not stem.startswith(ABLATION):
            return {**self._sources.run(stem), **alone}, f"run {stem!r}"
        ablation_name, _, case_name = stem.removeprefix(ABLATION).partition("/")
        ablation = self.ablation(ablation_name)
        if case_name not in ablation.cases:
            raise ConfigError(f"ablation {ablation_name!r} has no case {case_name!r}{near(case_name, ablation.cases)}")
        case = ablation.cases[case_name]
        title = f"{ablation.title or ablation_name}: {case.title or case_name}, seed {seed}"
        raw = self._sources.run(ablation.base)
        for over in ({"report": {"title": title, "compare_with": None}}, ablation.common, case.settings):
            raw = merge(raw, over)
        return {**raw, **alone}, f"ablation {ablation_name!r}, case {case_name!r}"

    def _seeds(self, name: str) -> tuple[int, ...]:
        """The seeds of a run; none where its settings are wrong, which is said when it is asked for."""
        try:
            return self.run(name).seeds
        except ConfigError:
            return ()

    def _rung_names(self, name: str) -> list[str]:
        """The cases of a run's ladder; what is wrong with them is said when they are asked for."""
        try:
            ladder = self._sources.run(name).get(LADDER)
        except ConfigError:
            return []
        if not isinstance(ladder, Mapping):
            return []
        return [str(case) for case, settings in ladder.items() if isinstance(settings, Mapping)]

    def _case_names(self, name: str) -> list[str]:
        try:
            return list(self.ablation(name).cases)
        except ConfigError:
            return []
