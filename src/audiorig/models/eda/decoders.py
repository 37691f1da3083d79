"""Decoders of a trace: vectors (B, M, D) of steps become one value a step, (B, M)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from audiorig.config.eda_model import CnnDecoderConfig, LstmDecoderConfig, TransformerDecoderConfig
from audiorig.models.eda.layers import Block, Conv, attention_mask, sinusoids

SMALL = 0.1  # of the usual weights of a last layer, so that training begins near a flat prediction


class CnnDecoder(nn.Module):
    """A few convolutions.

    Args:
        settings: sizes.
        width: D.
        is_causal: whether a step depends on nothing after it.

    Attributes:
        past_steps: how many earlier steps one depends on.
    """

    def __init__(self, settings: CnnDecoderConfig, width: int, is_causal: bool) -> None:
        super().__init__()
        widths = [width, *([settings.width] * settings.layers)]
        self.past_steps = settings.layers * (settings.kernel - 1)
        self.convs = nn.ModuleList(
            Conv(before, after, settings.kernel, 1, is_causal) for before, after in pairwise(widths)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.out = _last(settings.width)

    def forward(self, vectors: Tensor, is_padding: Tensor, times: Tensor) -> Tensor:
        """(B, M, D) to (B, M)."""
        is_real = ~is_padding[:, None]
        x = vectors.transpose(1, 2)
        for conv in self.convs:
            x = conv(self.dropout(x)).relu() * is_real
        out: Tensor = self.out(x.transpose(1, 2))[..., 0]
        return out


class LstmDecoder(nn.Module):
    """Recurrent layers over the real steps alone; without causality in both directions.

    Attributes:
        past_steps: None: all of them.
    """

    past_steps: int | None = None

    def __init__(self, settings: LstmDecoderConfig, width: int, is_causal: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            width,
            settings.width,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,  # it lies between layers only
            bidirectional=not is_causal,
        )
        self.out = _last(settings.width * (1 if is_causal else 2))

    def forward(self, vectors: Tensor, is_padding: Tensor, times: Tensor) -> Tensor:
        """(B, M, D) to (B, M). Steps are moved to the left for it: a state that padding had changed would stay so."""
        length = is_padding.shape[1]
        lengths = (~is_padding).sum(dim=1)
        place = torch.arange(length, device=vectors.device)
        from_right = (place + (length - lengths)[:, None]) % length
        back = (place - (length - lengths)[:, None]) % length
        width = vectors.shape[2]
        moved = vectors.gather(1, from_right[..., None].expand(-1, -1, width))
        lengths = lengths.clamp(min=1).cpu()  # an item of padding alone has one step, which is not looked at
        packed = pack_padded_sequence(moved, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=length)
        values: Tensor = self.out(states)[..., 0]
        return values.gather(1, back)


class TransformerDecoder(nn.Module):
    """Queries of time look at what was heard.

    Not autoregressive: a trace is slow, and a network that was given the last value while it learns would copy it.

    Attributes:
        past_steps: None: all of them.
    """

    past_steps: int | None = None

    def __init__(self, settings: TransformerDecoderConfig, width: int, is_causal: bool) -> None:
        super().__init__()
        self.width = settings.width
        self.is_causal = is_causal
        self.memory = nn.Linear(width, settings.width)
        self.norm_memory = nn.LayerNorm(settings.width)
        self.query = nn.Sequential(
            nn.Linear(settings.width, settings.width), nn.GELU(), nn.Linear(settings.width, settings.width)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(settings.width, settings.heads, settings.hidden, settings.dropout) for _ in range(settings.layers)
        )
        self.norm = nn.LayerNorm(settings.width)
        self.out = _last(settings.width)

    def forward(self, vectors: Tensor, is_padding: Tensor, times: Tensor) -> Tensor:
        """(B, M, D) to (B, M)."""
        of_time = sinusoids(times, self.width).to(vectors.dtype)
        memory = self.norm_memory(self.memory(vectors) + of_time)
        x = self.dropout(self.query(of_time))
        mask = attention_mask(is_padding, self.is_causal)
        for block in self.blocks:
            x = block(x, mask, memory)
        out: Tensor = self.out(self.norm(x))[..., 0]
        return out


def _last(width: int) -> nn.Linear:
    layer = nn.Linear(width, 1)
    with torch.no_grad():
        layer.weight.mul_(SMALL)
        layer.bias.zero_()
    return layer
