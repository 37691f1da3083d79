"""What a command line asks for, checked before anything is planned."""

import re
from collections.abc import Iterable, Iterator

from audiorig.config import Run, TuningRun
from audiorig.config.sweeps import ABLATION, LADDER, SEED
from audiorig.config_checks import near
from audiorig.config_files import Settings
from audiorig.config_stages import corpus_root
from audiorig.errors import ConfigError


def check_targets(settings: Settings, arguments: Iterable[str]) -> None:
    """Check what a command line asks for, before anything is planned.

    Raises:
        ConfigError: if a target names a run, case, seed, corpus, split or pre-trained model that does
            not exist, or the audio that it needs is not there.
    """
    targets = [argument.removeprefix("./").split("/") for argument in _targets(arguments)]
    models = [each[1] for each in targets if each[0] == "pretrained"]
    for name in models:
        settings.pretrained(name)
    parts = [each[1:] for each in targets if each[0] == "results"]
    parts = [each for each in parts if len(each) > 1]  # results/report.html is of all runs
    corpora = [each[1] for each in parts if len(each) > 2 and each[0] == "corpora"]
    for each in parts:
        if len(each) > 4 and each[0] == "corpora" and each[2] == "splits":
            settings.split(each[1], each[3])
    names = [_named_run(settings, each) for each in parts if each[0] != "corpora"]
    runs = [member for name in (names if parts or models else settings.build) for member in settings.members(name)]
    runs += [source for name in runs if (source := _begins_with(settings.run(name)))]
    corpora += [settings.run(name).data.corpus for name in runs]
    for name in dict.fromkeys(corpora):
        corpus_root(name, settings.corpus(name))


def _named_run(settings: Settings, parts: list[str]) -> str:
    """The run or page that a target below ``results`` belongs to."""
    first, *folders = parts[:-1]
    where = f"results/{first}/"
    if first.startswith(ABLATION):
        name = first.removeprefix(ABLATION)
        known = settings.ablation_names
        if name not in known:
            raise ConfigError(f"{where}: no ablation {name!r}{near(name, known)}")
        if not folders or folders[0] in ("logs", "benchmarks"):
            return first
        cases = settings.ablation(name).cases
        if folders[0] not in cases:
            raise ConfigError(
                f"{where}{folders[0]}/: ablation {name!r} has no case {folders[0]!r}{near(folders[0], cases)}"
            )
        where, first, folders = f"{where}{folders[0]}/", f"{first}/{folders[0]}", folders[1:]
        if not folders:
            raise ConfigError(f"{where}: which seed? E.g. {where}seed-{settings.ablation(name).seeds[0]}/{parts[-1]}")
    elif first not in settings.run_names:
        known = [*settings.run_names, *(ABLATION + name for name in settings.ablation_names)]
        raise ConfigError(f"{where}: no run {first!r}{near(first, known)}")
    if len(folders) > 1 and folders[0] == LADDER:
        cases = getattr(settings.run(first), LADDER, {})
        if folders[1] not in cases:
            hint = near(folders[1], cases) if cases else "; it has no ladder"
            raise ConfigError(f"{where}{LADDER}/{folders[1]}/: run {first!r} has no such case{hint}")
        first, folders = f"{first}/{LADDER}/{folders[1]}", folders[2:]
        where = f"results/{first}/"
        if not folders:
            raise ConfigError(f"{where}: which seed? E.g. {where}seed-0/{parts[-1]}")
    if folders and (folders[0].startswith("seed") or "/" in first):
        if not re.fullmatch(SEED, folders[0]):
            raise ConfigError(f"{where}{folders[0]}/: expected seed-0, seed-1 or another number")
        return f"{first}/{folders[0]}"
    return first


def _begins_with(run: Run) -> str | None:
    """The run whose model a run begins with."""
    return run.encoder.run if isinstance(run, TuningRun) else None


def _targets(arguments: Iterable[str]) -> Iterator[str]:
    is_value = False
    for argument in arguments:
        if argument.startswith("-"):
            is_value = argument.startswith("--config")  # what follows are files or settings, up to the next option
        elif not is_value and re.match(r"(\./)?(results|pretrained)/", argument):
            yield argument
