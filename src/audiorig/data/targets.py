"""What a run predicts of its clips. Which classes there are, and how rare each is, the training side alone decides."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from audiorig.config import TargetConfig
from audiorig.data.target import Target, cell_text
from audiorig.errors import ConfigError, DataError

__all__ = ["Target", "absent_classes", "cell_text", "resolve_targets", "value_counts"]


def resolve_targets(targets: Mapping[str, TargetConfig], train_rows: pd.DataFrame) -> tuple[Target, ...]:
    """Targets with their classes and weights, in the order of the settings.

    Args:
        targets: by name, those that a run learns.
        train_rows: the training side, with wav_path and the targets' columns.

    Raises:
        ConfigError: for classes and merges that contradict each other.
        DataError: for cells that are no value of their target, and for a target of which the
            training side has fewer than two different values: there is nothing to learn.
    """
    return tuple(_resolve(name, settings, train_rows) for name, settings in targets.items())


def _resolve(name: str, settings: TargetConfig, rows: pd.DataFrame) -> Target:
    _check_merge(name, settings)
    column = settings.column or name
    merge = dict(settings.merge)
    classes = settings.classes
    if settings.kind == "class" and not classes and column in rows.columns:
        texts = {cell_text(value) for value in rows[column]}
        classes = tuple(sorted({merge.get(text, text) for text in texts} - {""}))
    target = Target(
        name=name,
        kind=settings.kind,
        column=column,
        classes=classes,
        is_listed=bool(settings.classes),
        merge=tuple(merge.items()),
        positive=settings.positive if settings.kind == "binary" else (),
        negative=settings.negative if settings.kind == "binary" else (),
        steps=settings.steps,
        threshold=settings.threshold,
        label_smoothing=settings.label_smoothing,
    )
    counts = value_counts(target, rows)
    if sum(count > 0 for count in counts) < 2:
        found = ", ".join(f"{answer}: {count}" for answer, count in zip(target.answers, counts, strict=True))
        raise DataError(
            f"target {name!r}: expected two different values or more in column {column!r} of the training side, found "
            f"{found or 'none'}; nothing can be learnt of it: leave it out of `use`, or take another split"
        )
    return Target(**vars(target) | {"weights": _weights(target, settings, counts)})


def value_counts(target: Target, rows: pd.DataFrame) -> list[int]:
    """How many rows have each value of a target."""
    values = target.encode_all(rows)
    return np.bincount(values[~np.isnan(values)].astype(int), minlength=target.num_answers).tolist()


def _weights(target: Target, settings: TargetConfig, counts: Sequence[int]) -> tuple[float, ...]:
    """n / (C * n_c) for each answer; 0 for a class that the training side lacks."""
    if settings.weights == "none" and (target.kind != "class" or min(counts) > 0):
        return ()
    if settings.weights == "none":
        return tuple(float(count > 0) for count in counts)
    num_found = sum(count > 0 for count in counts)
    balanced = [sum(counts) / (num_found * count) if count else 0.0 for count in counts]
    if target.kind == "rating":  # a step that is on the scale, and only not in the sample: as the rarest that is
        balanced = [weight or max(balanced) for weight in balanced]
    return tuple(balanced)


def _check_merge(name: str, settings: TargetConfig) -> None:
    merged = {value for value, other in settings.merge.items() if value != other}
    if chained := sorted(merged & set(settings.merge.values())):
        raise ConfigError(f"targets.{name}.merge: {chained[0]!r} is both merged and merged into: name the last one")
    if lost := sorted(merged & set(settings.classes)):
        raise ConfigError(
            f"targets.{name}: {lost[0]!r} is one of classes, and merge counts it as {settings.merge[lost[0]]!r}; "
            "take it out of one of them"
        )


def absent_classes(targets: Sequence[Target], sides: Mapping[str, pd.DataFrame]) -> list[str]:
    """Sentences about classes that dev or test have and the training side has not.

    Args:
        sides: tables by the name of their side; "train" among them.
    """
    return [sentence for target in targets if target.kind == "class" for sentence in _absent_classes(target, sides)]


def _absent_classes(target: Target, sides: Mapping[str, pd.DataFrame]) -> list[str]:
    merge, found = dict(target.merge), {}
    for side, rows in sides.items():
        texts = (cell_text(value) for value in rows[target.column])
        names = [merge.get(text, text) for text in texts]
        found[side] = pd.Series([name for name in names if name], dtype=object).value_counts()
    consequence = "; the scores count each as an error" if target.is_listed else ", and of the scores"
    return [
        f"target {target.name!r}: class {name!r} has no clip on train, and {count} on {side}: they are left out of the "
        f"loss{consequence}"
        for side, counts in found.items()
        if side != "train"
        for name, count in sorted(counts.items())
        if name not in found["train"].index
    ]
