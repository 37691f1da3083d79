"""What gives a tuner its shape, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from transformers import PreTrainedConfig
from transformers.utils import ModelOutput

from audiorig.config import HeadConfig, LossConfig, PoolingConfig, TuningConfig, TuningRun
from audiorig.data.targets import Target
from audiorig.models.dev_parts import Parts


class TunerConfig(PreTrainedConfig):
    """Everything that gives a tuner its shape; the sections as in the YAML.

    Args:
        encoder: as ``SpeechEncoder.description`` gives it.
        targets: as ``Target.to_dict`` gives them.
        losses: each with the names of its targets.
        seed: of what is new.
    """

    model_type = "audiorig-tuner"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        tuning: dict[str, Any] | None = None,
        pooling: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None,
        targets: Sequence[Mapping[str, Any]] = (),
        losses: Sequence[Mapping[str, Any]] = (),
        seed: int = 0,
        **other: Any,
    ) -> None:
        self.encoder = dict(encoder or {})
        self.tuning = TuningConfig.model_validate(tuning or {}).model_dump(mode="json")
        self.pooling = PoolingConfig.model_validate(pooling or {}).model_dump(mode="json")
        self.head = HeadConfig.model_validate(head or {}).model_dump(mode="json")
        self.targets = [dict(target) for target in targets]
        self.losses = [LossConfig.model_validate(loss).model_dump(mode="json") for loss in losses]
        self.seed = seed
        super().__init__(**other)

    @classmethod
    def of_run(cls, encoder: dict[str, Any], run: TuningRun, targets: Sequence[Target]) -> Self:
        """That of a run; a rating without the loss coral is only ranked, and has no cutpoints.

        Args:
            encoder: its description.
            targets: as ``resolve_targets`` gives them, in the order of the batches' values.
        """
        losses = [loss for loss in run.used_losses if loss.targets]
        stepped = {name for loss in losses if loss.name == "coral" for name in loss.targets}
        return cls(
            encoder=encoder,
            tuning=run.tuning.model_dump(mode="json"),
            pooling=run.pooling.model_dump(mode="json"),
            head=run.head.model_dump(mode="json"),
            targets=[target.to_dict() | {"has_cutpoints": target.name in stepped} for target in targets],
            losses=[loss.model_dump(mode="json") for loss in losses],
            seed=run.seed,
        )


@dataclass
class TunerOutput(ModelOutput):
    """What a tuner says of B clips.

    Attributes:
        loss: scalar; None without values.
        parts: name -> (sum, count), detached: the terms of the loss, each without its weight; in
            evaluation also recalls, accuracies and errors.
        logits: of each target: (B, C) of a class; (B, 1) of a binary feature, and of a rating that is
            only ranked; (B, S - 1) of another rating.
        rows: float32 (B, 2 K), in evaluation, if a loss compares clips: scores, then values of the
            targets. ``SpeechTuner.means_of_all`` takes those of all clips.
        scores: of each target: what its head says, before the cutpoints of a rating.
        vectors: float32 (B, D').
        attention: float32 (B, N), of a pooling with weights.
        is_padding: bool (B, N).
    """

    loss: Tensor | None = None
    parts: Parts | None = None
    logits: dict[str, Tensor] | None = None
    rows: Tensor | None = None
    scores: dict[str, Tensor] | None = None
    vectors: Tensor | None = None
    attention: Tensor | None = None
    is_padding: Tensor | None = None
