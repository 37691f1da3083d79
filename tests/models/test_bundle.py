"""The bundle: small, whole, offline, and the same answers as the model that it was made of."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from peft import PeftModel
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiorig.config import Run, SeededConfig, SpeechTuneRun
from audiorig.data.targets import Target
from audiorig.errors import ConfigError, DataError
from audiorig.models import WaveMAE, WaveMAEConfig
from audiorig.models.answers import Decision, StepScale, answers_of
from audiorig.models.bundle import Bundle, load_bundle, pack, save_bundle
from audiorig.models.encoders.build import load_for_tuning
from audiorig.models.encoders.record import encoder_record
from audiorig.models.encoders.seeded import make_seeded
from audiorig.models.tuner import SpeechTuner
from audiorig.randomness import random_state_fence

RATE = 16000
LENGTHS = torch.tensor([16000, 9000, 5000])
CONVOLUTIONS: dict[str, Any] = {
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [8, 8, 5],
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
WHISPER: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 32,
    "vocab_size": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
TARGETS = (
    Target("reason", "class", "reason", classes=("hungry", "tired", "discomfort"), is_listed=True),
    Target("is_loud", "binary", "is_loud", positive=("1",), negative=("0",)),
    Target("effort", "rating", "effort", steps=(1.0, 2.0, 4.0), threshold=2.0),
)
KINDS: dict[str, dict[str, Any]] = {
    "reason": {"kind": "class", "classes": ["hungry", "tired", "discomfort"]},
    "is_loud": {"kind": "binary", "positive": ["1"], "negative": ["0"]},
    "effort": {"kind": "rating", "steps": [1, 2, 4], "threshold": 2},
}
DECISIONS = {"reason": Decision(), "is_loud": Decision(threshold=0.3), "effort": Decision()}
WAVEMAE: dict[str, Any] = {
    **{"width": 8, "depth": 2, "kernel": 3, "wide_kernel": 3},
    **{"decoder_width": 8, "decoder_kernel": 3},
}
PUBLISHED = ("wav2vec2", "hubert", "wavlm", "whisper")
FAMILIES = (*PUBLISHED, "wavemae")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with an encoder of each family."""
    root = tmp_path_factory.mktemp("project")
    for family in PUBLISHED:
        shape = WHISPER if family == "whisper" else CONVOLUTIONS
        make_seeded(SeededConfig(seeded=family, settings=shape), root / "pretrained" / f"tiny-{family}")
    with random_state_fence():
        torch.manual_seed(0)
        WaveMAE(WaveMAEConfig(16000, model=WAVEMAE)).save_pretrained(root / "pretrained" / "tiny-wavemae")
    return root


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules run in the project's folder."""
    monkeypatch.chdir(project)


def run_of(family: str = "wavlm", **settings: Any) -> SpeechTuneRun:
    plain: dict[str, Any] = {
        "experiment": "speechtune",
        "data": {"corpus": "secret-clinic", "split": "by-voice", "max_sec": 2.0, "level": "rms"},
        "encoder": {"family": family, "pretrained": f"tiny-{family}"},
        "targets": KINDS,
        **settings,
    }
    return SpeechTuneRun.model_validate(plain)


def tuned(run: SpeechTuneRun, folder: Path) -> SpeechTuner:
    """As after a training: everything that learns is another than before."""
    model = SpeechTuner.assemble(load_for_tuning(run.encoder, folder), run, TARGETS)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def packed(model: SpeechTuner, run: SpeechTuneRun, project: Path, folder: Path, **more: Any) -> Path:
    base = project / "pretrained" / str(run.encoder.pretrained)
    record = more.pop("record", None) or encoder_record(run.encoder, base)
    about: dict[str, Any] = {"thresholds": DECISIONS, "provenance": {"git_commit": "abc"}, "split_sha256": "12ab"}
    save_bundle(folder, model, run=run, encoder_record=record, **about | more)
    return folder


def waveforms() -> Tensor:
    noise = 0.1 * torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    return noise.where(torch.arange(16000) < LENGTHS[:, None], 0.0)


