"""One step of wav2vec2's contrastive task, forward and backward: ours against transformers' own class.

Both have the same weights, the same hidden frames and the same negatives; that their contrastive
losses are equal (without noise) is checked first. Interleaved, the best round of each counts; times
are of the processor, with one thread.

    PYTHONPATH=src python benchmarks/contrastive.py --rounds 5
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from transformers import Wav2Vec2ForPreTraining

from audiorig.config import LongCropConfig, SeededConfig, Wav2Vec2TrainingConfig
from audiorig.data.long_crops import LongCrop
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.wav2vec2.batches import FrameCounter, PretrainingCollate
from audiorig.models.wav2vec2.checkpoint import load_base
from audiorig.models.wav2vec2.pretraining import Wav2Vec2Pretrainer

PRETRAINED = Path(__file__).parents[1] / "config/pretrained.yaml"
RATE = 16000


def networks(folder: Path) -> tuple[Wav2Vec2Pretrainer, Wav2Vec2ForPreTraining]:
    """The default run's network, twice."""
    make_seeded(SeededConfig.model_validate(yaml.safe_load(PRETRAINED.read_text())["tiny-wav2vec2"]), folder)
    ours = load_base(folder, Wav2Vec2TrainingConfig(dropout=0.0, feature_grad_scale=1.0, feature_penalty=0.0))
    theirs = Wav2Vec2ForPreTraining.from_pretrained(folder, config=ours.config).train()
    return ours, theirs


def make_batch(ours: Wav2Vec2Pretrainer, num_items: int, crop_sec: float) -> dict[str, torch.Tensor]:
    """Crops of noise with their masks and negatives."""
    data = LongCropConfig(crop_sec=crop_sec)
    collate = PretrainingCollate(ours.settings, data, 0, FrameCounter.of(ours.config), True, "train")
    length = round(crop_sec * RATE)
    noise = np.random.default_rng(0).standard_normal((num_items, length)).astype(np.float32)
    batch = collate([(LongCrop(0, i, i, "", 0, length, 0, False), row) for i, row in enumerate(noise)])
    del batch["seen"]
    return batch


def contenders(folder: Path, num_items: int, crop_sec: float) -> dict[str, Callable[[], torch.Tensor]]:
    """Losses per hidden frame, to be propagated back."""
    ours, theirs = networks(folder)
    batch = make_batch(ours, num_items, crop_sec)
    frames = batch["is_hidden"].shape[1]
    negatives = batch["negatives"] + frames * torch.arange(num_items)[:, None, None]  # theirs counts over the batch

    def loss_of_theirs() -> torch.Tensor:
        output = theirs(batch["input_values"], mask_time_indices=batch["is_hidden"], sampled_negative_indices=negatives)
        return output.loss / batch["is_hidden"].sum()

    def loss_of_ours() -> torch.Tensor:
        return ours(**batch).loss

    for network in (ours, theirs):
        network.eval()
    with torch.no_grad():
        difference = abs(float(loss_of_ours()) - float(loss_of_theirs()))
    if difference > 1e-3:
        raise SystemExit(f"the losses differ by {difference:.4f}: nothing to compare")
    for network in (ours, theirs):
        network.train()
    return {"ours": loss_of_ours, "transformers": loss_of_theirs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--crop-sec", type=float, default=8.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        losses = contenders(Path(folder) / "tiny", arguments.items, arguments.crop_sec)
        best = dict.fromkeys(losses, float("inf"))
        for _ in range(1 + arguments.rounds):  # the first warms up, and may win
            for name, loss in losses.items():
                began = time.process_time()
                loss().backward()
                best[name] = min(best[name], time.process_time() - began)
    for name, seconds in best.items():
        print(f"{name:14s} {seconds:.3f} s/step")
    print(f"RATIO transformers_over_ours {best['transformers'] / best['ours']:.2f}")


if __name__ == "__main__":
    main()
