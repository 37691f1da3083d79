"""How well hidden frames are rebuilt, by their distance to the nearest visible one.

Neighbouring STFT frames overlap, so a frame beside a visible one can be interpolated; only the
distances beyond tell what was learnt. Linear interpolation and the mean of the visible frames
stand beside the model.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audiorig.evaluate.distances import log_spectral_distance, mean_distance, mel_distance
from audiorig.evaluate.intervals import Floats, Resampling, Score
from audiorig.evaluate.metrics import metric_row
from audiorig.evaluate.pitch_scores import carry_last, pitch_scores, pitch_sums
from audiorig.evaluate.rebuild import Bools, Frames, RebuiltClip
from audiorig.models.encoder import PatchEncoder

DISTANCES = {"1": (1, 1), "2-3": (2, 3), "4-5": (4, 5), "6-8": (6, 8), "over 8": (9, 1 << 30)}
INTERPOLATION = "linear interpolation"
VISIBLE_MEAN = "mean of visible frames"
LAST_PITCH = "last visible pitch"


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
    known = {name: guess[:, is_scored] for name, guess in guesses(clip).items()}
    known["total"] = np.zeros_like(original)
    return {
        name: np.array([np.square(original[mask] - guess[mask]).sum() for mask in masks])
        for name, guess in known.items()
    }


def guesses(clip: RebuiltClip) -> dict[str, Frames]:
    """What the model and the anchors say of every frame (N, F)."""
    mean = clip.original[~clip.is_hidden].mean(0)
    return {
        "model": clip.predicted,
        INTERPOLATION: interpolate(clip.original, clip.is_hidden),
        VISIBLE_MEAN: np.where(clip.is_hidden[:, None], mean, clip.original),
    }


def error_table(clips: list[RebuiltClip], groups: list[str], is_scored: Bools) -> pd.DataFrame:
    """A row per clip: ``item``, ``group``, and ``sse_{guess}_{index of the distance}``, sums of squared errors."""
    rows = []
    for clip, group in zip(clips, groups, strict=True):
        sums = squared_errors(clip, is_scored)
        columns = {f"sse_{name}_{index}": value for name, each in sums.items() for index, value in enumerate(each)}
        rows.append({"item": clip.name, "group": group, **columns})
    return pd.DataFrame(rows)


def distance_rows(
    clips: list[RebuiltClip], model: PatchEncoder, system: str, resampling: Resampling
) -> list[dict[str, Any]]:
    """Log-spectral and mel distance in dB, of hidden frames beside the anchors, and of visible ones.

    The loss never asks for the visible frames; the decoder's word on them is reported as it is.
    """
    std, mean, is_scored = (each.numpy() for each in (model.bin_std, model.bin_mean, model.is_scored))
    sums: dict[tuple[str, str], list[Floats]] = {}
    for clip in clips:
        original = clip.original * std + mean
        known = {(name, "hidden"): (guess, clip.is_hidden) for name, guess in guesses(clip).items()}
        if clip.guess is not None:
            known["model", "visible"] = (clip.guess, ~clip.is_hidden)
        for (name, side), (guess, frames) in known.items():
            place = (guess * std + mean, original, frames, is_scored)
            sums.setdefault((name, f"lsd_db {side}"), []).append(log_spectral_distance(*place))
            mels = mel_distance(*place, model.stft, model.config.sample_rate_hz)
            sums.setdefault((name, f"mel_db {side}"), []).append(mels)
    scores = {key: mean_distance(np.stack(each), resampling) for key, each in sums.items()}
    return _rows("reconstruction", _beside(scores, system, (INTERPOLATION, VISIBLE_MEAN)), resampling, len(clips))


def pitch_rows(
    clips: list[RebuiltClip], groups: list[str], system: str, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Pitch of hidden frames, beside repeating the last visible one; nothing without a pitch decoder."""
    pitches = [clip.pitch for clip in clips]
    if any(pitch is None for pitch in pitches):
        return []
    resampling = Resampling(groups, bootstrap, seed, "pitch")
    sums: dict[str, list[Floats]] = {"model": [], LAST_PITCH: []}
    for clip, pitch in zip(clips, pitches, strict=True):
        assert pitch is not None
        truth = (pitch.true_hz, pitch.is_truly_voiced)
        sums["model"].append(pitch_sums(*truth, pitch.hz, pitch.is_voiced, clip.is_hidden))
        sums[LAST_PITCH].append(pitch_sums(*truth, *carry_last(*truth, pitch.is_known), clip.is_hidden))
    scores = {
        (name, metric): score
        for name, each in sums.items()
        for metric, score in pitch_scores(np.stack(each), resampling).items()
    }
    return _rows("pitch", _beside(scores, system, (LAST_PITCH,)), resampling, len(clips))


def _beside(
    scores: dict[tuple[str, str], Score], system: str, anchors: tuple[str, ...]
) -> dict[tuple[str, str], Score]:
    """Scores by (system, metric), the model's under its name, with the paired differences to anchors."""
    named = {(system if name == "model" else name, metric): score for (name, metric), score in scores.items()}
    for (name, metric), score in list(named.items()):
        for anchor in anchors:
            if name == system and (anchor, metric) in named:
                named[f"{system} minus {anchor}", metric] = score.minus(named[anchor, metric])
    return named


def _rows(
    task: str, scores: dict[tuple[str, str], Score], resampling: Resampling, num_items: int
) -> list[dict[str, Any]]:
    return [metric_row(task, name, metric, score, resampling, num_items) for (name, metric), score in scores.items()]


def reconstruction_rows(
    clips: list[RebuiltClip], groups: list[str], model: PatchEncoder, system: str, bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of ``metrics.json``: how hidden frames are rebuilt, by the model and by the anchors."""
    resampling = Resampling(groups, bootstrap, seed, "reconstruction")
    return [
        *r2_rows(clips, model.is_scored.numpy(), system, resampling),
        *distance_rows(clips, model, system, resampling),
    ]


def r2_rows(clips: list[RebuiltClip], is_scored: Bools, system: str, resampling: Resampling) -> list[dict[str, Any]]:
    """R2 of hidden frames by their distance to the nearest visible one."""
    sums = [squared_errors(clip, is_scored) for clip in clips]
    total, drawn_total = resampling.totals(np.stack([each["total"] for each in sums]))
    drawn_total = np.where(drawn_total > 0, drawn_total, np.nan)  # a draw may lack a distance
    scores: dict[tuple[str, str], Score] = {}
    for name in ("model", INTERPOLATION, VISIBLE_MEAN):
        error, drawn = resampling.totals(np.stack([each[name] for each in sums]))
        for index, distance in enumerate(DISTANCES):
            if total[index] > 0:
                value, draws = 1 - error[index] / total[index], 1 - drawn[:, index] / drawn_total[:, index]
                scores[name, f"r2 at {distance} frames"] = Score(float(value), draws, resampling.tail)
    return _rows("reconstruction", _beside(scores, system, (INTERPOLATION, VISIBLE_MEAN)), resampling, len(clips))
