"""Clip classification by the names that notebooks know: exact under padding, and trained by the stock Trainer."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import (
    AutoConfig,
    Trainer,
    TrainingArguments,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

from audiorig.config import InfantCryRun
from audiorig.data.targets import Target
from audiorig.errors import ConfigError, DataError
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.speech_classification import (
    SpeechClassifierOutput,
    Wav2Vec2ClassificationHead,
    Wav2Vec2ForSpeechClassification,
    feature_extractor_of,
    speech_classification_of,
)
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import random_state_fence

LENGTHS = torch.tensor([16000, 9000, 5000])
SHAPE: dict[str, Any] = {
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [8, 8, 5],
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 16,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-trained checkpoint in the published format, group norm as in the base models."""
    folder = tmp_path_factory.mktemp("base")
    with random_state_fence():
        torch.manual_seed(0)
        Wav2Vec2ForPreTraining(Wav2Vec2Config(**SHAPE)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def load(base: Path, num_labels: int = 5, **settings: Any) -> Wav2Vec2ForSpeechClassification:
    """As the plan's users load it, with a head of a fixed seed."""
    config = AutoConfig.from_pretrained(base)
    config.num_labels = num_labels
    for name, value in settings.items():
        setattr(config, name, value)
    with random_state_fence():
        torch.manual_seed(1)
        return Wav2Vec2ForSpeechClassification.from_pretrained(base, config=config).eval()


def waveforms() -> tuple[Tensor, Tensor]:
    """Noise (B, T) with loud nonsense behind each end, and the mask."""
    mask = (torch.arange(16000) < LENGTHS[:, None]).long()
    noise = torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    return noise.where(mask == 1, 7.0), mask


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@torch.no_grad()
def test_a_clip_has_the_same_logits_alone_and_in_a_padded_batch(base: Path, mode: str) -> None:
    model = load(base, pooling_mode=mode)
    values, mask = waveforms()
    together = model(values, attention_mask=mask).logits
    assert together.shape == (3, 5)
    for index, length in enumerate(LENGTHS.tolist()):
        alone = model(values[index : index + 1, :length]).logits
        torch.testing.assert_close(together[index], alone[0], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_what_is_pooled_is_transformers_own_output(base: Path) -> None:
    values = waveforms()[0][:1, :9000]
    frames = Wav2Vec2Model.from_pretrained(base).eval()(values).last_hidden_state
    for mode, pooled in {"mean": frames.mean(1), "sum": frames.sum(1), "max": frames.amax(1)}.items():
        model = load(base, pooling_mode=mode)
        torch.testing.assert_close(model(values).logits, model.classifier(pooled), rtol=1e-5, atol=1e-5)


def test_only_the_head_is_new(base: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, said = Wav2Vec2ForSpeechClassification.from_pretrained(base, output_loading_info=True)
    assert "UNEXPECTED" not in caplog.text  # what only pre-training has is no news
    new = {"classifier.dense.weight", "classifier.dense.bias", "classifier.out_proj.weight", "classifier.out_proj.bias"}
    assert set(said["missing_keys"]) == new
    published, loaded = Wav2Vec2ForPreTraining.from_pretrained(base).state_dict(), load(base).state_dict()
    assert set(loaded) == {name for name in published if name.startswith("wav2vec2.")} | new
    assert all(torch.equal(loaded[name], published[name]) for name in set(loaded) - new)


def test_it_saves_and_loads_itself(base: Path, tmp_path: Path) -> None:
    model = load(base, pooling_mode="max", final_dropout=0.3, problem_type="multi_label_classification")
    model.save_pretrained(tmp_path)
    again = Wav2Vec2ForSpeechClassification.from_pretrained(tmp_path).eval()
    assert (again.pooling_mode, again.classifier.dropout.p, again.num_labels) == ("max", 0.3, 5)
    with torch.no_grad():
        values, mask = waveforms()
        assert torch.equal(again(values, mask).logits, model(values, mask).logits)
    assert json.loads((tmp_path / "config.json").read_text())["pooling_mode"] == "max"


@torch.no_grad()
def test_the_loss_is_that_of_the_problem(base: Path) -> None:
    values, mask = waveforms()
    model = load(base, num_labels=4)
    classes, several = torch.tensor([0, 3, 1]), torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0]])
    output = model(values, mask, labels=classes)
    assert isinstance(output, SpeechClassifierOutput)
    torch.testing.assert_close(output.loss, functional.cross_entropy(output.logits, classes))
    loss = model(values, mask, labels=several).loss
    torch.testing.assert_close(loss, functional.binary_cross_entropy_with_logits(output.logits, several))
    model.config.problem_type = "multi_label_classification"
    assert torch.equal(loss, model(values, mask, labels=several.long()).loss)
    rating = load(base, num_labels=1)
    output = rating(values, mask, labels=torch.tensor([1.0, 2.0, 4.0]))
    expected = ((output.logits[:, 0] - torch.tensor([1.0, 2.0, 4.0])) ** 2).mean()  # (B,), never (B, B)
    torch.testing.assert_close(output.loss, expected)
    assert rating(values, mask).loss is None


