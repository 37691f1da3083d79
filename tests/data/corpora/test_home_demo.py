"""The generated homes: what the annotations say is what is to be heard, and the bytes are always the same."""

import csv
import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import HomeDemoCorpus, SplitConfig, ValidationConfig
from audiorig.data.audio import read_window
from audiorig.data.corpora import home_demo
from audiorig.data.corpora.home_demo import LANGUAGES, Recording, plan_homes, plan_recordings, render_recording
from audiorig.data.corpora.home_scene import Stretch
from audiorig.data.corpora.home_voices import SPEAKER_TYPES, cast_home
from audiorig.data.manifest import build_manifest
from audiorig.data.segments import read_segments
from audiorig.data.split import split_manifest
from audiorig.data.validate import validate_corpus
from audiorig.models.pitch.yin import FRAME_SAMPLES, VOICED_PERIODICITY, estimate_pitch

RATE = 16000
SMALL = HomeDemoCorpus(kind="home-demo", minutes=0.5)


# ------------------------------------------------------------------------ the plan


@pytest.mark.parametrize(("num_participants", "sides"), [(12, (6, 3, 3)), (14, (8, 3, 3)), (24, (12, 6, 6))])
def test_half_of_the_homes_are_for_training_and_each_side_has_every_language(
    num_participants: int, sides: tuple[int, int, int]
) -> None:
    homes = plan_homes(num_participants)
    assert len({home.name for home in homes}) == num_participants
    counts = Counter(home.side for home in homes)
    assert (counts["train"], counts["dev"], counts["test"]) == sides
    for side in counts:
        assert {home.language for home in homes if home.side == side} == set(LANGUAGES)
    assert abs(sum(home.channels == 2 for home in homes) - num_participants / 3) <= 1
    assert {(home.sample_rate_hz, home.channels) for home in homes} == {(44100, 2), (16000, 1)}


def test_recorder_and_format_do_not_give_away_language_or_side() -> None:
    homes = plan_homes(24)
    for trait in ("channels", "extension"):
        for given in ("language", "side"):
            seen = defaultdict(set)
            for home in homes:
                seen[getattr(home, given)].add(getattr(home, trait))
            assert {len(values) for values in seen.values()} == {2}, (trait, given)


def test_no_voice_is_on_two_sides_and_no_two_homes_have_the_same_people() -> None:
    homes = plan_homes(24)
    casts = {home: cast_home(0, home) for home in homes}
    assert all(tuple(cast) == SPEAKER_TYPES for cast in casts.values())
    sides = defaultdict(set)
    for home, cast in casts.items():
        for person in cast.values():
            sides[person.variant].add(home.side)
    assert {len(found) for found in sides.values()} == {1}
    people = [person for cast in casts.values() for person in cast.values()]
    assert len({(person.variant, person.pitch, person.shift) for person in people}) == len(people)


def test_three_training_homes_have_a_recording_with_a_defect_besides_a_good_one() -> None:
    recordings = plan_recordings(HomeDemoCorpus(kind="home-demo", recordings_per_participant=2))
    assert len(recordings) == 12 * 2 + 3
    assert [recording.path for recording in recordings] == sorted({recording.path for recording in recordings})
    bad = {recording.defect: recording.home for recording in recordings if recording.defect}
    assert set(bad) == set(home_demo.DEFECTS)
    assert len({home.name for home in bad.values()}) == 3
    assert {home.side for home in bad.values()} == {"train"}


# ------------------------------------------------------------------------ what is to be heard


def _of(channels: int, number: int = 0, minutes: float = 1.5) -> Recording:
    chosen = [each for each in plan_recordings(SMALL) if each.home.channels == channels and not each.defect]
    return replace(chosen[number], minutes=minutes)


Heard = tuple[np.ndarray, list[Stretch]]


@pytest.fixture(scope="module")
def heard() -> Heard:
    """A minute and a half of a home with one microphone."""
    return render_recording(_of(1), seed=0)


def test_a_recording_is_a_function_of_its_plan_and_the_seed(heard: Heard) -> None:
    samples, stretches = heard
    render_recording(_of(1, 1, minutes=0.1), seed=0)  # something else in between
    again, stretches_again = render_recording(_of(1), seed=0)
    assert hashlib.sha256(samples.tobytes()).digest() == hashlib.sha256(again.tobytes()).digest()
    assert stretches == stretches_again
    another, other_stretches = render_recording(_of(1), seed=1)
    assert stretches != other_stretches
    assert np.corrcoef(samples[:, 0], another[:, 0])[0, 1] < 0.1


