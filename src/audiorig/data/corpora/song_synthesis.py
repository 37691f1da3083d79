"""A generated piece of music: chords of a few voices that swell and fade, hiss, and accents at known times.

Accents are what a listener's skin answers to: bursts of noise and bright chords, each of a loudness of its own. All
else is there to be told apart from them: the background moves by several decibels, chords change, and soft notes begin
where nobody's skin moves.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from audiorig.randomness import keyed_generator

FloatArray = npt.NDArray[np.float64]
Sound = Literal["noise", "chord"]

SAMPLE_RATE_HZ = 44_100
# Accents: the first not before the listener has settled, then at least a second apart.
FIRST_SEC = 1.0
LAST_SEC = 1.0
LEAST_GAP_SEC = 0.8
MEAN_GAP_SEC = 3.2
ACCENT_SEC = (0.25, 0.6)
ACCENT_DB = (-24.0, -3.0)  # below the loudest possible accent: loudness 0 to 1
# The background.
BAR_SEC = (1.6, 2.8)
BACKGROUND_DB = -36.0
SWELL_DB = 4.0
SWELL_SEC = 4.0
HISS_DB = -58.0
NOTES_A_SECOND = 1.5
NOTE_DB = (-42.0, -32.0)
TRIADS = ((0, 4, 7), (0, 3, 7), (-3, 0, 4), (-1, 2, 7), (0, 5, 9))
LEVEL = (0.4, 0.95)  # largest sample of a piece


class Accent(NamedTuple):
    """When it begins, in seconds; its loudness, 0 to 1; its length and its sound."""

    time_sec: float
    loudness: float
    length_sec: float
    sound: Sound


class Song(NamedTuple):
    """All there is to say about a piece before it is made."""

    music_id: str
    duration_sec: float
    channels: int
    accents: tuple[Accent, ...]


def draw_accents(duration_sec: float, generator: np.random.Generator) -> tuple[Accent, ...]:
    """Accents of a piece, by time: gaps are exponential above a least one."""
    accents: list[Accent] = []
    time_sec = FIRST_SEC + generator.exponential(MEAN_GAP_SEC - LEAST_GAP_SEC)
    while time_sec < duration_sec - LAST_SEC:
        sound = get_args(Sound)[generator.integers(2)]
        accents.append(Accent(round(time_sec, 3), round(generator.random(), 3), generator.uniform(*ACCENT_SEC), sound))
        time_sec += LEAST_GAP_SEC + generator.exponential(MEAN_GAP_SEC - LEAST_GAP_SEC)
    return tuple(accents)


def render_song(song: Song, seed: int) -> npt.NDArray[np.int16]:
    """One piece: a function of its arguments only.

    Returns:
        int16 (T, channels) at 44.1 kHz.
    """
    generator = keyed_generator("eda-audio", seed, song.music_id)
    num_samples = round(song.duration_sec * SAMPLE_RATE_HZ)
    root_hz = float(110 * 2 ** (generator.integers(12) / 12))
    sound = chords(num_samples, root_hz, generator)
    _add_notes(sound, root_hz, generator)
    for accent in song.accents:
        _add(sound, accent.time_sec, _accent(accent, root_hz, generator))
    sides = [sound + _gain(HISS_DB) * generator.standard_normal(num_samples) for _ in range(song.channels)]
    heard = np.stack(sides, axis=1)
    heard *= generator.uniform(*LEVEL) / np.abs(heard).max()
    # Double precision until here, so that the 16 bits do not depend on the processor's last ones.
    return np.rint(32767 * heard).astype(np.int16)


def chords(num_samples: int, root_hz: float, generator: np.random.Generator) -> FloatArray:
    """The background, (T,): a triad a bar, each with four partials, softly begun and ended, swelling."""
    sound = np.zeros(num_samples)
    bar = round(generator.uniform(*BAR_SEC) * SAMPLE_RATE_HZ)
    time_sec = np.arange(bar) / SAMPLE_RATE_HZ
    envelope = np.minimum(1, np.minimum(time_sec, time_sec[::-1]) / 0.1)
    for start in range(0, num_samples, bar):
        triad = np.zeros(bar)
        for semitones in TRIADS[generator.integers(len(TRIADS))]:
            triad += _tone(root_hz * 2 ** (semitones / 12), time_sec, 4, 6.0)
        sound[start : start + bar] = (triad * envelope)[: num_samples - start]
    return sound * _gain(BACKGROUND_DB + SWELL_DB * _slow_noise(num_samples, generator))


def _add_notes(sound: FloatArray, root_hz: float, generator: np.random.Generator) -> None:
    """Soft plucked notes at any time, which mean nothing."""
    time_sec = np.arange(round(0.5 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pluck = np.minimum(1, time_sec / 0.01) * np.exp(-time_sec / 0.12)
    seconds = len(sound) / SAMPLE_RATE_HZ
    for start in np.sort(generator.uniform(0, seconds, generator.poisson(seconds * NOTES_A_SECOND))):
        hz = root_hz * 2 ** (generator.integers(12, 30) / 12)
        _add(sound, start, _gain(generator.uniform(*NOTE_DB)) * pluck * _tone(hz, time_sec, 2, 6.0))


def _accent(accent: Accent, root_hz: float, generator: np.random.Generator) -> FloatArray:
    """One accent, (T,), of an RMS that its loudness alone decides."""
    time_sec = np.arange(round(accent.length_sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    envelope = np.minimum(1, time_sec / 0.01) * np.minimum(1, time_sec[::-1] / 0.08)
    if accent.sound == "noise":
        sound = generator.standard_normal(len(time_sec))
    else:
        sound = sum((_tone(2 * root_hz * 2 ** (each / 12), time_sec, 10, 2.0) for each in TRIADS[0]), np.zeros(1))
    decibels = ACCENT_DB[0] + accent.loudness * (ACCENT_DB[1] - ACCENT_DB[0])
    accented: FloatArray = _gain(decibels) * 0.3 * envelope * sound / np.sqrt(np.mean(sound**2))
    return accented


def _add(sound: FloatArray, time_sec: float, part: FloatArray) -> None:
    start = round(time_sec * SAMPLE_RATE_HZ)
    sound[start : start + len(part)] += part[: len(sound) - start]


def _tone(hz: float, time_sec: FloatArray, partials: int, db_per_octave: float) -> FloatArray:
    """A tone (T,) of some partials, each weaker than the one below it."""
    phase = 2 * np.pi * hz * time_sec
    weights = np.arange(1, partials + 1) ** (-db_per_octave / 6.02)
    tone: FloatArray = sum((w * np.sin(n * phase) for n, w in enumerate(weights, start=1)), np.zeros(1))
    return tone


def _slow_noise(num_samples: int, generator: np.random.Generator) -> FloatArray:
    """Noise (T,): lines between normal numbers, ``SWELL_SEC`` apart."""
    points = generator.standard_normal(int(num_samples / SAMPLE_RATE_HZ / SWELL_SEC) + 2)
    noise: FloatArray = np.interp(np.arange(num_samples) / SAMPLE_RATE_HZ / SWELL_SEC, np.arange(len(points)), points)
    return noise


def _gain(decibels: FloatArray | float) -> FloatArray:
    return np.asarray(10 ** (np.asarray(decibels) / 20))
