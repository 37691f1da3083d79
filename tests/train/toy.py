"""A toy experiment with all that counted losses, ledgers, temperatures and several ranks touch.

Run as a program, it is one rank of a training: `python toy.py FOLDER COMMAND [SETTING=JSON ...]`.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, TrainerCallback
from transformers.utils import ModelOutput

from audiorig.config import GumbelConfig, LogConfig, TrainConfig
from audiorig.errors import DataError, Unfinished
from audiorig.files import read_json, write_json
from audiorig.provenance import stage
from audiorig.randomness import keyed_generator
from audiorig.train import ranks
from audiorig.train.experiment import Experiment, Relate
from audiorig.train.export import export
from audiorig.train.fit import fit
from audiorig.train.gumbel import GumbelSchedule

NUM_FRAMES, WIDTH = 12, 6
SETTINGS = {"max_steps": 8, "batch_size": 4, "eval_steps": 3, "save_steps": 4, "learning_rate": 1e-2, "cpu_threads": 1}


@dataclass
class ToyOutput(ModelOutput):
    loss: Tensor | None = None
    parts: dict[str, Any] | None = None


class ToyModel(PreTrainedModel):
    """Predicts frames from noisy ones; the noise is keyed by item and as strong as the temperature."""

    config_class = PreTrainedConfig
    main_input_name = "frames"
    accepts_loss_kwargs = True

    def __init__(self, config: PreTrainedConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        self.inner, self.outer = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH)
        self.dropout, self.temperature, self.poisoned = nn.Dropout(dropout), 1.0, set[int]()
        self.post_init()

    def set_gumbel_temperature(self, temperature: float) -> None:
        self.temperature = temperature

    def forward(self, frames: Tensor, labels: Tensor, keys: Tensor, num_items_in_batch: Any = None) -> ToyOutput:
        noise = [keyed_generator("toy", key).standard_normal(frames.shape[1:]) for key in keys.tolist()]
        noisy = frames + self.temperature * torch.from_numpy(np.stack(noise)).float()
        predicted = self.outer(self.dropout(self.inner(noisy).relu()))
        is_counted = labels != -100
        errors = (predicted - frames).square().mean(-1)[is_counted]
        count = is_counted.sum()
        divisor = count if num_items_in_batch is None else num_items_in_batch
        loss = errors.sum() / divisor
        if self.training and keys[0].item() in self.poisoned:
            loss = loss * float("nan")
        parts = {"error": (errors.detach().sum(), count), "share": (count, torch.tensor(labels.numel()))}
        return ToyOutput(loss=loss, parts=parts)


class PlantedModel(ToyModel):
    """Dev gives what is planted, as ``planted``: a number for each step, the last one from there on.

    Its inner half learns at a tenth of the rate, but for a frozen bias.
    """

    def __init__(self, config: PreTrainedConfig, dropout: float = 0.0, planted: Sequence[float] = (0.0,)) -> None:
        super().__init__(config, dropout)
        self.planted, self.num_steps = planted, 0
        self.rate_scales = {"inner": 0.1}
        self.inner.bias.requires_grad_(False)

    def derived(self, parts: dict[str, float]) -> dict[str, float]:
        return {"planted": self.planted[min(self.num_steps, len(self.planted) - 1)], "twice": 2 * parts["error"]}


class TellStep(TrainerCallback):
    """Tells the model how many steps came before."""

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **other: Any) -> None:
        model.num_steps = state.global_step


class ToyData:
    """Frames that are functions of (epoch, item), and the masks with them; some items hide far more than others."""

    def __init__(self, num_items: int) -> None:
        self.num_items, self.is_broken = num_items, False

    def __len__(self) -> int:
        return self.num_items

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, item = key
        if self.is_broken and item == 3:
            raise DataError("item 3: cannot be read")
        generator = keyed_generator("toy-crop", epoch, item)
        frames = generator.standard_normal((NUM_FRAMES, WIDTH)).astype(np.float32)
        is_hidden = generator.permutation(NUM_FRAMES) < 1 + item % (NUM_FRAMES - 1)
        return {
            "frames": torch.from_numpy(frames),
            "labels": torch.where(torch.from_numpy(is_hidden), 0, -100),
            "keys": torch.tensor(1000 * epoch + item),
            "seen": torch.tensor([item, int(generator.integers(1000)), 12, 0, 0]),
        }


def collate(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


class ToyLedger:
    """Remembers every crop that was heard, in order."""

    FILE = "heard.json"

    def __init__(self) -> None:
        self.crops: list[list[int]] = []

    def note(self, seen: Tensor) -> None:
        assert seen.dtype == torch.int64
        assert seen.device.type == "cpu"
        self.crops += seen[:, :2].tolist()

    def numbers(self) -> dict[str, float]:
        return {"heard": float(len(self.crops)), "distinct": float(len({tuple(crop) for crop in self.crops}))}

    def save(self, folder: Path) -> None:
        write_json(folder / self.FILE, self.crops)

    def load(self, folder: Path) -> None:
        self.crops = read_json(folder / self.FILE)


class Interrupt(TrainerCallback):
    """Sends a signal to this very process in the middle of a step."""

    def __init__(self, number: int, at_step: int) -> None:
        self.number, self.at_step = number, at_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **other: Any) -> None:
        if state.global_step == self.at_step:
            os.kill(os.getpid(), self.number)


def toy_experiment(
    dropout: float = 0.0,
    start: float = 0.5,
    num_items: int = 10,
    num_dev: int = 9,
    planted: Sequence[float] = (),
    relate: Relate | None = None,
) -> Experiment:
    """Ten items: an epoch ends within a step."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = PreTrainedConfig()
        model = PlantedModel(config, dropout, planted) if planted else ToyModel(config, dropout)
    schedule = GumbelSchedule(GumbelConfig(start=start, end=0.1, decay=0.9), is_seeded=True)
    callbacks = (schedule, TellStep()) if planted else (schedule,)
    data = (ToyData(num_items), ToyData(num_dev), collate, collate)
    return Experiment(model, *data, item_sec=1.0, callbacks=callbacks, ledger=ToyLedger(), relate=relate)


