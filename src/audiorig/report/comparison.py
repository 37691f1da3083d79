"""All runs side by side on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiorig.config import Audio2EdaRun, Run, TuningRun, WaveMAERun
from audiorig.evaluate.answers_table import LOG_MEL, UNTUNED
from audiorig.evaluate.reconstruction import DISTANCES
from audiorig.evaluate.systems import BEFORE, MAJORITY
from audiorig.files import read_json
from audiorig.report.answer_figures import Sized, score_panels
from audiorig.report.answers import chance, change_unit, headline, luck_text
from audiorig.report.eda.tables import runs_table
from audiorig.report.figures import BLUE, CONTROL_COLORS, DARK, GREEN, Dot, Panel, Picture, dot_panels
from audiorig.report.inputs import read_run, seen_from
from audiorig.report.page import render
from audiorig.report.scores import MAIN_CONTROLS, Scores
from audiorig.report.tables import Table
from audiorig.report.wording import (
    difference_text,
    duration,
    metric_text,
    points_with_interval,
    system_title,
    task_title,
    with_interval,
)


@dataclass(frozen=True)
class Compared:
    """What the comparison takes from one run.

    Attributes:
        link: the run's own page, seen from the comparison.
        training: provenance of the training.
    """

    name: str
    link: str
    run: Run
    scores: Scores
    training: dict[str, Any]

    @property
    def system(self) -> str:
        return self.run.experiment

    @property
    def title(self) -> str:
        """The run's title; its name where the corpus is private, since a person may have written names into it."""
        return self.name if self.training.get("private") else self.run.report.title or self.name


def read_compared(*, configs: Sequence[Path], metrics: Path, training: Path, report: Path, page: Path) -> Compared:
    """Read one run for the page that will lie at ``page``."""
    return Compared(
        name=metrics.parent.relative_to(page.parent).as_posix(),
        link=seen_from(page, report),
        run=read_run(configs),
        scores=Scores(read_json(metrics)),
        training=read_json(training),
    )


def build_comparison(runs: Sequence[Compared]) -> str:
    """The HTML page that compares runs."""
    probed = [each for each in runs if not isinstance(each.run, TuningRun | Audio2EdaRun)]
    tasks = list(dict.fromkeys(task for each in probed for task in each.scores.tasks))
    return render(
        "comparison.html",
        runs=runs,
        notes=comparison_notes(runs),
        overview=overview_table(runs),
        is_probed=bool(probed),
        dots=run_dots(probed, tasks),
        tasks=[(task_title(task), task_table(probed, task)) for task in tasks],
        targets=target_tables(runs),
        traces=trace_tables(runs),
        target_dots=target_dots(runs),
        rebuilds=any(isinstance(each.run, WaveMAERun) for each in runs),
        reconstruction=reconstruction_table(probed),
    )


def comparison_notes(runs: Sequence[Compared]) -> list[str]:
    """Why a difference between two runs may not mean what it seems to."""
    notes = []
    data = {(each.run.data.corpus, each.run.data.split) for each in runs}
    if len(data) > 1:
        notes.append("The runs were tested on different corpora or splits: compare each with its own controls only.")
    if len({each.training.get("package_digest") for each in runs}) > 1:
        notes.append("The runs were trained by different states of the package; see the digests.")
    if len(runs) > 1:
        notes.append("Intervals do not hold the luck of the seed: runs that differ little may differ by seed alone.")
    return notes


def overview_table(runs: Sequence[Compared]) -> Table:
    """What each run is and what it took."""
    rows = tuple(
        (
            each.name,
            each.title,
            each.system,
            f"{each.run.data.corpus}, {each.run.data.split}",
            f"{each.training.get('num_parameters', 0) / 1e6:.2f} M",
            f"{each.run.train.max_steps:,}",
            duration(float(each.training.get("wall_sec", 0))),
            str(each.training.get("package_digest", ""))[:16],
        )
        for each in runs
    )
    headers = ("run", "title", "experiment", "corpus, split", "parameters", "steps", "training took", "package digest")
    return Table(headers, rows, numeric=frozenset({4, 5, 6}))


def task_table(runs: Sequence[Compared], task: str) -> Table:
    """Accuracy of each run's encoder on one task, and its differences to its controls.

    Where one of the runs was adapted, what it was before is among them.
    """
    was_adapted = any(each.scores.get(task, BEFORE) for each in runs)
    names = (*([BEFORE] if was_adapted else []), *MAIN_CONTROLS)
    rows = tuple(
        (
            each.name,
            each.run.data.corpus,
            *(with_interval(each.scores.get(task, system)) for system in (each.system, *names)),
            *(points_with_interval(each.scores.difference(task, each.system, control)) for control in names),
        )
        for each in runs
        if each.scores.get(task, each.system)
    )
    controls = [system_title(control) for control in names]
    headers = ("run", "corpus", "encoder", *controls, *(f"encoder minus {control}, points" for control in controls))
    return Table(headers, rows, "Accuracy on test.", numeric=frozenset(range(2, len(headers))))


