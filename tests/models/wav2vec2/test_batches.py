"""Batches: an item's part is its own, padding and silence are left out, normalised as published."""

import pickle

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model
from wav2vec2_tiny import SHAPE, noise_items, tiny_collate

from audiorig.models.wav2vec2.batches import SEEN, FrameCounter, normalised
from audiorig.models.wav2vec2.pretraining import IGNORED


def test_frames_are_counted_as_the_network_makes_them() -> None:
    published = FrameCounter.of(Wav2Vec2Config())
    assert [published(16000 * seconds) for seconds in (2, 8, 30)] == [99, 399, 1499]
    assert [published(samples) for samples in (0, 9, 399, 400, 719, 720)] == [0, 0, 0, 1, 1, 2]
    model = Wav2Vec2Model(Wav2Vec2Config(**SHAPE))
    counter = FrameCounter.of(model.config)
    for samples in (2000, 5555, 16000):
        assert model.feature_extractor(torch.zeros(1, samples)).shape[-1] == counter(samples)


def test_shapes_and_types() -> None:
    batch = tiny_collate()(noise_items(3))
    found = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in batch.items()}
    assert found == {
        "input_values": (torch.float32, (3, 16000)),
        "is_hidden": (torch.bool, (3, 49)),
        "negatives": (torch.int64, (3, 49, 10)),
        "labels": (torch.int64, (3, 49)),
        "keys": (torch.int64, (3,)),
        "seen": (torch.int64, (3, 5)),
    }
    assert torch.equal(batch["labels"] != IGNORED, batch["is_hidden"])
    assert batch["is_hidden"].any(1).all() and (batch["keys"] >= 0).all()


def test_negatives_stay_in_the_item_and_miss_the_target() -> None:
    batch = tiny_collate()(noise_items(4))
    for hidden, negatives in zip(batch["is_hidden"], batch["negatives"], strict=True):
        assert hidden[negatives[hidden]].all()
        assert (negatives != torch.arange(len(hidden))[:, None])[hidden].all()


def test_an_item_is_the_same_in_any_batch() -> None:
    together = tiny_collate()(noise_items(4))
    alone = [tiny_collate()([item]) for item in noise_items(4)]
    for name, tensor in together.items():
        assert torch.equal(tensor, torch.cat([each[name] for each in alone])), name


@pytest.mark.parametrize("name", ["is_hidden", "negatives", "keys"])
def test_epoch_seed_and_side_give_other_masks(name: str) -> None:
    def drawn(seed: int = 0, epoch: int = 0, side: str = "train") -> torch.Tensor:
        collate = tiny_collate(seed=seed)
        collate.side = side
        return collate(noise_items(2, epoch=epoch))[name]

    assert torch.equal(drawn(), drawn())
    for other in (drawn(seed=1), drawn(epoch=1), drawn(side="dev")):
        assert not torch.equal(drawn(), other)


def test_padding_is_never_hidden_nor_a_negative() -> None:
    long, short = noise_items(2)
    place = type(short[0])(0, 1, num_samples=9000)
    batch = tiny_collate()([long, (place, short[1])])
    frames = tiny_collate().num_frames(9000)
    assert batch["is_padding"].sum(1).tolist() == [0, 49 - frames]
    assert not (batch["is_hidden"] & batch["is_padding"]).any() and batch["is_hidden"][1].any()
    assert batch["negatives"][1].max() < frames
    assert not batch["input_values"][1, 9000:].any()  # also where normalising would shift it


def test_too_short_for_a_span() -> None:
    item = noise_items(1, num_samples=16000)[0]
    batch = tiny_collate()([(type(item[0])(0, 0, num_samples=100), item[1])])
    assert not batch["is_hidden"].any() and (batch["labels"] == IGNORED).all() and batch["is_padding"].all()


@pytest.mark.parametrize(("when_silent", "counts"), [("mark", False), ("accept", True)])
def test_a_silent_crop_keeps_its_mask(when_silent: str, counts: bool) -> None:
    loud, silent = noise_items(1)[0], noise_items(2, is_silent=True)[1]
    batch = tiny_collate(silence={"when_silent": when_silent})([loud, silent])
    assert batch["is_hidden"][1].any()
    assert bool((batch["labels"][1] != IGNORED).any()) is counts
    assert (batch["labels"][0] != IGNORED).any()


def test_what_was_heard_is_named() -> None:
    items = noise_items(2, row=7, start=123, num_redraws=2, is_silent=True)
    assert SEEN == ("row", "start", "num_samples", "num_redraws", "is_silent")
    assert tiny_collate()(items)["seen"].tolist() == [[7, 123, 16000, 2, 1]] * 2


def test_normalised_as_transformers_does() -> None:
    samples = 0.1 + 0.02 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = extractor(samples[:9000], sampling_rate=16000, return_tensors="np")["input_values"][0]
    padded = samples.copy()
    padded[9000:] = 0
    np.testing.assert_allclose(normalised(padded, 9000)[:9000], expected, atol=1e-5)
    assert not normalised(padded, 9000)[9000:].any()
    assert np.isfinite(normalised(np.zeros(100, np.float32), 100)).all()


def test_the_checkpoint_says_whether() -> None:
    items = noise_items(1)
    assert torch.equal(tiny_collate(do_normalize=False)(items)["input_values"][0], torch.from_numpy(items[0][1]))
    normal = tiny_collate()(items)["input_values"]
    assert float(normal.mean()) == pytest.approx(0, abs=1e-5) and float(normal.var()) == pytest.approx(1, abs=1e-3)


def test_workers_get_a_copy() -> None:
    copy = pickle.loads(pickle.dumps(tiny_collate()))
    assert torch.equal(copy(noise_items(2))["negatives"], tiny_collate()(noise_items(2))["negatives"])
