"""A trained encoder in the shapes that two benchmarks of speech and audio encoders ask for.

SUPERB's toolkit s3prl takes a module with ``forward(wavs)``, a list of waveforms at 16 kHz, that
returns ``hidden_states`` (all of one shape, which it sums with learnt weights) and
``last_hidden_state``, and ``get_downsample_rates(key)``, whole samples from frame to frame
(github.com/s3prl/s3prl, s3prl/upstream/example/expert.py, interfaces.py and s3prl/nn/upstream.py).
X-ARES takes a module with ``sampling_rate``, ``output_dim`` and ``hop_size_in_ms`` whose
``forward(audio)`` turns (B, T) into (B, N, D) (github.com/jimbozhang/xares-template, template.py).

Neither is imported: both ask for attributes only. What stands behind an item's end in a padded
batch changes nothing, and comes out as zeros.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.transforms import Resample

from audiorig.models.encoder import PatchEncoder
from audiorig.models.outputs import EncoderOutput
from audiorig.models.trained import load_trained

S3PRL_RATE_HZ = 16000


class UpstreamExpert(nn.Module):
    """An upstream for s3prl: put it into an ``expert.py`` there, with ``ckpt`` where the run lies.

    s3prl counts frames in whole samples at 16 kHz, and a latent of 512 samples at 24 kHz lasts
    341 1/3: taken as 341, the features would run ahead by a frame in 22 s, and s3prl refuses what
    is 3 frames off. So frames are read off at every 341st sample from the nearest latent, which
    repeats one latent in 1024.

    Args:
        ckpt: a run's folder, its ``model/`` or its ``final.ckpt``.
        other: what s3prl hands to every upstream; not needed.
    """

    def __init__(self, ckpt: str | Path, model_config: str | None = None, **other: Any) -> None:
        super().__init__()
        self.model = load_trained(Path(ckpt))
        rate = self.model.config.sample_rate_hz
        # A wide, steep filter: with torchaudio's default, images above 8 kHz lie over the encoder's floor.
        self.resample = Resample(
            S3PRL_RATE_HZ, rate, "sinc_interp_kaiser", lowpass_filter_width=64, rolloff=0.9475937167399596
        )
        self._exact_rate = self.model.stft.hop * self.model.shape.stride * S3PRL_RATE_HZ / rate

    def get_downsample_rates(self, key: str = "hidden_states") -> int:
        """Samples at 16 kHz from frame to frame; the same for every key."""
        return round(self._exact_rate)

    def forward(self, wavs: list[Tensor]) -> dict[str, tuple[Tensor, ...] | Tensor]:
        """Features of waveforms at 16 kHz.

        Args:
            wavs: float32 (T,) each.

        Returns:
            ``hidden_states``: the blocks, then the last norm's output, (B, N, D) each, with N = T /
            downsample rate of the longest item, rounded; ``last_hidden_state``: the last of them.
        """
        # Each by itself: in a batch, the filter would mix what follows an item's end into it.
        resampled = [self.resample(wav.float()) for wav in wavs]
        output = _encode(self.model, resampled)
        index, is_real = self._grid([len(wav) for wav in wavs], output)
        states = tuple(_take(layer, index, is_real) for layer in (*output.layers, output.features))
        return {"hidden_states": states, "last_hidden_state": states[-1]}

    def _grid(self, lengths: list[int], output: EncoderOutput) -> tuple[Tensor, Tensor]:
        """For each frame of s3prl, (B, N): the latent that it is read from, and whether it is in the item."""
        rate, device = self.get_downsample_rates(), output.features.device
        counts = torch.tensor([max(1, round(length / rate)) for length in lengths], device=device)[:, None]
        latents = (~output.is_padding).sum(1, keepdim=True)
        places = torch.arange(int(counts.max()), device=device)
        nearest = (places * (rate / self._exact_rate)).round().long()
        index = torch.minimum(nearest[None], (latents - 1).clamp_min(0))
        return index, (places < counts) & (latents > 0)


class XaresEncoder(nn.Module):
    """An encoder for X-ARES, which resamples audio to ``sampling_rate`` by itself.

    Attributes:
        sampling_rate: Hz of the waveforms.
        output_dim: width D of a frame.
        hop_size_in_ms: from frame to frame.
    """

    def __init__(self, ckpt: str | Path) -> None:
        super().__init__()
        self.model = load_trained(Path(ckpt))
        self.sampling_rate = self.model.config.sample_rate_hz
        self.output_dim = self.model.shape.width
        self.hop_size_in_ms = 1000 * self.model.stft.hop * self.model.shape.stride / self.sampling_rate

    def forward(self, audio: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames (B, N, D) of the last layer.

        Args:
            audio: float32 (B, T) or (T,) at ``sampling_rate``.
            lengths: int64 (B,) samples of each item. X-ARES does not give them: padding is then
                taken for silence, which belongs to an item.
        """
        audio = audio[None] if audio.ndim == 1 else audio
        ends = [audio.shape[1]] * len(audio) if lengths is None else lengths.tolist()
        with torch.inference_mode():
            output = _encode(self.model.eval(), [row[:end] for row, end in zip(audio, ends, strict=True)])
        return output.features * ~output.is_padding[..., None]


def _encode(model: PatchEncoder, waveforms: list[Tensor]) -> EncoderOutput:
    lengths = torch.tensor([len(waveform) for waveform in waveforms], device=waveforms[0].device)
    padded = nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    least = model.stft.hop * model.shape.stride  # one latent: what is shorter becomes zeros
    return model.encode(nn.functional.pad(padded, (0, max(0, least - padded.shape[1]))), lengths)


def _take(layer: Tensor, index: Tensor, is_real: Tensor) -> Tensor:
    """Frames of (B, N, D) by their numbers (B, M), zeros where they are not real."""
    taken = layer.gather(1, index[..., None].expand(-1, -1, layer.shape[2]))
    return taken.masked_fill(~is_real[..., None], 0.0)
