"""Published models, fetched once at a pinned commit and checked byte for byte.

A cache folder is complete or absent: files are fetched into a hidden folder beside it, compared
with what the Hub states of that commit, and renamed into place. Only weights that cannot run
code are kept (safetensors) and the settings beside them. A pickle is fetched only where the
settings say ``convert``, and only to be written anew: it is gone before the folder is complete.
"""

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,  # of the HTTP library that huggingface_hub happens to use
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars

from audiorig.config import PretrainedConfig
from audiorig.data.pickled_weights import to_safetensors
from audiorig.errors import DataError
from audiorig.files import file_digest, flush_to_disk, read_json, write_json

MANIFEST = "manifest.json"
SUFFIXES = (".safetensors", ".json", ".txt")
PICKLE, CONVERTED = "pytorch_model.bin", "model.safetensors"
BESIDE = (MANIFEST, f"{MANIFEST}.provenance.json")  # written by us, not part of the model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stated:
    """What the Hub states of one file.

    Attributes:
        path: relative to the model's folder, with forward slashes.
        size: bytes.
        sha256: of the content, for files in large-file storage (weights).
        git_id: Git's object id, for all others.
    """

    path: str
    size: int
    sha256: str | None
    git_id: str | None


def fetch(settings: PretrainedConfig, folder: Path, endpoint: str | None = None) -> dict[str, Any]:
    """Bring a model into ``folder``; what is there already, and right, is not fetched again.

    The token (HF_TOKEN, or the one of ``hf auth login``) and caches (HF_HOME) are huggingface_hub's
    own business; nothing of them is read or logged here.

    Args:
        settings: which model, at which commit.
        folder: where it goes; replaced as a whole once everything is right.
        endpoint: address of the Hub, if not the usual one (or HF_ENDPOINT).

    Returns:
        The manifest, as written to ``folder / manifest.json``.

    Raises:
        DataError: if the Hub cannot be reached or has no such model, commit or weights, or a file is
            not what the Hub and the settings state.
    """
    disable_progress_bars()  # thousands of lines in a log file
    for library in ("httpx2", "huggingface_hub"):  # they log addresses, and those that the Hub redirects to are signed
        logging.getLogger(library).setLevel(logging.ERROR)
    api = HfApi(endpoint=endpoint)
    aside = folder.with_name(f".{folder.name}.aside")  # its name has no process in it: a cut download goes on
    where = f"{settings.hub_id} at {settings.revision}"
    try:
        stated, license = _listed(api, settings)
        log.info("%s: %d files, %.1f MB", where, len(stated), sum(each.size for each in stated) / 1e6)
        for file in stated:
            _fetch_file(api, settings, file, folder, aside)
    except GatedRepoError:
        raise DataError(
            f"{where}: access is refused: accept its terms on its page, and set HF_TOKEN to a token that may read it"
        ) from None
    except RevisionNotFoundError:
        raise DataError(f"{where}: the Hub has no such commit: correct revision in config/pretrained.yaml") from None
    except RepositoryNotFoundError:
        raise DataError(
            f"{where}: the Hub has no such model, or it is not for everyone: correct hub_id in config/pretrained.yaml, "
            "or set HF_TOKEN"
        ) from None
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HTTPError, ConnectionError, TimeoutError) as error:
        raise _unreachable(where, folder, error) from None
    return _put_in_place(settings, stated, license, folder, aside)


