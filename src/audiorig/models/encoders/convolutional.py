"""wav2vec2, HuBERT and WavLM: convolutions over the waveform, then a transformer.

The models called base normalise the first convolution over the whole input, padding included, so
no attention mask makes them independent of their batch: features of a padded second were off by
1.5 in a network of unit scale. Their convolutions are run without padding, each length by itself.
Those of the large models normalise each frame by itself: frames behind an item's end are cut off,
and the others are what they are without padding.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import (
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)
from transformers.masking_utils import create_bidirectional_mask

from audiorig.models.encoders.base import SpeechEncoder, output_of, padding_of, seen_keys, with_prompts
from audiorig.models.encoders.wavlm_attention import GatedAttention
from audiorig.models.outputs import EncoderOutput
from audiorig.models.wav2vec2.batches import FrameCounter
from audiorig.randomness import keyed_generator, random_state_fence

Settings = Wav2Vec2Config | HubertConfig | WavLMConfig
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "hubert": (HubertConfig, HubertModel),
    "wavlm": (WavLMConfig, WavLMModel),
}


class ConvolutionalEncoder(SpeechEncoder):
    """A wav2vec2, HuBERT or WavLM and how it wants its input.

    Args:
        body: the network; the attention of a WavLM gets a forward pass whose projections can learn.
        sample_rate_hz: of its input.
        do_normalize: whether each item is brought to zero mean and unit variance.
    """

    lora_targets: ClassVar[tuple[str, ...]] = (
        *("q_proj", "k_proj", "v_proj", "out_proj"),
        *("intermediate_dense", "output_dense"),
    )
    num_frames: FrameCounter
    body: Any

    def __init__(self, body: PreTrainedModel, sample_rate_hz: int, do_normalize: bool) -> None:
        super().__init__()
        self.body, self.training = body, body.training
        self.config = body.config
        self.family = self.config.model_type
        self.width, self.num_blocks = self.config.hidden_size, self.config.num_hidden_layers
        self.num_frames = FrameCounter.of(self.config)
        self._sample_rate_hz, self._do_normalize = sample_rate_hz, do_normalize
        if self.family == "wavlm":
            for layer in self.body.encoder.layers:
                GatedAttention.take_over(layer.attention)

    @classmethod
    def of_random_weights(cls, config: Settings, sample_rate_hz: int, do_normalize: bool) -> "ConvolutionalEncoder":
        """A network as its family initialises it, from torch's global generator."""
        return cls(NETWORKS[config.model_type][1](config).eval(), sample_rate_hz, do_normalize)

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""
        return self._sample_rate_hz

    @property
    def do_normalize(self) -> bool:
        """Whether each item is brought to zero mean and unit variance."""
        return self._do_normalize

    @property
    def block_names(self) -> tuple[str, ...]:
        return tuple(f"body.encoder.layers.{index}" for index in range(self.num_blocks))

    @property
    def front_names(self) -> tuple[str, ...]:
        names = ("body.feature_extractor", "body.feature_projection", "body.encoder.pos_conv_embed")
        return names if self.config.do_stable_layer_norm else (*names, "body.encoder.layer_norm")

    def description(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "sample_rate_hz": self.sample_rate_hz,
            "do_normalize": self.do_normalize,
            "network": plain_settings(self.config),
        }

    def untrained(self, seed: int) -> "ConvolutionalEncoder":
        """The same network with weights as at the start of a training."""
        with random_state_fence():
            # A key of its own: a checkpoint of random weights may have been drawn from the same seed.
            torch.manual_seed(int(keyed_generator(f"untrained {self.family}", seed).integers(2**63)))
            return self.of_random_weights(self.config, self.sample_rate_hz, self.do_normalize)

    def encode(self, waveform: Tensor, lengths: Tensor, prompts: Tensor | None = None) -> EncoderOutput:
        """As ``SpeechEncoder.encode``; ``layers`` are transformers' hidden_states."""
        features, is_padding = self._features(waveform, lengths.tolist())
        encoder, is_stable = self.body.encoder, self.config.do_stable_layer_norm
        tokens = self.body.feature_projection(features)
        tokens = tokens if isinstance(tokens, Tensor) else tokens[0]
        tokens = tokens.masked_fill(is_padding[..., None], 0)
        tokens = tokens + encoder.pos_conv_embed(tokens)
        tokens = encoder.dropout(tokens if is_stable else encoder.layer_norm(tokens))
        tokens, is_hidden = with_prompts(tokens, is_padding, prompts)
        layers = self._blocks(tokens, is_hidden)
        last = encoder.layer_norm(layers[-1]) if is_stable else layers[-1]
        return output_of(last, layers, is_padding, prompts)

    def _blocks(self, tokens: Tensor, is_padding: Tensor) -> list[Tensor]:
        """What enters the first block, then the output of each; no query sees padding."""
        seen = seen_keys(is_padding)
        mask: Any = None
        if seen is not None and self.family == "wavlm":
            mask = torch.zeros_like(seen, dtype=tokens.dtype).masked_fill(~seen, -torch.inf)
        elif seen is not None:  # in the form that the attention wants for which the network is set up
            mask = create_bidirectional_mask(config=self.config, inputs_embeds=tokens, attention_mask=seen[:, 0, 0])
        layers, position_bias = [tokens], None
        for block in self.body.encoder.layers:
            if self.family == "wavlm":
                tokens, position_bias = block(tokens, attention_mask=mask, position_bias=position_bias)
            else:
                tokens = block(tokens, attention_mask=mask)
            layers.append(tokens)
        return layers

    # ---------------------------------------------------------------- convolutions

    def _features(self, waveform: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """Output (B, N, C) of the convolutions, zeros behind an item's end, and where that is, (B, N)."""
        counts = [self.num_frames(length) for length in lengths]
        is_padding = padding_of(counts, max([1, *counts]), waveform.device)
        if self.config.feat_extract_norm == "layer" and waveform.device.type != "cpu":
            return self._padded(waveform, lengths, is_padding), is_padding
        features = waveform.new_zeros(*is_padding.shape, self.config.conv_dim[-1])
        for length in set(lengths):
            same = [index for index, other in enumerate(lengths) if other == length]
            if count := self.num_frames(length):
                for some in _few(same) if waveform.device.type == "cpu" else (same,):
                    convolved = self._convolved(self._input(waveform[some, :length]))
                    features[some, :count] = convolved.to(features.dtype)  # of lower precision under autocast
        return features, is_padding

    def _padded(self, waveform: Tensor, lengths: list[int], is_padding: Tensor) -> Tensor:
        """All items at once, where each frame is normalised by itself: many small kernels keep a GPU waiting.

        On a CPU this took 3.4 times as long as each length by itself, for 16 items of 1 to 6 s.
        """
        values = waveform.new_zeros(len(lengths), max([*lengths, self.shortest]))
        for item, length in enumerate(lengths):
            if length:
                values[item, :length] = self._input(waveform[item : item + 1, :length])[0]
        return self._convolved(values).masked_fill(is_padding[..., None], 0)

    def _convolved(self, values: Tensor) -> Tensor:
        """(B, N, C) of items (B, T) of one length.

        Not by ``feature_extractor.forward``, which asks for a gradient of the waveform: a frozen one
        would then be run backward too.
        """
        hidden = values[:, None]
        for layer in self.body.feature_extractor.conv_layers:
            hidden = layer(hidden)
        return hidden.mT

    def _input(self, waveform: Tensor) -> Tensor:
        """Items (B, T) of one length as the network expects them."""
        if not self._do_normalize:
            return waveform
        variance, mean = torch.var_mean(waveform, 1, correction=0, keepdim=True)
        return (waveform - mean) / (variance + 1e-7).sqrt()


def _few(items: list[int]) -> Iterator[list[int]]:
    """Two at a time, three at the end if need be: a CPU's caches hold no more, and all at once take twice as long."""
    first = 0
    while first < len(items):
        end = len(items) if len(items) - first <= 3 else first + 2
        yield items[first:end]
        first = end


def plain_settings(config: Any) -> dict[str, Any]:
    """Settings of a network in terms of JSON, without who wrote them."""
    settings = config.to_dict()
    return {name: value for name, value in settings.items() if name not in NOT_OF_THE_NETWORK and name[0] != "_"}


NOT_OF_THE_NETWORK = ("architectures", "dtype", "torch_dtype", "transformers_version", "id2label", "label2id")
