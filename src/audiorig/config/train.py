"""How a model is trained."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Section


class TrainingProbeConfig(Section):
    """A linear probe while training: it watches, it changes nothing."""

    every_steps: int = Field(0, ge=0, description="Steps between two probes; 0: none.")
    label: str = Field("language", description="Manifest column to predict.")
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Keep rows whose column holds one of these values."
    )
    group: str = Field("participant_id", description="Column whose values the bootstrap resamples.")
    train_clips: int = Field(200, ge=2, description="Clips of the training side to learn from, drawn once.")
    dev_clips: int = Field(100, ge=2, description="Clips of dev to score, drawn once.")


class SelectionConfig(Section):
    """Which evaluation on dev is the best one, and when there is no hope of a better one."""

    metric: str = Field("total", description="What dev is judged by: a name of the log without its eval_.")
    mode: Literal["min", "max"] = Field("min", description="Whether lower or higher is better.")
    keep_best: bool = Field(
        False, description="End with the weights of the best evaluation; those of the last step stay in checkpoints/."
    )
    patience: int = Field(
        0, ge=0, description="Evaluations in a row without a gain after which training stops early; 0: never."
    )
    delta: float = Field(0.0, ge=0, description="What is gained must be more than this to count.")
    keep_top: int = Field(
        0,
        ge=0,
        description="Checkpoints of the best evaluations that are kept, by the value alone, without `delta`; listed in "
        "checkpoints/best.json.",
    )


class PlateauConfig(Section):
    """schedule: reduce_on_plateau. What a gain is, selection says."""

    factor: float = Field(0.5, gt=0, lt=1, description="Factor of the learning rate when dev gains nothing.")
    patience: int = Field(2, ge=0, description="Evaluations without a gain that are waited for, after warm-up.")


class WandbConfig(Section):
    """Logging to Weights & Biases, beside TensorBoard. Its key comes from the environment or .env, never from here."""

    mode: Literal["disabled", "offline", "online"] = Field(  # no "off", which YAML reads as false
        "disabled",
        description="offline: into results/{run}/wandb, without a network, to be sent later by `wandb sync`.",
    )
    project: str = Field("audiorig", description="Project.")
    entity: str | None = Field(None, description="User or team; null: the key's own.")
    name: str | None = Field(None, description="Name of the run; null: the run's own.")
    tags: tuple[str, ...] = Field((), description="Tags.")


class LogConfig(Section):
    """Who is told of the training, and how often. history.json has every step in any case."""

    every_steps: int = Field(1, ge=1, description="Steps between two entries of TensorBoard and wandb.")
    settings: bool = Field(True, description="Send the run's settings along (wandb).")
    wandb: WandbConfig = WandbConfig()


class TrainConfig(Section):
    """How the model is trained. Keys under OPERATION do not change the result of a step."""

    max_steps: int = Field(1400, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(24, ge=1, description="Items per device and micro-batch.")
    accumulation: int = Field(1, ge=1, description="Micro-batches per optimizer step.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    optimizer: Literal["adamw", "adam", "sgd"] = Field(
        "adamw", description="adamw: decay apart from the gradient; adam, sgd: decay as part of it."
    )
    weight_decay: float = Field(0.05, ge=0, description="Decay of weights; none on norms, biases, GRN and tokens.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="Momenta of adamw and adam.")
    epsilon: float = Field(1e-8, gt=0, description="Least denominator of adamw and adam.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Momentum of sgd.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    warmup_steps: int | None = Field(None, ge=0, description="Steps in which the rate rises; beats warmup_share.")
    load_from_checkpoint: str | None = Field(
        None,
        description="Weights to begin with, of a run with the same model: a final.ckpt, a model folder or a folder of "
        "checkpoints/. The optimizer begins anew.",
    )
    schedule: Literal["cosine", "linear", "constant", "reduce_on_plateau"] = Field(
        "cosine", description="Course of the rate after warm-up."
    )
    plateau: PlateauConfig = PlateauConfig()
    min_lr_share: float = Field(0.01, ge=0, le=1, description="Last rate of the cosine, as a share of the peak.")
    selection: SelectionConfig = SelectionConfig()
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="auto: bfloat16 on GPUs that have it, float32 elsewhere; fp16: for GPUs without bfloat16.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="auto: a GPU of CUDA if there is one, else the CPU; others end in an error where there is none.",
    )
    cpu_threads: int = Field(2, ge=1, description="Threads of one process; results are equal for equal counts only.")
    max_bad_steps: int = Field(10, ge=1, description="Steps in a row with a non-finite gradient before the run stops.")
    compile: bool = Field(
        False, description="Compile the blocks with torch.compile: a minute at the start, then faster steps."
    )
    # operation
    num_workers: int = Field(
        0, ge=0, description="Worker processes that read crops; 0: two threads of this process read ahead."
    )
    eval_steps: int = Field(100, ge=1, description="Steps between two evaluations on dev.")
    eval_epochs: float | None = Field(
        None, gt=0, description="Epochs, or a part of one, between two evaluations on dev; beats eval_steps."
    )
    save_steps: int = Field(100, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Newest checkpoints that are kept.")
    keep_every_steps: int = Field(
        0, ge=0, description="Checkpoints of multiples of this are never removed; a multiple of save_steps; 0: none."
    )
    audio_steps: int = Field(100, ge=0, description="Steps between two logs of rebuilt audio; 0: none.")
    audio_clips: int = Field(3, ge=1, description="Dev clips whose audio is logged.")
    probe: TrainingProbeConfig = TrainingProbeConfig()

    @model_validator(mode="after")
    def _settings_fit_together(self) -> "TrainConfig":
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum is {self.momentum:g}, which is of sgd, and optimizer is {self.optimizer}: set betas"
            )
        if self.warmup_steps is not None and self.warmup_steps >= self.max_steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, and max_steps {self.max_steps}: no step is left")
        if self.keep_every_steps % self.save_steps:
            raise ValueError(
                f"keep_every_steps is {self.keep_every_steps}, no multiple of save_steps ({self.save_steps}): nothing "
                "is saved there"
            )
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError(
                "precision is fp16 and device cpu: half precision needs a GPU; set precision: fp32 or bf16"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas are {self.betas}: expected two numbers from 0 to below 1")
        return self

    @property
    def follows_dev(self) -> bool:
        """Whether what is measured on dev changes the result."""
        return bool(self.selection.keep_best or self.selection.patience or self.schedule == "reduce_on_plateau")

    @property
    def asks_dev(self) -> bool:
        """Whether anything goes by the metric of dev: the result, or which checkpoints are kept."""
        return self.follows_dev or self.selection.keep_top > 0

    def operation_keys(self) -> tuple[str, ...]:
        """Settings that may change between two halves of a run.

        What is done with evaluations on dev is among them as long as nothing is, and so is when they are made.
        """
        return (
            *("num_workers", "save_steps", "keep_checkpoints", "keep_every_steps", "max_bad_steps", "device"),
            *("audio_steps", "audio_clips", "probe"),
            *(() if self.follows_dev else ("eval_steps", "eval_epochs", "selection")),
            *(() if self.schedule == "reduce_on_plateau" else ("plateau",)),
        )
