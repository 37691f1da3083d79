"""The generated ratings: speech whose rate, pitch and loudness are known, rated by nobody, with some values missing.

Three features vary independently of each other and of the voice; each is asked for as a yes or no,
and all three, with noise, make up a rating of effort. The same settings give the same files, byte
for byte.
"""

import csv
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.fft
import soundfile
import soxr

from audiorig.data.channel import LOWEST_FREQUENCY_HZ, draw_gain_db
from audiorig.data.corpora.demo import SENTENCES, VOICES, Side, Voice, trim_silence
from audiorig.data.corpora.espeak import speak
from audiorig.data.corpora.generated import write_clips
from audiorig.files import written_aside
from audiorig.randomness import keyed_generator

if TYPE_CHECKING:
    from audiorig.config import DemoRatingsCorpus

FloatArray = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 16_000
METADATA = "metadata.csv"
LANGUAGE = "en"
CLIP_SEC = (2.0, 3.0)
RATE_WPM = (110.0, 270.0)
PITCH_SEMITONES = (-7.0, 7.0)
LEVEL_DB = (-42.0, -22.0)
# espeak-ng's pitch and range moved together: 0.19 semitones a step, within a semitone at the ends of the
# scale (measured on six of the voices). Pitch alone moves the lowest pitch of a voice, not its intonation.
SEMITONES_PER_STEP = 0.19
RANGE = 40
# Who speaks up also brightens: without it, a model that brings clips to one level would hear no loudness.
TILT_DB_PER_OCTAVE_PER_DB = 0.2
TILT_PIVOT_HZ = 1000.0
MICROPHONE_SHARE = 0.5
NOISE_DBFS = (-68.0, -58.0)
FADE_SEC = 0.01
PEAK = 0.99
# Effort is the sum of the three, each from -1 to 1, and noise; cut where each step gets about a fifth.
EFFORT_NOISE = 0.4
EFFORT_BOUNDS = (-0.9, -0.3, 0.3, 0.9)
LABELS = ("is_fast", "is_high", "is_loud", "effort")


@dataclass(frozen=True)
class Clip:
    """All there is to say about one file before it is spoken.

    Attributes:
        rate_wpm: speaking rate in words per minute.
        pitch_semitones: pitch, relative to the voice's own.
        level_db: root mean square in dB of full scale.
        seconds: length; it says nothing of the rate.
        effort: 1 to 5, or None where it is missing; likewise the three features.
    """

    path: str
    voice: Voice
    text: str
    seconds: float
    rate_wpm: float
    pitch_semitones: float
    level_db: float
    is_fast: int | None
    is_high: int | None
    is_loud: int | None
    effort: int | None


@dataclass(frozen=True)
class Metadata:
    """A row of ``metadata.csv``; a missing value is an empty cell."""

    path: str
    participant_id: str
    sex: str
    side: Side
    is_fast: int | None
    is_high: int | None
    is_loud: int | None
    effort: int | None
    rate_wpm: float
    pitch_semitones: float
    level_db: float


def plan_voices(num_voices: int) -> list[Voice]:
    """Voices of all sides, women and men in turns: 12, 3 and 5 of 20.

    Sides are those of the corpus ``demo``: an encoder that has learnt from that has never heard a test voice.
    """
    num_dev, num_test = max(2, round(0.15 * num_voices)), max(2, round(0.25 * num_voices))
    wanted: dict[Side, int] = {"train": num_voices - num_dev - num_test, "dev": num_dev, "test": num_test}
    return [voice for side, number in wanted.items() for voice in _in_turns(side)[:number]]


def plan_clips(settings: "DemoRatingsCorpus") -> list[Clip]:
    """Every clip of the corpus, sorted by path."""
    clips = [
        _plan_clip(settings, voice, index)
        for voice in plan_voices(settings.num_voices)
        for index in range(settings.clips_per_voice)
    ]
    return sorted(clips, key=lambda clip: clip.path)


def render_clip(clip: Clip, seed: int) -> npt.NDArray[np.int16]:
    """Speak and record one clip: a function of clip and seed only.

    Returns:
        int16 (T,) at 16 kHz.

    Raises:
        ValueError: if the text is over before the clip is.
    """
    steps = round(clip.pitch_semitones / SEMITONES_PER_STEP)
    intonation = round(RANGE * 2 ** (clip.pitch_semitones / 12))
    spoken, rate_hz = speak(clip.text, LANGUAGE, clip.voice.variant, round(clip.rate_wpm), 50 + steps, intonation)
    # VHQ runs in double precision, so the 16 bits do not depend on the processor's last bits.
    speech = soxr.resample(trim_silence(spoken, rate_hz) / 32768, rate_hz, SAMPLE_RATE_HZ, "VHQ")
    num_samples = round(clip.seconds * SAMPLE_RATE_HZ)
    if len(speech) < num_samples:
        raise ValueError(f"{clip.text!r} lasts {len(speech) / SAMPLE_RATE_HZ:.2f} s, expected {clip.seconds:.2f} s")
    generator = keyed_generator("ratings-channel", seed, clip.path)
    return np.rint(32768 * _record(speech[:num_samples], clip.level_db, generator)).astype(np.int16)


