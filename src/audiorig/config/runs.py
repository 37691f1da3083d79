"""Runs: one experiment with all its settings."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name
from audiorig.config.dev_metrics import check_selection
from audiorig.config.eda_run import Audio2EdaRun
from audiorig.config.run_base import AnyRun
from audiorig.config.sweeps import Case
from audiorig.config.targets import LOSS_OF, LOSSES_FOR, LossConfig, TargetConfig
from audiorig.config.tuning import ClipConfig, EncoderConfig, HeadConfig, PoolingConfig, ScoreConfig, TuningConfig
from audiorig.config.wav2vec2 import LongCropConfig, Wav2Vec2TrainingConfig
from audiorig.config.wavemae import DataConfig, PitchConfig, SpectrogramConfig, TeacherConfig, WaveMAEModelConfig


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
        "train": ("seed", "data", "spectrogram", "pitch", "teacher", "model", "train", "log"),
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
        "train": ("seed", "data", "model", "train", "log"),
        "probe": ("probe",),
        "report": ("achieves", "report"),
        "publish": ("hub",),
    }


class TuningRun(AnyRun):
    """What every run has that tunes an encoder to clips."""

    data: ClipConfig
    encoder: EncoderConfig
    tuning: TuningConfig = TuningConfig()
    pooling: PoolingConfig = PoolingConfig()
    head: HeadConfig = HeadConfig()
    targets: dict[Name, TargetConfig] = Field(min_length=1, description="What is predicted, by name.")
    groups: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict, description="Names for several targets, to be used like a target's."
    )
    use: tuple[Name, ...] = Field((), description="Targets and groups that this run learns; all targets if empty.")
    losses: tuple[LossConfig, ...] = Field(
        (),
        description="Terms of the loss, added up; if empty: cross_entropy for classes, bce for binary features, coral "
        "for ratings.",
    )
    score: ScoreConfig = ScoreConfig()
    ladder: dict[Name, Case] = Field(
        default_factory=dict,
        description="The same run with other settings (another split, permuted labels), trained beside it and shown "
        "in one table: results/{run}/ladder/{case}.",
    )

    stages: ClassVar[dict[str, tuple[str, ...]]] = {
        "data": ("data",),
        "features": (),
        "train": (
            *(
                "seed",
                "data",
                "encoder",
                "tuning",
                "pooling",
                "head",
                "targets",
                "groups",
                "use",
                "losses",
                "train",
                "log",
            ),
        ),
        "probe": ("data", "encoder", "targets", "groups", "use", "losses", "score"),
        "report": ("achieves", "report"),
        "publish": ("hub",),
    }

    @property
    def used_targets(self) -> dict[str, TargetConfig]:
        """What this run learns, in the order of ``targets``."""
        used = set(self._named(self.use))
        return {name: target for name, target in self.targets.items() if not self.use or name in used}

    @property
    def used_losses(self) -> tuple[LossConfig, ...]:
        """The terms of the loss, each with the names of its targets."""
        targets = self.used_targets
        kinds = dict.fromkeys(target.kind for target in targets.values())
        losses = self.losses or tuple(LossConfig(name=LOSS_OF[kind]) for kind in kinds)
        found = []
        for loss in losses:
            names = self._named(loss.targets) if loss.targets else targets
            fitting = tuple(name for name in names if name in targets and loss.name in LOSSES_FOR[targets[name].kind])
            found.append(loss.model_copy(update={"targets": fitting}))
        return tuple(found)

    def _named(self, names: tuple[str, ...]) -> list[str]:
        """Targets behind names of targets and groups."""
        return list(dict.fromkeys(target for name in names for target in self.groups.get(name, (name,))))

    @model_validator(mode="after")
    def _targets_are_known_and_learnt(self) -> "TuningRun":
        known = ", ".join([*self.targets, *self.groups])
        asked = {f"groups.{name}": members for name, members in self.groups.items()}
        asked |= {"use": self.use} | {f"losses, {loss.name}": loss.targets for loss in self.losses}
        for where, names in asked.items():
            for name in names:
                if name not in self.targets and (where.startswith("groups") or name not in self.groups):
                    raise ValueError(f"{where}: there is no target or group {name!r}; there are: {known}")
        for loss in self.losses:
            for name in self._named(loss.targets):
                if loss.name not in (fitting := LOSSES_FOR[self.targets[name].kind]):
                    raise ValueError(
                        f"losses: {loss.name} is not for target {name!r}, a {self.targets[name].kind}: take "
                        f"{' or '.join(fitting)}"
                    )
        learnt = {name for loss in self.used_losses for name in loss.targets}
        if lost := [name for name in self.used_targets if name not in learnt]:
            raise ValueError(f"losses: no term is about target {lost[0]!r}; add one, or leave it out of `use`")
        return self

    @model_validator(mode="after")
    def _settings_are_of_tuning(self) -> "TuningRun":
        if self.probe.tasks:
            raise ValueError("probe.tasks are of encoders that learn without labels: here `targets` are scored")
        if self.train.compile or self.train.probe.every_steps:
            raise ValueError("train.compile and train.probe.every_steps are of wavemae: take them away")
        if self.train.asks_dev:
            check_selection(self.train.selection, self.used_targets, self.used_losses)
        return self


class SpeechTuneRun(TuningRun):
    """One run that fine-tunes a speech encoder."""

    experiment: Literal["speechtune"] = Field(description="Which experiment this is.")


class InfantCryRun(TuningRun):
    """One run that classifies infants' cries."""

    experiment: Literal["infantcry"] = Field(description="Which experiment this is.")


Run = Annotated[
    WaveMAERun | HomeWav2Vec2Run | SpeechTuneRun | InfantCryRun | Audio2EdaRun,
    Field(discriminator="experiment"),
]
STAGES = ("data", "features", "train", "probe", "report")  # what a page tells of
PUBLISH = "publish"  # one more, which changes nothing of a run
