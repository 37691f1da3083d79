"""What a run left behind of the traces that it predicts, and what was found in the listeners' own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.data.manifest import read_table
from audiorig.files import read_json

TRUE = "true"
SHOWN_OF_A_LIST = 20


@dataclass(frozen=True)
class Heard:
    """Traces and what is known of them.

    Attributes:
        predictions: trace_id, song_id, participant_id, dataset, system, values: test traces, true and predicted.
        nulls: by dataset, what predictions that know nothing of the song reach.
        quality: counts of the corpus' traces, by what was flagged.
        excluded: traces that are in no split, with their flags.
        missing: songs without audio.
        assumptions: what was taken for granted of the data: code, text, count, files.
    """

    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    nulls: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    excluded: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)
    assumptions: list[dict[str, Any]] = field(default_factory=list)

    def values(self, song_id: str, system: str) -> list[NDArray[np.float32]]:
        """The traces of a song's listeners, (M,) each, true or as a system predicts them."""
        rows = self.predictions
        found = rows.loc[(rows["song_id"] == song_id) & (rows["system"] == system), "values"]
        return [np.asarray(values, dtype=np.float32) for values in found]


def read_heard(scores: Path, traces: Path) -> Heard:
    """Read both.

    Args:
        scores: folder ``traces`` of the run.
        traces: folder ``traces`` of the corpus.
    """
    return Heard(
        predictions=read_table(scores / "predictions.parquet"),
        nulls=read_json(scores / "nulls.json"),
        quality=read_json(traces / "quality.json"),
        excluded=pd.read_csv(traces / "excluded.csv", dtype=str, keep_default_na=False),
        missing=pd.read_csv(traces / "missing_audio.csv", dtype=str, keep_default_na=False),
        assumptions=read_json(traces / "assumptions.json"),
    )
