"""Voices of a generated home: a mother's, a father's and a child's, who also babbles.

Grown-ups are espeak-ng voices, of those that the side has to itself, moved a little in pitch and
formants by resampling: no two homes hear the same person. The child is such a voice moved up as
far as a shorter vocal tract moves it, speaking slowly; half of the time it babbles instead, in
syllables of vowels that are made here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import soxr

from audiorig.data.corpora.demo import SENTENCES, VOICES, Sex, Side, trim_silence
from audiorig.data.corpora.espeak import speak
from audiorig.randomness import keyed_generator

FloatArray = npt.NDArray[np.float64]
SpeakerType = Literal["CHI", "FEM", "MAL"]
SPEAKER_TYPES: tuple[SpeakerType, ...] = ("CHI", "FEM", "MAL")

INTONATION = (40, 70)
# Texts: a subject, an object, a verb with an object, or a whole sentence; most utterances at home are short.
TEXT_SHARES = (0.42, 0.42, 0.13, 0.03)

SHORTEST_SEC = 1.02  # of an utterance: what is shorter is hard to tell apart, for people too

BABBLE_SHARE = 0.5
BABBLE_RATE_HZ = 16_000
BABBLE_F0_HZ = (340.0, 460.0)
SYLLABLES = (4, 8)
SYLLABLE_SEC = (0.16, 0.32)
HIGHEST_HZ = 7000.0
# First three formants of a small child's vowels, in hertz: about 1.5 times a man's.
VOWELS = np.array([[1050, 1750, 3700], [750, 2700, 3900], [550, 1250, 3500], [800, 1900, 3800]], dtype=np.float64)
FORMANT_WIDTH_HZ = np.array([130.0, 180.0, 260.0])


@dataclass(frozen=True)
class Home:
    """A participant: their side, and what they are recorded with.

    Attributes:
        index: number among the homes of the side, from 0.
    """

    name: str
    index: int
    side: Side
    language: str
    sample_rate_hz: int
    channels: int
    extension: str


@dataclass(frozen=True)
class Speaker:
    """One person.

    Attributes:
        variant: of espeak-ng.
        pitch: espeak-ng's setting, 0 to 100, 50 being the variant's own.
        shift: factor on pitch and formants, by resampling.
        rate_wpm: slowest and fastest speech before the shift, in words per minute.
        babble_hz: mean pitch of babbling; None for those who do not.
    """

    speaker_type: SpeakerType
    variant: str
    pitch: int
    shift: float
    rate_wpm: tuple[int, int]
    babble_hz: float | None = None


def cast_home(seed: int, home: Home) -> dict[SpeakerType, Speaker]:
    """The people of a home."""
    generator = keyed_generator("home-cast", seed, home.name)
    females, males = _variants("f", home.side), _variants("m", home.side)
    babble_hz = float(generator.uniform(*BABBLE_F0_HZ))

    def grown_up(speaker_type: SpeakerType, variant: str) -> Speaker:
        pitch, shift = int(generator.integers(44, 57)), float(generator.uniform(0.95, 1.06))
        return Speaker(speaker_type, variant, pitch, shift, (140, 200))

    mother = grown_up("FEM", females[home.index % len(females)])
    father = grown_up("MAL", males[home.index % len(males)])
    child = Speaker(
        "CHI", females[(home.index + 1) % len(females)], int(generator.integers(70, 86)),
        float(generator.uniform(1.35, 1.5)), (95, 125), babble_hz,
    )  # fmt: skip
    return {person.speaker_type: person for person in (child, mother, father)}


def utter(speaker: Speaker, language: str, rate_hz: int, generator: np.random.Generator) -> tuple[FloatArray, bool]:
    """Something that a person says.

    Returns:
        Samples (T,), at least a second, of RMS 1 at ``rate_hz``, and whether they are words of the language.
    """
    is_words = speaker.babble_hz is None or generator.random() >= BABBLE_SHARE
    while True:
        sound = say(speaker, language, rate_hz, generator) if is_words else _babble_at(rate_hz, speaker, generator)
        if len(sound) >= SHORTEST_SEC * rate_hz:
            return sound / np.sqrt(np.mean(sound**2)), is_words


def say(speaker: Speaker, language: str, rate_hz: int, generator: np.random.Generator) -> FloatArray:
    """A phrase of a language, (T,)."""
    text = _draw_text(language, generator)
    rate_wpm = int(generator.integers(*speaker.rate_wpm, endpoint=True))
    intonation = int(generator.integers(*INTONATION, endpoint=True))
    spoken, spoken_rate_hz = speak(text, language, speaker.variant, rate_wpm, speaker.pitch, intonation)
    # Played faster, pitch and formants go up together. VHQ runs in double precision: see demo.py.
    trimmed = trim_silence(spoken, spoken_rate_hz) / 32768
    resampled: FloatArray = soxr.resample(trimmed, spoken_rate_hz * speaker.shift, rate_hz, "VHQ")
    return resampled


def babble(f0_hz: float, generator: np.random.Generator) -> FloatArray:
    """Syllables of vowels, (T,) at 16 kHz: harmonics of a moving pitch, weighted by formants that move too."""
    num_syllables = int(generator.integers(*SYLLABLES))
    seconds = generator.uniform(*SYLLABLE_SEC, num_syllables)
    bounds = np.concatenate([[0.0], np.cumsum(seconds)])
    time = np.arange(round(bounds[-1] * BABBLE_RATE_HZ)) / BABBLE_RATE_HZ
    syllable = np.minimum(np.searchsorted(bounds, time, side="right") - 1, num_syllables - 1)
    way = (time - bounds[syllable]) / seconds[syllable]  # 0 to 1 through each syllable
    f0 = f0_hz * _move(bounds, generator.uniform(0.85, 1.2, num_syllables + 1), time)
    formants = np.stack(
        [_move(bounds, VOWELS[generator.integers(len(VOWELS), size=num_syllables + 1), k], time) for k in range(3)]
    )
    phase = 2 * np.pi * np.cumsum(f0) / BABBLE_RATE_HZ
    sound = np.zeros(len(time))
    for harmonic in range(1, int(HIGHEST_HZ / f0.min()) + 1):
        hz = harmonic * f0
        sound += np.where(hz < HIGHEST_HZ, _formant_gain(hz, formants) / harmonic, 0) * np.sin(harmonic * phase)
    closed = 0.06 + 0.94 * np.sin(np.pi * np.clip(way, 0, 1)) ** 0.6  # lips between the vowels
    breath = 0.01 * generator.standard_normal(len(time)) * np.sqrt(np.mean(sound**2))
    return (sound + breath) * closed


def _babble_at(rate_hz: int, speaker: Speaker, generator: np.random.Generator) -> FloatArray:
    sound = babble(speaker.babble_hz or 0.0, generator)
    return sound if rate_hz == BABBLE_RATE_HZ else soxr.resample(sound, BABBLE_RATE_HZ, rate_hz, "VHQ")


def _variants(sex: Sex, side: Side) -> list[str]:
    """Voices of a side: what is learnt in training is never a test voice."""
    return [voice.variant for voice in VOICES if (voice.sex, voice.side) == (sex, side)]


def _draw_text(language: str, generator: np.random.Generator) -> str:
    subject, verb, thing = (parts[generator.integers(len(parts))] for parts in SENTENCES[language])
    texts = (subject, thing, f"{verb} {thing}", f"{subject} {verb} {thing}")
    return texts[generator.choice(len(texts), p=TEXT_SHARES)]


def _move(bounds: FloatArray, values: FloatArray, time: FloatArray) -> FloatArray:
    """From value to value, on a straight line through each syllable."""
    moved: FloatArray = np.interp(time, bounds, values)
    return moved


def _formant_gain(hz: FloatArray, formants: FloatArray) -> FloatArray:
    """Magnitude (T,) of three resonances at a moving frequency (T,); formants (3, T)."""
    widths = FORMANT_WIDTH_HZ[:, None]
    gain: FloatArray = (1 / np.sqrt(1 + ((hz - formants) / (0.5 * widths)) ** 2)).sum(axis=0)
    return gain
