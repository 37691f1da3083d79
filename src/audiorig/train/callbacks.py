"""What happens between steps: signals, early stops, the progress bar, TensorBoard."""

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from audiorig.config import SelectionConfig, TrainConfig
from audiorig.train import best, ranks
from audiorig.train.ranks import SIGNALS
from audiorig.train.schedule import PlateauSchedule, num_reductions
from audiorig.train.selection import is_hopeless, judge, require_metric


@runtime_checkable
class HasNumbers(Protocol):
    """A callback with numbers of its own in the log of every step."""

    def numbers(self) -> dict[str, float]:
        """What is logged of the step that was just made; on all ranks the same."""


class StopInGoodOrder(TrainerCallback):
    """Finish the step, save, stop: when a signal says so, or after a number of steps.

    A signal to one rank stops all of them at the same step.

    Args:
        stop_after_steps: steps of this call, None for no limit.

    Attributes:
        reason: why the run was stopped, None if it was not.
    """

    def __init__(self, stop_after_steps: int | None = None) -> None:
        self.stop_after_steps = stop_after_steps
        self.reason: str | None = None
        self._signal = 0
        self._last_step: int | None = None
        self._handlers: dict[int, Any] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if self.stop_after_steps is not None:
            self._last_step = state.global_step + self.stop_after_steps
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if number := ranks.largest(self._signal):
            self.reason = signal.Signals(number).name
        elif self._last_step is not None and state.global_step >= self._last_step:
            self.reason = f"--stop_after_steps {self.stop_after_steps}"
        if self.reason:
            control.should_save = control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)


class FollowDev(TrainerCallback):
    """What an evaluation on dev leads to: checkpoints of the best ones, a lower rate, an early end.

    Nothing is remembered: all of it follows from the log, and from what lies in the folder.

    Args:
        settings: those of the run, which must say that dev is followed, or its best checkpoints kept.
        root: the folder of its checkpoints.
    """

    def __init__(self, settings: TrainConfig, root: Path) -> None:
        self.settings, self.root = settings, root

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        lr_scheduler: Any = None,
        **other: Any,
    ) -> None:
        selection, history, step = self.settings.selection, state.log_history, state.global_step
        require_metric(metrics or {}, selection)
        if selection.keep_top:
            top = ranks.from_main(lambda: best.top(self.root, history, selection, now=step))
            control.should_save |= step in [each for each, _ in top]
        if selection.keep_best and judge(history, selection).best_step == step:
            control.should_save = True
        if is_hopeless(history, selection):
            control.should_save = control.should_training_stop = True
        if isinstance(lr_scheduler, PlateauSchedule):
            lr_scheduler.take_in(num_reductions(history, self.settings))


class ProgressBar(TrainerCallback):
    """Steps, loss, seconds of audio per second, time left; and that a run stops early.

    Args:
        step_sec: seconds of audio that a step takes in.
        selection: when it does.
    """

    def __init__(self, step_sec: float, selection: SelectionConfig) -> None:
        self.step_sec, self.selection = step_sec, selection
        self.bar: tqdm | None = None
        self._started = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        interval = 0.5 if sys.stderr.isatty() else 5.0
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="train", unit="step")
        self.bar.mininterval = interval
        self._started = (time.monotonic(), state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **other: Any,
    ) -> None:
        if self.bar is None or logs is None or "total" not in logs:
            return
        began, first = self._started
        rate = (state.global_step - first) * self.step_sec / max(1e-9, time.monotonic() - began)
        self.bar.set_postfix(loss=f"{logs['total']:.4f}", audio_s_per_s=f"{rate:.0f}", refresh=False)
        self.bar.update(state.global_step - self.bar.n)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        is_early = state.global_step < state.max_steps and is_hopeless(state.log_history, self.selection)
        if self.bar is not None and is_early:
            self.bar.set_description(f"train, stops at step {state.global_step} early")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if self.bar is not None:
            self.bar.close()


def is_between(entry: Mapping[str, Any], step: int, every_steps: int) -> bool:
    """Whether an entry of the log is of a training step that trackers are not told of."""
    return "learning_rate" in entry and step % every_steps != 0


def scalars(entry: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an entry of the log as train/... and eval/...; text, which callbacks keep there, is left out."""
    found = {}
    for name, value in entry.items():
        side, _, rest = name.partition("_")
        if name != "epoch" and isinstance(value, int | float):
            found[f"eval/{rest}" if side == "eval" else f"train/{name}"] = value
    return found


class TensorBoard(TrainerCallback):
    """Logged numbers as scalars; a resumed run leaves no doubled points.

    Args:
        every_steps: of training steps, only each such one; of dev, all.
    """

    def __init__(self, folder: Path, every_steps: int = 1) -> None:
        self.folder, self.every_steps = folder, every_steps
        self.writer: SummaryWriter | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        # Whatever was logged beyond the checkpoint (all of it, at a fresh start) comes again.
        purge = state.global_step + 1 if state.global_step else 0
        self.writer = SummaryWriter(str(self.folder), purge_step=purge)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **other: Any,
    ) -> None:
        if self.writer is None or is_between(logs or {}, state.global_step, self.every_steps):
            return
        for tag, value in scalars(logs or {}).items():
            self.writer.add_scalar(tag, value, state.global_step)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **other: Any) -> None:
        if self.writer is not None:
            self.writer.close()
