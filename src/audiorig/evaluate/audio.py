"""From magnitudes back to something to listen to.

A magnitude spectrogram has no phase. ``griffin_lim`` looks for one and is what a model is to be
judged by. ``with_oracle_phase`` takes the phase of the truth: a poor prediction then still sounds
like the original, so whoever shows it calls it ``oracle_phase`` and nothing else.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from audiorig.config import SpectrogramConfig
from audiorig.models.spectrogram import num_frames

PEAK = 0.95


def griffin_lim(
    log_magnitude: Tensor, stft: SpectrogramConfig, num_samples: int, num_iterations: int = 32, momentum: float = 0.99
) -> Tensor:
    """A waveform (T,) whose magnitudes are close to the given ones; draws no random numbers.

    Fast Griffin-Lim (Perraudin, Balazs and Sondergaard, "A Fast Griffin-Lim Algorithm", 2013) from
    zero phase; ``momentum`` m stands for their alpha = m / (1 + m), as in torchaudio and librosa.
    torchaudio's own mirrors the ends between iterations where our frames are padded with zeros: in
    the outer two frames at either end its error was 1.2 to 5 times as large, and it refuses clips of
    less than half a frame. A random start was no better (spectral convergence 0.06 either way).

    Args:
        log_magnitude: (M, F) in nepers; frames that lack up to ``num_samples`` are silence.
    """
    magnitude = _to_magnitude(log_magnitude, stft, num_samples)
    alpha = momentum / (1 + momentum)
    before, phase = torch.zeros_like(magnitude), torch.ones_like(magnitude)
    for _ in range(num_iterations):
        spectrum = _transform(_invert(magnitude * phase, stft, num_samples), stft)
        leap = spectrum - alpha * before
        phase, before = leap.sgn(), spectrum
    return _invert(magnitude * phase, stft, num_samples)


def with_oracle_phase(log_magnitude: Tensor, waveform: Tensor, stft: SpectrogramConfig) -> Tensor:
    """A waveform (T,) of the given magnitudes and the phase of the true waveform.

    Args:
        log_magnitude: (M, F) in nepers; frames that the waveform has beyond these are silence.
        waveform: float32 (T,), which ``log_magnitude`` is a prediction of.
    """
    magnitude = _to_magnitude(log_magnitude, stft, len(waveform))
    phase = torch.polar(torch.ones_like(magnitude), _transform(waveform.float(), stft).angle())
    return _invert(magnitude * phase, stft, len(waveform))


def common_gain(*waveforms: Tensor, peak: float = PEAK) -> float:
    """The factor that brings the loudest peak of a set to ``peak``; 1 for silence."""
    loudest = max((float(waveform.abs().max()) for waveform in waveforms if waveform.numel()), default=0.0)
    return peak / loudest if loudest > 0 else 1.0


def one_gain(*waveforms: Tensor, peak: float = PEAK) -> list[Tensor]:
    """Scale a set together: each peak on its own would hide errors of level."""
    gain = common_gain(*waveforms, peak=peak)
    return [waveform * gain for waveform in waveforms]


def _to_magnitude(log_magnitude: Tensor, stft: SpectrogramConfig, num_samples: int) -> Tensor:
    """Magnitudes (F, N) of exactly the frames that ``num_samples`` have.

    What lies on the floor becomes 0. The floor says "at most this much"; taken at its word it is
    a steady hiss of about -85 dBFS in every pause, which a gain then lifts. Missing frames are added
    as zeros, because the inverse divides by the windows that cover a sample: in a tail that only
    the edge of the last window reaches, that division would blow up any error.

    Nothing is above what a full-scale waveform can reach: an untrained model may say anything.
    """
    frames = log_magnitude.float()[: num_frames(num_samples, stft)]
    magnitude = frames.clamp_max(math.log(stft.window / 2)).exp()
    magnitude = magnitude.masked_fill(frames <= math.log(stft.floor) + 1e-4, 0.0)
    return functional.pad(magnitude, (0, 0, 0, num_frames(num_samples, stft) - len(frames))).T


def _transform(waveform: Tensor, stft: SpectrogramConfig) -> Tensor:
    """(F, N) as ``models.spectrogram.log_magnitude`` has it, complex."""
    window = torch.hann_window(stft.window, device=waveform.device)
    return torch.stft(
        waveform,
        stft.n_fft,
        stft.hop,
        stft.window,
        window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )


def _invert(spectrum: Tensor, stft: SpectrogramConfig, num_samples: int) -> Tensor:
    """(T,); without ``length`` the samples behind the last frame's centre would be lost."""
    window = torch.hann_window(stft.window, device=spectrum.device)
    return torch.istft(
        spectrum.to(torch.complex64), stft.n_fft, stft.hop, stft.window, window, center=True, length=num_samples
    )
