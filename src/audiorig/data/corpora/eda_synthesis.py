"""A generated listener's skin conductance: responses to accents, responses to nothing, drift, noise.

A response rises and decays as Bateman's two exponentials do (Alexander et al., "Separating individual skin conductance
responses in a short interstimulus-interval paradigm", 2005). How strong it is grows less than the accent's loudness
does, and falls with what was answered shortly before: so no weighted sum of what was heard is the whole truth. None of
this claims to be how skin behaves; it is a corpus with a known answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audiorig.data.corpora.song_synthesis import LEAST_GAP_SEC, MEAN_GAP_SEC, Accent
from audiorig.randomness import keyed_generator

FloatArray = npt.NDArray[np.float64]

RATE_HZ = 50.0
AFTER_AUDIO_SEC = 0.14  # for so long a trace goes on when the song is over
RISE_SEC = 0.75
DECAY_SEC = (2.0, 4.0)
# Strength of a response.
COMPRESSION = 0.7
HABITUATION = 2.0
HABITUATION_SEC = 5.0
# Listeners.
LATENCY_SD_SEC = 0.15
TRACE_LATENCY_SD_SEC = 0.1
LEVEL = (2.5, 9.0)  # microsiemens
RESPONSE = (0.1, 0.4)  # standard deviation of the responses, microsiemens
# In standard deviations of the responses.
DRIFT = 0.9
DRIFT_SEC = 12.0
WANDER = 0.15
NOISE = 0.01
# Standard deviations within a trace of the responses to accents and to nothing, before any gain (400 songs of 40 s):
# divided by these, `response_share` is the share of variance that it says.
UNIT = 0.281
PRIVATE_UNIT = 0.463
# Responses to nothing that began so long before the song still show.
BEFORE_SEC = 15.0
WANDER_SEC = 8.0


class Listener(NamedTuple):
    """Who listens: what stays the same from song to song.

    Attributes:
        latency_sec: beyond the corpus' own.
        decay_sec: of a response.
        level: microsiemens.
        gain: standard deviation of the responses, microsiemens.
        drift: share of the common drift.
    """

    subject: str
    latency_sec: float
    decay_sec: float
    level: float
    gain: float
    drift: float


class Trace(NamedTuple):
    """What one listener's skin did during one song, and what it was made of.

    Attributes:
        samples: microsiemens (T,) at 50 Hz, from the song's onset on.
        music: the part that the accents made, microsiemens (T,).
        private: the responses to nothing, microsiemens (T,).
        latency_sec: from an accent to the beginning of its response.
        level: microsiemens that all else lies above.
    """

    samples: FloatArray
    music: FloatArray
    private: FloatArray
    latency_sec: float
    level: float


def draw_listener(seed: int, subject: str) -> Listener:
    """A listener: a function of seed and name only."""
    generator = keyed_generator("eda-listener", seed, subject)
    return Listener(
        subject=subject,
        latency_sec=float(np.clip(generator.normal(0, LATENCY_SD_SEC), -0.4, 0.4)),
        decay_sec=float(generator.uniform(*DECAY_SEC)),
        level=float(np.exp(generator.uniform(*np.log(LEVEL)))),
        gain=float(np.exp(generator.uniform(*np.log(RESPONSE)))),
        drift=float(generator.uniform(0.75, 1.25)),
    )


def strengths(accents: Sequence[Accent]) -> FloatArray:
    """How strong the response to each accent (n,) is.

    The louder the stronger, but less and less so; and a response weakens those that follow: a full
    one makes the next one third of what it were at once, and four fifths after ten seconds.
    """
    found = np.zeros(len(accents))
    tired, before = 0.0, 0.0
    for place, accent in enumerate(accents):
        tired *= np.exp(-(accent.time_sec - before) / HABITUATION_SEC)
        found[place] = accent.loudness**COMPRESSION / (1 + HABITUATION * tired)
        tired, before = tired + found[place], accent.time_sec
    return found


def responses(onset_sec: FloatArray, strength: FloatArray, num_samples: int, decay_sec: float) -> FloatArray:
    """Sum (T,) at 50 Hz of responses that begin at onsets (n,) and peak at their strengths (n,)."""
    after = np.arange(num_samples) / RATE_HZ - np.asarray(onset_sec)[:, None]
    peak_sec = np.log(decay_sec / RISE_SEC) / (1 / RISE_SEC - 1 / decay_sec)
    peak = np.exp(-peak_sec / decay_sec) - np.exp(-peak_sec / RISE_SEC)
    begun = np.maximum(after, 0)
    shape = np.exp(-begun / decay_sec) - np.exp(-begun / RISE_SEC)
    summed: FloatArray = (np.asarray(strength)[:, None] * shape / peak).sum(axis=0)
    return summed


def drift(num_samples: int) -> FloatArray:
    """What every skin does after a song's onset, (T,), of variance about 1 over 40 s: it dries."""
    time_sec = np.arange(num_samples) / RATE_HZ
    fallen: FloatArray = 3.9 * np.exp(-time_sec / DRIFT_SEC)
    return fallen


def render_trace(
    accents: Sequence[Accent],
    duration_sec: float,
    listener: Listener,
    latency_sec: float,
    response_share: float,
    generator: np.random.Generator,
) -> Trace:
    """What a listener's skin does during a song.

    Args:
        latency_sec: of the corpus; the listener's and the trace's own come on top.
        response_share: of the variance of all responses, those to the music's accents.
    """
    num_samples = round((duration_sec + AFTER_AUDIO_SEC) * RATE_HZ)
    latency = max(0.0, latency_sec + listener.latency_sec + generator.normal(0, TRACE_LATENCY_SD_SEC))
    onsets = np.array([accent.time_sec for accent in accents]) + latency
    music = responses(onsets, strengths(accents), num_samples, listener.decay_sec) / UNIT
    private = _private(num_samples, listener, generator) / PRIVATE_UNIT
    music *= np.sqrt(response_share) * listener.gain
    private *= np.sqrt(1 - response_share) * listener.gain
    others = listener.drift * DRIFT * drift(num_samples) + WANDER * _wander(num_samples, generator)
    others += NOISE * generator.standard_normal(num_samples)
    level = float(listener.level * np.exp(generator.normal(0, 0.1)))
    samples = level + music + private + listener.gain * others
    return Trace(samples, music, private, latency, level)


def _private(num_samples: int, listener: Listener, generator: np.random.Generator) -> FloatArray:
    """Responses to nothing, (T,), as frequent as accents."""
    longest = int((num_samples / RATE_HZ + BEFORE_SEC) / LEAST_GAP_SEC)
    gaps = LEAST_GAP_SEC + generator.exponential(MEAN_GAP_SEC - LEAST_GAP_SEC, longest)
    strength = generator.random(longest) ** COMPRESSION
    return responses(np.cumsum(gaps) - BEFORE_SEC, strength, num_samples, listener.decay_sec)


def _wander(num_samples: int, generator: np.random.Generator) -> FloatArray:
    """A slow wandering of the level, (T,): random points, joined by halves of cosines."""
    place = np.arange(num_samples) / RATE_HZ / WANDER_SEC
    left = place.astype(int)
    points = generator.standard_normal(left[-1] + 2)
    way = (1 - np.cos(np.pi * (place - left))) / 2
    wander: FloatArray = points[left] * (1 - way) + points[left + 1] * way
    return wander