def said(bundle: Bundle | SpeechTuner) -> dict[str, Tensor]:
    with torch.no_grad():
        model = bundle.model if isinstance(bundle, Bundle) else bundle
        return dict(model(waveforms(), LENGTHS).logits)


TUNINGS: dict[str, dict[str, Any]] = {
    "frozen": {"tuning": {"learn": "nothing"}},
    "all": {"tuning": {"learn": "all"}, "pooling": {"kind": "mean_std", "layers": "weighted"}},
    "last": {"tuning": {"learn": "last", "num_last": 1}, "head": {"kind": "mlp", "separate": True}},
    "lora": {"tuning": {"learn": "nothing", "lora": {"rank": 2}}, "pooling": {"kind": "attention"}},
    "everything": {"tuning": {"learn": "last", "num_last": 1, "num_prompts": 3, "lora": {"rank": 2, "layers": [0]}}},
}


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_are_those_of_the_trained_model(project: Path, tmp_path: Path, family: str, tuning: str) -> None:
    settings = TUNINGS[tuning]
    if family == "wavemae" and settings["tuning"].get("num_prompts"):
        settings = {"tuning": {**settings["tuning"], "num_prompts": 0}}  # its convolutions have no place for them
    run = run_of(family, **settings)
    model = tuned(run, project / "pretrained" / f"tiny-{family}")
    bundle = load_bundle(packed(model, run, project, tmp_path / "bundle"))
    assert not bundle.model.training
    for name, logits in said(model).items():
        torch.testing.assert_close(said(bundle)[name], logits, rtol=0, atol=1e-6)


def test_what_is_in_it(project: Path, tmp_path: Path) -> None:
    run = run_of("wav2vec2", **TUNINGS["everything"])
    folder = packed(tuned(run, project / "pretrained/tiny-wav2vec2"), run, project, tmp_path / "bundle")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    adapter = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}
    assert files == {"bundle.json", "head.safetensors", "seal.json"} | adapter
    assert len({(folder / name).stat().st_mode for name in files}) == 1  # safetensors' own is for its owner alone
    weights = load_file(folder / "head.safetensors")
    of_encoder = {name for name in weights if name.startswith("encoder.")}
    assert of_encoder and all("encoder.layers.1." in name for name in of_encoder)  # the last of two, and no other
    assert {"prompts.values", "heads.heads.0.out_proj.weight"} <= set(weights)
    about = json.loads((folder / "bundle.json").read_text())
    assert about["encoder"]["hub_id"] == "seeded/wav2vec2" and about["encoder"]["name"] == "tiny-wav2vec2"
    assert len(about["encoder"]["weights_sha256"]) == 64 and len(about["encoder"]["revision"]) == 40
    assert about["targets"] == {
        "reason": ["hungry", "tired", "discomfort"],
        "is_loud": ["no", "yes"],
        "effort": ["1", "2", "4"],
    }
    assert about["thresholds"]["is_loud"]["threshold"] == 0.3
    assert about["reading"] == {"sample_rate_hz": 16000, "max_sec": 2.0, "trim_dbfs": None, "level": "rms"}
    assert (about["split_sha256"], about["provenance"], about["format"]) == ("12ab", {"git_commit": "abc"}, 1)
    text = (folder / "bundle.json").read_text()
    assert "secret-clinic" not in text and str(tmp_path) not in text


