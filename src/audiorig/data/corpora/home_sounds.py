"""What else is in a generated home's recording: the room, the microphone, and noise.

Each home has a room and a microphone of its own, so that homes differ as those of real recordings
do, and a model can learn that instead of what it should.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from audiorig.data.channel import LOWEST_FREQUENCY_HZ, TILT_PIVOT_HZ, draw_gain_db
from audiorig.data.corpora.home_voices import Home, Speaker, utter
from audiorig.randomness import keyed_generator

FloatArray = npt.NDArray[np.float64]
Distance = Literal["near", "far"]

REVERB_SEC = 0.35  # tails are cut there
DECAY_SEC = (0.25, 0.6)  # until a tail has lost 60 dB
TAIL_DB: dict[Distance, float] = {"near": -16.0, "far": -1.0}  # energy of the tail, relative to the direct sound
FAR_CUTOFF_HZ = (2200.0, 3500.0)
LOOP_SEC = 20  # noise repeats after so long; a whole number of hum's periods
FLOOR_DBFS, HUM_DBFS = (-66.0, -58.0), (-72.0, -62.0)
HUM_HZ, HUM_PARTS = 50.0, {1: 1.0, 2: 0.6, 3: 0.4, 5: 0.2}
KETTLE_DBFS, KETTLE_SEC, KETTLE_BAND_HZ = (-52.0, -46.0), (12.0, 25.0), (700.0, 5000.0)
TV_DBFS, TV_SHARE, TV_CUTOFF_HZ, TV_VOICES = (-58.0, -52.0), (0.2, 0.4), 1200.0, 14
FADE_SEC = 2.0


@dataclass(frozen=True)
class Room:
    """A room and the microphone in it.

    Attributes:
        responses: (C, L) for each distance, beginning ``delay`` samples before the sound arrives.
        microphone: its gain in decibels at the frequencies of a loop of noise.
        near_dbfs: level of somebody who is near.
        far_db: how much more quietly somebody far away is heard.
    """

    responses: dict[Distance, FloatArray]
    delay: int
    microphone: FloatArray
    near_dbfs: float
    far_db: float

    def hear(
        self, sound: FloatArray, distance: Distance, level_dbfs: float, gains: FloatArray, rate_hz: int
    ) -> FloatArray:
        """A sound as it is recorded.

        Args:
            sound: (T,).
            level_dbfs: RMS level of the result while the sound lasts, over all channels.
            gains: (C,), where it comes from.

        Returns:
            (C, more than T): the room goes on sounding.
        """
        response = self.responses[distance]
        heard: FloatArray = scipy.signal.oaconvolve(sound[None], response, axes=1)[:, self.delay :] * gains[:, None]
        return heard * (10 ** (level_dbfs / 20) / _rms(heard[:, : len(sound)]))


def build_room(seed: int, home: Home) -> Room:
    """The room of a home, and its microphone."""
    generator, rate_hz = keyed_generator("home-room", seed, home.name), home.sample_rate_hz
    taps = 2 * scipy.fft.next_fast_len(round(0.016 * rate_hz), real=True)
    hz = np.maximum(scipy.fft.rfftfreq(taps, 1 / rate_hz), LOWEST_FREQUENCY_HZ)
    kernel = np.roll(scipy.fft.irfft(10 ** (_microphone_db(seed, home.name, hz) / 20), taps), taps // 2)
    kernel *= scipy.signal.windows.hann(taps, sym=False)
    length = round(REVERB_SEC * rate_hz)
    decay = np.exp(-6.9 * np.arange(length) / (generator.uniform(*DECAY_SEC) * rate_hz))
    tails = generator.standard_normal((home.channels, length)) * decay
    tails /= np.sqrt(np.sum(tails**2, axis=1, keepdims=True))
    size = scipy.fft.next_fast_len(length + taps, real=True)
    frequency_hz = scipy.fft.rfftfreq(size, 1 / rate_hz)
    far = _low_pass(frequency_hz, float(generator.uniform(*FAR_CUTOFF_HZ)))
    responses: dict[Distance, FloatArray] = {}
    for distance, tail_db in TAIL_DB.items():
        spectrum = 1 + scipy.fft.rfft(tails * 10 ** (tail_db / 20), size)
        spectrum *= scipy.fft.rfft(kernel, size) * (far if distance == "far" else 1)
        responses[distance] = scipy.fft.irfft(spectrum, size)
    loop_hz = np.maximum(scipy.fft.rfftfreq(LOOP_SEC * rate_hz, 1 / rate_hz), LOWEST_FREQUENCY_HZ)
    near_dbfs, far_db = float(generator.uniform(-30, -23)), float(generator.uniform(-15, -11))
    return Room(responses, taps // 2, _microphone_db(seed, home.name, loop_hz), near_dbfs, far_db)


def make_noise_floor(room: Room, rate_hz: int, channels: int, generator: np.random.Generator) -> FloatArray:
    """A loop (C, samples) without a seam: the noise of microphone and room, and the hum of the mains."""
    num_samples = LOOP_SEC * rate_hz
    hz = np.maximum(scipy.fft.rfftfreq(num_samples, 1 / rate_hz), LOWEST_FREQUENCY_HZ)
    slope_db = generator.uniform(-6, -1) * np.log2(hz / TILT_PIVOT_HZ)
    noise = _shaped_noise((channels, num_samples), slope_db + room.microphone, generator)
    time = np.arange(num_samples) / rate_hz
    hum = np.sum([part * np.sin(2 * np.pi * HUM_HZ * k * time + k) for k, part in HUM_PARTS.items()], axis=0)
    floor = noise * 10 ** (generator.uniform(*FLOOR_DBFS) / 20) / _rms(noise)
    floor += hum * 10 ** (generator.uniform(*HUM_DBFS) / 20) / _rms(hum)
    return floor


def add_loop(scene: npt.NDArray[np.float32], loop: FloatArray) -> None:
    """Lay a loop (C, P) under a recording (C, T)."""
    for start in range(0, scene.shape[1], loop.shape[1]):
        part = scene[:, start : start + loop.shape[1]]
        part += loop[:, : part.shape[1]]


def add_kettle(scene: npt.NDArray[np.float32], room: Room, rate_hz: int, generator: np.random.Generator) -> None:
    """A kettle that comes to the boil: noise that grows, and stops."""
    num_samples = min(round(generator.uniform(*KETTLE_SEC) * rate_hz), scene.shape[1], LOOP_SEC * rate_hz)
    start = int(generator.integers(scene.shape[1] - num_samples + 1))
    hz = np.maximum(scipy.fft.rfftfreq(LOOP_SEC * rate_hz, 1 / rate_hz), LOWEST_FREQUENCY_HZ)
    low, high = np.log2(KETTLE_BAND_HZ)
    octaves_outside = np.maximum(np.maximum(low - np.log2(hz), np.log2(hz) - high), 0)
    noise = _shaped_noise((1, LOOP_SEC * rate_hz), room.microphone - 12 * octaves_outside, generator)[:, :num_samples]
    grows = np.linspace(0, 1, num_samples) ** 2
    scene[:, start : start + num_samples] += (
        noise * grows * (10 ** (generator.uniform(*KETTLE_DBFS) / 20) / _rms(noise))
    )


def add_television(
    scene: npt.NDArray[np.float32], room: Room, home: Home, cast: list[Speaker], generator: np.random.Generator
) -> None:
    """Many voices at once from another room, for a part of the time: nobody says where one of them speaks."""
    rate_hz = home.sample_rate_hz
    loop = np.zeros(LOOP_SEC * rate_hz)
    for index in range(TV_VOICES):
        sound, _ = utter(cast[index % len(cast)], home.language, rate_hz, generator)
        places = (generator.integers(len(loop)) + np.arange(len(sound))) % len(loop)
        loop[places] += sound
    hz = scipy.fft.rfftfreq(len(loop), 1 / rate_hz)
    spectrum = scipy.fft.rfft(loop) * _low_pass(hz, TV_CUTOFF_HZ) * 10 ** (room.microphone / 20)
    murmur = scipy.fft.irfft(spectrum, len(loop))
    num_samples = round(generator.uniform(*TV_SHARE) * scene.shape[1])
    start = int(generator.integers(scene.shape[1] - num_samples + 1))
    murmur = np.resize(murmur, num_samples) * (10 ** (generator.uniform(*TV_DBFS) / 20) / _rms(murmur))
    from_ends = np.minimum(np.arange(num_samples), np.arange(num_samples)[::-1])
    scene[:, start : start + num_samples] += murmur * np.minimum(1, from_ends / (FADE_SEC * rate_hz))


def _microphone_db(seed: int, home: str, frequency_hz: FloatArray) -> FloatArray:
    """Gain of a home's microphone: the same curve at whatever frequencies are asked for."""
    return draw_gain_db(frequency_hz, keyed_generator("home-microphone", seed, home))


def _low_pass(frequency_hz: FloatArray, cutoff_hz: float) -> FloatArray:
    """Magnitude of a second-order low-pass."""
    return 1 / np.sqrt(1 + (frequency_hz / cutoff_hz) ** 4)


def _shaped_noise(shape: tuple[int, int], gain_db: FloatArray, generator: np.random.Generator) -> FloatArray:
    spectrum = scipy.fft.rfft(generator.standard_normal(shape)) * 10 ** (gain_db / 20)
    noise: FloatArray = scipy.fft.irfft(spectrum, shape[1])
    return noise


def _rms(sound: FloatArray) -> float:
    return float(np.sqrt(np.mean(sound**2)))
