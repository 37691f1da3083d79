"""A tuned run with several seeds, or an ablation of it, as one page: means over the seeds and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from audiorig.config import TuningRun
from audiorig.config.sweeps import Sweep
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import targets_of, tuned_system
from audiorig.evaluate.clip_seeds import join_seeds
from audiorig.evaluate.ladder import LadderCase, build_ladder
from audiorig.report.answer_figures import confusion, headline_dots, ratings
from audiorig.report.answers import headline, target_scores
from audiorig.report.joined import Member
from audiorig.report.ladder import Ladder, ladder_dots, ladder_table, ladder_verdict
from audiorig.report.page import render
from audiorig.report.scores import Scores
from audiorig.report.sweep import changes_text
from audiorig.report.tuned_verdict import target_sentence
from audiorig.report.wording import duration, metric_text, share, task_title


@dataclass(frozen=True)
class SeedRow:
    """One run of the sweep: a link to its page, and its headline scores."""

    name: str
    link: str
    values: tuple[str, ...]


def build_tuned_sweep(sweep: Sweep, run: TuningRun, members: Sequence[Member], ladder: Ladder | None) -> str:
    """The HTML page.

    Args:
        run: settings of the reference.
        members: all runs of the sweep.
        ladder: the run beside its ladder, if it has one; of an ablation the cases are the ladder.
    """
    by_name = {member.name: member for member in members}
    tables = {seed: by_name[sweep.run(sweep.reference, seed)].probes for seed in sweep.seeds}
    first = next(iter(tables.values()))
    system = tuned_system(first)
    scores = Scores(join_seeds(tables, run.score.bootstrap, run.score.seed))
    shown = ladder or (_cases(sweep, by_name, run) if len(sweep.cases) > 1 else {})
    answers = pd.concat([table[(table["system"] == system) & (table["side"] == "test")] for table in tables.values()])
    targets = targets_of(first)
    return render(
        "tuned_sweep.html",
        sweep=sweep,
        is_ablation=len(sweep.cases) > 1,
        verdict=[
            *(target_sentence(scores, system, name, target, "") for name, target in run.used_targets.items()),
            *ladder_verdict(shown),
        ],
        notes=[*run.report.notes, *_notes(sweep, members)],
        common=changes_text(sweep.common, but=("report", "achieves")),
        changes=[(sweep.cases[case], changes_text(sweep.changes.get(case, {}))) for case in sweep.cases],
        headlines=headline_dots(scores, run, system),
        targets=target_scores(scores, run, system),
        confusions=_confusions(answers, targets),
        ratings=ratings(answers, {each.name: each.steps for each in targets if each.kind == "rating"}),
        ladder=ladder_table(shown),
        ladder_dots=ladder_dots(shown),
        headers=[f"{task_title(name)}, {headline(each.kind)[1].title}" for name, each in run.used_targets.items()],
        members=_seed_rows(sweep, by_name, run, system),
    )


def _cases(sweep: Sweep, by_name: Mapping[str, Member], run: TuningRun) -> dict[str, Any]:
    """The cases of an ablation, side by side as the rungs of a ladder are."""
    order = [sweep.reference, *(case for case in sweep.cases if case != sweep.reference)]
    cases = [
        LadderCase(case, sweep.cases[case], {seed: by_name[sweep.run(case, seed)].probes for seed in sweep.seeds})
        for case in order
    ]
    return build_ladder(cases, run.score.bootstrap, run.score.seed)


def _confusions(answers: pd.DataFrame, targets: Sequence[Target]) -> list[Any]:
    found = [confusion(answers, each.name, each.classes) for each in targets if each.kind == "class"]
    return [picture for picture in found if picture is not None]


def _seed_rows(sweep: Sweep, by_name: Mapping[str, Member], run: TuningRun, system: str) -> list[SeedRow]:
    rows = []
    for name in sweep.runs:
        member = by_name[name]
        values = []
        for target_name, target in run.used_targets.items():
            metric, about = headline(target.kind)
            values.append(metric_text(member.scores.get(target_name, system, metric), about))
        wall = float(member.training.get("wall_sec", 0))
        rows.append(SeedRow(name, member.link, (*values, duration(wall) if wall else "–")))
    return rows


def _notes(sweep: Sweep, members: Sequence[Member]) -> list[str]:
    """What a reader must know before believing the table."""
    found = []
    if len(sweep.seeds) < 5:
        found.append(f"{len(sweep.seeds)} seeds: how much seeds differ is known roughly.")
    if len({member.training.get("package_digest") for member in members}) > 1:
        found.append("The runs were trained by different states of the package; see their pages.")
    for member in members[:1]:
        for task in member.scores.tasks:
            majority = member.scores.get(task, "majority", "accuracy")
            if majority is not None and majority.value >= 0.5:
                found.append(
                    f"{task_title(task)}: always answering the commonest class has an accuracy of about "
                    f"{share(majority.value)} and an unweighted recall of luck. Read the recall, not the accuracy."
                )
    return found
