"""A generated infant's cry: bursts of harmonics through a vocal tract, a breath between them, a room.

What an infant brings along (pitch, formants, tilt, room, habits) is the stronger cue. What a reason
changes (how pitch moves, how long bursts and pauses last, how rough the voice is) is real and weaker,
and infants have habits in the very same things: so whoever knows the infant guesses the reason best.
None of this claims to be how infants cry; it is a corpus with a known answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from audiorig.data.channel import LOWEST_FREQUENCY_HZ, draw_gain_db
from audiorig.randomness import keyed_generator

FloatArray = npt.NDArray[np.float64]
Cause = Literal["hungry", "discomfort", "tired", "belly_pain", "burping"]

SAMPLE_RATE_HZ = 16_000
CLIP_SEC = (2.0, 4.0)
BURSTS = (3, 8)
BURST_SEC = (0.4, 1.2)
PAUSE_SEC = (0.1, 0.4)
F0_HZ = (300.0, 600.0)  # of a burst, on average
BASE_F0_HZ = (350.0, 510.0)
HIGHEST_HZ = 7000.0
GAIN_STEP = 64  # samples
# An infant's first three formants, in hertz, and how far infants differ.
FORMANTS_HZ = np.array([1100.0, 2900.0, 4900.0])
FORMANT_SPREAD = 0.16
FORMANT_WIDTH_HZ = np.array([250.0, 400.0, 600.0])
TILT_DB_PER_OCTAVE = (-9.0, -2.0)
INSPIRATION_LEVEL = (0.02, 0.1)
# The room: reverberation, a microphone, and a noise of its own.
REVERBERATION_SEC = (0.1, 0.5)
DIRECT_TO_REVERBERANT_DB = (0.0, 12.0)
NOISE_DB = (-32.0, -18.0)
NOISE_SLOPE_DB_PER_OCTAVE = (-7.0, 0.0)
LEVEL_DBFS = (-30.0, -18.0)
CLIP_LEVEL_DB = 2.5
PEAK = 0.98


@dataclass(frozen=True)
class Manner:
    """How somebody cries, or by how much a manner differs from the usual one.

    Attributes:
        pitch: semitones above the infant's own.
        rise: semitones from the beginning of a burst to its peak.
        peak: where in a burst the peak lies, 0 to 1.
        fall: semitones from the peak to the end.
        burst: length of a burst, as a logarithm (0.1 is about 10 % longer).
        pause: length of a pause, as a logarithm.
        rough: amount of hoarseness, 0 for none.
        breath: amount of noise of breath, 0 for none.
    """

    pitch: float = 0.0
    rise: float = 0.0
    peak: float = 0.0
    fall: float = 0.0
    burst: float = 0.0
    pause: float = 0.0
    rough: float = 0.0
    breath: float = 0.0

    def plus(self, other: "Manner", weight: float = 1.0) -> "Manner":
        """This manner, moved by another."""
        return Manner(*(getattr(self, each.name) + weight * getattr(other, each.name) for each in fields(self)))


USUAL = Manner(pitch=0.0, rise=3.0, peak=0.4, fall=4.0, burst=0.0, pause=0.0, rough=0.3, breath=0.3)
REASONS: dict[Cause, Manner] = {
    "hungry": Manner(),
    "discomfort": Manner(pitch=-0.5, rise=-2.0, peak=0.0, fall=-2.5, burst=-0.25, pause=-0.3, rough=0.05, breath=0.1),
    "tired": Manner(pitch=-2.0, rise=-1.5, peak=-0.15, fall=2.0, burst=0.25, pause=0.4, rough=-0.1, breath=0.35),
    "belly_pain": Manner(pitch=2.5, rise=1.5, peak=-0.2, fall=1.0, burst=0.35, pause=-0.1, rough=0.5, breath=-0.1),
    "burping": Manner(pitch=0.5, rise=3.0, peak=0.35, fall=-3.0, burst=-0.4, pause=0.2, rough=0.25, breath=0.2),
}
# One standard deviation of infants' habits.
SPREAD = Manner(pitch=1.0, rise=1.2, peak=0.12, fall=1.5, burst=0.2, pause=0.25, rough=0.2, breath=0.2)
# How much of a reason there is in a burst. Unweighted recall of a linear model on log-mel statistics, by infant and by
# clip, mean of three corpora with five splits each: .44 and .89 at 0.85, .52 and .90 at 0.95, .57 and .91 at 1.05.
REASON_WEIGHT = 0.9
CLIP_WEIGHT = 0.5
BURST_WEIGHT = 0.4
MEAN_BURST_SEC = 0.65
MEAN_PAUSE_SEC = 0.2


@dataclass(frozen=True)
class Infant:
    """Whose cry it is: what stays the same from clip to clip."""

    name: str
    sex: Literal["female", "male"]
    age_weeks: int
    f0_hz: float
    formants_hz: tuple[float, ...]
    tilt: float
    jitter: float
    habit: Manner


def draw_infant(seed: int, name: str) -> Infant:
    """An infant: a function of seed and name only. Younger and female ones are no different in sound."""
    generator = keyed_generator("cry-infant", seed, name)
    low, high = np.log(BASE_F0_HZ)
    return Infant(
        name=name,
        sex="female" if generator.random() < 0.5 else "male",
        age_weeks=int(generator.integers(1, 40)),
        f0_hz=float(np.exp(generator.uniform(low, high))),
        formants_hz=tuple(map(float, FORMANTS_HZ * np.exp(generator.normal(0, FORMANT_SPREAD, 3)))),
        tilt=float(generator.uniform(*TILT_DB_PER_OCTAVE)),
        jitter=float(generator.uniform(0.002, 0.012)),
        habit=draw_manner(generator),
    )


def draw_manner(generator: np.random.Generator) -> Manner:
    """A deviation of one ``SPREAD``."""
    return Manner(*(float(getattr(SPREAD, each.name) * generator.standard_normal()) for each in fields(Manner)))


def render_cry(infant: Infant, reason: Cause, seed: int, path: str) -> npt.NDArray[np.int16]:
    """One clip: a function of its arguments only.

    Returns:
        int16 (T,), 2 to 4 s at 16 kHz.
    """
    generator = keyed_generator("cry-clip", seed, path)
    manner = USUAL.plus(REASONS[reason], REASON_WEIGHT).plus(infant.habit)
    manner = manner.plus(draw_manner(generator), CLIP_WEIGHT)
    cry = cry_out(infant, manner, generator)
    # Double precision until here, so that the 16 bits do not depend on the processor's last ones.
    return np.rint(32768 * record(cry, infant, seed, generator)).astype(np.int16)


def cry_out(infant: Infant, manner: Manner, generator: np.random.Generator) -> FloatArray:
    """Bursts and breaths, (T,), before the room."""
    parts = []
    for burst_sec, pause_sec in _rhythm(manner, generator):
        moved = manner.plus(draw_manner(generator), BURST_WEIGHT)
        parts += [burst(infant, moved, burst_sec, generator), _inspiration(infant, pause_sec, generator)]
    return np.concatenate(parts)


def burst(infant: Infant, manner: Manner, seconds: float, generator: np.random.Generator) -> FloatArray:
    """One expiration, (T,): harmonics of a moving pitch, weighted by formants, then hoarseness and breath."""
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    way = np.arange(num_samples) / num_samples
    f0 = np.clip(infant.f0_hz * 2 ** (manner.pitch / 12), *F0_HZ) * 2 ** (_melody(way, manner) / 12)
    f0 *= 1 + infant.jitter * _slow_noise(num_samples, 80.0, generator)
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE_HZ
    rough = float(np.clip(manner.rough, 0, 1))
    # Hoarseness: every other cycle is weaker, and cycles differ in strength.
    shimmer = 1 + rough * (0.5 * np.cos(phase / 2) + 0.5 * _slow_noise(num_samples, 120.0, generator))
    voice = _harmonics(infant, f0, phase) * shimmer
    breath = _breath(infant, num_samples, generator) * (0.02 + 0.25 * float(np.clip(manner.breath, 0, 1)))
    envelope = np.minimum(1, way / 0.08) * np.minimum(1, (1 - way) / 0.2)
    return (voice / _rms(voice) + breath) * envelope * 10 ** (generator.normal(0, 1.5) / 20)


def record(cry: FloatArray, infant: Infant, seed: int, generator: np.random.Generator) -> FloatArray:
    """What the recorder of an infant's home makes of a cry, (T,) within (-1, 1)."""
    room = keyed_generator("cry-room", seed, infant.name)
    seconds = room.uniform(*REVERBERATION_SEC)
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = room.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (-room.uniform(*DIRECT_TO_REVERBERANT_DB) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1
    heard = scipy.signal.fftconvolve(cry, tail)[: len(cry)]
    noise_db, slope = room.uniform(*NOISE_DB), room.uniform(*NOISE_SLOPE_DB_PER_OCTAVE)
    noise = _shaped(generator.standard_normal(len(cry)), lambda hz: slope * np.log2(hz / 1000))
    noise *= _rms(heard) * 10 ** (noise_db / 20) / _rms(noise)
    microphone = keyed_generator("cry-microphone", seed, infant.name)
    recorded = _shaped(heard + noise, lambda hz: draw_gain_db(hz, microphone))
    level_db = room.uniform(*LEVEL_DBFS) + generator.normal(0, CLIP_LEVEL_DB)
    recorded *= 10 ** (level_db / 20) / _rms(recorded)
    scaled: FloatArray = recorded * min(1.0, PEAK / float(np.abs(recorded).max()))
    return scaled


def _rhythm(manner: Manner, generator: np.random.Generator) -> list[tuple[float, float]]:
    """Lengths of bursts and of the pauses behind them, which add up to a clip's length."""
    burst_sec = np.clip(MEAN_BURST_SEC * np.exp(manner.burst), *BURST_SEC)
    pause_sec = np.clip(MEAN_PAUSE_SEC * np.exp(manner.pause), *PAUSE_SEC)
    wanted = generator.uniform(*CLIP_SEC)
    num_bursts = int(np.clip(round(wanted / (burst_sec + pause_sec)), *BURSTS))
    bursts = np.clip(burst_sec * np.exp(generator.normal(0, 0.12, num_bursts)), *BURST_SEC)
    pauses = np.clip(pause_sec * np.exp(generator.normal(0, 0.2, num_bursts)), *PAUSE_SEC)
    total = float(np.sum(bursts) + np.sum(pauses))
    factor = float(np.clip(total, *CLIP_SEC)) / total
    return [(float(factor * each), float(factor * pause)) for each, pause in zip(bursts, pauses, strict=True)]


def _melody(way: FloatArray, manner: Manner) -> FloatArray:
    """Semitones at each point of a burst (0 to 1): up to the peak, then down, without a corner."""
    rise, fall, peak = np.clip((manner.rise, manner.fall, manner.peak), (-2, -2, 0.1), (8, 10, 0.9))
    up = np.sin(0.5 * np.pi * np.minimum(1, way / peak))
    down = 1 - np.cos(0.5 * np.pi * np.clip((way - peak) / (1 - peak), 0, 1))
    melody: FloatArray = rise * (up - 1) - fall * down + (rise + fall) / 4  # about 0 on average
    return melody


def _harmonics(infant: Infant, f0: FloatArray, phase: FloatArray) -> FloatArray:
    """Sum over k of gain(k f0) sin(k phase), (T,), up to ``HIGHEST_HZ``.

    Gains are computed every few samples, and sin(k phase) = 2 cos(phase) sin((k - 1) phase) - sin((k - 2) phase):
    together a quarter of the time that the plain sum takes.
    """
    time = np.arange(len(f0))
    coarse = np.minimum(np.arange(0, len(f0) + GAIN_STEP, GAIN_STEP), len(f0) - 1)
    sound, before, sine, twice_cosine = np.zeros(len(f0)), np.zeros(len(f0)), np.sin(phase), 2 * np.cos(phase)
    for harmonic in range(1, int(HIGHEST_HZ / f0.min()) + 1):
        hz = harmonic * f0[coarse]
        sound += np.interp(time, coarse, np.where(hz < HIGHEST_HZ, _tract(infant, hz), 0)) * sine
        before, sine = sine, twice_cosine * sine - before
    return sound


def _tract(infant: Infant, hz: FloatArray) -> FloatArray:
    """Gain of an infant's voice and vocal tract at frequencies (T,)."""
    gain: FloatArray = _resonances(infant, hz) * (hz / 500) ** (infant.tilt / 20 / np.log10(2))
    return gain


def _resonances(infant: Infant, hz: FloatArray) -> FloatArray:
    """Gain of the vocal tract alone."""
    distance = (hz[:, None] - np.array(infant.formants_hz)) / (0.5 * FORMANT_WIDTH_HZ)
    gain: FloatArray = 0.1 + (1 / np.sqrt(1 + distance**2)).sum(axis=1)
    return gain


def _breath(infant: Infant, num_samples: int, generator: np.random.Generator) -> FloatArray:
    """Noise through the vocal tract, of RMS 1."""
    noise = _shaped(generator.standard_normal(num_samples), lambda hz: 20 * np.log10(_resonances(infant, hz)))
    return noise / _rms(noise)


def _inspiration(infant: Infant, seconds: float, generator: np.random.Generator) -> FloatArray:
    """A pause in which air is drawn in."""
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    swell = np.sin(np.pi * np.arange(num_samples) / num_samples) ** 2
    return _breath(infant, num_samples, generator) * swell * generator.uniform(*INSPIRATION_LEVEL)


def _slow_noise(num_samples: int, rate_hz: float, generator: np.random.Generator) -> FloatArray:
    """Noise (T,) of variance about 1 that changes ``rate_hz`` times a second."""
    num_points = int(num_samples / SAMPLE_RATE_HZ * rate_hz) + 2
    points = generator.standard_normal(num_points)
    noise: FloatArray = np.interp(np.arange(num_samples) * rate_hz / SAMPLE_RATE_HZ, np.arange(num_points), points)
    return noise


def _shaped(sound: FloatArray, gain_db: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """A sound (T,) behind a filter, of which the gain in dB is known at each frequency."""
    padded = scipy.fft.next_fast_len(len(sound), real=True)
    hz = np.maximum(scipy.fft.rfftfreq(padded, 1 / SAMPLE_RATE_HZ), LOWEST_FREQUENCY_HZ)
    shaped: FloatArray = scipy.fft.irfft(scipy.fft.rfft(sound, padded) * 10 ** (gain_db(hz) / 20), padded)
    return shaped[: len(sound)]


def _rms(sound: FloatArray) -> float:
    return float(np.sqrt(np.mean(sound**2)))
