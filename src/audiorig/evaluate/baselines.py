"""Controls without training: what plain spectral features already know."""

import torch
import torchaudio
from torch import Tensor
from tqdm import tqdm

from audiorig.evaluate.embed import pool
from audiorig.evaluate.intervals import Floats
from audiorig.evaluate.pieces import Pieces

NUM_MELS, NUM_CEPSTRA, FLOOR = 80, 40, 1e-10

LOG_MEL = "log-mel"
LOG_MEL_LEVELLED = "log-mel, level removed"
LOG_MEL_DELTAS = "log-mel + deltas"
MFCC = "MFCC"


class LogMel:
    """Log-mel spectra at one rate, in windows of 43 ms every 11 ms."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.n_fft, hop = round(sample_rate_hz * 1024 / 24000), round(sample_rate_hz * 256 / 24000)
        self._mel = torchaudio.transforms.MelSpectrogram(sample_rate_hz, self.n_fft, hop_length=hop, n_mels=NUM_MELS)

    def __call__(self, samples: Tensor) -> Tensor:
        """Frames (N, 80) of a clip (T,)."""
        return self._mel(samples).clamp_min(FLOOR).log().T

    def statistics(self, samples: Tensor) -> Tensor:
        """Mean and standard deviation over frames, (160,); what is shorter than a window is filled up with zeros."""
        frames = self(torch.nn.functional.pad(samples, (0, max(0, self.n_fft - len(samples)))))
        return pool(frames[None], torch.ones(1, len(frames)))[0]


def spectral_features(pieces: Pieces) -> dict[str, Floats]:
    """Mean and standard deviation over frames of log-mel spectra and their relatives.

    Returns:
        System name -> (n, K).
    """
    log_mels = LogMel(pieces.sample_rate_hz)
    cosine = torchaudio.functional.create_dct(NUM_CEPSTRA, NUM_MELS, "ortho")
    rows: dict[str, list[Tensor]] = {}
    for index in tqdm(range(len(pieces)), "embed log-mel", unit="clip", mininterval=1):
        log_mel = log_mels(torch.from_numpy(pieces[index]))
        delta = torchaudio.functional.compute_deltas(log_mel.T).T
        for name, frames in {
            LOG_MEL: log_mel,
            LOG_MEL_LEVELLED: log_mel - log_mel.mean(),
            LOG_MEL_DELTAS: torch.cat([log_mel, delta], dim=1),
            MFCC: log_mel @ cosine,
        }.items():
            rows.setdefault(name, []).append(pool(frames[None], torch.ones(1, len(frames)))[0])
    return {name: torch.stack(vectors).numpy() for name, vectors in rows.items()}