def verify(folder: Path, settings: PretrainedConfig | None = None) -> dict[str, Any]:
    """Read every byte of a cache again; call it before loading weights.

    Args:
        settings: if given, model and commit must be these.

    Returns:
        The manifest.

    Raises:
        DataError: if the cache is absent, of another commit, or not what its manifest says.
    """
    again = f"run: {made_again(folder)}"
    try:
        manifest = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        raise DataError(f"{folder}: there is no complete model here: {again}") from None
    again = f"run: {made_again(folder, is_seeded=bool(manifest.get('seeded')))}"
    if settings is not None:
        found, expected = (manifest["hub_id"], manifest["revision"]), (settings.hub_id, settings.revision)
        if found != expected:
            raise DataError(f"{folder}: found {' at '.join(found)}, expected {' at '.join(expected)}: {again}")
    for entry in manifest["files"]:
        path = folder / entry["path"]
        found_size = path.stat().st_size if path.is_file() else None
        if found_size != entry["size"]:
            raise DataError(f"{path}: found {_bytes(found_size)}, expected {_bytes(entry['size'])}: {again}")
        if (digest := file_digest(path)) != entry["sha256"]:
            raise DataError(f"{path}: SHA-256 is {digest}, expected {entry['sha256']}: {again}")
    known = {entry["path"] for entry in manifest["files"]}.union(BESIDE)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in known:
            raise DataError(f"{path}: is not of the model that manifest.json lists: take it away")
    return manifest


def made_again(folder: Path, *, is_seeded: bool = False) -> str:
    """The command that fetches a model, or makes it of random numbers, though its manifest be there."""
    return f"snakemake {folder / MANIFEST} --forcerun {'seed' if is_seeded else 'fetch'}_pretrained"


def remove_weights(folder: Path) -> list[str]:
    """Take the weights of a fetched model off the disk; its manifest stays, and says what they were.

    Whoever needs them again is told how to fetch them (``verify``).

    Returns:
        Names of the files that are gone.

    Raises:
        DataError: if there is no complete model.
    """
    gone = [entry["path"] for entry in verify(folder)["files"] if entry["path"].endswith(".safetensors")]
    for name in gone:
        (folder / name).unlink()
    flush_to_disk(folder)
    return gone


def folder_of(path: Path) -> Path:
    """The folder of a network that is named by itself, or by a file in it (its manifest or settings)."""
    return path if path.is_dir() else path.parent


def _listed(api: HfApi, settings: PretrainedConfig) -> tuple[list[Stated], str]:
    """Files of the commit that are wanted, in order, and the licence that the Hub names.

    The one pickle that may be among them is ``PICKLE``, where it is to be converted.
    """
    info = api.model_info(settings.hub_id, revision=settings.revision, files_metadata=True)
    where = f"{settings.hub_id} at {settings.revision}"
    if info.sha != settings.revision:
        raise DataError(f"{where}: the Hub answers with commit {info.sha}: pin the commit itself, all 40 digits")
    stated = []
    for each in sorted(info.siblings or [], key=lambda each: each.rfilename):
        parts = PurePosixPath(each.rfilename).parts
        is_kind = each.rfilename.endswith(SUFFIXES) or (settings.convert and parts == (PICKLE,))
        if is_kind and ".." not in parts and parts[0] != "/" and parts != (MANIFEST,):
            sha256 = each.lfs.sha256 if each.lfs else None
            stated.append(Stated(each.rfilename, int(each.size or 0), sha256, None if sha256 else each.blob_id))
    _check_weights(settings, {each.path for each in stated}, where)
    if unknown := sorted(set(settings.sha256) - {each.path for each in stated}):
        raise DataError(f"{where}: there is no {unknown[0]}: correct sha256 in config/pretrained.yaml")
    hub_license = (info.card_data.get("license") if info.card_data else None) or "unknown"
    return stated, settings.license if settings.license != "unknown" else str(hub_license)


def _check_weights(settings: PretrainedConfig, paths: set[str], where: str) -> None:
    has_safetensors = any(path.endswith(".safetensors") for path in paths)
    if settings.convert and has_safetensors:
        raise DataError(f"{where}: there are safetensors weights: take convert out of config/pretrained.yaml")
    if settings.convert and PICKLE not in paths:
        raise DataError(f"{where}: there is no {PICKLE} to convert: correct the entry in config/pretrained.yaml")
    if not settings.convert and not has_safetensors:
        raise DataError(
            f"{where}: there are no safetensors weights, and pickles are not taken as they are: pin a commit that has "
            "them (the Hub's conversions lie at refs/pr/N of the model), or set convert: true"
        )


