"""Continued pre-training of wav2vec2 on long recordings: what it reads, and what it learns."""

from typing import Any, Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section


class SilenceConfig(Section):
    """Which crops are too silent to learn from, and what becomes of them."""

    min_rms_dbfs: float = Field(-55.0, lt=0, description="A crop whose RMS level is below is too silent.")
    active_dbfs: float = Field(-50.0, lt=0, description="A frame of 25 ms whose RMS level is above is active.")
    min_active_share: float = Field(
        0.1, ge=0, le=1, description="A crop with a smaller share of active frames is too silent."
    )
    max_redraws: int = Field(10, ge=0, description="Times that a crop is drawn again before it is taken as it is.")
    when_silent: Literal["accept", "mark"] = Field(
        "mark",
        description="What a crop is that stays too silent. accept: like any other; mark: counted and named in the "
        "log of crops, and its frames are no part of the loss.",
    )


class LongCropConfig(Section):
    """What a run reads of hours-long recordings. Crops are drawn anew every epoch and never written."""

    corpus: Name = Field("home", description="A corpus of config/corpora or of the config file.")
    split: Name = Field("by-participant", description="One of the corpus' splits.")
    sample_rate_hz: int = Field(16000, ge=8000, le=192000, description="Rate that all audio is resampled to.")
    crop_sec: float = Field(8.0, gt=0, description="Length of a crop.")
    max_participant_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Largest share of the crops from one participant; all alike where it cannot be kept.",
    )
    short_recordings: Literal["pad", "leave_out"] = Field(
        "pad",
        description="Recordings shorter than a crop. pad: given whole, zeros behind them, marked in the log; "
        "leave_out: never drawn.",
    )
    silence: SilenceConfig = SilenceConfig()
    dev_crops: int = Field(64, ge=1, description="Crops of dev that are scored in training, the same every time.")
    log_crops: bool = Field(False, description="Write every crop (file, offset) to results/{run}/crops.")
    cached: bool = Field(
        False,
        description="Read from one mono copy per recording, at sample_rate_hz, which a rule makes in the corpus' "
        "cache_root: cheaper reads, more disk.",
    )


class GumbelConfig(Section):
    """The temperature of the quantizer's choice: start * decay^step, not below end."""

    start: float | None = Field(
        None, gt=0, description="Temperature of the first step; 0.5 when continuing, 2.0 from scratch if not given."
    )
    end: float = Field(0.5, gt=0, description="Lowest temperature.")
    decay: float = Field(0.999995, gt=0, le=1, description="Factor of each step.")


class CollapseConfig(Section):
    """When the quantizer is given up for lost. Transformers issues 14387 and 19588 show what it looks like."""

    min_perplexity_share: float = Field(
        0.05, ge=0, lt=1, description="Perplexity of the codebooks, as a share of the most possible, that is too low."
    )
    max_accuracy: float = Field(
        0.98, gt=0, le=1, description="Contrastive accuracy above which a perplexity under a fifth is too low as well."
    )
    patience_steps: int = Field(100, ge=1, description="Steps in a row that it takes.")


class Wav2Vec2TrainingConfig(Section):
    """The task of wav2vec 2.0 (Baevski et al., 2020), and from where it goes on."""

    base: Name = Field("tiny-wav2vec2", description="An entry of config/pretrained.yaml: the weights to start from.")
    reinit_quantizer: bool = Field(
        False,
        description="Start with a new quantizer and new projections where the checkpoint has none, as those that "
        "were fine-tuned; without this such a checkpoint is refused.",
    )
    mask_time_prob: float = Field(0.65, gt=0, lt=1, description="Hidden frames, as a share, before spans overlap.")
    mask_time_length: int = Field(10, ge=1, description="Frames of a hidden span (20 ms each).")
    mask_time_min_masks: int = Field(2, ge=1, description="Fewest spans of a crop.")
    num_negatives: int = Field(100, ge=1, description="Other hidden frames of the same crop to tell the true one from.")
    diversity_weight: float = Field(0.1, ge=0, description="Weight of the use of all codes, in the loss.")
    feature_penalty: float = Field(
        10.0, ge=0, description="Weight of the mean square of the feature encoder's output, in the loss."
    )
    feature_grad_scale: float = Field(
        0.1, ge=0, le=1, description="Factor on the gradient of the feature encoder; 0 freezes it."
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="All dropouts; the checkpoint's own if not given.",
    )
    gradient_checkpointing: bool = Field(False, description="Compute layers twice: slower, less memory.")
    gumbel: GumbelConfig = GumbelConfig()
    collapse: CollapseConfig = CollapseConfig()


class SeededConfig(Section):
    """A model of random weights, made here in the published format. An entry of config/pretrained.yaml."""

    seeded: Literal["wav2vec2", "hubert", "wavlm", "whisper"] = Field(
        description="The family, by its published format."
    )
    seed: int = Field(0, ge=0, description="Seed of the weights.")
    license: str = Field("none: random numbers", description="Licence of the weights.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="What differs from the family's own config.json, e.g. hidden_size."
    )


class HubConfig(Section):
    """Where and how a model is published. HF_REPO_ID and HF_PRIVATE of the environment or .env go first."""

    repo_id: str | None = Field(None, description="Owner and name on the Hub; HF_REPO_ID if not given.")
    private: bool = Field(True, description="Whether only its owner sees it.")
    license: str = Field("other", description="Licence of the weights, by the Hub's names.")

    @model_validator(mode="after")
    def _repo_is_possible(self) -> "HubConfig":
        if self.repo_id is not None and self.repo_id.count("/") != 1:
            raise ValueError(f"repo_id is {self.repo_id!r}: expected owner/name")
        return self
