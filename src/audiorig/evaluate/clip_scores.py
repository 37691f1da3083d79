"""Scores of one target: the tuned model, its controls, and what luck would score, with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiorig.config import ScoreConfig
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import PERMUTED
from audiorig.evaluate.clip_metrics import (
    accuracies,
    auc,
    balanced_accuracies,
    confusions,
    f1_scores,
    macro_auc,
    mean_errors,
    mean_of_existing,
    quadratic_kappa,
    spearman,
)
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import classification_scores, metric_row
from audiorig.models.answers import HALF, Answer, high_probability
from audiorig.randomness import keyed_generator

ERRORS = frozenset({"mae"})  # less is better
AT_ONCE = 1 << 22  # weights of a block of draws: 32 MB
RECALL = "recall/"


def measured(target: Target, true: Floats, answers: Answer, weights: Floats) -> dict[str, Floats]:
    """Every metric of a target but recalls, in each of R resamples.

    Classes and features: accuracy, balanced_accuracy (the mean recall, UAR), macro_f1, auc.
    Ratings: mae in units of the scale, spearman, kappa (squared weights, the expected step
    rounded), and balanced_accuracy and auc of being high. Means over classes are over those that
    occur.

    Args:
        true: (n,) all observed.
        answers: about the same clips.
        weights: (R, n), how often each clip occurs.
    """
    truth = true.astype(np.int64)
    match target.kind:
        case "rating":
            return _of_rating(target, true, answers, weights)
        case "class":
            ranked = macro_auc(answers.probabilities, truth, weights)
        case "binary":
            ranked = auc(answers.probabilities[:, 0], truth == 1, weights)
    confusion = confusions(truth, answers.predicted.astype(np.int64), target.num_answers, weights)
    return {
        "accuracy": accuracies(confusion),
        "balanced_accuracy": balanced_accuracies(confusion),
        "macro_f1": mean_of_existing(f1_scores(confusion)),
        "auc": ranked,
    }


def _of_rating(target: Target, true: Floats, answers: Answer, weights: Floats) -> dict[str, Floats]:
    number = np.arange(len(target.steps))
    on_scale = [np.interp(steps, number, target.steps) for steps in (true, answers.predicted)]
    nearest = nearest_steps(target, answers.predicted)
    is_high, high = true >= target.high_step, high_probability(target, answers.probabilities)
    halves = confusions(is_high.astype(np.int64), (high >= HALF).astype(np.int64), 2, weights)
    return {
        "mae": mean_errors(np.abs(on_scale[0] - on_scale[1]), weights),
        "spearman": spearman(true, answers.predicted, weights),
        "kappa": quadratic_kappa(confusions(true.astype(np.int64), nearest, len(target.steps), weights)),
        "balanced_accuracy": balanced_accuracies(halves),
        "auc": auc(high, is_high, weights),
    }


def nearest_steps(target: Target, predicted: Floats) -> np.ndarray:
    """Expected steps (n,) as steps; what lies in the middle goes up."""
    return np.clip(np.floor(predicted + 0.5), 0, len(target.steps) - 1).astype(np.int64)


def scores_of(target: Target, true: Floats, answers: Answer, resampling: Resampling) -> dict[str, Score]:
    """Every metric that the sample has, but recalls, with its draws."""
    values = measured(target, true, answers, np.ones((1, len(true))))
    step = max(1, AT_ONCE // len(true))
    blocks = [
        measured(target, true, answers, resampling.weights(slice(first, first + step)))
        for first in range(0, resampling.num_draws, step)
    ]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    found = {
        name: Score(float(value[0]), drawn[name], resampling.tail)
        for name, value in values.items()
        if np.isfinite(value[0]) and np.isfinite(drawn[name]).any()
    }
    if target.kind == "class" and resampling.groups_are_labels(labels := true.astype(np.int64)):
        # A draw lacks whole classes then, and forgives what was confused with them.
        of_class = np.eye(target.num_answers)[answers.predicted.astype(np.int64)]
        found |= classification_scores(of_class, labels, target.num_answers, resampling)
    return found


class ClassClips:
    """The test clips of one class: its recall is about them alone, so only they are resampled.

    Args:
        clips: which ones they are.
        groups: theirs; if there are fewer than five, clips are resampled, and the score says so.
    """

    def __init__(self, clips: NDArray[np.int64], groups: list[str], draws: int, *key: str | int) -> None:
        self.clips, self.resampling = clips, Resampling(groups, draws, *key)

    def recall(self, true: Floats, answers: Answer) -> Score:
        hits = (answers.predicted[self.clips] == true[self.clips]).astype(np.float64)
        drawn = mean_errors(hits, self.resampling.weights())
        return Score(float(hits.mean()), drawn, self.resampling.tail)


class TargetScorer:
    """Scores all systems on one target's test clips; every score shares the same draws.

    Args:
        true: (n,) observed values.
        groups: of these clips.
        system: what rows call the tuned model.
    """

    def __init__(self, target: Target, true: Floats, groups: list[str], settings: ScoreConfig, system: str) -> None:
        self.target, self.true, self.groups, self.settings, self.system = target, true, groups, settings, system
        self.resampling = Resampling(groups, settings.bootstrap, settings.seed, target.name)
        self._classes: dict[str, ClassClips] = {}
        for value in np.unique(true.astype(np.int64)) if target.kind == "class" else ():
            clips = np.flatnonzero(true == value)
            key = (settings.seed, target.name, target.classes[value])
            of_class = ClassClips(clips, [groups[clip] for clip in clips], settings.bootstrap, *key)
            self._classes[f"{RECALL}{target.classes[value]}"] = of_class

    def rows(
        self, answers: Mapping[str, Answer], about: Mapping[str, Mapping[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of ``scores.json``: each system's, and the paired differences of the model and each control.

        Args:
            answers: by system, about the observed clips; the tuned model among them.
            about: further fields of a system's rows.
        """
        scores = {system: self._scores(each) for system, each in answers.items()}
        mine = scores[self.system]
        luck, tails = self._luck(answers[self.system], mine)
        rows: list[dict[str, Any]] = []
        for system, found in scores.items():
            rows += self._rows_of(system, found, **((about or {}).get(system, {})))
        for metric, score in luck.items():
            rows += self._rows_of(PERMUTED, {metric: score}, interval_over="shuffles", p_value=tails[metric])
        for system in [name for name in answers if name != self.system]:
            paired = {metric: mine[metric].minus(score) for metric, score in scores[system].items() if metric in mine}
            rows += self._rows_of(f"{self.system} minus {system}", paired)
        # What luck scores on average is a number; what is uncertain is the model's score.
        beyond = {
            metric: Score(mine[metric].value - score.value, mine[metric].replicates - score.value, mine[metric].tail)
            for metric, score in luck.items()
        }
        return rows + self._rows_of(f"{self.system} minus {PERMUTED}", beyond)

    def _scores(self, answers: Answer) -> dict[str, Score]:
        found = scores_of(self.target, self.true, answers, self.resampling)
        return found | {name: each.recall(self.true, answers) for name, each in self._classes.items()}

    def _luck(self, answers: Answer, mine: Mapping[str, Score]) -> tuple[dict[str, Score], dict[str, float]]:
        """The answers against labels that were dealt out anew; and how often those scored as well as the true ones."""
        ones = np.ones((1, len(self.true)))
        shuffles: list[dict[str, Floats]] = []
        for number in range(self.settings.shuffles):
            generator = keyed_generator("luck", self.settings.seed, self.target.name, number)
            dealt = deal_anew(self.true, self.groups, generator)
            shuffles.append(measured(self.target, dealt, answers, ones))
        luck, tails = {}, {}
        for name in [name for name in shuffles[0] if name in mine]:
            score, drawn = mine[name], np.array([each[name][0] for each in shuffles])
            drawn = drawn[np.isfinite(drawn)]
            if len(drawn):
                luck[name] = Score(float(drawn.mean()), drawn)
                as_good = drawn <= score.value + 1e-12 if name in ERRORS else drawn >= score.value - 1e-12
                tails[name] = round(float((1 + as_good.sum()) / (1 + len(drawn))), 6)
        return luck, tails

    def _rows_of(self, system: str, scores: Mapping[str, Score], **more: Any) -> list[dict[str, Any]]:
        rows = []
        for metric, score in scores.items():
            of_class = self._classes.get(metric)
            resampling = of_class.resampling if of_class else self.resampling
            num_items = len(of_class.clips) if of_class else len(self.true)
            row = metric_row(self.target.name, system, metric, score, resampling, num_items)
            numbers = {name: row[name] + 0.0 for name in ("value", "low", "high")}  # no -0.0
            rows.append({**row, **numbers, "kind": self.target.kind, **more})
        return rows


def deal_anew(true: Floats, groups: list[str], generator: np.random.Generator) -> Floats:
    """Labels (n,) dealt out anew, in runs: those of a group stay together as far as sizes allow.

    The labels of an infant's clips are alike, and so are the answers. To move single labels would
    tear both apart, and luck would look steadier than it is. So the labels, group after group, are
    laid over the clips, group after group in another order, and in any order within a group. Where
    each clip is a group of its own this is a plain shuffle.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    taken, laid = (
        np.lexsort((generator.random(len(true)), generator.permutation(len(names))[index])) for _ in range(2)
    )
    dealt = np.empty_like(true)
    dealt[laid] = true[taken]
    return dealt