def _fetch_file(api: HfApi, settings: PretrainedConfig, file: Stated, folder: Path, aside: Path) -> None:
    """Bring one file into ``aside``, from an earlier cache if it is there, and check it."""
    pinned = settings.sha256.get(file.path)
    target, earlier = aside / file.path, folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() and earlier.is_file() and _fault(earlier, file, pinned) is None:
        shutil.copyfile(earlier, target)
    if not target.is_file():
        log.info("fetching %s, %.1f MB", file.path, file.size / 1e6)
        api.hf_hub_download(settings.hub_id, file.path, revision=settings.revision, local_dir=aside)
    if fault := _fault(target, file, pinned):
        target.unlink(missing_ok=True)
        raise DataError(f"{settings.hub_id}: {file.path}: {fault}; nothing of it is kept: run it again")


def _fault(path: Path, stated: Stated, pinned: str | None) -> str | None:
    """What is wrong with a file, or nothing."""
    size = path.stat().st_size
    if size != stated.size:
        return f"found {_bytes(size)}, expected {_bytes(stated.size)}"
    if stated.sha256 is None and stated.git_id is None:
        return "the Hub states no digest of it"
    if stated.git_id is not None:
        digest = hashlib.sha1(b"blob %d\0" % size + path.read_bytes()).hexdigest()
        if digest != stated.git_id:
            return f"its Git id is {digest}, the Hub states {stated.git_id}"
    digest = file_digest(path)
    for expected, who in ((stated.sha256, "the Hub states"), (pinned, "config/pretrained.yaml pins")):
        if expected is not None and digest != expected:
            return f"its SHA-256 is {digest}, {who} {expected}"
    return None


def _put_in_place(
    settings: PretrainedConfig, stated: list[Stated], license: str, folder: Path, aside: Path
) -> dict[str, Any]:
    """Write the manifest and let the finished folder take the place of an earlier one."""
    shutil.rmtree(aside / ".cache", ignore_errors=True)  # huggingface_hub's notes of what it fetched
    origin = _convert(settings, aside) if settings.convert else {}
    wanted = {CONVERTED if each.path == PICKLE else each.path for each in stated}
    for path in sorted(aside.rglob("*")):
        if path.is_file() and path.relative_to(aside).as_posix() not in wanted:
            path.unlink()  # of an earlier attempt, at another commit
    files = []
    for name in sorted(wanted):
        path = aside / name
        flush_to_disk(path)
        files.append({"path": name, "size": path.stat().st_size, "sha256": file_digest(path)})
    manifest = {"hub_id": settings.hub_id, "revision": settings.revision, "license": license, "files": files, **origin}
    write_json(aside / MANIFEST, manifest)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.rename(folder, old)
    os.rename(aside, folder)
    flush_to_disk(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    return manifest


def _convert(settings: PretrainedConfig, aside: Path) -> dict[str, Any]:
    """Write the pickle anew and delete it; what the manifest says of it."""
    pickled = aside / PICKLE
    said = {"path": PICKLE, "size": pickled.stat().st_size, "sha256": file_digest(pickled)}
    try:
        to_safetensors(pickled, aside / CONVERTED)
    except DataError as error:
        pickled.unlink()
        raise DataError(f"{settings.hub_id} at {settings.revision}: {error}") from None
    pickled.unlink()
    return {"converted_from": said}


def _unreachable(where: str, folder: Path, error: Exception) -> DataError:
    """Which machine can do it, and how it comes here. Of the error only its kind: messages can hold addresses."""
    return DataError(
        f"{where} cannot be fetched from here ({type(error).__name__}): on a machine that reaches the Hub (a login "
        f"node) run `snakemake {folder / MANIFEST}`, and bring {folder} here if this machine does not share its files"
    )


def _bytes(size: int | None) -> str:
    return "no file" if size is None else f"{size} bytes"
