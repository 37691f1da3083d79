"""Scores of one target: the tuned model, its controls, and what luck would score, with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiorig.config import ScoreConfig
from audiorig.data.target import Target
from audiorig.evaluate.answers_table import PERMUTED
from audiorig.evaluate.clip_metrics import (
    accuracies,
    auc,
    confusions,
    f1_scores,
    macro_auc,
    mean_errors,
    mean_of_existing,
    quadratic_kappa,
    recalls,
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
    """Every metric of a target, in each of R resamples.

    Classes and features: accuracy, balanced_accuracy (the mean recall, UAR), macro_f1, auc; classes
    also recall/{class}. Ratings: mae in units of the scale, spearman, kappa (squared weights, the
    expected step rounded), and balanced_accuracy and auc of being high. Means over classes are over
    those that occur.

    Args:
        true: (n,) all observed.
        answers: about the same clips.
        weights: (R, n), how often each clip occurs.
    """
    truth = true.astype(np.int64)
    match target.kind:
        case "class":
            confusion = confusions(truth, answers.predicted.astype(np.int64), target.num_answers, weights)
            ranked = macro_auc(answers.probabilities, truth, weights)
            by_class = recalls(confusion).T
            shown = {f"{RECALL}{target.classes[each]}": by_class[each] for each in np.unique(truth)}
            return {**_of_confusion(confusion), "auc": ranked, **shown}
        case "binary":
            confusion = confusions(truth, answers.predicted.astype(np.int64), 2, weights)
            return {**_of_confusion(confusion), "auc": auc(answers.probabilities[:, 0], truth == 1, weights)}
        case "rating":
            return _of_rating(target, true, answers, weights)


def _of_confusion(confusion: Floats) -> dict[str, Floats]:
    return {
        "accuracy": accuracies(confusion),
        "balanced_accuracy": mean_of_existing(recalls(confusion)),
        "macro_f1": mean_of_existing(f1_scores(confusion)),
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
        "balanced_accuracy": mean_of_existing(recalls(halves)),
        "auc": auc(high, is_high, weights),
    }


def nearest_steps(target: Target, predicted: Floats) -> np.ndarray:
    """Expected steps (n,) as steps; what lies in the middle goes up."""
    return np.clip(np.floor(predicted + 0.5), 0, len(target.steps) - 1).astype(np.int64)


def scores_of(target: Target, true: Floats, answers: Answer, resampling: Resampling) -> dict[str, Score]:
    """Every metric that the sample has, with its draws."""
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
        self._support = self._recall_support()

    def rows(
        self, answers: Mapping[str, Answer], about: Mapping[str, Mapping[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of ``scores.json``: each system's, and the paired differences of the model and each control.

        Args:
            answers: by system, about the observed clips; the tuned model among them.
            about: further fields of a system's rows.
        """
        scores = {system: scores_of(self.target, self.true, each, self.resampling) for system, each in answers.items()}
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

    def _luck(self, answers: Answer, mine: Mapping[str, Score]) -> tuple[dict[str, Score], dict[str, float]]:
        """The answers against labels that were dealt out anew; and how often those scored as well as the true ones."""
        ones = np.ones((1, len(self.true)))
        shuffles: list[dict[str, float]] = []
        for number in range(self.settings.shuffles):
            generator = keyed_generator("luck", self.settings.seed, self.target.name, number)
            dealt = deal_anew(self.true, self.groups, generator)
            values = measured(self.target, dealt, answers, ones)
            shuffles.append({name: float(values[name][0]) for name in mine})
        luck, tails = {}, {}
        for name, score in mine.items():
            drawn = np.array([each[name] for each in shuffles])
            drawn = drawn[np.isfinite(drawn)]
            if len(drawn):
                luck[name] = Score(float(drawn.mean()), drawn)
                as_good = drawn <= score.value + 1e-12 if name in ERRORS else drawn >= score.value - 1e-12
                tails[name] = round(float((1 + as_good.sum()) / (1 + len(drawn))), 6)
        return luck, tails

    def _rows_of(self, system: str, scores: Mapping[str, Score], **more: Any) -> list[dict[str, Any]]:
        rows = []
        for metric, score in scores.items():
            row = metric_row(self.target.name, system, metric, score, self.resampling, len(self.true))
            rows.append({**row, "kind": self.target.kind, **self._support.get(metric, {}), **more})
        return rows

    def _recall_support(self) -> dict[str, dict[str, int]]:
        """Clips and groups that the recall of each class is about."""
        groups = np.asarray(self.groups)
        found = {}
        for value, name in enumerate(self.target.answers):
            is_meant = self.true == value
            found[f"{RECALL}{name}"] = {"n": int(is_meant.sum()), "num_groups": len(set(groups[is_meant]))}
        return found


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