def test_from_what_a_run_leaves(project: Path, tmp_path: Path) -> None:
    """The rule's function: model/, scores with what dev chose, record of the training, tables of the split."""
    run = run_of("wav2vec2", **TUNINGS["lora"])
    base = Path("pretrained/tiny-wav2vec2")
    model = tuned(run, base)
    model.save_pretrained(tmp_path / "model")
    chosen = {"task": "is_loud", "system": "speechtune", "decision": Decision(threshold=0.7).to_dict()}
    (tmp_path / "scores.json").write_text(json.dumps([{"task": "reason"}, chosen]))
    record = {"base": encoder_record(run.encoder, base), "git_commit": "abc", "settings": {"data": "secret-clinic"}}
    (tmp_path / "training.json").write_text(json.dumps(record))
    for side in ("train", "dev", "test"):
        (tmp_path / f"{side}.parquet").write_text(side)
    files = {"model": tmp_path / "model", "scores": tmp_path / "scores.json", "training": tmp_path / "training.json"}
    pack(run, **files, base=base, split=tmp_path, output=tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "adapter").is_dir()
    torch.testing.assert_close(said(bundle)["reason"], said(model)["reason"], rtol=0, atol=1e-6)
    about = bundle.about
    assert about["thresholds"]["is_loud"]["threshold"] == 0.7 and about["thresholds"]["reason"]["threshold"] == 0.5
    assert about["split_sha256"]["dev"] == hashlib.sha256(b"dev").hexdigest()
    assert about["provenance"] == {"git_commit": "abc"}
    other = TypeAdapter(Run).validate_python({"experiment": "wavemae"})
    with pytest.raises(ConfigError, match="a run of wavemae tunes nothing"):
        pack(other, **files, base=base, split=tmp_path, output=tmp_path / "no")


def test_of_a_run_of_this_project(project: Path, tmp_path: Path) -> None:
    """Its training is what the bundle belongs to: one that was repeated with other results is another encoder."""
    base = project / "results" / "mae" / "model"
    shutil.copytree(project / "pretrained/tiny-wavemae", base)
    run = run_of("wavemae", **TUNINGS["lora"], encoder={"family": "wavemae", "run": "mae"})
    model = SpeechTuner.assemble(load_for_tuning(run.encoder, base), run, TARGETS).eval()
    folder = packed(model, run, project, tmp_path / "bundle", record=encoder_record(run.encoder, base))
    assert torch.equal(said(load_bundle(folder))["reason"], said(model)["reason"])
    weights = load_file(base / "model.safetensors")
    save_file({**weights, "norm.bias": weights["norm.bias"] + 1}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"expected those of the model of run 'mae', .* results/mae/model, or say"):
        load_bundle(folder)


def test_an_adapter_is_small(project: Path, tmp_path: Path) -> None:
    run = run_of("wavlm", **TUNINGS["lora"])
    folder = packed(tuned(run, project / "pretrained/tiny-wavlm"), run, project, tmp_path / "bundle")
    assert not [name for name in load_file(folder / "head.safetensors") if name.startswith("encoder.")]


def test_a_whole_encoder_needs_no_other(project: Path, tmp_path: Path) -> None:
    run = run_of("wav2vec2", **TUNINGS["all"])
    model = tuned(run, project / "pretrained/tiny-wav2vec2")
    folder = packed(model, run, project, tmp_path / "bundle")
    about = json.loads((folder / "bundle.json").read_text())
    about["encoder"]["folder"] = "pretrained/nowhere"
    rewrite(folder, about)
    bundle = load_bundle(folder)
    assert torch.equal(said(bundle)["reason"], said(model)["reason"])


def rewrite(folder: Path, about: dict[str, Any]) -> None:
    """Change bundle.json, and seal it as if it had been written so."""
    from audiorig.models.bundle import _seal

    (folder / "bundle.json").write_text(json.dumps(about))
    (folder / "seal.json").unlink()
    _seal(folder)


@pytest.mark.parametrize("name", ["bundle.json", "head.safetensors", "adapter/adapter_model.safetensors"])
def test_a_tampered_file_is_refused(project: Path, tmp_path: Path, name: str) -> None:
    run = run_of("wav2vec2", **TUNINGS["lora"])
    folder = packed(tuned(run, project / "pretrained/tiny-wav2vec2"), run, project, tmp_path / "bundle")
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{Path(name).name}: is not what was written"):
        load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{Path(name).name}: is gone"):
        load_bundle(folder)


def test_what_is_no_bundle_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no bundle: expected bundle\.json"):
        load_bundle(tmp_path)


