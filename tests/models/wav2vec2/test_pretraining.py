"""The loss: transformers' own where theirs is right, the same for any division of a batch, finite everywhere."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import Wav2Vec2ForPreTraining
from wav2vec2_tiny import random_batch, seeded_folder, taken, tiny_model, tiny_settings

from audiorig.models.wav2vec2.checkpoint import load_base
from audiorig.models.wav2vec2.pretraining import IGNORED, Wav2Vec2Pretrainer

NAMES = {"contrastive", "diversity", "feature_penalty", "accuracy", "perplexity", "share_hidden"}


def gradient(model: Wav2Vec2Pretrainer) -> Tensor:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])


def step(model: Wav2Vec2Pretrainer, batches: list[dict[str, Tensor]]) -> tuple[Tensor, float]:
    """Gradient and loss of one step over micro-batches."""
    model.zero_grad()
    count = sum((batch["labels"] != IGNORED).sum() for batch in batches)
    loss = sum(model(**batch, num_items_in_batch=count).loss for batch in batches)
    loss.backward()
    return gradient(model), loss.item()


def mean(parts: dict[str, tuple[Tensor, Tensor]], name: str) -> float:
    return float(parts[name][0] / parts[name][1])


# ------------------------------------------------------- against transformers


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_it_is_transformers_own_loss(tmp_path: Path, norm: str) -> None:
    folder = seeded_folder(tmp_path / "m", feat_extract_norm=norm, do_stable_layer_norm=norm == "layer")
    ours, theirs = tiny_model(folder).eval(), Wav2Vec2ForPreTraining.from_pretrained(folder).eval()
    batch = random_batch(5, unequal=True)
    first = torch.arange(5)[:, None, None] * batch["negatives"].shape[1]  # their negatives are places in the whole
    with torch.no_grad():
        parts = ours(**batch).parts
        expected = theirs(
            batch["input_values"],
            mask_time_indices=batch["is_hidden"],
            sampled_negative_indices=batch["negatives"] + first,
        )
    assert set(parts) == NAMES
    count = batch["is_hidden"].sum()
    assert float(parts["contrastive"][0] / count) == pytest.approx(float(expected.contrastive_loss / count), abs=1e-5)
    assert float(parts["diversity"][0] / count) == pytest.approx(float(expected.diversity_loss / count), abs=1e-5)
    assert mean(parts, "perplexity") == pytest.approx(float(expected.codevector_perplexity), abs=1e-5)
    assert mean(parts, "share_hidden") == pytest.approx(float(batch["is_hidden"].float().mean()))


def test_gradients_are_transformers_own(tmp_path: Path) -> None:
    """In evaluation mode: no noise, so theirs is defined; the quantizer has none there, in both."""
    folder = seeded_folder(tmp_path / "m")
    ours = tiny_model(folder, feature_grad_scale=1.0, feature_penalty=0.0).eval()
    theirs = Wav2Vec2ForPreTraining.from_pretrained(folder).eval()
    batch = random_batch(3)
    (ours(**batch).loss * batch["is_hidden"].sum()).backward()
    first = torch.arange(3)[:, None, None] * batch["negatives"].shape[1]
    theirs(
        batch["input_values"],
        mask_time_indices=batch["is_hidden"],
        sampled_negative_indices=batch["negatives"] + first,
    ).loss.backward()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if other.grad is None:
            assert mine.grad is None or not mine.grad.any(), name
        else:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_a_negative_of_the_same_codes_is_left_out(tiny_folder: Path) -> None:
    """One code only: every negative is the target, nothing is left to be told from."""
    model = tiny_model(tiny_folder).eval()
    with torch.no_grad():
        model.quantizer.weight_proj.weight.zero_()
        model.quantizer.weight_proj.bias.copy_((torch.arange(32) % 16 == 3).float())
        parts = model(**random_batch(2)).parts
    assert mean(parts, "contrastive") == pytest.approx(0, abs=1e-6)
    assert mean(parts, "accuracy") == 1
    assert mean(parts, "perplexity") == pytest.approx(2)
    assert mean(parts, "diversity") == pytest.approx(30 / 32)


def test_an_untrained_model_guesses(tiny_folder: Path) -> None:
    """Near ln(1 + K) per frame; above it, since its guesses are uneven."""
    model = tiny_model(tiny_folder)
    parts = model(**random_batch(8)).parts
    assert math.log(11) - 0.1 < mean(parts, "contrastive") < math.log(11) + 0.9
    assert mean(parts, "accuracy") < 0.35


# --------------------------------------------------- any division of a batch


@pytest.mark.parametrize(("weight", "least"), [(0.0, 0.9999), (0.1, 0.998)])
def test_micro_batches_add_up_to_the_batch(tiny_folder: Path, weight: float, least: float) -> None:
    """Unequal counts of hidden frames; the diversity is a statistic of a micro-batch, so it cannot be exact."""
    model = tiny_model(tiny_folder, diversity_weight=weight)
    batch = random_batch(8, unequal=True)
    whole, loss = step(model, [batch])
    parts, sum_of_losses = step(model, [taken(batch, first, first + 2) for first in (0, 2, 4, 6)])
    assert torch.cosine_similarity(whole, parts, dim=0) > least
    assert float(parts.norm() / whole.norm()) == pytest.approx(1, abs=0.01)
    if weight == 0:
        assert sum_of_losses == pytest.approx(loss, rel=1e-5)
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5)


def test_without_the_count_of_all_micro_batches_it_would_differ(tiny_folder: Path) -> None:
    """That the test above can fail."""
    model = tiny_model(tiny_folder, diversity_weight=0.0)
    batch = random_batch(8, unequal=True)
    whole, _ = step(model, [batch])
    model.zero_grad()
    sum(model(**taken(batch, first, first + 2)).loss / 4 for first in (0, 2, 4, 6)).backward()
    assert torch.cosine_similarity(whole, gradient(model), dim=0) < 0.9999


def test_parts_of_an_item_do_not_depend_on_its_neighbours(tiny_folder: Path) -> None:
    model = tiny_model(tiny_folder)
    batch = random_batch(4, unequal=True)
    together = model(**batch).parts["contrastive"][0]
    alone = sum(model(**taken(batch, index, index + 1)).parts["contrastive"][0] for index in range(4))
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_the_global_state_changes_nothing(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = model(**batch).loss
        torch.manual_seed(2)
        assert torch.equal(first, model(**batch).loss)
    batch["keys"] = batch["keys"] + 1
    assert not torch.equal(first, model(**batch).loss)


# ---------------------------------------------------------------- what counts


def test_a_silent_batch_has_no_loss_and_no_gradient(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(2)
    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    batch["input_values"] = torch.zeros_like(batch["input_values"])
    for count in (None, torch.tensor(0), torch.tensor(50)):
        model.zero_grad()
        output = model(**batch, num_items_in_batch=count)
        output.loss.backward()
        found = gradient(model)
        assert output.loss == 0 and found.isfinite().all() and not found.any()
        assert all(value.isfinite() and weight.isfinite() for value, weight in output.parts.values())


def test_a_batch_of_which_nothing_is_hidden(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(2)
    batch["is_hidden"] = torch.zeros_like(batch["is_hidden"])
    output = model(**batch)
    output.loss.backward()
    assert output.loss == 0 and gradient(model).isfinite().all()


def test_uncounted_items_leave_the_others_alone(tiny_folder: Path) -> None:
    """But for the codes in use, silent items change neither loss nor gradient of the others."""
    model, batch = tiny_model(tiny_folder), random_batch(3)
    expected, loss = step(model, [taken(batch, 0, 2)])
    batch["labels"][2] = IGNORED
    found, same_loss = step(model, [batch])
    assert same_loss == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_padding_changes_nothing_behind_it(tiny_folder: Path) -> None:
    """An item's frames attend to its own; its penalty is over its own."""
    model, batch = tiny_model(tiny_folder).eval(), random_batch(2)
    half = batch["is_hidden"].shape[1] // 2
    is_padding = torch.zeros_like(batch["is_hidden"])
    is_padding[1, half:] = True
    batch["is_hidden"] &= ~is_padding
    batch["labels"][is_padding] = IGNORED
    hidden = batch["is_hidden"][1].nonzero()[:, 0]
    batch["negatives"][1] = hidden[batch["negatives"][1] % len(hidden)]
    loud = {**batch, "input_values": batch["input_values"].clone()}
    with torch.no_grad():
        model.wav2vec2.feature_extractor.conv_layers[0].layer_norm = torch.nn.Identity()  # it sees the whole input
        loud["input_values"][1, (half + 1) * 320 :] = 5.0
        parts = [model(**each, is_padding=is_padding).parts for each in (batch, loud)]
    for name in NAMES:
        torch.testing.assert_close(parts[0][name], parts[1][name])
    assert mean(parts[0], "share_hidden") == pytest.approx(float(batch["is_hidden"].sum() / (~is_padding).sum()))


