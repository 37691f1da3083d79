"""What only the page of a masked autoencoder shows: its losses, and what it rebuilt."""

from dataclasses import dataclass
from typing import Any

from audiorig.config import WaveMAERun
from audiorig.report import rebuilt, training
from audiorig.report.audio import Player, players
from audiorig.report.figures import Picture
from audiorig.report.inputs import W2V_LEARNT, RunInputs
from audiorig.report.origins import run_facts
from audiorig.report.spectrograms import clip_pictures


@dataclass(frozen=True)
class Example:
    """One test clip to look at and to listen to."""

    picture: Picture
    players: list[Player]


def content(inputs: RunInputs, run: WaveMAERun) -> dict[str, Any]:
    """By the names that ``wavemae.html`` uses."""
    scores, system, clips = inputs.scores, inputs.system, examples(inputs, run)
    return {
        "facts": run_facts(inputs, encoder_facts(inputs, run)),
        "losses": training.loss_curves(inputs.history, training.loss_weights(run.model)),
        "loss_parts": training.loss_table(inputs.history, run.model),
        "distances": rebuilt.distance_curves(scores, system),
        "reconstruction": rebuilt.reconstruction_table(scores, system),
        "frame_distances": rebuilt.frame_distance_table(scores, system),
        "pitch": rebuilt.pitch_table(scores, system),
        "clips": clips,
        "has_sounds": any(clip.players for clip in clips),
        "mask_ratio": run.model.mask_ratio,
    }


def encoder_facts(inputs: RunInputs, run: WaveMAERun) -> dict[str, str]:
    """What was trained."""
    return {
        "encoder": f"width {run.model.width}, {run.model.depth} blocks, {run.model.encoder_mode}",
        "w2v target": ": ".join(filter(None, (inputs.w2v_target, W2V_LEARNT.get(inputs.w2v_target)))),
    }


def examples(inputs: RunInputs, run: WaveMAERun) -> list[Example]:
    """Spectrograms and sounds of each example clip."""
    pictures = clip_pictures(inputs.examples, run.data, run.spectrogram)
    sounds = [players(clip.name, clip.audio, run.data.sample_rate_hz) for clip in inputs.examples]
    return [Example(picture, sound) for picture, sound in zip(pictures, sounds, strict=True)]
