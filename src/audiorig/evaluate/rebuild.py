"""Test clips with hidden spans, rebuilt by the model: what scores and pages are made of."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from audiorig.evaluate.audio import griffin_lim, one_gain, with_oracle_phase
from audiorig.files import written_aside
from audiorig.models.masks import draw_spans
from audiorig.models.pitch_decoder import unknown_frames
from audiorig.models.wavemae import WaveMAE
from audiorig.randomness import keyed_generator, random_state_fence

AUDIO = ("original", "reconstruction", "oracle_phase")

Frames = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class TestClip:
    """What is rebuilt.

    Attributes:
        group: what the bootstrap resamples.
        waveform: float32 (T,).
        pitch: Hz and voicing of its STFT frames, (M,) each; None if the model has no pitch decoder.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    name: str
    group: str
    waveform: Frames
    pitch: tuple[Frames, Bools] | None = None


@dataclass(frozen=True)
class PitchGuess:
    """True and predicted pitch of a clip's N frames; ``is_known`` says which of the truth the model was given."""

    true_hz: Frames
    is_truly_voiced: Bools
    hz: Frames
    is_voiced: Bools
    is_known: Bools


@dataclass(frozen=True)
class RebuiltClip:
    """One clip: standardised log magnitudes, real frames only.

    Attributes:
        original: (N, F).
        predicted: (N, F), the original where nothing was hidden.
        is_hidden: (N,).
        guess: (N, F), the decoder's prediction of every frame; None where it was not kept.
        pitch: None without a pitch decoder.
        audio: int16 (T,) by name, all three with one gain; empty where it was not kept.
    """

    name: str
    original: Frames
    predicted: Frames
    is_hidden: Bools
    guess: Frames | None = None
    pitch: PitchGuess | None = None
    audio: dict[str, NDArray[np.int16]] = field(default_factory=dict)


def rebuild_clips(model: WaveMAE, clips: list[TestClip], seed: int) -> list[RebuiltClip]:
    """Hide spans of each clip, by a key of its name, and let the model fill them in."""
    with random_state_fence():
        return [_rebuild(model, clip, seed) for clip in tqdm(clips, "reconstruct", unit="clip", mininterval=1)]


def _rebuild(model: WaveMAE, clip: TestClip, seed: int) -> RebuiltClip:
    shape = model.shape
    num_latents = (1 + len(clip.waveform) // model.stft.hop) // shape.stride
    generator = keyed_generator("mask", "evaluate", seed, clip.name)
    hidden = draw_spans(generator, num_latents, shape.mask_ratio, shape.min_span, shape.max_span)
    is_hidden = torch.from_numpy(hidden)[None]
    truth: tuple[torch.Tensor, ...] = ()
    if clip.pitch is not None:
        truth = tuple(torch.from_numpy(each[: num_latents * shape.stride])[None] for each in clip.pitch)
    built = model.reconstruct(
        torch.from_numpy(clip.waveform)[None], torch.tensor([len(clip.waveform)]), is_hidden, *truth
    )
    pitch = None
    if built.pitch_hz is not None and built.is_voiced is not None:
        is_known = ~unknown_frames(is_hidden, shape.stride)
        pitch = PitchGuess(*(each[0].numpy() for each in (*truth, built.pitch_hz, built.is_voiced, is_known)))
    original, predicted, guess = (each[0].numpy() for each in (built.original, built.predicted, built.guess))
    return RebuiltClip(clip.name, original, predicted, built.is_hidden[0].numpy(), guess, pitch)


def audible(model: WaveMAE, clip: RebuiltClip, waveform: Frames) -> RebuiltClip:
    """The clip with its sounds: what was given, what Griffin-Lim makes of the prediction, and with the true phase."""
    true = torch.from_numpy(waveform)
    built = model.magnitudes(torch.from_numpy(clip.predicted)[None])[0]
    found = griffin_lim(built, model.stft, len(true)), with_oracle_phase(built, true, model.stft)
    scaled = one_gain(true, *found)
    sounds = {
        name: np.rint(32767 * each.clamp(-1, 1).numpy()).astype(np.int16)
        for name, each in zip(AUDIO, scaled, strict=True)
    }
    return replace(clip, guess=None, pitch=None, audio=sounds)


def save_examples(clips: list[RebuiltClip], path: Path, sample_rate_hz: int) -> None:
    """Write clips to look at and listen to: arrays only, no pickles."""
    names = np.array([clip.name for clip in clips], dtype=str)
    arrays: dict[str, Any] = {"names": names, "sample_rate_hz": np.array(sample_rate_hz)}
    for index, clip in enumerate(clips):
        arrays[f"original_{index}"] = clip.original.astype(np.float16)
        arrays[f"predicted_{index}"] = clip.predicted.astype(np.float16)
        arrays[f"is_hidden_{index}"] = clip.is_hidden
        arrays |= {f"audio_{index}_{name}": samples for name, samples in clip.audio.items()}
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
                audio={key: arrays[f"audio_{index}_{key}"] for key in AUDIO if f"audio_{index}_{key}" in arrays},
            )
            for index, name in enumerate(arrays["names"])
        ]
