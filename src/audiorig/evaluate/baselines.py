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


def spectral_features(pieces: Pieces) -> dict[str, Floats]:
    """Mean and standard deviation over frames of log-mel spectra and their relatives.

    Returns:
        System name -> (n, K).
    """
    rate = pieces.sample_rate_hz
    n_fft, hop = round(rate * 1024 / 24000), round(rate * 256 / 24000)  # 43 and 11 ms
    mel = torchaudio.transforms.MelSpectrogram(rate, n_fft, hop_length=hop, n_mels=NUM_MELS)
    cosine = torchaudio.functional.create_dct(NUM_CEPSTRA, NUM_MELS, "ortho")
    rows: dict[str, list[Tensor]] = {}
    for index in tqdm(range(len(pieces)), "embed log-mel", unit="clip", mininterval=1):
        log_mel = mel(torch.from_numpy(pieces[index])).clamp_min(FLOOR).log().T  # (N, 80)
        delta = torchaudio.functional.compute_deltas(log_mel.T).T
        for name, frames in {
            LOG_MEL: log_mel,
            LOG_MEL_LEVELLED: log_mel - log_mel.mean(),
            LOG_MEL_DELTAS: torch.cat([log_mel, delta], dim=1),
            MFCC: log_mel @ cosine,
        }.items():
            rows.setdefault(name, []).append(pool(frames[None], torch.ones(1, len(frames)))[0])
    return {name: torch.stack(vectors).numpy() for name, vectors in rows.items()}
