"""Corpora: where their audio lies, what is checked, how they are divided."""

from typing import Annotated, Literal

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

    group: Literal["participant", "recording", "clip"] = Field(
        "participant",
        description="What stays on one side: all files of a participant, of a recording, or just the file. "
        "Files of an unknown participant are grouped by recording.",
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


class DemoCorpus(CorpusSection):
    """Speech generated by espeak-ng: languages crossed with voices, known truth, no download."""

    kind: Literal["demo"] = Field(description="Speech that is generated on this machine.")
    seed: int = Field(0, ge=0, description="Seed of sentences, speaking rate, pitch, channel and noise.")
    languages: tuple[Literal["en", "de", "fr", "es", "it", "ru"], ...] = Field(
        ("en", "de", "fr", "es", "it", "ru"), min_length=2, description="Languages to speak."
    )
    probe_clips_per_cell: int = Field(
        4, ge=1, description="Clips for each pair of language and voice (24 voices): labelled, for probes."
    )
    pretrain_clips_per_cell: int = Field(
        14, ge=0, description="Further clips for each pair of language and training voice: pre-training only."
    )


class FolderCorpus(CorpusSection):
    """Any tree of audio files, with an optional CSV of what is known about them."""

    kind: Literal["folder"] = Field(description="Audio that lies in a folder.")
    root: str = Field(
        description="Folder of the audio; $VARIABLES and ~ are expanded. s3://bucket/folder or gs://bucket/folder: "
        "each object is fetched once, into cache_root."
    )
    extensions: tuple[str, ...] = Field(
        (".wav", ".flac", ".mp3", ".ogg", ".opus", ".w64", ".rf64"),
        description="File names that are listed, in any case; .tar: archives of such files, read without unpacking.",
    )
    metadata: str | None = Field(None, description="CSV inside root whose columns join the manifest.")
    join: Literal["path", "id"] = Field(
        "path", description="What the CSV's key column holds: the path below root, or the file name without extension."
    )
    key: str = Field("path", description="Name of the CSV's key column.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="CSV columns to rename, e.g. {speaker_id: participant_id}; the others keep their names.",
    )


class EmiliaCorpus(CorpusSection):
    """Emilia or Emilia-YODAS as it is published, or unpacked, with or without tables of metadata.

    Speakers were found by a program: one person can get two ids, and a clip can hold several
    people. DNSMOS is a program's estimate of quality too.
    """

    kind: Literal["emilia"] = Field(description="The Emilia corpus, in any of the layouts that people hold.")
    root: str = Field(description="Folder of the corpus or of a part of it; $VARIABLES and ~ are expanded.")
    extensions: tuple[str, ...] = Field(
        (".mp3", ".wav", ".flac", ".tar"),
        description="File names that are listed, in any case; .tar: archives, read without unpacking.",
    )
    keep_text: bool = Field(False, description="Keep the transcripts, as column text; they double the manifest.")


PRIVATE = CorpusSection.model_fields["private"].description


class HomeDemoCorpus(CorpusSection):
    """Long recordings of homes, generated: voices near and far, a child, pauses and noise, with known truth."""

    kind: Literal["home-demo"] = Field(description="Home recordings that are generated on this machine.")
    seed: int = Field(0, ge=0, description="Seed of everything.")
    num_participants: int = Field(
        12, ge=12, le=24, description="Homes: half for training, a quarter each for dev and test."
    )
    recordings_per_participant: int = Field(1, ge=1, le=9, description="Recordings of each home.")
    minutes: float = Field(6.0, ge=0.5, description="Length of a recording.")
    private: bool = Field(True, description=PRIVATE)


class HomeCorpus(CorpusSection):
    """Long recordings of homes, as teams keep them: a tree of WAV and FLAC, or a ChildProject folder."""

    kind: Literal["home"] = Field(description="Long recordings of homes.")
    root: str = Field(
        description="Folder of the audio (raw_audio_root), outside the project; $VARIABLES and ~ are expanded."
    )
    extensions: tuple[str, ...] = Field(
        (".wav", ".flac", ".w64", ".rf64", ".aiff", ".aif"),
        description="File names that are listed (allowed_ext), in any case.",
    )
    participant_pattern: str | None = Field(
        None,
        description="Regular expression with a group (?P<participant>...) that is looked for in the path below root; "
        "where it does not match, or if not given, the participant is unknown.",
    )
    recordings: str | None = Field(
        "metadata/recordings.csv",
        description="ChildProject's table inside root, read where it is present: child_id, recording_filename.",
    )
    annotations: str | None = Field(
        None,
        description="CSV inside root of labelled stretches: recording_filename, segment_onset, segment_offset (ms), "
        "then labels such as speaker_type.",
    )
    private: bool = Field(True, description=PRIVATE)


class DemoRatingsCorpus(CorpusSection):
    """Generated speech whose rate, pitch and loudness are known: three features and a rating, some missing."""

    kind: Literal["demo-ratings"] = Field(description="Rated clips that are generated on this machine.")
    seed: int = Field(0, ge=0, description="Seed of everything.")
    num_voices: int = Field(20, ge=8, le=24, description="Voices: 12, 3 and 5 of 20 on train, dev and test.")
    clips_per_voice: int = Field(30, ge=4, description="Clips of each voice.")
    missing_share: float = Field(0.15, ge=0, lt=1, description="Share of the values that are missing.")


class DemoCriesCorpus(CorpusSection):
    """Generated cries: harmonic bursts of infants whose own sound is a stronger cue than the reason's."""

    kind: Literal["demo-cries"] = Field(description="Cries that are generated on this machine.")
    seed: int = Field(0, ge=0, description="Seed of everything.")
    num_infants: int = Field(40, ge=15, description="Infants, each with formants and a pitch of its own.")
    num_clips: int = Field(480, ge=60, description="Clips in all; the commonest reason has 20 times the rarest's.")


class CriesCorpus(CorpusSection):
    """Infants' cries as they are published; what a clip is stands in its name."""

    kind: Literal["cries"] = Field(description="Recorded cries of infants.")
    layout: Literal["donateacry", "baby-chillanto", "cryceleb"] = Field(
        "donateacry",
        description="donateacry: {app id}-{time}-{app version}-{gender}-{age}-{reason}.wav; baby-chillanto: folders by "
        "class of one-second fragments; cryceleb: folders by infant and session.",
    )
    root: str = Field(description="Folder of the corpus; $VARIABLES and ~ are expanded.")
    extensions: tuple[str, ...] = Field((".wav", ".flac"), description="File names that are listed, in any case.")
    participant_pattern: str = Field(
        r"^(?P<participant>\d{4})\d{6}$",
        description="baby-chillanto: regular expression with a group (?P<participant>...) that is looked for in a "
        "fragment's name without extension; what it finds is the infant's one recording.",
    )


Corpus = Annotated[
    DemoCorpus
    | FolderCorpus
    | EmiliaCorpus
    | HomeDemoCorpus
    | HomeCorpus
    | DemoRatingsCorpus
    | DemoCriesCorpus
    | CriesCorpus,
    Field(discriminator="kind"),
]

# Corpora whose audio is made on this machine, in data/{corpus}.
GENERATED = (DemoCorpus, HomeDemoCorpus, DemoRatingsCorpus, DemoCriesCorpus)