def test_another_encoder_is_refused(project: Path, tmp_path: Path) -> None:
    run = run_of("wav2vec2", **TUNINGS["lora"])
    folder = packed(tuned(run, project / "pretrained/tiny-wav2vec2"), run, project, tmp_path / "bundle")
    other = tmp_path / "other"
    make_seeded(SeededConfig(seeded="wav2vec2", seed=1, settings=CONVOLUTIONS), other)
    with pytest.raises(DataError, match=r"other: found weights of SHA-256 .*expected those of tiny-wav2vec2, SHA"):
        load_bundle(folder, other)
    with pytest.raises(DataError, match="there is nothing here"):
        load_bundle(folder, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found no weights"):
        load_bundle(folder, tmp_path / "empty")


def test_the_encoder_is_found_from_the_bundle_or_from_here(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("wav2vec2", **TUNINGS["lora"])
    record = encoder_record(run.encoder, Path("pretrained/tiny-wav2vec2"))
    model = tuned(run, project / "pretrained/tiny-wav2vec2")
    folder = packed(model, run, project, project / "results" / "mine" / "seed-3" / "bundle", record=record)
    away = tmp_path / "bundle"
    folder.rename(tmp_path / "bundle")
    load_bundle(away)  # below the folder that we are in
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"tiny-wav2vec2.* is not at pretrained/tiny-wav2vec2: run `.* --forcerun seed_"
    ):
        load_bundle(away)
    away.rename(folder)
    load_bundle(folder)  # above the bundle
    load_bundle(folder, project / "pretrained/tiny-wav2vec2")


def test_a_bare_file_of_weights_will_do(project: Path, tmp_path: Path) -> None:
    """The run took a checkpoint instead of the folder's own weights."""
    base = project / "pretrained/tiny-wav2vec2"
    other = load_for_tuning(run_of("wav2vec2").encoder, base).untrained(5)
    checkpoint = tmp_path / "mine.safetensors"
    save_file(other.body.state_dict(), checkpoint)
    run = run_of(
        "wav2vec2",
        **TUNINGS["lora"],
        encoder={"family": "wav2vec2", "pretrained": "tiny-wav2vec2", "checkpoint": "$MODELS/mine.safetensors"},
    )
    model = SpeechTuner.assemble(load_for_tuning(run.encoder, base, checkpoint), run, TARGETS).eval()
    record = encoder_record(run.encoder, base, checkpoint)
    folder = packed(model, run, project, tmp_path / "bundle", record=record)
    assert torch.equal(said(load_bundle(folder, checkpoint))["reason"], said(model)["reason"])
    with pytest.raises(DataError, match="found weights of"):
        load_bundle(folder, base)
    # What is missing is the file, which no rule can fetch, and not the folder that gave the architecture.
    with pytest.raises(DataError, match=r"the file mine\.safetensors, is not at .*: say where it is"):
        load_bundle(folder)
    with pytest.MonkeyPatch.context() as patch:  # outside of the project: as the settings write it
        patch.setenv("MODELS", str(tmp_path))
        load_bundle(folder)


def test_answers_by_target(project: Path, tmp_path: Path) -> None:
    run = run_of("wavlm", **TUNINGS["lora"])
    model = tuned(run, project / "pretrained/tiny-wavlm")
    bundle = load_bundle(packed(model, run, project, tmp_path / "bundle"))
    padded = bundle.predict(waveforms(), LENGTHS)
    listed = bundle.predict([row[:length].numpy() for row, length in zip(waveforms(), LENGTHS.tolist(), strict=True)])
    logits = {name: each.numpy() for name, each in said(model).items()}
    for index, clip in enumerate(padded):
        assert list(clip) == ["reason", "is_loud", "effort"]
        for name, (answer, probabilities) in clip.items():
            assert sum(probabilities.values()) == pytest.approx(1)
            assert listed[index][name].answer == answer
            assert list(probabilities) == bundle.about["targets"][name]
        reason = answers_of(TARGETS[0], logits["reason"])
        assert clip["reason"].answer == TARGETS[0].classes[int(reason.predicted[index])]
        assert list(clip["reason"].probabilities.values()) == pytest.approx(reason.probabilities[index], abs=1e-5)
        loud = clip["is_loud"].probabilities["yes"]
        assert clip["is_loud"].answer == ("yes" if loud >= 0.3 else "no")
        effort = clip["effort"].probabilities
        expected = sum(step * share for step, share in zip((0, 1, 2), effort.values(), strict=True))
        assert clip["effort"].answer == pytest.approx(np.interp(expected, (0, 1, 2), (1, 2, 4)), abs=1e-6)
    alone = bundle.predict(waveforms()[:1])
    assert alone[0]["reason"].answer == padded[0]["reason"].answer


def test_a_rating_that_is_only_ranked_has_the_scale_of_dev(project: Path, tmp_path: Path) -> None:
    run = run_of("wavlm", targets={"effort": KINDS["effort"]}, losses=[{"name": "ranking"}])
    model = SpeechTuner.assemble(
        load_for_tuning(run.encoder, project / "pretrained/tiny-wavlm"), run, TARGETS[2:]
    ).eval()
    scale = StepScale((-1.0, 1.0), ((0.2, 1.0), (0.0, 0.5)))
    bundle = load_bundle(packed(model, run, project, tmp_path / "bundle", thresholds={"effort": Decision(scale=scale)}))
    score = said(model)["effort"][0, 0].item()
    high, top = np.interp(score, (-1, 1), (0.2, 1)), np.interp(score, (-1, 1), (0, 0.5))
    (found,) = bundle.predict(waveforms()[:1])
    assert list(found["effort"].probabilities.values()) == pytest.approx([1 - high, high - top, top], abs=1e-5)


def test_a_file_is_read_as_in_training(project: Path, tmp_path: Path) -> None:
    """Stereo at another rate, longer than max_sec: mixed, resampled, its middle taken, its level set."""
    run = run_of("wavlm", **TUNINGS["lora"])
    bundle = load_bundle(packed(tuned(run, project / "pretrained/tiny-wavlm"), run, project, tmp_path / "bundle"))
    noise = np.random.default_rng(0).standard_normal((int(3.0 * 24000), 2)).astype(np.float32)
    for name, gain in (("quiet.wav", 0.01), ("loud.wav", 0.1)):
        soundfile.write(tmp_path / name, gain * noise, 24000, subtype="FLOAT")
    quiet, loud = (bundle.predict_file(tmp_path / name) for name in ("quiet.wav", "loud.wav"))
    assert quiet["reason"].probabilities == pytest.approx(loud["reason"].probabilities, abs=1e-4)
    with pytest.raises(DataError, match=r"gone\.wav"):
        bundle.predict_file(tmp_path / "gone.wav")


def test_peft_reads_the_adapter(project: Path, tmp_path: Path) -> None:
    run = run_of("wav2vec2", **TUNINGS["lora"])
    base = project / "pretrained/tiny-wav2vec2"
    model = tuned(run, base)
    folder = packed(model, run, project, tmp_path / "bundle")
    peft = PeftModel.from_pretrained(load_for_tuning(run.encoder, base), folder / "adapter")
    with torch.no_grad():
        found = peft.get_base_model().encode(waveforms(), LENGTHS).features
        torch.testing.assert_close(found, model.encode(waveforms(), LENGTHS).features, rtol=0, atol=1e-6)


def test_writing_is_whole_or_nothing(project: Path, tmp_path: Path) -> None:
    run = run_of("wav2vec2", **TUNINGS["lora"])
    model = tuned(run, project / "pretrained/tiny-wav2vec2")
    folder = packed(model, run, project, tmp_path / "bundle")
    before = (folder / "seal.json").read_bytes()
    with pytest.raises(TypeError):
        packed(model, run, project, folder, provenance={"no": object()})
    assert (folder / "seal.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    packed(model, run, project, folder)
    assert (folder / "seal.json").read_bytes() == before  # the same bytes from the same model
