"""wav2vec2, HuBERT and WavLM are transformers' own; WavLM's attention is another that gives the same."""

from pathlib import Path

import pytest
import torch
from tiny_encoders import load, noise, tiny_folder
from torch import Tensor
from transformers import HubertModel, Wav2Vec2FeatureExtractor, Wav2Vec2Model, WavLMConfig, WavLMModel
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from audiorig.errors import DataError
from audiorig.files import read_json, write_json
from audiorig.models.encoders.convolutional import ConvolutionalEncoder
from audiorig.models.encoders.wavlm_attention import GatedAttention

NETWORKS = {"wav2vec2": Wav2Vec2Model, "hubert": HubertModel, "wavlm": WavLMModel}
KINDS = [f"{family}-{norm}" for family in NETWORKS for norm in ("group", "layer")]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(kind, tmp_path_factory.mktemp("convolutional") / kind)


@torch.no_grad()
def test_a_full_batch_is_transformers_own(kind: str, folder: Path) -> None:
    waveform, lengths = noise([16000] * 3)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    values = extractor([*waveform.numpy()], sampling_rate=16000, return_tensors="pt")["input_values"]
    network = NETWORKS[kind.partition("-")[0]].from_pretrained(folder, local_files_only=True).eval()
    expected = network(values, output_hidden_states=True)
    found = load(kind, folder).encode(waveform, lengths)
    torch.testing.assert_close(found.features, expected.last_hidden_state, rtol=0, atol=1e-5)
    for mine, other in zip(found.layers, expected.hidden_states, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)


@torch.no_grad()
def test_frames_are_counted_as_the_model_counts_them(kind: str, folder: Path) -> None:
    network = NETWORKS[kind.partition("-")[0]].from_pretrained(folder, local_files_only=True)
    encoder = load(kind, folder)
    lengths = torch.randint(730, 320000, (200,), generator=torch.Generator().manual_seed(0))
    expected = network._get_feat_extract_output_lengths(lengths)
    assert [encoder.num_frames(length) for length in lengths.tolist()] == expected.tolist()


@torch.no_grad()
def test_one_padded_batch_of_layer_norms_is_the_same(kind: str, folder: Path) -> None:
    """What runs on a GPU."""
    encoder = load(kind, folder)
    assert isinstance(encoder, ConvolutionalEncoder)
    waveform, lengths = noise([16000, 9001, 0, 5000, 15999, 100], rest=7.0)
    one_by_one, is_padding = encoder._features(waveform, lengths.tolist())
    together = encoder._padded(waveform, lengths.tolist(), is_padding)
    difference = float((together - one_by_one).abs().max())
    assert difference < 1e-5 if kind.endswith("layer") else difference > 0.1  # so the others are never run like this


def test_the_waveform_is_left_alone_by_a_frozen_front(kind: str, folder: Path) -> None:
    encoder = load(kind, folder).train()
    assert isinstance(encoder, ConvolutionalEncoder)
    encoder.body.feature_extractor.requires_grad_(False)
    waveform, lengths = noise([16000, 9000])
    features, _ = encoder._features(waveform, lengths.tolist())
    assert not features.requires_grad and not waveform.requires_grad


def test_clips_are_never_masked_and_layers_never_skipped(kind: str, folder: Path) -> None:
    encoder = load(kind, folder)
    dropouts = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout")
    path = folder / "config.json"
    published = read_json(path)
    assert published["layerdrop"] > 0 and published["mask_time_prob"] > 0
    for module in encoder.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    assert all(hasattr(encoder.config, name) for name in dropouts)
    batch = noise([16000, 2000])  # of two frames' masks that are longer than it, transformers makes an error
    assert torch.equal(encoder.encode(*batch).features, encoder.eval().encode(*batch).features)
    assert not any("masked_spec_embed" in name for name, _ in encoder.named_parameters())


def test_settings_under_which_items_would_meet_are_refused(tmp_path: Path) -> None:
    for name, why in (("conv_pos_batch_norm", "would depend on its batch"), ("add_adapter", "drops frames")):
        kind = "wav2vec2-group" if name == "add_adapter" else "hubert-group"
        folder = tiny_folder(kind, tmp_path / name)
        (folder / "manifest.json").unlink()
        write_json(folder / "config.json", {**read_json(folder / "config.json"), name: True})
        with pytest.raises(DataError, match=f"{name} is true: .*{why}"):
            load(kind, folder)


# ---------------------------------------------------------------- WavLM's attention

