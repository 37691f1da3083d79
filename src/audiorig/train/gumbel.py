"""The temperature of a quantizer's choice of codes, as a function of the step."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import GumbelConfig

# wav2vec 2.0 (Baevski et al., 2020) anneals from 2 to 0.5: a checkpoint that is gone on from has come there.
START_FROM_SCRATCH, START_CONTINUED = 2.0, 0.5


class GumbelSchedule(TrainerCallback):
    """Sets the temperature before each step; logged as ``temperature``.

    Nothing is remembered: a resumed run has the temperatures of an unbroken one. No checkpoint
    holds them, and a model that was just loaded has its constructor's.

    Args:
        settings: start, end and decay.
        is_seeded: whether the quantizer has learnt nothing yet.
    """

    def __init__(self, settings: GumbelConfig, is_seeded: bool) -> None:
        self.end, self.decay = settings.end, settings.decay
        self.start = settings.start or (START_FROM_SCRATCH if is_seeded else START_CONTINUED)
        self._temperature = self.start

    def temperature(self, step: int) -> float:
        """Of the step that comes after so many."""
        return max(self.end, self.start * self.decay**step)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **other: Any
    ) -> None:
        self._temperature = self.temperature(state.global_step)
        model.set_gumbel_temperature(self._temperature)

    def numbers(self) -> dict[str, float]:
        return {"temperature": self._temperature}
