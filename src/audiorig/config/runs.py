"""Runs: one experiment with all its settings."""

from typing import Any, Literal

from pydantic import Field

from audiorig.config.base import Name, Section
from audiorig.config.probe import ProbeConfig
from audiorig.config.train import TrainConfig
from audiorig.config.wavemae import DataConfig, PitchConfig, SpectrogramConfig, TeacherConfig, WaveMAEModelConfig


class ReportConfig(Section):
    """What the page says beside its numbers."""

    title: str = Field("", description="Headline; the run's name if empty.")
    notes: tuple[str, ...] = Field((), description="Sentences a reader must know, shown at the top.")
    compare_with: Name | None = Field(
        None, description="Another run with the same probes, whose differences the page shows, item by item paired."
    )


class WaveMAERun(Section):
    """One run of the masked autoencoder."""

    experiment: Literal["wavemae"] = Field(description="Which experiment this is.")
    achieves: str = Field("", description="What the run should reach, and what it costs.")
    seed: int = Field(0, ge=0, description="Seed of weights, crops, masks and order.")
    seeds: tuple[int, ...] = Field(
        (), description="Several seeds: each is trained in results/{run}/seed-{k}, and the report joins them."
    )
    data: DataConfig = DataConfig()
    spectrogram: SpectrogramConfig = SpectrogramConfig()
    pitch: PitchConfig = PitchConfig()
    teacher: TeacherConfig = TeacherConfig()
    model: WaveMAEModelConfig = Field(default_factory=lambda: WaveMAEModelConfig.model_validate({}))
    train: TrainConfig = TrainConfig()
    probe: ProbeConfig = ProbeConfig()
    report: ReportConfig = ReportConfig()

    def stage(self, name: str) -> dict[str, Any]:
        """The settings that one stage of the workflow reads, as plain data."""
        sections = {
            "data": ("experiment", "data", "spectrogram"),
            "features": ("experiment", "pitch", "teacher"),
            "train": ("experiment", "seed", "data", "spectrogram", "pitch", "teacher", "model", "train"),
            "probe": ("experiment", "probe"),
            "report": ("experiment", "achieves", "report"),
        }[name]
        return self.model_dump(mode="json", include=set(sections))


Run = WaveMAERun  # grows into a union, told apart by `experiment`
STAGES = ("data", "features", "train", "probe", "report")
