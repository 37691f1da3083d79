"""A run with several seeds, or an ablation, as one page."""

from collections.abc import Mapping, Sequence
from typing import Any

from audiorig.config import Run, WaveMAERun
from audiorig.config.sweeps import Sweep
from audiorig.data.pseudonyms import IDENTIFYING
from audiorig.report.cases import (
    controls_table,
    difference_dots,
    distance_rows,
    main_row,
    pitch_table,
    seed_dots,
    seed_rows,
)
from audiorig.report.joined import Joined, Member, join
from audiorig.report.page import question, render
from audiorig.report.scores import Estimate
from audiorig.report.wording import CHANGE, points_in_words, share, system_title, task_title, with_interval

FEW_SEEDS = 5


def build_sweep(sweep: Sweep, run: Run, members: Sequence[Member]) -> str:
    """The HTML page.

    Args:
        run: settings of the reference; those of the probes are the same for all cases.
        members: all runs of the sweep.
    """
    cases = join(sweep, members, run.probe, run.experiment)
    tasks = list(cases[0].tasks)
    return render(
        "sweep.html",
        sweep=sweep,
        is_ablation=len(cases) > 1,
        reference=cases[0].title,
        verdict=verdict(cases),
        notes=notes(sweep, cases, run),
        common=changes_text(sweep.common, but=("probe", "report", "achieves")),
        headers=[task_title(task) for task in tasks],
        rows=[main_row(case, cases[0], tasks, changes_text(sweep.changes.get(case.name, {}))) for case in cases],
        dots=difference_dots(cases, tasks) if len(cases) > 1 else seed_dots(cases[0], tasks),
        questions=[(task_title(task), question(run.probe.tasks[task], run.data.split)) for task in tasks],
        resampled=what_was_drawn(sweep, cases[0], run),
        beside=controls_table(cases, tasks),
        distances=distance_rows(cases),
        distance_names=list(cases[0].distances),
        rebuilds=isinstance(run, WaveMAERun),
        pitch=pitch_table(cases, run.experiment),
        members=seed_rows(sweep, cases, tasks),
        seed_headers=[*(task_title(task) for task in tasks), *(f"R² {distance}" for distance in cases[0].distances)],
    )


def changes_text(settings: Mapping[str, Any], but: Sequence[str] = (), prefix: str = "") -> str:
    """model.mask_ratio 0.5, model.size base."""
    parts = []
    for key, value in settings.items():
        if key in but:
            continue
        if key in IDENTIFYING and value is not None:
            parts.append(f"{prefix}{key} set")  # its values name people or files
        elif isinstance(value, Mapping) and value:
            parts.append(changes_text(value, prefix=f"{prefix}{key}."))
        else:
            parts.append(f"{prefix}{key} {'taken away' if value is None else value}")
    return ", ".join(parts)


def verdict(cases: Sequence[Joined]) -> list[str]:
    """A sentence for each case that is compared; of a single case, one for each task."""
    if len(cases) == 1:
        return single_verdict(cases[0])
    return [case_verdict(case) for case in cases[1:]]


def case_verdict(case: Joined) -> str:
    """E.g. "Without the pitch loss: language +1.2 points [-0.5, +2.8], not certain; ..."."""
    clauses = [f"{task_title(task)} {_change(each)}" for task, each in case.task_differences.items()]
    if case.distance_differences:
        clauses.append(_distance_clause(case.distance_differences))
    elif case.distances:
        clauses.append("R² not compared, as other frames were hidden")
    title = case.title[:1].upper() + case.title[1:]
    return f"{title}: {'; '.join(clauses) or 'nothing could be compared'}."


def _change(each: Estimate) -> str:
    return f"{points_in_words(each)}, {CHANGE[each.direction]}"


def _distance_clause(differences: Mapping[str, Estimate]) -> str:
    told = []
    for direction, word in CHANGE.items():
        if found := [distance for distance, each in differences.items() if each.direction == direction]:
            everywhere = "at any distance" if direction == "uncertain" else "at every distance"
            where = everywhere if len(found) == len(differences) else f"at {', '.join(found)} frames"
            told.append(f"{word} {where}")
    return f"R² of hidden frames {', '.join(told)}"


def single_verdict(case: Joined) -> list[str]:
    """E.g. "Language: accuracy .910 [...], the seeds from .895 to .921; +22.0 points above log-mel [...]"."""
    sentences = []
    for task, each in case.tasks.items():
        seeds = case.task_seeds[task]
        clauses = [f"{task_title(task)}: accuracy {with_interval(each)}"]
        if len(seeds) > 1:
            clauses[0] += f", the seeds from {share(min(seeds))} to {share(max(seeds))}"
        for control, differences in case.beside.items():
            if task in differences:
                clauses.append(f"minus {system_title(control)} {_change(differences[task])}")
        sentences.append("; ".join(clauses) + ".")
    return sentences


def notes(sweep: Sweep, cases: Sequence[Joined], run: Run) -> list[str]:
    """What a reader must know before believing the table."""
    found = list(run.report.notes)
    num_seeds, num_tasks = len(sweep.seeds), len(cases[0].tasks)
    if num_seeds == 1:
        found.append("One seed a case: the intervals do not hold the luck of the seed.")
    elif num_seeds < FEW_SEEDS:
        found.append(
            f"{num_seeds} seeds a case: how much seeds differ is known roughly, and the intervals allow for it."
        )
    if (num_intervals := num_tasks * (len(cases) - 1)) > 1:
        found.append(
            f"{num_intervals} differences of accuracy stand here, each with its own 95 % interval: about "
            f"{max(1, round(num_intervals / 20))} of them would be certain by luck alone if no case differed."
        )
    for task in cases[0].tasks:
        mine = cases[0].members[0].scores.get(task, run.experiment)
        if mine is not None and mine.num_pretrained:
            found.append(
                f"{task_title(task)}: {mine.num_pretrained} of the {mine.num_items} test items are of the encoder's "
                "own training side, which it heard unlabelled."
            )
    if len({member.training.get("package_digest") for case in cases for member in case.members}) > 1:
        found.append("The runs were trained by different states of the package; see their pages.")
    return found


def what_was_drawn(sweep: Sweep, reference: Joined, run: Run) -> str:
    """What the intervals rest on."""
    groups = sorted({(each.num_groups, each.interval_over) for each in reference.tasks.values()})
    over = " or ".join(f"{number} groups" if unit == "groups" else "clips" for number, unit in groups)
    seeds = ", ".join(map(str, sweep.seeds))
    drawn = f", and {len(sweep.seeds)} seeds with replacement, the same for both sides" if len(sweep.seeds) > 1 else ""
    return (
        f"Seeds: {seeds}. Accuracy: mean over the seeds. 95 % intervals: {run.probe.bootstrap} draws of a bootstrap "
        f"that draws whole groups ({over}), the same for all cases{drawn}; widened for few groups and "
        "seeds as a t interval is. Differences are paired by item and by seed."
    )
