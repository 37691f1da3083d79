"""How much the vectors of clips differ before training, for heads that standardise them."""

import numpy as np
import torch

from audiorig.data.clips import ClipCollate, ClipDataset
from audiorig.models.modes import evaluating
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import keyed_generator, random_state_fence

NUM_CLIPS = 512  # enough for a mean and a deviation
BATCH_SIZE = 16


def measure_vector_scale(model: SpeechTuner, clips: ClipDataset, seed: int) -> None:
    """Set center and scale of a model's heads, from clips drawn by key: equal on all ranks and after a restart.

    Args:
        clips: the training side, read as in evaluation.
    """
    order = keyed_generator("vector-scale", seed).permutation(len(clips))
    chosen = np.sort(order[:NUM_CLIPS]).tolist()
    collate, found = ClipCollate(), []
    with random_state_fence(), evaluating(model), torch.no_grad():
        for first in range(0, len(chosen), BATCH_SIZE):
            batch = collate([clips[0, item] for item in chosen[first : first + BATCH_SIZE]])
            found.append(model(batch["waveform"], batch["lengths"]).vectors)
    model.heads.standardize_by(torch.cat(found))
