"""What every corpus has: what is checked of its files, and how it is divided."""

from typing import Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section

# Why a file may be reported; data/reasons.py says what each means.
Reason = Literal[
    "missing",
    "not_regular",
    "permission",
    "bad_name",
    "outside_root",
    "link_loop",
    "unreadable_folder",
    "unreadable_header",
    "codec_not_allowed",
    "zero_frames",
    "decode_error",
    "truncated",
    "non_finite",
    "too_short",
    "too_long",
    "near_silent",
    "size_wrap",
    "clipping",
    "dc_offset",
    "rate_unusual",
    "multichannel",
]


class ValidationConfig(Section):
    """Bounds of the checks that every file goes through."""

    min_duration_sec: float = Field(0.3, ge=0, description="Shorter files are left out (too_short).")
    max_duration_sec: float | None = Field(None, gt=0, description="Longer files are left out (too_long).")
    near_silent_dbfs: float = Field(
        -60.0, lt=0, description="Files whose RMS level is below are left out (near_silent)."
    )
    clipping_share: float = Field(
        0.01, gt=0, le=1, description="Share of samples at full scale above which a file is reported (clipping)."
    )
    dc_offset: float = Field(
        0.05, gt=0, lt=1, description="Mean sample, of full scale, above which a file is reported (dc_offset)."
    )
    min_sample_rate_hz: int = Field(8000, gt=0, description="Lower rates are noted (rate_unusual).")
    max_sample_rate_hz: int = Field(192000, gt=0, description="Higher rates are noted (rate_unusual).")
    allowed_codecs: tuple[str, ...] | None = Field(
        None,
        description="Codecs that are kept, by the manifest's names (pcm_s16, float32, flac, mp3, vorbis, opus, ...); "
        "files of others are left out undecoded (codec_not_allowed). All if not given.",
    )


SIDES = ("train", "dev", "test")


class SplitConfig(Section):
    """How one named split divides a corpus into train, dev and test."""

    group: Literal["participant", "recording", "clip", "song", "subject", "both", "ordered"] = Field(
        "participant",
        description="What stays on one side: all files of a participant, of a recording, or just the file. "
        "Files of an unknown participant are grouped by recording. Of corpora with listeners: all traces of a song; of "
        "a subject; of both (traces of a song of one side by a subject of another are left out); or, as a plan had it, "
        "traces by their sorted names (ordered: songs and subjects are on several sides).",
    )
    datasets: dict[Literal["train", "dev", "test"], tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Of corpora with listeners: the datasets that a side takes traces from, all of them if not given. "
        "One that is tested, and neither learnt from nor chosen by, is tested as a whole.",
    )
    column: str | None = Field(
        None, description="Manifest column that names the side (train, dev, test): an official split, kept as it is."
    )
    shares: tuple[float, float, float] = Field(
        (0.8, 0.1, 0.1), description="Shares of train, dev and test, counted in groups."
    )
    stratify: str | None = Field(None, description="Manifest column whose values are spread evenly over the sides.")
    stratum: Literal["commonest", "rarest"] = Field(
        "commonest",
        description="By which value of `stratify` a group of several is dealt: the commonest among its files, or the "
        "one that fewest groups have, which brings rare values to more sides.",
    )
    labels: tuple[str, ...] = Field((), description="Manifest columns counted side by side in split_summary.json.")
    seed: int = Field(0, ge=0, description="Seed of the drawing.")
    copies: int = Field(
        0,
        ge=0,
        description="Augmented copies of each clip that are dealt out as clips of their own: with group: clip a leak, "
        "made on purpose to show what it does to scores.",
    )
    min_groups: int = Field(3, ge=1, description="A side with fewer groups stops the run; lower it on purpose only.")
    exclude_reasons: tuple[Reason, ...] | None = Field(
        None,
        description="Reasons of validation that leave a file out: all of severity error if not given, else these and "
        "no others. What cannot be read at all (missing, decode_error, ...) is left out in any case.",
    )

    @model_validator(mode="after")
    def _shares_add_up(self) -> "SplitConfig":
        if abs(sum(self.shares) - 1) > 1e-6 or min(self.shares) < 0:
            raise ValueError(f"shares are {self.shares}: expected three numbers from 0 to 1 that add up to 1")
        return self


class ManifestConfig(Section):
    """How the files of a corpus are listed."""

    num_shards: int = Field(
        1,
        ge=1,
        le=1000,
        description="Jobs that share the reading of headers: 1 up to a million files, then about one per million.",
    )


class CorpusSection(Section):
    """What every corpus has, wherever its files come from."""

    title: str = Field("", description="One line for the report.")
    license: str = Field("unknown", description="Licence of the audio, printed in the report.")
    source: str = Field("", description="Where the audio comes from, printed in the report.")
    private: bool = Field(
        False,
        description="Participants, paths and audio stay out of reports, TensorBoard, model cards and uploads; "
        "pseudonyms stand there instead.",
    )
    cache_root: str = Field(
        "cache", description="Folder for copies that runs with data.cached read; $VARIABLES and ~ are expanded."
    )
    sha1: bool = Field(False, description="Compute the SHA-1 of every file (reads every byte once).")
    manifest: ManifestConfig = ManifestConfig()
    validation: ValidationConfig = ValidationConfig()
    splits: dict[Name, SplitConfig] = Field(
        default_factory=dict, description="Named splits; runs choose one with data.split."
    )