# -------------------------------------------------------- the feature encoder


def test_the_feature_encoder_s_gradient_is_scaled(tiny_folder: Path) -> None:
    batch, found = random_batch(2), {}
    for scale in (1.0, 0.25):
        model = tiny_model(tiny_folder, feature_grad_scale=scale)
        step(model, [batch])
        found[scale] = {name: parameter.grad for name, parameter in model.named_parameters()}
    for name, whole in found[1.0].items():
        factor = 0.25 if ".feature_extractor." in name else 1.0
        torch.testing.assert_close(found[0.25][name], factor * whole, rtol=1e-4, atol=1e-7, msg=name)


def test_a_frozen_feature_encoder_has_no_gradient_at_all(tiny_folder: Path) -> None:
    model = tiny_model(tiny_folder, feature_grad_scale=0.0)
    step(model, [random_batch(2)])
    for name, parameter in model.named_parameters():
        is_frozen = ".feature_extractor." in name
        assert parameter.requires_grad is not is_frozen and (parameter.grad is None) is is_frozen, name


def test_every_other_parameter_has_a_gradient(tiny_folder: Path) -> None:
    model = tiny_model(tiny_folder)
    step(model, [random_batch(2)])
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []


def test_the_penalty_is_the_mean_square_of_the_features(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(4)
    with torch.no_grad():
        expected = model.wav2vec2.feature_extractor(batch["input_values"]).square().mean((1, 2))
    counts = batch["is_hidden"].sum(1)
    value, weight = model(**batch).parts["feature_penalty"]
    torch.testing.assert_close(value, (expected * counts).sum())
    assert weight == counts.sum()


def test_the_loss_is_its_parts(tiny_folder: Path) -> None:
    model = tiny_model(tiny_folder, feature_penalty=3.0, diversity_weight=0.7)
    output = model(**random_batch(2))
    assert model.part_weights == {"contrastive": 1.0, "diversity": 0.7, "feature_penalty": 3.0}
    expected = sum(weight * mean(output.parts, name) for name, weight in model.part_weights.items())
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)


