"""What a speech encoder of any family offers to whoever tunes it."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from audiorig.models.outputs import EncoderOutput

MOST_SAMPLES = 1 << 24  # no network's frame takes as many


class SpeechEncoder(nn.Module, ABC):
    """An ``AudioEncoder`` that can be tuned: a network, how it wants its input, and what it is made of.

    Nothing in it depends on the other items of a batch, and nothing is drawn at random but dropout:
    layers are never skipped and frames never hidden, whatever the published settings say of
    pre-training.

    Attributes:
        body: the network. Names of modules within the encoder begin with ``body.``.
        config: its settings.
        width: D, of all features.
        num_blocks: L, of the trunk.
        num_frames: samples of an item to its frames N.
        family: wav2vec2, hubert, wavlm, whisper or wavemae.
        lora_targets: ends of the names of those linear layers whose low-rank updates get gradients.
        takes_prompts: whether ``encode`` can put learnt frames before the clip's own.
    """

    lora_targets: ClassVar[tuple[str, ...]]
    takes_prompts: ClassVar[bool] = True
    family: str
    body: nn.Module
    config: Any
    width: int
    num_blocks: int
    num_frames: Callable[[int], int]

    @property
    @abstractmethod
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms that it takes."""

    @property
    def shortest(self) -> int:
        """Samples of the shortest clip that has a frame."""
        return bisect_left(range(MOST_SAMPLES), 1, key=self.num_frames)

    @property
    @abstractmethod
    def block_names(self) -> tuple[str, ...]:
        """The blocks of the trunk, in order, as names of modules."""

    @property
    @abstractmethod
    def front_names(self) -> tuple[str, ...]:
        """Modules before the first block: convolutions, projection, positions."""

    @abstractmethod
    def encode(self, waveform: Tensor, lengths: Tensor, prompts: Tensor | None = None) -> EncoderOutput:
        """Features of a padded batch; gradients flow through all of it.

        Args:
            waveform: float32 (B, T), in [-1, 1]. What stands behind an item's end changes nothing.
            lengths: int64 (B,), samples of each item; of one shorter than a frame all is padding.
            prompts: (P, D), put before the frames of each item where the first block takes its
                input; their own frames are dropped from everything that is returned.

        Returns:
            Features (B, N, D), zero in padding; ``layers`` are what enters the first block, then the
            output of each.
        """

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """All that ``build.build_encoder`` needs to make the same network, in terms of JSON."""

    @abstractmethod
    def untrained(self, seed: int) -> "SpeechEncoder":
        """The same network with weights as at the start of a training."""


def padding_of(counts: list[int], num_frames: int, device: torch.device) -> Tensor:
    """bool (B, N): behind the frames that each item has."""
    ends = torch.tensor(counts, device=device)
    return torch.arange(num_frames, device=device) >= ends[:, None]


def with_prompts(tokens: Tensor, is_padding: Tensor, prompts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens (B, P + N, D) and their padding (B, P + N), prompts first."""
    if prompts is None:
        return tokens, is_padding
    first = prompts.to(tokens.dtype).expand(len(tokens), -1, -1)
    seen = is_padding.new_zeros(len(tokens), len(prompts))
    return torch.cat([first, tokens], 1), torch.cat([seen, is_padding], 1)


def seen_keys(is_padding: Tensor) -> Tensor | None:
    """bool (B, 1, 1, N): frames that attention sees; None if it sees all of them.

    An item of nothing but padding sees itself: of no key at all the gradient would be no number.
    """
    if not is_padding.any():
        return None
    return (~is_padding | is_padding.all(1, keepdim=True))[:, None, None]


def output_of(features: Tensor, layers: list[Tensor], is_padding: Tensor, prompts: Tensor | None) -> EncoderOutput:
    """What ``encode`` returns, float32, without prompts and with zeros in the padding.

    Args:
        features: (B, P + N, D).
        layers: likewise; what enters the first block is the first of them.
        is_padding: bool (B, N).
    """
    first = 0 if prompts is None else len(prompts)
    outputs = [each[:, first:].float().masked_fill(is_padding[..., None], 0) for each in (features, *layers)]
    return EncoderOutput(features=outputs[0], is_padding=is_padding, layers=tuple(outputs[1:]), has_input=True)
