"""PMEmo2019: every column of every file is a trace, joined with its song by name and never by order."""

import re
from pathlib import Path

import numpy as np
import pytest
from published_layouts import (
    DEAD,
    GAP,
    NOT_HEARD,
    PMEMO_SONGS,
    PMEMO_SUBJECTS,
    WITH_GAP,
    pmemo_text,
    pmemo_trace,
    write_pmemo,
)

from audiorig.config import DatasetConfig
from audiorig.data.eda.assumptions import Assumptions
from audiorig.data.eda.pmemo import SongNames, read_traces
from audiorig.data.eda.published import Trace, list_files
from audiorig.data.eda.times import read_clock
from audiorig.data.storage import AudioRoot
from audiorig.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::audiorig.data.eda.assumptions.AssumptionWarning")
ALWAYS = "pmemo2019-unit"


def read(
    root: Path, source_rate_hz: float | None = None, *, is_generated: bool = False
) -> tuple[list[Trace], set[str]]:
    """Traces, and codes of what was assumed beside the unit."""
    assumptions = Assumptions()
    settings = DatasetConfig(layout="pmemo2019", source_rate_hz=source_rate_hz)
    files = list_files("pmemo2019", settings, AudioRoot(root), is_generated=is_generated)
    traces = list(read_traces(files, assumptions))
    codes = {str(each["code"]) for each in assumptions.as_list()}
    assert (ALWAYS in codes) != is_generated
    return traces, codes - {ALWAYS}


