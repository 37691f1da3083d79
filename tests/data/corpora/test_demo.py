"""The generated corpus: a complete crossing, the same bytes every time, in any order."""

import csv
import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiorig.data.corpora import demo
from audiorig.data.corpora.espeak import speak


@dataclass(frozen=True)
class Settings:
    """Stands for `audiorig.config.DemoCorpus`."""

    seed: int = 0
    languages: tuple[str, ...] = demo.LANGUAGES
    probe_clips_per_cell: int = 4
    pretrain_clips_per_cell: int = 14


UTTERANCES = (
    ("The old teacher opened the window.", "en", "f1", 170, 50, 50),
    ("Der Lehrer öffnete das Fenster.", "de", "m3", 150, 45, 60),
    ("Он купил свежий хлеб.", "ru", "f5", 190, 58, 35),
    ("El maestro abrió la ventana.", "es", "f2", 170, 50, 50),
    ("A Klatt voice, which draws on rand.", "en", "adam", 170, 50, 50),
)
# SHA-256 of the 16-bit samples of the first probe clip of a test voice, by language.
CLIP_SHA256 = {
    "en": "7f387f5b5d9d26a8ef63367d193ee2808c09347781ae49632439bb7337216b3f",
    "de": "9bdcba25bdc38bc39b5095028a5968fac1a426eec50c96e36600a5f427e5cbbd",
    "fr": "d1bb17020d7a1612dbbe1486d3767c23312164cde8f05bf7057d32821ccc603f",
    "es": "c07875cbb0d4388b33767e59214d309e99daf78ffdc48d82d718b18ddcce6f82",
    "it": "066ba1facdae5f8cf4d40c5c6d99f6d2cb27ad7a5913c6fffa4422d50f78bff5",
    "ru": "d767439e3e2b545bae1fb40aec9dae0d2f242d142805ce9d95a715dfb748a793",
}
CORPUS_SHA256 = "2eafabbb09298bca7661af1beda4522ad98aa9772332f5f6f35465cc6ebbadb8"


def _digest(utterance: tuple[str, str, str, int, int, int]) -> str:
    samples, sample_rate_hz = speak(*utterance)
    assert sample_rate_hz == 22050
    return hashlib.sha256(samples.tobytes()).hexdigest()


def test_an_utterance_does_not_depend_on_those_before_it() -> None:
    alone = {utterance: _digest(utterance) for utterance in UTTERANCES}
    assert len(set(alone.values())) == len(UTTERANCES)
    a, b, c, d, e = UTTERANCES
    for utterance in (a, a, b, a, e, c, b, e, d, a, c, d):
        assert _digest(utterance) == alone[utterance]


def test_an_utterance_is_the_same_in_another_process() -> None:
    program = (
        "import hashlib, sys; from audiorig.data.corpora.espeak import speak;"
        "print(hashlib.sha256(speak(*eval(sys.argv[1]))[0].tobytes()).hexdigest())"
    )
    for utterance in UTTERANCES[1:3]:
        command = [sys.executable, "-c", program, repr(utterance)]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.stdout.strip() == _digest(utterance)


def test_unknown_voice_and_variant_are_named_and_leave_speaking_intact() -> None:
    before = _digest(UTTERANCES[0])
    with pytest.raises(ValueError, match=r"fr-fr\+f1"):
        speak("Bonjour.", "fr-fr")
    with pytest.raises(ValueError, match="nobody"):
        speak("Hello.", "en", "nobody")
    with pytest.raises(ValueError, match="no sound"):
        speak("", "en")
    assert _digest(UTTERANCES[0]) == before


def test_cast_has_14_4_and_6_voices_with_both_sexes() -> None:
    assert len({voice.name for voice in demo.VOICES}) == 24
    assert len({voice.variant for voice in demo.VOICES}) == 24
    sides = Counter((voice.side, voice.sex) for voice in demo.VOICES)
    assert sides == {
        ("train", "f"): 6, ("train", "m"): 8, ("dev", "f"): 2, ("dev", "m"): 2, ("test", "f"): 2, ("test", "m"): 4,
    }  # fmt: skip


def test_no_two_variants_sound_the_same() -> None:
    spoken = {_digest(("The old fisherman.", "en", voice.variant, 170, 50, 50)) for voice in demo.VOICES}
    assert len(spoken) == 24


@pytest.mark.parametrize("language", demo.LANGUAGES)
def test_sentence_material_is_complete(language: str) -> None:
    assert [len(set(parts)) for parts in demo.SENTENCES[language]] == [8, 8, 8]


def test_languages_and_voices_are_crossed() -> None:
    clips = demo.plan_clips(Settings())
    assert len(clips) == 576 + 1176
    assert clips == sorted(clips, key=lambda clip: clip.path)
    assert len({clip.path for clip in clips}) == len(clips)
    probe = Counter((clip.language, clip.participant_id) for clip in clips if clip.subset == "probe")
    assert set(probe.values()) == {4}
    assert len(probe) == 6 * 24
    pretrain = Counter((clip.language, clip.participant_id) for clip in clips if clip.subset == "pretrain")
    assert set(pretrain.values()) == {14}
    assert len(pretrain) == 6 * 14
    assert {clip.side for clip in clips if clip.subset == "pretrain"} == {"train"}