def synthesize(settings: "DemoRatingsCorpus", root: Path, num_workers: int) -> None:
    """Write all clips below `root` as 16 kHz WAV files, then ``metadata.csv``, in one step.

    Args:
        settings: seed, numbers of voices and clips, share of missing values.
        root: folder of the corpus; clips go to {participant_id}/.
        num_workers: processes that speak; one means this process.

    Raises:
        RuntimeError: naming the clip that could not be made.
    """
    clips = plan_clips(settings)
    (root / METADATA).unlink(missing_ok=True)
    write = partial(_write_clip, root=root, seed=settings.seed)
    write_clips(write, {clip.path: clip for clip in clips}, root, root.glob("voice-*/clip-*.wav"), num_workers)
    with written_aside(root / METADATA) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Metadata.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(describe(clip)) for clip in clips)


def describe(clip: Clip) -> Metadata:
    """What the table says of a clip."""
    return Metadata(
        path=clip.path, participant_id=clip.voice.name, sex=clip.voice.sex, side=clip.voice.side,
        is_fast=clip.is_fast, is_high=clip.is_high, is_loud=clip.is_loud, effort=clip.effort,
        rate_wpm=round(clip.rate_wpm, 1), pitch_semitones=round(clip.pitch_semitones, 2),
        level_db=round(clip.level_db, 2),
    )  # fmt: skip


def _in_turns(side: Side) -> list[Voice]:
    """Voices of a side, women and men in turns while there are both."""
    women, men = ([voice for voice in VOICES if (voice.sex, voice.side) == (sex, side)] for sex in ("f", "m"))
    turns = [voice for pair in zip(women, men, strict=False) for voice in pair]
    return turns + [voice for voice in (*women, *men) if voice not in turns]


def _plan_clip(settings: "DemoRatingsCorpus", voice: Voice, index: int) -> Clip:
    path = f"{voice.name}/clip-{index:03d}.wav"
    generator = keyed_generator("ratings-clip", settings.seed, path)
    amounts = generator.uniform(-1, 1, 3)
    rate_wpm, pitch_semitones, level_db = (
        low + (high - low) * (amount + 1) / 2
        for amount, (low, high) in zip(amounts.tolist(), (RATE_WPM, PITCH_SEMITONES, LEVEL_DB), strict=True)
    )
    effort = float(amounts.sum()) + EFFORT_NOISE * generator.standard_normal()
    values = [*(int(amount > 0) for amount in amounts), 1 + int(np.searchsorted(EFFORT_BOUNDS, effort))]
    is_missing = generator.random(len(values)) < settings.missing_share
    labels = [None if missing else value for value, missing in zip(values, is_missing, strict=True)]
    seconds = float(generator.uniform(*CLIP_SEC))
    return Clip(
        path, voice, _draw_text(generator), seconds, rate_wpm, pitch_semitones, level_db,
        **dict(zip(LABELS, labels, strict=True)),
    )  # fmt: skip


def _draw_text(generator: np.random.Generator) -> str:
    """Two sentences in one breath: more than a clip holds, at any rate."""
    phrases = [parts[generator.integers(len(parts))] for _ in range(2) for parts in SENTENCES[LANGUAGE]]
    return f"{' '.join(phrases[:3])} and {' '.join(phrases[3:])}."


def _record(speech: FloatArray, level_db: float, generator: np.random.Generator) -> FloatArray:
    """Speech (T,) at a level, brighter the louder, through a microphone that is the clip's own, with noise."""
    hz = np.maximum(scipy.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE_HZ), LOWEST_FREQUENCY_HZ)
    octaves = np.log2(hz / TILT_PIVOT_HZ)
    tilt_db = TILT_DB_PER_OCTAVE_PER_DB * (level_db - sum(LEVEL_DB) / 2) * octaves
    gain_db = tilt_db + MICROPHONE_SHARE * draw_gain_db(hz, generator)
    voice = scipy.fft.irfft(scipy.fft.rfft(speech) * 10 ** (gain_db / 20), len(speech))
    voice *= 10 ** (level_db / 20) / np.sqrt(np.mean(voice**2))
    noise = generator.standard_normal(len(speech)) * 10 ** (generator.uniform(*NOISE_DBFS) / 20)
    from_ends = np.minimum(np.arange(len(speech)), np.arange(len(speech))[::-1])
    recorded: FloatArray = voice * np.minimum(1, from_ends / (FADE_SEC * SAMPLE_RATE_HZ)) + noise
    return np.clip(recorded, -PEAK, PEAK)


def _write_clip(clip: Clip, root: Path, seed: int) -> None:
    try:
        soundfile.write(root / clip.path, render_clip(clip, seed), SAMPLE_RATE_HZ, subtype="PCM_16")
    except Exception as error:
        raise RuntimeError(f"{clip.path}: {error}") from error