def read_one(root: Path, text: str | bytes, **settings: float) -> tuple[list[Trace], set[str]]:
    """The traces of one file, of song 7."""
    (root / "EDA").mkdir(exist_ok=True)
    (root / "EDA/7_EDA.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return read(root, **settings)


def test_the_published_layout(tmp_path: Path) -> None:
    truth = write_pmemo(tmp_path, with_audio=False)
    traces, codes = read(tmp_path)
    found = {f"{trace.dataset}/{trace.song}/{trace.subject}/{trace.take}": trace for trace in traces}
    assert len(found) == len(traces) == 23
    assert found.keys() == truth.keys()
    for name, values in truth.items():
        np.testing.assert_array_equal(found[name].samples, values)
        assert found[name].source_rate_hz == found[name].time_rate_hz == 50
        assert (found[name].start_sec, found[name].note) == (0.0, "")
    assert codes == {"pmemo2019-prefix"}
    assert {trace.song for trace in traces} == PMEMO_SONGS.keys()  # all, annotated or not, with audio or without
    assert NOT_HEARD not in {(trace.song, trace.subject) for trace in traces}
    assert {trace.column for trace in traces if trace.song == "71"} == {f"EDA_{each}" for each in PMEMO_SUBJECTS}
    of_gap = next(trace for trace in traces if (trace.song, trace.subject) == WITH_GAP)
    assert np.flatnonzero(np.isnan(of_gap.samples)).tolist() == list(range(GAP.start, GAP.stop))
    assert len(np.unique(found[f"pmemo2019/{DEAD[0]}/{DEAD[1]}/0"].samples)) == 2


def test_order_and_missing_files_join_nothing_wrongly(tmp_path: Path) -> None:
    """1000 sorts before 9 as text: with 12 away, lists paired by order would be one off."""
    write_pmemo(tmp_path, with_audio=False)
    (tmp_path / "EDA/12_EDA.csv").unlink()
    traces, _ = read(tmp_path)
    assert [trace.song for trace in traces][:1] == ["1000"]
    for trace in traces:
        np.testing.assert_array_equal(trace.samples, pmemo_trace(trace.song, trace.subject))


def test_each_assumption_is_warned_of_once(tmp_path: Path) -> None:
    write_pmemo(tmp_path, with_audio=False)
    with pytest.warns(Warning) as caught:
        read(tmp_path)
    said = sorted(re.findall(r"^(\S+): .*\[(\S+);", str(each.message))[0] for each in caught)
    assert said == [("EDA", "pmemo2019-unit"), ("EDA/71_EDA.csv", "pmemo2019-prefix")]


ONE = {"100083": np.array([1.5, 2.5, 3.5, 4.5])}


@pytest.mark.parametrize(
    ("text", "expected", "codes"),
    [
        (pmemo_text(ONE).replace("time(s)", "Time"), ONE["100083"], {"pmemo2019-time"}),
        (pmemo_text(ONE).partition("\n")[2], ONE["100083"], {"pmemo2019-no-header", "pmemo2019-subject"}),
        ("100083\n1.5\n2.5\n", [1.5, 2.5], {"pmemo2019-no-time"}),
        (pmemo_text(ONE).replace("100083", "Anna"), ONE["100083"], {"pmemo2019-subject"}),
        (pmemo_text(ONE).replace("\n", ",\n"), ONE["100083"], set()),
        (pmemo_text(ONE).replace("2.5", "ERR"), [1.5, np.nan, 3.5, 4.5], {"words"}),
        (pmemo_text(ONE, rate_hz=100), ONE["100083"], {"rate-own"}),
        (pmemo_text(ONE) + "0.12,5.5\n", [1.5, 2.5, 3.5, 4.5, np.nan, np.nan, 5.5], {"times-gap"}),
        (pmemo_text(ONE) + "0.00,5.5\n", [1.5, 2.5, 3.5, 4.5, 5.5], {"times-disordered"}),
        (pmemo_text(ONE) + "9e9,5.5\n", [1.5, 2.5, 3.5, 4.5, 5.5], {"times-disordered"}),
        (pmemo_text(ONE).replace("0.02", "?"), ONE["100083"], {"times-missing"}),
        (pmemo_text(ONE).replace("0.00,", ","), ONE["100083"], {"times-missing"}),
        (pmemo_text(ONE).replace("0.06", "?"), ONE["100083"], {"times-missing"}),
        ("time(s),100083\n0.00,1.5\n", [1.5], {"rate-published"}),
        ("time(s),100083\n-1e308,1.5\n1e308,2.5\n", [1.5, 2.5], {"rate-published"}),
        ("time(s),100083\n0,1.5\n1e-320,2.5\n2e-320,3.5\n", [1.5, 2.5, 3.5], {"rate-published"}),
        ("time(s),100083\n", [], set()),
    ],
)
def test_files_unlike_the_published_ones(tmp_path: Path, text: str, expected: list[float], codes: set[str]) -> None:
    (trace,), found = read_one(tmp_path, text)
    np.testing.assert_array_equal(trace.samples, expected)
    assert found == codes
    assert trace.note == ""
    assert trace.start_sec == pytest.approx(0, abs=1e-9)
    assert trace.source_rate_hz == (100 if codes == {"rate-own"} else 50)


def test_a_given_rate_counts_and_a_contradiction_is_told(tmp_path: Path) -> None:
    (trace,), codes = read_one(tmp_path, pmemo_text(ONE), source_rate_hz=25.0)
    assert (trace.source_rate_hz, trace.time_rate_hz, codes) == (25.0, 50.0, {"rate-given"})
    (trace,), codes = read_one(tmp_path, pmemo_text(ONE, rate_hz=25), source_rate_hz=25.0)
    assert (trace.source_rate_hz, trace.time_rate_hz, codes) == (25.0, 25.0, set())


def test_a_start_that_is_not_the_songs(tmp_path: Path) -> None:
    (trace,), _ = read_one(tmp_path, pmemo_text(ONE, start_sec=15.5))
    assert (trace.start_sec, len(trace.samples)) == (15.5, 4)


def test_rounded_times_do_not_bend_the_rate(tmp_path: Path) -> None:
    """At 30 Hz times of two decimals go 0.03, 0.07, 0.10: most steps are a tenth too short."""
    columns = {"100083": np.arange(600.0)}
    (trace,), codes = read_one(tmp_path, pmemo_text(columns, rate_hz=30), source_rate_hz=30)
    assert trace.time_rate_hz == 30
    assert codes == set()
    clock = read_clock(np.round(np.arange(2000) / 31.25, 2), "a", Assumptions())
    assert clock.rate_hz == pytest.approx(31.25, rel=1e-3)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"ID3\0\0\0", "no text"),
        (b"time(s)\n0.00\n0.02\n", "no column of a subject beside 'time(s)'"),
        (b"time(s),\n0.00,\n0.02,\n", "no column of a subject beside 'time(s)'"),
        (b"time(s),100083\nversion,git\noid,sha\n", "no number in it; it begins with 'git'"),
    ],
)
def test_what_cannot_be_read_is_a_trace_with_a_note(tmp_path: Path, content: bytes, note: str) -> None:
    write_pmemo(tmp_path, with_audio=False)
    (*others,), _ = read(tmp_path)
    (*traces,), _ = read_one(tmp_path, content)
    (bad,) = [trace for trace in traces if trace.note]
    assert note in bad.note
    assert (bad.song, len(bad.samples)) == ("7", 0)
    assert len(traces) == len(others) + 1