def test_a_stereo_recording_has_two_different_channels() -> None:
    samples, stretches = render_recording(_of(2, minutes=0.25), seed=0)
    assert (samples.dtype, samples.shape) == (np.int16, (15 * 44100, 2))
    assert 0.5 < np.corrcoef(samples.T)[0, 1] < 0.999
    assert stretches


def test_stretches_do_not_overlap_and_half_of_the_time_nobody_speaks(heard: Heard) -> None:
    samples, stretches = heard
    length_ms = 1000 * len(samples) / RATE
    assert all(1000 <= each.offset_ms - each.onset_ms <= 4000 for each in stretches)
    assert all(first.offset_ms <= second.onset_ms for first, second in pairwise(stretches))
    assert stretches[0].onset_ms >= 0 and stretches[-1].offset_ms <= length_ms
    speech = sum(each.offset_ms - each.onset_ms for each in stretches if each.activity == "speech")
    assert 0.3 < speech / length_ms < 0.65
    kinds = Counter((each.activity, each.speaker_type) for each in stretches)
    assert set(kinds) == {("quiet", ""), *(("speech", speaker_type) for speaker_type in SPEAKER_TYPES)}
    assert all((each.language, each.distance) == ("", "") for each in stretches if each.activity == "quiet")
    words = [each for each in stretches if each.language]
    assert {each.language for each in words} == {_of(1).home.language}
    assert {each.distance for each in words} == {"near", "far"}
    assert {each.speaker_type for each in stretches if each.activity == "speech" and not each.language} == {"CHI"}


