"""Generated cries: who cries for what, what it sounds like, and that a split by clip gives the infant away."""

import csv
import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import DemoCriesCorpus, SplitConfig
from audiorig.config_files import Settings
from audiorig.data.corpora import audio_extensions, cry_synthesis, demo_cries, describe_clips
from audiorig.data.corpora.cry_synthesis import REASONS, USUAL, Manner
from audiorig.data.manifest import list_corpus, scan_corpus
from audiorig.data.split import split_manifest

CONFIG = Path(__file__).resolve().parents[3] / "config"
# SHA-256 of the 16-bit samples of the first clip of belly pain.
CLIP_SHA256 = "3d47b606ec24a2df987c835399d06d73f29d4759cc8d5474e9af5fe6c2140988"
SMALL = {"num_infants": 15, "num_clips": 60}
REASON_COUNTS = {"hungry": 300, "discomfort": 75, "tired": 60, "belly_pain": 30, "burping": 15}


def settings(**more: int) -> DemoCriesCorpus:
    return DemoCriesCorpus(kind="demo-cries", **more)


def table(**more: int) -> pd.DataFrame:
    """The plan as a manifest."""
    clips = demo_cries.plan_clips(settings(**more))
    return pd.DataFrame(
        {
            "wav_path": [clip.path for clip in clips],
            "participant_id": [clip.infant.name for clip in clips],
            "recording_id": [clip.path for clip in clips],
            "reason": [clip.reason for clip in clips],
            "duration_sec": 3.0,
        }
    )


# ------------------------------------------------------------------------ who cries for what


def test_reasons_are_20_to_1() -> None:
    rows = table()
    assert rows["reason"].value_counts().to_dict() == REASON_COUNTS
    assert rows["participant_id"].nunique() == 40
    assert rows["wav_path"].is_monotonic_increasing
    assert rows["wav_path"].is_unique


@pytest.mark.parametrize("more", [{}, {"seed": 7}, SMALL, {"num_infants": 100, "num_clips": 2000}])
def test_an_infant_has_one_main_reason_and_at_most_two_others(more: dict[str, int]) -> None:
    given = table(**more).groupby("participant_id")["reason"].value_counts().unstack(fill_value=0)
    assert (given > 0).sum(axis=1).between(1, 3).all()
    assert (given.max(axis=1) > 0.5 * given.sum(axis=1)).mean() > 0.7
    mains = demo_cries.plan_infants(more.get("seed", 0), more.get("num_infants", 40))
    assert given.idxmax(axis=1).to_dict() == mains or more == SMALL
    assert set(mains.values()) == set(demo_cries.CAUSES)


@pytest.mark.parametrize("num_clips", [60, 61, 100, 479, 480, 1000])
def test_clips_add_up(num_clips: int) -> None:
    counts = demo_cries.count_clips(num_clips)
    assert sum(counts.values()) == num_clips
    assert min(counts.values()) >= 1
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert sum(demo_cries.count_clips(640).values()) == 640
    assert demo_cries.count_clips(640) == {cause: 20 * share for cause, share in demo_cries.SHARES.items()}


