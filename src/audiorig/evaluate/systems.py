"""A probe task scored: the encoder beside all its controls."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audiorig.config import ProbeConfig, ProbeTask
from audiorig.evaluate.baselines import LOG_MEL
from audiorig.evaluate.embed import ALL_BLOCKS
from audiorig.evaluate.folds import make_folds
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import classification_scores, metric_row
from audiorig.evaluate.pieces import item_names
from audiorig.evaluate.probe import ProbeResult, linear_probe, majority_probe, neighbour_probe
from audiorig.randomness import keyed_generator

MAJORITY = "majority"
RANDOM = "random-init"
SHUFFLED = "shuffled labels"
BEFORE = "before adaptation"


@dataclass(frozen=True)
class Features:
    """What every system makes of the same pieces.

    Attributes:
        encoder: layer -> (n, K).
        random_encoders: the same of untrained encoders, one per seed.
        spectral: control -> (n, K).
        before: like ``encoder``, of what it was before it was adapted; None if that is not asked.
    """

    encoder: dict[str, Floats]
    random_encoders: list[dict[str, Floats]]
    spectral: dict[str, Floats]
    before: dict[str, Floats] | None = None


class TaskScorer:
    """Scores all systems on one task; every score shares the same bootstrap draws."""

    def __init__(self, name: str, task: ProbeTask, table: pd.DataFrame, settings: ProbeConfig, system: str) -> None:
        self.name, self.task, self.settings, self.system, self.table = name, task, settings, system, table
        self.folds = make_folds(table, task, settings.seed)
        names, self.labels = np.unique(table[task.label].to_numpy(dtype=str), return_inverse=True)
        self.num_classes = len(names)
        tested = np.zeros(len(table), dtype=bool)
        for fold in self.folds:
            tested[fold.test] = True
        self.tested = np.flatnonzero(tested)
        groups = table[task.group].to_numpy(dtype=str)[self.tested]
        self.resampling = Resampling(groups.tolist(), settings.bootstrap, settings.seed, name)
        self.rows: list[dict[str, Any]] = []
        self._hits: dict[str, Floats] = {}

    def score(self, features: Features) -> list[dict[str, Any]]:
        """Rows of ``metrics.json`` for the encoder, its layers, its controls and the differences."""
        layers = features.encoder if self.settings.each_layer else self._candidates(features.encoder)
        by_layer = {layer: self._linear(features.encoder[layer]) for layer in layers}
        layer = self._headline_layer(by_layer)
        for name, result in by_layer.items():
            self._add(f"{self.system}, {name}", self._scores(result), layer=name, dev_accuracy=result.dev_accuracy)
        encoder = self._scores(by_layer[layer])
        self._note_hits(self.system, [by_layer[layer]])
        seen = int((self.table["split_side"].iloc[self.tested] == "train").sum())
        self._add(self.system, encoder, layer=layer, num_pretrained=seen)
        controls = {name: self._control(name, self._linear(matrix)) for name, matrix in features.spectral.items()}
        layer_of: dict[str, str] = {SHUFFLED: layer}
        if features.before is not None:
            layer_of[BEFORE], result = self._best(features.before)
            controls[BEFORE] = self._control(BEFORE, result)
        randoms, chosen = [], []
        for seed, each in enumerate(features.random_encoders):
            own_layer, result = self._best(each)
            randoms.append(self._scores(result))
            chosen.append(result)
            self._add(f"{RANDOM}, seed {seed}", randoms[-1], layer=own_layer, seed=seed)
        controls[RANDOM] = {name: Score.mean([scores[name] for scores in randoms]) for name in encoder}
        self._note_hits(RANDOM, chosen)
        controls[MAJORITY] = self._control(MAJORITY, majority_probe(self.labels, self.folds))
        controls[SHUFFLED] = self._shuffled(features.encoder[layer])
        for name, scores in controls.items():
            self._add(name, scores, layer=layer_of.get(name))
            self._add(f"{self.system} minus {name}", {m: encoder[m].minus(s) for m, s in scores.items()}, layer=layer)
        self._add_neighbours(features, layer, layer_of.get(BEFORE, layer))
        return self.rows

    def items(self) -> pd.DataFrame:
        """What ``score`` found, item by item: task, system, item, group and ``hit``.

        A hit is the share of the item's predictions that were right, over draws and repetitions, so
        that the mean of a system's hits is its accuracy.
        """
        table = self.table.iloc[self.tested]
        names = item_names(table, self.task.items == "segments").to_numpy(dtype=str)
        if self.task.piece_sec is not None:
            names = np.array([f"{name}#{start}" for name, start in zip(names, table["start"], strict=True)])
        groups = table[self.task.group].to_numpy(dtype=str)
        parts = [
            pd.DataFrame({"task": self.name, "system": system, "item": names, "group": groups, "hit": hits})
            for system, hits in self._hits.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def _note_hits(self, system: str, results: list[ProbeResult]) -> None:
        hits = [result.predicted[self.tested, self.labels[self.tested]] for result in results]
        self._hits[system] = np.mean(hits, axis=0)

    def _control(self, name: str, result: ProbeResult) -> dict[str, Score]:
        self._note_hits(name, [result])
        return self._scores(result)

    def _headline_layer(self, by_layer: dict[str, ProbeResult]) -> str:
        if self.settings.layer == "all":
            return ALL_BLOCKS
        return max(by_layer, key=lambda layer: by_layer[layer].dev_accuracy)

    def _best(self, features: dict[str, Floats]) -> tuple[str, ProbeResult]:
        """A control's layer and result: it chooses on dev as the encoder does, anything else would flatter."""
        by_layer = {layer: self._linear(features[layer]) for layer in self._candidates(features)}
        layer = self._headline_layer(by_layer)
        return layer, by_layer[layer]

    def _candidates(self, features: dict[str, Floats]) -> list[str]:
        """Layers that the headline may be taken from."""
        return [ALL_BLOCKS] if self.settings.layer == "all" else list(features)

    def _linear(self, matrix: Floats) -> ProbeResult:
        return linear_probe(matrix, self.labels, self.folds, self.settings.inverse_penalties)

    def _scores(self, result: ProbeResult) -> dict[str, Score]:
        return classification_scores(
            result.predicted[self.tested], self.labels[self.tested], self.num_classes, self.resampling
        )

    def _shuffled(self, matrix: Floats) -> dict[str, Score]:
        """The probe trained on labels that were dealt out anew: what is left is a leak or luck."""
        results = []
        for number in range(self.settings.shuffles):
            predicted = np.zeros((len(self.labels), self.num_classes))
            num_tests = np.zeros(len(self.labels), dtype=np.int64)
            for index, fold in enumerate(self.folds):
                generator = keyed_generator("shuffle", self.settings.seed, self.name, number, index)
                dealt = self.labels.copy()
                for side in (fold.train, fold.dev):
                    dealt[side] = generator.permutation(self.labels[side])
                result = linear_probe(matrix, dealt, [fold], self.settings.inverse_penalties)
                predicted[:, : result.predicted.shape[1]] += result.predicted
                num_tests += result.num_tests
            share = predicted / np.maximum(num_tests, 1)[:, None]
            results.append(ProbeResult(share, num_tests, float("nan")))
        self._note_hits(SHUFFLED, results)
        scores = [self._scores(result) for result in results]
        generator = keyed_generator("shuffle-bootstrap", self.settings.seed, self.name)
        return {name: Score.mean_of_draws([each[name] for each in scores], generator) for name in scores[0]}

    def _add_neighbours(self, features: Features, layer: str, layer_before: str) -> None:
        systems = {
            self.system: (features.encoder[layer], layer),
            **({RANDOM: (features.random_encoders[0][layer], layer)} if features.random_encoders else {}),
            LOG_MEL: (features.spectral[LOG_MEL], layer),
            **({BEFORE: (features.before[layer_before], layer_before)} if features.before else {}),
        }
        for name, (matrix, of_layer) in systems.items():
            result = neighbour_probe(matrix, self.labels, self.folds, self.settings.neighbours)
            self._add(name, {f"knn_{m}": s for m, s in self._scores(result).items() if m == "accuracy"}, layer=of_layer)

    def _add(self, system: str, scores: dict[str, Score], **more: Any) -> None:
        if "dev_accuracy" in more:
            more["dev_accuracy"] = round(more["dev_accuracy"], 6)
        for metric, score in scores.items():
            self.rows.append(metric_row(self.name, system, metric, score, self.resampling, len(self.tested), **more))
