"""Emilia and Emilia-YODAS: speech from the open web in six languages, in every layout people hold.

- tables: ``metadata/*.csv`` beside the audio, wherever the audio lies;
- the first publication: ``EN/EN_B00000.jsonl`` beside ``EN/EN_B00000/EN_B00000_S00000/mp3/…``;
- the present one: WebDataset archives ``EN/EN-B000000.tar`` of ``ID.mp3`` and ``ID.json``, unpacked
  or not.

All are told apart by what lies there, and joined by the clip's id, which is its file name:
``EN_B00000_S00000_W000000`` is language, batch, source and utterance. What stands in a table goes
before what stands in a JSONL file, and that before a clip's own JSON.

Three things in the data are estimates of programs. Speakers come from diarisation within one
source: one person gets as many ids as they have sources, sometimes two in one, and a clip can hold
several people. ``dnsmos`` is a network's idea of quality. Languages were recognised, not asked for.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from audiorig.config import EmiliaCorpus
from audiorig.data.corpora.folder import EXTENSION, UNKNOWN
from audiorig.errors import DataError

ID = r"^(?P<language>[A-Za-z]{2,3})_(?P<batch>B\d+)_(?P<source>S\d+)_(?P<utterance>W\d+)$"
# YODAS names speakers by video; clips of one video can have several sources in their ids.
VIDEO_SPEAKER = r"^(?P<video>.+)_SPEAKER_\d+$"
TABLES = ("metadata/*.csv", "*/metadata/*.csv")
LINES = ("*.jsonl", "*/*.jsonl", "metadata/*.jsonl")

# What people and the publishers call things, best first.
NAMES = {
    "id": ("id", "_id", "clip_id", "utt_id", "utterance_id", "key", "__key__",
           "path", "file", "file_name", "filename", "file_path", "filepath", "wav", "audio", "audio_path", "mp3"),
    "speaker": ("speaker", "speaker_id", "spk", "spk_id"),
    "language": ("language", "lang"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "dnsmos": ("dnsmos", "dnsmos_ovrl", "mos"),
    "phone_count": ("phone_count", "phoneCount", "num_phones"),
}  # fmt: skip
ABOUT = pa.schema(
    [(name, pa.large_string()) for name in ("id", "speaker", "language", "text")]
    + [("dnsmos", pa.float64()), ("phone_count", pa.int64())]
)
JOINT = pa.scalar("_", pa.large_string())
JSON_FIELDS = pa.schema(
    [(name, pa.float64() if field in ("dnsmos", "phone_count") else pa.large_string())
     for field, names in NAMES.items() for name in names]
)  # fmt: skip
BATCH = 1 << 16  # JSON files that are parsed at a time

log = logging.getLogger(__name__)


def describe_clips(corpus: EmiliaCorpus, root: Path, scan: pa.Table) -> pd.DataFrame:
    """What ids, tables and JSON say of the clips of a scan.

    Returns:
        ``wav_path``, ``participant_id`` (the speaker), ``recording_id`` (the source, or the video
        of YODAS: what a split must not divide), ``language``, ``batch``, ``dnsmos``,
        ``phone_count``, and ``text`` if it is kept.

    Raises:
        DataError: if a clip lies there twice, or a table cannot be read.
    """
    paths = _one_piece(scan["wav_path"])
    stems = pc.replace_substring_regex(paths, EXTENSION, r"\1")
    ids = pc.replace_substring_regex(stems, r"^.*/", "")
    parts = pc.extract_regex(ids, ID)
    _require_once(ids.filter(parts.is_valid()), paths.filter(parts.is_valid()))
    about = _about(corpus, root, ids, scan)
    known = about.take(pc.index_in(ids, value_set=about["id"]))
    if unused := pc.sum(pc.invert(pc.is_in(about["id"], value_set=ids))).as_py():
        log.warning("%s: %d rows of the metadata name clips that are not here", root, unused)
    field = {name: pc.struct_field(parts, name) for name in ("language", "batch", "source")}
    batch = pc.binary_join_element_wise(field["language"], field["batch"], JOINT)
    source = pc.binary_join_element_wise(batch, field["source"], JOINT)
    speaker = _given(known["speaker"])
    video = pc.struct_field(pc.extract_regex(speaker, VIDEO_SPEAKER), "video")
    columns = {
        "wav_path": paths,
        "participant_id": speaker.fill_null(UNKNOWN),
        "recording_id": pc.coalesce(video, source, stems),
        "language": pc.utf8_lower(pc.coalesce(_given(known["language"]), field["language"])).fill_null(""),
        "batch": batch.fill_null(""),
        "dnsmos": _one_piece(known["dnsmos"]),
        "phone_count": _one_piece(known["phone_count"]),
    }
    if corpus.keep_text:
        columns["text"] = _one_piece(known["text"]).fill_null("")
    types = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}
    return pa.table(columns).to_pandas(types_mapper=types.get)


def _about(corpus: EmiliaCorpus, root: Path, ids: pa.Array, scan: pa.Table) -> pa.Table:
    """All that is said of clips, one row an id and place; the first row of an id counts."""
    tables = [ABOUT.empty_table()]
    tables += [_read_csv(path) for path in _find(root, TABLES)]
    tables += [_read_lines(path) for path in _find(root, LINES)]
    tables += _read_sidecars(ids, scan["sidecar"])
    kept = ABOUT.names if corpus.keep_text else [name for name in ABOUT.names if name != "text"]
    return pa.concat_tables(table.select(kept) for table in tables).combine_chunks()


def _find(root: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})


def _read_csv(path: Path) -> pa.Table:
    try:
        with pa.csv.open_csv(path, parse_options=pa.csv.ParseOptions(newlines_in_values=True)) as reader:
            names = reader.schema.names
        table = pa.csv.read_csv(
            path,
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot read the metadata: {error}") from None
    called = {name: next((own for own in others if own in names), None) for name, others in NAMES.items()}
    if called["id"] is None:
        raise DataError(f"{path}: no column says which clip a row is about: expected one of {', '.join(NAMES['id'])}")
    columns = []
    for name, kind in zip(ABOUT.names, ABOUT.types, strict=True):
        own = called[name]
        texts = pa.nulls(len(table), pa.string()) if own is None else table[own].combine_chunks()
        if name == "id":
            texts = _id_of(texts)
        elif not pa.types.is_large_string(kind):
            texts = pa.array([_number(text, kind) for text in texts.to_pylist()], kind)
        columns.append(texts.cast(kind))
    return pa.table(columns, schema=ABOUT)


def _read_lines(path: Path) -> pa.Table:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the metadata: {error.strerror}") from None
    try:
        return _named(_parse(text))
    except pa.ArrowException:
        pass  # slowly, to see which line it is, or to read numbers that are texts
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            rows += [_mapping(line)] if line.strip() else []
        except ValueError:
            raise DataError(f"{path}: line {number} is no JSON object; fetch the file again, or remove it") from None
    return _table_of(rows)


def _read_sidecars(ids: pa.Array, sidecars: pa.ChunkedArray) -> Iterator[pa.Table]:
    """The JSON beside each clip, which is about the clip of its own name, whatever id it holds."""
    rows_with = np.flatnonzero(sidecars.is_valid().to_numpy())
    num_bad = 0
    for start in range(0, len(rows_with), BATCH):
        chosen = pa.array(rows_with[start : start + BATCH])
        clips, texts = ids.take(chosen), _one_piece(sidecars.take(chosen))
        try:
            table = _named(_parse("\n".join(texts.to_pylist()).encode()))
            if len(table) != len(clips):
                raise pa.ArrowInvalid("a file of several objects, or of none")
        except pa.ArrowException:
            found = [
                (clip, _mapping_or_none(text)) for clip, text in zip(clips.to_pylist(), texts.to_pylist(), strict=True)
            ]
            clips = pa.array([clip for clip, content in found if content is not None], clips.type)
            table = _table_of([content for _, content in found if content is not None])
            num_bad += len(texts) - len(table)
        yield table.set_column(0, "id", clips)
    if num_bad:
        log.warning("%d JSON files beside clips are damaged; what they say is not known", num_bad)


def _parse(text: bytes) -> pa.Table:
    """Objects of known fields, one behind the other; an Arrow error if one is not as it should be."""
    if not text.strip():
        return JSON_FIELDS.empty_table()
    parsing = pa.json.ParseOptions(
        explicit_schema=JSON_FIELDS, newlines_in_values=True, unexpected_field_behavior="ignore"
    )
    reading = pa.json.ReadOptions(use_threads=True, block_size=max(1 << 20, len(text) + 1))
    return pa.json.read_json(pa.BufferReader(text), read_options=reading, parse_options=parsing)


def _named(table: pa.Table) -> pa.Table:
    """The columns of ``ABOUT``, from whatever they are called."""
    columns = [pc.coalesce(*(table[name] for name in NAMES[field.name])).cast(field.type) for field in ABOUT]
    return pa.table([_id_of(_one_piece(columns[0])), *columns[1:]], schema=ABOUT)


def _mapping(text: str | bytes) -> Mapping[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("no object")
    return content


def _mapping_or_none(text: str) -> Mapping[str, Any] | None:
    try:
        return _mapping(text)
    except ValueError:
        return None


def _table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """As ``_named``, of objects that Python has read."""
    columns = []
    for name, kind in zip(ABOUT.names, ABOUT.types, strict=True):
        found = [next((row[key] for key in NAMES[name] if row.get(key) is not None), None) for row in rows]
        if pa.types.is_large_string(kind):
            values = pa.array([None if value is None else str(value) for value in found], kind)
            columns.append(_id_of(values) if name == "id" else values)
        else:
            columns.append(pa.array([_number(value, kind) for value in found], kind))
    return pa.table(columns, schema=ABOUT)


def _number(value: Any, kind: pa.DataType) -> float | int | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not np.isfinite(number):
        return None
    return int(number) if pa.types.is_integer(kind) else number


def _id_of(values: pa.Array) -> pa.Array:
    """The clip's id, of an id or a path."""
    names = pc.replace_substring_regex(values, r"^.*[/\\]", "")
    return pc.replace_substring_regex(names, r"(?i)\.(mp3|wav|flac|ogg|opus|json)$", "")


def _given(texts: pa.ChunkedArray) -> pa.Array:
    """Texts, null where they are empty."""
    texts = _one_piece(texts)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)


def _one_piece(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _require_once(ids: pa.Array, paths: pa.Array) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")[0]
    first, second, *_ = paths.filter(pc.equal(ids, twice)).to_pylist()
    raise DataError(
        f"clip {twice.as_py()} lies there twice: {first} and {second}; keep one of the layouts below root, "
        "or drop .tar or a format from the corpus' `extensions`"
    )
