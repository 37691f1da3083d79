"""Runs: one experiment with all its settings."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section
from audiorig.config.probe import ProbeConfig
from audiorig.config.train import TrainConfig
from audiorig.config.wav2vec2 import HubConfig, LongCropConfig, Wav2Vec2TrainingConfig
from audiorig.config.wavemae import DataConfig, PitchConfig, SpectrogramConfig, TeacherConfig, WaveMAEModelConfig


class ReportConfig(Section):
    """What the page says beside its numbers."""

    title: str = Field("", description="Headline; the run's name if empty.")
    notes: tuple[str, ...] = Field((), description="Sentences a reader must know, shown at the top.")
    compare_with: Name | None = Field(
        None, description="Another run with the same probes, whose differences the page shows, item by item paired."
    )


class AnyRun(Section):
    """What every run has, whatever its experiment."""

    achieves: str = Field("", description="What the run should reach, and what it costs.")
    seed: int = Field(0, ge=0, description="Seed of weights, crops, masks and order.")
    seeds: tuple[int, ...] = Field(
        (), description="Several seeds: each is trained in results/{run}/seed-{k}, and the report joins them."
    )
    train: TrainConfig = TrainConfig()
    probe: ProbeConfig = ProbeConfig()
    report: ReportConfig = ReportConfig()
    hub: HubConfig = HubConfig()

    # What each stage reads, besides the experiment's name.
    stages: ClassVar[dict[str, tuple[str, ...]]] = {}

    def stage(self, name: str) -> dict[str, Any]:
        """The settings that one stage of the workflow reads, as plain data."""
        return self.model_dump(mode="json", include={"experiment", *self.stages[name]})


class WaveMAERun(AnyRun):
    """One run of the masked autoencoder."""

    experiment: Literal["wavemae"] = Field(description="Which experiment this is.")
    data: DataConfig = DataConfig()
    spectrogram: SpectrogramConfig = SpectrogramConfig()
    pitch: PitchConfig = PitchConfig()
    teacher: TeacherConfig = TeacherConfig()
    model: WaveMAEModelConfig = Field(default_factory=lambda: WaveMAEModelConfig.model_validate({}))

    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "data": ("data", "spectrogram"),
        "features": ("pitch", "teacher"),
        "train": ("seed", "data", "spectrogram", "pitch", "teacher", "model", "train"),
        "probe": ("probe",),
        "report": ("achieves", "report"),
        "publish": ("hub",),
    }


class HomeWav2Vec2Run(AnyRun):
    """One run of continued wav2vec2 pre-training on long recordings."""

    experiment: Literal["homewav2vec2"] = Field(description="Which experiment this is.")
    data: LongCropConfig = LongCropConfig()
    model: Wav2Vec2TrainingConfig = Wav2Vec2TrainingConfig()

    @model_validator(mode="after")
    def _settings_are_of_this_experiment(self) -> "HomeWav2Vec2Run":
        if self.train.compile:
            raise ValueError("train.compile is of wavemae: here nothing would be compiled")
        if self.train.probe.every_steps:
            raise ValueError(
                "train.probe.every_steps is of wavemae: here the probes run before and after, not meanwhile"
            )
        return self

    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "data": ("data",),
        "features": (),
        "train": ("seed", "data", "model", "train"),
        "probe": ("probe",),
        "report": ("achieves", "report"),
        "publish": ("hub",),
    }


Run = Annotated[WaveMAERun | HomeWav2Vec2Run, Field(discriminator="experiment")]
STAGES = ("data", "features", "train", "probe", "report")  # what a page tells of
PUBLISH = "publish"  # one more, which changes nothing of a run
