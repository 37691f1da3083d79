"""The cases of a sweep with all their seeds: scores, differences to the reference, and what they cost."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audiorig.config import ProbeConfig
from audiorig.config.sweeps import Sweep
from audiorig.data.manifest import read_table
from audiorig.errors import DataError
from audiorig.evaluate.intervals import MIN_GROUPS, Score
from audiorig.evaluate.paired import Items, distance_items, joint_score, paired_difference, probe_items
from audiorig.evaluate.systems import BEFORE
from audiorig.files import read_json
from audiorig.report.inputs import num_unreadable, seen_from
from audiorig.report.scores import MAIN_CONTROLS, Estimate, Scores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """One run of a sweep.

    Attributes:
        probes: hits by item, of tuned models their answers; ``reconstructions``: squared errors by item,
            of experiments that rebuild.
        training: provenance of the training.
        link: the run's own page, seen from the sweep's.
        num_unreadable: test clips of a tuned model that no score is about.
    """

    name: str
    scores: Scores
    probes: pd.DataFrame
    reconstructions: pd.DataFrame | None
    training: dict[str, Any]
    link: str
    num_unreadable: int = 0

    @property
    def sec_per_step(self) -> float:
        """Wall time of the training by its steps, with start, evaluations and checkpoints; 0 if not known."""
        steps = int(self.training.get("settings", {}).get("train", {}).get("max_steps", 0))
        done = steps - int(self.training.get("first_step", 0))
        return float(self.training.get("wall_sec", 0)) / done if done > 0 else 0.0


@dataclass(frozen=True)
class Joined:
    """One case over all its seeds.

    Attributes:
        tasks, distances: estimates of the mean over seeds, accuracy by task and R2 by distance.
        task_differences, distance_differences: to the reference; none where it cannot be compared.
        beside: the encoder minus a control, by control and task.
        task_seeds, distance_seeds: (S,) values of the seeds.
    """

    name: str
    title: str
    members: tuple[Member, ...]
    tasks: dict[str, Estimate]
    task_differences: dict[str, Estimate]
    task_seeds: dict[str, list[float]]
    beside: dict[str, dict[str, Estimate]]
    distances: dict[str, Estimate]
    distance_differences: dict[str, Estimate]
    distance_seeds: dict[str, list[float]]

    @property
    def num_parameters(self) -> int:
        return int(self.members[0].training.get("num_parameters", 0))

    @property
    def wall_sec(self) -> float:
        """Mean over the seeds."""
        return sum(float(each.training.get("wall_sec", 0)) for each in self.members) / len(self.members)

    @property
    def sec_per_step(self) -> float:
        """Of the quickest seed: whatever else the machine had to do only adds."""
        return min(each.sec_per_step for each in self.members)

    def mean(self, task: str, system: str, metric: str) -> list[float]:
        """A score of every seed that has it."""
        found = [each.scores.get(task, system, metric) for each in self.members]
        return [estimate.value for estimate in found if estimate is not None]


def read_member(
    name: str, metrics: Path, probes: Path, reconstructions: Path | None, training: Path, report: Path, *, page: Path
) -> Member:
    """Read one run for the page that will lie at ``page``."""
    rows = read_json(metrics)
    return Member(
        name,
        Scores(rows),
        read_table(probes),
        read_table(reconstructions) if reconstructions else None,
        read_json(training),
        seen_from(page, report),
        num_unreadable(rows),
    )


def join(sweep: Sweep, members: Sequence[Member], probe: ProbeConfig, system: str) -> list[Joined]:
    """Every case, the reference first.

    Args:
        system: name of the encoder among the scores.
    """
    by_name = {member.name: member for member in members}
    cases = [sweep.reference, *(case for case in sweep.cases if case != sweep.reference)]
    of_case = {case: tuple(by_name[sweep.run(case, seed)] for seed in sweep.seeds) for case in cases}
    reference = _measured(of_case[sweep.reference], system)
    return [
        _join(case, sweep.cases[case], of_case[case], reference if case != sweep.reference else None, probe, system)
        for case in cases
    ]


@dataclass(frozen=True)
class _Measured:
    tasks: dict[str, Items]
    distances: dict[str, Items]


def _measured(members: Sequence[Member], system: str) -> _Measured:
    rebuilt = {each.name: each.reconstructions for each in members if each.reconstructions is not None}
    return _Measured(
        probe_items({each.name: each.probes for each in members}, system), distance_items(rebuilt) if rebuilt else {}
    )


def _join(
    case: str, title: str, members: tuple[Member, ...], reference: _Measured | None, probe: ProbeConfig, system: str
) -> Joined:
    mine = _measured(members, system)
    probes = {each.name: each.probes for each in members}
    controls = {control: probe_items(probes, control) for control in (BEFORE, *MAIN_CONTROLS)}
    return Joined(
        case,
        title,
        members,
        _means(mine.tasks, probe),
        _differences(mine.tasks, reference.tasks if reference else {}, probe),
        {task: items.by_seed.tolist() for task, items in mine.tasks.items()},
        {control: _differences(mine.tasks, items, probe) for control, items in controls.items() if items},
        _means(mine.distances, probe),
        _differences(mine.distances, reference.distances if reference else {}, probe),
        {distance: items.by_seed.tolist() for distance, items in mine.distances.items()},
    )


def _means(ours: dict[str, Items], probe: ProbeConfig) -> dict[str, Estimate]:
    return {key: _estimate(joint_score(items, probe.bootstrap, probe.seed), items) for key, items in ours.items()}


def _differences(ours: dict[str, Items], theirs: dict[str, Items], probe: ProbeConfig) -> dict[str, Estimate]:
    found = {}
    for key, items in ours.items():
        if key not in theirs:
            continue
        try:
            found[key] = _estimate(paired_difference(items, theirs[key], probe.bootstrap, probe.seed), items)
        except DataError as error:
            log.warning("%s", error)
    return found


def _estimate(score: Score, items: Items) -> Estimate:
    low, high = score.interval
    num_groups = len(set(items.groups))
    over = "groups" if num_groups >= MIN_GROUPS else "clips"
    return Estimate(score.value, low, high, len(items.names), num_groups, over)
