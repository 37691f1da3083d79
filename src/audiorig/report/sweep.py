"""A run with several seeds, or an ablation, as one page."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from audiorig.config import Run
from audiorig.config.sweeps import Sweep
from audiorig.report.figures import BLUE, GREY, STYLE, Picture, data_uri
from audiorig.report.joined import BESIDE, Joined, Member, join, read_member
from audiorig.report.page import question, render
from audiorig.report.scores import PITCH, Estimate, duration, points, points_with_interval, share, with_interval
from audiorig.report.tables import Table, system_title, task_title

__all__ = ["build_sweep", "read_member"]

FEW_SEEDS = 5
WORDS = {"above": "higher", "below": "lower", "uncertain": "not certain"}


@dataclass(frozen=True)
class Cell:
    """A value, and on a second line its difference to the reference, in bold if it is certain."""

    text: str
    under: str = ""
    is_certain: bool = False


@dataclass(frozen=True)
class Row:
    """A case in the main table."""

    title: str
    changes: str
    cells: list[Cell]
    is_reference: bool


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
        beside=beside_table(cases, tasks),
        distances=distance_rows(cases),
        distance_names=list(cases[0].distances),
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
        if isinstance(value, Mapping) and value:
            parts.append(changes_text(value, prefix=f"{prefix}{key}."))
        else:
            parts.append(f"{prefix}{key} {'taken away' if value is None else value}")
    return ", ".join(parts)


# ------------------------------------------------------------------------ sentences


def verdict(cases: Sequence[Joined]) -> list[str]:
    """A sentence for each case that is compared; of a single case, one for each task."""
    if len(cases) == 1:
        return single_verdict(cases[0])
    return [case_verdict(case) for case in cases[1:]]


def case_verdict(case: Joined) -> str:
    """E.g. "Without the pitch loss: language +1.2 points [-0.5, +2.8], not certain; ..."."""
    clauses = [f"{task_title(task)} {_points(each)}" for task, each in case.task_differences.items()]
    if case.distance_differences:
        clauses.append(_distance_clause(case.distance_differences))
    elif case.distances:
        clauses.append("R² not compared, as other frames were hidden")
    title = case.title[:1].upper() + case.title[1:]
    return f"{title}: {'; '.join(clauses) or 'nothing could be compared'}."


def _points(each: Estimate) -> str:
    return f"{points(each.value)} points [{points(each.low)}, {points(each.high)}], {WORDS[each.direction]}"


def _distance_clause(differences: Mapping[str, Estimate]) -> str:
    told = []
    for direction, word in WORDS.items():
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
                clauses.append(f"minus {system_title(control)} {_points(differences[task])}")
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


# ------------------------------------------------------------------------ tables


def main_row(case: Joined, reference: Joined, tasks: Sequence[str], changes: str) -> Row:
    """Parameters, cost, and for each task accuracy with the difference to the reference."""
    relative = case.sec_per_step / reference.sec_per_step if reference.sec_per_step else 0.0
    cells = [
        Cell(f"{case.num_parameters / 1e6:.2f} M"),
        Cell(duration(case.wall_sec)),
        Cell(f"{relative:.2f}", f"{1000 * case.sec_per_step:.0f} ms a step") if relative else Cell("–"),
    ]
    cells += [_cell(case.tasks.get(task), case.task_differences.get(task), 3, points) for task in tasks]
    return Row(case.title, changes, cells, case is reference)


def distance_rows(cases: Sequence[Joined]) -> list[Row]:
    """R2 by distance with the difference to the reference."""
    return [
        Row(
            case.title,
            "",
            [
                _cell(case.distances.get(distance), case.distance_differences.get(distance), 2, _signed)
                for distance in cases[0].distances
            ],
            case is cases[0],
        )
        for case in cases
    ]


def _cell(each: Estimate | None, change: Estimate | None, digits: int, write: Callable[[float], str]) -> Cell:
    if change is None:
        return Cell(with_interval(each, digits))
    under = f"{write(change.value)} [{write(change.low)}, {write(change.high)}]"
    return Cell(with_interval(each, digits), under, change.direction != "uncertain")


def _signed(value: float) -> str:
    text = share(value, 2)
    return f"+{text}" if float(f"{value:.2f}") > 0 else text


def beside_table(cases: Sequence[Joined], tasks: Sequence[str]) -> Table:
    """Every case's encoder minus two controls, which are the same for all cases of one shape."""
    rows = []
    for case in cases:
        for control in BESIDE:
            found = [case.beside[control].get(task) for task in tasks]
            rows.append((f"{case.title} minus {system_title(control)}", *map(points_with_interval, found)))
    headers = ("encoder minus control, points", *(task_title(task) for task in tasks))
    return Table(headers, tuple(rows), numeric=frozenset(range(1, len(headers))))


