"""A run from music to skin conductance, and which of its settings fit together."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from audiorig.config.dev_metrics import check_trace_selection
from audiorig.config.eda import EdaConfig, EdaLossConfig, MfccConfig, MonitorConfig, SongConfig, TraceScoreConfig
from audiorig.config.eda_model import EdaModelConfig
from audiorig.config.run_base import AnyRun


class Audio2EdaRun(AnyRun):
    """One run that predicts listeners' skin conductance from what they hear."""

    experiment: Literal["audio2eda"] = Field(description="Which experiment this is.")
    data: SongConfig
    audio: MfccConfig = MfccConfig()
    eda: EdaConfig = EdaConfig()
    model: EdaModelConfig = EdaModelConfig()
    loss: EdaLossConfig = EdaLossConfig()
    monitor: MonitorConfig = MonitorConfig()
    score: TraceScoreConfig = TraceScoreConfig()

    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "data": ("data", "audio", "eda"),
        "features": ("audio", "eda"),
        "train": ("seed", "data", "audio", "eda", "model", "loss", "monitor", "train", "log"),
        "probe": ("data", "audio", "eda", "score"),
        "report": ("achieves", "report"),
        "publish": ("hub",),
    }

    @property
    def frame_rate_hz(self) -> float:
        """Frames of the predicted trace a second."""
        return self.eda.frame_rate_hz(self.audio)

    @property
    def frames_per_step(self) -> int:
        """Frames of the audio's features for each of the trace; those of other rates are interpolated."""
        return max(1, round(self.audio.frame_rate_hz / self.frame_rate_hz))

    @model_validator(mode="after")
    def _rates_fit(self) -> "Audio2EdaRun":
        rate = self.frame_rate_hz
        if rate > self.audio.frame_rate_hz + 1e-9:
            raise ValueError(
                f"eda.rate_hz is {rate:g}, more than the {self.audio.frame_rate_hz:g} frames a second of the audio: "
                "lower it, or audio.hop"
            )
        if self.eda.lowpass_hz >= rate / 2:
            raise ValueError(
                f"eda.lowpass_hz is {self.eda.lowpass_hz:g}, not below half of the trace's {rate:g} Hz, where nothing "
                "is left to filter: lower it, raise eda.rate_hz, or set it to 0 for none"
            )
        highest = min(rate / 2, self.eda.lowpass_hz or rate / 2)
        if self.eda.target == "phasic" and self.eda.highpass_hz >= highest:
            raise ValueError(
                f"eda.highpass_hz is {self.eda.highpass_hz:g}, and nothing above {highest:g} Hz is left of a trace, so "
                "its phasic part would be none: lower it, or take another eda.target"
            )
        if "model" in self.model_fields_set:
            self.check_stride()
        return self

    def check_stride(self) -> None:
        """Raise ValueError if no whole number of the encoder's frames makes a step.

        Settings of a stage that reads no model have that of the defaults, which need not fit.
        """
        ratio, stride = self.frames_per_step, self.model.encoder.stride
        if ratio % stride:
            raise ValueError(
                f"model.encoder.stride is {stride}, and there are {ratio} frames of audio for each of the trace: take "
                f"one of {', '.join(str(n) for n in range(1, ratio + 1) if ratio % n == 0)}"
            )

    @model_validator(mode="after")
    def _settings_are_of_this_experiment(self) -> "Audio2EdaRun":
        if self.probe.tasks:
            raise ValueError("probe.tasks are of encoders that learn without labels: here traces are scored (`score`)")
        if self.train.compile or self.train.probe.every_steps:
            raise ValueError("train.compile and train.probe.every_steps are of wavemae: take them away")
        if self.train.asks_dev:
            check_trace_selection(self.train.selection, self.loss.part, self.monitor.dev)
        return self
