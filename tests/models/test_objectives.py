"""Losses against torch's own, against their definitions, and by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from audiorig.config import LossConfig
from audiorig.data.targets import Target
from audiorig.models.cutpoints import Cutpoints
from audiorig.models.dev_parts import derived, dev_parts
from audiorig.models.objectives import Said, Term, build_terms

NAN = math.nan


def class_of(num_classes: int = 3, **other: Any) -> Target:
    return Target("reason", "class", "reason", classes=tuple("abcdefgh"[:num_classes]), **other)


def rating_of(num_steps: int = 4, **other: Any) -> Target:
    return Target("rate", "rating", "rate", steps=tuple(map(float, range(num_steps))), threshold=2.0, **other)


LOUD = Target("loud", "binary", "loud")


def term_of(name: str, target: Target, **other: Any) -> Term:
    (term,) = build_terms([LossConfig(name=name, targets=(target.name,), **other)], [target])
    return term


def loss_of(term: Term, target: Target, logits: Tensor, values: list[float], scores: Tensor | None = None) -> Tensor:
    said = {target.name: Said(logits if scores is None else scores, logits)}
    column = torch.tensor(values)[:, None]
    share = term.share(said, column)
    assert share.divisor == pytest.approx(float(term.count(column)))
    return share.total / share.divisor


def logits_of(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("weights", [(), (0.5, 3.0, 1.2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs(weights: tuple[float, ...], smoothing: float) -> None:
    target, logits = class_of(weights=weights, label_smoothing=smoothing), logits_of(6, 3)
    loss = loss_of(term_of("cross_entropy", target), target, logits, [0, 2, NAN, 1, 2, NAN])
    kept = logits[[0, 1, 3, 4]]
    expected = functional.cross_entropy(
        kept, torch.tensor([0, 2, 1, 2]), torch.tensor(weights) if weights else None, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, expected)
    ours, theirs = (torch.autograd.grad(each, logits, retain_graph=True)[0] for each in (loss, expected))
    torch.testing.assert_close(ours, theirs)
    assert not ours[[2, 5]].any()


def test_a_class_that_training_lacks_is_as_if_missing() -> None:
    target, logits = class_of(weights=(1.0, 1.0, 0.0), label_smoothing=0.1), logits_of(4, 3)
    with_it = loss_of(term_of("cross_entropy", target), target, logits, [0, 2, 1, 2])
    without = loss_of(term_of("cross_entropy", target), target, logits, [0, NAN, 1, NAN])
    assert with_it == without


@pytest.mark.parametrize("weights", [(), (0.625, 2.5)])
def test_binary_cross_entropy_is_torchs(weights: tuple[float, ...]) -> None:
    target, logits = Target("loud", "binary", "loud", weights=weights), logits_of(5, 1)
    loss = loss_of(term_of("bce", target), target, logits, [1, NAN, 0, 0, 1])
    expected = functional.binary_cross_entropy_with_logits(
        logits[[0, 2, 3, 4], 0], torch.tensor([1.0, 0, 0, 1]), pos_weight=torch.tensor(4.0) if weights else None
    )
    torch.testing.assert_close(loss, expected)


def test_several_targets_of_a_term_are_one_mean_over_what_is_observed() -> None:
    targets = [Target(name, "binary", name) for name in ("loud", "fast")]
    (term,) = build_terms([LossConfig(name="bce", targets=("loud", "fast"))], targets)
    logits = logits_of(3, 2)
    said = {"loud": Said(logits[:, :1], logits[:, :1]), "fast": Said(logits[:, 1:], logits[:, 1:])}
    values = torch.tensor([[1, NAN], [NAN, 0], [0, 1]])
    share = term.share(said, values)
    is_there = ~values.isnan()
    expected = functional.binary_cross_entropy_with_logits(logits[is_there], values[is_there])
    torch.testing.assert_close(share.total / share.divisor, expected)
    assert share.divisor == term.count(values) == 4


def test_coral_by_hand() -> None:
    target = rating_of(4)
    logits = torch.tensor([[2.0, 0.0, -1.0], [1.0, 0.5, 0.0], [9.0, 9.0, 9.0]])
    loss = loss_of(term_of("coral", target), target, logits, [1, 3, NAN], torch.zeros(3, 1))

    def say(logit: float, is_above: bool) -> float:
        return math.log1p(math.exp(-logit if is_above else logit))

    first = say(2, True) + say(0, False) + say(-1, False)  # step 1 lies above step 0, and no other
    second = say(1, True) + say(0.5, True) + say(0, True)
    assert float(loss) == pytest.approx((first + second) / 2)


def test_coral_weighs_items_by_their_step() -> None:
    target = rating_of(3, weights=(1.0, 2.0, 4.0))
    term, logits, values = term_of("coral", target), logits_of(3, 2).detach(), [0, 2, 1]
    first, second, third = (
        float(loss_of(term, target, logits[[item]], [value], torch.zeros(1, 1))) for item, value in enumerate(values)
    )
    loss = loss_of(term, target, logits, values, torch.zeros(3, 1))
    assert float(loss) == pytest.approx((first + 4 * second + 2 * third) / 7)


def ranking_by_definition(scores: Tensor, values: list[float], margin: float) -> Tensor:
    pairs = [(i, j) for i, high in enumerate(values) for j, low in enumerate(values) if high > low]
    gaps = torch.stack([scores[i] - scores[j] for i, j in pairs])
    each = torch.relu(margin - gaps) if margin else torch.log1p(torch.exp(-gaps))
    return each.sum() / len(pairs)


@pytest.mark.parametrize("margin", [0.0, 0.4])
@pytest.mark.parametrize("size", [8, 4, 2, 1, 3])
def test_ranking_is_its_definition_however_the_step_is_cut(margin: float, size: int) -> None:
    target, scores = rating_of(4, has_cutpoints=False), logits_of(8, 1)
    values = [0, 3, 1, NAN, 2, 2, 0, 3]
    term = term_of("ranking", target, margin=margin)
    column = torch.tensor(values)[:, None]
    others = {"scores": scores.detach(), "values": column}
    parts = [slice(first, first + size) for first in range(0, 8, size)]
    shares = [term.share({"rate": Said(scores[part], scores[part])}, column[part], others) for part in parts]
    loss = torch.stack([share.total for share in shares]).sum() / term.count(column)
    expected = ranking_by_definition(scores[:, 0], values, margin)
    torch.testing.assert_close(loss, expected)
    ours, theirs = (torch.autograd.grad(each, scores, retain_graph=True)[0] for each in (loss, expected))
    torch.testing.assert_close(ours, theirs)
    assert sum(float(share.divisor) for share in shares) == float(term.count(column)) == 18


def test_ranking_within_a_batch_alone() -> None:
    target, scores = rating_of(4), logits_of(5, 1)
    values = [0, 3, 1, NAN, 3]
    loss = loss_of(term_of("ranking", target), target, torch.zeros(5, 3), values, scores)
    torch.testing.assert_close(loss, ranking_by_definition(scores[:, 0], values, 0.0))


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "coral", "ranking"])
def test_a_term_of_which_nothing_is_observed_is_zero_and_has_a_gradient(name: str) -> None:
    target = {"cross_entropy": class_of(3, label_smoothing=0.1), "bce": LOUD}.get(name, rating_of(4))
    logits = logits_of(2, {"cross_entropy": 3, "bce": 1, "coral": 3, "ranking": 1}[name])
    share = term_of(name, target).share({target.name: Said(logits, logits)}, torch.full((2, 1), NAN))
    assert share.total.item() == share.divisor.item() == 0
    assert torch.autograd.grad(share.total, logits)[0].eq(0).all()


def test_terms_of_one_kind_are_numbered() -> None:
    losses = [LossConfig(name="bce", targets=("loud",)), LossConfig(name="coral", targets=("rate",))]
    losses += [LossConfig(name="bce", targets=("loud",), weight=2), LossConfig(name="ranking")]
    terms = build_terms(losses, [LOUD, rating_of()])
    assert [term.name for term in terms] == ["bce_1", "coral", "bce_2"]  # the last one is about nothing


# ------------------------------------------------------------------ cutpoints


@pytest.mark.parametrize("num_steps", [2, 3, 7])
def test_cutpoints_are_in_order_whatever_their_weights(num_steps: int) -> None:
    cutpoints = Cutpoints(num_steps)
    assert torch.allclose(cutpoints(torch.zeros(1, 1))[0], torch.arange(num_steps - 1).flip(0) - (num_steps - 2) / 2)
    for seed in range(20):
        with torch.no_grad():
            for parameter in cutpoints.parameters():
                parameter.copy_(5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
        logits = cutpoints(torch.tensor([[0.3], [-4.0]]))
        assert logits.shape == (2, num_steps - 1)
        assert (logits.diff(dim=1) <= 0).all()
    cutpoints(torch.zeros(1, 1)).sum().backward()
    assert all(parameter.grad is not None and parameter.numel() for parameter in cutpoints.parameters())


# ------------------------------------------------------------------ dev parts


def means(parts: dict) -> dict[str, float]:
    return {name: float(total / count) for name, (total, count) in parts.items()}


def test_recalls_and_their_mean_by_hand() -> None:
    logits = torch.eye(3)[[0, 0, 1, 2, 0, 0]]
    parts = means(dev_parts(class_of(), Said(logits, logits), torch.tensor([0, 0, 1, 1, NAN, 0])))
    assert parts["accuracy_reason"] == pytest.approx(4 / 5)
    assert (parts["recall_reason_a"], parts["recall_reason_b"]) == (1, 0.5)
    assert math.isnan(parts["recall_reason_c"])  # no such clip: no part in the mean
    assert derived([class_of()], parts) == {"uar_reason": 0.75, "uar": 0.75}


def test_numbers_of_a_binary_feature_and_a_rating_by_hand() -> None:
    logits = torch.tensor([[2.0], [-1.0], [3.0], [1.0]])
    parts = means(dev_parts(LOUD, Said(logits, logits), torch.tensor([1, 1, 0, NAN])))
    assert parts["accuracy_loud"] == pytest.approx(1 / 3)
    assert (parts["recall_loud_yes"], parts["recall_loud_no"]) == (0.5, 0)
    sure = torch.tensor([[20.0, 20.0, -20.0], [20.0, -20.0, -20.0], [0.0, 0.0, 0.0]])  # steps 2, 1, and 1.5
    rating = means(dev_parts(rating_of(), Said(sure, sure), torch.tensor([2, 3, NAN])))
    assert rating == pytest.approx({"accuracy_rate": 0.5, "mae_rate": 1.0})  # 1 is not high, 3 is
    assert derived([LOUD, rating_of()], parts | rating) == {"uar_loud": 0.25, "uar": 0.25}
    assert dev_parts(rating_of(has_cutpoints=False), Said(sure[:, :1], sure[:, :1]), torch.tensor([2, 3, NAN])) == {}
