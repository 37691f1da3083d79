"""Networks from a song's coefficients to a trace: any encoder with any decoder."""

from typing import Any, Literal

from pydantic import Field, model_validator

from audiorig.config.base import Section


class WaveNetConfig(Section):
    """Gated convolutions of growing dilation (van den Oord et al., 2016)."""

    kind: Literal["wavenet"] = Field(description="Gated dilated convolutions.")
    stride: int = Field(5, ge=1, description="Frames of the audio that the first layer makes one of.")
    width: int = Field(64, ge=4, description="Channels of the blocks.")
    skip_width: int = Field(128, ge=4, description="Channels that leave the blocks: the encoder's width.")
    kernel: int = Field(3, ge=2, description="Taps of a convolution.")
    stacks: int = Field(2, ge=1, description="Times that the dilations begin at 1 again.")
    dilations: int = Field(7, ge=1, description="Blocks of a stack, of dilation 1, 2, 4, ...")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of a block's input that is dropped.")

    @property
    def receptive_frames(self) -> int:
        """Frames of the audio that one frame of the output depends on."""
        reach = 1 + self.stacks * (self.kernel - 1) * (2**self.dilations - 1)
        return reach * self.stride

    @property
    def out_width(self) -> int:
        """Channels of what it gives."""
        return self.skip_width


class TransformerEncoderConfig(Section):
    """Pre-norm attention over frames of the trace's rate."""

    kind: Literal["transformer"] = Field(description="Attention.")
    stride: int = Field(25, ge=1, description="Frames of the audio that the first layer makes one of.")
    width: int = Field(128, ge=8, description="Channels.")
    heads: int = Field(4, ge=1, description="Heads of attention.")
    layers: int = Field(4, ge=1, description="Blocks.")
    hidden: int = Field(512, ge=8, description="Width of the hidden layer of a block.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of units that are dropped.")
    context_sec: float | None = Field(None, gt=0, description="How far back attention reaches; null: to the onset.")

    @property
    def out_width(self) -> int:
        """Channels of what it gives."""
        return self.width


class CnnDecoderConfig(Section):
    """A few convolutions at the trace's rate."""

    kind: Literal["cnn"] = Field(description="Convolutions.")
    layers: int = Field(3, ge=1, description="Convolutions.")
    width: int = Field(64, ge=4, description="Channels.")
    kernel: int = Field(5, ge=1, description="Taps.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of units that are dropped.")


class LstmDecoderConfig(Section):
    """Recurrent layers at the trace's rate."""

    kind: Literal["lstm"] = Field(description="Recurrent layers.")
    layers: int = Field(2, ge=1, description="Layers.")
    width: int = Field(128, ge=4, description="Channels.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of units that are dropped between layers.")


class TransformerDecoderConfig(Section):
    """Learnt queries of time that look at the encoded song."""

    kind: Literal["transformer"] = Field(description="Queries of time with attention to what was heard.")
    layers: int = Field(2, ge=1, description="Blocks.")
    width: int = Field(128, ge=8, description="Channels.")
    heads: int = Field(4, ge=1, description="Heads of attention.")
    hidden: int = Field(512, ge=8, description="Width of the hidden layer of a block.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of units that are dropped.")


PARTS: dict[str, dict[str, type[Section]]] = {
    "encoder": {"wavenet": WaveNetConfig, "transformer": TransformerEncoderConfig},
    "decoder": {"cnn": CnnDecoderConfig, "lstm": LstmDecoderConfig, "transformer": TransformerDecoderConfig},
}


class EdaModelConfig(Section):
    """An encoder of the song, and a decoder of the trace."""

    encoder: WaveNetConfig | TransformerEncoderConfig = Field(
        WaveNetConfig(kind="wavenet"),
        discriminator="kind",
        description="What makes frames of the trace's rate of a song.",
    )
    decoder: CnnDecoderConfig | LstmDecoderConfig | TransformerDecoderConfig = Field(
        CnnDecoderConfig(kind="cnn"), discriminator="kind", description="What makes a trace of these frames."
    )
    causal: bool = Field(
        True, description="A frame depends on what was heard up to its end alone; false: on what comes later too."
    )
    template: bool = Field(
        True, description="Add a learnt curve of the time since onset, so that the network learns the rest."
    )
    template_sec: float = Field(90.0, gt=0, description="Length of that curve; its last value holds on.")

    @model_validator(mode="before")
    @classmethod
    def _parts_are_of_their_kind(cls, raw: Any) -> Any:
        """A run that takes another kind inherits the settings of the old one, which must be taken away."""
        for name, kinds in PARTS.items():
            part = raw.get(name) if isinstance(raw, dict) else None
            if not isinstance(part, dict) or part.get("kind") not in kinds:
                continue
            others = {key: kind for kind, section in kinds.items() for key in section.model_fields}
            for key in part:
                if key not in kinds[part["kind"]].model_fields and key in others:
                    raise ValueError(
                        f"{name}: {key} is of kind {others[key]}, and kind is {part['kind']}; if the run that this one "
                        f"extends sets it, write {key}: null"
                    )
        return raw

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "EdaModelConfig":
        for name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            if isinstance(part, TransformerEncoderConfig | TransformerDecoderConfig) and part.width % part.heads:
                raise ValueError(f"{name}: width {part.width} is no multiple of its {part.heads} heads")
        return self
