"""A simulated recording channel: what a room, a microphone and a gain knob do to a voice.

The generated corpus passes every clip through a channel of its own, so that neither language
nor voice can be read off a level or a noise floor; the probe does the same to real recordings.
"""

import numpy as np
import numpy.typing as npt
import scipy.fft

FloatArray = npt.NDArray[np.float64]

MAX_TILT_DB_PER_OCTAVE = 3.0
MAX_TILT_DB = 9.0
TILT_PIVOT_HZ = 1000.0
NUM_BUMPS = 3
MAX_BUMP_DB = 6.0
BUMP_WIDTH_OCTAVES = (0.4, 1.2)
LOWEST_FREQUENCY_HZ = 60.0
NOISE_SLOPE_DB_PER_OCTAVE = (-6.0, 0.0)
PEAK_LIMIT = 0.99
PADDING_SEC = 0.25


def random_channel(
    waveform: npt.NDArray[np.floating],
    sample_rate_hz: int,
    generator: np.random.Generator,
    *,
    level_dbfs: tuple[float, float] = (-32.0, -20.0),
    snr_db: tuple[float, float] = (15.0, 35.0),
) -> npt.NDArray[np.float32]:
    """A recording of `waveform` through a channel that `generator` draws.

    Tilt and bumps first, then coloured noise at a ratio to the filtered voice, then a gain to
    the drawn level. A gain that would clip is lowered, so a peaky clip may end below the range.

    Args:
        waveform: mono, (T,), in [-1, 1].
        sample_rate_hz: rate of the waveform.
        generator: the only source of chance; use a keyed one to get the same channel again.
        level_dbfs: range of the root mean square of the result, 0 dB being 1.0.
        snr_db: range of the signal-to-noise ratio, both taken over the whole clip.

    Returns:
        float32 (T,) with no absolute value above 0.99.

    Raises:
        ValueError: if the waveform is not one-dimensional, or has no energy to set a level by.
    """
    if waveform.ndim != 1:
        raise ValueError(f"waveform has shape {waveform.shape}, expected one channel (T,)")
    # Double precision until the end: the last bits differ between processors, and a corpus
    # quantised to 16 bits from it should not.
    num_samples = waveform.size
    padded = scipy.fft.next_fast_len(num_samples + round(PADDING_SEC * sample_rate_hz), real=True)
    frequency_hz = np.maximum(np.fft.rfftfreq(padded, 1 / sample_rate_hz), LOWEST_FREQUENCY_HZ)

    voice = _filter(waveform.astype(np.float64), draw_gain_db(frequency_hz, generator), padded)
    voice_rms = _rms(voice)
    if not (np.isfinite(voice_rms) and voice_rms > 0):
        raise ValueError(f"waveform of {num_samples} samples has RMS {voice_rms}, expected > 0")

    noise_gain_db = _noise_gain_db(frequency_hz, generator)
    noise_to_voice = 10 ** (-generator.uniform(*snr_db) / 20)
    level = 10 ** (generator.uniform(*level_dbfs) / 20)
    noise = _filter(generator.standard_normal(num_samples), noise_gain_db, padded)

    mixture = voice + noise * (noise_to_voice * voice_rms / _rms(noise))
    mixture *= level / _rms(mixture)
    peak = float(np.abs(mixture).max())
    if peak > PEAK_LIMIT:
        mixture *= PEAK_LIMIT / peak
    return np.clip(mixture, -PEAK_LIMIT, PEAK_LIMIT).astype(np.float32)


def draw_gain_db(frequency_hz: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Draw a frequency response: a spectral tilt and three smooth bumps, in decibels.

    Args:
        frequency_hz: rising, (F,), all above zero.
        generator: source of slope, bump centres, widths and heights.

    Returns:
        float64 (F,), within 27 dB of zero.
    """
    octaves = np.log2(frequency_hz / TILT_PIVOT_HZ)
    slope = generator.uniform(-MAX_TILT_DB_PER_OCTAVE, MAX_TILT_DB_PER_OCTAVE)
    gain_db = np.clip(slope * octaves, -MAX_TILT_DB, MAX_TILT_DB)
    for _ in range(NUM_BUMPS):
        centre = generator.uniform(octaves[0], octaves[-1])
        width = generator.uniform(*BUMP_WIDTH_OCTAVES)
        height_db = generator.uniform(-MAX_BUMP_DB, MAX_BUMP_DB)
        gain_db += height_db * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return gain_db


def _noise_gain_db(frequency_hz: FloatArray, generator: np.random.Generator) -> FloatArray:
    return generator.uniform(*NOISE_SLOPE_DB_PER_OCTAVE) * np.log2(frequency_hz / TILT_PIVOT_HZ)


def _filter(waveform: FloatArray, gain_db: FloatArray, padded: int) -> FloatArray:
    # Zeros up to `padded` samples: what rings before the start falls there, not into the end.
    spectrum = scipy.fft.rfft(waveform, padded) * 10 ** (gain_db / 20)
    filtered: FloatArray = scipy.fft.irfft(spectrum, padded)[: waveform.size]
    return filtered


def _rms(waveform: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform)))) if waveform.size else 0.0
