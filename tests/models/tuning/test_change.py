"""How far each part of a model moved."""

import pytest
import torch

from audiorig.config import LoraConfig, TuningConfig
from audiorig.errors import DataError
from audiorig.models.tuning.apply import apply_tuning
from audiorig.models.tuning.change import weight_change
from audiorig.models.tuning.lora import ADAPTER, lora_layers, merged_state


def copied(state) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def test_a_part_moved_as_far_as_its_weights_did(tiny) -> None:
    encoder = tiny.encoder("wav2vec2-stable")
    before = {f"encoder.{name}": value for name, value in copied(encoder.state_dict()).items()}
    before |= {"heads.heads.0.out_proj.weight": torch.full((2, 3), 2.0), "heads.heads.0.out_proj.bias": torch.zeros(2)}
    before |= {"pooling.query": torch.zeros(4)}
    after = copied(before)
    for name in after:
        if ".layers.1." in name:
            after[name] *= 1.25
        if ".layer_norm." in name and ".layers." not in name and "feature" not in name:
            after[name] *= 3
    after["heads.heads.0.out_proj.weight"] += 1
    after["pooling.query"] += 0.5
    changes = weight_change(before, after, encoder)
    assert [change.part for change in changes] == [
        "front",
        "block 0",
        "block 1",
        "block 2",
        "behind",
        "heads",
        "pooling",
    ]
    relative = {change.part: change.relative for change in changes}
    assert relative == pytest.approx(
        {"front": 0, "block 0": 0, "block 1": 0.25, "block 2": 0, "behind": 2, "heads": 0.5, "pooling": 1.0}
    )
    assert {change.part: change.num_weights for change in changes}["heads"] == 8


def test_adapters_count_as_the_change_that_they_are(encoder) -> None:
    before = copied(encoder.state_dict())
    apply_tuning(encoder, TuningConfig(learn="nothing", lora=LoraConfig(rank=1, alpha=3, layers=(1,))), seed=0)
    (name, layer), *_ = lora_layers(encoder).items()
    layer.lora_B[ADAPTER].weight.data.fill_(0.5)
    changes = weight_change(before, merged_state(encoder), encoder, prefix="")
    delta = 3 * 0.5 * layer.lora_A[ADAPTER].weight.detach().expand(layer.out_features, -1)
    block = [value for key, value in before.items() if key.startswith(encoder.block_names[1])]
    size = sum(float(value.square().sum()) for value in block) ** 0.5
    assert name.startswith(encoder.block_names[1])
    moved = {change.part: change.relative for change in changes}
    assert moved.pop("block 1") == pytest.approx(float(delta.norm()) / size, rel=1e-5)
    assert set(moved.values()) == {0.0}


def test_states_of_different_models_are_not_compared(tiny) -> None:
    encoder = tiny.encoder("hubert")
    before = copied(encoder.state_dict())
    apply_tuning(encoder, TuningConfig(lora=LoraConfig(rank=1)), seed=0)
    with pytest.raises(DataError, match=r"cannot be compared: .* missing"):
        weight_change(before, encoder.state_dict(), encoder, prefix="")
