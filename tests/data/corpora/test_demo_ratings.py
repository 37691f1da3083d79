"""Generated ratings: what is true of a clip is what is heard, and what is missing is missing at random."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import DemoRatingsCorpus
from audiorig.data.corpora import audio_extensions, demo_ratings, describe_clips
from audiorig.data.corpora.demo import VOICES
from audiorig.data.manifest import list_corpus, scan_corpus

RATE = demo_ratings.SAMPLE_RATE_HZ
# SHA-256 of the 16-bit samples of the first clip.
CLIP_SHA256 = "0433716d5b273204f8ec8caa2a2e7d32306fe496335a7b8363c9d6d562782691"


def settings(**more: float) -> DemoRatingsCorpus:
    return DemoRatingsCorpus(kind="demo-ratings", **more)


def table(**more: float) -> pd.DataFrame:
    return pd.DataFrame([vars(demo_ratings.describe(clip)) for clip in demo_ratings.plan_clips(settings(**more))])


# ------------------------------------------------------------------------ the plan


def test_20_voices_are_12_and_3_and_5_with_women_and_men_on_each_side() -> None:
    voices = demo_ratings.plan_voices(20)
    assert Counter(voice.side for voice in voices) == {"train": 12, "dev": 3, "test": 5}
    assert len({voice.name for voice in voices}) == 20
    for side in ("train", "dev", "test"):
        assert {voice.sex for voice in voices if voice.side == side} == {"f", "m"}


@pytest.mark.parametrize("num_voices", range(8, 25))
def test_a_voice_keeps_the_side_that_it_has_in_demo(num_voices: int) -> None:
    voices = demo_ratings.plan_voices(num_voices)
    assert len(set(voices)) == len(voices) == num_voices
    assert set(voices) <= set(VOICES)
    assert min(Counter(voice.side for voice in voices).values()) >= 2


def test_rate_pitch_and_loudness_vary_independently_of_each_other_and_of_the_voice() -> None:
    rows = table(clips_per_voice=100, missing_share=0.0)
    truth = rows[["rate_wpm", "pitch_semitones", "level_db"]]
    assert (np.abs(truth.corr().to_numpy() - np.eye(3)) < 0.09).all()
    assert (truth.groupby(rows["participant_id"]).mean().std() < 0.2 * truth.std()).all()
    for (low, high), column in zip(
        (demo_ratings.RATE_WPM, demo_ratings.PITCH_SEMITONES, demo_ratings.LEVEL_DB), truth, strict=True
    ):
        assert low <= truth[column].min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < truth[column].max() <= high


def test_features_are_the_upper_halves_and_effort_rises_with_each() -> None:
    rows = table(clips_per_voice=100, missing_share=0.0)
    assert (rows["is_fast"] == (rows["rate_wpm"] > 190)).mean() > 0.997  # a rounded 190.0 may be either
    assert (rows["is_high"] == (rows["pitch_semitones"] > 0)).mean() > 0.997
    assert (rows["is_loud"] == (rows["level_db"] > -32)).mean() > 0.997
    assert rows["effort"].value_counts(normalize=True).sort_index().index.tolist() == [1, 2, 3, 4, 5]
    assert rows["effort"].value_counts(normalize=True).between(0.15, 0.25).all()
    for column in ("rate_wpm", "pitch_semitones", "level_db"):
        means = rows.groupby("effort")[column].mean()
        assert means.is_monotonic_increasing
        assert 0.4 < rows["effort"].corr(rows[column], method="spearman") < 0.65  # none of the three tells it alone


def test_values_are_missing_at_random_and_no_others_change() -> None:
    whole, holed = table(clips_per_voice=100, missing_share=0.0), table(clips_per_voice=100)
    labels = list(demo_ratings.LABELS)
    missing = holed[labels].isna()
    assert missing.mean().between(0.13, 0.17).all()
    assert (np.abs(missing.corr().to_numpy() - np.eye(4)) < 0.09).all()
    assert np.abs(missing.corrwith(whole["effort"].astype(float))).max() < 0.09
    assert holed[labels].where(~missing, whole[labels]).astype(int).equals(whole[labels].astype(int))
    assert holed.drop(columns=labels).equals(whole.drop(columns=labels))
    assert table(clips_per_voice=4, missing_share=0.9)[labels].isna().mean(axis=None) > 0.8


def test_plan_is_the_same_again_and_another_with_another_seed() -> None:
    small = settings(num_voices=8, clips_per_voice=4)
    assert demo_ratings.plan_clips(small) == demo_ratings.plan_clips(small)
    assert demo_ratings.plan_clips(small) != demo_ratings.plan_clips(small.model_copy(update={"seed": 1}))


# ------------------------------------------------------------------------ what is heard


def _clip(**changes: float) -> demo_ratings.Clip:
    clip = demo_ratings.plan_clips(settings(num_voices=8, clips_per_voice=4))[0]
    return demo_ratings.Clip(**{**vars(clip), **changes})


def _pitch_hz(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Median over voiced frames of the strongest period."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), 960)[::320] * np.hanning(960)
    rhythms = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :960]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(960), 2048)) ** 2)[:960]
    rhythms = rhythms / np.maximum(window, 1e-2 * window[0]) * window[0]
    first, last = int(RATE / high_hz), int(RATE / low_hz)
    periods = first + rhythms[:, first:last].argmax(axis=1)
    voiced = rhythms[np.arange(len(frames)), periods] > 0.6 * np.maximum(rhythms[:, 0], 1e-3 * rhythms[:, 0].max())
    return float(np.median(RATE / periods[voiced]))


def test_a_clip_has_known_samples_and_depends_on_nothing_else() -> None:
    clip = _clip()
    samples = demo_ratings.render_clip(clip, seed=0)
    assert samples.dtype == np.int16
    assert len(samples) == round(clip.seconds * RATE)
    assert hashlib.sha256(samples.tobytes()).hexdigest() == CLIP_SHA256
    assert not np.array_equal(samples, demo_ratings.render_clip(clip, seed=1))


@pytest.mark.parametrize("voice", ["voice-f01", "voice-m01"])
def test_pitch_is_moved_by_so_many_semitones(voice: str) -> None:
    who = next(each for each in VOICES if each.name == voice)
    low, high = (90, 400) if who.sex == "f" else (50, 230)
    heard = {
        semitones: _pitch_hz(
            demo_ratings.render_clip(_clip(voice=who, pitch_semitones=semitones, rate_wpm=170.0, level_db=-25.0), 0),
            low, high,
        )
        for semitones in (-6.0, 0.0, 6.0)
    }  # fmt: skip
    for semitones in (-6.0, 6.0):
        assert 12 * np.log2(heard[semitones] / heard[0.0]) == pytest.approx(semitones, abs=1.2)


def test_level_is_met_and_the_loud_is_brighter() -> None:
    spectra = {}
    for level_db in (-42.0, -32.0, -22.0):
        samples = demo_ratings.render_clip(_clip(level_db=level_db), seed=0) / 32768
        assert 20 * np.log10(np.sqrt(np.mean(samples**2))) == pytest.approx(level_db, abs=0.3)
        power = np.abs(np.fft.rfft(samples)) ** 2
        hz = np.fft.rfftfreq(len(samples), 1 / RATE)
        spectra[level_db] = 10 * np.log10(power[(hz > 1500) & (hz < 4000)].sum() / power[hz < 1000].sum())
    assert spectra[-42.0] < spectra[-32.0] < spectra[-22.0]


def test_a_fast_clip_says_more_in_as_much_time() -> None:
    slow, fast = (demo_ratings.render_clip(_clip(rate_wpm=rate, seconds=2.5), 0) for rate in (110.0, 270.0))
    assert len(slow) == len(fast) == 2.5 * RATE


@pytest.mark.slow
def test_the_longest_clip_of_the_fastest_voice_is_filled() -> None:
    for voice in demo_ratings.plan_voices(24):
        for seed in range(10):
            text = demo_ratings._draw_text(np.random.default_rng(seed))
            fastest = _clip(voice=voice, text=text, rate_wpm=demo_ratings.RATE_WPM[1], seconds=demo_ratings.CLIP_SEC[1])
            assert len(demo_ratings.render_clip(fastest, 0)) == 3 * RATE


def test_a_text_that_is_over_too_soon_is_told() -> None:
    with pytest.raises(ValueError, match=r"'Hush\.' lasts 0\.\d+ s, expected 2\.50 s"):
        demo_ratings.render_clip(_clip(text="Hush.", seconds=2.5), seed=0)


# ------------------------------------------------------------------------ what is written


def test_synthesize_writes_files_and_then_the_table(tmp_path: Path) -> None:
    made = settings(num_voices=8, clips_per_voice=4)
    demo_ratings.synthesize(made, tmp_path, num_workers=1)
    with (tmp_path / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "path", "participant_id", "sex", "side", "is_fast", "is_high", "is_loud", "effort",
        "rate_wpm", "pitch_semitones", "level_db",
    ]  # fmt: skip
    assert {row["path"] for row in rows} == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.wav")}
    assert {row["is_fast"] for row in rows} == {"", "0", "1"}
    assert {row["effort"] for row in rows} >= {"", "1", "3"}
    info = soundfile.info(tmp_path / rows[0]["path"])
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert audio_extensions(made) == (".wav",)
    described = describe_clips(made, tmp_path, scan_corpus(made, tmp_path, list_corpus(made, tmp_path), 1))
    assert described["effort"].tolist() == [row["effort"] for row in rows]
    assert described["participant_id"].nunique() == 8


def test_failed_clip_is_named_and_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text("of a run before")

    def fail(*_: object) -> None:
        raise ValueError("no voice today")

    monkeypatch.setattr(demo_ratings, "render_clip", fail)
    with pytest.raises(RuntimeError, match=r"voice-f01/clip-000\.wav: no voice today"):
        demo_ratings.synthesize(settings(num_voices=8, clips_per_voice=4), tmp_path, num_workers=1)
    assert not (tmp_path / "metadata.csv").exists()


@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one(tmp_path: Path) -> None:
    digests = []
    for num_workers in (1, 2):
        root = tmp_path / str(num_workers)
        demo_ratings.synthesize(settings(num_voices=8, clips_per_voice=4), root, num_workers)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 33
