"""What a run refers to by name: whether it is there, and what the run needs."""

from typing import Protocol

from audiorig.config import (
    Audio2EdaRun,
    CorpusSection,
    EncoderConfig,
    HomeCorpus,
    HomeDemoCorpus,
    HomeWav2Vec2Run,
    PretrainedConfig,
    Run,
    SeededConfig,
    SplitConfig,
    TuningRun,
    WaveMAERun,
    WithListeners,
)
from audiorig.config_checks import near
from audiorig.errors import ConfigError

OF_FILES = ("participant", "recording", "clip")
OF_TRACES = ("song", "subject", "both", "ordered")


class Known(Protocol):
    """All runs, corpora and models that there are; ``config_files.Settings`` in all but name."""

    @property
    def run_names(self) -> list[str]: ...

    @property
    def pretrained_names(self) -> list[str]: ...

    def run(self, name: str) -> Run: ...

    def corpus(self, name: str) -> CorpusSection: ...

    def split(self, corpus: str, name: str) -> SplitConfig: ...

    def pretrained(self, name: str) -> PretrainedConfig | SeededConfig: ...


def check_references(known: Known, run: Run, where: str) -> None:
    """Check what a run refers to by name: its corpus and split, other runs, published models.

    Raises:
        ConfigError: if there is no such thing, or it is not what the run needs.
    """
    corpus = known.corpus(run.data.corpus)
    try:
        split = known.split(run.data.corpus, run.data.split)
    except ConfigError:
        raise ConfigError(
            f"{where}: data.split is {run.data.split!r}, but corpus {run.data.corpus!r} "
            f"has {', '.join(sorted(corpus.splits)) or 'no splits'}"
        ) from None
    if isinstance(corpus, WithListeners) != isinstance(run, Audio2EdaRun):
        raise ConfigError(
            f"{where}: data.corpus is {run.data.corpus!r}, "
            + (
                "whose files have no listeners: expected a corpus of kind listeners or demo-eda"
                if isinstance(run, Audio2EdaRun)
                else f"songs with listeners, which experiment audio2eda is for, not {run.experiment}"
            )
        )
    if isinstance(corpus, WithListeners) != (split.group in OF_TRACES):
        expected = OF_TRACES if isinstance(corpus, WithListeners) else OF_FILES
        raise ConfigError(
            f"corpora.{run.data.corpus}.splits.{run.data.split}.group is {split.group!r}: this corpus is divided by "
            f"{' or '.join(expected)}"
        )
    has_segments = isinstance(corpus, HomeDemoCorpus) or (isinstance(corpus, HomeCorpus) and corpus.annotations)
    asking = [task for task, settings in run.probe.tasks.items() if settings.items == "segments"]
    if asking and not has_segments:
        raise ConfigError(
            f"{where}: probe.tasks.{asking[0]} asks for labelled stretches, but corpus {run.data.corpus!r} has "
            f"none; set corpora.{run.data.corpus}.annotations, or take the task away ({asking[0]}: null)"
        )
    if len(set(run.seeds)) < len(run.seeds) or min(run.seeds, default=0) < 0:
        raise ConfigError(f"{where}: seeds are {list(run.seeds)}: expected different numbers from 0 on")
    if (other := run.report.compare_with) is not None and other not in known.run_names:
        raise ConfigError(f"{where}: report.compare_with is {other!r}: no such run{near(other, known.run_names)}")
    _check_pretrained(known, run, where)


def _check_pretrained(known: Known, run: Run, where: str) -> None:
    match run:
        case WaveMAERun():
            key = "teacher.pretrained"
            names = [run.teacher.pretrained] if run.teacher.kind == "w2v-bert" else []
        case HomeWav2Vec2Run():
            key, names = "model.base", [run.model.base]
        case TuningRun():
            key, names = "encoder.pretrained", [run.encoder.pretrained] if run.encoder.pretrained else []
            _check_encoder(known, run.encoder, where)
        case Audio2EdaRun():
            key, names = "", []
            if known.corpus(run.data.corpus).private and run.eda.normalize == "subject_z_train":
                raise ConfigError(
                    f"{where}: eda.normalize is subject_z_train, for which the model keeps a mean and deviation by the "
                    f"name of each subject, and corpus {run.data.corpus!r} is private: take trace_z or onset_delta"
                )
            try:
                run.check_stride()
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from None
    for name in names:
        if name not in known.pretrained_names:
            raise ConfigError(
                f"{where}: {key} is {name!r}: no entry of config/pretrained.yaml{near(name, known.pretrained_names)}"
            )


def _check_encoder(known: Known, encoder: EncoderConfig, where: str) -> None:
    """Whether what is begun with can be of the family that is asked for."""
    found: str = encoder.family
    if encoder.pretrained in known.pretrained_names:
        model = known.pretrained(str(encoder.pretrained))
        found = model.seeded if isinstance(model, SeededConfig) else found
    if encoder.run is not None:
        run = known.run(encoder.run)
        if not isinstance(run, WaveMAERun | HomeWav2Vec2Run):
            raise ConfigError(
                f"{where}: encoder.run is {encoder.run!r}, a run of {run.experiment}: expected one of wavemae or "
                "homewav2vec2"
            )
        if run.seeds and "/" not in encoder.run:
            raise ConfigError(f"{where}: encoder.run: which seed? E.g. {encoder.run}/seed-{run.seeds[0]}")
        found = "wavemae" if isinstance(run, WaveMAERun) else "wav2vec2"
    if found != encoder.family:
        source = encoder.run or encoder.pretrained
        raise ConfigError(f"{where}: encoder.family is {encoder.family}, but {source!r} is a {found}")