def _levels(samples: np.ndarray, stretches: list[Stretch]) -> np.ndarray:
    cut = [samples[each.onset_ms * RATE // 1000 : each.offset_ms * RATE // 1000] / 32768.0 for each in stretches]
    return np.array([10 * np.log10(np.mean(part**2)) for part in cut])


def test_speech_is_louder_than_its_absence_and_near_than_far(heard: Heard) -> None:
    samples, stretches = heard
    levels = {
        name: _levels(samples, [each for each in stretches if name in (each.activity, each.distance)])
        for name in ("speech", "quiet", "near", "far")
    }
    assert np.median(levels["speech"]) > np.median(levels["quiet"]) + 12
    assert np.min(levels["speech"]) > np.median(levels["quiet"]) + 3
    assert np.median(levels["near"]) > np.median(levels["far"]) + 8


def _pitch(samples: np.ndarray, stretches: list[Stretch]) -> float:
    """Median pitch of what is voiced, in hertz."""
    pitches = []
    for each in stretches:
        cut = samples[each.onset_ms * RATE // 1000 : each.offset_ms * RATE // 1000, 0] / np.float32(32768)
        frames = np.lib.stride_tricks.sliding_window_view(cut, FRAME_SAMPLES)[:: RATE // 100]
        hz, periodicity = estimate_pitch(frames, RATE, 60, 800)
        pitches.append(hz[periodicity > VOICED_PERIODICITY])
    return float(np.median(np.concatenate(pitches)))


def test_a_child_is_higher_than_a_mother_and_a_mother_than_a_father(heard: Heard) -> None:
    samples, stretches = heard
    hz = {
        speaker_type: _pitch(
            samples, [each for each in stretches if each.speaker_type == speaker_type and each.distance == "near"]
        )
        for speaker_type in SPEAKER_TYPES
    }
    assert hz["CHI"] > 1.2 * hz["FEM"], hz
    assert hz["FEM"] > 1.2 * hz["MAL"], hz


# ------------------------------------------------------------------------ the corpus


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.*")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first home and the defects, a few seconds each."""
    chosen = [each for each in plan_recordings(SMALL) if each.defect or each.path == "home-01/recording-1.flac"]
    root = tmp_path_factory.mktemp("tiny")
    (root / "home-99").mkdir()
    (root / "home-99/recording-1.wav").touch()  # of a larger plan
    (root / "home-99/mine.txt").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home_demo, "plan_recordings", lambda settings: [replace(each, minutes=0.3) for each in chosen])
        home_demo.synthesize(SMALL, root, num_workers=1)
    return root


def test_synthesize_writes_recordings_and_tables_and_removes_those_of_a_larger_plan(tiny: Path) -> None:
    with (tiny / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "participant_id", "side", "language", "device", "defect"]
    files = {path.relative_to(tiny).as_posix() for path in tiny.rglob("*.*")}
    assert files == {*(row["path"] for row in rows), "metadata.csv", "annotations.csv", "home-99/mine.txt"}
    info = soundfile.info(tiny / "home-01/recording-1.flac")
    assert (info.samplerate, info.channels, info.subtype) == (44100, 2, "PCM_16")
    with (tiny / "annotations.csv").open(newline="") as file:
        assert next(csv.reader(file)) == [
            "recording_filename", "segment_onset", "segment_offset", "speaker_type", "activity", "language", "distance",
        ]  # fmt: skip


def test_defects_get_their_reasons_and_only_the_clipped_one_is_kept(tiny: Path) -> None:
    problems, _, _ = validate_corpus(build_manifest(SMALL, tiny), tiny, ValidationConfig(), 1)
    found = {
        row["wav_path"].split("/")[1]: row["reason"] for _, row in problems.iterrows() if row["severity"] != "note"
    }
    assert found == {
        "clipped.wav": "clipping",
        "near-silent.wav": "near_silent",
        "truncated.wav": "truncated",
    }


def test_what_was_cut_off_has_no_annotations(tiny: Path) -> None:
    manifest = build_manifest(SMALL, tiny)
    (held,) = manifest.loc[manifest["defect"] == "truncated", "duration_sec"]
    assert held == pytest.approx(0.6 * 18, abs=0.01)
    annotations = pd.read_csv(tiny / "annotations.csv")
    last = annotations.groupby(annotations["recording_filename"].str.contains("truncated"))["segment_offset"].max()
    assert last[True] <= 1000 * held < last[False]
    assert len(read_segments(SMALL, tiny, manifest)) == len(annotations)


def test_a_recording_that_fails_is_named_and_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metadata.csv").write_text("of a run before")

    def fail(*_: object) -> None:
        raise ValueError("nobody at home")

    monkeypatch.setattr(home_demo, "render_recording", fail)
    with pytest.raises(RuntimeError, match=r"home-01/clipped\.wav: nobody at home"):
        home_demo.synthesize(SMALL, tmp_path, num_workers=1)
    assert not (tmp_path / "metadata.csv").exists()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[HomeDemoCorpus, Path]:
    """Twelve homes of half a minute, and the three defects."""
    root = tmp_path_factory.mktemp("home")
    home_demo.synthesize(SMALL, root, num_workers=2)
    return SMALL, root


@pytest.mark.slow
def test_one_worker_and_two_make_the_same_bytes_and_another_seed_others(
    corpus: tuple[HomeDemoCorpus, Path], tmp_path: Path
) -> None:
    settings, root = corpus
    home_demo.synthesize(settings, tmp_path / "one", num_workers=1)
    assert _digest(tmp_path / "one") == _digest(root)
    home_demo.synthesize(settings.model_copy(update={"seed": 1}), tmp_path / "other", num_workers=2)
    names = {path.relative_to(root) for path in root.rglob("*.*")}
    assert names == {path.relative_to(tmp_path / "other") for path in (tmp_path / "other").rglob("*.*")}
    same = [name for name in names if (root / name).read_bytes() == (tmp_path / "other" / name).read_bytes()]
    assert [str(name) for name in same] == ["metadata.csv"]


@pytest.mark.slow
def test_all_steps_up_to_the_split_and_the_segments_find_what_was_planned(
    corpus: tuple[HomeDemoCorpus, Path],
) -> None:
    settings, root = corpus
    manifest = build_manifest(settings, root)
    problems, stats, _ = validate_corpus(manifest, root, ValidationConfig())
    assert len(stats) == len(manifest) == 15
    errors = problems.loc[problems["severity"] == "error", "wav_path"].tolist()
    assert [Path(path).stem for path in sorted(errors)] == ["near-silent", "truncated"]
    sides = split_manifest(manifest, problems, SplitConfig(column="side", labels=("language",)), "by-participant")
    assert sides["train"]["defect"].tolist().count("clipped") == 1
    assert [rows["participant_id"].nunique() for rows in sides.values()] == [6, 3, 3]
    assert [rows["language"].nunique() for rows in sides.values()] == [3, 3, 3]
    segments = read_segments(settings, root, manifest).merge(manifest[["wav_path", "defect"]], on="wav_path")
    assert set(segments["wav_path"]) <= set(manifest["wav_path"])
    whole = segments[segments["defect"] == ""]
    assert set(whole["speaker_type"]) == {"", *SPEAKER_TYPES}
    assert whole.groupby("wav_path")["activity"].nunique().eq(2).all()
    levels = pd.Series(
        [
            10 * np.log10(np.mean(read_window(root / row.wav_path, *_samples(row), RATE).astype(float) ** 2))
            for row in whole.itertuples()
        ],
        index=whole.index,
    )
    medians = levels.groupby([whole["wav_path"], whole["activity"]]).median().unstack()
    assert (medians["speech"] > medians["quiet"] + 6).all()


def _samples(row: object) -> tuple[int, int]:
    start, end = (round(getattr(row, name) * RATE) for name in ("start_sec", "end_sec"))
    return start, end - start