def test_an_empty_file_and_an_empty_column_are_traces(tmp_path: Path) -> None:
    (trace,), codes = read_one(tmp_path, b"")
    assert (trace.song, trace.subject, len(trace.samples), trace.note) == ("7", "unknown", 0, "")
    assert codes == {"empty-file"}
    traces, codes = read_one(tmp_path, "time(s),100083,110414\n0,1,\n0.02,2,\n")
    assert [(trace.subject, len(trace.samples), trace.note) for trace in traces] == [
        ("100083", 2, ""),
        ("110414", 0, ""),
    ]
    assert codes == {"ends-early"}


def test_what_may_not_be_opened_is_a_trace_with_a_note(tmp_path: Path) -> None:
    write_pmemo(tmp_path, with_audio=False)
    (tmp_path / "secret_EDA.csv").symlink_to("/etc/hostname")
    (tmp_path / "EDA/5_EDA.csv").symlink_to("/etc/hostname")
    (tmp_path / "EDA/6_EDA.csv").symlink_to("6_EDA.csv")
    (tmp_path / "EDA/._9_EDA.csv").write_bytes(b"\0\5\x16")  # what an unpacker leaves
    traces, _ = read(tmp_path)
    assert {trace.song: trace.note for trace in traces if trace.note} == {
        "5": "a link that leads out of the corpus",
        "6": "a link to itself",
    }


def test_a_folder_without_traces_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"EDA: no CSV of traces; expected EDA/\{musicId\}_EDA\.csv"):
        read(tmp_path)
    settings = DatasetConfig(layout="pmemo2019", folder="PMEmo")
    with pytest.raises(
        DataError, match=r"PMEmo: there is no such folder.*set the corpus' root, or datasets\.mine\.fol"
    ):
        list_files("mine", settings, AudioRoot(tmp_path))


def test_nothing_is_assumed_of_generated_files(tmp_path: Path) -> None:
    (tmp_path / "EDA").mkdir()
    (tmp_path / "EDA/1_EDA.csv").write_text(pmemo_text(ONE))
    assert read(tmp_path, is_generated=True)[1] == set()


# ------------------------------------------------------------------------- songs


def names(root: Path, table: str | None) -> tuple[SongNames, Assumptions]:
    if table is not None:
        (root / "metadata.csv").write_text(table)
    assumptions = Assumptions()
    files = list_files("pmemo2019", DatasetConfig(layout="pmemo2019"), AudioRoot(root))
    return SongNames(files, assumptions), assumptions


def test_songs_are_joined_by_the_table(tmp_path: Path) -> None:
    songs, assumptions = names(tmp_path, "musicId,fileName\n1,2.mp3\n2,1.mp3\n007,bond.mp3\n")
    paths = ["chorus/1.mp3", "chorus/2.mp3", "chorus/more/bond.mp3"]
    assert [songs.song_of(path) for path in paths] == ["2", "1", "007"]
    assert assumptions.as_list() == []
    assert songs.song_of("chorus/bond.flac") == "007"
    assert songs.song_of("chorus/31.mp3") == "31"
    assert songs.song_of("chorus/007.mp3") == ""  # that song is another file
    assert {str(each["code"]) for each in assumptions.as_list()} == {"pmemo2019-extension", "pmemo2019-not-in-metadata"}


def test_songs_without_a_table_are_their_names(tmp_path: Path) -> None:
    songs, assumptions = names(tmp_path, None)
    assert songs.song_of("chorus/0031.mp3") == "0031"
    assert [each["code"] for each in assumptions.as_list()] == ["pmemo2019-no-metadata"]


def test_tables_of_songs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metadata\.csv: no column 'fileName' among musicId, name; expected PMEmo"):
        names(tmp_path, "musicId,name\n1,a\n")
    songs, assumptions = names(tmp_path, "musicId,fileName\n1,a.mp3\n2,a.mp3\n")
    assert songs.song_of("chorus/a.mp3") == "1"
    assert assumptions.count("pmemo2019-file-twice") == 1
