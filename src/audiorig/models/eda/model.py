"""The network from a song to a trace of skin conductance: any encoder with any decoder, and a curve of time."""

from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from audiorig.config import Audio2EdaRun
from audiorig.config.eda import EdaLossConfig, MonitorConfig
from audiorig.config.eda_model import (
    CnnDecoderConfig,
    EdaModelConfig,
    LstmDecoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    WaveNetConfig,
)
from audiorig.data.eda.scale import MfccScale, TraceScale
from audiorig.models.eda.decoders import CnnDecoder, LstmDecoder, TransformerDecoder
from audiorig.models.eda.encoders import TransformerEncoder, WaveNetEncoder
from audiorig.models.eda.layers import step_times
from audiorig.models.eda.losses import trace_losses
from audiorig.models.eda.model_config import Audio2EdaConfig, Audio2EdaOutput
from audiorig.models.eda.watched import watched
from audiorig.randomness import random_state_fence

__all__ = ["Audio2Eda", "Audio2EdaConfig", "Audio2EdaOutput", "Template"]


class Template(nn.Module):
    """A learnt curve over the time since onset, of one point a second. It begins at 0.

    Args:
        duration_sec: its length.
        longest_sec: the latest time that is learnt; the curve's value there holds on, as later points stay at 0.
    """

    def __init__(self, duration_sec: float, longest_sec: float | None = None) -> None:
        super().__init__()
        self.end_sec = duration_sec if longest_sec is None else min(duration_sec, longest_sec)
        self.points = nn.Parameter(torch.zeros(max(2, round(duration_sec) + 1)))

    def forward(self, times: Tensor) -> Tensor:
        """Seconds (B, M) to values (B, M), a line between neighbouring points."""
        place = times.clamp(0, min(self.end_sec, len(self.points) - 1))
        before = place.floor().long().clamp(max=len(self.points) - 2)
        share = place - before
        return self.points[before] * (1 - share) + self.points[before + 1] * share


