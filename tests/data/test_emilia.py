"""Emilia in each layout that people hold gives the same rows; sources stay on one side of a split."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import SIDES, EmiliaCorpus, SplitConfig
from audiorig.data.manifest import FIRST_COLUMNS, build_manifest
from audiorig.data.split import split_manifest
from audiorig.errors import DataError

NONE = pd.DataFrame({"wav_path": [], "reason": [], "severity": []})


def record(language: str, source: int, utterance: int) -> dict[str, Any]:
    """What the publishers say of a clip of Emilia proper."""
    speaker = f"{language}_B00000_S{source:05d}"
    clip = f"{speaker}_W{utterance:06d}"
    return {
        "id": clip,
        "wav": f"{language}_B00000/{speaker}/mp3/{clip}.mp3",
        "text": f' He said, "{clip}",\nand went.',
        "duration": 3.0,
        "speaker": speaker,
        "language": language.lower(),
        "dnsmos": 3.0 + utterance / 10,
    }


RECORDS = [record(language, source, clip) for language in ("EN", "ZH") for source in range(3) for clip in range(2)]


@pytest.fixture(scope="module")
def mp3() -> bytes:
    buffer = io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).standard_normal(24000)
    soundfile.write(buffer, samples, 24000, format="MP3")
    return buffer.getvalue()


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def lay_out(root: Path, layout: str, mp3: bytes) -> Path:
    """The same twelve clips, as they are held here and there."""
    for language in ("EN", "ZH"):
        records = [one for one in RECORDS if one["language"] == language.lower()]
        folder = root / language
        match layout:
            case "tables":  # unpacked audio, wherever it lies, and CSV
                for one in records:
                    put(folder / "unpacked" / f"{one['id']}.mp3", mp3)
                table = pd.DataFrame(records).rename(columns={"id": "clip_id", "speaker": "speaker_id"})
                put(root / "metadata" / f"{language}.csv", table.drop(columns="wav").to_csv(index=False))
            case "lines":  # as first published
                for one in records:
                    put(folder / one["wav"], mp3)
                put(folder / f"{language}_B00000.jsonl", "\n".join(map(json.dumps, records)) + "\n")
            case "json":  # archives of today, unpacked
                for one in records:
                    put(folder / f"{language}-B000000" / f"{one['id']}.mp3", mp3)
                    put(folder / f"{language}-B000000" / f"{one['id']}.json", json.dumps(one))
            case "tar":
                folder.mkdir(parents=True)
                with tarfile.open(folder / f"{language}-B000000.tar", "w") as archive:
                    for one in records:
                        for kind, data in ((".json", json.dumps(one).encode()), (".mp3", mp3)):
                            info = tarfile.TarInfo(one["id"] + kind)
                            info.size = len(data)
                            archive.addfile(info, io.BytesIO(data))
    return root


def corpus(root: Path, **more: Any) -> EmiliaCorpus:
    return EmiliaCorpus(kind="emilia", root=str(root), **more)


def manifest_of(root: Path, **more: Any) -> pd.DataFrame:
    return build_manifest(corpus(root, **more), root, 1)


OWN = ["language", "batch", "dnsmos", "phone_count"]


@pytest.mark.parametrize("layout", ["tables", "lines", "json", "tar"])
def test_every_layout_gives_the_same_rows(tmp_path: Path, mp3: bytes, layout: str) -> None:
    manifest = manifest_of(lay_out(tmp_path, layout, mp3), keep_text=True)
    assert [*manifest] == [*FIRST_COLUMNS, *OWN, "text"]
    manifest.index = pd.Index([path.rsplit("/")[-1].removesuffix(".mp3") for path in manifest["wav_path"]])
    assert sorted(manifest.index) == sorted(one["id"] for one in RECORDS)
    for one in RECORDS:
        row = manifest.loc[one["id"]]
        assert row["participant_id"] == row["recording_id"] == one["speaker"]
        assert (row["language"], row["batch"], row["text"]) == (one["language"], one["id"][:9], one["text"])
        assert row["dnsmos"] == pytest.approx(one["dnsmos"])
        assert (row["codec"], row["sample_rate"]) == ("mp3", 24000)
        assert abs(row["duration_sec"] - 1.0) < 0.1  # of the audio, whatever the table says
    assert manifest["archive_offset"].notna().all() == (layout == "tar")
    assert manifest["phone_count"].isna().all()


def test_transcripts_are_left_out_unless_they_are_asked_for(tmp_path: Path, mp3: bytes) -> None:
    assert [*manifest_of(lay_out(tmp_path, "lines", mp3))] == [*FIRST_COLUMNS, *OWN]


def test_ids_alone_give_language_batch_and_source_but_no_speaker(tmp_path: Path, mp3: bytes) -> None:
    """In YODAS the third field of an id is no speaker."""
    put(tmp_path / "EN_B00012_S00345_W000006.mp3", mp3)
    put(tmp_path / "EN_B000012_S00345_W000006.mp3", mp3)  # six digits: YODAS
    put(tmp_path / "other.mp3", mp3)
    rows = manifest_of(tmp_path).set_index("wav_path")
    assert rows["participant_id"].unique().tolist() == ["unknown"]
    assert rows["recording_id"].tolist() == ["EN_B000012_S00345", "EN_B00012_S00345", "other"]
    assert rows["language"].tolist() == ["en", "en", ""]
    assert rows["batch"].tolist() == ["EN_B000012", "EN_B00012", ""]
    assert rows["dnsmos"].isna().all()


def test_a_video_of_yodas_is_one_source(tmp_path: Path, mp3: bytes) -> None:
    """Its speakers have ids by video; a split by the ids' third field would divide the video."""
    for source, speaker in ((7, 0), (8, 1), (9, 0)):
        clip = f"DE_B000000_S{source:05d}_W000000"
        video = "DE_wSq11-_bUgU" if source < 9 else "DE_other"
        about = {"_id": clip, "speaker": f"{video}_SPEAKER_{speaker:02d}", "language": "de", "phone_count": 21}
        put(tmp_path / f"{clip}.mp3", mp3)
        put(tmp_path / f"{clip}.json", json.dumps(about))
    rows = manifest_of(tmp_path)
    assert rows["recording_id"].tolist() == ["DE_wSq11-_bUgU", "DE_wSq11-_bUgU", "DE_other"]
    assert rows["participant_id"].tolist()[1] == "DE_wSq11-_bUgU_SPEAKER_01"
    assert rows["phone_count"].tolist() == [21, 21, 21]


