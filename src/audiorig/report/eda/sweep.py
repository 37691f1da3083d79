"""A run that predicts traces with several seeds, or an ablation of it, as one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiorig.config import Audio2EdaRun
from audiorig.config.sweeps import Sweep
from audiorig.evaluate.eda.seeds import case_rows, join_seeds
from audiorig.report.eda.page import NORMALIZED
from audiorig.report.eda.tables import METRICS, R, difference_table, score_table
from audiorig.report.eda.verdict import CONTROLS
from audiorig.report.joined import Member
from audiorig.report.page import render
from audiorig.report.scores import Estimate, Scores
from audiorig.report.sweep import FEW_SEEDS, changes_text
from audiorig.report.tables import Table
from audiorig.report.wording import CHANGE, difference_text, duration, metric_text, share

COMPARED = (R, "mse", "skill")


@dataclass(frozen=True)
class DatasetSection:
    """One dataset: the cases side by side, and the reference beside what needs no network."""

    title: str
    cases: Table | None
    scores: Table
    differences: Table


def build_eda_sweep(sweep: Sweep, run: Audio2EdaRun, members: Sequence[Member]) -> str:
    """The HTML page.

    Args:
        run: settings of the reference.
        members: all runs of the sweep.
    """
    by_name = {member.name: member for member in members}
    order = [sweep.reference, *(case for case in sweep.cases if case != sweep.reference)]
    tables = {case: {seed: by_name[sweep.run(case, seed)].probes for seed in sweep.seeds} for case in order}
    place = (run.score.bootstrap, run.score.seed)
    scores = Scores(join_seeds(tables[sweep.reference], *place))
    cases = [
        (str(row["case"]), Scores([row]))
        for row in (case_rows(tables, sweep.reference, *place) if len(order) > 1 else ())
    ]
    found = {(case, *key): estimate for case, each in cases for key, estimate in each.estimates.items()}
    is_private = any(member.training.get("private") for member in members)
    but = ("report", "achieves")
    return render(
        "eda_sweep.html",
        sweep=sweep,
        title=sweep.name if is_private else sweep.title,  # a person may have written names into it
        achieves="" if is_private else sweep.achieves,
        is_ablation=len(order) > 1,
        normalized=NORMALIZED[run.eda.normalize],
        verdict=[sentence for task in scores.tasks for sentence in _verdict(sweep, scores, found, members, run, task)],
        notes=[*(() if is_private else run.report.notes), *_notes(sweep, members)],
        changes=[
            (sweep.cases[case], "" if is_private else changes_text(sweep.changes.get(case, {}), but)) for case in order
        ],
        common="" if is_private else changes_text(sweep.common, but),
        datasets=[
            DatasetSection(
                task,
                _case_table(sweep, order, found, run.experiment, task) if len(order) > 1 else None,
                score_table(scores, task, run.experiment, "network"),
                difference_table(scores, task, run.experiment),
            )
            for task in scores.tasks
        ],
        headers=[f"{task}, {METRICS[R].title}" for task in scores.tasks],
        members=[_member_row(by_name[name], run.experiment, scores.tasks) for name in sweep.runs],
    )


Found = Mapping[tuple[str, str, str, str], Estimate]  # case, dataset, system, metric


def _case_table(sweep: Sweep, order: Sequence[str], found: Found, system: str, task: str) -> Table:
    """Every case's network, and under each other what it has more or less than the reference."""
    rows = []
    for case in order:
        cells = []
        for metric in COMPARED:
            cells.append(metric_text(found.get((case, task, system, metric)), METRICS[metric]))
            change = found.get((case, task, f"{system} minus {sweep.reference}", metric))
            cells.append(difference_text(change, METRICS[metric]) if change else "–")
        rows.append((sweep.cases[case], *cells))
    titles = [METRICS[metric].title for metric in COMPARED]
    headers = ("case", *(text for title in titles for text in (title, f"{title}, minus the reference")))
    caption = "Means over the seeds; differences are paired by seed where both have the same test songs."
    return Table(headers, tuple(rows), caption, frozenset(range(1, len(headers))), frozenset({0}))


def _verdict(
    sweep: Sweep, scores: Scores, found: Found, members: Sequence[Member], run: Audio2EdaRun, task: str
) -> list[str]:
    """The reference beside its controls, the spread of its seeds, and what each case changes."""
    mine = scores.get(task, run.experiment, R)
    if mine is None:
        return []
    names = {sweep.run(sweep.reference, seed) for seed in sweep.seeds}
    seeds = [each.scores.get(task, run.experiment, R) for each in members if each.name in names]
    values = [each.value for each in seeds if each is not None]
    clauses = [f"{task}: r {metric_text(mine, METRICS[R])}, mean of {len(values)} seeds"]
    if len(values) > 1:
        clauses[0] += f", which reach from {share(min(values))} to {share(max(values))}"
    for control, words in CONTROLS.items():
        if difference := scores.difference(task, run.experiment, control, R):
            clauses.append(f"minus {words} {difference_text(difference, METRICS[R])}, {CHANGE[difference.direction]}")
    sentences = ["; ".join(clauses) + "."]
    for case, title in sweep.cases.items():
        if change := found.get((case, task, f"{run.experiment} minus {sweep.reference}", R)):
            sentences.append(f"{task}, {title}: r {difference_text(change, METRICS[R])}, {CHANGE[change.direction]}.")
    return sentences


def _notes(sweep: Sweep, members: Sequence[Member]) -> list[str]:
    """What a reader must know before believing the table."""
    found = []
    if len(sweep.seeds) == 1:
        found.append("One seed: the intervals do not hold the luck of the seed.")
    elif len(sweep.seeds) < FEW_SEEDS:
        found.append(
            f"{len(sweep.seeds)} seeds: how much seeds differ is known roughly, and the intervals allow for it."
        )
    if len({member.training.get("package_digest") for member in members}) > 1:
        found.append("The runs were trained by different states of the package; see their pages.")
    return found


def _member_row(member: Member, system: str, tasks: Sequence[str]) -> tuple[str, str, list[str]]:
    """Name, link, r of each dataset with its p-value, and the time of the training."""
    cells = []
    for task in tasks:
        p = member.scores.get(task, system, "p_permuted_songs")
        text = metric_text(member.scores.get(task, system, R), METRICS[R])
        cells.append(f"{text}, p {share(p.value)}" if p else text)
    wall = float(member.training.get("wall_sec", 0))
    return member.name, member.link, [*cells, duration(wall) if wall else "–"]
