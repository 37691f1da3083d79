"""A wav2vec2 as an encoder: features of whole recordings, the same alone as in any batch.

The models called base normalise the first convolution over the whole input, padding included, so
no attention mask makes them independent of their batch: features of a padded second were off by
1.5 in a network of unit scale. The convolutions are run without padding, each length by itself.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.utils import logging as transformers_logging

from audiorig.data.pretrained import MANIFEST, verify
from audiorig.models.outputs import EncoderOutput
from audiorig.models.wav2vec2.batches import FrameCounter
from audiorig.models.wav2vec2.checkpoint import load_network, read_config, read_preprocessor, weight_names
from audiorig.randomness import keyed_generator, random_state_fence


class _Body(Wav2Vec2Model):
    """The network without what only pre-training or a task needs, whatever of it a folder holds."""

    _keys_to_ignore_on_load_unexpected: list[str] = [".*"]  # noqa: RUF012 (transformers' own annotation)


class Wav2Vec2Encoder(nn.Module):
    """The network and how it wants its input; an ``AudioEncoder``.

    Args:
        body: the network.
        sample_rate_hz: of its input.
        do_normalize: whether each item is brought to zero mean and unit variance.

    Attributes:
        config: of the network.
    """

    def __init__(self, body: Wav2Vec2Model, sample_rate_hz: int, do_normalize: bool) -> None:
        super().__init__()
        self.body = body
        self.config: Wav2Vec2Config = body.config
        self.num_frames = FrameCounter.of(body.config)
        self._sample_rate_hz, self._do_normalize = sample_rate_hz, do_normalize

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self._sample_rate_hz

    @property
    def do_normalize(self) -> bool:
        """Whether each item is brought to zero mean and unit variance."""
        return self._do_normalize

    @classmethod
    def load(cls, folder: Path) -> "Wav2Vec2Encoder":
        """From a folder in the published format: of a pre-trained model, a fine-tuned one, or the body alone.

        Returns:
            The encoder: float32, on the CPU, in evaluation mode.

        Raises:
            DataError: if it is no wav2vec2, or lacks weights.
        """
        transformers_logging.disable_progress_bar()
        if (folder / MANIFEST).is_file():
            verify(folder)
        config, preprocessor = read_config(folder), read_preprocessor(folder)
        weight_names(folder)
        with random_state_fence():
            body = load_network(_Body, folder, config, {"masked_spec_embed"})  # nothing is hidden from an encoder
        return cls(body.eval(), preprocessor["sampling_rate"], preprocessor["do_normalize"])

    def untrained(self, seed: int) -> "Wav2Vec2Encoder":
        """The same network with weights as at the start of a training."""
        with random_state_fence():
            # A key of its own: a checkpoint of random weights may have been drawn from the same seed.
            torch.manual_seed(int(keyed_generator("untrained wav2vec2", seed).integers(2**63)))
            body = Wav2Vec2Model(self.config)
        return Wav2Vec2Encoder(body.eval(), self._sample_rate_hz, self._do_normalize)

    def encode(self, waveform: Tensor, lengths: Tensor) -> EncoderOutput:
        """Features of a padded batch.

        Args:
            waveform: float32 (B, T), in [-1, 1].
            lengths: int64 (B,), samples of each item; of one shorter than a frame all is padding.

        Returns:
            Features (B, N, D). ``layers`` are transformers' hidden_states: what enters the first
            block, then the output of each.
        """
        features, is_padding = self._features(waveform, lengths.tolist())
        tokens, _ = self.body.feature_projection(features)
        encoder, layers = self.body.encoder, []
        handles = [encoder.layers[0].register_forward_pre_hook(lambda _, inputs: layers.append(inputs[0]))]
        handles += [
            each.register_forward_hook(lambda _, inputs, output: layers.append(output)) for each in encoder.layers
        ]
        try:
            last = encoder(tokens, attention_mask=~is_padding if is_padding.any() else None).last_hidden_state
        finally:
            for handle in handles:
                handle.remove()
        outputs = [each.masked_fill(is_padding[..., None], 0) for each in (last, *layers)]
        return EncoderOutput(features=outputs[0], is_padding=is_padding, layers=tuple(outputs[1:]), has_input=True)

    def _features(self, waveform: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Output (B, N, C) of the convolutions, zeros behind an item's end, and where that is, (B, N)."""
        counts = [self.num_frames(length) for length in lengths]
        features = waveform.new_zeros(len(lengths), max(1, *counts), self.config.conv_dim[-1])
        for length in set(lengths):
            same = [index for index, other in enumerate(lengths) if other == length]
            if count := self.num_frames(length):
                features[same, :count] = self.body.feature_extractor(self._input(waveform[same, :length])).mT
        ends = torch.tensor(counts, device=waveform.device)
        return features, torch.arange(features.shape[1], device=waveform.device) >= ends[:, None]

    def _input(self, waveform: Tensor) -> Tensor:
        """Items (B, T) of one length as the network expects them."""
        if not self._do_normalize:
            return waveform
        variance, mean = torch.var_mean(waveform, 1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()
