"""From songs to skin conductance: features, targets, loss, what is watched and how it is scored."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section

Measure = Literal["mse", "mae", "pearson", "ccc", "dtw", "frechet"]
# Which way is better, of what dev gives.
MEASURES: dict[Measure, Literal["min", "max"]] = {
    "mse": "min",
    "mae": "min",
    "pearson": "max",
    "ccc": "max",
    "dtw": "min",
    "frechet": "min",
}


class SongConfig(Section):
    """Which songs and listeners a run learns from, and how they are put into batches."""

    corpus: Name = Field(description="A corpus with listeners, an entry of config/corpora.")
    split: Name = Field("by-song", description="One of its splits.")
    split_per_seed: bool = Field(
        False, description="Draw the split with the run's seed: its name becomes {split}.seed-{k}."
    )
    max_sec: float = Field(
        60.0,
        ge=8,
        description="Longest stretch of a song in training, drawn anew each epoch; scores are of whole songs.",
    )
    group_songs: bool = Field(
        True,
        description="An item is a song with all of its listeners, encoded once; false: one listener's trace, so the "
        "same song is encoded for each.",
    )
    permute_songs: bool = Field(
        False, description="Learn from traces of other songs of about the same length: a control."
    )


class MfccConfig(Section):
    """What is taken of a song."""

    sample_rate_hz: int = Field(44100, ge=8000, description="Rate that the audio is resampled to.")
    normalize: Literal["peak", "none"] = Field(
        "peak", description="peak: divide by the largest sample, nothing is clipped."
    )
    num_mfcc: int = Field(40, ge=1, description="Coefficients.")
    num_mels: int = Field(64, ge=1, description="Mel bands.")
    window: int = Field(2048, ge=16, description="Samples of a window.")
    hop: int = Field(441, ge=1, description="Samples from one window to the next.")
    num_shards: int = Field(2, ge=1, le=1000, description="Jobs that share the computing.")

    @model_validator(mode="after")
    def _numbers_fit(self) -> "MfccConfig":
        if self.num_mfcc > self.num_mels:
            raise ValueError(f"num_mfcc is {self.num_mfcc}, more than the {self.num_mels} mel bands they are made of")
        if self.hop > self.window:
            raise ValueError(f"hop is {self.hop}, longer than the window of {self.window}: audio would be left out")
        return self

    @property
    def frame_rate_hz(self) -> float:
        """Frames a second."""
        return self.sample_rate_hz / self.hop

    @property
    def key(self) -> str:
        """A folder name that says all that the coefficients depend on."""
        numbers = (self.num_mfcc, self.num_mels, self.window, self.hop)
        return "_".join(["mfcc", str(self.sample_rate_hz), self.normalize, *map(str, numbers)])

    @classmethod
    def of_key(cls, key: str) -> "MfccConfig":
        """Settings of such a name."""
        _, rate, normalize, *numbers = key.split("_")
        names = ("num_mfcc", "num_mels", "window", "hop")
        return cls.model_validate(
            {"sample_rate_hz": int(rate), "normalize": normalize} | dict(zip(names, map(int, numbers), strict=True))
        )


class EdaConfig(Section):
    """What is predicted of a trace."""

    rate_hz: float = Field(4.0, gt=0, le=100, description="Rate of the predicted trace (alignment: rate).")
    alignment: Literal["rate", "mfcc_frames"] = Field(
        "rate", description="rate: frames of 1/rate_hz s; mfcc_frames: one for each frame of the audio's features."
    )
    lowpass_hz: float = Field(
        1.0, ge=0, description="Butterworth of order 4, zero phase, before the rate is lowered; 0: none."
    )
    highpass_hz: float = Field(
        0.05,
        gt=0,
        description="Where the tonic part ends and the phasic one begins: Butterworth of order 2, zero phase.",
    )
    max_gap_sec: float = Field(
        2.0,
        ge=0,
        description="Longest stretch of missing values that a line is drawn across; a longer one is no target.",
    )
    target: Literal["clean", "tonic", "phasic"] = Field("clean", description="What is predicted.")
    normalize: Literal["trace_z", "onset_delta", "subject_z_train", "none"] = Field(
        "trace_z",
        description="trace_z: mean 0 and deviation 1 of each trace, so that the shape alone is predicted; onset_delta: "
        "minus the mean of its first 2 s, over the training side's deviation; subject_z_train: by the subject's own "
        "training traces, of unknown subjects by everybody's; none: microsiemens.",
    )

    def frame_rate_hz(self, audio: MfccConfig) -> float:
        """Frames of the predicted trace a second."""
        return audio.frame_rate_hz if self.alignment == "mfcc_frames" else self.rate_hz

    def key(self, audio: MfccConfig) -> str:
        """A folder name that says all that the three signals of a trace depend on."""
        numbers = (self.frame_rate_hz(audio), self.lowpass_hz, self.highpass_hz, self.max_gap_sec)
        return "_".join(["eda", *(f"{number:.12g}" for number in numbers)])

    @staticmethod
    def of_key(key: str) -> "tuple[EdaConfig, float]":
        """Settings, and the frame rate, of such a name."""
        rate, lowpass, highpass, gap = map(float, key.split("_")[1:])
        return EdaConfig(lowpass_hz=lowpass, highpass_hz=highpass, max_gap_sec=gap), rate


class EdaLossConfig(Section):
    """What training makes small: a mean over traces of a mean over frames."""

    name: Literal["mse", "l1", "huber", "ccc", "mse+slope"] = Field(
        "huber",
        description="ccc: one minus the concordance, logged as discordance; mse+slope: of the values and of their "
        "differences.",
    )
    delta: float = Field(1.0, gt=0, description="Where huber turns from square to line.")
    slope_weight: float = Field(1.0, gt=0, description="Weight of the differences (mse+slope).")

    @property
    def part(self) -> str:
        """What it is called in the log. Not ccc: that is the measure, of which more is better, and this is 1 - ccc."""
        return "discordance" if self.name == "ccc" else self.name


class MonitorConfig(Section):
    """What is logged beside the loss."""

    train: tuple[Measure, ...] = Field((), description="Of the training items, at every step.")
    dev: tuple[Measure, ...] = Field(("mse", "pearson"), description="Of dev, at every evaluation.")
    max_traces: int = Field(
        32, ge=1, description="Traces of a batch, at most, for dtw and frechet, whose cost is quadratic."
    )


class TraceScoreConfig(Section):
    """How predicted traces are judged."""

    permutations: int = Field(200, ge=50, description="Draws of each null: other songs' predictions, shifted ones.")
    bootstrap: int = Field(1000, ge=100, description="Draws of the bootstrap over songs.")
    band_sec: float = Field(3.0, gt=0, description="Sakoe-Chiba band of the warping: how far frames may be apart.")
    lag_sec: float = Field(8.0, ge=0, description="How far back the ridge regressions look.")
    lag_step_sec: float = Field(0.5, gt=0, description="Steps in which they look back.")
    ridge_penalties: tuple[float, ...] = Field(
        (1.0, 10.0, 100.0, 1000.0, 10000.0), min_length=1, description="Penalties of the ridge; dev chooses."
    )
    response_sec: float = Field(
        2.0, gt=0, description="A predicted skin response counts if a true one begins within so many seconds."
    )
    min_response: float = Field(0.1, gt=0, description="Least rise of a skin response, in deviations of the trace.")
    examples: int = Field(6, ge=0, description="Test songs that are drawn on the page.")
    seed: int = Field(0, ge=0, description="Seed of nulls and bootstrap.")