def toy_fit(
    folder: Path,
    *,
    stop_after_steps: int | None = None,
    interrupt: tuple[int, int] | None = None,
    poisoned: tuple[int, ...] = (),
    num_dev: int = 9,
    dropout: float = 0.0,
    broken_rank: int | None = None,
    planted: Sequence[float] = (),
    relate: Relate | None = None,
    callbacks: tuple[TrainerCallback, ...] = (),
    resume_from: Path | None = None,
    log: Mapping[str, Any] | None = None,
    start_weights: Path | None = None,
    run_settings: Mapping[str, Any] | None = None,
    **train: Any,
) -> tuple[list[dict[str, Any]], Experiment]:
    """The log and the trained experiment.

    Args:
        interrupt: rank and step of a SIGTERM to that rank alone.
        poisoned: keys of the items whose loss is NaN, where they come first in a micro-batch.
        broken_rank: this rank cannot read item 3.
        planted: what dev gives as ``planted`` after each step.
        callbacks: further ones.
        log: settings of the trackers.
    """
    experiment = toy_experiment(dropout, num_dev=num_dev, planted=planted, relate=relate)
    experiment.model.poisoned = set(poisoned)
    experiment.train_dataset.is_broken = ranks.rank() == broken_rank
    if interrupt is not None and ranks.rank() == interrupt[0]:
        callbacks = (*callbacks, Interrupt(signal.SIGTERM, interrupt[1]))
    experiment = Experiment(**{**vars(experiment), "callbacks": (*experiment.callbacks, *callbacks)})
    settings = TrainConfig.model_validate({**SETTINGS, **train})
    history, _ = fit(
        experiment,
        settings,
        folder,
        5,
        log=LogConfig.model_validate(log or {}),
        start_weights=start_weights,
        run_settings=run_settings,
        stop_after_steps=stop_after_steps,
        resume_from=resume_from,
    )
    return history, experiment


def program(folder: Path, command: str, options: dict[str, Any]) -> None:
    """One rank of a training, as the script `train.py` is one."""
    with stage("toy", beside=folder / "final.ckpt" if ranks.is_main() else None), ranks.joined(folder / "owner.json"):
        if command == "compare":
            compare(folder, options)
            return
        history, experiment = toy_fit(folder, **options)
        if ranks.is_main():
            export(
                experiment.model,
                history,
                final=folder / "final.ckpt",
                model_folder=folder / "model",
                history_file=folder / "history.json",
                settings={},
                provenance={},
                card="",
            )


def compare(folder: Path, options: dict[str, Any]) -> None:
    """An unbroken run, and one that a signal to the last rank cut: what each rank has logged, and its weights."""
    found: dict[str, Any] = {}
    last = ranks.world_size() - 1
    for name in ("whole", "cut"):
        try:
            toy_fit(folder / name, interrupt=(last, 4) if name == "cut" else None, **options)
        except Unfinished as stopped:
            found["stopped"] = str(stopped)
        history, experiment = toy_fit(folder / name, **options)
        weights = {key: tensor.tolist() for key, tensor in experiment.model.state_dict().items()}
        found[name] = {"history": history, "crops": experiment.ledger.crops, "weights": weights}
    write_json(folder / f"rank-{ranks.rank()}.json", found)


if __name__ == "__main__":
    where, what, *settings = sys.argv[1:]
    chosen = {name: json.loads(value) for name, _, value in (setting.partition("=") for setting in settings)}
    ranks.run(lambda: program(Path(where), what, chosen))
