"""HKU956: a record is a participant, a number and a song; what lies in its file is sniffed, and told."""

from pathlib import Path

import numpy as np
import pytest
from published_layouts import EMPTY, HKU_RECORDS, REPLAY, SIGNALS, SKIPPED, WITH_HEAD, hku_path, write_hku956

from audiorig.config import DatasetConfig
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.hku956 import read_links, read_traces, sniff_record
from audiorig.data.eda.published import Trace, list_files
from audiorig.data.eda.sniff import UnreadableTable, read_cells
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
ALWAYS = {"hku956-rate", "hku956-no-header"}


def read(root: Path, source_rate_hz: float | None = None) -> tuple[list[Trace], dict[str, list[str]]]:
    """Traces, and the files of what was assumed."""
    assumptions = Assumptions()
    settings = DatasetConfig(layout="hku956", source_rate_hz=source_rate_hz)
    traces = list(read_traces(list_files("hku956", settings, AudioRoot(root)), assumptions))
    return traces, {str(each["code"]): each["files"] for each in assumptions.as_list()}


def test_the_published_layout(tmp_path: Path) -> None:
    truth = write_hku956(tmp_path, with_audio=False)
    traces, assumed = read(tmp_path)
    found = {f"hku956/{trace.song}/{trace.subject}/{trace.take}": trace for trace in traces}
    assert len(found) == len(traces) == 13
    assert found.keys() == truth.keys()
    for (participant, number, song), seconds in HKU_RECORDS.items():
        name = f"hku956/{song}/{participant}/{number}"
        np.testing.assert_array_equal(found[name].samples, truth[name])
        assert (found[name].source_rate_hz, found[name].play_duration_sec) == (4, seconds)
        assert found[name].note == ""
    assert assumed == {
        "empty-file": [hku_path(*EMPTY)],
        "hku956-export-head": [hku_path(*WITH_HEAD)],
        "hku956-no-header": [SIGNALS],
        "hku956-rate": [SIGNALS],
    }
    of_replayed = {trace.take for trace in traces if (trace.subject, trace.song) == (REPLAY[0], REPLAY[2])}
    assert of_replayed == {0, 4}
    skipped = next(trace for trace in traces if (trace.subject, trace.take, trace.song) == SKIPPED)
    assert len(skipped.samples) / 4 == skipped.play_duration_sec == 11.0


@pytest.mark.parametrize(
    ("text", "samples", "rate_hz", "column", "codes"),
    [
        ("0.5\n0.25\n", [0.5, 0.25], None, "", set()),  # the first line is a sample
        ("nan\n0.25\n", [np.nan, 0.25], None, "", set()),
        ("EDA\n0.5\n0.25\n", [0.5, 0.25], None, "EDA", {"hku956-header"}),
        ("EDA\n", [], None, "EDA", {"hku956-header"}),
        ("", [], None, "", {"empty-file"}),
        (" \n\n", [], None, "", {"empty-file"}),
        ("1539066660.0\n4.0\n0.5\n0.25\n", [0.5, 0.25], 4, "", {"hku956-export-head"}),
        ("1539066660.0\n64\n0.5\n", [0.5], 64, "", {"hku956-export-head"}),
        ("1539066660.0\n0.5\n0.25\n", [0.5, 0.25], None, "", {"hku956-export-head"}),  # a sample is no rate
        ("1539066660.0\n", [], None, "", {"hku956-export-head"}),
        ("EDA\n1539066660.0\n4\n0.5\n", [0.5], 4, "EDA", {"hku956-header", "hku956-export-head"}),
        ("0,0.5\n1,0.25\n", [0.5, 0.25], None, "", {"hku956-columns"}),
        ("0,0.5,x\n1,0.25,y\n", [0.5, 0.25], None, "", {"hku956-columns"}),
        ("time,eda,temp\n0,0.5,33\n1,0.25,33\n", [0.5, 0.25], None, "eda", {"hku956-header", "hku956-columns"}),
        ("time;value\n0;0,5\n1;0,25\n", [0.5, 0.25], None, "value",
         {"hku956-header", "hku956-columns", "delimiter", "decimal-comma"}),
        (",EDA\n0,0.5\n1,0.25\n", [0.5, 0.25], None, "EDA", {"hku956-header", "hku956-columns"}),
        (",0\n0,0.5\n1,0.25\n", [0.5, 0.25], None, "0", {"hku956-header", "hku956-columns"}),
        (",\n0.5,\n", [np.nan, 0.5], None, "", {"hku956-columns"}),
        ("time,EDA_uS,temp\n0,0.5,33\n1,0.25,33\n", [0.5, 0.25], None, "EDA_uS",
         {"hku956-header", "hku956-columns"}),
        ("\ufeff0.5\r\n0.25\r\n", [0.5, 0.25], None, "", set()),
        ("0.5\nlost\n0.25\n", [0.5, np.nan, 0.25], None, "", {"words"}),
        ("0.5\n0.25", [0.5, 0.25], None, "", set()),
    ],
)  # fmt: skip
def test_sniffing(
    tmp_path: Path, text: str, samples: list[float], rate_hz: float | None, column: str, codes: set[str]
) -> None:
    path = tmp_path / "0_1.csv"
    path.write_bytes(text.encode())
    assumptions = Assumptions()
    record = sniff_record(read_cells(path, "0_1.csv", assumptions), "0_1.csv", assumptions)
    np.testing.assert_array_equal(record.samples, samples)
    assert np.isnan(record.rate_hz) if rate_hz is None else record.rate_hz == rate_hz
    assert record.column == column
    assert {str(each["code"]) for each in assumptions.as_list()} == codes