# Of transformers' own attention, which gives torch masks of two types.
MIXED_MASKS = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning")


def attentions() -> tuple[WavLMAttention, GatedAttention]:
    """transformers' and ours, with the same random weights, in the first layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stock = WavLMAttention(24, 4, num_buckets=32, max_distance=50).eval()
        torch.nn.init.normal_(stock.rel_attn_embed.weight, std=2.0)
        torch.nn.init.normal_(stock.gru_rel_pos_const)
    ours = WavLMAttention(24, 4, num_buckets=32, max_distance=50).eval()
    ours.load_state_dict(stock.state_dict())
    GatedAttention.take_over(ours)
    assert isinstance(ours, GatedAttention)
    return stock, ours


def masks(is_seen: Tensor) -> Tensor:
    return torch.zeros(is_seen.shape).masked_fill(~is_seen, -torch.inf)[:, None, None]


@pytest.mark.parametrize("num_frames", [1, 7, 120])
def test_the_bias_of_positions_is_transformers_own(num_frames: int) -> None:
    stock, ours = attentions()
    assert torch.equal(ours.relative_bias(num_frames), stock.compute_bias(num_frames, num_frames))


@MIXED_MASKS
@pytest.mark.parametrize("is_padded", [False, True])
def test_outputs_and_gradients_are_transformers_own(is_padded: bool) -> None:
    stock, ours = attentions()
    states = torch.randn(3, 60, 24, generator=torch.Generator().manual_seed(1))
    ends = torch.tensor([60, 40, 12])
    is_seen = torch.arange(60) < ends[:, None]
    theirs, _, bias = stock(states, attention_mask=is_seen if is_padded else None)
    mine, _, my_bias = ours(states, attention_mask=masks(is_seen) if is_padded else None)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    direction = torch.randn(mine.shape, generator=torch.Generator().manual_seed(2))
    for output in (theirs, mine):
        (output * direction).sum().backward()
    for (name, one), other in zip(ours.named_parameters(), stock.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4, msg=name)
    # A later layer is handed the bias; theirs has a copy of it for each item.
    next_theirs, _, _ = stock(states, attention_mask=is_seen if is_padded else None, position_bias=bias)
    next_mine, _, _ = ours(states, attention_mask=masks(is_seen) if is_padded else None, position_bias=my_bias)
    torch.testing.assert_close(next_mine, next_theirs, rtol=0, atol=1e-5)


@MIXED_MASKS
@torch.no_grad()
def test_padding_changes_nothing_of_a_whole_wavlm() -> None:
    """transformers' own, with its mask, beside ours: the same network, the same frames."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = WavLMConfig(
            **{"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24},
            **{"conv_dim": [8] * 3, "conv_kernel": [10, 8, 8], "conv_stride": [8, 8, 5], "initializer_range": 0.3},
            **{"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "num_buckets": 16},
            **{"feat_extract_norm": "layer", "do_stable_layer_norm": True, "max_bucket_distance": 30},
        )
        network = WavLMModel(config).eval()
    waveform, lengths = noise([16000, 9000])
    is_real = torch.arange(16000) < lengths[:, None]
    expected = network(waveform, attention_mask=is_real.long()).last_hidden_state
    found = ConvolutionalEncoder(network, 16000, do_normalize=False).encode(waveform, lengths)
    torch.testing.assert_close(found.features[~found.is_padding], expected[~found.is_padding], rtol=0, atol=1e-5)
    assert not torch.equal(found.layers[0], found.layers[1])


@pytest.mark.parametrize("name", ConvolutionalEncoder.lora_targets)
def test_an_adapter_on_any_target_learns(name: str, tmp_path: Path) -> None:
    """An adapter learns where its module is called, and moves what comes out."""
    encoder = load("wavlm-group", tiny_folder("wavlm-group", tmp_path / "m"))
    encoder.requires_grad_(False)
    batch = noise([16000, 9000])
    before = encoder.encode(*batch).features
    changes = []
    for module_name, module in [*encoder.named_modules()]:
        if module_name.endswith(f".{name}"):
            change = torch.nn.Linear(module.in_features, module.out_features, bias=False)
            module.register_forward_hook(lambda _, inputs, output, change=change: output + change(inputs[0]))
            changes.append(change)
    after = encoder.encode(*batch).features
    assert len(changes) == encoder.num_blocks
    assert (after - before).abs().max() > 1e-3
    (after * torch.randn(after.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert all(change.weight.grad.abs().max() > 1e-6 for change in changes)
