"""What every run has, whatever its experiment."""

from typing import Any, ClassVar

from pydantic import Field

from audiorig.config.base import Name, Section
from audiorig.config.probe import ProbeConfig
from audiorig.config.train import LogConfig, TrainConfig
from audiorig.config.wav2vec2 import HubConfig


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
    log: LogConfig = LogConfig()
    probe: ProbeConfig = ProbeConfig()
    report: ReportConfig = ReportConfig()
    hub: HubConfig = HubConfig()

    # What each stage reads, besides the experiment's name.
    stages: ClassVar[dict[str, tuple[str, ...]]] = {}

    def stage(self, name: str) -> dict[str, Any]:
        """The settings that one stage of the workflow reads, as plain data."""
        return self.model_dump(mode="json", include={"experiment", *self.stages[name]})
