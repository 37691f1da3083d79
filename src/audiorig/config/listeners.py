"""Corpora of listeners: songs, and traces of skin conductance of those who heard them."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section
from audiorig.config.corpus import CorpusSection

# Why a trace may be reported; data/eda/quality.py says what each means.
TraceFlag = Literal[
    "unreadable",
    "empty",
    "non_finite",
    "dead",
    "quantised",
    "end_jump",
    "out_of_range",
    "rate_mismatch",
    "length_gap",
    "duplicate",
    "missing_audio",
    "invalid_audio",
    "too_short",
]


class TraceChecksConfig(Section):
    """Bounds of the checks that every trace goes through, and what leaves one out."""

    max_missing_share: float = Field(
        0.05, ge=0, le=1, description="Share of samples that are no number above which a trace is non_finite."
    )
    min_levels: int = Field(32, ge=2, description="Traces with fewer different values are quantised.")
    max_flat_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of steps in stretches of 4 s or more without any change, above which a trace is dead.",
    )
    end_jump_sd: float = Field(
        5.0,
        gt=0,
        description="A step within the first or last second above so many robust deviations of all steps is "
        "an end_jump.",
    )
    min_microsiemens: float = Field(0.01, ge=0, description="Lower medians are out_of_range.")
    max_microsiemens: float = Field(100.0, gt=0, description="Higher medians are out_of_range.")
    max_length_gap_sec: float = Field(
        2.0,
        gt=0,
        description="Difference between a trace and the audio (or the play duration) above which it is a length_gap.",
    )
    min_sec: float = Field(8.0, gt=0, description="Shorter traces are too_short.")
    exclude: tuple[TraceFlag, ...] = Field(
        (
            *("unreadable", "empty", "non_finite", "dead", "quantised", "rate_mismatch"),
            *("duplicate", "missing_audio", "invalid_audio", "too_short"),
        ),
        description="Flags that leave a trace out of splits; others are reported only.",
    )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "TraceChecksConfig":
        if self.min_microsiemens >= self.max_microsiemens:
            raise ValueError(
                f"min_microsiemens is {self.min_microsiemens:g}, not below max_microsiemens ({self.max_microsiemens:g})"
            )
        return self


class DatasetConfig(Section):
    """One published dataset of a corpus with listeners."""

    layout: Literal["pmemo2019", "hku956"] = Field(
        description="pmemo2019: a CSV for each song with a column for each subject, audio in chorus/; hku956: a folder "
        "for each participant with a CSV for each record."
    )
    folder: str = Field("", description="Folder below the corpus' root; empty: the root itself.")
    audio: str = Field(
        "",
        description="Folder of the audio below the corpus' root; empty: chorus/ (pmemo2019) or audio/ (hku956) of the "
        "dataset's own.",
    )
    source_rate_hz: float | None = Field(
        None,
        gt=0,
        description="Rate of the traces; from the files' times (pmemo2019), else 4 Hz (hku956), if not given.",
    )


class WithListeners(CorpusSection):
    """What every corpus of songs and listeners has."""

    checks: TraceChecksConfig = TraceChecksConfig()


class ListenersCorpus(WithListeners):
    """Songs and the skin conductance of listeners, of one or several published datasets below one root."""

    kind: Literal["listeners"] = Field(description="Songs with traces of listeners, as published.")
    root: str = Field(
        description="Folder that holds the datasets; $VARIABLES and ~ are expanded. s3://bucket/folder or "
        "gs://bucket/folder: each object is fetched once, into cache_root."
    )
    datasets: dict[Name, DatasetConfig] = Field(min_length=1, description="Datasets by name.")
    extensions: tuple[str, ...] = Field(
        (".mp3", ".wav", ".flac", ".ogg"), description="File names that are listed as audio, in any case."
    )

    @model_validator(mode="after")
    def _folders_differ(self) -> "ListenersCorpus":
        folders = [dataset.folder.strip("/") for dataset in self.datasets.values()]
        if len(set(folders)) < len(folders):
            raise ValueError(f"datasets: two of {', '.join(self.datasets)} lie in one folder; each needs its own")
        audio = [folder for dataset in self.datasets.values() if (folder := dataset.audio.strip("/"))]
        if len(set(audio)) < len(audio):
            raise ValueError(
                f"datasets: the audio of two of {', '.join(self.datasets)} lies in one folder; each needs its own, or "
                "nobody knows whose song a file is"
            )
        return self


class DemoEdaCorpus(WithListeners):
    """Generated music and skin conductance with known truth, in the layout of PMEmo2019."""

    kind: Literal["demo-eda"] = Field(description="Songs and traces that are generated on this machine.")
    seed: int = Field(0, ge=0, description="Seed of everything.")
    num_songs: int = Field(80, ge=12, description="Songs.")
    num_subjects: int = Field(24, ge=6, description="Listeners; each hears a share of the songs.")
    listeners_per_song: int = Field(6, ge=2, description="Listeners of each song.")
    duration_sec: float = Field(40.0, ge=12, description="Mean length of a song; lengths vary by a fifth.")
    latency_sec: float = Field(1.8, ge=0, description="From an accent to the rise of the skin's response.")
    response_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of the responses' variance that the music explains; the rest is each listener's own.",
    )
    defects: bool = Field(True, description="Plant a few dead, quantised and jumping traces, as in real data.")

    @model_validator(mode="after")
    def _there_are_enough_subjects(self) -> "DemoEdaCorpus":
        if self.listeners_per_song > self.num_subjects:
            raise ValueError(
                f"listeners_per_song is {self.listeners_per_song}, and there are {self.num_subjects} subjects: lower it"
            )
        return self
