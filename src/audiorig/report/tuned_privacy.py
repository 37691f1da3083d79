"""What the page of a tuned model may show of a private corpus: no name in targets, classes, cases or pictures.

What a person wrote (names of targets, titles of cases, folders) may hold a name; the values of a
target may be names outright, if a run predicts who speaks.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import InfantCryRun, SpeechTuneRun, TuningRun
from audiorig.config.sweeps import Case
from audiorig.config.targets import LossConfig, TargetConfig
from audiorig.config.tuning import EncoderConfig
from audiorig.data.corpora.folder import UNKNOWN
from audiorig.data.pseudonyms import IDENTIFYING, NOT_LISTED, CorpusPseudonyms
from audiorig.evaluate.answers_table import TARGETS
from audiorig.report.answers import RECALL
from audiorig.report.inputs import RunInputs
from audiorig.report.scores import Estimate, Scores

IS_PSEUDONYM = re.compile(
    r"(participant|recording)-\d+( or recording-\d+)*( of participant-\d+)?"
    rf"|((file|participant|recording) )?{NOT_LISTED}|{UNKNOWN}"
)
WRITTEN = ("encoder", "ladder", "groups", "use", "losses", "targets")  # sections that may hold names
Hide = Callable[[str], str]


def answers_without_names(inputs: RunInputs) -> RunInputs:
    """The same of a public corpus and of other experiments; of a private one with pseudonyms for names.

    Clips' own names are left out, as is the outline of their sound.
    """
    if not (inputs.corpus.private and isinstance(inputs.run, SpeechTuneRun | InfantCryRun)):
        return inputs
    names = CorpusPseudonyms(inputs.files)
    hide = names.scrubbed
    hidden = _Answers(inputs.run, names, inputs.predictions.attrs.get(TARGETS, []))
    return replace(
        inputs,
        run=_run(inputs.run, hidden),
        history=[_history(entry, hide) for entry in inputs.history],
        scores=hidden.scores(inputs.scores),
        provenance=_records(inputs.provenance, hidden),
        predictions=hidden.predictions(inputs.predictions),
        inside=hidden.inside(_inside(inputs.inside, names)),
        luck={(hide(task), metric): share for (task, metric), share in inputs.luck.items()},
        ladder=hidden.ladder(inputs.ladder),
        beside=[
            replace(each, differences={(hide(task), name): found for (task, name), found in each.differences.items()})
            for each in inputs.beside
        ],
    )


class _Answers:
    """Names of targets and of their values, hidden alike wherever they stand.

    Classes that are names stand in the order of their pseudonyms: their own is that of the alphabet.

    Args:
        settled: the targets of the predictions, as plain data.
    """

    def __init__(self, run: TuningRun, names: CorpusPseudonyms, settled: Sequence[Mapping[str, Any]]) -> None:
        self.names = names
        self.hide = names.scrubbed
        self.columns = {name: target.column or name for name, target in run.targets.items()}
        self.columns |= {str(plain["name"]): str(plain["column"]) for plain in settled}
        self._places = {
            str(plain["name"]): np.argsort(self._order(str(plain["name"]), plain["classes"]))
            for plain in settled
            if self.is_of_people(str(plain["name"]))
        }

    def is_of_people(self, target: str) -> bool:
        """Whether the values of a target are names."""
        return self.columns.get(target, target) in IDENTIFYING

    def _order(self, target: str, classes: Sequence[str]) -> list[int]:
        """Which class stands where, by pseudonym."""
        return sorted(range(len(classes)), key=lambda number: self.value(target, str(classes[number])))

    def moved(self, target: str, numbers: Any) -> Any:
        """Numbers of classes, NaN where missing, in the order of the page."""
        places, values = self._places.get(target), np.asarray(numbers, dtype=np.float64)
        if places is None:
            return numbers
        found = values.copy()
        found[~np.isnan(values)] = places[values[~np.isnan(values)].astype(np.int64)]
        return found

    def value(self, target: str, value: str) -> str:
        """A class, by what the column holds; one that is a name has a pseudonym."""
        return self.names.value(self.columns.get(target, target), value)

    def scores(self, scores: Scores) -> Scores:
        """Recalls of people go last, by pseudonym."""
        rows = [
            (task, _row(self.hide(task), system, self._metric(task, metric), estimate))
            for (task, system, metric), estimate in scores.estimates.items()
        ]
        is_recall = [row["metric"].startswith(RECALL) and self.is_of_people(task) for task, row in rows]
        order = sorted(range(len(rows)), key=lambda at: rows[at][1]["metric"] if is_recall[at] else "")
        return Scores(rows[at][1] for at in order)

    def _metric(self, task: str, metric: str) -> str:
        label = metric.removeprefix(RECALL)
        return metric if label == metric else f"{RECALL}{self.value(task, label)}"

    def predictions(self, table: pd.DataFrame) -> pd.DataFrame:
        """Answers alone: neither clips nor groups."""
        if table.empty:
            return table
        shown = table.drop(columns=["item", "group"]).assign(target=[self.hide(str(each)) for each in table["target"]])
        for name in self._places:
            rows = (table["target"] == name).to_numpy()
            for column in ("true", "predicted"):
                shown.loc[rows, column] = self.moved(name, table.loc[rows, column])
        shown.attrs = {TARGETS: [self.target(plain) for plain in table.attrs.get(TARGETS, [])]}
        return shown

    def inside(self, inside: Mapping[str, Any]) -> dict[str, Any]:
        """True and answered classes of what there is to look at."""
        found = dict(inside)
        names = [str(each) for each in inside.get("targets", ())]
        for key in found:
            if key.startswith(("true_", "predicted_")) or key == "map_true":
                columns = [self.moved(name, found[key][..., place]) for place, name in enumerate(names)]
                found[key] = np.stack(columns, axis=-1) if columns else found[key]
        if names:
            found["targets"] = np.array([self.hide(name) for name in names])
        return found

    def target(self, plain: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
        """A target, settled or as in the settings: its name, its column, and its values."""
        name = str(plain["name"]) if name is None else name
        found = dict(plain)
        if "name" in plain:
            found["name"] = self.hide(name)
        found["column"] = self.hide(str(plain.get("column") or ""))
        for field in ("classes", "positive", "negative"):
            hidden = [self.value(name, str(each)) for each in plain.get(field) or ()]
            hidden = sorted(hidden) if self.is_of_people(name) else hidden
            found[field] = hidden if isinstance(plain.get(field), list) else tuple(hidden)
        merge = plain.get("merge") or {}
        if isinstance(merge, Mapping):
            found["merge"] = {self.value(name, one): self.value(name, other) for one, other in merge.items()}
        else:
            found["merge"] = [[self.value(name, one), self.value(name, other)] for one, other in merge]
        return found

    def ladder(self, ladder: Mapping[str, Any]) -> dict[str, Any]:
        """Cases by their titles; their own names are not shown, but stay the keys that they are."""
        found = dict(ladder)
        for part in ("rows", "best"):
            found[part] = [
                {
                    **row,
                    "task": self.hide(str(row["task"])),
                    "title": self.hide(str(row["title"])),
                    "support": self._support(str(row["task"]), row.get("support", {})),
                }
                for row in ladder.get(part, [])
            ]
        return found if ladder else {}

    def _support(self, task: str, counts: Mapping[str, int]) -> dict[str, int]:
        shown = [(self.value(task, key), count) for key, count in counts.items()]
        return dict(sorted(shown) if self.is_of_people(task) else shown)

    def settings(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Sections of a run's settings, as plain data, with everything hidden that a person wrote."""
        found = {key: self._texts(plain[key]) for key in WRITTEN if key in plain and key not in ("targets", "losses")}
        if "targets" in plain:
            found["targets"] = {self.hide(name): self.target(each, name) for name, each in plain["targets"].items()}
        if "losses" in plain:
            found["losses"] = [{**each, "targets": self._texts(each["targets"])} for each in plain["losses"]]
        if "encoder" in plain:
            found["encoder"]["family"] = plain["encoder"]["family"]
        if "train" in plain:
            found["train"] = selection = {**plain["train"]}
            selection["selection"] = {**selection["selection"], "metric": self.hide(selection["selection"]["metric"])}
        return found

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {self.hide(str(key)): self._texts(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._texts(each) for each in value)
        return value


def _run(run: SpeechTuneRun | InfantCryRun, hidden: _Answers) -> SpeechTuneRun | InfantCryRun:
    """Settings without the checks of what may stand in them: "a folder" is no name of a model."""
    plain = hidden.settings(run.model_dump())
    selection = run.train.selection.model_copy(update={"metric": plain["train"]["selection"]["metric"]})
    compared = run.report.compare_with
    report = run.report.model_copy(update={"compare_with": compared and hidden.hide(compared)})
    changed = {
        "targets": {name: TargetConfig.model_construct(**each) for name, each in plain["targets"].items()},
        "losses": tuple(LossConfig.model_construct(**each) for each in plain["losses"]),
        "groups": plain["groups"],
        "use": plain["use"],
        "encoder": EncoderConfig.model_construct(**plain["encoder"]),
        "ladder": {name: Case.model_construct(**each) for name, each in plain["ladder"].items()},
        "train": run.train.model_copy(update={"selection": selection}),
        "report": report,
    }
    return run.model_copy(update=changed)


def _records(provenance: Mapping[str, Mapping[str, Any]], hidden: _Answers) -> dict[str, dict[str, Any]]:
    """Of the training its settings, hidden as the config's are, and what it began with."""
    records = {stage: dict(record) for stage, record in provenance.items()}
    if train := records.get("train"):
        if settings := train.get("settings"):
            train["settings"] = {**settings, **hidden.settings(settings)}
        if base := train.get("base"):
            train["base"] = {key: hidden.hide(each) if isinstance(each, str) else each for key, each in base.items()}
    return records


def _history(entry: Mapping[str, Any], hide: Hide) -> dict[str, Any]:
    """Entries of the log; those of dev are called by targets and classes."""
    return {hide(key) if key.startswith("eval_") else key: value for key, value in entry.items()}


def _inside(inside: Mapping[str, Any], names: CorpusPseudonyms) -> dict[str, Any]:
    """Attention and map by pseudonym, which scoring wrote if the corpus was private already; no outline of a sound."""
    found: dict[str, Any] = {}
    for name, value in inside.items():
        if name.startswith("envelope_"):
            continue
        if name.startswith(("name_", "group_")) or name in ("map_name", "map_group"):
            found[name] = np.array([_shown(str(each), names) for each in np.atleast_1d(value)]).reshape(np.shape(value))
        else:
            found[name] = value
    return found


def _shown(text: str, names: CorpusPseudonyms) -> str:
    return text if IS_PSEUDONYM.fullmatch(text) else names.value("group_id", text)


def _row(task: str, system: str, metric: str, estimate: Estimate) -> dict[str, Any]:
    numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.num_items}
    return {
        **{"task": task, "system": system, "metric": metric, **numbers},
        **{"num_groups": estimate.num_groups, "interval_over": estimate.interval_over},
    }