def test_shares_are_met_as_nearly_as_whole_numbers_can() -> None:
    assert demo_cries.apportion(10, np.array([1.0, 1.0, 1.0])) == [4, 3, 3]
    assert demo_cries.apportion(7, np.array([5.0, 3.0, 2.0])) == [4, 2, 1]
    assert demo_cries.apportion(6, np.array([100.0, 1.0, 1.0])) == [4, 1, 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("corpus_seed", [0, 1])
def test_every_reason_is_on_every_side(seed: int, corpus_seed: int) -> None:
    delivered = Settings({}, CONFIG).corpus("demo-cries").splits
    rows = table(seed=corpus_seed)
    for name in ("by-infant", "by-clip"):
        split = delivered[name].model_copy(update={"seed": seed})
        sides = split_manifest(rows, pd.DataFrame({"wav_path": [], "reason": [], "severity": []}), split, name)
        counts = pd.DataFrame({side: part["reason"].value_counts() for side, part in sides.items()})
        assert len(counts) == 5
        assert counts.notna().all(axis=None), counts
        assert counts.loc["burping"].min() >= 2
        shared = set(sides["train"]["participant_id"]) & set(sides["test"]["participant_id"])
        assert len(shared) == 0 if name == "by-infant" else len(shared) > 30


# ------------------------------------------------------------------------ what it sounds like


def test_a_clip_has_known_samples_and_depends_on_nothing_else() -> None:
    first, second, *_ = (clip for clip in demo_cries.plan_clips(settings()) if clip.reason == "belly_pain")
    samples = cry_synthesis.render_cry(first.infant, first.reason, 0, first.path)
    assert samples.dtype == np.int16
    assert 2.0 <= len(samples) / cry_synthesis.SAMPLE_RATE_HZ <= 4.01
    assert hashlib.sha256(samples.tobytes()).hexdigest() == CLIP_SHA256
    for others in ((1, first.path), (0, second.path)):
        assert not np.array_equal(samples, cry_synthesis.render_cry(first.infant, first.reason, *others))


def test_infants_are_the_same_again_and_differ_from_each_other() -> None:
    infants = [cry_synthesis.draw_infant(0, f"infant-{number}") for number in range(200)]
    assert infants[3] == cry_synthesis.draw_infant(0, "infant-3")
    assert infants[3] != cry_synthesis.draw_infant(1, "infant-3")
    pitches = np.array([infant.f0_hz for infant in infants])
    assert pitches.min() >= 350
    assert pitches.max() <= 510
    assert pitches.std() > 30
    formants = np.array([infant.formants_hz for infant in infants])
    assert np.allclose(np.log(formants).std(axis=0), cry_synthesis.FORMANT_SPREAD, atol=0.03)
    assert (np.diff(formants, axis=1) > 0).all()


def test_a_burst_is_harmonic_at_the_pitch_that_was_asked_for() -> None:
    rate = cry_synthesis.SAMPLE_RATE_HZ
    infant = cry_synthesis.draw_infant(0, "infant-01")
    still = Manner(peak=0.5)  # no rise, no fall, not rough
    for semitones in (-2.0, 0.0, 2.0):
        sound = cry_synthesis.burst(infant, still.plus(Manner(pitch=semitones)), 1.0, np.random.default_rng(0))
        assert len(sound) == rate
        inner = sound[rate // 4 : 3 * rate // 4]
        rhythm = np.fft.irfft(np.abs(np.fft.rfft(inner, 2 * len(inner))) ** 2)[: rate // 250]
        period = rate // 700 + int(np.argmax(rhythm[rate // 700 :]))
        assert rate / period == pytest.approx(infant.f0_hz * 2 ** (semitones / 12), rel=0.04)
        assert rhythm[period] > 0.7 * rhythm[0]


def test_a_melody_rises_to_its_peak_and_falls_after_it() -> None:
    way = np.linspace(0, 1, 1001)
    for reason in REASONS.values():
        manner = USUAL.plus(reason)
        melody = cry_synthesis._melody(way, manner)
        assert melody.max() - melody[0] == pytest.approx(max(manner.rise, 0), abs=0.6)
        assert abs(melody.mean()) < 2
        if manner.rise > 1 and manner.fall > 1:
            assert way[melody.argmax()] == pytest.approx(manner.peak, abs=0.02)


def test_bursts_and_pauses_fill_a_clip() -> None:
    spread = np.random.default_rng(0)
    for _ in range(300):
        manner = USUAL.plus(cry_synthesis.draw_manner(spread), 3.0)
        rhythm = cry_synthesis._rhythm(manner, spread)
        assert 3 <= len(rhythm) <= 8
        assert 2.0 - 1e-9 <= sum(map(sum, rhythm)) <= 4.0 + 1e-9
        assert all(0.3 < burst <= 1.3 and 0.08 < pause < 0.5 for burst, pause in rhythm)


def test_manners_add_up() -> None:
    assert Manner(pitch=1, rough=2).plus(Manner(pitch=3, breath=1), 0.5) == Manner(pitch=2.5, rough=2, breath=0.5)
    assert set(REASONS) == set(demo_cries.CAUSES) == set(demo_cries.SHARES)


# ------------------------------------------------------------------------ what is written


def test_synthesize_writes_files_and_then_the_table(tmp_path: Path) -> None:
    made = settings(**SMALL)
    stale = tmp_path / "infant-01" / "cry-999.wav"
    stale.parent.mkdir()
    stale.touch()
    demo_cries.synthesize(made, tmp_path, num_workers=1)
    with (tmp_path / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == demo_cries.COLUMNS
    assert {row["path"] for row in rows} == {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.wav")}
    assert Counter(row["reason"] for row in rows)["hungry"] == 38
    assert not stale.exists()
    info = soundfile.info(tmp_path / rows[0]["path"])
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
    assert audio_extensions(made) == (".wav",)
    described = describe_clips(made, tmp_path, scan_corpus(made, tmp_path, list_corpus(made, tmp_path), 1))
    assert described["reason"].tolist() == [row["reason"] for row in rows]
    assert described["participant_id"].nunique() == 15


def test_failed_clip_is_named_and_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text("of a run before")

    def fail(*_: object) -> None:
        raise ValueError("no breath")

    monkeypatch.setattr(demo_cries, "render_cry", fail)
    with pytest.raises(RuntimeError, match=r"infant-01/cry-000\.wav: no breath"):
        demo_cries.synthesize(settings(**SMALL), tmp_path, num_workers=1)
    assert not (tmp_path / "metadata.csv").exists()


@pytest.mark.slow
def test_two_workers_write_the_bytes_of_one(tmp_path: Path) -> None:
    digests = []
    for num_workers in (1, 2):
        root = tmp_path / str(num_workers)
        demo_cries.synthesize(settings(**SMALL), root, num_workers)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 61


# ------------------------------------------------------------------------ the leak


@pytest.mark.slow
def test_a_split_by_clip_scores_high_and_one_by_infant_lower_and_above_chance() -> None:
    """A linear model on log-mel statistics: what the corpus is for."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    clips = demo_cries.plan_clips(settings())
    features = np.stack([_statistics(cry_synthesis.render_cry(c.infant, c.reason, 0, c.path)) for c in clips])
    reasons = np.array([clip.reason for clip in clips])
    rows = table()

    def recall(group: str, seed: int) -> float:
        split = SplitConfig(group=group, shares=(0.6, 0.15, 0.25), stratify="reason", seed=seed)
        sides = split_manifest(rows, pd.DataFrame({"wav_path": [], "reason": [], "severity": []}), split, "split")
        train, test = (rows["wav_path"].isin(sides[side]["wav_path"]).to_numpy() for side in ("train", "test"))
        model = LogisticRegression(class_weight="balanced", C=0.03, max_iter=500)
        model = make_pipeline(StandardScaler(), model).fit(features[train], reasons[train])
        return float(recall_score(reasons[test], model.predict(features[test]), average="macro"))

    by_infant, by_clip = (np.mean([recall(group, seed) for seed in range(5)]) for group in ("participant", "clip"))
    assert 0.35 < by_infant < 0.6
    assert by_clip > 0.8


def _statistics(samples: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of 40 bands, and of their change, (120,)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(4, 190, 41).astype(int))
    bands = np.log(np.stack([power[:, a:b].mean(1) for a, b in pairwise(edges)], 1) + 1e-8)
    return np.concatenate([bands.mean(0), bands.std(0), np.diff(bands, axis=0).std(0)])
