"""The sounds of an example clip, inside the page: nothing is fetched, nothing is left beside it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiorig.report.figures import data_uri

ORACLE_PHASE = "oracle_phase"
TITLES = {
    "original": "original",
    "reconstruction": "reconstruction (Griffin-Lim)",
    ORACLE_PHASE: ORACLE_PHASE,  # under this name only: the true phase makes a weak model sound good
}


@dataclass(frozen=True)
class Player:
    """A sound for ``<audio>``: its bytes as a data URI, and what it is in words."""

    title: str
    uri: str
    label: str


def players(clip: str, audio: Mapping[str, NDArray[np.int16]], rate_hz: int) -> list[Player]:
    """A player for each sound (T,) of a clip, the original first.

    Args:
        clip: the clip's name.
        audio: samples by what they are: original, reconstruction, oracle_phase.
    """
    order = [name for name in TITLES if name in audio]
    return [
        Player(TITLES[name], sound_uri(audio[name], rate_hz), f"{TITLES[name]} of {clip}")
        for name in order
        if len(audio[name])
    ]


def sound_uri(samples: NDArray[np.int16], rate_hz: int) -> str:
    """Samples (T,) as FLAC, about half the bytes of WAV; as WAV where this libsndfile writes no FLAC."""
    try:
        return data_uri(_encoded(samples, rate_hz, "FLAC"), "audio/flac")
    except (soundfile.SoundFileError, ValueError):
        return data_uri(_encoded(samples, rate_hz, "WAV"), "audio/wav")


def _encoded(samples: NDArray[np.int16], rate_hz: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=kind, subtype="PCM_16")
    return buffer.getvalue()
