"""Settings of audio2eda that do not fit together end in one sentence, before any job."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from audiorig.config import Audio2EdaRun, EdaConfig, MfccConfig, Run
from audiorig.config_files import Settings
from audiorig.errors import ConfigError

CONFIG = Path(__file__).parent.parent / "config"


def run(**changes: Any) -> Audio2EdaRun:
    found = Settings({"build": [], "mine": {"extends": "audio2eda", **changes}}, CONFIG).run("mine")
    assert isinstance(found, Audio2EdaRun)
    return found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model": {"encoder": {"kind": "transformer"}}},
            "model: encoder: skip_width is of kind wavenet",
        ),
        ({"model": {"encoder": {"kind": "wavnet"}}}, "model.encoder.kind is 'wavnet': expected wavenet or transformer"),
        ({"model": {"decoder": {"widt": 3}}}, "no setting 'model.decoder.widt'; did you mean width"),
        ({"model": {"encoder": {"stride": 4}}}, "stride is 4, and there are 25 frames of audio for each of the trace"),
        ({"eda": {"lowpass_hz": 2.0}}, "lowpass_hz is 2, not below half of the trace's 4 Hz"),
        ({"eda": {"target": "phasic", "highpass_hz": 1.5}}, "highpass_hz is 1.5, and nothing above 1 Hz is left"),
        ({"eda": {"target": "phasic", "highpass_hz": 2.0, "lowpass_hz": 0}}, "nothing above 2 Hz is left of a trace"),
        ({"eda": {"rate_hz": 99.0}, "audio": {"hop": 882}}, "rate_hz is 99, more than the 50 frames a second"),
        ({"audio": {"num_mfcc": 65}}, "num_mfcc is 65, more than the 64 mel bands"),
        ({"audio": {"hop": 4096}}, "hop is 4096, longer than the window of 2048"),
        ({"data": {"corpus": "demo"}}, "corpus 'demo' has by-voice"),
        (
            {"data": {"corpus": "demo", "split": "by-voice"}},
            "no listeners: expected a corpus of kind listeners or demo-eda",
        ),
        ({"train": {"momentum": 0.9}}, "momentum is 0.9, which is of sgd, and optimizer is adamw"),
        ({"train": {"warmup_steps": 240}}, "warmup_steps is 240, and max_steps 240: no step is left"),
        ({"train": {"keep_every_steps": 50}}, "keep_every_steps is 50, no multiple of save_steps (60)"),
        ({"train": {"precision": "fp16", "device": "cpu"}}, "precision is fp16 and device cpu"),
        (
            {"train": {"selection": {"metric": "dtw", "mode": "min"}}},
            "dev gives no 'dtw'; take one of total, mse, pearson",
        ),
        ({"train": {"selection": {"mode": "min"}}}, "of pearson more is better: set mode: max"),
        ({"probe": {"tasks": {"language": {"label": "language"}}}}, "here traces are scored"),
    ],
)
def test_what_does_not_fit_is_one_sentence(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(**changes)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_experiments_take_no_listeners() -> None:
    mine = {"extends": "wavemae", "data": {"corpus": "demo-eda", "split": "by-song"}}
    with pytest.raises(ConfigError, match="songs with listeners, which experiment audio2eda is for, not wavemae"):
        Settings({"build": [], "mine": mine}, CONFIG).run("mine")


def test_a_corpus_with_listeners_is_divided_by_songs_or_subjects() -> None:
    corpora = {"demo-eda": {"splits": {"by-song": {"group": "participant"}}}}
    with pytest.raises(ConfigError, match=r"by-song.group is 'participant': this corpus is divided by song or subject"):
        Settings({"build": [], "corpora": corpora}, CONFIG).run("audio2eda")


def test_bounds_of_checks_are_in_order() -> None:
    corpora = {"demo-eda": {"checks": {"min_microsiemens": 200}}}
    with pytest.raises(ConfigError, match="min_microsiemens is 200, not below max_microsiemens"):
        Settings({"build": [], "corpora": corpora}, CONFIG).run("audio2eda")


def test_names_of_private_subjects_stay_out_of_models() -> None:
    mine = {"extends": "audio2eda", "eda": {"normalize": "subject_z_train"}}
    corpora = {"demo-eda": {"private": True}}
    with pytest.raises(ConfigError, match="corpus 'demo-eda' is private: take trace_z or onset_delta"):
        Settings({"build": [], "mine": mine, "corpora": corpora}, CONFIG).run("mine")


def test_one_step_for_each_frame_of_the_features() -> None:
    found = run(audio={"window": 400, "hop": 160}, eda={"alignment": "mfcc_frames"}, model={"encoder": {"stride": 1}})
    assert found.frame_rate_hz == 275.625
    assert found.frames_per_step == 1


def test_no_filter_is_a_setting_that_reaches_the_stages() -> None:
    """A null would take away what was inherited, and leave the default's filter."""
    found = run(eda={"lowpass_hz": 0, "rate_hz": 1.0}, model={"encoder": {"stride": 5}})
    assert found.eda.lowpass_hz == 0
    of_key, _ = EdaConfig.of_key(found.eda.key(found.audio))
    assert of_key.lowpass_hz == 0


def test_a_stage_that_reads_no_model_is_not_told_of_its_stride() -> None:
    found = run(audio={"window": 400, "hop": 160}, eda={"rate_hz": 20.0}, model={"encoder": {"stride": 2}})
    for stage in ("data", "train", "probe"):  # those that a script reads alone
        assert isinstance(TypeAdapter(Run).validate_python(found.stage(stage)), Audio2EdaRun), stage
    with pytest.raises(ConfigError, match="stride is 5, and there are 14 frames"):
        run(audio={"window": 400, "hop": 160}, eda={"rate_hz": 20.0}, model=None)


def test_keys_of_features_say_all_that_they_depend_on() -> None:
    audio = MfccConfig(sample_rate_hz=22050, window=1024, hop=512, normalize="none")
    assert MfccConfig.of_key(audio.key) == audio
    eda = EdaConfig(lowpass_hz=0.0, highpass_hz=0.1, max_gap_sec=1.5, rate_hz=5.0)
    assert EdaConfig.of_key(eda.key(audio)) == (eda.model_copy(update={"rate_hz": 4.0}), 5.0)
    frames = eda.model_copy(update={"alignment": "mfcc_frames"})
    assert EdaConfig.of_key(frames.key(audio))[1] == audio.frame_rate_hz


@pytest.mark.parametrize("name", ["audio2eda-pmemo", "audio2eda-hku956", "audio2eda-example1", "audio2eda-example2"])
def test_every_delivered_run_is_well_formed(name: str) -> None:
    assert isinstance(Settings({"build": []}, CONFIG).run(name), Audio2EdaRun)