@torch.no_grad()
def test_layers_and_attentions_where_they_are_asked_for(base: Path) -> None:
    values, mask = waveforms()
    config = AutoConfig.from_pretrained(base, attn_implementation="eager")
    model = Wav2Vec2ForSpeechClassification.from_pretrained(base, config=config, attn_implementation="eager").eval()
    output = model(values, mask, output_hidden_states=True, output_attentions=True)
    num_frames = output.hidden_states[0].shape[1]
    assert [each.shape for each in output.hidden_states] == [(3, num_frames, 16)] * 3
    assert [each.shape for each in output.attentions] == [(3, 2, num_frames, num_frames)] * 2
    torch.testing.assert_close(output.attentions[0].sum(-1), torch.ones(3, 2, num_frames))
    silent = load(base)
    assert silent(values, mask).hidden_states is None and silent(values, mask).attentions is None
    assert len(silent(values, mask, return_dict=False)) == 1  # the logits alone
    with pytest.raises(ConfigError, match="attn_implementation"):
        silent(values, mask, output_attentions=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_trains_in_half_precision(base: Path, dtype: torch.dtype) -> None:
    values, mask = waveforms()
    model = load(base).train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    with torch.autocast("cpu", dtype):
        loss = model(values, mask, labels=torch.tensor([0, 1, 2])).loss
    loss.backward()
    assert loss.isfinite()
    gradients = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert gradients == {name for name, _ in model.named_parameters() if "masked_spec_embed" not in name}


@torch.no_grad()
def test_its_weights_can_be_of_half_precision(base: Path) -> None:
    model, (values, mask) = load(base), waveforms()
    expected = model(values, attention_mask=mask).logits
    found = model.to(torch.bfloat16)(values.bfloat16(), attention_mask=mask, labels=torch.tensor([0, 1, 2]))
    assert found.logits.dtype == torch.bfloat16 and found.loss.isfinite()
    torch.testing.assert_close(found.logits.float(), expected, rtol=0.05, atol=0.05)


def test_the_head_has_one_hidden_layer_with_tanh() -> None:
    head = Wav2Vec2ClassificationHead(Wav2Vec2Config(hidden_size=4, num_labels=3, final_dropout=0.5)).eval()
    vectors = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    hidden = torch.tanh(vectors @ head.dense.weight.T + head.dense.bias)
    torch.testing.assert_close(head(vectors), hidden @ head.out_proj.weight.T + head.out_proj.bias)


def test_an_unknown_pooling_is_refused(base: Path) -> None:
    with pytest.raises(ConfigError, match="pooling_mode is 'median': expected mean, sum, max"):
        load(base, pooling_mode="median")


@torch.no_grad()
def test_a_clip_shorter_than_a_frame_is_refused(base: Path) -> None:
    values, mask = waveforms()
    mask[1, 20:] = 0
    with pytest.raises(DataError):
        load(base)(values, mask)


def test_the_convolutions_can_be_kept(base: Path) -> None:
    model = load(base)
    model.freeze_feature_encoder()
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {f"wav2vec2.{name}" for name, _ in model.wav2vec2.named_parameters() if "extractor" in name}


class Tones(torch.utils.data.Dataset[dict[str, Any]]):
    """Low or high tones of several lengths, and which."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        time = torch.arange(2000 + 400 * (index % 3)) / 16000
        return {"input_values": torch.sin(2 * np.pi * (200 + 2000 * (index % 2)) * time), "labels": index % 2}


def collate(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    lengths = torch.tensor([len(each["input_values"]) for each in items])
    values = torch.nn.utils.rnn.pad_sequence([each["input_values"] for each in items], batch_first=True)
    mask = (torch.arange(values.shape[1]) < lengths[:, None]).long()
    return {"input_values": values, "attention_mask": mask, "labels": torch.tensor([each["labels"] for each in items])}


def trained(base: Path, folder: Path, **arguments: Any) -> tuple[Wav2Vec2ForSpeechClassification, Trainer]:
    model = load(base, num_labels=2, final_dropout=0.0, hidden_dropout=0.0, attention_dropout=0.0, layerdrop=0.0)
    model.config.activation_dropout = model.config.feat_proj_dropout = 0.0
    settings = {"max_steps": 3, "learning_rate": 1e-3, "lr_scheduler_type": "constant", **arguments}
    args = TrainingArguments(str(folder), use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True, **settings)
    trainer = Trainer(model, args, train_dataset=Tones(), data_collator=collate)
    trainer.train()
    return model, trainer


@pytest.mark.filterwarnings("ignore")
def test_the_stock_trainer_trains_it(base: Path, tmp_path: Path) -> None:
    with random_state_fence():
        arguments = {"per_device_train_batch_size": 8, "max_steps": 40, "learning_rate": 3e-3}
        _, trainer = trained(base, tmp_path, logging_steps=1, **arguments)
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert losses[-1] < 0.5 * losses[0]
        scores = trainer.predict(Tones())
    assert scores.predictions.shape == (8, 2)
    assert (scores.predictions.argmax(1) == scores.label_ids).all()


@pytest.mark.filterwarnings("ignore")
def test_accumulation_gives_the_gradient_of_the_whole_step(base: Path, tmp_path: Path) -> None:
    """A gradient too large by the accumulation shows in the norm that the Trainer logs."""
    norms = []
    for size, accumulation in ((8, 1), (2, 4)):
        with random_state_fence():
            arguments = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
            _, trainer = trained(base, tmp_path, max_steps=1, logging_steps=1, **arguments)
        norms.append(next(each["grad_norm"] for each in trainer.state.log_history if "grad_norm" in each))
    assert norms[1] == pytest.approx(norms[0], rel=1e-3)


# ------------------------------------------------------------------ from a tuned model

CLASSES = ("hungry", "tired", "burping")


def tuned(base: Path, **settings: Any) -> SpeechTuner:
    plain: dict[str, Any] = {
        "experiment": "infantcry",
        "data": {"corpus": "demo-cries", "split": "by-infant"},
        "encoder": {"family": "wav2vec2", "folder": "anywhere"},
        "targets": {"reason": {"kind": "class", "classes": CLASSES}},
        "head": {"kind": "mlp", "dropout": 0.2},
        **settings,
    }
    run = InfantCryRun.model_validate(plain)
    targets = [
        Target(name, each.kind, name, classes=each.classes, positive=each.positive, negative=each.negative)
        for name, each in run.used_targets.items()
    ]
    model = SpeechTuner.assemble(load_for_tuning(run.encoder, base), run, targets)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.mark.parametrize("do_normalize", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pooling": {"kind": "max"}},
        {"pooling": {"kind": "sum"}},
        {"tuning": {"learn": "half", "lora": {"rank": 2}}},
    ],
)
@torch.no_grad()
def test_a_tuned_model_has_the_same_logits_under_these_names(
    base: Path, tmp_path: Path, settings: dict[str, Any], do_normalize: bool
) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    Wav2Vec2FeatureExtractor(do_normalize=do_normalize).save_pretrained(folder)
    model = tuned(folder, **settings)
    clips = [row[:length] for row, length in zip(waveforms()[0], LENGTHS.tolist(), strict=True)]
    expected = model(torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), LENGTHS).logits["reason"]
    speech_classification_of(model).save_pretrained(tmp_path / "other")
    feature_extractor_of(model).save_pretrained(tmp_path / "other")
    other = Wav2Vec2ForSpeechClassification.from_pretrained(tmp_path / "other").eval()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "other")
    inputs = extractor([each.numpy() for each in clips], sampling_rate=16000, padding=True, return_tensors="pt")
    torch.testing.assert_close(other(**inputs).logits, expected, rtol=1e-5, atol=1e-5)
    assert other.config.id2label == dict(enumerate(CLASSES)) and other.num_labels == 3
    assert (other.pooling_mode, other.classifier.dropout.p) == (model.pooling.kind, 0.2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"pooling": {"kind": "attention"}}, "pools by attention, not by mean, sum, max"),
        ({"pooling": {"layers": "weighted"}}, "pools several layers"),
        ({"head": {"kind": "linear"}}, "not an mlp of width 16"),
        ({"head": {"kind": "mlp", "hidden": 8}}, "not an mlp of width 16"),
        ({"tuning": {"num_prompts": 2}}, "has soft prompts"),
        ({"targets": {"loud": {"kind": "binary"}}}, r"1 targets \(binary\), not one class"),
    ],
)
def test_what_these_names_have_no_place_for_is_refused(base: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        speech_classification_of(tuned(base, **settings))
