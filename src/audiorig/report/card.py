"""The card of a model folder: what it is, how to load it, what it was trained on."""

from typing import TYPE_CHECKING

from huggingface_hub import ModelCard, ModelCardData

from audiorig.config import (
    Audio2EdaRun,
    CorpusSection,
    HomeWav2Vec2Run,
    InfantCryRun,
    Run,
    SpeechTuneRun,
    TuningRun,
    WaveMAERun,
)

if TYPE_CHECKING:
    from audiorig.data.pseudonyms import CorpusPseudonyms  # pandas, which is slow to import

TEXT = """---
{{ card_data }}
---

# {{ name }}

{{ kind }}, trained on: {{ corpus }} ({{ license }}).{{ more }}

{{ loading }}

`final.ckpt` beside this folder holds the same weights with all settings and what made them; the scores, with their
controls, are in the run's report.
"""
LOADS_WAVEMAE = """```python
import audiorig.models  # makes the class known; no remote code is run
from transformers import AutoModel

model = AutoModel.from_pretrained("{where}").eval()
output = model.encode(waveform, lengths)  # float32 (B, T) at {rate} Hz, int64 (B,)
output.features, output.is_padding        # (B, N, D), (B, N)
```"""
LOADS_WAV2VEC2 = """```python
import torch
from transformers import AutoFeatureExtractor, Wav2Vec2ForPreTraining

extractor = AutoFeatureExtractor.from_pretrained("{where}")
model = Wav2Vec2ForPreTraining.from_pretrained("{where}").eval()
inputs = extractor(waveform, sampling_rate={rate}, return_tensors="pt")  # float32 (T,), one channel
with torch.no_grad():
    features = model.wav2vec2(**inputs).last_hidden_state  # (1, N, D), a frame every 20 ms
```"""
LOADS_TUNED = """```python
import audiorig.models  # makes the class known; no remote code is run
from transformers import AutoModel

model = AutoModel.from_pretrained("{where}").eval()
output = model.predict(waveform, lengths)  # float32 (B, T) at model.sample_rate_hz, int64 (B,)
output.logits["{target}"]                  # of each target; model.targets says what they mean
```"""

LOADS_AUDIO2EDA = """```python
import torch
import audiorig.models  # makes the class known; no remote code is run
from audiorig.config import MfccConfig
from audiorig.data.eda.alignment import align_frames, num_steps
from audiorig.data.eda.mfcc import mfcc
from transformers import AutoModel

model = AutoModel.from_pretrained("{where}").eval()
heard = mfcc(waveform, MfccConfig.of_key("{key}"))  # float32 (T,) of a whole song at {rate} Hz, one channel
steps = num_steps(len(waveform) / {rate}, {steps_hz:.12g})
frames = torch.from_numpy(align_frames(heard, {frames_hz:.12g}, {steps_hz:.12g}, {ratio}, steps))[None]
with torch.no_grad():
    output = model(frames, torch.zeros(1, steps, dtype=torch.bool), torch.zeros(1, dtype=torch.int64))
output.predicted  # (1, M), {steps_hz:.12g} steps a second from the song's onset
```"""
# What a predicted trace counts in, by eda.normalize.
UNITS = {
    "trace_z": "deviations of each trace about its own mean: its shape alone, neither its level nor its strength",
    "onset_delta": "deviations of the training side's traces, counted from the mean of a trace's first 2 s",
    "subject_z_train": "deviations of the subject's own training traces about their mean, of an unknown subject "
    "everybody's",
    "none": "microsiemens",
}
TARGETS = {
    "clean": "skin conductance",
    "tonic": "the slow (tonic) part of skin conductance",
    "phasic": "the fast (phasic) part of skin conductance",
}
NO_CLAIM = (
    "It gives one curve for a song, whoever listens, and says nothing of how a person feels or of anybody's health."
)


def without_names(
    name: str, run: Run, corpus: CorpusSection, names: "CorpusPseudonyms"
) -> tuple[str, Run, CorpusSection]:
    """What people wrote of a run and of its private corpus, with pseudonyms for names."""
    report = run.report.model_copy(update={"title": names.scrubbed(run.report.title)})
    texts = {key: names.scrubbed(getattr(corpus, key)) for key in ("title", "license")}
    return names.scrubbed(name), run.model_copy(update={"report": report}), corpus.model_copy(update=texts)


