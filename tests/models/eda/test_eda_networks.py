"""Any encoder with any decoder: padding on the left, what comes later, and what is too far back change nothing."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel

import audiorig.models  # noqa: F401  registers the network
from audiorig.config.eda import MonitorConfig
from audiorig.models.eda.model import Audio2Eda, Audio2EdaConfig, Template

ENCODERS: dict[str, dict[str, Any]] = {
    "wavenet": {"kind": "wavenet", "stride": 5, "width": 8, "skip_width": 8, "dilations": 2, "stacks": 2},
    "transformer": {"kind": "transformer", "stride": 5, "width": 16, "heads": 2, "layers": 2, "hidden": 16},
}
DECODERS: dict[str, dict[str, Any]] = {
    "cnn": {"kind": "cnn", "layers": 2, "width": 8, "kernel": 3},
    "lstm": {"kind": "lstm", "layers": 2, "width": 8},
    "transformer": {"kind": "transformer", "layers": 1, "width": 16, "heads": 2, "hidden": 16},
}
PAIRS = list(product(ENCODERS, DECODERS))
C, R, RATE = 3, 10, 4.0


def network(encoder: str, decoder: str, seed: int = 1, **changes: Any) -> Audio2Eda:
    settings = {"encoder": ENCODERS[encoder], "decoder": DECODERS[decoder], "causal": True, **changes}
    config = Audio2EdaConfig(
        model=settings, num_inputs=C, frames_per_step=R, rate_hz=RATE, seed=seed, mfcc_mean=[5.0, -2.0, 0.5]
    )
    model = Audio2Eda(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 or name.startswith("decoder.out"):  # or biases of 0 could not leak
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    return model.eval()


def songs(num: int, steps: int, seed: int = 0) -> Tensor:
    return 4 * torch.randn(num, steps * R, C, generator=torch.Generator().manual_seed(seed)) + 5


@torch.no_grad()
def predict(model: Audio2Eda, mfcc: Tensor, padding: int = 0, start: int = 0) -> Tensor:
    """Of songs with so many further steps of padding, whose coefficients are no zeros on purpose."""
    filled = torch.cat([torch.full((len(mfcc), padding * R, C), 99.0), mfcc], dim=1)
    is_padding = torch.zeros(len(mfcc), filled.shape[1] // R, dtype=torch.bool)
    is_padding[:, :padding] = True
    found: Tensor = model(filled, is_padding, torch.full((len(mfcc),), start)).predicted
    assert torch.equal(found[:, :padding], torch.zeros_like(found[:, :padding]))
    return found[:, padding:]


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@pytest.mark.parametrize("causal", [True, False])
def test_padding_on_the_left_changes_nothing(encoder: str, decoder: str, causal: bool) -> None:
    model, mfcc = network(encoder, decoder, causal=causal), songs(2, 14)
    alone = predict(model, mfcc)
    assert alone.std() > 1e-3, "a constant would pass"
    for padding in (1, 3, 20):
        torch.testing.assert_close(predict(model, mfcc, padding), alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_beside_a_longer_song_a_shorter_one_is_predicted_as_alone(encoder: str, decoder: str) -> None:
    model, long, short = network(encoder, decoder), songs(1, 20), songs(1, 9, seed=5)
    batch = torch.cat([long, torch.cat([torch.zeros(1, 11 * R, C), short], dim=1)])
    is_padding = torch.zeros(2, 20, dtype=torch.bool)
    is_padding[1, :11] = True
    with torch.no_grad():
        found = model(batch, is_padding, torch.zeros(2, dtype=torch.int64)).predicted
    torch.testing.assert_close(found[0], predict(model, long)[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1, 11:], predict(model, short)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
@pytest.mark.parametrize("step", [1, 8, 15])
def test_nothing_that_comes_later_changes_a_step(encoder: str, decoder: str, step: int) -> None:
    model, mfcc = network(encoder, decoder), songs(2, 16)
    other = mfcc.clone()
    other[:, step * R :] = songs(2, 16, seed=9)[:, step * R :]
    before, after = predict(model, mfcc), predict(model, other)
    assert torch.equal(before[:, :step], after[:, :step])
    assert not torch.equal(before[:, step:], after[:, step:])


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_without_causality_what_comes_counts(encoder: str, decoder: str) -> None:
    model, mfcc = network(encoder, decoder, causal=False), songs(1, 16)
    other = mfcc.clone()
    other[:, 9 * R :] += 1
    assert not torch.equal(predict(model, mfcc)[:, 8], predict(model, other)[:, 8])


def test_what_lies_before_the_receptive_field_changes_nothing() -> None:
    model, mfcc = network("wavenet", "cnn"), songs(1, 60)
    reach = model.receptive_steps
    assert reach is not None
    changed, last = mfcc.clone(), 59
    changed[:, : (last - reach + 1) * R] += 3
    assert torch.equal(predict(model, mfcc)[:, last], predict(model, changed)[:, last])
    changed[:, (last - reach + 1) * R : (last - reach + 2) * R] += 3
    assert not torch.equal(predict(model, mfcc)[:, last], predict(model, changed)[:, last])
    assert network("wavenet", "lstm").receptive_steps is None
    assert network("wavenet", "cnn", causal=False).receptive_steps is None
    limited = {"encoder": {**ENCODERS["transformer"], "context_sec": 1.0}, "decoder": DECODERS["cnn"]}
    config = Audio2EdaConfig(model=limited, num_inputs=C, frames_per_step=R, rate_hz=RATE)
    assert Audio2Eda(config).receptive_steps == 1 + 2 * 3 + 2 * 2


@pytest.mark.parametrize(("encoder", "decoder"), [("transformer", "cnn"), ("wavenet", "transformer")])
def test_attention_knows_the_time_since_onset(encoder: str, decoder: str) -> None:
    model, mfcc = network(encoder, decoder), songs(1, 12)
    assert not torch.allclose(predict(model, mfcc), predict(model, mfcc, start=100), atol=1e-4)


def test_the_template_is_a_curve_of_time_whose_end_holds_on() -> None:
    model = network("wavenet", "cnn", template=True, template_sec=3)
    assert model.template is not None
    with torch.no_grad():
        model.template.points.copy_(torch.tensor([0.0, 4.0, 2.0, 8.0]))
        times = torch.tensor([[0.0, 0.25, 1.5, 2.75, 3.0, 500.0]])
        assert model.template(times).tolist() == [[0.0, 1.0, 3.0, 6.5, 8.0, 8.0]]


def test_times_that_nothing_was_learnt_of_have_the_last_value_that_was() -> None:
    template = Template(6, longest_sec=2.5)
    with torch.no_grad():
        template.points.copy_(torch.tensor([0.0, 1.0, 2.0, 4.0, 0.0, 0.0, 0.0]))  # that of 3 s took part in 2.5 s
        assert template(torch.tensor([[2.0, 2.5, 3.0, 60.0]])).tolist() == [[2.0, 3.0, 3.0, 3.0]]


def test_one_frame_a_step_works_too() -> None:
    encoder = {**ENCODERS["wavenet"], "stride": 1}
    config = Audio2EdaConfig(model={"encoder": encoder, "decoder": DECODERS["lstm"]}, num_inputs=C, frames_per_step=1)
    found = Audio2Eda(config).eval()(songs(1, 3), torch.zeros(1, 30, dtype=torch.bool), torch.zeros(1).long())
    assert found.predicted.shape == (1, 30)


# ------------------------------------------------------------------------- loss


def batch(seed: int = 0) -> dict[str, Tensor]:
    """Two songs, one padded by 4 steps; three listeners, one absent, gaps."""
    generator = torch.Generator().manual_seed(seed)
    is_padding = torch.zeros(2, 12, dtype=torch.bool)
    is_padding[1, :4] = True
    is_heard = torch.rand(2, 3, 12, generator=generator) > 0.2
    is_heard &= ~is_padding[:, None]
    is_heard[1, 2] = False
    traces = torch.randn(2, 3, 12, generator=generator) * is_heard
    labels = torch.where(is_heard.any(-1), 0, -100)
    return {
        "mfcc": songs(2, 12, seed), "is_padding": is_padding, "start": torch.tensor([0, 5]),
        "traces": traces, "is_heard": is_heard, "labels": labels,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
def test_the_loss_is_that_of_a_loop_over_traces(name: str) -> None:
    model = network("wavenet", "cnn")
    model.loss_settings = model.loss_settings.model_copy(update={"name": name})
    given = batch()
    with torch.no_grad():
        out = model(**given)
    errors = {
        "mse": lambda gap: gap**2,
        "l1": abs,
        "huber": lambda gap: gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 0.5,
    }
    losses = []
    for song in range(2):
        for listener in range(3):
            heard = given["is_heard"][song, listener].nonzero()[:, 0].tolist()
            gaps = [float(out.predicted[song, k] - given["traces"][song, listener, k]) for k in heard]
            if gaps:
                losses.append(sum(errors[name](gap) for gap in gaps) / len(gaps))
    assert len(losses) == 5
    assert float(out.loss) == pytest.approx(sum(losses) / 5, abs=1e-6)
    total, count = out.parts[name]
    assert float(total) == pytest.approx(sum(losses), abs=1e-5)
    assert int(count) == 5
    with torch.no_grad():
        assert float(model(**given, num_items_in_batch=10).loss) == pytest.approx(sum(losses) / 10, abs=1e-6)


def test_micro_batches_add_up_to_the_gradient_of_one() -> None:
    model, given = network("wavenet", "lstm"), batch()
    model(**given).loss.backward()
    whole = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    for song in range(2):
        model(**{name: value[song : song + 1] for name, value in given.items()}, num_items_in_batch=5).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, whole[name], atol=1e-6, rtol=1e-4, msg=name)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_parameter_learns(encoder: str, decoder: str) -> None:
    model = network(encoder, decoder).train()
    model(**batch()).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_what_is_watched_is_there_in_its_mode_and_counts_defined_traces() -> None:
    model = network("wavenet", "cnn")
    model.monitor = MonitorConfig(train=("mae",), dev=("mse", "pearson", "ccc", "dtw", "frechet"), max_traces=2)
    given = batch()
    given["traces"][0, 0] = 1.0  # has no correlation
    assert list(model.train()(**given).parts) == ["huber", "mae"]
    parts = model.eval()(**given).parts
    assert list(parts) == ["huber", "mse", "pearson", "ccc", "dtw", "frechet"]
    assert [int(count) for _, count in parts.values()] == [5, 5, 4, 5, 2, 2]
    assert not any(total.requires_grad for total, _ in parts.values())


def test_the_loss_ccc_and_the_measure_of_that_name_are_two_numbers() -> None:
    """Of one, less is better, of the other, more: under one name, the worst checkpoint would be taken for the best."""
    model, given = network("wavenet", "cnn"), batch()
    model.loss_settings = model.loss_settings.model_copy(update={"name": "ccc"})
    model.monitor = MonitorConfig(dev=("ccc",))
    given["traces"] = predict(model, given["mfcc"])[:, None].expand(-1, 3, -1) * given["is_heard"]
    given["is_padding"] = torch.zeros(2, 12, dtype=torch.bool)
    given["start"] = torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        parts = {name: float(total / count) for name, (total, count) in model(**given).parts.items()}
    assert parts == pytest.approx({"discordance": 0.0, "ccc": 1.0}, abs=1e-5)
    assert model.part_weights == {"discordance": 1.0}


def test_a_step_without_any_trace_has_a_loss_of_nothing() -> None:
    model, given = network("wavenet", "cnn"), batch()
    given["is_heard"][:] = False
    with torch.no_grad():
        assert float(model(**given, num_items_in_batch=torch.tensor(0)).loss) == 0


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_half_precision_trains_and_stays_near(encoder: str, decoder: str) -> None:
    model, given = network(encoder, decoder), batch()
    exact = model(**given).predicted
    with torch.autocast("cpu", torch.bfloat16):
        out = model(**given)
    assert out.loss.dtype == out.predicted.dtype == torch.float32
    torch.testing.assert_close(out.predicted, exact, atol=0.05, rtol=0.05)
    out.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_an_item_of_padding_alone_is_zeros_and_hurts_no_other(encoder: str, decoder: str) -> None:
    model, mfcc = network(encoder, decoder), songs(2, 9)
    is_padding = torch.tensor([[False] * 9, [True] * 9])
    with torch.no_grad():
        found = model(mfcc, is_padding, torch.zeros(2, dtype=torch.int64)).predicted
    assert torch.equal(found[1], torch.zeros(9))
    torch.testing.assert_close(found[0], predict(model, mfcc[:1])[0], atol=1e-6, rtol=0)


# --------------------------------------------------------------- save and load


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_a_saved_network_is_the_same(encoder: str, decoder: str, tmp_path: Path) -> None:
    model, mfcc = network(encoder, decoder), songs(1, 10)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, Audio2Eda)
    before, after = model.state_dict(), loaded.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    # Not the same bytes: products of matrices differ in the last bit by where in memory these lie.
    torch.testing.assert_close(predict(loaded.eval(), mfcc), predict(model, mfcc), atol=1e-6, rtol=1e-6)


def test_weights_follow_from_the_seed_and_leave_the_global_state_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = (network("wavenet", "cnn", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.patches.linear.weight"], other["encoder.patches.linear.weight"])
