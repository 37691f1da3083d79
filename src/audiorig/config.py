"""Every setting that exists: its default, unit, bounds and meaning.

Each section is a frozen model that refuses unknown keys. ``config/README.md`` and
``config/schema/*.json`` are generated from these models; ``config_files`` reads the YAML.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[a-z0-9][a-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME)]


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


# ------------------------------------------------------------------------------ corpora


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
    labels: tuple[str, ...] = Field((), description="Manifest columns counted side by side in split_summary.json.")
    seed: int = Field(0, ge=0, description="Seed of the drawing.")
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
    root: str = Field(description="Folder of the audio; $VARIABLES and ~ are expanded.")
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


Corpus = Annotated[DemoCorpus | FolderCorpus | EmiliaCorpus, Field(discriminator="kind")]


# --------------------------------------------------------------------------------- runs


class DataConfig(Section):
    """What a run reads."""

    corpus: Name = Field("demo", description="A corpus of config/corpora or of the config file.")
    split: Name = Field("by-voice", description="One of the corpus' splits.")
    sample_rate_hz: int = Field(24000, ge=8000, le=192000, description="Rate that all audio is resampled to.")
    crop_frames: int = Field(256, ge=16, description="Length of a training crop, in STFT frames.")


class SpectrogramConfig(Section):
    """The short-time Fourier transform that models read."""

    n_fft: int = Field(1024, ge=64, description="Length of the transform, in samples; n_fft / 2 + 1 bins.")
    hop: int = Field(256, ge=16, description="Samples from frame to frame.")
    window: int = Field(1024, ge=64, description="Length of the Hann window, in samples, at most n_fft.")
    floor: float = Field(1e-3, gt=0, description="Magnitudes below are raised to this before the logarithm.")
    min_std: float = Field(0.3, gt=0, description="Least standard deviation of a bin, in nepers.")

    @model_validator(mode="after")
    def _window_fits(self) -> "SpectrogramConfig":
        if self.window > self.n_fft or self.hop > self.window:
            raise ValueError(
                f"hop {self.hop}, window {self.window}, n_fft {self.n_fft}: expected hop <= window <= n_fft"
            )
        return self


SIZES: dict[str, tuple[int, int]] = {"mini": (192, 6), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}


class WaveMAEModelConfig(Section):
    """Shape and task of a WaveMAE. Width and depth follow from ``size`` where they are not given."""

    size: Literal["mini", "small", "base", "large"] = Field(
        "mini", description="mini 192 x 6, small 384 x 12, base 768 x 12, large 1024 x 24 (width x depth)."
    )
    width: int = Field(0, ge=8, description="Width D of the encoder; from size if not given.")
    depth: int = Field(0, ge=1, description="Number of encoder blocks; from size if not given.")
    stride: int = Field(2, ge=1, description="STFT frames per latent.")
    kernel: int = Field(7, ge=1, description="Kernel of the depthwise convolutions, in latents, odd.")
    wide_kernel: int = Field(31, ge=1, description="Kernel of every third block, in latents, odd.")
    encoder_mode: Literal["sparse", "dense"] = Field(
        "sparse",
        description="sparse: only visible latents are computed, re-masked before each convolution; "
        "dense: hidden latents are replaced by a mask token.",
    )
    decoder_width: int = Field(256, ge=8, description="Width of the decoder.")
    decoder_depth: int = Field(1, ge=1, description="Number of decoder blocks.")
    decoder_kernel: int = Field(31, ge=1, description="Kernel of the decoder's convolution, in latents, odd.")
    mask_ratio: float = Field(0.65, gt=0, lt=1, description="Share of the latents that is hidden.")
    min_span: int = Field(8, ge=1, description="Shortest hidden span, in latents.")
    max_span: int = Field(16, ge=1, description="Longest hidden span, in latents.")
    target: Literal["shape_level", "global"] = Field(
        "shape_level",
        description="shape_level: each hidden patch without its own mean and deviation, which a second head "
        "predicts; global: plain MSE on the standardised log magnitude.",
    )
    level_weight: float = Field(0.2, ge=0, description="Weight of the level head in the loss (shape_level).")
    remove_level: bool = Field(True, description="Subtract the mean level of the visible frames from input and target.")
    channel_augment_db: float = Field(
        6.0, ge=0, description="Largest random smooth channel and gain added to the log magnitude in training, in dB."
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_size(cls, values: Any) -> Any:
        if isinstance(values, dict) and str(values.get("size", "mini")) in SIZES:
            width, depth = SIZES[str(values.get("size", "mini"))]
            return {"width": width, "depth": depth, **values}
        return values

    @model_validator(mode="after")
    def _is_possible(self) -> "WaveMAEModelConfig":
        for name in ("kernel", "wide_kernel", "decoder_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected an odd number")
        if self.min_span > self.max_span:
            raise ValueError(f"min_span {self.min_span} is above max_span {self.max_span}")
        return self


class TrainConfig(Section):
    """How the model is trained. Keys under OPERATION do not change the result of a step."""

    max_steps: int = Field(1400, ge=1, description="Optimizer steps of the whole run.")
    batch_size: int = Field(24, ge=1, description="Items per device and micro-batch.")
    accumulation: int = Field(1, ge=1, description="Micro-batches per optimizer step.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.05, ge=0, description="AdamW decay; none on norms, biases, GRN and tokens.")
    betas: tuple[float, float] = Field((0.9, 0.95), description="AdamW momenta.")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="Course of the rate after warm-up.")
    min_lr_share: float = Field(0.01, ge=0, le=1, description="Last rate of the cosine, as a share of the peak.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bfloat16 on GPUs that have it, float32 elsewhere."
    )
    cpu_threads: int = Field(2, ge=1, description="Threads of one process; results are equal for equal counts only.")
    max_bad_steps: int = Field(10, ge=1, description="Steps in a row with a non-finite gradient before the run stops.")
    # operation
    num_workers: int = Field(
        0, ge=0, description="Worker processes that read crops; 0: two threads of this process read ahead."
    )
    eval_steps: int = Field(100, ge=1, description="Steps between two evaluations on dev.")
    save_steps: int = Field(100, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Newest checkpoints that are kept.")

    def operation_keys(self) -> tuple[str, ...]:
        """Settings that may change between two halves of a run."""
        return ("num_workers", "eval_steps", "save_steps", "keep_checkpoints", "max_bad_steps")


class ProbeTask(Section):
    """One question asked of frozen features: which label, learnt from which rows, tested on which."""

    label: str = Field(description="Manifest column to predict.")
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Keep rows whose column holds one of these values."
    )
    assign: Literal["split", "values", "shots"] = Field(
        "split",
        description="split: the run's own train, dev and test; values: by the values of a column; "
        "shots: a few clips per label to learn from, all others to test.",
    )
    column: str | None = Field(None, description="The column of assign: values.")
    train_values: tuple[str, ...] = Field((), description="Its values that are learnt from (a quarter chooses C).")
    test_values: tuple[str, ...] = Field((), description="Its values that are tested.")
    shots: int = Field(1, ge=1, description="Clips per label to learn from (assign: shots).")
    draws: int = Field(5, ge=1, description="Times that the shots are drawn; scores are averaged.")
    group: str = Field("participant_id", description="Column whose values the bootstrap resamples.")
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


class ReportConfig(Section):
    """What the page says beside its numbers."""

    title: str = Field("", description="Headline; the run's name if empty.")
    notes: tuple[str, ...] = Field((), description="Sentences a reader must know, shown at the top.")


class WaveMAERun(Section):
    """One run of the masked autoencoder."""

    experiment: Literal["wavemae"] = Field(description="Which experiment this is.")
    achieves: str = Field("", description="What the run should reach, and what it costs.")
    seed: int = Field(0, ge=0, description="Seed of weights, crops, masks and order.")
    data: DataConfig = DataConfig()
    spectrogram: SpectrogramConfig = SpectrogramConfig()
    model: WaveMAEModelConfig = Field(default_factory=lambda: WaveMAEModelConfig.model_validate({}))
    train: TrainConfig = TrainConfig()
    probe: ProbeConfig = ProbeConfig()
    report: ReportConfig = ReportConfig()

    def stage(self, name: str) -> dict[str, Any]:
        """The settings that one stage of the workflow reads, as plain data."""
        sections = {
            "data": ("experiment", "data", "spectrogram"),
            "train": ("experiment", "seed", "data", "spectrogram", "model", "train"),
            "probe": ("experiment", "probe"),
            "report": ("experiment", "achieves", "report"),
        }[name]
        return self.model_dump(mode="json", include=set(sections))


Run = WaveMAERun  # grows into a union, told apart by `experiment`
STAGES = ("data", "train", "probe", "report")
