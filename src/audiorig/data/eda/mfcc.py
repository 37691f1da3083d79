"""Mel-frequency cepstral coefficients of whole songs, once for each (Davis and Mermelstein, 1980).

As ``torchaudio.transforms.MFCC``: power spectra of Hann windows, HTK mel bands, dB with nothing more than 80 dB below
the song's loudest band, orthonormal DCT-II. Frame k is centred at sample k * hop; the song is mirrored at its ends, so
that a song of T samples has N' = 1 + floor(T / hop) frames.

A coefficient knows more than half a window of the future in two ways. The floor of 80 dB is of the whole song, so a
loud end makes a quiet beginning a little less quiet. And with ``normalize: peak`` the song's largest sample, wherever
it is, shifts the first coefficient of all frames by one and the same number; with ``none`` it does not.
"""

import logging
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torchaudio.transforms import MFCC

from audiorig.config import MfccConfig
from audiorig.data.audio import Samples, read_window
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.feature_store import Arrays, compute_shard
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

BLOCK_FRAMES = 200  # whose spectra are computed at once: they stay in the cache; 2,000 at once take twice as long

log = logging.getLogger(__name__)


def write_mfcc(songs: pd.DataFrame, root: AudioRoot, settings: MfccConfig, output: Path) -> Assumptions:
    """Coefficients of some songs, by ``wav_path``; no frames of files that cannot be read.

    Args:
        songs: rows of a manifest, sorted by ``wav_path``.
        output: written: one file of a ``FeatureStore``, with the array ``mfcc`` (N', C).

    Returns:
        What had to be assumed.
    """
    assumptions = Assumptions()
    none = np.empty((0, settings.num_mfcc), np.float32)

    def compute(row: pd.Series) -> Arrays:
        path = str(row["wav_path"])
        if (row.get("channels") or 1) > 1:
            assumptions.assume("mono", "the mean of the channels stands for what was heard", path)
        try:
            return {"mfcc": _of_song(row, root, settings)}
        except DataError as error:
            log.warning("%s; left without coefficients", error)
            return {"mfcc": none}

    if (num_empty := num_empty_bands(settings)) > 0:
        assumptions.assume("empty-mel-bands", _about_empty_bands(num_empty, settings), settings.key)
    compute_shard(songs, compute, output, output.with_name(f".{output.stem}.parts"))
    return assumptions


def _of_song(row: pd.Series, root: AudioRoot, settings: MfccConfig) -> NDArray[np.float32]:
    waveform = read_window(root.source_of_row(row), 0, -1, settings.sample_rate_hz)
    try:
        return mfcc(waveform, settings)
    except DataError as error:
        raise DataError(f"{row['wav_path']}: {error}") from None


def songs_of(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows of a manifest that are songs, and whose header could be read."""
    is_song = manifest["song_id"].fillna("").astype(str) != ""
    return manifest[is_song & manifest["duration_sec"].notna()]


def mfcc(waveform: Samples, settings: MfccConfig) -> NDArray[np.float32]:
    """Coefficients of a song.

    Args:
        waveform: (T,) at ``settings.sample_rate_hz``; of any level: an MP3's peaks lie above 1, and nothing is clipped.

    Returns:
        (N', C), N' = 1 + floor(T / hop), frame k centred at k * hop.

    Raises:
        DataError: if it is no longer than half a window, or holds samples that are no number.
    """
    half = settings.window // 2
    if len(waveform) <= half:
        raise DataError(f"expected more than half a window of {settings.window} samples, found {len(waveform)}")
    peak = float(np.abs(waveform).max())
    if not np.isfinite(peak):
        raise DataError("expected numbers, found samples that are NaN or infinite")
    scale = 1 / peak if settings.normalize == "peak" and peak > 0 else 1.0
    padded = torch.from_numpy(np.pad(np.asarray(waveform, np.float32) * np.float32(scale), half, mode="reflect"))
    transform = _transform(settings)
    with torch.inference_mode():
        bands = torch.cat([transform.MelSpectrogram(block) for block in _blocks(padded, settings)], dim=1)
        coefficients: NDArray[np.float32] = (transform.amplitude_to_DB(bands).T @ transform.dct_mat).numpy()
    return coefficients


def _blocks(padded: torch.Tensor, settings: MfccConfig) -> Iterator[torch.Tensor]:
    """Stretches of a song whose frames, one after the other, are those of the song."""
    num_frames = 1 + (len(padded) - settings.window) // settings.hop
    for first in range(0, num_frames, BLOCK_FRAMES):
        stop = min(first + BLOCK_FRAMES, num_frames)
        yield padded[first * settings.hop : (stop - 1) * settings.hop + settings.window]


@lru_cache(maxsize=4)
def _transform(settings: MfccConfig) -> MFCC:
    """Without the mirroring at the ends, which is done for the whole song before it is cut into blocks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="At least one mel filterbank")  # counted by num_empty_bands
        return MFCC(
            settings.sample_rate_hz,
            settings.num_mfcc,
            melkwargs={
                "n_fft": settings.window,
                "hop_length": settings.hop,
                "n_mels": settings.num_mels,
                "center": False,
            },
        )


def num_empty_bands(settings: MfccConfig) -> int:
    """Mel bands that lie between two bins of the spectrum, and so are always silent."""
    weights = _transform(settings).MelSpectrogram.mel_scale.fb  # (bins, bands)
    return int((weights.amax(0) == 0).sum())


def _about_empty_bands(num_empty: int, settings: MfccConfig) -> str:
    return (
        f"{num_empty} of {settings.num_mels} mel bands lie between the bins of windows of {settings.window} samples "
        f"at {settings.sample_rate_hz} Hz and are always silent; fewer num_mels or a longer window would do without"
    )
