"""The collapse guard: ends a run whose quantizer has given up.

Contrastive pre-training has a cheap way out: all frames get the same few codes, or codes that
say where a frame stands. The loss falls, the accuracy nears 1, and nothing is learnt; only the
perplexity of the codebooks shows it (transformers issues 14387 and 19588).
"""

import math
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import CollapseConfig
from audiorig.errors import DataError

SUSPICIOUS_SHARE = 0.2  # of the most possible perplexity, where the accuracy is too good to be true


class CollapseGuard(TrainerCallback):
    """Watches the logged ``perplexity`` and ``accuracy``; changes nothing.

    What it has seen stands in the log, which is part of a checkpoint: a resumed run goes on
    counting.

    Args:
        settings: what is too low, and for how many steps in a row.
        most_perplexity: that of codes used alike: codebooks times codes.

    Raises:
        DataError: from ``on_log``, on all ranks at the same step.
    """

    def __init__(self, settings: CollapseConfig, most_perplexity: float) -> None:
        self.settings, self.most_perplexity = settings, most_perplexity

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if not state.log_history or "perplexity" not in state.log_history[-1]:
            return
        self._require_frames(state.log_history)
        row = self._bad_row(state.log_history)
        if len(row) < self.settings.patience_steps:
            return
        first, last = row[-1], row[0]
        raise DataError(
            f"the quantizer has collapsed: from step {first['step']} to step {last['step']} the perplexity of its "
            f"codebooks was {_range(row, 'perplexity')} of at most {self.most_perplexity:g}, with a contrastive "
            f"accuracy of {_range(row, 'accuracy')}; lower train.learning_rate, raise model.diversity_weight or "
            "model.gumbel.start (each starts the run anew), and look at what is heard (silence, one steady noise); to "
            "let it go on, change model.collapse"
        )

    def _require_frames(self, history: list[dict[str, Any]]) -> None:
        """A step in which nothing counted teaches nothing; many in a row are no run."""
        recent = [entry for entry in history if "perplexity" in entry][-self.settings.patience_steps :]
        if len(recent) == self.settings.patience_steps and not any(math.isfinite(e["perplexity"]) for e in recent):
            raise DataError(
                f"no frame counted from step {recent[0]['step']} to step {recent[-1]['step']}: every crop was too "
                "silent or too short; lower data.silence.min_rms_dbfs and active_dbfs, set data.silence.when_silent: "
                "accept, or look at the recordings"
            )

    def is_bad(self, entry: Mapping[str, float]) -> bool:
        """Whether a step shows a collapse."""
        share = entry["perplexity"] / self.most_perplexity
        is_too_easy = entry.get("accuracy", 0.0) > self.settings.max_accuracy
        return share < self.settings.min_perplexity_share or (is_too_easy and share < SUSPICIOUS_SHARE)

    def _bad_row(self, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The steps in a row that show it, newest first, as many as it takes."""
        row: list[dict[str, Any]] = []
        for entry in reversed(history):
            if len(row) == self.settings.patience_steps:
                break
            # Evaluations have no such entry; a step without a hidden frame says nothing.
            if not math.isfinite(entry.get("perplexity", math.nan)):
                continue
            if not self.is_bad(entry):
                break
            row.append(entry)
        return row


def _range(entries: list[dict[str, Any]], name: str) -> str:
    """Lowest to highest of what was logged."""
    values = [entry[name] for entry in entries if name in entry]
    if not values:
        return "unknown"
    return f"{min(values):.3g} to {max(values):.3g}"
