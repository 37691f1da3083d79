"""How a frozen encoder is judged."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section


class ProbeTask(Section):
    """One question asked of frozen features: which label, learnt from which rows, tested on which."""

    label: str = Field(description="Manifest column to predict.")
    items: Literal["files", "segments"] = Field(
        "files", description="What is classified: whole files, or labelled stretches of them (the corpus' annotations)."
    )
    max_items: int = Field(
        0, ge=0, description="Items of each side, at most, spread over labels and groups; 0: all of them."
    )
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Keep rows whose column holds one of these values."
    )
    assign: Literal["split", "values", "shots", "rotate"] = Field(
        "split",
        description="split: the run's own train, dev and test; values: by the values of a column; "
        "shots: a few clips per label to learn from, all others to test; rotate: groups are dealt into parts, and "
        "each part is tested once, learnt from all others.",
    )
    column: str | None = Field(None, description="The column of assign: values.")
    train_values: tuple[str, ...] = Field((), description="Its values that are learnt from (a quarter chooses C).")
    test_values: tuple[str, ...] = Field((), description="Its values that are tested.")
    shots: int = Field(1, ge=1, description="Clips per label to learn from (assign: shots).")
    draws: int = Field(5, ge=1, description="Times that the shots are drawn; scores are averaged.")
    folds: int = Field(
        4,
        ge=3,
        description="Parts (assign: rotate): each is tested once; the next one chooses C, the others are learnt.",
    )
    group: str = Field(
        "participant_id", description="Column whose values the bootstrap resamples, and rotate keeps together."
    )
    piece_sec: float | None = Field(None, gt=0, description="Cut every clip into pieces of this length, in seconds.")
    random_channel: bool = Field(False, description="Give every piece its own simulated channel and noise.")

    @model_validator(mode="after")
    def _values_are_given(self) -> "ProbeTask":
        if self.assign == "values" and not (self.column and self.train_values and self.test_values):
            raise ValueError("assign: values needs column, train_values and test_values")
        if set(self.train_values) & set(self.test_values):
            raise ValueError("train_values and test_values share a value")
        return self


class ProbeConfig(Section):
    """How the encoder is judged."""

    tasks: dict[Name, ProbeTask] = Field(default_factory=dict, description="Named tasks.")
    layer: Literal["all", "dev"] = Field(
        "all", description="Features of the headline: all blocks side by side, or the layer that is best on dev."
    )
    each_layer: bool = Field(
        True,
        description="Score every layer by itself too; false: only the headline's, with layer: all, in half the time.",
    )
    inverse_penalties: tuple[float, ...] = Field(
        (0.001, 0.01, 0.1, 1.0, 10.0, 100.0), description="Values of C of the logistic regression; dev chooses."
    )
    random_encoders: int = Field(3, ge=1, description="Untrained encoders of the same shape, as a control.")
    shuffles: int = Field(10, ge=1, description="Shuffled copies of the labels, as a control.")
    neighbours: int = Field(10, ge=1, description="k of the nearest-neighbour probe.")
    bootstrap: int = Field(1000, ge=100, description="Draws of the bootstrap.")
    reconstruction_clips: int = Field(144, ge=1, description="Test clips, at most, that are masked and rebuilt.")
    examples: int = Field(4, ge=0, description="Test clips whose spectrograms are shown.")
    batch_size: int = Field(16, ge=1, description="Clips that are encoded at once.")
    seed: int = Field(0, ge=0, description="Seed of masks, shots, shuffles and bootstrap.")

    @model_validator(mode="after")
    def _dev_can_choose(self) -> "ProbeConfig":
        if self.layer == "dev" and not self.each_layer:
            raise ValueError("layer: dev chooses among all layers, so it needs each_layer: true")
        return self
