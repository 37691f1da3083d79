"""The model that joins all: what it keeps, what it saves, what it leaves alone, and that it learns."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel

import audiorig.models  # noqa: F401  # AutoModel knows the tuner after this
from audiorig.data.targets import resolve_targets
from audiorig.errors import DataError
from audiorig.models.tuner import SpeechTuner, TunerConfig


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load("tuner_tiny", Path(__file__).with_name("tiny_tuner.py"))
LORA = {"learn": "nothing", "lora": {"rank": 2}}
FAMILIES = tuple(tiny.DESCRIPTIONS)


def plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without adapters, by the names of the plain encoder."""
    return {name.replace(".base_layer", ""): value for name, value in state.items() if ".lora_" not in name}


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def shaken(tuner: SpeechTuner) -> SpeechTuner:
    """As if it had learnt something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in tuner.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return tuner


# ------------------------------------------------------------------- assemble


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_stays_as_it_was_and_the_rest_follows_from_the_seed(family: str) -> None:
    prompts = {} if family == "wavemae" else {"num_prompts": 2}
    settings = {"tuning": LORA | prompts, "pooling": {"kind": "attention", "layers": "weighted"}}
    first = tiny.tuner_of(family, 0, **settings)
    assert same(plain(first.encoder.state_dict()), tiny.encoder_of(family, 0).state_dict())
    torch.manual_seed(123)  # the global state has no part in it
    again, other = tiny.tuner_of(family, 0, **settings), tiny.tuner_of(family, 0, **settings, seed=1)
    assert same(first.state_dict(), again.state_dict())
    old, new = first.state_dict(), other.state_dict()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    drawn = {name for name in old if "lora_A" in name or name == "prompts.values" or "out_proj.weight" in name}
    drawn = {name for name in drawn if name.startswith(("heads", "prompts")) or "lora_A" in name}
    assert changed == drawn
    assert same(plain(first.encoder.state_dict()), plain(other.encoder.state_dict()))


def test_another_encoder_changes_no_weight_of_the_head() -> None:
    one, other = (tiny.tuner_of("wav2vec2", seed).heads.state_dict() for seed in (0, 1))
    assert same(one, other)


def test_only_what_is_asked_for_learns() -> None:
    tuner = tiny.tuner_of(tuning=LORA | {"num_prompts": 2})
    learning = {name for name, parameter in tuner.named_parameters() if parameter.requires_grad}
    assert {name for name in learning if name.startswith("encoder.")} == {
        name for name, _ in tuner.named_parameters() if ".lora_" in name
    }
    assert {name for name, _ in tuner.named_parameters() if not name.startswith("encoder.")} <= learning


def test_the_terms_are_those_of_the_run() -> None:
    tuner = tiny.tuner_of()
    assert tuner.part_weights == {"cross_entropy": 1.0, "bce": 1.0, "coral": 0.5, "ranking": 2.0}
    assert [target.has_cutpoints for target in tuner.targets if target.kind == "rating"] == [True]
    ranked = tiny.tuner_of(losses=[{"name": "cross_entropy"}, {"name": "bce"}, {"name": "ranking"}])
    assert not ranked.targets[2].has_cutpoints
    assert not list(ranked.cutpoints.parameters())  # they would never get a gradient
    assert ranked.predict(**heard()).logits["rate"].shape == (8, 1)
    assert tuner.predict(**heard()).logits["rate"].shape == (8, 4)


def heard(**other: Any) -> dict[str, Tensor]:
    batch = tiny.clips_of(**other)
    return {name: batch[name] for name in ("waveform", "lengths")}


# -------------------------------------------------------------- save and load


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_tuner_is_the_same_to_the_bit(family: str, tmp_path: Path) -> None:
    prompts = {} if family == "wavemae" else {"num_prompts": 2}
    tuner = tiny.tuner_of(family, tuning=LORA | prompts, pooling={"kind": "attention"}, head={"separate": True})
    shaken(tuner).save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    loaded = AutoModel.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(loaded) is SpeechTuner
    assert not loaded.training
    assert same(loaded.state_dict(), tuner.state_dict())
    clips = heard(rate=tuner.sample_rate_hz)
    assert same(loaded.predict(**clips).logits, tuner.predict(**clips).logits)
    assert [each.requires_grad for each in loaded.parameters()] == [each.requires_grad for each in tuner.parameters()]
    assert loaded.targets == tuner.targets
    assert (loaded.part_weights, loaded.rate_scales) == (tuner.part_weights, tuner.rate_scales)


def test_a_file_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    tiny.tuner_of().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    rest = {name: value for name, value in weights.items() if not name.startswith("heads.")}
    save_file(rest, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 2 tensors, 'heads\.heads\.0\.out_proj\.bias' among them"):
        SpeechTuner.from_pretrained(tmp_path)
    save_file(weights | {"more": torch.zeros(1)}, path, metadata={"format": "pt"})
    with pytest.raises(DataError, match="cannot use, 1 tensors, 'more'"):
        SpeechTuner.from_pretrained(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_it_answers_the_same_and_has_no_adapters(family: str, tmp_path: Path) -> None:
    tuner = shaken(tiny.tuner_of(family, tuning=LORA | {"learn": "last", "num_last": 1}))
    before = {name: value.clone() for name, value in tuner.state_dict().items()}
    merged = tuner.merged()
    assert same(tuner.state_dict(), before)
    assert merged.state_dict().keys() == tiny.tuner_of(family).state_dict().keys()
    merged.save_pretrained(tmp_path)
    clips = heard(rate=tuner.sample_rate_hz)
    ours, theirs = tuner.predict(**clips), SpeechTuner.from_pretrained(tmp_path).predict(**clips)
    assert same(merged.predict(**clips).logits, theirs.logits)
    for name, logits in ours.logits.items():
        torch.testing.assert_close(theirs.logits[name], logits, atol=1e-5, rtol=0)
    adapted = {name.split(".lora_")[0] for name in before if ".lora_A" in name}
    assert adapted
    for name in adapted:  # the adapters did something
        assert not torch.equal(merged.state_dict()[f"{name}.weight"], plain(before)[f"{name}.weight"])


def test_an_empty_config_can_be_written() -> None:
    """What transformers compares with when it writes another one."""
    assert TunerConfig().to_dict()["targets"] == []


# ---------------------------------------------------------- what does not learn

DROPOUTS = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.3)


def with_dropout(**tuning: Any) -> SpeechTuner:
    run = tiny.run_of(tuning=tuning)
    targets = resolve_targets(run.used_targets, tiny.ROWS)
    return SpeechTuner.assemble(tiny.encoder_of("wav2vec2", 0, **DROPOUTS), run, targets)


def test_a_frozen_encoder_drops_nothing_and_keeps_no_graph() -> None:
    tuner = with_dropout(learn="nothing")
    tuner.train()
    assert tuner.heads.training and not any(module.training for module in tuner.encoder.modules())
    first, second = (tuner.encode(**heard()) for _ in range(2))
    assert torch.equal(first.features, second.features)
    assert not first.features.requires_grad
    output = tuner(**tiny.clips_of())
    assert output.loss.requires_grad


def test_below_the_lowest_block_that_learns_there_is_neither_dropout_nor_graph() -> None:
    tuner = with_dropout(learn="last", num_last=1)
    tuner.train()
    first, second = (tuner.encode(**heard()) for _ in range(2))
    assert [layer.requires_grad for layer in first.layers] == [False, False, True]
    assert [torch.equal(*pair) for pair in zip(first.layers, second.layers, strict=True)] == [True, True, False]
    tuner.eval()
    assert not any(module.training for module in tuner.modules())


def test_prompts_learn_through_a_frozen_encoder() -> None:
    tuner = with_dropout(learn="nothing", num_prompts=2)
    tuner.train()
    assert not any(module.training for module in tuner.encoder.modules())
    tuner(**tiny.clips_of()).loss.backward()
    assert tuner.prompts.values.grad.abs().min() > 0
    assert all(parameter.grad is None for parameter in tuner.encoder.parameters())


def test_all_drops_where_all_learns() -> None:
    tuner = with_dropout(learn="all").train()
    assert all(module.training for module in tuner.encoder.modules() if isinstance(module, nn.Dropout))


def test_adapters_bring_a_block_into_training_mode() -> None:
    tuner = with_dropout(learn="nothing", lora={"rank": 2, "layers": [1]}).train()
    blocks = [tuner.encoder.get_submodule(name) for name in tuner.encoder.block_names]
    assert [block.training for block in blocks] == [False, True]
    assert not tuner.encoder.get_submodule(tuner.encoder.front_names[0]).training


# --------------------------------------------------------------------- forward


@pytest.mark.parametrize("name", ["reason", "loud", "rate"])
def test_a_step_with_missing_targets_is_the_step_on_the_observed_ones(name: str) -> None:
    losses = {"reason": ["cross_entropy"], "loud": ["bce"], "rate": ["coral", "ranking"]}[name]
    settings = {"use": [name], "losses": [{"name": loss, "targets": [name]} for loss in losses]}
    place, gradients = list(tiny.TARGETS).index(name), []
    batch = tiny.clips_of()
    batch["values"] = batch["values"][:, [place]].clone()
    batch["values"][[1, 4, 6]] = torch.nan
    is_there = ~batch["values"].isnan()[:, 0]
    for clips in (batch, {key: value[is_there] for key, value in batch.items()}):
        tuner = tiny.tuner_of(**settings)
        tuner.train()(**clips).loss.backward()
        gradients.append(tiny.gradient_of(tuner))
    assert 2 <= int(is_there.sum()) < 6
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)


def test_a_batch_without_any_value_has_a_loss_of_zero_and_a_gradient_everywhere() -> None:
    tuner = tiny.tuner_of(head={"separate": True, "dropout": 0.0}, pooling={"kind": "attention", "layers": "weighted"})
    batch = tiny.clips_of() | {"values": torch.full((8, 3), torch.nan)}
    output = tuner.train()(**batch)
    output.loss.backward()
    assert output.loss == 0
    assert not tiny.gradient_of(tuner).any()  # and none is None


def test_parts_in_training_and_in_evaluation() -> None:
    tuner, batch = tiny.tuner_of(), tiny.clips_of()
    terms = ["cross_entropy", "bce", "coral", "ranking"]
    output = tuner.train()(**batch)
    assert list(output.parts) == terms
    means = {name: float(total / count) for name, (total, count) in output.parts.items()}
    total = sum(weight * means[name] for name, weight in tuner.part_weights.items())
    assert output.loss.item() == pytest.approx(total)
    parts = tuner.eval()(**batch).parts
    halves = [tuner(**half).parts for half in tiny.cut(batch, 4)]
    recalls = [f"recall_reason_{name}" for name in ("hungry", "pain", "tired")]
    dev = [
        "accuracy_reason",
        *recalls,
        "accuracy_loud",
        "recall_loud_no",
        "recall_loud_yes",
        "accuracy_rate",
        "mae_rate",
    ]
    assert list(parts) == [*terms, *dev]
    for name in (*terms[:3], *dev):  # pairs are those of a batch
        joined = torch.stack([torch.stack(half[name]) for half in halves]).sum(0)
        torch.testing.assert_close(joined, torch.stack(parts[name]))
    means = {name: float(total / count) for name, (total, count) in parts.items()}
    assert set(tuner.derived(means)) == {"uar", "uar_reason", "uar_loud"}


@pytest.mark.parametrize("size", [8, 3, 1])
def test_the_ranking_of_a_side_does_not_depend_on_its_batches(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiorig.models.objectives.PIECE", 5)
    tuner, batch = tiny.tuner_of().eval(), tiny.clips_of()
    rows = torch.cat([tuner(**part).rows for part in tiny.cut(batch, size)])
    total, count = tuner(**batch).parts["ranking"]
    assert tuner.means_of_all(rows) == pytest.approx({"ranking": float(total / count)})
    assert tuner.means_of_all(rows[:1]) == {}
    assert tuner.train()(**batch).rows is None


def test_uncounted_steps_are_not_trained_on() -> None:
    with pytest.raises(AssertionError, match="relate was not called"):
        tiny.tuner_of()(**tiny.clips_of(), num_items_in_batch=8)


def test_predict_leaves_the_mode_as_it_was() -> None:
    tuner = with_dropout(learn="all").train()
    first, second = (tuner.predict(**heard()) for _ in range(2))
    assert same(first.logits, second.logits)
    assert first.loss is None and not first.vectors.requires_grad
    assert tuner.training and tuner.encoder.training


def test_a_planted_signal_is_learnt_in_thirty_steps() -> None:
    """Loud or not, which of three colours, and how fast a beat is: told from the sound alone."""
    batch = planted()
    tuner = tiny.tuner_of(tuning={"learn": "all"}, encoder_seed=1, pooling={"kind": "mean_std"})
    optimizer = torch.optim.AdamW(tuner.parameters(), lr=1e-2, weight_decay=0.0)
    totals = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = tuner.train()(**batch).loss
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    means = {name: float(total / count) for name, (total, count) in tuner.eval()(**batch).parts.items()}
    assert totals[-1] < 0.25 * totals[0]
    assert means["accuracy_reason"] == means["accuracy_loud"] == 1
    assert means["mae_rate"] < 0.6


def planted(num_clips: int = 24) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(3200) / 16000
    reason, loud, rate = torch.arange(num_clips) % 3, torch.arange(num_clips) % 2, torch.arange(num_clips) % 5
    carrier = torch.sin(2 * torch.pi * torch.tensor([300.0, 900.0, 2700.0])[reason][:, None] * time)
    beat = 1 + torch.sin(2 * torch.pi * (20.0 * (1 + rate))[:, None] * time)
    noise = (0.02 + 1.0 * loud)[:, None] * torch.randn(num_clips, 3200, generator=generator)
    values = torch.stack([reason, loud, rate], dim=1).float()
    return {
        "waveform": 0.2 * carrier * beat + 0.2 * noise,
        "lengths": torch.full((num_clips,), 3200),
        "values": values,
    }
