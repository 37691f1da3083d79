"""A tuned run with several seeds, or an ablation of it, as one page: means over the seeds and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from audiorig.config import TuningRun
from audiorig.config.sweeps import Sweep
from audiorig.data.pseudonyms import IDENTIFYING
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import targets_of, tuned_system
from audiorig.evaluate.clip_seeds import join_seeds
from audiorig.evaluate.ladder import LadderCase, build_ladder
from audiorig.report.answer_figures import answer_pictures, headline_dots
from audiorig.report.answers import bounded, headline, short, target_scores, value_text
from audiorig.report.joined import Member
from audiorig.report.ladder import (
    THIS_RUN,
    Ladder,
    headline_rows,
    is_short,
    ladder_dots,
    ladder_tables,
    ladder_verdict,
    tasks_of,
)
from audiorig.report.page import render
from audiorig.report.scores import Scores
from audiorig.report.sweep import FEW_SEEDS, changes_text
from audiorig.report.tuned_verdict import flattered, target_sentence
from audiorig.report.wording import duration, metric_text, task_title


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
    mine = [by_name[sweep.run(sweep.reference, seed)] for seed in sweep.seeds]
    tables = {seed: member.probes for seed, member in zip(sweep.seeds, mine, strict=True)}
    system = tuned_system(tables[sweep.seeds[0]])
    scores = Scores(bounded(row) for row in join_seeds(tables, run.score.bootstrap, run.score.seed))
    is_ablation = len(sweep.cases) > 1
    called = sweep.cases[sweep.reference] if is_ablation else THIS_RUN
    shown = _cases(sweep, by_name, run) if is_ablation else (ladder or {})
    answers = pd.concat([table[(table["system"] == system) & (table["side"] == "test")] for table in tables.values()])
    is_private = any(member.training.get("private") for member in members)
    targets = _nameless(targets_of(tables[sweep.seeds[0]]), is_private)
    shown = _without_support(shown, {each.name for each in targets}) if is_private else shown
    said, is_on_top = ladder_verdict(shown, called), is_ablation or is_short(shown)
    return render(
        "tuned_sweep.html",
        sweep=sweep,
        title=sweep.name if is_private else sweep.title,  # a person may have written names into it
        achieves="" if is_private else sweep.achieves,
        is_ablation=is_ablation,
        verdict=[
            *_target_verdict(scores, system, run, mine, f" ({called})" if is_ablation else ""),
            *(said if is_on_top else []),
        ],
        notes=[*(() if is_private else run.report.notes), *_notes(sweep, members, run, scores, shown)],
        common=_changes(sweep.common, is_private),
        changes=[(sweep.cases[case], _changes(sweep.changes.get(case, {}), is_private)) for case in sweep.cases],
        headlines=headline_dots(scores, run, system),
        whose=f"Of {called}, the mean over its seeds." if is_ablation and len(sweep.seeds) > 1 else "",
        targets=target_scores(scores, _asked(run, targets), system, targets),
        pictures=answer_pictures(answers, targets, len(sweep.seeds)),
        ladders=ladder_tables(shown, called),
        ladder_dots=ladder_dots(shown, called),
        ladder_says=[] if is_on_top else said,
        headers=[f"{task_title(name)}, {short(headline(each.kind)[1])}" for name, each in run.used_targets.items()],
        members=_seed_rows(sweep, by_name, run, system),
    )


def _nameless(targets: Sequence[Target], is_private: bool) -> list[Target]:
    """Without targets whose answers are the names of people, where those may not be shown."""
    return [each for each in targets if not (is_private and each.column in IDENTIFYING)]


def _without_support(ladder: Ladder, names: set[str]) -> Ladder:
    """A ladder that counts the clips of each answer only for some targets: the answers may be names."""
    rows = [row if row["task"] in names else {**row, "support": {}} for row in ladder.get("rows", [])]
    return {**ladder, "rows": rows}


def _asked(run: TuningRun, shown: Sequence[Target]) -> TuningRun:
    """The settings of what may be shown."""
    names = {each.name for each in shown}
    kept = {name: target for name, target in run.used_targets.items() if name in names}
    return run.model_copy(update={"targets": kept, "use": ()})


def _changes(settings: Mapping[str, Any], is_private: bool) -> str:
    """What was changed; of a private corpus which settings, as a value may be a folder's or a person's name."""
    if is_private:
        return ", ".join(str(key) for key in settings if key not in ("report", "achieves"))
    return changes_text(settings, but=("report", "achieves"))


def _target_verdict(scores: Scores, system: str, run: TuningRun, members: Sequence[Member], where: str) -> list[str]:
    """A sentence a target, and from where to where its seeds reach."""
    found = []
    for name, target in run.used_targets.items():
        sentence = target_sentence(scores, system, name, target, where)
        metric, about = headline(target.kind)
        seeds = [each.scores.get(name, system, metric) for each in members]
        ordered = sorted((each for each in seeds if each is not None), key=lambda each: each.value)
        if sentence and len(ordered) > 1:
            low, high = (value_text(each, about) for each in (ordered[0], ordered[-1]))
            sentence = f"{sentence[:-1]}; the seeds reach from {low} to {high}."
        found.append(sentence)
    return [sentence for sentence in found if sentence]


def _cases(sweep: Sweep, by_name: Mapping[str, Member], run: TuningRun) -> dict[str, Any]:
    """The cases of an ablation, side by side as the rungs of a ladder are."""
    order = [sweep.reference, *(case for case in sweep.cases if case != sweep.reference)]
    cases = [
        LadderCase(case, sweep.cases[case], {seed: by_name[sweep.run(case, seed)].probes for seed in sweep.seeds})
        for case in order
    ]
    return build_ladder(cases, run.score.bootstrap, run.score.seed)


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


def _notes(sweep: Sweep, members: Sequence[Member], run: TuningRun, scores: Scores, shown: Ladder) -> list[str]:
    """What a reader must know before believing the table."""
    found = []
    if len(sweep.seeds) == 1:
        found.append("One seed: the intervals do not hold the luck of the seed.")
    elif len(sweep.seeds) < FEW_SEEDS:
        found.append(
            f"{len(sweep.seeds)} seeds: how much seeds differ is known roughly, and the intervals allow for it."
        )
    compared = [row for task in tasks_of(shown) for row in headline_rows(shown, task) if row["minus_reference"]]
    if len(compared) > 1:
        found.append(
            f"{len(compared)} differences stand in the table of cases, each with its own 95 % interval: if no case "
            "differed, one in twenty would be certain by luck alone."
        )
    if len({member.training.get("package_digest") for member in members}) > 1:
        found.append("The runs were trained by different states of the package; see their pages.")
    if lost := sum(member.num_unreadable for member in members):
        found.append(f"{lost:,} times a test clip could not be read: no score is about it.")
    found += [flattered(scores, name) for name, target in run.used_targets.items() if target.kind == "class"]
    return [sentence for sentence in found if sentence]
