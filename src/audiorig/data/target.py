"""One thing that is predicted of a clip: from the words of a table to the numbers that a network learns.

A value is the number of a class, 0 or 1, or the number of a step on a scale; NaN where the cell
is empty.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.config import Kind
from audiorig.errors import DataError

MISSING = math.nan
CLOSE = 1e-6  # what a rating may lie beside its step: a column may hold float32


@dataclass(frozen=True)
class Target:
    """One thing to predict, with all that the training side says about it.

    Attributes:
        name: as in the settings.
        kind: class, binary or rating.
        column: of the split's tables.
        classes: names of the C classes, in the order of the network's outputs.
        is_listed: whether the settings name the classes: then any other value is an error. If not,
            they are those of the training side, and a value that it lacks is missing.
        merge: values that count as another, (value, other) each.
        positive, negative: values of a binary feature that is there, and of one that is not.
        steps: the S steps of a rating, from low to high.
        threshold: ratings from here on count as high.
        weights: of the answers in the loss: C, or 2, or S of them; a class that the training side
            lacks has 0. Empty: all weigh the same.
        label_smoothing: share of a class' target that all classes get.
        has_cutpoints: whether a rating is learnt step by step; else its one score is only ranked.
    """

    name: str
    kind: Kind
    column: str
    classes: tuple[str, ...] = ()
    is_listed: bool = False
    merge: tuple[tuple[str, str], ...] = ()
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    steps: tuple[float, ...] = ()
    threshold: float | None = None
    weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    has_cutpoints: bool = True

    @property
    def num_outputs(self) -> int:
        """Outputs of a head: one for each class, else one. The cutpoints of a rating are no part of the head."""
        return len(self.classes) if self.kind == "class" else 1

    @property
    def num_answers(self) -> int:
        """How many different values it can have."""
        return {"class": len(self.classes), "binary": 2, "rating": len(self.steps)}[self.kind]

    @property
    def answers(self) -> tuple[str, ...]:
        """What the values 0, 1, ... mean, for people."""
        if self.kind == "rating":
            return tuple(f"{step:g}" for step in self.steps)
        return self.classes if self.kind == "class" else ("no", "yes")

    @property
    def high_step(self) -> int:
        """Number of the lowest step that counts as high."""
        assert self.threshold is not None
        return next(index for index, step in enumerate(self.steps) if step >= self.threshold - CLOSE)

    def encode(self, value: Any, clip: str = "") -> float:
        """The number that stands for a cell.

        Args:
            value: text, a number or a truth value; None, NaN or an empty text where it is missing.
            clip: whose it is, for the message.

        Raises:
            DataError: for what is no value of this target.
        """
        text = cell_text(value)
        text = dict(self.merge).get(text, text)
        if not text:
            return MISSING
        found = {"class": self._class_of, "binary": self._answer_of, "rating": self._step_of}[self.kind](text)
        if found is None:
            where = f"{clip}: " if clip else ""
            raise DataError(
                f"{where}column {self.column!r} holds {text!r}, which is no value of target {self.name!r} "
                f"({self.kind}): expected {self._expected()}, or an empty cell; correct the table, or the target's "
                "settings"
            )
        return found

    def encode_all(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """The numbers (n,) of a table with the columns wav_path and this target's.

        Raises:
            DataError: if the column is not there, or for what is no value of this target.
        """
        if self.column not in rows.columns:
            raise DataError(
                f"target {self.name!r}: there is no column {self.column!r} in the split's tables; "
                f"there are: {', '.join(map(str, rows.columns))}"
            )
        texts = [cell_text(value) for value in rows[self.column]]
        first = dict(zip(reversed(texts), reversed(rows["wav_path"].tolist()), strict=True))  # clip with each text
        numbers = {text: self.encode(text, str(clip)) for text, clip in first.items()}
        return np.array([numbers[text] for text in texts], dtype=np.float32)

    def _class_of(self, text: str) -> float | None:
        if text in self.classes:
            return float(self.classes.index(text))
        return None if self.is_listed else MISSING

    def _answer_of(self, text: str) -> float | None:
        answers = {each.casefold(): 0.0 for each in self.negative} | {each.casefold(): 1.0 for each in self.positive}
        answers |= dict.fromkeys(self.negative, 0.0) | dict.fromkeys(self.positive, 1.0)
        for spelling in (text, text.casefold(), cell_text(_number(text))):  # a column with gaps holds 1.0 for 1
            if spelling in answers:
                return answers[spelling]
        return None

    def _step_of(self, text: str) -> float | None:
        value = _number(text)
        near = [index for index, step in enumerate(self.steps) if value is not None and abs(value - step) <= CLOSE]
        return float(near[0]) if near else None

    def _expected(self) -> str:
        if self.kind == "binary":
            return f"one of {', '.join(self.positive)} (there) and {', '.join(self.negative)} (not there)"
        return f"one of {', '.join(self.answers)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()} | {
            "merge": [list(pair) for pair in self.merge]
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Target":
        """What ``to_dict`` gave."""
        known = {field.name: plain[field.name] for field in fields(cls) if field.name in plain}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known | {"merge": tuple((value, other) for value, other in plain.get("merge", ()))})


def cell_text(value: Any) -> str:
    """What a cell of a table says: true and false in small letters, 1.0 as 1, nothing where it is empty."""
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    ):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
