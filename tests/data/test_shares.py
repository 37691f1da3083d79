"""Shares add up, keep the cap, and are known answers where they can be worked out by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pytest

from audiorig.data.shares import Shares, cap, participants_of


@pytest.mark.parametrize(
    ("totals", "max_share", "expected"),
    [
        ([3, 1], 1.0, [0.75, 0.25]),  # no cap: by duration
        ([60, 2, 2], 0.5, [0.5, 0.25, 0.25]),
        ([50, 30, 10, 10], 0.35, [0.35, 0.35, 0.15, 0.15]),  # what the first gives up lifts the second above the cap
        ([8, 4, 2], 0.25, [1 / 3, 1 / 3, 1 / 3]),  # three cannot keep to a quarter
        ([8, 4, 2, 1], 0.25, [0.25, 0.25, 0.25, 0.25]),  # four can, in one way
        ([5, 0, 1], 0.6, [0.6, 0, 0.4]),
        ([5, 0, 1], 0.2, [0.5, 0, 0.5]),  # who has nothing to be heard has no share of it
        ([1, 1, 1, 1, 96], 0.0, [0.2, 0.2, 0.2, 0.2, 0.2]),
        ([1, 1, 1, 1], 0.4, [0.25, 0.25, 0.25, 0.25]),
        ([4, 3, 3], 0.4, [0.4, 0.3, 0.3]),  # just at the cap without being held down
    ],
)
def test_known_shares(totals: list[float], max_share: float, expected: list[float]) -> None:
    assert cap(np.array(totals, float), max_share) == pytest.approx(expected, abs=1e-12)


def test_of_any_totals_nobody_is_above_the_cap_and_those_below_keep_their_proportions() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        totals = generator.lognormal(0, 2, generator.integers(4, 60))
        max_share = generator.uniform(1 / len(totals), 1)
        shares = cap(totals, max_share)
        assert shares.sum() == pytest.approx(1)
        assert shares.max() <= max_share
        is_free = shares < max_share
        if is_free.any():
            factor = shares[is_free] / totals[is_free]
            assert factor == pytest.approx(np.full(len(factor), factor[0]))
            # Whoever is held down would have more than the cap by that factor.
            assert (totals[~is_free] * factor[0] >= max_share * (1 - 1e-9)).all()


def test_a_place_lies_in_the_recording_that_holds_it() -> None:
    """Participant 7 has rows 0 and 2 (half of all, by the cap), 9 has row 1; row 3 is never drawn."""
    shares = Shares(np.array([30.0, 10.0, 10.0, 0.0]), np.array([7, 9, 7, 9]), max_share=0.5)
    found = [shares.at(place) for place in (0.0, 0.1875, 0.374, 0.375, 0.4999, 0.5, 0.75, 0.9999)]
    assert [row for row, _ in found] == [0, 0, 0, 2, 2, 1, 1, 1]
    assert [way for _, way in found] == pytest.approx([0, 0.5, 0.374 / 0.375, 0, 0.1249 / 0.125, 0, 0.5, 0.9998])
    assert shares.at(1.0)[0] == 1  # to where a place just below may be rounded
    assert shares.participant_at(0.4) == (0.0, 0.5)
    assert shares.participant_at(0.5) == shares.participant_at(1.0) == (0.5, 1.0)


def test_even_places_give_each_participant_its_share_to_within_one() -> None:
    generator = np.random.default_rng(1)
    durations, owners = generator.exponential(100, 500), generator.integers(0, 23, 500)
    shares = Shares(durations, owners, max_share=0.06)
    expected = cap(np.bincount(owners, durations), 0.06)
    rows = [shares.at((index + 0.3) / 777)[0] for index in range(777)]
    counts = np.bincount(owners[rows], minlength=23)
    assert (np.abs(counts - 777 * expected) < 1 + 1e-9).all()


def test_every_row_is_drawn_by_its_duration_within_its_participant() -> None:
    durations, owners = np.array([1.0, 3.0, 4.0, 8.0]), np.array([0, 0, 0, 1])
    shares = Shares(durations, owners, max_share=0.5)
    rows = [shares.at((index + 0.5) / 1600)[0] for index in range(1600)]
    assert np.bincount(rows).tolist() == [100, 300, 400, 800]


def write(path: Path, **columns: object) -> Path:
    table = pa.table(columns)
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


def test_recordings_of_unknown_participants_stand_for_themselves(tmp_path: Path) -> None:
    people = ["anna", "unknown", "anna", "unknown", "unknown", None, "r1"]
    recordings = ["r0", "r1", "r2", "r1", "r3", "r4", "r5"]
    codes = participants_of(
        write(tmp_path / "a.arrow", wav_path=recordings, participant_id=people, recording_id=recordings)
    )
    groups = [{int(other) for other in np.flatnonzero(codes == code)} for code in codes]
    assert groups == [{0, 2}, {1, 3}, {0, 2}, {1, 3}, {4}, {5}, {6}]


def test_without_participants_each_recording_is_one(tmp_path: Path) -> None:
    codes = participants_of(write(tmp_path / "a.arrow", wav_path=["a", "b", "c"]))
    assert len(set(codes.tolist())) == 3