@pytest.mark.parametrize("column", ["path", "file", "wav", "id"])
def test_tables_of_other_habits_are_understood(tmp_path: Path, mp3: bytes, column: str) -> None:
    clip = RECORDS[0]["id"]
    put(tmp_path / "EN" / f"{clip}.mp3", mp3)
    key = clip if column == "id" else f"/where/it/was/{clip}.wav"
    put(tmp_path / "metadata" / "all.csv", f"\ufeff{column},spk,lang,mos,phoneCount\r\n{key},p1,EN,not known,3.0\r\n")
    (row,) = manifest_of(tmp_path).to_dict("records")
    assert (row["participant_id"], row["language"], row["phone_count"]) == ("p1", "en", 3)
    assert pd.isna(row["dnsmos"])


def test_a_table_goes_before_lines_and_those_before_a_clips_own_json(tmp_path: Path, mp3: bytes) -> None:
    for number, one in enumerate(RECORDS[:3]):
        put(tmp_path / f"{one['id']}.mp3", mp3)
        put(tmp_path / f"{one['id']}.json", json.dumps({"speaker": "from json"}))
        if number < 2:
            line = json.dumps({"id": one["id"], "speaker": "from lines"}) + "\n"
            put(tmp_path / f"{number}.jsonl", line)
    put(tmp_path / "metadata" / "a.csv", f"id,speaker\n{RECORDS[0]['id']},from table\n")
    assert manifest_of(tmp_path)["participant_id"].tolist() == ["from table", "from lines", "from json"]


def test_rows_of_clips_that_are_not_here_are_counted_not_added(
    tmp_path: Path, mp3: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Few people hold the whole corpus."""
    root = lay_out(tmp_path, "lines", mp3)
    shutil.rmtree(root / "ZH" / "ZH_B00000")
    assert len(manifest_of(root)) == 6
    assert "6 rows of the metadata name clips that are not here" in caplog.text


def test_damaged_json_beside_a_clip_costs_only_what_it_says(
    tmp_path: Path, mp3: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for text, one in zip(['{"speaker": "p', "[1]", json.dumps({"speaker": "p1"})], RECORDS, strict=False):
        put(tmp_path / f"{one['id']}.mp3", mp3)
        put(tmp_path / f"{one['id']}.json", text)
    assert manifest_of(tmp_path)["participant_id"].tolist() == ["unknown", "unknown", "p1"]
    assert "2 JSON files beside clips are damaged" in caplog.text


def test_a_clip_that_lies_there_twice_is_named(tmp_path: Path, mp3: bytes) -> None:
    lay_out(tmp_path, "tar", mp3)
    lay_out(tmp_path / "unpacked", "json", mp3)
    first = RECORDS[0]["id"]
    with pytest.raises(
        DataError, match=rf"clip {first} lies there twice: EN/EN-B000000\.tar/{first}\.mp3 and unpacked/"
    ):
        manifest_of(tmp_path)
    assert len(manifest_of(tmp_path, extensions=(".mp3",))) == len(RECORDS)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("EN.jsonl", '{"id": "a"}\n{"id": \n', r"EN\.jsonl: line 2 is no JSON object"),
        ("EN.jsonl", "[]\n", r"EN\.jsonl: line 1 is no JSON object"),
        ("metadata/a.csv", "mood,speaker\nglad,p1\n", r"a\.csv: no column says which clip a row is about: .* clip_id"),
        ("metadata/a.csv", "id,speaker\na,b,c\n", r"a\.csv: cannot read the metadata"),
        ("metadata/a.csv", "", r"a\.csv: cannot read the metadata"),
    ],
)
def test_an_unreadable_table_is_a_sentence(tmp_path: Path, mp3: bytes, name: str, content: str, sentence: str) -> None:
    put(tmp_path / "a.mp3", mp3)
    put(tmp_path / name, content)
    with pytest.raises(DataError, match=sentence):
        manifest_of(tmp_path)


def test_no_source_is_on_two_sides(tmp_path: Path, mp3: bytes) -> None:
    manifest = manifest_of(lay_out(tmp_path, "tar", mp3))
    settings = SplitConfig(group="recording", stratify="language", shares=(0.34, 0.33, 0.33), min_groups=1)
    sides = split_manifest(manifest, NONE, settings, "by-source")
    sources = [set(sides[which]["recording_id"]) for which in SIDES]
    assert sum(map(len, sources)) == len(set().union(*sources)) == 6
    assert sum(len(side) for side in sides.values()) == len(RECORDS)
