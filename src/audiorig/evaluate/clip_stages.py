"""A tuned model scored: it is seen with a split and the audio, and nothing of its training."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from transformers import AutoModel

from audiorig.config import ScoreConfig
from audiorig.config_checks import check, read_yaml
from audiorig.data.manifest import read_table
from audiorig.data.pseudonyms import CorpusPseudonyms
from audiorig.data.target import Target
from audiorig.errors import DataError
from audiorig.evaluate.answers_table import LOG_MEL, UNTUNED, answer_rows, answer_table, of_clips
from audiorig.evaluate.clip_controls import DEV, TEST, TRAIN, Control, commonest, regression
from audiorig.evaluate.clip_examples import Arrays, change_of, example_items, look_at, map_of, shown_name
from audiorig.evaluate.clip_predictions import (
    VECTORS,
    Clips,
    HeardSide,
    Listener,
    hear,
    listen_as_encoder,
    listen_as_log_mel,
    listen_as_tuner,
    logits_of,
)
from audiorig.evaluate.clip_scores import TargetScorer
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.systems import MAJORITY
from audiorig.models.answers import Answer, Decision, answers_of, fit_decisions
from audiorig.models.encoders.base import SpeechEncoder
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import keyed_generator

MAX_LEARNT = 4000  # training clips that controls hear: a linear model gains little from more
DECIDED = "balanced_accuracy"  # the row that says what dev has decided

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """What scoring finds.

    Attributes:
        rows: of scores.json.
        predictions: of all systems, for dev and test.
        arrays: of examples.npz.
        notes: what could not be read or scored, what dev decided, what the controls rest on.
    """

    rows: list[dict[str, Any]]
    predictions: pd.DataFrame
    arrays: Arrays
    notes: dict[str, Any]


def score_settings(path: Path) -> ScoreConfig:
    """The settings of the scoring, as a rule wrote them down for the stage."""
    settings: ScoreConfig = check(ScoreConfig, read_yaml(path).get("score") or {}, f"{path}: score")
    return settings


def load_tuner(folder: Path) -> SpeechTuner:
    """A tuned model, ready to be asked, on the device that there is.

    Raises:
        DataError: if the folder holds another kind of model.
    """

    model = AutoModel.from_pretrained(folder)
    if not isinstance(model, SpeechTuner):
        raise DataError(f"{folder}: a {type(model).__name__}: expected the model of a run that tunes an encoder")
    torch.nn.Module.to(model, device())
    return model.eval()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def score_model(
    model: SpeechTuner,
    clips: Mapping[str, Clips],
    split: Path,
    settings: ScoreConfig,
    system: str,
    *,
    base: SpeechEncoder | None = None,
    pseudonyms: CorpusPseudonyms | None = None,
    fetch: Callable[[pd.DataFrame], None] | None = None,
) -> Scored:
    """Score every target, beside its controls.

    Args:
        clips: train, dev and test, all of them read as in evaluation.
        split: folder of the split.
        system: what rows call the model.
        base: its encoder before tuning.
        pseudonyms: of a private corpus.
        fetch: has the files of a split's rows at hand, where they lie elsewhere.

    Raises:
        DataError: if nothing of a side can be read, or no target has a test clip.
    """
    tables = {side: read_table(split / f"{side}.parquet") for side in (TRAIN, DEV, TEST)}
    sides = _heard(model, clips, tables, settings, system, base, fetch)
    logits = {side: logits_of(sides[side], system, model.targets) for side in (DEV, TEST)}
    decisions = fit_decisions(model.targets, logits[DEV], sides[DEV].values)
    scoring = _Scoring(system, settings, sides, clips[TRAIN].values.astype(np.float64))
    tuned = {
        target.name: {side: answers_of(target, logits[side][target.name], decisions[target.name]) for side in logits}
        for target in model.targets
    }
    for number, target in enumerate(model.targets):
        scoring.add(target, number, tuned[target.name], decisions[target.name])
    if not scoring.rows:
        raise DataError(f"{split / 'test.parquet'}: no target has a value for any clip of the test side")
    arrays = _arrays(model, clips[TEST], sides[TEST], tuned, settings, system, base, pseudonyms)
    unreadable = {side: [shown_name(name, pseudonyms) for name in heard.unreadable] for side, heard in sides.items()}
    notes = {
        "num_unreadable": len(unreadable[TEST]),
        "unreadable": unreadable,
        "without_items": scoring.without_items,
        "controls": scoring.controls,
        "decisions": {name: decision.to_dict() for name, decision in decisions.items()},
    }
    return Scored(scoring.rows, answer_table(scoring.parts, model.targets), arrays, notes)


def _heard(
    model: SpeechTuner,
    clips: Mapping[str, Clips],
    tables: Mapping[str, pd.DataFrame],
    settings: ScoreConfig,
    system: str,
    base: SpeechEncoder | None,
    fetch: Callable[[pd.DataFrame], None] | None,
) -> dict[str, HeardSide]:
    """Every side, read once; of train what the controls need."""
    controls: dict[str, Listener] = {LOG_MEL: listen_as_log_mel(model.sample_rate_hz)}
    if base is not None:
        controls[UNTUNED] = listen_as_encoder(base)
    listeners = {TRAIN: controls, DEV: {system: listen_as_tuner(model)} | controls}
    listeners[TEST] = listeners[DEV]
    drawn = keyed_generator("controls", settings.seed).permutation(len(clips[TRAIN]))[:MAX_LEARNT]
    items = {TRAIN: np.sort(drawn).tolist(), **{side: list(range(len(clips[side]))) for side in (DEV, TEST)}}
    if fetch is not None:
        for side, chosen in items.items():
            fetch(tables[side].iloc[chosen])
    return {
        side: hear(side, clips[side], tables[side], settings.group, listeners[side], settings.batch_size, items[side])
        for side in (TRAIN, DEV, TEST)
    }


@dataclass
class _Scoring:
    """Rows and predictions, target by target; ``learnt`` (n, K) is what training was told."""

    system: str
    settings: ScoreConfig
    sides: Mapping[str, HeardSide]
    learnt: Floats
    rows: list[dict[str, Any]] = field(default_factory=list)
    parts: list[pd.DataFrame] = field(default_factory=list)
    without_items: dict[str, list[str]] = field(default_factory=dict)
    controls: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def add(self, target: Target, number: int, tuned: Mapping[str, Answer], decision: Decision) -> None:
        """One target, the ``number``-th of the values."""
        controls = self._controls(target, number)
        answers = {self.system: tuned} | {name: control.answers for name, control in controls.items()}
        for name, by_side in answers.items():
            self.parts += [
                answer_rows(name, self.sides[side], target, number, answer) for side, answer in by_side.items()
            ]
        about = {
            name: {"num_learnt": control.num_learnt}
            | ({"inverse_penalty": control.inverse_penalty} if control.inverse_penalty else {})
            for name, control in controls.items()
        }
        self.controls[target.name] = about
        test = self.sides[TEST]
        observed = test.observed(number)
        true = test.values[observed, number]
        counts = np.bincount(true.astype(np.int64), minlength=target.num_answers)
        if missing := [name for name, count in zip(target.answers, counts, strict=True) if not count]:
            self.without_items[target.name] = missing
            log.warning("%s: test has no clip of %s, which no score is about", target.name, ", ".join(missing))
        if not len(observed):
            return
        groups = [test.groups[place] for place in observed]
        scorer = TargetScorer(target, true, groups, self.settings, self.system)
        about[self.system] = {"num_unreadable": len(test.unreadable)}
        rows = scorer.rows({name: of_clips(by_side[TEST], observed) for name, by_side in answers.items()}, about)
        del about[self.system]
        if decision != Decision() or target.kind == "binary":
            for row in rows:
                if row["system"] == self.system and row["metric"] == DECIDED:
                    row["decision"] = decision.to_dict()
        self.rows += rows

    def _controls(self, target: Target, number: int) -> dict[str, Control]:
        sizes = {side: len(self.sides[side].items) for side in (DEV, TEST)}
        found = {MAJORITY: commonest(target, self.learnt[:, number], sizes)}
        for name in (LOG_MEL, UNTUNED):
            if name in self.sides[TRAIN].found:
                features = {side: heard.found[name][VECTORS] for side, heard in self.sides.items()}
                found[name] = regression(target, number, features, self.sides)
        return found


def _arrays(
    model: SpeechTuner,
    clips: Clips,
    side: HeardSide,
    tuned: Mapping[str, Mapping[str, Answer]],
    settings: ScoreConfig,
    system: str,
    base: SpeechEncoder | None,
    pseudonyms: CorpusPseudonyms | None,
) -> dict[str, NDArray[Any]]:
    """What there is to look at."""
    predicted = np.stack([tuned[target.name][TEST].predicted for target in model.targets], axis=1)
    places = example_items(side, settings.examples, settings.seed)
    arrays: Arrays = {"targets": np.array([target.name for target in model.targets])}
    arrays |= look_at(model, clips, side, places, predicted, pseudonyms)
    arrays |= map_of(side, side.found[system][VECTORS], settings.seed, pseudonyms)
    if base is not None:
        try:
            arrays |= change_of(base, model)
        except DataError as error:  # a plot less
            log.warning("%s", error)
    return arrays