def test_checkpointed_layers_compute_the_same(tiny_folder: Path) -> None:
    batch = random_batch(2)
    plain, loss = step(tiny_model(tiny_folder), [batch])
    model = tiny_model(tiny_folder, gradient_checkpointing=True)
    assert model.is_activation_checkpointing
    again, same_loss = step(model, [batch])
    assert same_loss == loss
    torch.testing.assert_close(again, plain)


def test_bfloat16_is_finite_and_near(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(4)
    expected, _ = step(model, [batch])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, loss = step(model, [batch])
    assert math.isfinite(loss) and found.isfinite().all()
    assert torch.cosine_similarity(found, expected, dim=0) > 0.9


def test_the_temperature_is_transformers_own(tiny_folder: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(2)
    soft = model(**batch).loss
    model.set_gumbel_temperature(0.5)
    assert model.quantizer.temperature == 0.5
    step(model, [batch])
    cold = model.quantizer.weight_proj.weight.grad.norm()
    model.set_gumbel_temperature(2.0)
    assert torch.equal(model(**batch).loss, soft)  # what is chosen does not depend on it, the gradient does
    step(model, [batch])
    assert cold != model.quantizer.weight_proj.weight.grad.norm()


# ----------------------------------------------------------------------- save


def test_what_is_saved_is_the_trained_model(tiny_folder: Path, tmp_path: Path) -> None:
    model, batch = tiny_model(tiny_folder), random_batch(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    step(model, [batch])
    optimizer.step()
    model.save_pretrained(tmp_path / "out")
    loaded, report = Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values())
    assert {name for name, _ in loaded.named_parameters()} == {name for name, _ in model.named_parameters()}
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    first = torch.arange(2)[:, None, None] * batch["negatives"].shape[1]
    with torch.no_grad():
        expected = loaded.eval()(
            batch["input_values"],
            mask_time_indices=batch["is_hidden"],
            sampled_negative_indices=batch["negatives"] + first,
        )
    found = model.eval()(**batch).parts["contrastive"][0]
    torch.testing.assert_close(found, expected.contrastive_loss, rtol=1e-5, atol=0)
    again = load_base(tmp_path / "out", tiny_settings())
    torch.testing.assert_close(again.eval()(**batch).loss, model(**batch).loss)


def test_the_folder_is_as_published(tiny_folder: Path, tmp_path: Path) -> None:
    model = tiny_model(tiny_folder)
    model.save_pretrained(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in tiny_folder.iterdir() if path.name != "manifest.json"
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    published = json.loads((tiny_folder / "config.json").read_text())
    assert config["architectures"] == ["Wav2Vec2ForPreTraining"]
    # What fine-tuning reads is as it was; what pre-training needs is no default for it.
    for name in ("mask_time_prob", "mask_time_length", "layerdrop", "hidden_dropout"):
        assert config.get(name) == published.get(name), name
    preprocessor = (tmp_path / "out" / "preprocessor_config.json").read_text()
    assert json.loads(preprocessor) == json.loads((tiny_folder / "preprocessor_config.json").read_text())
    for path in (tmp_path / "out").glob("*.json"):
        assert str(tiny_folder.parent) not in path.read_text()
