"""Whisper on clips as long as they are, against the published encoder on 30 s (here: one)."""

from pathlib import Path

import pytest
import torch
from tiny_encoders import load, noise, tiny_folder
from torch import Tensor
from transformers import WhisperFeatureExtractor, WhisperModel

from audiorig.errors import DataError
from audiorig.files import read_json, write_json
from audiorig.models.encoders.whisper import FixedPositions, WhisperEncoder

LENGTHS = [16000, 9001, 4000, 12345]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder("whisper", tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def short(folder: Path) -> WhisperEncoder:
    encoder = load("whisper", folder)
    assert isinstance(encoder, WhisperEncoder)
    return encoder


@pytest.fixture
def padded(folder: Path) -> WhisperEncoder:
    encoder = load("whisper-padded", folder)
    assert isinstance(encoder, WhisperEncoder)
    return encoder


def extracted(folder: Path, waveform: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """What transformers makes of the clips: mel (B, F, 100) and which frames of it are real."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    clips = [row[:length].numpy() for row, length in zip(waveform, lengths.tolist(), strict=True)]
    found: dict[str, Tensor] = extractor(clips, sampling_rate=16000, return_tensors="pt", return_attention_mask=True)
    return found


def test_the_mel_is_the_extractors_own(folder: Path, short: WhisperEncoder, padded: WhisperEncoder) -> None:
    waveform, lengths = noise(LENGTHS)
    waveform[1, 3000:5000] = 0.0  # which lies on the floor, 8 below the clip's own maximum
    waveform[2] *= 0.001
    expected = extracted(folder, waveform, lengths)["input_features"]
    assert padded.mel(waveform, lengths).shape == (4, 80, 100)
    torch.testing.assert_close(padded.mel(waveform, lengths), expected, rtol=0, atol=1e-5)
    for item, length in enumerate(LENGTHS):
        alone = short.mel(waveform[item : item + 1, :length], lengths[item : item + 1])
        assert alone.shape[2] == min(-(-length // 160) + 2, 100)
        torch.testing.assert_close(alone[0], expected[item, :, : alone.shape[2]], rtol=0, atol=1e-5)


def test_the_mel_is_exact_under_autocast(short: WhisperEncoder) -> None:
    batch = noise(LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        found = short.mel(*batch)
    assert found.dtype == torch.float32 and torch.equal(found, short.mel(*batch))


@torch.no_grad()
def test_filled_up_it_is_transformers_own(folder: Path, padded: WhisperEncoder) -> None:
    waveform, lengths = noise(LENGTHS)
    network = WhisperModel.from_pretrained(folder, local_files_only=True).eval().encoder
    expected = network(extracted(folder, waveform, lengths)["input_features"], output_hidden_states=True)
    found = padded.encode(waveform, lengths)
    is_real = ~found.is_padding
    torch.testing.assert_close(found.features[is_real], expected.last_hidden_state[is_real], rtol=0, atol=1e-5)
    # transformers counts the last norm to the last layer.
    for mine, other in zip(found.layers[:-1], expected.hidden_states[:-1], strict=True):
        torch.testing.assert_close(mine[is_real], other[is_real], rtol=0, atol=1e-5)


@torch.no_grad()
def test_short_input_equals_the_padded_one(folder: Path, short: WhisperEncoder) -> None:
    """On all frames, the last one too: 30 s with a mask of keys, by the published modules."""
    waveform, lengths = noise(LENGTHS)
    given = extracted(folder, waveform, lengths)
    network = WhisperModel.from_pretrained(folder, local_files_only=True).eval().encoder
    hidden = torch.nn.functional.gelu(network.conv1(given["input_features"]))
    hidden = torch.nn.functional.gelu(network.conv2(hidden)).mT + network.embed_positions.weight
    is_seen = given["attention_mask"][:, ::2].bool()
    for layer in network.layers:
        hidden = layer(hidden, is_seen[:, None, None])
    expected = network.layer_norm(hidden)
    for item, length in enumerate(LENGTHS):
        found = short.encode(waveform[item : item + 1, :length], lengths[item : item + 1]).features[0]
        assert len(found) == int(is_seen[item].sum()) == short.num_frames(length)
        torch.testing.assert_close(found, expected[item, : len(found)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_silence_behind_a_clip_is_seen_only_if_asked_for(short: WhisperEncoder, padded: WhisperEncoder) -> None:
    batch = noise([8000])
    one, other = short.encode(*batch), padded.encode(*batch)
    assert torch.equal(one.layers[0], other.layers[0]) or torch.allclose(one.layers[0], other.layers[0], atol=1e-5)
    assert (one.features - other.features).abs().max() > 1e-3


def test_frames_are_counted_as_the_extractor_counts_them(folder: Path, short: WhisperEncoder) -> None:
    lengths = torch.randint(1, 16001, (200,), generator=torch.Generator().manual_seed(0))
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    for some in lengths.split(50):
        clips = [torch.zeros(length).numpy() for length in some.tolist()]
        mask = extractor(clips, sampling_rate=16000, return_tensors="pt", return_attention_mask=True).attention_mask
        assert [short.num_frames(length) for length in some.tolist()] == mask[:, ::2].sum(1).tolist()


def test_a_clip_that_is_too_long_is_a_sentence(short: WhisperEncoder, padded: WhisperEncoder) -> None:
    waveform, lengths = noise([8000, 17600])
    for encoder in (short, padded):
        with pytest.raises(DataError, match=r"item 1 of a batch is 1.10 s long: .* at most 1 s: set data.max_sec to 1"):
            encoder.encode(waveform, lengths)


def test_nothing_of_a_decoder_is_held_and_positions_are_fixed(short: WhisperEncoder) -> None:
    assert not any("decoder" in name for name in short.state_dict())
    assert isinstance(short.body.embed_positions, FixedPositions)
    assert "body.embed_positions.weight" in short.state_dict()
    assert not any("embed_positions" in name for name, _ in short.named_parameters())
    fresh = short.untrained(0).state_dict()
    assert torch.equal(fresh["body.embed_positions.weight"], short.state_dict()["body.embed_positions.weight"])


def test_another_mel_is_refused(tmp_path: Path) -> None:
    folder = tiny_folder("whisper", tmp_path / "m")
    (folder / "manifest.json").unlink()
    path = folder / "preprocessor_config.json"
    for name, value in (("hop_length", 200), ("feature_size", 128), ("sampling_rate", 8000)):
        kept = read_json(path)
        write_json(path, {**kept, name: value})
        with pytest.raises(DataError, match=f"preprocessor_config.json: {name} is {value}, expected"):
            load("whisper", folder)
        write_json(path, kept)
