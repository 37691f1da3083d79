"""Names that say nothing: the same for the same names, in an order that is not theirs, and none left in a text."""

import pandas as pd
import pytest

from audiorig.data.pseudonyms import CorpusPseudonyms, Pseudonyms

NAMES = [f"family-{letter}" for letter in "abcdefghijklmnopqrst"]


def test_the_same_names_get_the_same_pseudonyms_in_any_order() -> None:
    given, again = Pseudonyms(NAMES), Pseudonyms([*reversed(NAMES), *NAMES])
    assert {name: given[name] for name in NAMES} == {name: again[name] for name in NAMES}
    assert sorted(given[name] for name in NAMES) == [f"participant-{number:02d}" for number in range(1, 21)]


def test_the_order_is_not_that_of_the_alphabet() -> None:
    """Twenty names in order by luck: one in 10^18. And another set deals all of them anew."""
    dealt = [Pseudonyms(NAMES)[name] for name in NAMES]
    assert dealt != sorted(dealt)
    without_one = Pseudonyms(NAMES[1:])
    assert [without_one[name] for name in NAMES[1:]] != dealt[1:]


def test_what_is_not_known_is_not_given_back() -> None:
    pseudonyms = Pseudonyms(["family-a", "unknown"], "home")
    assert pseudonyms["family-a"] == "home-01"
    assert pseudonyms["family-z"] == "home not listed"
    assert pseudonyms["unknown"] == "unknown"
    assert len(pseudonyms) == 1
    assert "unknown" not in pseudonyms


def test_more_than_99_names_have_numbers_of_equal_length() -> None:
    assert {len(Pseudonyms(map(str, range(150)))[str(name)]) for name in range(150)} == {len("participant-001")}


def _corpus() -> CorpusPseudonyms:
    rows = [
        ("Meyer-7/2024/day1.wav", "meyer", "day1"),
        ("Ortiz-9/2024/day1.wav", "ortiz", "day1"),
        ("Ortiz-9/2024/evening.wav", "ortiz", "evening"),
        ("raw/found.flac", "unknown", "found"),
    ]
    return CorpusPseudonyms(pd.DataFrame(rows, columns=["wav_path", "participant_id", "recording_id"]))


def test_a_file_is_a_recording_of_a_participant() -> None:
    names = _corpus()
    files = ["Meyer-7/2024/day1.wav", "Ortiz-9/2024/day1.wav", "Ortiz-9/2024/evening.wav", "raw/found.flac"]
    shown = [names.file(path) for path in files]
    assert len(set(shown)) == 4, "two homes that use one name are two recordings"
    assert shown[0].endswith(f" of {names.participants['meyer']}")
    assert shown[2].endswith(f" of {names.participants['ortiz']}")
    assert " of " not in shown[3]
    assert names.file("elsewhere.wav") == "file not listed"
    assert names.recording("day1").count("recording-") == 2


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("participant_id", "meyer", "participant-"),
        ("child", "ortiz", "participant-"),
        ("recording_id", "evening", "recording-"),
        ("wav_path", "Ortiz-9/2024/evening.wav", "recording-"),
        ("participant_id", "somebody", "not listed"),
        ("participant_id", "unknown", "unknown"),
        ("language", "nb", "nb"),
        ("note", "day of Meyer", "day of participant-"),
    ],
)
def test_values_of_columns(column: str, value: str, shown: str) -> None:
    assert _corpus().value(column, value).startswith(shown)


@pytest.mark.parametrize(
    "text",
    [
        "cannot open /data/homes/Ortiz-9/2024/evening.wav: no such file",
        "the MEYER family moved, ortiz did not",
        "folder Meyer-7 is short",
        "evening and day1.wav are noisy",
        "see meyer_2, 'evening'",
    ],
)
def test_no_name_is_left_in_a_text(text: str) -> None:
    shown = _corpus().scrubbed(text).lower()
    assert not any(name in shown for name in ("meyer", "ortiz", "evening", "day1", "/data/homes"))


@pytest.mark.parametrize("text", ["", "Recordings of 6 homes, raw.", "meyerbeer's evenings", "unknown participants"])
def test_other_words_stay(text: str) -> None:
    assert _corpus().scrubbed(text) == text


def test_short_names_are_left_to_structure() -> None:
    """A participant called 1 cannot be told from a number in a text, but is hidden where a column says so."""
    rows = [("1/a.wav", "1", "a"), ("2/b.wav", "2", "b")]
    names = CorpusPseudonyms(pd.DataFrame(rows, columns=["wav_path", "participant_id", "recording_id"]))
    assert names.scrubbed("1 seed of 2") == "1 seed of 2"
    assert names.value("participant_id", "1").startswith("participant-")


def test_paths_and_codes_of_two_characters_do_not_pass() -> None:
    files = pd.DataFrame({"wav_path": ["p1/a.wav"], "participant_id": ["P1"], "recording_id": ["a"]})
    names = CorpusPseudonyms(files)
    assert names.scrubbed("Home of P1, at /scratch/users/hansen/audio.") == "Home of participant-01, at a folder"
    assert names.scrubbed("a page of https://example.org/one/two") == "a page of https://example.org/one/two"
    assert names.scrubbed("in 1 of 2") == "in 1 of 2"
