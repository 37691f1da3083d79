"""How well hidden frames are rebuilt, by their distance to the nearest visible one.

Neighbouring STFT frames overlap, so a frame beside a visible one can be interpolated; only the
distances beyond tell what was learnt. Linear interpolation and the mean of the visible frames
stand beside the model.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import metric_row
from audiorig.files import written_aside
from audiorig.models.masks import draw_spans
from audiorig.models.wavemae import WaveMAE
from audiorig.randomness import keyed_generator, random_state_fence

DISTANCES = {"1": (1, 1), "2-3": (2, 3), "4-5": (4, 5), "6-8": (6, 8), "over 8": (9, 1 << 30)}
INTERPOLATION = "linear interpolation"
VISIBLE_MEAN = "mean of visible frames"

Frames = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RebuiltClip:
    """One clip: standardised log magnitudes (N, F), real frames only."""

    name: str
    original: Frames
    predicted: Frames
    is_hidden: Bools


def rebuild_clips(model: WaveMAE, clips: list[tuple[str, Frames]], seed: int) -> list[RebuiltClip]:
    """Hide spans of each clip, by a key of its name, and let the model fill them in.

    Args:
        clips: name and waveform (T,) of each.
    """
    shape, rebuilt = model.shape, []
    with random_state_fence():
        for name, waveform in tqdm(clips, "reconstruct", unit="clip", mininterval=1):
            lengths = torch.tensor([len(waveform)])
            num_latents = (1 + len(waveform) // model.stft.hop) // shape.stride
            generator = keyed_generator("mask", "evaluate", seed, name)
            hidden = draw_spans(generator, num_latents, shape.mask_ratio, shape.min_span, shape.max_span)
            batch = torch.from_numpy(waveform)[None]
            built = model.reconstruct(batch, lengths, torch.from_numpy(hidden)[None])
            arrays = (each[0].numpy() for each in (built.original, built.predicted, built.is_hidden))
            rebuilt.append(RebuiltClip(name, *arrays))
    return rebuilt


def distance_to_visible(is_hidden: Bools) -> NDArray[np.int64]:
    """(N,) frames to the nearest visible frame; 0 where visible."""
    visible = np.flatnonzero(~is_hidden)
    frames = np.arange(len(is_hidden))
    after = np.searchsorted(visible, frames)
    right = visible[np.minimum(after, len(visible) - 1)]
    left = visible[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(right - frames), np.abs(frames - left))


def interpolate(original: Frames, is_hidden: Bools) -> Frames:
    """Hidden frames (N, F) drawn as straight lines between the visible ones; flat at the ends."""
    visible, frames = np.flatnonzero(~is_hidden), np.arange(len(is_hidden))
    position = np.interp(frames, visible, np.arange(len(visible)))
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, len(visible) - 1)
    share = (position - below)[:, None]
    return ((1 - share) * original[visible[below]] + share * original[visible[above]]).astype(np.float32)


def squared_errors(clip: RebuiltClip, is_scored: Bools) -> dict[str, Floats]:
    """Sums over the hidden frames of one clip, by distance.

    Returns:
        ``model`` and the two anchors: squared errors (5,); ``total``: squares about zero, which is
        the per-bin mean of the training side.
    """
    distance = distance_to_visible(clip.is_hidden)
    masks = [clip.is_hidden & (distance >= low) & (distance <= high) for low, high in DISTANCES.values()]
    original = clip.original[:, is_scored].astype(np.float64)
    guesses = {
        "model": clip.predicted[:, is_scored],
        INTERPOLATION: interpolate(clip.original, clip.is_hidden)[:, is_scored],
        VISIBLE_MEAN: np.broadcast_to(original[~clip.is_hidden].mean(0), original.shape),
        "total": np.zeros_like(original),
    }
    return {
        name: np.array([np.square(original[mask] - guess[mask]).sum() for mask in masks])
        for name, guess in guesses.items()
    }


def reconstruction_rows(
    clips: list[RebuiltClip], groups: list[str], is_scored: Bools, system: str, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of ``metrics.json``: hidden-frame R2 by distance, of the model and the anchors."""
    resampling = Resampling(groups, bootstrap, seed, "reconstruction")
    sums = [squared_errors(clip, is_scored) for clip in clips]
    total, drawn_total = resampling.totals(np.stack([each["total"] for each in sums]))
    drawn_total = np.where(drawn_total > 0, drawn_total, np.nan)  # a draw may lack a distance
    scores: dict[str, list[Score]] = {}
    for name in ("model", INTERPOLATION, VISIBLE_MEAN):
        error, drawn_error = resampling.totals(np.stack([each[name] for each in sums]))
        scores[name] = [
            Score(float(1 - error[bin] / total[bin]), 1 - drawn_error[:, bin] / drawn_total[:, bin], resampling.tail)
            for bin in range(len(DISTANCES))
            if total[bin] > 0
        ]
    scores[system] = scores.pop("model")
    for anchor in (INTERPOLATION, VISIBLE_MEAN):
        scores[f"{system} minus {anchor}"] = [
            mine.minus(theirs) for mine, theirs in zip(scores[system], scores[anchor], strict=True)
        ]
    distances = [name for name, is_there in zip(DISTANCES, total > 0, strict=True) if is_there]
    return [
        metric_row("reconstruction", name, f"r2 at {distance} frames", score, resampling, len(clips))
        for name, each in scores.items()
        for distance, score in zip(distances, each, strict=True)
    ]


def save_examples(clips: list[RebuiltClip], path: Path) -> None:
    """Write clips to look at: arrays only, no pickles."""
    arrays: dict[str, Any] = {"names": np.array([clip.name for clip in clips], dtype=str)}
    for index, clip in enumerate(clips):
        arrays[f"original_{index}"] = clip.original.astype(np.float16)
        arrays[f"predicted_{index}"] = clip.predicted.astype(np.float16)
        arrays[f"is_hidden_{index}"] = clip.is_hidden
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_examples(path: Path) -> list[RebuiltClip]:
    """Read what ``save_examples`` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return [
            RebuiltClip(
                str(name),
                arrays[f"original_{index}"].astype(np.float32),
                arrays[f"predicted_{index}"].astype(np.float32),
                arrays[f"is_hidden_{index}"],
            )
            for index, name in enumerate(arrays["names"])
        ]
