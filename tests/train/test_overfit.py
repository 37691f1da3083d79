"""The whole training loop on a single batch: whoever cannot learn eight crops by heart learns nothing."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

from audiorig.experiments.wavemae_items import WaveMAEDataset, WaveMAEItem
from audiorig.train.fit import fit

SPEC = importlib.util.spec_from_file_location("train_conftest", Path(__file__).with_name("conftest.py"))
HELPERS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HELPERS)

STEPS, ITEMS = 100, 8


class SameBatch:
    """The first items of epoch 0, in every epoch: same crops, same masks."""

    def __init__(self, dataset: WaveMAEDataset) -> None:
        self.items = [dataset[0, item] for item in range(ITEMS)]

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, key: tuple[int, int]) -> WaveMAEItem:
        return self.items[key[1]]


def test_one_batch_is_learnt_by_heart(make_experiment: Any, tmp_path: Path) -> None:
    """All losses on, 100 steps: the total falls to under half, and so does every part that can be known."""
    run = HELPERS.tiny_run(max_steps=STEPS, batch_size=ITEMS, learning_rate=5e-3, eval_steps=STEPS, save_steps=STEPS)
    run = run.model_copy(update={"model": run.model.model_copy(update={"width": 32, "decoder_width": 64})})
    experiment = make_experiment(run)
    same = dataclasses.replace(experiment, train_dataset=SameBatch(experiment.train_dataset))
    history, _ = fit(same, run.train, tmp_path, run.seed)
    steps = [entry for entry in history if "main_recon" in entry]
    first, last = steps[0], steps[-1]
    assert len(steps) == STEPS
    print({name: (round(first[name], 3), round(last[name], 3)) for name in first if name in last})  # noqa: T201
    assert last["total"] < 0.5 * first["total"]
    assert last["aux_w2v"] < 0.5 * first["aux_w2v"]
    assert last["aux_crepe"] < 0.5 * first["aux_crepe"]
    assert last["main_percep"] < 0.7 * first["main_percep"]