def pitch_table(cases: Sequence[Joined], system: str) -> Table | None:
    """Pitch within 50 cents, where a case learns pitch: mean and range of the seeds."""
    rows = []
    for case in cases:
        texts = []
        for metric, digits in (("rpa50", 3), ("vuv_error", 3), ("f0_rmse_cents", 0)):
            values = case.mean(PITCH, system, metric)
            mean = share(sum(values) / len(values), digits) if values else "–"
            span = f" ({share(min(values), digits)} to {share(max(values), digits)})" if len(values) > 1 else ""
            texts.append(mean + span)
        if texts[0] != "–":
            rows.append((case.title, *texts))
    headers = ("case", "within 50 cents (RPA50)", "voicing wrong", "error, cents")
    caption = "Mean over the seeds, in brackets the lowest and the highest; no intervals."
    return Table(headers, tuple(rows), caption, numeric=frozenset({1, 2, 3})) if rows else None


def seed_rows(sweep: Sweep, cases: Sequence[Joined], tasks: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Name, link and values of every run."""
    rows = []
    for case in cases:
        for index, (seed, member) in enumerate(zip(sweep.seeds, case.members, strict=True)):
            values = [share(case.task_seeds[task][index]) for task in tasks if task in case.task_seeds]
            values += [share(seeds[index], 2) for seeds in case.distance_seeds.values()]
            rows.append((f"{case.title}, seed {seed}", member.link, values))
    return rows


# ------------------------------------------------------------------------ pictures


def difference_dots(cases: Sequence[Joined], tasks: Sequence[str]) -> Picture | None:
    """Each case minus the reference in points, one panel a task; seeds as small marks."""
    compared = [case for case in cases[1:] if case.task_differences]
    if not compared or not tasks:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.0 + 0.3 * len(compared)), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for axis, task in zip(axes, tasks, strict=True):
            axis.axvline(0, color="#333333", linewidth=1, linestyle=(0, (4, 3)), zorder=0.5)
            for height, case in enumerate(compared):
                if (each := case.task_differences.get(task)) is None:
                    continue
                is_certain = each.direction != "uncertain"
                color = BLUE if is_certain else GREY
                pairs = zip(case.task_seeds[task], cases[0].task_seeds[task], strict=True)
                axis.plot([100 * (a - b) for a, b in pairs], [height + 0.25] * len(case.members), "|", color=color)
                axis.hlines(height, 100 * each.low, 100 * each.high, color=color, linewidth=1.8)
                axis.plot(100 * each.value, height, "o", color=color, markerfacecolor=color if is_certain else "white")
            axis.set(title=task_title(task), xlabel="points")
            axis.set_yticks(range(len(compared)), [case.title for case in compared])
            axis.set_ylim(len(compared) - 0.4, -0.6)
        alt = f"Accuracy minus that of {cases[0].title}, with 95 % intervals, by task; the table holds the numbers."
        caption = f"Minus {cases[0].title}, in points. Blue and filled: the interval does not hold 0. Ticks: the seeds."
        return _vector(figure, alt, caption)


def seed_dots(case: Joined, tasks: Sequence[str]) -> Picture | None:
    """The mean with its interval and the seeds, one panel a task."""
    if not tasks:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.3), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False)[0]
        for axis, task in zip(axes, tasks, strict=True):
            each = case.tasks[task]
            axis.hlines(0, each.low, each.high, color=BLUE, linewidth=1.8)
            axis.plot(each.value, 0, "o", color=BLUE)
            axis.plot(case.task_seeds[task], [0.5] * len(case.members), "|", color=BLUE)
            axis.set(title=task_title(task), xlabel="accuracy", ylim=(-0.6, 0.9))
            axis.set_yticks((0, 0.5), ("mean", "seeds"))
        return _vector(figure, "Accuracy of the mean over seeds with its interval, and of each seed, by task.", "")


def _vector(figure: Figure, alt: str, caption: str) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(data_uri(buffer.getvalue(), "image/svg+xml"), alt, caption)
