"""The manifest: every audio file of a corpus once, sorted, with what its header says.

Columns: ``participant_id, recording_id, wav_path, duration_sec, sample_rate, channels,
file_size_bytes, sha1, codec, mtime_ns, archive_offset, archive_size, problem``; of a corpus in
object storage ``object_etag``; then the corpus' own. Paths are relative to the corpus' root, so the
same corpus gives the same bytes on every machine. A file that cannot be read keeps its row, with
empty fields; ``problem`` says why where the listing already knows, and validation where it takes a
look inside.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from audiorig.config import CorpusSection
from audiorig.data.corpora import audio_extensions, audio_folders, describe_clips, has_sidecars
from audiorig.data.entries import TAR, ScanOptions
from audiorig.data.listing import Listing, list_entries, list_stored
from audiorig.data.scan import is_sorted, load_memory, save_memory, scan_entries, sort_by_path
from audiorig.data.storage import ETAG, AudioRoot, as_root, remove_leftovers
from audiorig.errors import DataError
from audiorig.files import written_aside

HEADER_COLUMNS = ["duration_sec", "sample_rate", "channels", "file_size_bytes", "sha1",
                  "codec", "mtime_ns", "archive_offset", "archive_size", "problem"]  # fmt: skip
FIRST_COLUMNS = ["participant_id", "recording_id", "wav_path", *HEADER_COLUMNS]
PANDAS_TYPES = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.string(): pd.StringDtype()}


def build_manifest(
    corpus: CorpusSection, root: Path | AudioRoot, num_workers: int = 2, memory: Path | None = None
) -> pd.DataFrame:
    """List a corpus' files and read their headers.

    Args:
        root: of a corpus in object storage, every object is fetched whose copy is not there.
        num_workers: processes that read headers; the result does not depend on it.
        memory: file that the scan is kept in; what has not changed since is not opened again.

    Raises:
        DataError: if there is no audio at all.
        StorageError: if an object cannot be listed or fetched.
    """
    scan = scan_corpus(corpus, root, list_corpus(corpus, root), num_workers, memory)
    return assemble_manifest(corpus, root, [scan])


def list_corpus(corpus: CorpusSection, root: Path | AudioRoot) -> Listing:
    """Everything below root, or below its folders of audio, that is named like the corpus' audio."""
    root, extensions = as_root(root), audio_extensions(corpus)
    found = list_entries(root.folder, extensions) if root.url is None else list_stored(root.url, extensions)
    folders = audio_folders(corpus)
    return found if folders is None else found.within(folders)


def scan_corpus(
    corpus: CorpusSection, root: Path | AudioRoot, listing: Listing, num_workers: int, memory: Path | None = None
) -> pa.Table:
    """Headers of all entries of a listing, or of a shard of it; of stored ones, with a column ``object_etag``."""
    root = as_root(root)
    if listing.is_stored:
        remove_leftovers(root)
        objects = [each for path, each in listing.objects.items() if path not in listing.problems]
        root.fetch_all(objects, len(objects))
    members = tuple(name.lower() for name in audio_extensions(corpus) if name.lower() != TAR)
    options = ScanOptions(members, corpus.sha1, has_sidecars(corpus))
    known = load_memory(memory, options) if memory else None
    scan = scan_entries(root.folder, listing, options, known, num_workers)
    if memory and scan is not known:
        save_memory(scan, options, memory)
    return _with_etags(scan, listing) if listing.is_stored else scan


def _with_etags(scan: pa.Table, listing: Listing) -> pa.Table:
    """The state of the object that each row was read from: of a member of an archive the archive's."""
    holders = pc.coalesce(scan["archive"].cast(pa.large_string()), scan["wav_path"])
    etags = [each.etag if (each := listing.objects.get(name)) else None for name in holders.to_pylist()]
    return scan.append_column(ETAG, pa.array(etags, pa.string()))


def assemble_manifest(corpus: CorpusSection, root: Path | AudioRoot, scans: Iterable[pa.Table]) -> pd.DataFrame:
    """Join the scans of a corpus' shards with what else is known of its files.

    Raises:
        DataError: if there is no audio at all.
    """
    root = as_root(root)
    scan = sort_by_path(pa.concat_tables(scans))
    if table := getattr(corpus, "metadata", None):
        root.refreshed(table)
    clips = describe_clips(corpus, root.folder, scan)
    if clips.empty:
        raise DataError(f"{root}: no audio found; check root and extensions of the corpus")
    if not is_sorted(paths := _paths(clips)):
        clips = clips.take(pc.sort_indices(paths).to_numpy()).reset_index(drop=True)
        paths = _paths(clips)
    names = [name for name in (*HEADER_COLUMNS, ETAG) if name in scan.column_names]
    headers = scan.select(names)
    seconds = pc.divide(scan["num_frames"].cast(pa.float64()), scan["sample_rate"].cast(pa.float64()))
    headers = headers.add_column(0, "duration_sec", seconds)
    if not scan["wav_path"].equals(paths):  # the metadata names files that are not there
        headers = headers.take(pc.index_in(paths, value_set=scan["wav_path"]))
    own = clips.drop(columns=[*HEADER_COLUMNS, *names], errors="ignore")
    manifest = pd.concat([own, headers.to_pandas(types_mapper=PANDAS_TYPES.get)], axis=1)
    first = [*FIRST_COLUMNS, *(name for name in names if name not in FIRST_COLUMNS)]
    return manifest[[*first, *(column for column in manifest if column not in first)]]


def _paths(clips: pd.DataFrame) -> pa.ChunkedArray:
    return pa.Table.from_pandas(clips[["wav_path"]], preserve_index=False)["wav_path"].cast(pa.large_string())


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a parquet file, whole or not at all; equal tables give equal bytes."""
    with written_aside(path) as aside:
        table.to_parquet(aside, index=False, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    """A parquet table."""
    return pd.read_parquet(path)