class Audio2Eda(PreTrainedModel):
    """``forward`` predicts, and says what the loss is where there are traces.

    Args:
        config: its shape.

    Attributes:
        encoder, decoder, template: its parts; ``template`` is None if there is none.
        mean, sd: (C,) what coefficients are standardised by, from the training songs.
    """

    config_class = Audio2EdaConfig
    main_input_name = "mfcc"
    accepts_loss_kwargs = True  # sums, divided by the number of traces of the whole step
    no_decay_names: ClassVar[tuple[str, ...]] = ("points",)
    fitted_names: ClassVar[tuple[str, ...]] = ("mean", "sd")  # not taken of a run whose weights it begins with
    config: Audio2EdaConfig
    mean: Tensor
    sd: Tensor

    def __init__(self, config: Audio2EdaConfig) -> None:
        super().__init__(config)
        settings = EdaModelConfig.model_validate(config.model)
        self.loss_settings = EdaLossConfig.model_validate(config.loss)
        self.monitor = MonitorConfig.model_validate(config.monitor)
        self.is_causal = settings.causal
        with random_state_fence():
            torch.manual_seed(config.seed)
            self.encoder = _encoder(settings, config)
            self.decoder = _decoder(settings, self.encoder.width)
            self.template = Template(settings.template_sec, config.longest_sec) if settings.template else None
        self.register_buffer("mean", torch.tensor(config.mfcc_mean, dtype=torch.float32))
        self.register_buffer("sd", torch.tensor(config.mfcc_sd, dtype=torch.float32))
        self.post_init()

    @classmethod
    def of_run(
        cls, run: Audio2EdaRun, mfcc_scale: MfccScale, trace_scale: TraceScale, longest_sec: float | None = None
    ) -> Self:
        """A network to be trained; both scales, and the length of the longest song, come from the training side."""
        config = cls.config_class(
            model=run.model.model_dump(mode="json"),
            loss=run.loss.model_dump(mode="json"),
            monitor=run.monitor.model_dump(mode="json"),
            num_inputs=run.audio.num_mfcc,
            frames_per_step=run.frames_per_step,
            rate_hz=run.frame_rate_hz,
            longest_sec=longest_sec,
            mfcc_mean=mfcc_scale.mean.tolist(),
            mfcc_sd=mfcc_scale.sd.tolist(),
            preprocessing={
                "audio": run.audio.model_dump(mode="json", exclude={"num_shards"}),
                "eda": run.eda.model_dump(mode="json"),
                "trace_scale": trace_scale.to_dict(),
            },
            seed=run.seed,
        )
        return cls(config)

    def initialize_weights(self) -> None:
        """Nothing: every part has its weights already, and transformers would draw them anew."""

    @property
    def part_weights(self) -> dict[str, float]:
        """The loss is one term."""
        return {self.loss_settings.part: 1.0}

    @property
    def receptive_steps(self) -> int | None:
        """Steps that one depends on, itself among them; None: all since the onset, or what comes counts too."""
        if not self.is_causal:
            return None
        past = (self.encoder.past_steps, self.decoder.past_steps)
        return None if None in past else 1 + sum(each for each in past if each is not None)

    def forward(
        self,
        mfcc: Tensor,
        is_padding: Tensor,
        start: Tensor,
        traces: Tensor | None = None,
        is_heard: Tensor | None = None,
        labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Audio2EdaOutput:
        """Predict a batch that is padded on the left.

        Args:
            mfcc: float32 (B, M R, C), as they are computed.
            is_padding: bool (B, M).
            start: int64 (B,), step of the song at which the first real one lies.
            traces: float32 (B, S, M) of S listeners, as they are scaled.
            is_heard: bool (B, S, M), where there is something to compare with.
            labels: not read; the trainer counts them: 0 for a trace, -100 for none.
            num_items_in_batch: traces of the whole step, over micro-batches and ranks; of this batch if not given.
        """
        times = step_times(is_padding, start, self.config.rate_hz)
        is_frame = ~is_padding.repeat_interleave(self.config.frames_per_step, dim=1)[..., None]
        frames = (mfcc - self.mean) / self.sd * is_frame
        predicted = self.decoder(self.encoder(frames, is_padding, times), is_padding, times).float()
        if self.template is not None:
            predicted = predicted + self.template(times)
        predicted = torch.where(is_padding, 0, predicted)
        if traces is None or is_heard is None:
            return Audio2EdaOutput(predicted=predicted)
        losses = trace_losses(self.loss_settings, predicted[:, None], traces, is_heard)
        count = is_heard.any(dim=-1).sum()
        divisor = torch.as_tensor(count if num_items_in_batch is None else num_items_in_batch).clamp(min=1)
        parts: dict[str, tuple[Tensor, Tensor]] = {self.loss_settings.part: (losses.sum().detach(), count)}
        names = self.monitor.train if self.training else self.monitor.dev
        for name in names:
            if name not in parts:
                found = watched(name, predicted, traces, is_heard, self.config.rate_hz, self.monitor.max_traces)
                parts[name] = found
        return Audio2EdaOutput(loss=losses.sum() / divisor, parts=parts, predicted=predicted)


def _encoder(settings: EdaModelConfig, config: Audio2EdaConfig) -> WaveNetEncoder | TransformerEncoder:
    match settings.encoder:
        case WaveNetConfig() as own:
            return WaveNetEncoder(own, config.num_inputs, config.frames_per_step, settings.causal)
        case TransformerEncoderConfig() as own:
            return TransformerEncoder(own, config.num_inputs, config.frames_per_step, settings.causal, config.rate_hz)


def _decoder(settings: EdaModelConfig, width: int) -> CnnDecoder | LstmDecoder | TransformerDecoder:
    match settings.decoder:
        case CnnDecoderConfig() as own:
            return CnnDecoder(own, width, settings.causal)
        case LstmDecoderConfig() as own:
            return LstmDecoder(own, width, settings.causal)
        case TransformerDecoderConfig() as own:
            return TransformerDecoder(own, width, settings.causal)