def test_words_only_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("version https://git-lfs.example/spec\noid sha256:0\nsize 1\n")
    with pytest.raises(UnreadableTable, match="no number in it; it begins with 'oid"):
        sniff_record(read_cells(tmp_path / "a.csv", "a.csv", Assumptions()), "a.csv", Assumptions())


def test_what_cannot_be_read_is_a_trace_with_a_note(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    (tmp_path / hku_path("hku1903", 0, "1240700")).write_bytes(b"\x89PNG\0\0")
    (tmp_path / hku_path("hku1904", 1, "55")).unlink()
    (tmp_path / hku_path("hku1904", 1, "55")).symlink_to("/etc/hostname")
    traces, _ = read(tmp_path)
    assert len(traces) == 13
    assert {(trace.subject, trace.take, trace.song): trace.note for trace in traces if trace.note} == {
        ("hku1903", 0, "1240700"): "no text: it holds bytes of value 0",
        ("hku1904", 1, "55"): "a link that leads out of the corpus",
    }
    assert all(trace.play_duration_sec > 0 for trace in traces)


def test_other_names_and_folders(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    folder = tmp_path / SIGNALS / "hku1903"
    (folder / "EDA/session 2").mkdir()
    (folder / "EDA/session 2/0_1240700.csv").write_text("1\n2\n")
    (folder / "EDA/song.v2.csv").write_text("1\n2\n")
    (folder / "EDA/12_a_b.csv").write_text("1\n2\n")
    (folder / "notes.csv").write_text("1\n2\n")
    traces, assumed = read(tmp_path)
    new = sorted((trace.song, trace.take) for trace in traces if len(trace.samples) == 2)
    assert new == [("1240700", 0), ("a_b", 12), ("song.v2", 0)]
    assert assumed["hku956-name"] == [f"{SIGNALS}/hku1903/EDA/song.v2.csv"]


def test_play_durations_of_older_copies_are_unknown(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    table = tmp_path / "3. AV_ratings.csv"
    table.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in table.read_text().splitlines()))
    for change in (lambda: None, table.unlink):
        change()
        traces, assumed = read(tmp_path)
        assert all(np.isnan(trace.play_duration_sec) for trace in traces)
        assert assumed["hku956-play-duration"] == ["3. AV_ratings.csv"]


def test_play_durations_that_disagree_are_told(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    table = tmp_path / "3. AV_ratings.csv"
    rows = table.read_text().splitlines()
    participant, number, song = SKIPPED
    changed = [
        f"{row[: row.rindex(',')]},24" if row.startswith(f"{participant},{number},{song},") else row for row in rows
    ]
    table.write_text("\n".join(changed))
    traces, assumed = read(tmp_path)
    assert assumed["hku956-length"] == [hku_path(*SKIPPED)]
    assert next(trace.play_duration_sec for trace in traces if trace.eda_path == hku_path(*SKIPPED)) == 24
    # Another numbering: a song that was heard once can be told, a replay cannot.
    table.write_text("\n".join([rows[0], *(row.replace(",", ",9", 1) for row in rows[1:])]))
    traces, assumed = read(tmp_path)
    unknown = {(trace.subject, trace.song) for trace in traces if np.isnan(trace.play_duration_sec)}
    assert unknown == {(REPLAY[0], REPLAY[2])}
    assert assumed["hku956-no-duration"] == [hku_path(REPLAY[0], number, REPLAY[2]) for number in (0, 4)]


def test_a_given_rate(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    traces, assumed = read(tmp_path, source_rate_hz=8.0)
    assert {trace.source_rate_hz for trace in traces} == {8.0}
    assert assumed["rate-given"] == [hku_path(*WITH_HEAD)]
    assert "hku956-rate" not in assumed


def test_links_are_there_for_songs(tmp_path: Path) -> None:
    write_hku956(tmp_path, with_audio=False)
    files = list_files("hku956", DatasetConfig(layout="hku956"), AudioRoot(tmp_path))
    assert read_links(files)["000123"] == "https://music.example/000123"
    (tmp_path / "2. original_song_audio.csv").unlink()
    assert read_links(list_files("hku956", DatasetConfig(layout="hku956"), AudioRoot(tmp_path))) == {}


def test_a_folder_without_records_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"physiological_signals: no CSV of traces; expected \{participant\}/EDA/"):
        read(tmp_path)
