"""Archives are read where they lie: members are found by their offset, nothing is unpacked."""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiorig.config import FolderCorpus
from audiorig.data import scan
from audiorig.data.audio import read_window, source_of
from audiorig.data.manifest import build_manifest
from audiorig.data.tars import Member, list_members


def audio(num_samples: int, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    samples = 0.1 * np.random.default_rng(num_samples).standard_normal(num_samples)
    soundfile.write(buffer, samples, 16000, format=kind)
    return buffer.getvalue()


def pack(path: Path, members: dict[str, bytes], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **more) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def manifest_of(root: Path, memory: Path | None = None, **more: Any) -> pd.DataFrame:
    corpus = FolderCorpus(kind="folder", root=str(root), extensions=(".wav", ".flac", ".mp3", ".tar"), **more)
    return build_manifest(corpus, root, 1, memory).set_index("wav_path")


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_offset_points_at_the_members_bytes(tmp_path: Path, kind: int) -> None:
    deep = "/".join(["folder"] * 12) + "/a.mp3"  # longer than the name field of a header
    names = ["a.mp3", "b.WAV", "c.txt", deep] + (["ñ 日.mp3"] if kind != tarfile.USTAR_FORMAT else [])
    members = {name: os.urandom(100 + 700 * index) for index, name in enumerate(names)}
    path = pack(tmp_path / "x.tar", members, format=kind)
    found = [*list_members(path, (".mp3", ".wav"))]
    assert [member.name for member in found] == [name for name in names if name != "c.txt"]
    whole = path.read_bytes()
    for member in found:
        assert whole[member.offset : member.offset + member.size] == members[member.name]


@pytest.mark.parametrize("order", ["json first", "json last", "without"])
def test_a_members_json_is_that_of_its_own_stem(tmp_path: Path, order: str) -> None:
    members = {}
    for stem in ("a", "b", "c"):
        pair = [(f"{stem}.json", f'{{"id": "{stem}"}}'.encode()), (f"{stem}.mp3", b"x")]
        members |= dict({"json first": pair, "json last": pair[::-1], "without": pair[1:]}[order])
    path = pack(tmp_path / "x.tar", members)
    found = {member.name: member.sidecar for member in list_members(path, (".mp3",), with_sidecars=True)}
    expected = {f"{stem}.mp3": None if order == "without" else f'{{"id": "{stem}"}}' for stem in ("a", "b", "c")}
    assert found == expected


def test_links_folders_and_devices_inside_are_no_members(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in {"l.mp3": tarfile.SYMTYPE, "h.mp3": tarfile.LNKTYPE, "d.mp3": tarfile.DIRTYPE}.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert [*list_members(path, (".mp3",))] == []


def test_members_are_rows_with_their_place_and_what_their_header_says(tmp_path: Path) -> None:
    members = {"one.wav": audio(8000), "sub/two.flac": audio(24000, "FLAC"), "three.mp3": audio(32000, "MP3")}
    pack(tmp_path / "shards" / "x.tar", {**members, "notes.txt": b"no audio"})
    soundfile.write(tmp_path / "plain.wav", np.zeros(1600), 16000)
    rows = manifest_of(tmp_path, sha1=True)
    assert rows["duration_sec"].to_dict() == {
        "plain.wav": 0.1,
        "shards/x.tar/one.wav": 0.5,
        "shards/x.tar/sub/two.flac": 1.5,
        "shards/x.tar/three.mp3": 2.0,
    }
    assert rows["codec"].tolist() == ["pcm_s16", "pcm_s16", "flac", "mp3"] or rows["codec"].to_dict() == {
        "plain.wav": "pcm_s16",
        "shards/x.tar/one.wav": "pcm_s16",
        "shards/x.tar/sub/two.flac": "flac",
        "shards/x.tar/three.mp3": "mp3",
    }
    whole = (tmp_path / "shards" / "x.tar").read_bytes()
    for name, data in members.items():
        row = rows.loc[f"shards/x.tar/{name}"]
        assert row["file_size_bytes"] == row["archive_size"] == len(data)
        assert whole[row["archive_offset"] :][: row["archive_size"]] == data
        assert row["sha1"] == hashlib.sha1(data).hexdigest()
        assert row["mtime_ns"] == (tmp_path / "shards" / "x.tar").stat().st_mtime_ns
    assert pd.isna(rows.loc["plain.wav", "archive_offset"])


def test_a_window_of_a_member_is_that_of_the_unpacked_file(tmp_path: Path) -> None:
    data = audio(16000, "FLAC")
    pack(tmp_path / "x.tar", {"before.wav": audio(999), "a.flac": data})
    (tmp_path / "a.flac").write_bytes(data)
    row = manifest_of(tmp_path).loc["x.tar/a.flac"]
    source = source_of(tmp_path, "x.tar/a.flac", row["archive_offset"], row["archive_size"])
    expected = read_window(tmp_path / "a.flac", 4000, 3000, 16000)
    assert len(expected) == 3000
    np.testing.assert_array_equal(read_window(source, 4000, 3000, 16000), expected)


def test_of_two_members_of_one_name_the_last_counts_as_for_tar(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for num_samples in (1600, 3200):
            info = tarfile.TarInfo("a.wav")
            info.size = len(audio(num_samples))
            archive.addfile(info, io.BytesIO(audio(num_samples)))
    assert manifest_of(tmp_path)["duration_sec"].to_dict() == {"x.tar/a.wav": 0.2}


@pytest.mark.parametrize("damage", ["cut in data", "cut in header", "text", "empty", "gzip"])
def test_a_damaged_archive_is_a_row_and_its_whole_members_are_rows(tmp_path: Path, damage: str) -> None:
    path = pack(tmp_path / "x.tar", {"a.wav": audio(8000), "b.wav": audio(8000)})
    second = [*list_members(path, (".wav",))][1]
    whole = path.read_bytes()
    content = {
        "cut in data": whole[: second.offset + 100],
        "cut in header": whole[: second.offset - 300],
        "text": b"This is no archive.",
        "empty": b"",
        "gzip": b"\x1f\x8b" + bytes(2000),
    }[damage]
    path.write_bytes(content)
    rows = manifest_of(tmp_path)
    assert rows["problem"].dropna().to_dict() == {"x.tar": "unreadable_header"}
    is_cut = damage.startswith("cut")
    assert rows.index.tolist() == (["x.tar", "x.tar/a.wav"] if is_cut else ["x.tar"])


def test_names_inside_that_are_no_utf_8_are_shown(tmp_path: Path) -> None:
    pack(tmp_path / "x.tar", {os.fsdecode(b"caf\xe9.wav"): audio(1600)}, format=tarfile.GNU_FORMAT)
    rows = manifest_of(tmp_path)
    assert rows["duration_sec"].to_dict() == {"x.tar/caf\\xe9.wav": 0.1}  # an offset needs no name


def test_an_archive_that_has_not_changed_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = scan.read_entries
    monkeypatch.setattr(
        scan, "read_entries", lambda root, paths, options: opened.extend(paths) or read(root, paths, options)
    )
    root, memory = tmp_path / "root", tmp_path / "memory.arrow"
    for name in ("x", "y"):
        pack(root / f"{name}.tar", {f"{name}{index}.wav": audio(1600) for index in range(3)})
    soundfile.write(root / "plain.wav", np.zeros(1600), 16000)
    first = manifest_of(root, memory)
    assert sorted(opened) == ["plain.wav", "x.tar", "y.tar"]
    opened.clear()
    pd.testing.assert_frame_equal(manifest_of(root, memory), first)
    assert opened == []
    pack(root / "y.tar", {"other.wav": audio(1600)})
    again = manifest_of(root, memory)
    assert opened == ["y.tar"]
    assert again.index.tolist() == ["plain.wav", "x.tar/x0.wav", "x.tar/x1.wav", "x.tar/x2.wav", "y.tar/other.wav"]
    pd.testing.assert_frame_equal(again, manifest_of(root))
    (root / "x.tar").unlink()
    assert manifest_of(root, memory).index.tolist() == ["plain.wav", "y.tar/other.wav"]


def test_a_damaged_archive_is_opened_again(tmp_path: Path) -> None:
    root, memory = tmp_path / "root", tmp_path / "memory.arrow"
    path = pack(root / "x.tar", {"a.wav": audio(8000)})
    path.write_bytes(path.read_bytes()[:5000])
    first = manifest_of(root, memory)
    pd.testing.assert_frame_equal(manifest_of(root, memory), first)
    assert first["problem"].tolist() == ["unreadable_header"]


def test_a_member_is_plain_data() -> None:
    assert Member("a.mp3", 512, 3) == Member("a.mp3", 512, 3, None)