Asked = tuple[str, str]  # a target's name and kind


def _asked(runs: Sequence[Compared]) -> dict[Asked, list[tuple[Compared, TuningRun]]]:
    """The tuned runs by what they were asked; targets of one name and two kinds are two."""
    found: dict[Asked, list[tuple[Compared, TuningRun]]] = {}
    for each in runs:
        if isinstance(each.run, TuningRun):
            for name, target in each.run.used_targets.items():
                if each.scores.get(name, each.system, headline(target.kind)[0]) is not None:
                    found.setdefault((name, target.kind), []).append((each, each.run))
    return found


def target_tables(runs: Sequence[Compared]) -> list[tuple[str, Table]]:
    """The headline of each tuned run, beside what luck reaches and beside its controls; a table a target."""
    return [(task_title(name), _target_table(name, kind, asked)) for (name, kind), asked in _asked(runs).items()]


def _target_table(name: str, kind: str, asked: Sequence[tuple[Compared, TuningRun]]) -> Table:
    metric, about = headline(kind)
    controls = [who for who in (LOG_MEL, UNTUNED) if any(each.scores.get(name, who, metric) for each, _ in asked)]
    rows = tuple(
        (
            each.name,
            f"{run.data.corpus}, {run.data.split}",
            run.encoder.family,
            metric_text(each.scores.get(name, each.system, metric), about),
            luck_text(chance(run.targets[name], each.scores, name, each.system), about),
            *(metric_text(each.scores.get(name, who, metric), about) for who in controls),
            *(difference_text(each.scores.difference(name, each.system, who, metric), about) for who in controls),
        )
        for each, run in asked
    )
    unit = change_unit(about)
    minus = (f"tuned minus {who}{unit and f',{unit}'}" for who in controls)
    headers = ("run", "corpus, split", "encoder", "tuned", "luck", *controls, *minus)
    return Table(headers, rows, f"{task_title(about.title)} on test.", numeric=frozenset(range(3, len(headers))))


def trace_tables(runs: Sequence[Compared]) -> list[tuple[str, Table]]:
    """Runs that predict traces, a table a dataset."""
    found = [each for each in runs if isinstance(each.run, Audio2EdaRun)]
    rows = [(each.name, f"{each.run.data.corpus}, {each.run.data.split}", each.system, each.scores) for each in found]
    return [(task, runs_table(rows, task)) for task in dict.fromkeys(t for each in found for t in each.scores.tasks)]


def target_dots(runs: Sequence[Compared]) -> Sized | None:
    """Tuned runs and their controls, target by target."""
    panels = []
    for (name, kind), asked in _asked(runs).items():
        metric, about = headline(kind)
        dots = [
            Dot(f"{each.name}: {'tuned' if who == each.system else who}", estimate, color)
            for each, _ in asked
            for who, color in ((each.system, BLUE), (LOG_MEL, GREEN), (UNTUNED, DARK))
            if (estimate := each.scores.get(name, who, metric)) is not None
        ]
        reached = {chance(run.targets[name], each.scores, name, each.system) for each, run in asked}
        panels.append(Panel(task_title(name), dots, reached.pop() if len(reached) == 1 else None, about.title))
    alt = "Headline scores on test with 95 % intervals of each tuned run and its controls, by target."
    return score_panels(panels, alt, "Blue: the tuned models. Dashed: luck, where all runs have the same.", 2)


def reconstruction_table(runs: Sequence[Compared]) -> Table:
    """R2 of hidden frames by distance, one row a run."""
    found = [(each, distances) for each in runs if (distances := each.scores.by_distance(each.system))]
    rows = tuple(
        (each.name, each.run.data.corpus, *(with_interval(distances.get(distance), 2) for distance in DISTANCES))
        for each, distances in found
    )
    return Table(("run", "corpus", *DISTANCES), rows, numeric=frozenset(range(2, 2 + len(DISTANCES))))


def run_dots(runs: Sequence[Compared], tasks: Sequence[str]) -> Picture | None:
    """Encoder and main controls of every run, task by task."""
    panels, colors = [], {BEFORE: DARK, **CONTROL_COLORS}
    for task in tasks:
        dots = [
            Dot(f"{each.name}: {'encoder' if system == each.system else system_title(system)}", estimate, color)
            for each in runs
            for system, color in ((each.system, BLUE), *colors.items())
            if (estimate := each.scores.get(task, system))
        ]
        chances = {chance.value for each in runs if (chance := each.scores.get(task, MAJORITY))}
        panels.append(Panel(task_title(task), dots, chances.pop() if len(chances) == 1 else None))
    alt = "Test accuracy with 95 % intervals of each run's encoder and its main controls, by task."
    return dot_panels(panels, alt, "Blue: the encoders. Dashed: chance, where all runs have the same.")
