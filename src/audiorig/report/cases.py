"""The cases of a sweep as tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from audiorig.config.sweeps import Sweep
from audiorig.report.figures import BLUE, DASHED, GREY, STYLE, Picture, draw_dot, vector
from audiorig.report.joined import Joined
from audiorig.report.scores import PITCH, Estimate, Metric, metric_of, r2_at
from audiorig.report.tables import Table
from audiorig.report.wording import (
    difference_text,
    duration,
    metric_text,
    points_with_interval,
    share,
    system_title,
    task_title,
)


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


def main_row(case: Joined, reference: Joined, tasks: Sequence[str], changes: str) -> Row:
    """Parameters, cost, and for each task accuracy with the difference to the reference."""
    relative = case.sec_per_step / reference.sec_per_step if reference.sec_per_step else 0.0
    cells = [
        Cell(f"{case.num_parameters / 1e6:.2f} M"),
        Cell(duration(case.wall_sec)),
        Cell(f"{relative:.2f}", f"{1000 * case.sec_per_step:.0f} ms a step") if relative else Cell("–"),
    ]
    cells += [_cell(case.tasks.get(task), case.task_differences.get(task), metric_of("accuracy")) for task in tasks]
    return Row(case.title, changes, cells, case is reference)


def distance_rows(cases: Sequence[Joined]) -> list[Row]:
    """R2 by distance with the difference to the reference."""
    metrics = {distance: metric_of(r2_at(distance)) for distance in cases[0].distances}
    return [
        Row(
            case.title,
            "",
            [
                _cell(case.distances.get(distance), case.distance_differences.get(distance), metric)
                for distance, metric in metrics.items()
            ],
            case is cases[0],
        )
        for case in cases
    ]


def _cell(each: Estimate | None, change: Estimate | None, metric: Metric) -> Cell:
    if change is None:
        return Cell(metric_text(each, metric))
    return Cell(metric_text(each, metric), difference_text(change, metric), change.direction != "uncertain")


def controls_table(cases: Sequence[Joined], tasks: Sequence[str]) -> Table:
    """Every case's encoder minus its controls, which are the same for all cases of one shape."""
    rows = []
    for case in cases:
        for control, differences in case.beside.items():
            found = [differences.get(task) for task in tasks]
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


def difference_dots(cases: Sequence[Joined], tasks: Sequence[str]) -> Picture | None:
    """Each case minus the reference in points, one panel a task; seeds as small marks."""
    compared = [case for case in cases[1:] if case.task_differences]
    if not compared or not tasks:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.0 + 0.3 * len(compared)), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for axis, task in zip(axes, tasks, strict=True):
            axis.axvline(0, linewidth=1, zorder=0.5, **DASHED)
            for height, case in enumerate(compared):
                if (each := case.task_differences.get(task)) is None:
                    continue
                is_certain = each.direction != "uncertain"
                color = BLUE if is_certain else GREY
                pairs = zip(case.task_seeds[task], cases[0].task_seeds[task], strict=True)
                axis.plot([100 * (a - b) for a, b in pairs], [height + 0.25] * len(case.members), "|", color=color)
                draw_dot(axis, height, each, color, is_certain, scale=100)
            axis.set(title=task_title(task), xlabel="points")
            axis.set_yticks(range(len(compared)), [case.title for case in compared])
            axis.set_ylim(len(compared) - 0.4, -0.6)
        alt = f"Accuracy minus that of {cases[0].title}, with 95 % intervals, by task; the table holds the numbers."
        caption = f"Minus {cases[0].title}, in points. Blue and filled: the interval does not hold 0. Ticks: the seeds."
        return vector(figure, alt, caption)


def seed_dots(case: Joined, tasks: Sequence[str]) -> Picture | None:
    """The mean with its interval and the seeds, one panel a task."""
    if not tasks:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.3), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False)[0]
        for axis, task in zip(axes, tasks, strict=True):
            draw_dot(axis, 0, case.tasks[task], BLUE)
            axis.plot(case.task_seeds[task], [0.5] * len(case.members), "|", color=BLUE)
            axis.set(title=task_title(task), xlabel="accuracy", ylim=(-0.6, 0.9))
            axis.set_yticks((0, 0.5), ("mean", "seeds"))
        return vector(figure, "Accuracy of the mean over seeds with its interval, and of each seed, by task.")
