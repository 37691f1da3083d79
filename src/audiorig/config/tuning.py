"""How a speech encoder is tuned to clips: what is read, which weights learn, what stands on top."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section

Family = Literal["wav2vec2", "hubert", "wavlm", "whisper", "wavemae"]


class AugmentConfig(Section):
    """Changes of a clip that leave its labels true. Each is drawn by (seed, epoch, item), training only."""

    share: float = Field(0.0, ge=0, le=1, description="Share of the clips that are changed; 0: none.")
    gain_db: float = Field(6.0, ge=0, description="Louder or quieter by at most so much.")
    noise_snr_db: tuple[float, float] = Field((10.0, 40.0), description="Range of the signal over added noise.")
    speed: float = Field(0.0, ge=0, lt=0.5, description="Faster or slower by at most this share, pitch included.")
    shift_sec: float = Field(0.2, ge=0, description="Rolled in time by at most so much.")


class ClipConfig(Section):
    """Which clips a run reads, and how; the rate is the encoder's."""

    corpus: Name = Field(description="A corpus of config/corpora or of the config file.")
    split: Name = Field(description="One of the corpus' splits.")
    split_per_seed: bool = Field(False, description="Draw the split anew for each seed: {split}.seed-{k}.")
    max_sec: float = Field(
        10.0, gt=0, description="Longest stretch that is read: drawn in training, the middle in evaluation."
    )
    trim_dbfs: float | None = Field(
        None, lt=0, description="Leave out what is quieter than this, relative to the clip's peak, at both ends."
    )
    level: Literal["as_is", "peak", "rms"] = Field("as_is", description="as_is, or bring each clip to one level.")
    augment: AugmentConfig = AugmentConfig()
    permute_labels: bool = Field(
        False, description="Shuffle the labels of train and dev among their clips: a control that can learn nothing."
    )
    max_unreadable_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Clips that turn out to be unreadable while training, as a share of the training side, above "
        "which the run stops; below, the next clip stands in for each.",
    )


class EncoderConfig(Section):
    """The encoder to begin with. Exactly one of pretrained, run and folder says where it is."""

    family: Family = Field(description="What it must be; a checkpoint of another family is refused.")
    pretrained: Name | None = Field(None, description="An entry of config/pretrained.yaml.")
    run: str | None = Field(None, description="A run of this project: its results/RUN/model.")
    folder: str | None = Field(None, description="A folder in the Hugging Face format.")
    checkpoint: str | None = Field(
        None,
        description="A bare file of weights (.safetensors, .pt, .bin or .ckpt) to take instead of those of "
        "pretrained or folder, which then gives the architecture alone.",
    )
    pad_to_30s: bool = Field(
        False, description="Whisper: fill every clip up to 30 s, as in its pre-training; 5 times the cost for 6 s."
    )

    @model_validator(mode="after")
    def _one_source(self) -> "EncoderConfig":
        given = [name for name in ("pretrained", "run", "folder") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of pretrained, run and folder (found {' and '.join(given) or 'none'})")
        if self.checkpoint is not None and self.run is not None:
            raise ValueError("checkpoint goes with pretrained or folder, and this names a run")
        if self.pad_to_30s and self.family != "whisper":
            raise ValueError(f"pad_to_30s is of whisper, and family is {self.family}")
        return self


class LoraConfig(Section):
    """Low-rank adapters (Hu et al., 2021), by PEFT."""

    rank: int = Field(0, ge=0, description="Rank of the update; 0: no adapters.")
    alpha: float = Field(16.0, gt=0, description="Scale of the update, divided by the rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the update.")
    targets: tuple[str, ...] = Field(
        (), description="Modules that get one, by the end of their name; those that are known to learn, if empty."
    )
    layers: tuple[int, ...] = Field((), description="Blocks that get them, from 0; all if empty.")

    @model_validator(mode="after")
    def _places_have_adapters(self) -> "LoraConfig":
        if not self.rank and (self.targets or self.layers):
            raise ValueError("targets and layers say where adapters go, and rank: 0 makes none; set rank")
        return self


class TuningConfig(Section):
    """Which weights of the encoder learn. The head always does."""

    learn: Literal["nothing", "all", "layers", "last", "half", "all_but_last"] = Field(
        "all",
        description="nothing: the encoder is frozen; all; layers: those in `layers`; last: the last `num_last` blocks; "
        "half: the upper half of the blocks; all_but_last: every block but the last one, which stays as it is.",
    )
    layers: tuple[int, ...] = Field((), description="learn: layers: blocks by number, from 0.")
    num_last: int = Field(0, ge=0, description="learn: last: how many.")
    modules: tuple[str, ...] = Field(
        (), description="Modules that learn too, by a beginning or an end of their name in the encoder."
    )
    freeze_front: bool = Field(
        False, description="Keep what comes before the first block (convolutions, projection) as it is in any case."
    )
    lora: LoraConfig = LoraConfig()
    num_prompts: int = Field(
        0, ge=0, description="Learnt frames put before the clip's own, behind the projection; 0: none."
    )
    rate_scale: float = Field(
        1.0, gt=0, description="Learning rate of the encoder's own weights, as a multiple of train.learning_rate."
    )

    @model_validator(mode="after")
    def _choice_is_complete(self) -> "TuningConfig":
        for choice, field in (("layers", "layers"), ("last", "num_last")):
            if (self.learn == choice) != bool(getattr(self, field)):
                raise ValueError(f"learn: {choice} and {field} go together (found learn: {self.learn})")
        return self


class PoolingConfig(Section):
    """From the frames of a clip to one vector. No pooling sees padding."""

    kind: Literal["mean", "max", "sum", "attention", "mean_std"] = Field("mean", description="How frames are joined.")
    layers: Literal["last", "weighted"] = Field(
        "last", description="last: the encoder's output; weighted: a learnt weighted sum of all its layers."
    )


class HeadConfig(Section):
    """From the vector of a clip to its targets."""

    kind: Literal["linear", "mlp"] = Field("linear", description="mlp: one hidden layer with tanh.")
    hidden: int = Field(0, ge=0, description="Width of the hidden layer; as wide as the vector if 0.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout before each layer (final_dropout).")
    separate: bool = Field(False, description="A head for each target; else they share one.")
    standardize: bool = Field(
        False,
        description="Bring each number of the vector to mean 0 and deviation 1, measured once on clips of the training "
        "side before training: what is pooled of a frozen encoder differs little between clips.",
    )

    @model_validator(mode="after")
    def _width_is_of_a_layer(self) -> "HeadConfig":
        if self.kind == "linear" and self.hidden:
            raise ValueError(f"hidden is {self.hidden}, and a linear head has no such layer: take kind: mlp, or 0")
        return self


class ScoreConfig(Section):
    """How the tuned model is judged on the test side."""

    group: str = Field("group_id", description="Column whose values the bootstrap resamples.")
    bootstrap: int = Field(1000, ge=100, description="Draws of the bootstrap.")
    shuffles: int = Field(200, ge=20, description="Shuffles of the true labels: what luck alone would score.")
    batch_size: int = Field(16, ge=1, description="Clips that are encoded at once.")
    examples: int = Field(4, ge=0, description="Test clips whose attention over time is drawn.")
    seed: int = Field(0, ge=0, description="Seed of bootstrap and shuffles.")