def model_card(
    name: str,
    run: Run,
    corpus: CorpusSection,
    names: "CorpusPseudonyms | None" = None,
    *,
    is_from_scratch: bool = False,
) -> str:
    """README.md of the model folder.

    Args:
        names: those of a private corpus, which it must not hold.
        is_from_scratch: whether the checkpoint that it went on from holds random numbers.
    """
    if names is not None:
        name, run, corpus = without_names(name, run, corpus, names)
    card = ModelCard.from_template(
        ModelCardData(library_name="transformers", tags=tags(run)),
        template_str=TEXT,
        name=name,
        kind=kind(run, is_from_scratch),
        corpus=corpus_title(run, corpus),
        license=corpus.license,
        more=f"\n{sentence}" if (sentence := w2v_sentence(run) or trace_sentence(run)) else "",
        loading=loading(run, "path/to/this/folder"),
    )
    return f"{card}\n"


def tags(run: Run) -> list[str]:
    """What the Hub files a model under."""
    if isinstance(run, TuningRun):
        return ["audio", "audio-classification", run.encoder.family, run.experiment]
    if isinstance(run, Audio2EdaRun):
        return ["audio", "music", "electrodermal-activity", run.model.encoder.kind, run.experiment]
    family = ["wav2vec2"] if isinstance(run, HomeWav2Vec2Run) else []
    return ["audio", "self-supervised", *family, run.experiment]


def kind(run: Run, is_from_scratch: bool = False) -> str:
    """What a model is, as the beginning of a sentence."""
    project = "[audiorig](https://github.com/audiorig/audiorig)"
    match run:
        case WaveMAERun():
            return f"A wavemae model of {project}"
        case HomeWav2Vec2Run():
            what = "random weights" if is_from_scratch else run.model.base
            return f"A wav2vec2 model of {project}, pre-trained on from {what}"
        case SpeechTuneRun() | InfantCryRun():
            what = "random weights" if is_from_scratch else encoder_name(run)
            return f"A {run.encoder.family} model of {project}, tuned from {what} to {targets_named(run)}"
        case Audio2EdaRun():
            return f"{trace_network(run)} of {project} that predicts {TARGETS[run.eda.target]} from music"


def loading(run: Run, where: str) -> str:
    """How the model is loaded, as a block of code; ``where`` is a folder or a name on the Hub."""
    match run:
        case WaveMAERun():
            return LOADS_WAVEMAE.format(where=where, rate=run.data.sample_rate_hz)
        case HomeWav2Vec2Run():
            return LOADS_WAV2VEC2.format(where=where, rate=run.data.sample_rate_hz)
        case SpeechTuneRun() | InfantCryRun():
            return LOADS_TUNED.format(where=where, target=next(iter(run.used_targets)))
        case Audio2EdaRun():
            return LOADS_AUDIO2EDA.format(
                where=where,
                key=run.audio.key,
                rate=run.audio.sample_rate_hz,
                frames_hz=run.audio.frame_rate_hz,
                steps_hz=run.frame_rate_hz,
                ratio=run.frames_per_step,
            )


def encoder_name(run: TuningRun) -> str:
    """What a run was tuned from. Somebody's own folder has no name that says anything to others."""
    if run.encoder.checkpoint is None and run.encoder.pretrained is not None:
        return run.encoder.pretrained
    return "a checkpoint of its own" if run.encoder.run is None else f"the model of run {run.encoder.run}"


def targets_named(run: TuningRun) -> str:
    """What a run predicts, with its kinds."""
    return ", ".join(f"{name} ({target.kind})" for name, target in run.used_targets.items())


def corpus_title(run: Run, corpus: CorpusSection) -> str:
    """What a corpus is called in public: its title; the short name of a private one may tell too much."""
    return corpus.title or ("a private corpus" if corpus.private else run.data.corpus)


def w2v_sentence(run: Run) -> str:
    """What the W2V decoder of a WaveMAE learnt; "" where there is none."""
    if not isinstance(run, WaveMAERun):
        return ""
    from audiorig.report.inputs import W2V_LEARNT, w2v_target  # brings torch along, which other cards do without

    learnt = W2V_LEARNT.get(w2v_target(run))
    return f"Its w2v decoder learnt {learnt}." if learnt else ""


def trace_network(run: Audio2EdaRun) -> str:
    """What a network of traces is made of, as the beginning of a sentence."""
    what = "A causal network" if run.model.causal else "A network that hears what comes as well as what was"
    return f"{what} ({run.model.encoder.kind} encoder, {run.model.decoder.kind} decoder)"


def trace_sentence(run: Run) -> str:
    """What the numbers of a predicted trace mean, and what they do not; "" of other models."""
    if not isinstance(run, Audio2EdaRun):
        return ""
    return f"It counts in {UNITS[run.eda.normalize]}. {NO_CLAIM}"
