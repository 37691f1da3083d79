"""Pieces tile a clip, skip its pauses, and each has its own channel."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.evaluate.pieces import Pieces

RATE = 16000


@pytest.fixture
def two_clips(tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """2.3 s of noise with a pause in its second half second, and 0.3 s of noise."""
    generator = np.random.default_rng(0)
    long = 0.1 * generator.standard_normal(int(2.3 * RATE))
    long[RATE // 2 : RATE] = 0
    soundfile.write(tmp_path / "long.wav", long, RATE)
    soundfile.write(tmp_path / "short.wav", 0.1 * generator.standard_normal(int(0.3 * RATE)), RATE)
    table = pd.DataFrame(
        {"wav_path": ["long.wav", "short.wav"], "duration_sec": [2.3, 0.3], "mood": ["glad", "sad"]}, index=[5, 9]
    )
    return tmp_path, table


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def test_whole_clips_are_whole(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    pieces = Pieces(rows, root, RATE)
    assert len(pieces) == 2
    for index, name in enumerate(("long.wav", "short.wav")):
        assert np.array_equal(pieces[index], samples(root / name))


def test_pieces_tile_a_clip_without_its_pause_and_its_rest(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    pieces = Pieces(rows, root, RATE, piece_sec=0.5)
    assert pieces.table["wav_path"].tolist() == ["long.wav"] * 3 + ["short.wav"]
    assert (pieces.table["start"] / RATE).tolist() == [0.0, 1.0, 1.5, 0.0]
    assert pieces.table["mood"].tolist() == ["glad"] * 3 + ["sad"]
    assert [len(pieces[index]) / RATE for index in range(4)] == [0.5, 0.5, 0.5, 0.3]
    assert np.array_equal(pieces[1], samples(root / "long.wav")[RATE : RATE + RATE // 2])


def test_pieces_are_counted_at_the_rate_that_is_asked_for(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    pieces = Pieces(rows, root, 24000, piece_sec=0.5)
    assert pieces.table["start"].tolist() == [0, 24000, 36000, 0]
    assert len(pieces[0]) == 12000


def test_each_piece_has_a_channel_of_its_own_that_can_be_drawn_again(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    plain = Pieces(rows, root, RATE, piece_sec=0.5)
    one, again, other = (Pieces(rows, root, RATE, 0.5, through_channel=True, seed=seed) for seed in (0, 0, 1))
    for index in range(len(one)):
        assert one[index].shape == plain[index].shape
        assert np.array_equal(one[index], again[index])
        assert not np.array_equal(one[index], other[index])
        assert not np.array_equal(one[index], plain[index])
    responses = [np.abs(np.fft.rfft(one[index], RATE)) / np.abs(np.fft.rfft(plain[index], RATE)) for index in (0, 1)]
    assert np.median(np.abs(np.log(responses[0] / responses[1]))) > 0.1


def test_a_piece_does_not_depend_on_which_others_were_asked_for(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    both, one = (Pieces(each, root, RATE, 0.5, through_channel=True) for each in (rows, rows.iloc[1:]))
    assert np.array_equal(both[3], one[0])


def test_no_row_is_no_piece(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, rows = two_clips
    assert len(Pieces(rows.iloc[:0], root, RATE, piece_sec=0.5)) == 0
    assert len(Pieces(rows.iloc[:0], root, RATE)) == 0


# ------------------------------------------------------------------------ labelled stretches


def stretches(*places: tuple[float, float]) -> pd.DataFrame:
    rows = [{"wav_path": "long.wav", "start_sec": start, "end_sec": end} for start, end in places]
    return pd.DataFrame(rows).assign(duration_sec=[end - start for start, end in places])


@pytest.mark.parametrize("rate", [RATE, 24000, 8000])
def test_a_stretch_is_the_slice_of_its_file_at_any_rate(two_clips: tuple[Path, pd.DataFrame], rate: int) -> None:
    root, rows = two_clips
    whole = Pieces(rows.iloc[:1], root, rate)[0]
    pieces = Pieces(stretches((0.25, 0.5), (1.0, 2.3)), root, rate, are_stretches=True)
    assert pieces.table["start"].tolist() == [rate // 4, rate]
    for index, (first, last) in enumerate(((0.25, 0.5), (1.0, 2.3))):
        expected = whole[round(first * rate) : round(last * rate)]
        assert pieces[index].shape == expected.shape
        assert np.abs(pieces[index] - expected).max() < 1e-6


def test_stretches_are_cut_inside_themselves(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, _ = two_clips
    pieces = Pieces(stretches((1.0, 1.75), (2.0, 2.2), (0.6, 0.9)), root, RATE, piece_sec=0.5, are_stretches=True)
    assert (pieces.table["start"] / RATE).tolist() == [1.0, 2.0]  # the last one is a pause
    assert [len(pieces[index]) / RATE for index in range(2)] == [0.5, pytest.approx(0.2)]


def test_of_a_very_long_stretch_the_middle_is_heard(two_clips: tuple[Path, pd.DataFrame]) -> None:
    root, _ = two_clips
    soundfile.write(root / "long.wav", 0.1 * np.random.default_rng(1).standard_normal(40 * 8000), 8000)
    pieces = Pieces(stretches((1.0, 39.0)), root, 8000, are_stretches=True)
    assert np.array_equal(pieces[0], samples(root / "long.wav")[5 * 8000 : 35 * 8000])