def test_plan_is_the_same_again_and_another_with_another_seed() -> None:
    assert demo.plan_clips(Settings()) == demo.plan_clips(Settings())
    assert demo.plan_clips(Settings()) != demo.plan_clips(Settings(seed=1))


def test_sentences_differ_within_a_cell_and_prosody_is_in_range() -> None:
    clips = demo.plan_clips(Settings(probe_clips_per_cell=16, pretrain_clips_per_cell=200))
    cells = Counter((clip.language, clip.participant_id, clip.sentence) for clip in clips)
    assert set(cells.values()) == {1}
    assert {clip.rate_wpm for clip in clips} == set(range(140, 201))
    assert {clip.pitch for clip in clips} == set(range(42, 59))
    assert {clip.range for clip in clips} == set(range(35, 66))


@pytest.mark.parametrize("num_clips", [1, 2, 3, 4, 5, 8])
def test_probe_clips_with_different_index_share_no_object(num_clips: int) -> None:
    clips = demo.plan_clips(Settings(probe_clips_per_cell=num_clips, pretrain_clips_per_cell=0))
    indices: dict[str, set[int]] = {}
    for clip in clips:
        (thing,) = [o for o in demo.SENTENCES[clip.language][2] if clip.sentence.endswith(f"{o}.")]
        indices.setdefault(f"{clip.language} {thing}", set()).add(clip.index)
    assert all(len(found) == 1 for found in indices.values())


def test_more_clips_than_sentences_and_unknown_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="513 clips wanted, expected at most 512"):
        demo.plan_clips(Settings(pretrain_clips_per_cell=509))
    with pytest.raises(ValueError, match="probe_clips_per_cell is 65"):
        demo.plan_clips(Settings(probe_clips_per_cell=65))
    with pytest.raises(ValueError, match=r"\['nl'\]"):
        demo.plan_clips(Settings(languages=("en", "nl")))


def _probe_clip(language: str, voice: str = "voice-f09") -> demo.Clip:
    settings = Settings(languages=(language,), pretrain_clips_per_cell=0)
    return next(c for c in demo.plan_clips(settings) if c.participant_id == voice and c.index == 0)


def test_clips_have_known_samples_in_any_order() -> None:
    for languages in (demo.LANGUAGES, demo.LANGUAGES[::-1]):
        for language in languages:
            samples = demo.render_clip(_probe_clip(language), seed=0)
            assert hashlib.sha256(samples.tobytes()).hexdigest() == CLIP_SHA256[language], language


def test_clip_is_speech_of_a_few_seconds_with_little_silence_around() -> None:
    clip = _probe_clip("en")
    samples = demo.render_clip(clip, seed=0)
    assert samples.dtype == np.int16
    assert 1.5 < samples.size / demo.SAMPLE_RATE_HZ < 4.5
    assert not np.array_equal(samples, demo.render_clip(clip, seed=1))


def test_synthesize_writes_files_and_then_the_table(tmp_path: Path) -> None:
    settings = Settings(languages=("fr",), probe_clips_per_cell=1, pretrain_clips_per_cell=1)
    demo.synthesize(settings, tmp_path, num_workers=1)
    with (tmp_path / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == demo.METADATA_COLUMNS
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert len(rows) == 24 + 14
    assert {row["path"] for row in rows} == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.wav")}
    info = soundfile.info(tmp_path / rows[0]["path"])
    assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
    assert not list(tmp_path.rglob("*.part"))


def test_failed_clip_is_named_and_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(languages=("fr",), probe_clips_per_cell=1, pretrain_clips_per_cell=0)
    (tmp_path / "metadata.csv").write_text("of a run before")

    def fail(clip: demo.Clip, seed: int) -> None:
        raise ValueError("no voice today")

    monkeypatch.setattr(demo, "render_clip", fail)
    with pytest.raises(RuntimeError, match=r"fr/voice-f01/probe-000\.wav: no voice today"):
        demo.synthesize(settings, tmp_path, num_workers=1)
    assert not (tmp_path / "metadata.csv").exists()


@pytest.mark.slow
def test_small_corpus_has_known_bytes_from_one_worker_or_two(tmp_path: Path) -> None:
    settings = Settings(languages=("en", "fr"), probe_clips_per_cell=1, pretrain_clips_per_cell=0)
    for num_workers in (1, 2):
        root = tmp_path / str(num_workers)
        demo.synthesize(settings, root, num_workers)
        digest = hashlib.sha256((root / "metadata.csv").read_bytes())
        for path in sorted(root.rglob("*.wav")):
            digest.update(soundfile.read(path, dtype="int16")[0].tobytes())
        assert digest.hexdigest() == CORPUS_SHA256
